//! What happens to the traffic of a target: its policy, with backends resolved to what can be sent
//! to. Made once for each policy, shared by all connections of the target.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use super::{
    Outbound,
    balancer::Balancer,
    endpoint::{Endpoint, Judgement},
    metrics::{BackendMetrics, RouteMetrics},
    policy::{
        Backend, BackendKind, Distribution, HttpPolicy, LoadParams, OpaqueRoute, OutboundPolicy,
        Protocol, Queue, Refusal, Retry, Route, RouteBackend, Routes, Rule, Timeouts,
    },
};
use crate::{
    balance::breaker::Accrual,
    control::{EndpointMeta, Known, Profile},
    http::{
        Fault,
        filter::Filter,
        observe::{EndSink, Ending},
    },
    meta::Meta,
    rng::Rng,
    route::{self, Head, Host, HttpMatch, PathMatch},
};

/// What is done with connections.
pub(super) struct Plan {
    pub(super) detection: Detection,
    pub(super) http1: Option<Rc<HttpTable>>,
    pub(super) http2: Option<Rc<HttpTable>>,
    pub(super) opaque: Option<Rc<OpaquePlan>>,
    pub(super) tls: Vec<(Vec<Host>, Rc<OpaquePlan>)>,
}

/// What is to be found out about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Detection {
    /// Whether it is HTTP, and of which version.
    Http {
        timeout: Duration,
    },
    Http1,
    Http2,
    /// Nothing.
    Opaque,
    /// The TLS server name.
    Tls,
    /// The policy is of no use.
    Refuse(&'static str),
}

/// Routes of requests.
pub(super) struct HttpTable {
    policy: Arc<HttpPolicy>,
    parent: Meta,
    /// By route and rule, as in the policy.
    rules: Vec<Vec<Rc<RulePlan>>>,
}

/// What happens to requests of one rule.
pub(super) struct RulePlan {
    pub(super) filters: Vec<Filter>,
    pub(super) timeouts: Timeouts,
    pub(super) retry: Option<Retry>,
    pub(super) allows_headers: bool,
    pub(super) metrics: RouteMetrics,
    backends: Spread,
}

/// One backend of a rule.
pub(super) struct BackendPlan {
    pub(super) concrete: Concrete,
    pub(super) filters: Vec<Filter>,
    pub(super) request_timeout: Option<Duration>,
    pub(super) metrics: BackendMetrics,
}

enum Spread {
    Nowhere,
    First(Vec<Rc<BackendPlan>>),
    Random(Vec<(Rc<BackendPlan>, u32)>),
}

/// Where traffic goes.
#[derive(Clone)]
pub(super) enum Concrete {
    /// To the endpoints of a service.
    Balance(Rc<Balancer>, Queue),
    /// To one endpoint.
    Forward(Rc<Endpoint>),
    /// Nowhere.
    Fail(Meta),
}

/// What happens to connections that are not looked into.
pub(super) struct OpaquePlan {
    meta: Meta,
    refusal: Option<Refusal>,
    backends: Vec<(Concrete, u32)>,
    first_available: bool,
}

/// A rule that was found for a request.
pub(super) struct Matched {
    pub(super) rule: Rc<RulePlan>,
    /// The path prefix that it matched.
    pub(super) prefix: Option<String>,
}

const QUEUE_CAPACITY: usize = 10_000;

// === impl Plan ===

impl Plan {
    /// From what is known now.
    pub(super) fn build(
        outbound: &Rc<Outbound>,
        original_dst: SocketAddr,
        profile: &Known<Profile>,
        policy: &Known<OutboundPolicy>,
    ) -> Rc<Self> {
        let mut plan = match policy {
            Known::Is(policy) => Self::from_policy(outbound, policy),
            Known::Pending | Known::Lost | Known::Absent => {
                let fallback = fallback_policy(outbound, original_dst, profile);
                Self::from_policy(outbound, &fallback)
            }
        };
        if let Known::Is(profile) = profile
            && profile.is_opaque()
            && plan.opaque.is_some()
        {
            plan.detection = Detection::Opaque;
        }
        Rc::new(plan)
    }

