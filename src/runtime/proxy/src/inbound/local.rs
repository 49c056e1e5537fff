//! A port of the application.

use std::{cell::Cell, net::SocketAddr, rc::Rc, sync::Arc};

use tokio::time::Instant;

use super::Inbound;
use crate::{
    http::{
        multiplex::H2ClientConfig,
        pool::Pool,
        upstream::{Params, Security, Upstream},
    },
    metrics::{Labels, tcp::TcpSeries},
};

/// The application's port.
pub(super) struct Local {
    pub(super) upstream: Rc<Upstream>,
    pub(super) tcp: Arc<TcpSeries>,
    pub(super) used_at: Cell<Instant>,
}

impl Local {
    pub(super) fn new(inbound: &Inbound, addr: SocketAddr) -> Rc<Self> {
        let labels = Labels::new()
            .with("direction", "inbound")
            .with("peer", "dst")
            .with("target_addr", addr)
            .with("target_ip", addr.ip())
            .with("target_port", addr.port())
            .with("tls", "no_identity")
            .with("no_tls_reason", "loopback")
            .finish();
        let tcp = TcpSeries::new(&inbound.metrics, labels);
        let common = &inbound.config.common;
        let upstream = Upstream::new(Params {
            addr,
            security: Security::Plain,
            orig_proto: false,
            connector: inbound.connector.clone(),
            h1: Pool::new(common.max_idle_per_endpoint, common.h1_idle),
            h2: H2ClientConfig {
                windows: inbound.windows,
                keep_alive: None,
            },
            tcp: tcp.clone(),
        });
        Rc::new(Self {
            upstream,
            tcp,
            used_at: Cell::new(Instant::now()),
        })
    }
}
