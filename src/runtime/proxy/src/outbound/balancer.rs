//! The endpoints of one service, kept up to date, and the choice among them.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::Arc,
};

use rustc_hash::FxHashMap;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{Outbound, endpoint::Endpoint};
use crate::{
    balance,
    control::{Endpoints, Known},
    http::Fault,
    metrics::{Labels, registry::Gauge},
};

/// A service.
pub(super) struct Balancer {
    /// `name:port`.
    pub(super) path: Arc<str>,
    outbound: Weak<Outbound>,
    endpoints: RefCell<Set>,
    changed: Notify,
    size: Arc<Gauge>,
}

#[derive(Default)]
struct Set {
    list: Vec<Rc<Endpoint>>,
    /// The control plane has answered.
    known: bool,
    /// It says that there is no such service.
    absent: bool,
}

// === impl Balancer ===

impl Balancer {
    pub(super) fn new(outbound: &Rc<Outbound>, path: Arc<str>) -> Rc<Self> {
        let labels = Labels::new().with("backend_name", &path).finish();
        let this = Rc::new(Self {
            outbound: Rc::downgrade(outbound),
            endpoints: RefCell::default(),
            changed: Notify::new(),
            size: outbound
                .metrics
                .outbound_http_balancer_endpoints
                .get(&labels),
            path,
        });
        let receiver = outbound.discovery.endpoints(&this.path);
        tokio::task::spawn_local(follow(Rc::downgrade(&this), receiver));
        this
    }

    /// The endpoint for the next request: not one of those `tried`, unless there is no other.
    /// Waits for a while when there is none at all.
    pub(super) async fn pick(&self, tried: &[SocketAddr]) -> Result<Rc<Endpoint>, Fault> {
        let outbound = self.outbound.upgrade().ok_or(Fault::Overloaded)?;
        if let Some(endpoint) = self.choose(&outbound, tried) {
            return Ok(endpoint);
        }
        let deadline = Instant::now() + outbound.config.common.failfast;
        loop {
            let changed = self.changed.notified();
            if let Some(endpoint) = self.choose(&outbound, tried) {
                return Ok(endpoint);
            }
            let is_over = self.endpoints.borrow().absent
                || tokio::time::timeout_at(deadline, changed).await.is_err();
            if is_over {
                return Err(Fault::NoEndpoints(self.path.to_string()));
            }
        }
    }

    /// How many endpoints there are.
    pub(super) fn len(&self) -> usize {
        self.endpoints.borrow().list.len()
    }

    fn choose(&self, outbound: &Outbound, tried: &[SocketAddr]) -> Option<Rc<Endpoint>> {
        let set = self.endpoints.borrow();
        let is_tried = |e: &Rc<Endpoint>| tried.contains(&e.addr());
        let index = balance::choose(&set.list, is_tried, &outbound.rng)
            // None is known to be good: better to try one than to fail.
            .or_else(|| {
                balance::choose(&Any::all(&set.list), |any| is_tried(any.0), &outbound.rng)
            })?;
        set.list.get(index).cloned()
    }

    /// Takes over a snapshot. Endpoints that stay keep their connections and their load.
    fn apply(&self, outbound: &Rc<Outbound>, known: &Known<Endpoints>) {
        let mut set = self.endpoints.borrow_mut();
        match known {
            Known::Pending | Known::Lost => return,
            Known::Absent => {
                *set = Set {
                    known: true,
                    absent: true,
                    ..Set::default()
                }
            }
            Known::Is(endpoints) => {
                let mut old: FxHashMap<SocketAddr, Rc<Endpoint>> =
                    set.list.drain(..).map(|e| (e.addr(), e)).collect();
                let kept_or_new = endpoints.by_addr.iter().map(|(addr, meta)| {
                    old.remove(addr)
                        .filter(|e| e.meta == *meta)
                        .unwrap_or_else(|| {
                            Endpoint::new(outbound, meta.clone(), Some(self.path.clone()))
                        })
                });
                set.list = kept_or_new.collect();
                (set.known, set.absent) = (true, false);
            }
        }
        self.size
            .set(i64::try_from(set.list.len()).unwrap_or(i64::MAX));
        drop(set);
        self.changed.notify_waiters();
    }

    /// Closes connections that idle.
    pub(super) fn sweep(&self) {
        for endpoint in &self.endpoints.borrow().list {
            endpoint.sweep();
        }
    }
}

/// Applies snapshots until the balancer is dropped.
async fn follow(balancer: Weak<Balancer>, mut receiver: watch::Receiver<Known<Endpoints>>) {
    loop {
        {
            let Some(balancer) = balancer.upgrade() else {
                return;
            };
            let Some(outbound) = balancer.outbound.upgrade() else {
                return;
            };
            let known = receiver.borrow_and_update().clone();
            balancer.apply(&outbound, &known);
        }
        tokio::select! {
            changed = receiver.changed() => if changed.is_err() { return },
            () = gone(&balancer) => return,
        }
    }
}

/// Returns once nobody uses the balancer any more. Looks now and then: a drop wakes nobody.
async fn gone(balancer: &Weak<Balancer>) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(5));
    while balancer.strong_count() > 0 {
        ticks.tick().await;
    }
}

/// An endpoint that counts as available.
struct Any<'a>(&'a Rc<Endpoint>);

impl<'a> Any<'a> {
    fn all(list: &'a [Rc<Endpoint>]) -> Vec<Self> {
        list.iter().map(Any).collect()
    }
}

impl balance::Candidate for Any<'_> {
    fn load(&self) -> f64 {
        self.0.load()
    }

    fn is_available(&self) -> bool {
        true
    }
}