    fn from_policy(outbound: &Rc<Outbound>, policy: &OutboundPolicy) -> Self {
        let http = |http: &Arc<HttpPolicy>| {
            Some(Rc::new(HttpTable::new(
                outbound,
                policy.parent.clone(),
                http.clone(),
            )))
        };
        let first = |routes: &[OpaqueRoute]| {
            routes
                .first()
                .map(|route| Rc::new(OpaquePlan::new(outbound, route)))
        };
        let mut plan = Self {
            detection: Detection::Opaque,
            http1: None,
            http2: None,
            opaque: None,
            tls: Vec::new(),
        };
        match &policy.protocol {
            Protocol::Detect {
                timeout,
                http1,
                http2,
                opaque,
            } => {
                plan.detection = Detection::Http { timeout: *timeout };
                plan.http1 = http(http1);
                plan.http2 = if Arc::ptr_eq(http1, http2) {
                    plan.http1.clone()
                } else {
                    http(http2)
                };
                plan.opaque = first(&opaque.routes);
            }
            Protocol::Http1(policy) => {
                plan.detection = Detection::Http1;
                plan.http1 = http(policy);
            }
            Protocol::Http2(policy) => {
                plan.detection = Detection::Http2;
                plan.http2 = http(policy);
            }
            Protocol::Opaque(opaque) => plan.opaque = first(&opaque.routes),
            Protocol::Tls(tls) => {
                plan.detection = Detection::Tls;
                plan.tls = tls
                    .routes
                    .iter()
                    .map(|tls| {
                        (
                            tls.snis.clone(),
                            Rc::new(OpaquePlan::new(outbound, &tls.route)),
                        )
                    })
                    .collect();
            }
            Protocol::Invalid(why) => plan.detection = Detection::Refuse(why),
        }
        plan
    }

    /// Closes connections that idle.
    pub(super) fn sweep(&self) {
        for table in [&self.http1, &self.http2].into_iter().flatten() {
            for rule in table.rules.iter().flatten() {
                rule.backends.each(|backend| backend.concrete.sweep());
            }
        }
    }
}

/// The policy that stands in for one that the control plane does not have: everything goes to the
/// service, to the endpoint, or to where it was meant to go.
fn fallback_policy(
    outbound: &Outbound,
    original_dst: SocketAddr,
    profile: &Known<Profile>,
) -> OutboundPolicy {
    let known = match profile {
        Known::Is(profile) => Some(profile),
        Known::Pending | Known::Lost | Known::Absent => None,
    };
    let kind = match known.map(|profile| (&profile.name, &profile.endpoint)) {
        Some((Some(name), _)) => BackendKind::Balance {
            path: format!("{name}:{}", original_dst.port()).into(),
            load: LoadParams::default(),
        },
        Some((None, Some(endpoint))) => BackendKind::Forward(endpoint.clone()),
        Some((None, None)) | None => {
            BackendKind::Forward(Arc::new(EndpointMeta::bare(original_dst)))
        }
    };
    let meta = Meta::default_of(match kind {
        BackendKind::Balance { .. } => "service",
        BackendKind::Forward(_) if known.is_some_and(|p| p.endpoint.is_some()) => "endpoint",
        BackendKind::Forward(_) | BackendKind::Fail => "fallback",
    });
    let common = &outbound.config.common;
    let queue = Queue {
        capacity: QUEUE_CAPACITY,
        failfast: common.failfast,
    };
    let backend = Backend {
        meta: meta.clone(),
        kind,
        queue,
    };
    let rule = Rule {
        matches: Vec::new(),
        filters: Vec::new(),
        distribution: Distribution::First(vec![RouteBackend {
            backend: backend.clone(),
            filters: Vec::new(),
            request_timeout: None,
        }]),
        timeouts: Timeouts::default(),
        retry: None,
        allows_headers: false,
    };
    let route = Route {
        meta: Meta::default_of("http"),
        hosts: Vec::new(),
        rules: vec![rule],
    };
    let http = Arc::new(HttpPolicy {
        routes: Routes::Http(vec![route]),
        accrual: None,
    });
    let opaque = OpaqueRoute {
        meta: Meta::default_of("opaque"),
        distribution: Distribution::First(vec![backend]),
        refusal: None,
    };
    OutboundPolicy {
        parent: meta,
        protocol: Protocol::Detect {
            timeout: common.detect_timeout,
            http1: http.clone(),
            http2: http,
            opaque: Arc::new(super::policy::Opaque {
                routes: vec![opaque],
            }),
        },
    }
}

