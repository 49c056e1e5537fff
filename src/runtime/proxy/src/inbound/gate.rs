//! The policy of a port as it applies to one connection.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use smallvec::SmallVec;
use tokio::sync::watch;

use super::{Inbound, admission::Admission, facts};
use crate::{
    http::Fault,
    metrics::{LabelSet, Labels, Metrics, tcp::TcpSeries},
    policy::{
        Authorization, Client, Denied, Protocol, Route, ServerPolicy, authorize::ClientTls,
        store::Current,
    },
};

/// One connection before the policy of its port.
pub(super) struct Gate {
    pub(super) dst: SocketAddr,
    pub(super) client: Client,
    /// Of the client's side of the connection.
    pub(super) accepted: Arc<TcpSeries>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) current: RefCell<watch::Receiver<Current>>,
    policy: RefCell<Arc<ServerPolicy>>,
    /// Decisions that were made before, by route and authorization.
    pub(super) admissions: RefCell<SmallVec<[Rc<Admission>; 1]>>,
    /// Admissions hold for one policy.
    pub(super) admissions_of: RefCell<Option<Arc<ServerPolicy>>>,
    /// All that were given and are still in use.
    pub(super) given: RefCell<Vec<Weak<Admission>>>,
}

// === impl Gate ===

impl Gate {
    /// The gate of a connection from `client` to `dst`.
    pub(super) async fn open(
        inbound: &Inbound,
        client: SocketAddr,
        dst: SocketAddr,
        tls: ClientTls,
    ) -> Rc<Self> {
        let mut current = inbound.policies.get(dst.port()).await;
        let policy = current.borrow_and_update().policy.clone();
        let client = facts(client, tls);
        let labels = Labels::new()
            .with("direction", "inbound")
            .with("peer", "src")
            .join(&target_labels(dst, &client))
            .join(&policy.labels())
            .finish();
        Rc::new(Self {
            dst,
            client,
            accepted: TcpSeries::new(&inbound.metrics, labels),
            metrics: inbound.metrics.clone(),
            current: RefCell::new(current),
            policy: RefCell::new(policy),
            admissions: RefCell::default(),
            admissions_of: RefCell::default(),
            given: RefCell::default(),
        })
    }

    /// The policy now.
    pub(super) fn policy(&self) -> Arc<ServerPolicy> {
        let mut current = self.current.borrow_mut();
        if current.has_changed().unwrap_or(false) {
            *self.policy.borrow_mut() = current.borrow_and_update().policy.clone();
        }
        self.policy.borrow().clone()
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(
            self.client.tls,
            ClientTls::Identity(_) | ClientTls::Anonymous
        )
    }

    pub(super) fn detect_timeout(&self) -> Duration {
        match &self.policy.borrow().protocol {
            Protocol::Detect { timeout, .. } => *timeout,
            _ => Duration::from_secs(10),
        }
    }

    /// Whether the server may be asked while the client is silent: only if opaque bytes are
    /// allowed in any case.
    pub(super) fn allows_race(&self) -> bool {
        let policy = self.policy();
        let may_be_opaque = match &policy.protocol {
            Protocol::Detect { http, .. } => !is_http_only(&http.routes),
            Protocol::Opaque | Protocol::Tls => true,
            Protocol::Http1(_) | Protocol::Http2(_) | Protocol::Grpc(_) | Protocol::Invalid => {
                false
            }
        };
        may_be_opaque && policy.authorize_connection(&self.client).is_ok()
    }

    /// Lets opaque bytes in, or says why not.
    pub(super) fn admit_connection(&self) -> Result<(), Fault> {
        let policy = self.policy();
        let labels = policy.labels();
        match judge_connection(&policy, &self.client) {
            Ok(authorization) => {
                let labels = Labels::from_set(&labels)
                    .join(&authorization.meta.labels("authz").finish())
                    .join(&tls_labels(&self.client))
                    .finish();
                self.metrics
                    .inbound_tcp_authz_allow_total
                    .get(&labels)
                    .incr();
                Ok(())
            }
            Err(fault) => {
                let labels = Labels::from_set(&labels)
                    .join(&tls_labels(&self.client))
                    .finish();
                self.metrics
                    .inbound_tcp_authz_deny_total
                    .get(&labels)
                    .incr();
                Err(fault)
            }
        }
    }

    /// Returns once a change of policy forbids what was allowed.
    pub(super) async fn revoked(&self) -> Fault {
        let mut current = self.current.borrow().clone();
        loop {
            if current.changed().await.is_err() {
                // The store is gone, and with it the process.
                return std::future::pending().await;
            }
            let policy = current.borrow_and_update().policy.clone();
            if let Err(fault) = judge_connection(&policy, &self.client) {
                let labels = Labels::from_set(&policy.labels())
                    .join(&tls_labels(&self.client))
                    .finish();
                self.metrics
                    .inbound_tcp_authz_terminate_total
                    .get(&labels)
                    .incr();
                return fault;
            }
        }
    }
}

/// Opaque bytes are let in by the server's authorizations, unless HTTP routes were written for the
/// port: what they forbid must not come in by not looking like HTTP.
fn judge_connection<'a>(
    policy: &'a ServerPolicy,
    client: &Client,
) -> Result<&'a Authorization, Fault> {
    match &policy.protocol {
        Protocol::Detect { http, .. } if is_http_only(&http.routes) => {
            return Err(Fault::NotHttp(policy.meta.to_string()));
        }
        Protocol::Http1(_) | Protocol::Http2(_) | Protocol::Grpc(_) => {
            return Err(Fault::NotHttp(policy.meta.to_string()));
        }
        Protocol::Invalid => return Err(Fault::InvalidPolicy),
        Protocol::Detect { .. } | Protocol::Opaque | Protocol::Tls => {}
    }
    policy.authorize_connection(client).map_err(denied)
}

/// Whether someone wrote routes, so that only HTTP can be judged.
pub(super) fn is_http_only<M>(routes: &[Route<M>]) -> bool {
    routes.iter().any(|route| !route.meta.is_default())
}

pub(super) fn denied(denied: Box<Denied>) -> Fault {
    Fault::Denied(denied.into())
}

pub(super) fn target_labels(dst: SocketAddr, client: &Client) -> LabelSet {
    Labels::new()
        .with("target_addr", dst)
        .with("target_ip", dst.ip())
        .with("target_port", dst.port())
        .join(&tls_labels(client))
        .finish()
}

pub(super) fn tls_labels(client: &Client) -> LabelSet {
    match &client.tls {
        ClientTls::Identity(id) => Labels::new().with("tls", "true").with("client_id", id),
        ClientTls::Anonymous => Labels::new().with("tls", "true").with("client_id", ""),
        ClientTls::Opaque => Labels::new().with("tls", "opaque"),
        ClientTls::None => Labels::new()
            .with("tls", "no_identity")
            .with("no_tls_reason", "no_tls_from_remote"),
    }
    .finish()
}

pub(super) fn policy_join(a: &str, b: &str) -> LabelSet {
    Labels::from_set(a).join(b).finish()
}
