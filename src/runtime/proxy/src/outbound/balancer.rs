//! The endpoints of one service, kept up to date, and the choice among them.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::Arc,
};

use rustc_hash::FxHashMap;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    Outbound,
    endpoint::{Endpoint, Judgement},
    policy::Queue,
};
use crate::{
    balance::{self, Candidate},
    control::{Endpoints, Known},
    http::Fault,
    metrics::{Labels, registry::Gauge},
};

/// A service.
pub(super) struct Balancer {
    /// `name:port`.
    pub(super) path: Arc<str>,
    pub(super) judgement: Judgement,
    outbound: Weak<Outbound>,
    endpoints: RefCell<Set>,
    waiting: Cell<usize>,
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
    pub(super) fn new(outbound: &Rc<Outbound>, path: Arc<str>, judgement: Judgement) -> Rc<Self> {
        let labels = Labels::new().with("backend_name", &path).finish();
        let this = Rc::new(Self {
            outbound: Rc::downgrade(outbound),
            judgement,
            endpoints: RefCell::default(),
            waiting: Cell::new(0),
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
    pub(super) async fn pick(
        &self,
        tried: &[SocketAddr],
        queue: Queue,
    ) -> Result<Rc<Endpoint>, Fault> {
        let outbound = self.outbound.upgrade().ok_or(Fault::Overloaded)?;
        if let Some(endpoint) = self.choose(&outbound, tried) {
            return Ok(endpoint);
        }
        let _waiting = Waiting::enter(&self.waiting, queue.capacity)?;
        let deadline = Instant::now() + queue.failfast;
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

    /// Whether a request would find an endpoint at once.
    pub(super) fn is_available(&self) -> bool {
        self.endpoints
            .borrow()
            .list
            .iter()
            .any(Candidate::is_available)
    }

    /// How many endpoints there are.
    pub(super) fn len(&self) -> usize {
        self.endpoints.borrow().list.len()
    }

    fn choose(&self, outbound: &Outbound, tried: &[SocketAddr]) -> Option<Rc<Endpoint>> {
        let set = self.endpoints.borrow();
        let is_tried = |e: &Rc<Endpoint>| tried.contains(&e.addr());
        let index = if self.may_choose_any(&set.list) {
            None
        } else {
            balance::choose(&set.list, is_tried, &outbound.rng)
        };
        // None is known to be good: better to try one than to fail.
        let index = index.or_else(|| {
            balance::choose(&Any::all(&set.list), |any| is_tried(any.0), &outbound.rng)
        })?;
        set.list.get(index).cloned()
    }

    /// Whether so few endpoints are left that breakers must not take out any more.
    fn may_choose_any(&self, list: &[Rc<Endpoint>]) -> bool {
        let min_ready = self
            .judgement
            .accrual
            .map_or(0, |accrual| accrual.min_ready);
        min_ready > 0 && list.iter().filter(|e| e.is_available()).count() < min_ready
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
                            Endpoint::new(
                                outbound,
                                meta.clone(),
                                Some(self.path.clone()),
                                self.judgement,
                            )
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

/// A request that waits for an endpoint.
struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    fn enter(count: &'a Cell<usize>, capacity: usize) -> Result<Self, Fault> {
        if count.get() >= capacity {
            return Err(Fault::Overloaded);
        }
        count.set(count.get() + 1);
        Ok(Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// An endpoint that counts as available.
struct Any<'a>(&'a Rc<Endpoint>);

impl<'a> Any<'a> {
    fn all(list: &'a [Rc<Endpoint>]) -> Vec<Self> {
        list.iter().map(Any).collect()
    }
}

impl Candidate for Any<'_> {
    fn load(&self) -> f64 {
        self.0.load()
    }

    fn is_available(&self) -> bool {
        true
    }
}
