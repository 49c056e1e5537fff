//! What the proxy counts, under the names and labels that dashboards of Linkerd know.

pub mod http;
pub mod labels;
mod process;
pub mod registry;
pub mod tcp;

use std::{fmt::Write as _, sync::Arc, time::Duration};

use tokio::time::Instant;

pub use self::labels::{LabelSet, Labels};
use self::{
    process::Process,
    registry::{AnyFamily, Counter, Family, Gauge, Histogram},
};

/// Upper bounds of `response_latency_ms`.
pub const LATENCY_BOUNDS_MS: &[f64] = &[
    1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0,
    1_000.0, 2_000.0, 3_000.0, 4_000.0, 5_000.0, 10_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0,
];

/// Upper bounds of `*_route_request_duration_seconds`.
const ROUTE_BOUNDS_S: &[f64] = &[0.05, 0.5, 1.0, 10.0];
/// Upper bounds of `*_route_backend_response_duration_seconds`.
const BACKEND_BOUNDS_S: &[f64] = &[0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0];

/// Declares the families and, from the same list, the order in which they are written.
macro_rules! families {
    ($($field:ident: $kind:ident = $make:expr, $name:literal, $help:literal;)*) => {
        /// All families of the proxy.
        pub struct Metrics {
            $(pub $field: Family<$kind>,)*
            process: Process,
        }

        impl Metrics {
            /// All families, without series.
            pub fn new() -> Arc<Self> {
                Arc::new(Self {
                    $($field: Family::new($name, $help, $make),)*
                    process: Process::start(),
                })
            }

            fn families(&self) -> impl Iterator<Item = &dyn AnyFamily> {
                [$(&self.$field as &dyn AnyFamily,)*].into_iter()
            }
        }
    };
}

