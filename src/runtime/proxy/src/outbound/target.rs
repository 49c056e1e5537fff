//! A destination address: what it means now, and where its traffic goes.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{Outbound, balancer::Balancer, endpoint::Endpoint};
use crate::{
    control::{EndpointMeta, Hint, Known, Profile},
    metrics::{Labels, tcp::TcpSeries},
};

/// How long a first connection waits for a control plane that is reachable but slow.
const PATIENCE: Duration = Duration::from_secs(3);

/// A destination address.
pub(super) struct Target {
    pub(super) original_dst: SocketAddr,
    /// Of connections that applications make there.
    pub(super) accepted: Arc<TcpSeries>,
    outbound: Weak<Outbound>,
    profile: RefCell<watch::Receiver<Known<Profile>>>,
    concrete: RefCell<Option<(Key, Concrete)>>,
    used_at: Cell<Instant>,
    waited: Cell<bool>,
    initial_timeout: Duration,
}

/// Where traffic goes.
#[derive(Clone)]
pub(super) enum Concrete {
    /// To the endpoints of a service.
    Balance(Rc<Balancer>),
    /// To one endpoint.
    Forward(Rc<Endpoint>),
}

/// What a `Concrete` was made for.
#[derive(Clone, PartialEq, Eq)]
enum Key {
    Service(Arc<str>),
    Endpoint(Arc<EndpointMeta>),
    Original,
}

// === impl Target ===

impl Target {
    pub(super) fn new(outbound: &Rc<Outbound>, original_dst: SocketAddr) -> Rc<Self> {
        let config = outbound.discovery.config();
        let networks = &config.profile_networks;
        let known_here = networks.is_empty()
            || networks
                .iter()
                .any(|network| network.contains(original_dst.ip()));
        let profile = if known_here {
            outbound.discovery.profile(original_dst)
        } else {
            watch::Sender::new(Known::Absent).subscribe()
        };
        let labels = Labels::new()
            .with("direction", "outbound")
            .with("peer", "src")
            .with("target_addr", original_dst)
            .with("target_ip", original_dst.ip())
            .with("target_port", original_dst.port())
            .with("tls", "no_identity")
            .with("no_tls_reason", "loopback")
            .finish();
        Rc::new(Self {
            original_dst,
            accepted: TcpSeries::new(&outbound.metrics, labels),
            outbound: Rc::downgrade(outbound),
            profile: RefCell::new(profile),
            concrete: RefCell::new(None),
            used_at: Cell::new(Instant::now()),
            waited: Cell::new(false),
            initial_timeout: config.profile_initial_timeout,
        })
    }

    /// Returns once the control plane has told what this is, or it is clear that it will not soon;
    /// then the original destination is forwarded to, without TLS.
    pub(super) async fn ready(&self) {
        let mut profile = self.profile.borrow().clone();
        if profile.borrow().is_answered() || self.waited.get() {
            return;
        }
        let started = Instant::now();
        let answer = profile.wait_for(|known| !matches!(known, Known::Pending));
        let lost = match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(known)) => matches!(*known, Known::Lost),
            Ok(Err(_)) | Err(_) => true,
        };
        if lost {
            let rest = self.initial_timeout.saturating_sub(started.elapsed());
            let answer = profile.wait_for(Known::is_answered);
            if tokio::time::timeout(rest, answer).await.is_err() && !self.waited.replace(true) {
                tracing::warn!(
                    code = "MESH_PROXY_DISCOVERY_TIMEOUT",
                    dst = %self.original_dst,
                    "discovery does not answer; forwarding without TLS until it does",
                );
            }
        }
    }

    /// Whether connections are not to be looked into.
    pub(super) fn is_opaque(&self) -> bool {
        match &*self.profile.borrow().borrow() {
            Known::Is(profile) => {
                profile.opaque
                    || profile
                        .endpoint
                        .as_ref()
                        .is_some_and(|e| e.hint == Hint::Opaque)
            }
            Known::Pending | Known::Lost | Known::Absent => false,
        }
    }

    /// Where traffic goes now.
    pub(super) fn concrete(&self) -> Option<Concrete> {
        let outbound = self.outbound.upgrade()?;
        let mut cached = self.concrete.borrow_mut();
        if let Some((_, concrete)) = cached.as_ref()
            && !self.profile.borrow().has_changed().unwrap_or(false)
        {
            return Some(concrete.clone());
        }
        let key = self.key();
        if let Some((known, concrete)) = cached.as_ref()
            && *known == key
        {
            return Some(concrete.clone());
        }
        let concrete = match &key {
            Key::Service(path) => Concrete::Balance(outbound.balancer(path)),
            Key::Endpoint(meta) => Concrete::Forward(Endpoint::new(&outbound, meta.clone(), None)),
            Key::Original => {
                let meta = Arc::new(EndpointMeta::bare(self.original_dst));
                Concrete::Forward(Endpoint::new(&outbound, meta, None))
            }
        };
        *cached = Some((key, concrete.clone()));
        Some(concrete)
    }

    fn key(&self) -> Key {
        match &*self.profile.borrow_mut().borrow_and_update() {
            Known::Is(profile) => match (&profile.name, &profile.endpoint) {
                (Some(name), _) => {
                    Key::Service(format!("{name}:{}", self.original_dst.port()).into())
                }
                (None, Some(endpoint)) => Key::Endpoint(endpoint.clone()),
                (None, None) => Key::Original,
            },
            Known::Pending | Known::Lost | Known::Absent => Key::Original,
        }
    }

    pub(super) fn used(&self) {
        self.used_at.set(Instant::now());
    }

    pub(super) fn used_at(&self) -> Instant {
        self.used_at.get()
    }

    /// Closes connections that idle.
    pub(super) fn sweep(&self) {
        if let Some((_, Concrete::Forward(endpoint))) = &*self.concrete.borrow() {
            endpoint.sweep();
        }
    }
}
