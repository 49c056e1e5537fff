//! Metrics of routes and their backends.

use std::{cell::RefCell, sync::Arc, time::Duration};

use smallvec::SmallVec;

use crate::{
    http::observe::Ending,
    meta::Meta,
    metrics::{
        LabelSet, Labels, Metrics,
        registry::{Counter, Family, Histogram},
    },
};

/// Of one rule of a route.
pub(super) struct RouteMetrics {
    pub(super) duration: Arc<Histogram>,
    statuses: Statuses,
    pub(super) retries: Arc<Counter>,
    pub(super) retry_successes: Arc<Counter>,
    pub(super) retry_limit_exceeded: Arc<Counter>,
    pub(super) retry_overflow: Arc<Counter>,
}

/// Of one backend of a rule.
pub(super) struct BackendMetrics {
    pub(super) requests: Arc<Counter>,
    pub(super) duration: Arc<Histogram>,
    statuses: Statuses,
}

type Known = SmallVec<[(Ending, Arc<Counter>); 2]>;

/// Counters by ending, made when an ending is first seen.
struct Statuses {
    metrics: Arc<Metrics>,
    family: fn(&Metrics) -> &Family<Counter>,
    base: LabelSet,
    known: RefCell<Known>,
}

// === impl RouteMetrics ===

impl RouteMetrics {
    pub(super) fn new(
        metrics: &Arc<Metrics>,
        protocol: &'static str,
        parent: &Meta,
        route: &Meta,
    ) -> Self {
        let base = parent
            .labels_with_port("parent")
            .join(&route.labels_with_namespace("route").finish())
            .finish();
        let is_grpc = protocol == "grpc";
        let pick = |http, grpc| if is_grpc { grpc } else { http };
        let m = &**metrics;
        Self {
            duration: if is_grpc {
                m.outbound_grpc_route_request_duration_seconds.get(&base)
            } else {
                m.outbound_http_route_request_duration_seconds.get(&base)
            },
            retries: pick(
                &m.outbound_http_route_retry_requests_total,
                &m.outbound_grpc_route_retry_requests_total,
            )
            .get(&base),
            retry_successes: pick(
                &m.outbound_http_route_retry_successes_total,
                &m.outbound_grpc_route_retry_successes_total,
            )
            .get(&base),
            retry_limit_exceeded: pick(
                &m.outbound_http_route_retry_limit_exceeded_total,
                &m.outbound_grpc_route_retry_limit_exceeded_total,
            )
            .get(&base),
            retry_overflow: pick(
                &m.outbound_http_route_retry_overflow_total,
                &m.outbound_grpc_route_retry_overflow_total,
            )
            .get(&base),
            statuses: Statuses {
                metrics: metrics.clone(),
                family: if is_grpc {
                    |m| &m.outbound_grpc_route_request_statuses_total
                } else {
                    |m| &m.outbound_http_route_request_statuses_total
                },
                base,
                known: RefCell::default(),
            },
        }
    }

    /// The exchange with the application ended.
    pub(super) fn ended(&self, ending: Ending, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
        self.statuses.count(ending);
    }
}

// === impl BackendMetrics ===

impl BackendMetrics {
    pub(super) fn new(
        metrics: &Arc<Metrics>,
        protocol: &'static str,
        parent: &Meta,
        route: &Meta,
        backend: &Meta,
    ) -> Self {
        let base = parent
            .labels_with_port("parent")
            .join(&route.labels_with_namespace("route").finish())
            .join(&backend.labels_with_port("backend").finish())
            .finish();
        let is_grpc = protocol == "grpc";
        let m = &**metrics;
        Self {
            requests: if is_grpc {
                m.outbound_grpc_route_backend_requests_total.get(&base)
            } else {
                m.outbound_http_route_backend_requests_total.get(&base)
            },
            duration: if is_grpc {
                m.outbound_grpc_route_backend_response_duration_seconds
                    .get(&base)
            } else {
                m.outbound_http_route_backend_response_duration_seconds
                    .get(&base)
            },
            statuses: Statuses {
                metrics: metrics.clone(),
                family: if is_grpc {
                    |m| &m.outbound_grpc_route_backend_response_statuses_total
                } else {
                    |m| &m.outbound_http_route_backend_response_statuses_total
                },
                base,
                known: RefCell::default(),
            },
        }
    }

    /// The backend's response ended, or there is none.
    pub(super) fn ended(&self, ending: Ending, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
        self.statuses.count(ending);
    }
}

// === impl Statuses ===

impl Statuses {
    fn count(&self, ending: Ending) {
        let mut known = self.known.borrow_mut();
        if let Some((_, counter)) = known.iter().find(|(key, _)| *key == ending) {
            counter.incr();
            return;
        }
        let labels = Labels::from_set(&self.base);
        let labels = match ending {
            Ending::Http(status) => labels.with("http_status", status).with("error", ""),
            Ending::Grpc(code) => labels
                .with("grpc_status", grpc_name(code))
                .with("error", ""),
            Ending::Error(error) => labels.with("http_status", "").with("error", error),
        };
        let counter = (self.family)(&self.metrics).get(&labels.finish());
        counter.incr();
        known.push((ending, counter));
    }
}

/// The name of a gRPC status code.
fn grpc_name(code: u8) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("UNKNOWN")
}