// === impl HttpTable ===

impl HttpTable {
    fn new(outbound: &Rc<Outbound>, parent: Meta, policy: Arc<HttpPolicy>) -> Self {
        let accrual = policy.accrual;
        let rules = match &policy.routes {
            Routes::Http(routes) => routes
                .iter()
                .map(|r| rules(outbound, &parent, r, accrual, "http"))
                .collect(),
            Routes::Grpc(routes) => routes
                .iter()
                .map(|r| rules(outbound, &parent, r, accrual, "grpc"))
                .collect(),
        };
        Self {
            policy,
            parent,
            rules,
        }
    }

    /// The rule for a request.
    pub(super) fn find(&self, head: Head<'_>) -> Result<Matched, Fault> {
        let (found, prefix) = match &self.policy.routes {
            Routes::Http(routes) => {
                let found = route::find(routes, head);
                (found, found.and_then(|found| matched_prefix(routes, found)))
            }
            Routes::Grpc(routes) => (route::find(routes, head), None),
        };
        found
            .and_then(|found| self.rules.get(found.route)?.get(found.rule))
            .map(|rule| Matched {
                rule: rule.clone(),
                prefix,
            })
            .ok_or_else(|| Fault::NoRoute(self.parent.to_string()))
    }
}

/// Only redirects want to know it; for all others it is not copied.
fn matched_prefix(routes: &[Route<HttpMatch>], found: route::Found) -> Option<String> {
    let rule = routes.get(found.route)?.rules.get(found.rule)?;
    let redirects = |f: &Filter| matches!(f, Filter::Redirect(_));
    if !rule.filters.iter().any(redirects) {
        return None;
    }
    match rule.matches.get(found.alternative?)?.path.as_ref()? {
        PathMatch::Prefix(prefix) => Some(prefix.clone()),
        PathMatch::Exact(_) | PathMatch::Regex(_) => None,
    }
}

fn rules<M>(
    outbound: &Rc<Outbound>,
    parent: &Meta,
    route: &Route<M>,
    accrual: Option<Accrual>,
    protocol: &'static str,
) -> Vec<Rc<RulePlan>> {
    let make = |rule: &Rule<M>| {
        let backend = |backend: &RouteBackend| {
            let meta = &backend.backend.meta;
            Rc::new(BackendPlan {
                concrete: Concrete::new(outbound, &backend.backend, accrual),
                filters: backend.filters.clone(),
                request_timeout: backend.request_timeout,
                metrics: BackendMetrics::new(
                    &outbound.metrics,
                    protocol,
                    parent,
                    &route.meta,
                    meta,
                ),
            })
        };
        Rc::new(RulePlan {
            filters: rule.filters.clone(),
            timeouts: rule.timeouts,
            retry: rule.retry.clone(),
            allows_headers: rule.allows_headers,
            metrics: RouteMetrics::new(&outbound.metrics, protocol, parent, &route.meta),
            backends: match &rule.distribution {
                Distribution::Empty => Spread::Nowhere,
                Distribution::First(all) => Spread::First(all.iter().map(backend).collect()),
                Distribution::Random(all) => Spread::Random(
                    all.iter()
                        .map(|(b, weight)| (backend(b), *weight))
                        .collect(),
                ),
            },
        })
    };
    route.rules.iter().map(make).collect()
}

// === impl RulePlan ===

impl RulePlan {
    /// The backend for a try.
    pub(super) fn backend(&self, rng: &Rng) -> Option<Rc<BackendPlan>> {
        match &self.backends {
            Spread::Nowhere => None,
            Spread::First(all) => all
                .iter()
                .find(|b| b.concrete.is_available())
                .or_else(|| all.first())
                .cloned(),
            Spread::Random(all) => {
                let available = |b: &Rc<BackendPlan>| b.concrete.is_available();
                weighted(all, available, rng)
                    .or_else(|| weighted(all, |_| true, rng))
                    .cloned()
            }
        }
    }
}

