//! What is recorded of a response: latency, outcome, and the load that it was on its endpoint.

use std::{fmt, rc::Rc, time::Duration};

use http::{HeaderMap, StatusCode, response};
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
    connection: Held,
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

/// Who wants to know how long requests take.
pub trait LoadSink {
    /// A request is on its way.
    fn begin(&self);
    /// Its response has begun after `rtt`, or it never will.
    fn complete(&self, rtt: Duration, status: Option<StatusCode>);
}

/// One request's weight on its endpoint, from the choice of the endpoint to the first byte of the
/// response.
pub struct Load {
    sink: Rc<dyn LoadSink>,
    started: Instant,
    done: bool,
}

// === impl Load ===

impl Load {
    /// Begins now.
    pub fn begin(sink: Rc<dyn LoadSink>) -> Self {
        sink.begin();
        Self {
            sink,
            started: Instant::now(),
            done: false,
        }
    }

    /// When it began.
    pub fn started(&self) -> Instant {
        self.started
    }

    fn complete(mut self, status: StatusCode) {
        self.done = true;
        self.sink.complete(self.started.elapsed(), Some(status));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if !self.done {
            self.sink.complete(self.started.elapsed(), None);
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
            connection: Held::Nothing,
        }
    }

    /// Ends the request's load with the first frame.
    #[must_use]
    pub fn with_load(mut self, load: Option<Load>) -> Self {
        self.load = load;
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
        if let Some(load) = self.load.take() {
            load.complete(self.status);
        }
    }

    fn finish(&mut self, failed: bool, reusable: bool) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if !self.has_data {
            self.first();
        }
        self.series
            .response(Outcome::classify(self.status, self.grpc, failed));
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
