//! From the wire to outbound policy. What is not understood fails the requests that it concerns.

use std::{sync::Arc, time::Duration};

use super::{
    Backend, BackendKind, Conditions, Distribution, HttpPolicy, LoadParams, Opaque, OpaqueRoute,
    OutboundPolicy, Penalty, Protocol, Queue, Refusal, Retry, Route, RouteBackend, Routes, Rule,
    Timeouts, Tls, TlsRoute,
};
use crate::{
    balance::breaker::{Accrual, SuccessRate},
    config::BackoffConfig,
    control::EndpointMeta,
    http::filter::{self, Filter},
    meta::Meta,
    pb::{
        http_route, opaque_route,
        outbound::{
            self as wire, backend, balance_p2c, endpoint_discovery, failure_accrual, grpc_route,
            http_route as wire_http, opaque_route as wire_opaque, proxy_protocol::Kind,
            tls_route as wire_tls,
        },
        tls_route,
    },
    route::{GrpcMatch, Host, HttpMatch},
};

/// A replayed body is at most this long unless the policy says otherwise.
const MAX_REPLAY: usize = 64 * 1024;

/// The distribution of any kind of route: the four kinds have the same shape and different types.
macro_rules! distribution {
    ($wire:expr, $module:ident, $backend:expr) => {
        match $wire.and_then(|distribution| distribution.kind.as_ref()) {
            Some($module::distribution::Kind::FirstAvailable(first)) => {
                Distribution::First(first.backends.iter().map($backend).collect())
            }
            Some($module::distribution::Kind::RandomAvailable(random)) => {
                let weighted = random.backends.iter().filter_map(|weighted| {
                    Some(($backend(weighted.backend.as_ref()?), weighted.weight))
                });
                Distribution::Random(weighted.collect())
            }
            Some($module::distribution::Kind::Empty(_)) | None => Distribution::Empty,
        }
    };
}

impl OutboundPolicy {
    /// The policy of an `outbound.OutboundPolicy`.
    pub fn from_wire(wire: &wire::OutboundPolicy) -> Self {
        let protocol = wire
            .protocol
            .as_ref()
            .and_then(|protocol| protocol.kind.as_ref());
        Self {
            parent: Meta::from_optional(wire.metadata.as_ref()),
            protocol: protocol.map_or(Protocol::Invalid("of an unknown kind"), protocol_from_wire),
        }
    }
}

fn protocol_from_wire(kind: &Kind) -> Protocol {
    match kind {
        Kind::Detect(detect) => match (&detect.http1, &detect.http2, &detect.opaque) {
            (Some(http1), Some(http2), Some(opaque)) => Protocol::Detect {
                timeout: duration(detect.timeout.as_ref()).unwrap_or(Duration::from_secs(10)),
                http1: http(&http1.routes, http1.failure_accrual.as_ref()),
                http2: http(&http2.routes, http2.failure_accrual.as_ref()),
                opaque: opaque_routes(&opaque.routes),
            },
            _ => Protocol::Invalid("detection lacks a protocol"),
        },
        Kind::Opaque(opaque) => Protocol::Opaque(opaque_routes(&opaque.routes)),
        Kind::Http1(h) => Protocol::Http1(http(&h.routes, h.failure_accrual.as_ref())),
        Kind::Http2(h) => Protocol::Http2(http(&h.routes, h.failure_accrual.as_ref())),
        Kind::Grpc(grpc) => Protocol::Http2(Arc::new(HttpPolicy {
            routes: Routes::Grpc(grpc.routes.iter().map(grpc_route_from_wire).collect()),
            accrual: grpc.failure_accrual.as_ref().and_then(accrual),
        })),
        Kind::Tls(tls) => Protocol::Tls(Arc::new(Tls {
            routes: tls.routes.iter().map(tls_route_from_wire).collect(),
        })),
    }
}

fn http(routes: &[wire::HttpRoute], failure: Option<&wire::FailureAccrual>) -> Arc<HttpPolicy> {
    Arc::new(HttpPolicy {
        routes: Routes::Http(routes.iter().map(http_route_from_wire).collect()),
        accrual: failure.and_then(accrual),
    })
}