/// One at random by weight, of those that may be chosen.
fn weighted<'a, T>(all: &'a [(T, u32)], may: impl Fn(&T) -> bool, rng: &Rng) -> Option<&'a T> {
    let weight = |(item, weight): &(T, u32)| {
        if may(item) {
            usize::try_from(*weight).unwrap_or(0)
        } else {
            0
        }
    };
    let total: usize = all.iter().map(weight).sum();
    if total == 0 {
        return None;
    }
    let mut rest = rng.below(total);
    for entry in all {
        match rest.checked_sub(weight(entry)) {
            Some(less) => rest = less,
            None => return Some(&entry.0),
        }
    }
    None
}

impl Spread {
    fn each(&self, mut f: impl FnMut(&BackendPlan)) {
        match self {
            Self::Nowhere => {}
            Self::First(all) => all.iter().for_each(|b| f(b)),
            Self::Random(all) => all.iter().for_each(|(b, _)| f(b)),
        }
    }
}

impl EndSink for RulePlan {
    fn ended(&self, ending: Ending, duration: Duration) {
        self.metrics.ended(ending, duration);
    }
}

impl EndSink for BackendPlan {
    fn ended(&self, ending: Ending, duration: Duration) {
        self.metrics.ended(ending, duration);
    }
}

// === impl Concrete ===

impl Concrete {
    fn new(outbound: &Rc<Outbound>, backend: &Backend, accrual: Option<Accrual>) -> Self {
        match &backend.kind {
            BackendKind::Balance { path, load } => {
                let judgement = Judgement {
                    load: *load,
                    accrual,
                };
                Self::Balance(outbound.balancer(path, judgement), backend.queue)
            }
            BackendKind::Forward(meta) => {
                let judgement = Judgement::default();
                Self::Forward(Endpoint::new(outbound, meta.clone(), None, judgement))
            }
            BackendKind::Fail => Self::Fail(backend.meta.clone()),
        }
    }

    fn is_available(&self) -> bool {
        match self {
            Self::Balance(balancer, _) => balancer.is_available(),
            Self::Forward(_) => true,
            Self::Fail(_) => false,
        }
    }

    fn sweep(&self) {
        if let Self::Forward(endpoint) = self {
            endpoint.sweep();
        }
    }
}

// === impl OpaquePlan ===

impl OpaquePlan {
    fn new(outbound: &Rc<Outbound>, route: &OpaqueRoute) -> Self {
        let concrete = |backend: &Backend| Concrete::new(outbound, backend, None);
        let (backends, first_available) = match &route.distribution {
            Distribution::Empty => (Vec::new(), true),
            Distribution::First(all) => (all.iter().map(|b| (concrete(b), 1)).collect(), true),
            Distribution::Random(all) => (
                all.iter()
                    .map(|(b, weight)| (concrete(b), *weight))
                    .collect(),
                false,
            ),
        };
        Self {
            meta: route.meta.clone(),
            refusal: route.refusal.clone(),
            backends,
            first_available,
        }
    }

    /// Where a connection goes, or why nowhere.
    pub(super) fn concrete(&self, rng: &Rng) -> Result<Concrete, Fault> {
        match &self.refusal {
            Some(Refusal::Forbidden) => return Err(Fault::Forbidden(self.meta.to_string())),
            Some(Refusal::Invalid(why)) => {
                return Err(Fault::InvalidRoute(self.meta.to_string(), why.clone()));
            }
            None => {}
        }
        let all = &self.backends;
        let chosen = if self.first_available {
            let available = all.iter().find(|(c, _)| c.is_available());
            available
                .or_else(|| all.first())
                .map(|(concrete, _)| concrete)
        } else {
            weighted(all, Concrete::is_available, rng).or_else(|| weighted(all, |_| true, rng))
        };
        chosen
            .cloned()
            .ok_or_else(|| Fault::NoEndpoints(self.meta.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_and_zero_is_never_chosen() {
        let all = [("a", 1), ("b", 0), ("c", 3)];
        let rng = Rng::from_seed(9);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            match weighted(&all, |_| true, &rng) {
                Some(&"a") => counts[0] += 1,
                Some(&"b") => counts[1] += 1,
                Some(_) => counts[2] += 1,
                None => panic!("nothing chosen"),
            }
        }
        assert_eq!(counts[1], 0);
        assert!((900..1100).contains(&counts[0]), "{counts:?}");
        assert_eq!(weighted(&all, |item| *item == "b", &rng), None);
    }
}
