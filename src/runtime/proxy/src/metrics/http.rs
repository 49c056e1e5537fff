//! Golden metrics of HTTP: requests, responses by outcome, latency.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use smallvec::SmallVec;

use super::{
    LabelSet, Labels, Metrics,
    registry::{Counter, Histogram},
};

/// The series of one kind of traffic (an endpoint, or a client at a port), held by its connections
/// so that a request formats no label.
#[derive(Debug)]
pub struct HttpSeries {
    metrics: Arc<Metrics>,
    base: LabelSet,
    requests: Arc<Counter>,
    outcomes: Known<Outcome, Counter>,
    latencies: Known<StatusCode, Histogram>,
}

/// Series that were used before; a server gives few different answers.
type Known<K, M> = RefCell<SmallVec<[(K, Arc<M>); 2]>>;

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub status: StatusCode,
    /// The gRPC status code, 0 to 16, when there was one.
    pub grpc: Option<u8>,
    pub success: bool,
}

impl Outcome {
    /// Classifies by status and, for gRPC, by the code in the headers or trailers.
    ///
    /// A server error is a failure, and so are some gRPC codes and a stream that `failed`.
    pub fn classify(status: StatusCode, grpc: Option<u8>, failed: bool) -> Self {
        let success = !failed && !status.is_server_error() && grpc.is_none_or(is_grpc_success);
        Self {
            status,
            grpc,
            success,
        }
    }
}

/// What a gRPC status says of the server: as HTTP's 4xx, what the client did wrong is no failure
/// of the server. Unknown, deadline exceeded, permission denied, internal, unavailable and data
/// loss are.
fn is_grpc_success(code: u8) -> bool {
    !matches!(code, 2 | 4 | 7 | 13 | 14 | 15)
}

/// The `grpc-status` of headers or trailers. Codes that do not exist count as 2 (unknown).
pub fn grpc_status(headers: &HeaderMap) -> Option<u8> {
    let text = headers.get("grpc-status")?.to_str().ok()?;
    Some(text.parse().ok().filter(|code| *code <= 16).unwrap_or(2))
}

// === impl HttpSeries ===

impl HttpSeries {
    /// The series with these labels (which name the direction, the target, the peer).
    pub fn new(metrics: &Arc<Metrics>, base: LabelSet) -> Rc<Self> {
        Rc::new(Self {
            requests: metrics.request_total.get(&base),
            metrics: metrics.clone(),
            base,
            outcomes: RefCell::default(),
            latencies: RefCell::default(),
        })
    }

    /// Counts a request.
    pub fn request(&self) {
        self.requests.incr();
    }

    /// Counts a response that ended.
    pub fn response(&self, outcome: Outcome) {
        let mut outcomes = self.outcomes.borrow_mut();
        if let Some((_, counter)) = outcomes.iter().find(|(known, _)| *known == outcome) {
            counter.incr();
            return;
        }
        let class = if outcome.success {
            "success"
        } else {
            "failure"
        };
        let labels = Labels::from_set(&self.base)
            .with("status_code", outcome.status.as_u16())
            .with("classification", class)
            .maybe("grpc_status", outcome.grpc)
            .finish();
        let counter = self.metrics.response_total.get(&labels);
        counter.incr();
        outcomes.push((outcome, counter));
    }

    /// Records the time to the first frame of the response's body.
    pub fn latency(&self, status: StatusCode, latency: Duration) {
        let ms = latency.as_secs_f64() * 1e3;
        let mut latencies = self.latencies.borrow_mut();
        if let Some((_, histogram)) = latencies.iter().find(|(known, _)| *known == status) {
            histogram.observe(ms);
            return;
        }
        let labels = Labels::from_set(&self.base)
            .with("status_code", status.as_u16())
            .finish();
        let histogram = self.metrics.response_latency_ms.get(&labels);
        histogram.observe(ms);
        latencies.push((status, histogram));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_errors_and_some_grpc_codes_are_failures() {
        let class = |status, grpc| {
            Outcome::classify(StatusCode::from_u16(status).unwrap(), grpc, false).success
        };
        assert!(class(200, None) && class(404, None) && class(200, Some(0)) && class(200, Some(5)));
        assert!(!class(500, None) && !class(200, Some(13)) && !class(200, Some(2)));
        assert!(!Outcome::classify(StatusCode::OK, None, true).success);
    }

    #[test]
    fn outcomes_have_series_of_their_own() {
        let metrics = Metrics::new();
        let series = HttpSeries::new(&metrics, "direction=\"inbound\"".into());
        series.request();
        series.response(Outcome::classify(StatusCode::OK, None, false));
        series.response(Outcome::classify(StatusCode::OK, Some(14), false));
        series.latency(StatusCode::OK, Duration::from_millis(7));
        let text = metrics.encode();
        for line in [
            "request_total{direction=\"inbound\"} 1",
            "response_total{direction=\"inbound\",status_code=\"200\",classification=\"success\"} 1",
            "response_total{direction=\"inbound\",status_code=\"200\",classification=\"failure\",grpc_status=\"14\"} 1",
            "response_latency_ms_bucket{direction=\"inbound\",status_code=\"200\",le=\"5\"} 0",
            "response_latency_ms_bucket{direction=\"inbound\",status_code=\"200\",le=\"10\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
