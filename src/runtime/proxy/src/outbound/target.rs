//! A destination address, and what the control plane knows of it.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{Outbound, plan::Plan, policy::OutboundPolicy};
use crate::{
    control::{Known, Profile},
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
    policy: RefCell<watch::Receiver<Known<OutboundPolicy>>>,
    plan: RefCell<Option<Rc<Plan>>>,
    used_at: Cell<Instant>,
    waited: Cell<bool>,
    initial_timeout: Duration,
}

// === impl Target ===

impl Target {
    pub(super) fn new(outbound: &Rc<Outbound>, original_dst: SocketAddr) -> Rc<Self> {
        let config = outbound.discovery.config();
        let networks = &config.profile_networks;
        let is_looked_up = networks.is_empty()
            || networks
                .iter()
                .any(|network| network.contains(original_dst.ip()));
        let profile = if is_looked_up {
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
            policy: RefCell::new(outbound.discovery.policy(original_dst)),
            plan: RefCell::new(None),
            used_at: Cell::new(Instant::now()),
            waited: Cell::new(false),
            initial_timeout: config.profile_initial_timeout,
        })
    }

    /// Returns once the control plane has told what this is, or it is clear that it will not soon;
    /// then the original destination is forwarded to, without TLS.
    pub(super) async fn ready(&self) {
        if self.waited.get() {
            return;
        }
        let profile = self.profile.borrow().clone();
        let policy = self.policy.borrow().clone();
        let answers = async { (self.answer(profile).await, self.answer(policy).await) };
        let (has_profile, has_policy) = answers.await;
        let is_complete = has_profile && has_policy;
        if !is_complete && !self.waited.replace(true) {
            tracing::warn!(
                code = "MESH_PROXY_DISCOVERY_TIMEOUT",
                dst = %self.original_dst,
                has_profile,
                has_policy,
                "discovery does not answer; going on without",
            );
        }
    }

    /// Whether an answer comes: a control plane that cannot be reached is waited for no longer
    /// than was configured, one that is slow somewhat more.
    async fn answer<T>(&self, mut receiver: watch::Receiver<Known<T>>) -> bool {
        if receiver.borrow().is_answered() {
            return true;
        }
        let started = Instant::now();
        let first = receiver.wait_for(|known| !matches!(known, Known::Pending));
        match tokio::time::timeout(PATIENCE, first).await {
            Ok(Ok(known)) if known.is_answered() => return true,
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return false,
        }
        let rest = self.initial_timeout.saturating_sub(started.elapsed());
        let answer = receiver.wait_for(Known::is_answered);
        tokio::time::timeout(rest, answer)
            .await
            .is_ok_and(|answer| answer.is_ok())
    }

    /// What happens to traffic now. `None` only while the process ends.
    pub(super) fn plan(&self) -> Option<Rc<Plan>> {
        let (mut profile, mut policy) = (self.profile.borrow_mut(), self.policy.borrow_mut());
        let mut cached = self.plan.borrow_mut();
        let changed =
            profile.has_changed().unwrap_or(false) || policy.has_changed().unwrap_or(false);
        if let (Some(plan), false) = (&*cached, changed) {
            return Some(plan.clone());
        }
        let outbound = self.outbound.upgrade()?;
        let (profile, policy) = (profile.borrow_and_update(), policy.borrow_and_update());
        let plan = Plan::build(&outbound, self.original_dst, &profile, &policy);
        *cached = Some(plan.clone());
        Some(plan)
    }

    pub(super) fn used(&self) {
        self.used_at.set(Instant::now());
    }

    pub(super) fn used_at(&self) -> Instant {
        self.used_at.get()
    }

    /// Closes connections that idle.
    pub(super) fn sweep(&self) {
        if let Some(plan) = &*self.plan.borrow() {
            plan.sweep();
        }
    }
}