fn http_route_from_wire(route: &wire::HttpRoute) -> Route<HttpMatch> {
    Route {
        meta: Meta::from_optional(route.metadata.as_ref()),
        hosts: route.hosts.iter().filter_map(Host::from_wire).collect(),
        rules: route
            .rules
            .iter()
            .map(|rule| {
                #[expect(deprecated, reason = "older control planes send it")]
                let request_timeout = rule.request_timeout.as_ref();
                Rule {
                    matches: rule.matches.iter().map(HttpMatch::from_wire).collect(),
                    filters: rule.filters.iter().map(http_filter).collect(),
                    distribution: distribution!(
                        rule.backends.as_ref(),
                        wire_http,
                        |b: &wire_http::RouteBackend| http_backend(b)
                    ),
                    timeouts: timeouts(rule.timeouts.as_ref(), request_timeout),
                    retry: rule.retry.as_ref().map(http_retry),
                    allows_headers: rule.allow_l5d_request_headers,
                }
            })
            .collect(),
    }
}

fn grpc_route_from_wire(route: &wire::GrpcRoute) -> Route<GrpcMatch> {
    Route {
        meta: Meta::from_optional(route.metadata.as_ref()),
        hosts: route.hosts.iter().filter_map(Host::from_wire).collect(),
        rules: route
            .rules
            .iter()
            .map(|rule| {
                #[expect(deprecated, reason = "older control planes send it")]
                let request_timeout = rule.request_timeout.as_ref();
                Rule {
                    matches: rule.matches.iter().map(GrpcMatch::from_wire).collect(),
                    filters: rule.filters.iter().map(grpc_filter).collect(),
                    distribution: distribution!(
                        rule.backends.as_ref(),
                        grpc_route,
                        |b: &grpc_route::RouteBackend| grpc_backend(b)
                    ),
                    timeouts: timeouts(rule.timeouts.as_ref(), request_timeout),
                    retry: rule.retry.as_ref().map(grpc_retry),
                    allows_headers: rule.allow_l5d_request_headers,
                }
            })
            .collect(),
    }
}

fn http_backend(wire: &wire_http::RouteBackend) -> RouteBackend {
    #[expect(deprecated, reason = "older control planes send it")]
    let request_timeout = duration(wire.request_timeout.as_ref());
    RouteBackend {
        backend: Backend::from_wire(wire.backend.as_ref()),
        filters: wire.filters.iter().map(http_filter).collect(),
        request_timeout,
    }
}

fn grpc_backend(wire: &grpc_route::RouteBackend) -> RouteBackend {
    #[expect(deprecated, reason = "older control planes send it")]
    let request_timeout = duration(wire.request_timeout.as_ref());
    RouteBackend {
        backend: Backend::from_wire(wire.backend.as_ref()),
        filters: wire.filters.iter().map(grpc_filter).collect(),
        request_timeout,
    }
}

fn http_filter(wire: &wire_http::Filter) -> Filter {
    use wire_http::filter::Kind as K;
    match &wire.kind {
        Some(K::FailureInjector(failure)) => filter::failure_from_wire(failure),
        Some(K::RequestHeaderModifier(m)) => filter::request_headers_from_wire(m),
        Some(K::ResponseHeaderModifier(m)) => filter::response_headers_from_wire(m),
        Some(K::Redirect(redirect)) => filter::redirect_from_wire(redirect),
        None => Filter::Unknown,
    }
}

fn grpc_filter(wire: &grpc_route::Filter) -> Filter {
    use grpc_route::filter::Kind as K;
    match &wire.kind {
        Some(K::FailureInjector(failure)) => filter::grpc_failure_from_wire(failure),
        Some(K::RequestHeaderModifier(m)) => filter::request_headers_from_wire(m),
        None => Filter::Unknown,
    }
}

fn timeouts(
    wire: Option<&http_route::Timeouts>,
    old_request: Option<&prost_types::Duration>,
) -> Timeouts {
    let field = |get: fn(&http_route::Timeouts) -> Option<&prost_types::Duration>| {
        duration(wire.and_then(get))
    };
    Timeouts {
        request: field(|t| t.request.as_ref()).or_else(|| duration(old_request)),
        response: field(|t| t.response.as_ref()),
        idle: field(|t| t.idle.as_ref()),
    }
}

fn http_retry(wire: &wire_http::Retry) -> Retry {
    let ranges = wire
        .conditions
        .as_ref()
        .map_or(&[][..], |c| &c.status_ranges);
    let number = |status: u32| u16::try_from(status).unwrap_or(u16::MAX);
    Retry {
        max_retries: wire.max_retries,
        max_request_bytes: replay_limit(wire.max_request_bytes),
        conditions: Conditions {
            statuses: ranges
                .iter()
                .map(|r| (number(r.start), number(r.end)))
                .collect(),
            grpc: Vec::new(),
        },
        timeout: duration(wire.timeout.as_ref()),
        backoff: backoff(wire.backoff.as_ref()),
    }
}

