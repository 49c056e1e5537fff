//! What is recorded of a response: latency, outcome, and the load that it was on its endpoint.

use std::{fmt, rc::Rc, time::Duration};

use http::{HeaderMap, Response, StatusCode, response};
use tokio::time::Instant;

use super::{body::BodyError, multiplex::StreamGuard, pool::Lease};
use crate::metrics::http::{HttpSeries, Outcome, grpc_status};

/// Told of each event of one response, ends exactly once.
pub struct Observer {
    series: Rc<HttpSeries>,
    started: Instant,
    status: StatusCode,
    grpc: Option<u8>,
    has_data: bool,
    ended: bool,
    load: Option<Load>,
    retry_after: Option<Duration>,
    connection: Held,
    backend: Option<Rc<dyn EndSink>>,
    route: Option<(Rc<dyn EndSink>, Instant)>,
}

/// How an exchange ended: an HTTP or gRPC status, or the error that stands in for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Http(u16),
    Grpc(u8),
    Error(&'static str),
}

/// Who else wants to know how an exchange ended: routes and backends.
pub trait EndSink {
    /// It ended after `duration`.
    fn ended(&self, ending: Ending, duration: Duration);
}

/// What the response holds of the connection that it comes from, until its end.
#[derive(Debug)]
pub enum Held {
    Nothing,
    /// An HTTP/1 connection, which can serve another request afterwards.
    Lease(Lease),
    /// A stream of an HTTP/2 connection.
    Stream(StreamGuard),
}

/// Who wants to know how requests fare.
pub trait LoadSink {
    /// A request is on its way.
    fn begin(&self);
    /// Its response has begun after `rtt`; without one it is given up.
    fn first(&self, rtt: Option<Duration>);
    /// Its response has ended, or it failed.
    fn end(&self, verdict: Verdict);
}

/// What an answer tells about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub success: bool,
    /// It asked for less: 429, or RESOURCE_EXHAUSTED.
    pub throttled: bool,
    /// How long it asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// One request's weight on its endpoint, from the choice of the endpoint to the end of the
/// response.
pub struct Load {
    sink: Rc<dyn LoadSink>,
    started: Instant,
    has_begun: bool,
}

// === impl Load ===

impl Load {
    /// Begins now.
    pub fn begin(sink: Rc<dyn LoadSink>) -> Self {
        sink.begin();
        Self {
            sink,
            started: Instant::now(),
            has_begun: false,
        }
    }

    /// The request is sent only now: connecting does not count as latency.
    pub fn sent(&mut self) {
        self.started = Instant::now();
    }

    fn first(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.sink.first(Some(self.started.elapsed()));
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if !self.has_begun {
            self.sink.first(None);
        }
    }
}

/// How long a server asks to be left alone: `retry-after` in seconds, or gRPC's pushback in
/// milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    number("grpc-retry-pushback-ms")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
}

// === impl Ending ===

impl Ending {
    /// Of a response that has no body.
    pub fn of_head<B>(response: &Response<B>) -> Self {
        match grpc_status(response.headers()) {
            Some(code) => Self::Grpc(code),
            None => Self::Http(response.status().as_u16()),
        }
    }
}

// === impl Observer ===

impl Observer {
    /// Of a response whose head has come, to a request that began at `started`.
    pub fn new(series: Rc<HttpSeries>, started: Instant, head: &response::Parts) -> Self {
        Self {
            series,
            started,
            status: head.status,
            grpc: grpc_status(&head.headers),
            has_data: false,
            ended: false,
            load: None,
            retry_after: None,
            connection: Held::Nothing,
            backend: None,
            route: None,
        }
    }

    /// Tells the backend, too.
    #[must_use]
    pub fn with_backend(mut self, backend: Option<Rc<dyn EndSink>>) -> Self {
        self.backend = backend;
        self
    }

    /// Tells the route, too, which began at `started`.
    pub fn tell_route(&mut self, route: Rc<dyn EndSink>, started: Instant) {
        self.route = Some((route, started));
    }

    /// Tells how the request fares.
    #[must_use]
    pub fn with_load(mut self, load: Option<Load>, head: &response::Parts) -> Self {
        self.load = load;
        if self.load.is_some() && !(head.status.is_success() && self.grpc.is_none()) {
            self.retry_after = retry_after(&head.headers);
        }
        self
    }

    /// Lets go of the connection at the end.
    #[must_use]
    pub fn with_connection(mut self, connection: Held) -> Self {
        self.connection = connection;
        self
    }

    /// Bytes of the body came.
    pub fn data(&mut self, _len: usize) {
        if !self.has_data {
            self.first();
        }
    }

    /// The body ended, with trailers or without.
    pub fn end(&mut self, trailers: Option<&HeaderMap>) {
        if let Some(code) = trailers.and_then(grpc_status) {
            self.grpc = Some(code);
        }
        self.finish(false, true);
    }

    /// The body broke off.
    pub fn failed(&mut self, _error: &BodyError) {
        self.finish(true, false);
    }

    fn first(&mut self) {
        self.has_data = true;
        self.series.latency(self.status, self.started.elapsed());
        if let Some(load) = &mut self.load {
            load.first();
        }
    }

    fn finish(&mut self, failed: bool, reusable: bool) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if !self.has_data {
            self.first();
        }
        let outcome = Outcome::classify(self.status, self.grpc, failed);
        self.series.response(outcome);
        let ending = match (failed, self.grpc) {
            (true, _) => Ending::Error("RESET"),
            (false, Some(code)) => Ending::Grpc(code),
            (false, None) => Ending::Http(self.status.as_u16()),
        };
        if let Some(backend) = self.backend.take() {
            backend.ended(ending, self.started.elapsed());
        }
        if let Some((route, started)) = self.route.take() {
            route.ended(ending, started.elapsed());
        }
        if let Some(load) = self.load.take() {
            load.sink.end(Verdict {
                success: outcome.success,
                throttled: self.status == StatusCode::TOO_MANY_REQUESTS || self.grpc == Some(8),
                retry_after: self.retry_after,
            });
        }
        if let Held::Lease(lease) = std::mem::replace(&mut self.connection, Held::Nothing)
            && reusable
        {
            lease.give_back();
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // The receiver lost interest (or, for HEAD, had none): no failure of the server.
        self.finish(false, false);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
