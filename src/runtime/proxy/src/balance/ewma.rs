//! Latency as peak EWMA: jumps up with a slow response, comes down with time.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

/// Load of one endpoint: its latency times the requests that wait for it.
#[derive(Debug)]
pub struct PeakEwma {
    decay: Duration,
    rtt_ns: Cell<f64>,
    updated_at: Cell<Instant>,
    pending: Cell<u32>,
    /// A latency that stands for failures, since when it counts, and how fast it fades.
    penalty: Cell<Option<(f64, Instant, Duration)>>,
}

// === impl PeakEwma ===

impl PeakEwma {
    /// Assumes `default_rtt` until it knows better; forgets half-way within about `decay`.
    pub fn new(default_rtt: Duration, decay: Duration) -> Self {
        Self {
            decay,
            rtt_ns: Cell::new(default_rtt.as_secs_f64() * 1e9),
            updated_at: Cell::new(Instant::now()),
            pending: Cell::new(0),
            penalty: Cell::new(None),
        }
    }

    /// Counts a failure as if it had been this slow, for as long as `decay` leaves of it.
    pub fn penalize(&self, penalty: Duration, decay: Duration) {
        self.penalty
            .set(Some((penalty.as_secs_f64() * 1e9, Instant::now(), decay)));
    }

    /// A request is on its way.
    pub fn begin(&self) {
        self.pending.set(self.pending.get() + 1);
    }

    /// A response began after `rtt`; without one only the request is over.
    pub fn complete(&self, rtt: Option<Duration>) {
        self.pending.set(self.pending.get().saturating_sub(1));
        if let Some(rtt) = rtt {
            self.record(rtt);
        }
    }

    /// How busy the endpoint is; greater is worse. An old peak counts for less and less, so that an
    /// endpoint that was slow once is tried again.
    pub fn load(&self) -> f64 {
        let elapsed = self.updated_at.get().elapsed();
        let keep = (-elapsed.as_secs_f64() / self.decay.as_secs_f64()).exp();
        let penalty = self.penalty.get().map_or(0.0, |(penalty, since, decay)| {
            penalty * (-since.elapsed().as_secs_f64() / decay.as_secs_f64()).exp()
        });
        (self.rtt_ns.get() * keep).max(penalty) * f64::from(self.pending.get() + 1)
    }

    /// Requests that wait for a response.
    pub fn pending(&self) -> u32 {
        self.pending.get()
    }

    /// A worse latency counts at once; a better one by the weight of the time since the last.
    fn record(&self, rtt: Duration) {
        let now = Instant::now();
        let rtt_ns = rtt.as_secs_f64() * 1e9;
        let known = self.rtt_ns.get();
        let elapsed = now.saturating_duration_since(self.updated_at.replace(now));
        self.rtt_ns.set(if rtt_ns > known {
            rtt_ns
        } else {
            let keep = (-elapsed.as_secs_f64() / self.decay.as_secs_f64()).exp();
            known.mul_add(keep, rtt_ns * (1.0 - keep))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_peak_counts_at_once_and_fades_with_time() {
        let ewma = PeakEwma::new(30 * MS, Duration::from_secs(10));
        assert!((ewma.load() - 30e6).abs() < 1.0);
        ewma.begin();
        ewma.complete(Some(500 * MS));
        assert!((ewma.load() - 500e6).abs() < 1.0);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!((ewma.load() - 500e6 / std::f64::consts::E).abs() < 1e4);
        ewma.begin();
        ewma.complete(Some(10 * MS));
        let expected = 500e6 / std::f64::consts::E + 10e6 * (1.0 - 1.0 / std::f64::consts::E);
        assert!((ewma.load() - expected).abs() < 1e4, "{}", ewma.load());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_weighs_as_its_penalty_and_fades() {
        let ewma = PeakEwma::new(30 * MS, Duration::from_secs(10));
        ewma.penalize(Duration::from_secs(5), Duration::from_secs(10));
        assert!((ewma.load() - 5e9).abs() < 1.0);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(ewma.load() < 1e6);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_requests_weigh() {
        let ewma = PeakEwma::new(10 * MS, Duration::from_secs(10));
        ewma.begin();
        ewma.begin();
        assert!((ewma.load() - 30e6).abs() < 1.0);
        ewma.complete(None);
        assert_eq!(ewma.pending(), 1);
        assert!((ewma.load() - 20e6).abs() < 1.0);
    }
}