fn grpc_retry(wire: &grpc_route::Retry) -> Retry {
    let conditions = wire.conditions.unwrap_or_default();
    let codes = [
        (conditions.cancelled, 1),
        (conditions.deadine_exceeded, 4),
        (conditions.resource_exhausted, 8),
        (conditions.internal, 13),
        (conditions.unavailable, 14),
    ];
    Retry {
        max_retries: wire.max_retries,
        max_request_bytes: replay_limit(wire.max_request_bytes),
        conditions: Conditions {
            statuses: Vec::new(),
            grpc: codes
                .into_iter()
                .filter(|(on, _)| *on)
                .map(|(_, code)| code)
                .collect(),
        },
        timeout: duration(wire.timeout.as_ref()),
        backoff: backoff(wire.backoff.as_ref()),
    }
}

fn replay_limit(wire: u32) -> usize {
    if wire == 0 {
        MAX_REPLAY
    } else {
        usize::try_from(wire).unwrap_or(MAX_REPLAY)
    }
}

fn opaque_routes(routes: &[wire::OpaqueRoute]) -> Arc<Opaque> {
    Arc::new(Opaque {
        routes: routes.iter().map(opaque_route_from_wire).collect(),
    })
}

/// Connections cannot be told apart, so that of several rules only the first can ever apply.
fn opaque_route_from_wire(route: &wire::OpaqueRoute) -> OpaqueRoute {
    let rule = route.rules.first();
    let filters = rule.map_or(&[][..], |rule| &rule.filters);
    OpaqueRoute {
        meta: Meta::from_optional(route.metadata.as_ref()),
        distribution: distribution!(
            rule.and_then(|rule| rule.backends.as_ref()),
            wire_opaque,
            |b: &wire_opaque::RouteBackend| Backend::from_wire(b.backend.as_ref())
                .refused(b.filters.iter().find_map(opaque_refusal))
        ),
        refusal: filters.iter().find_map(opaque_refusal),
    }
}

fn tls_route_from_wire(route: &wire::TlsRoute) -> TlsRoute {
    let rule = route.rules.first();
    let filters = rule.map_or(&[][..], |rule| &rule.filters);
    TlsRoute {
        snis: route.snis.iter().filter_map(sni).collect(),
        route: OpaqueRoute {
            meta: Meta::from_optional(route.metadata.as_ref()),
            distribution: distribution!(
                rule.and_then(|rule| rule.backends.as_ref()),
                wire_tls,
                |b: &wire_tls::RouteBackend| Backend::from_wire(b.backend.as_ref())
                    .refused(b.filters.iter().find_map(tls_refusal))
            ),
            refusal: filters.iter().find_map(tls_refusal),
        },
    }
}

fn sni(wire: &tls_route::SniMatch) -> Option<Host> {
    Some(match wire.r#match.as_ref()? {
        tls_route::sni_match::Match::Exact(name) => Host::Exact(name.to_ascii_lowercase()),
        tls_route::sni_match::Match::Suffix(suffix) => Host::suffix(&suffix.reverse_labels),
    })
}

fn opaque_refusal(filter: &wire_opaque::Filter) -> Option<Refusal> {
    Some(match &filter.kind {
        Some(wire_opaque::filter::Kind::Forbidden(opaque_route::Forbidden {})) => {
            Refusal::Forbidden
        }
        Some(wire_opaque::filter::Kind::Invalid(invalid)) => {
            Refusal::Invalid(invalid.message.clone())
        }
        None => Refusal::Invalid("a filter of an unknown kind".to_owned()),
    })
}

fn tls_refusal(filter: &wire_tls::Filter) -> Option<Refusal> {
    Some(match &filter.kind {
        Some(wire_tls::filter::Kind::Forbidden(opaque_route::Forbidden {})) => Refusal::Forbidden,
        Some(wire_tls::filter::Kind::Invalid(invalid)) => Refusal::Invalid(invalid.message.clone()),
        None => Refusal::Invalid("a filter of an unknown kind".to_owned()),
    })
}

