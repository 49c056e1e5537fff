//! Outbound policy: routes, backends, and how they are used. Immutable; a change is a new one.

mod convert;

use std::{sync::Arc, time::Duration};

use crate::{
    balance::breaker::Accrual,
    config::BackoffConfig,
    control::EndpointMeta,
    http::filter::Filter,
    meta::Meta,
    route::{GrpcMatch, Host, HttpMatch, Match, RouteView},
};

/// The policy towards one target.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboundPolicy {
    pub parent: Meta,
    pub protocol: Protocol,
}

/// How connections to the target are treated.
#[derive(Clone, Debug, PartialEq)]
pub enum Protocol {
    Detect {
        timeout: Duration,
        http1: Arc<HttpPolicy>,
        http2: Arc<HttpPolicy>,
        opaque: Arc<Opaque>,
    },
    Http1(Arc<HttpPolicy>),
    Http2(Arc<HttpPolicy>),
    Opaque(Arc<Opaque>),
    Tls(Arc<Tls>),
    /// Nothing that we understand.
    Invalid(&'static str),
}

/// Routes of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpPolicy {
    pub routes: Routes,
    pub accrual: Option<Accrual>,
}

/// HTTP or gRPC, never both.
#[derive(Clone, Debug, PartialEq)]
pub enum Routes {
    Http(Vec<Route<HttpMatch>>),
    Grpc(Vec<Route<GrpcMatch>>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Route<M> {
    pub meta: Meta,
    pub hosts: Vec<Host>,
    pub rules: Vec<Rule<M>>,
}

/// Requests that match any of the alternatives are treated alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule<M> {
    pub matches: Vec<M>,
    pub filters: Vec<Filter>,
    pub distribution: Distribution<RouteBackend>,
    pub timeouts: Timeouts,
    pub retry: Option<Retry>,
    /// Requests may set their own timeouts and retries by `l5d-*` headers.
    pub allows_headers: bool,
}

/// How a rule's traffic is spread over its backends.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution<B> {
    /// Everything fails.
    Empty,
    /// The first that is available.
    First(Vec<B>),
    /// One at random, by weight, among those that are available.
    Random(Vec<(B, u32)>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct RouteBackend {
    pub backend: Backend,
    pub filters: Vec<Filter>,
    /// Old form of the request timeout.
    pub request_timeout: Option<Duration>,
}

/// Where requests go in the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    pub meta: Meta,
    pub kind: BackendKind,
    pub queue: Queue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum BackendKind {
    Forward(Arc<EndpointMeta>),
    Balance {
        path: Arc<str>,
        load: LoadParams,
    },
    /// Nothing that we understand: everything fails.
    Fail,
}

/// How the load of endpoints is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoadParams {
    pub default_rtt: Duration,
    pub decay: Duration,
    /// Failures weigh as a latency.
    pub penalty: Option<Penalty>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Penalty {
    pub penalty: Duration,
    pub max_retry_after: Duration,
    pub decay: Duration,
}

/// Requests that wait for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    pub capacity: usize,
    pub failfast: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Of the whole stream.
    pub request: Option<Duration>,
    /// From the end of the request to the end of the response.
    pub response: Option<Duration>,
    /// Without a frame in either direction.
    pub idle: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    pub max_retries: u32,
    /// Requests with a longer body are not repeated.
    pub max_request_bytes: usize,
    pub conditions: Conditions,
    /// Until the head of the response, of one try.
    pub timeout: Option<Duration>,
    pub backoff: Option<BackoffConfig>,
}

/// Which responses are worth another try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Both ends included.
    pub statuses: Vec<(u16, u16)>,
    pub grpc: Vec<u8>,
}

/// Routes of connections that are not looked into.
#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    pub routes: Vec<OpaqueRoute>,
}

/// Routes of TLS connections, by server name.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    pub routes: Vec<TlsRoute>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TlsRoute {
    pub snis: Vec<Host>,
    pub route: OpaqueRoute,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OpaqueRoute {
    pub meta: Meta,
    pub distribution: Distribution<Backend>,
    pub refusal: Option<Refusal>,
}

/// Why connections of a route are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Forbidden,
    Invalid(String),
}

// === impl LoadParams ===

impl Default for LoadParams {
    fn default() -> Self {
        Self {
            default_rtt: Duration::from_millis(30),
            decay: Duration::from_secs(10),
            penalty: None,
        }
    }
}

impl<M: Match> RouteView for Route<M> {
    type Match = M;

    fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    fn rules(&self) -> usize {
        self.rules.len()
    }

    fn matches(&self, rule: usize) -> &[M] {
        self.rules.get(rule).map_or(&[], |rule| &rule.matches)
    }
}

// === impl Conditions ===

impl Conditions {
    /// Whether a response with this status is worth another try.
    pub fn matches_status(&self, status: u16) -> bool {
        self.statuses
            .iter()
            .any(|(start, end)| (*start..=*end).contains(&status))
    }
}