families! {
    request_total: Counter = Counter::default, "request_total",
        "HTTP requests.";
    response_total: Counter = Counter::default, "response_total",
        "HTTP responses that ended.";
    response_latency_ms: Histogram = || Histogram::new(LATENCY_BOUNDS_MS), "response_latency_ms",
        "Milliseconds from a request to the first frame of its response's body.";
    tcp_open_total: Counter = Counter::default, "tcp_open_total",
        "Connections that were opened.";
    tcp_open_connections: Gauge = Gauge::default, "tcp_open_connections",
        "Connections that are open.";
    tcp_close_total: Counter = Counter::default, "tcp_close_total",
        "Connections that were closed, by error.";
    tcp_read_bytes_total: Counter = Counter::default, "tcp_read_bytes_total",
        "Bytes read from peers.";
    tcp_write_bytes_total: Counter = Counter::default, "tcp_write_bytes_total",
        "Bytes written to peers.";
    inbound_http_authz_allow_total: Counter = Counter::default, "inbound_http_authz_allow_total",
        "Inbound requests that policy allowed.";
    inbound_http_authz_deny_total: Counter = Counter::default, "inbound_http_authz_deny_total",
        "Inbound requests that policy refused.";
    inbound_http_route_not_found_total: Counter = Counter::default,
        "inbound_http_route_not_found_total",
        "Inbound requests that matched no route.";
    inbound_http_local_ratelimit_total: Counter = Counter::default,
        "inbound_http_local_ratelimit_total",
        "Inbound requests over a rate limit.";
    inbound_tcp_authz_allow_total: Counter = Counter::default, "inbound_tcp_authz_allow_total",
        "Inbound connections that policy allowed.";
    inbound_tcp_authz_deny_total: Counter = Counter::default, "inbound_tcp_authz_deny_total",
        "Inbound connections that policy refused.";
    inbound_tcp_authz_terminate_total: Counter = Counter::default,
        "inbound_tcp_authz_terminate_total",
        "Inbound connections that a change of policy ended.";
    inbound_http_errors_total: Counter = Counter::default, "inbound_http_errors_total",
        "Inbound requests that the proxy failed.";
    inbound_tcp_errors_total: Counter = Counter::default, "inbound_tcp_errors_total",
        "Inbound connections that the proxy failed.";
    outbound_http_errors_total: Counter = Counter::default, "outbound_http_errors_total",
        "Outbound requests that the proxy failed.";
    outbound_tcp_errors_total: Counter = Counter::default, "outbound_tcp_errors_total",
        "Outbound connections that the proxy failed.";
    outbound_http_balancer_endpoints: Gauge = Gauge::default, "outbound_http_balancer_endpoints",
        "Endpoints of HTTP balancers.";
    outbound_http_route_request_duration_seconds: Histogram = || Histogram::new(ROUTE_BOUNDS_S),
        "outbound_http_route_request_duration_seconds",
        "Seconds from a request to the end of its response, by route.";
    outbound_http_route_request_statuses_total: Counter = Counter::default,
        "outbound_http_route_request_statuses_total", "Responses by route and status.";
    outbound_http_route_retry_requests_total: Counter = Counter::default,
        "outbound_http_route_retry_requests_total", "Tries after the first.";
    outbound_http_route_retry_successes_total: Counter = Counter::default,
        "outbound_http_route_retry_successes_total", "Requests that another try made succeed.";
    outbound_http_route_retry_limit_exceeded_total: Counter = Counter::default,
        "outbound_http_route_retry_limit_exceeded_total", "Requests that failed at every try.";
    outbound_http_route_retry_overflow_total: Counter = Counter::default,
        "outbound_http_route_retry_overflow_total",
        "Requests that could not be tried again: too long, or over budget.";
    outbound_http_route_backend_requests_total: Counter = Counter::default,
        "outbound_http_route_backend_requests_total", "Tries by backend.";
    outbound_http_route_backend_response_duration_seconds: Histogram =
        || Histogram::new(BACKEND_BOUNDS_S),
        "outbound_http_route_backend_response_duration_seconds",
        "Seconds from a try to the end of its response.";
    outbound_http_route_backend_response_statuses_total: Counter = Counter::default,
        "outbound_http_route_backend_response_statuses_total", "Responses by backend and status.";
    outbound_grpc_route_request_duration_seconds: Histogram = || Histogram::new(ROUTE_BOUNDS_S),
        "outbound_grpc_route_request_duration_seconds",
        "Seconds from a request to the end of its response, by route.";
    outbound_grpc_route_request_statuses_total: Counter = Counter::default,
        "outbound_grpc_route_request_statuses_total", "Responses by route and status.";
    outbound_grpc_route_retry_requests_total: Counter = Counter::default,
        "outbound_grpc_route_retry_requests_total", "Tries after the first.";
    outbound_grpc_route_retry_successes_total: Counter = Counter::default,
        "outbound_grpc_route_retry_successes_total", "Requests that another try made succeed.";
    outbound_grpc_route_retry_limit_exceeded_total: Counter = Counter::default,
        "outbound_grpc_route_retry_limit_exceeded_total", "Requests that failed at every try.";
    outbound_grpc_route_retry_overflow_total: Counter = Counter::default,
        "outbound_grpc_route_retry_overflow_total",
        "Requests that could not be tried again: too long, or over budget.";
    outbound_grpc_route_backend_requests_total: Counter = Counter::default,
        "outbound_grpc_route_backend_requests_total", "Tries by backend.";
    outbound_grpc_route_backend_response_duration_seconds: Histogram =
        || Histogram::new(BACKEND_BOUNDS_S),
        "outbound_grpc_route_backend_response_duration_seconds",
        "Seconds from a try to the end of its response.";
    outbound_grpc_route_backend_response_statuses_total: Counter = Counter::default,
        "outbound_grpc_route_backend_response_statuses_total", "Responses by backend and status.";
    control_request_total: Counter = Counter::default, "control_request_total",
        "Requests to the control plane.";
    control_response_total: Counter = Counter::default, "control_response_total",
        "Responses of the control plane that ended.";
    identity_cert_expiration_timestamp_seconds: Gauge = Gauge::default,
        "identity_cert_expiration_timestamp_seconds",
        "When the certificate stops being valid.";
    identity_cert_refresh_count: Counter = Counter::default, "identity_cert_refresh_count",
        "Certificates that were received.";
    control_identity_cert_expiration_timestamp_seconds: Gauge = Gauge::default,
        "control_identity_cert_expiration_timestamp_seconds",
        "When the certificate stops being valid.";
    control_identity_cert_refresh_timestamp_seconds: Gauge = Gauge::default,
        "control_identity_cert_refresh_timestamp_seconds",
        "When the certificate was last received.";
    control_identity_cert_refreshes_total: Counter = Counter::default,
        "control_identity_cert_refreshes_total",
        "Tries to renew the certificate, by result.";
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// The whole exposition text.
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        for family in self.families() {
            family.encode(&mut out);
        }
        self.process.encode(&mut out);
        let _ = writeln!(out, "# HELP proxy_build_info What was built.");
        let _ = writeln!(out, "# TYPE proxy_build_info gauge");
        let _ = writeln!(
            out,
            "proxy_build_info{{version=\"{}\",vendor=\"mesh\",profile=\"{}\"}} 1",
            crate::VERSION,
            if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        );
        out
    }

    /// Forgets series that are held by nobody and were not used for `retain`.
    pub fn sweep(&self, retain: Duration) {
        let now = Instant::now();
        for family in self.families() {
            family.sweep(now, retain);
        }
    }
}