impl Backend {
    fn from_wire(wire: Option<&wire::Backend>) -> Self {
        let queue = wire.and_then(|backend| backend.queue.as_ref());
        Self {
            meta: Meta::from_optional(wire.and_then(|backend| backend.metadata.as_ref())),
            kind: wire
                .and_then(|backend| backend.kind.as_ref())
                .and_then(backend_kind)
                .unwrap_or(BackendKind::Fail),
            queue: Queue {
                capacity: queue.map_or(10_000, |q| usize::try_from(q.capacity).unwrap_or(10_000)),
                failfast: queue
                    .and_then(|q| duration(q.failfast_timeout.as_ref()))
                    .unwrap_or(Duration::from_secs(3)),
            },
        }
    }

    fn refused(self, refusal: Option<Refusal>) -> Self {
        match refusal {
            Some(_) => Self {
                kind: BackendKind::Fail,
                ..self
            },
            None => self,
        }
    }
}

fn backend_kind(wire: &backend::Kind) -> Option<BackendKind> {
    match wire {
        backend::Kind::Forward(endpoint) => {
            let meta = EndpointMeta::from_wire(endpoint, &Default::default())?;
            Some(BackendKind::Forward(Arc::new(meta)))
        }
        backend::Kind::Balancer(balancer) => {
            let endpoint_discovery::Kind::Dst(dst) = balancer.discovery.as_ref()?.kind.as_ref()?;
            Some(BackendKind::Balance {
                path: dst.path.as_str().into(),
                load: balancer
                    .load
                    .as_ref()
                    .map_or_else(LoadParams::default, load),
            })
        }
    }
}

fn load(wire: &balance_p2c::Load) -> LoadParams {
    let default = LoadParams::default();
    match wire {
        balance_p2c::Load::PeakEwma(ewma) => LoadParams {
            default_rtt: duration(ewma.default_rtt.as_ref()).unwrap_or(default.default_rtt),
            decay: duration(ewma.decay.as_ref()).unwrap_or(default.decay),
            penalty: None,
        },
        balance_p2c::Load::PenaltyPeakEwma(ewma) => LoadParams {
            default_rtt: duration(ewma.default_rtt.as_ref()).unwrap_or(default.default_rtt),
            decay: duration(ewma.decay.as_ref()).unwrap_or(default.decay),
            penalty: Some(Penalty {
                penalty: duration(ewma.penalty.as_ref()).unwrap_or(Duration::from_secs(5)),
                max_retry_after: duration(ewma.max_retry_after.as_ref())
                    .unwrap_or(Duration::from_secs(300)),
                decay: duration(ewma.penalty_decay.as_ref()).unwrap_or(Duration::from_secs(10)),
            }),
        },
    }
}

fn accrual(wire: &wire::FailureAccrual) -> Option<Accrual> {
    let (max_failures, success_rate, wire_backoff) = match wire.kind.as_ref()? {
        failure_accrual::Kind::ConsecutiveFailures(consecutive) => {
            (consecutive.max_failures, None, consecutive.backoff.as_ref())
        }
        failure_accrual::Kind::Unified(unified) => {
            let rate = SuccessRate {
                threshold: unified.success_rate_threshold.clamp(0.0, 1.0),
                window: duration(unified.decay.as_ref()).unwrap_or(Duration::from_secs(10)),
                min_requests: unified.min_requests,
            };
            (
                unified.max_consecutive_failures,
                Some(rate),
                unified.backoff.as_ref(),
            )
        }
    };
    let default = BackoffConfig {
        min: Duration::from_secs(1),
        max: Duration::from_secs(60),
        jitter: 0.5,
    };
    let ejection = wire
        .ejection
        .as_ref()
        .map_or(0, |ejection| ejection.min_ready_endpoints);
    Some(Accrual {
        max_failures,
        success_rate,
        backoff: backoff(wire_backoff).unwrap_or(default),
        honors_retry_after: wire_backoff.is_some_and(|b| b.respect_retry_after_hint),
        min_ready: usize::try_from(ejection).unwrap_or(usize::MAX),
    })
}

fn backoff(wire: Option<&wire::ExponentialBackoff>) -> Option<BackoffConfig> {
    let wire = wire?;
    let min = duration(wire.min_backoff.as_ref())?;
    Some(BackoffConfig {
        min,
        max: duration(wire.max_backoff.as_ref()).unwrap_or(min).max(min),
        jitter: f64::from(wire.jitter_ratio).clamp(0.0, 1.0),
    })
}

/// `None` for a duration that is missing, negative or zero: zero means "not set" in these messages.
fn duration(wire: Option<&prost_types::Duration>) -> Option<Duration> {
    wire.and_then(|d| Duration::try_from(*d).ok())
        .filter(|d| !d.is_zero())
}
