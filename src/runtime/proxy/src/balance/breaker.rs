//! Circuit breaking of one endpoint: after failures it is left alone for a while, then one request
//! may try it.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{backoff::Backoff, config::BackoffConfig, rng::Rng};

/// When an endpoint counts as failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accrual {
    /// Failures in a row.
    pub max_failures: u32,
    pub success_rate: Option<SuccessRate>,
    /// How long the endpoint is left alone, growing with each failed probe.
    pub backoff: BackoffConfig,
    /// A server's Retry-After counts as the least time to leave it alone.
    pub honors_retry_after: bool,
    /// So many endpoints stay in use however they fail.
    pub min_ready: usize,
}

/// A share of successes below which an endpoint counts as failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuccessRate {
    /// 0 to 1.
    pub threshold: f64,
    pub window: Duration,
    /// With fewer requests in the window there is no verdict.
    pub min_requests: u32,
}

/// The state of one endpoint. Pure but for the clock.
#[derive(Debug)]
pub struct Breaker {
    accrual: Accrual,
    backoff: Backoff,
    state: State,
    failures: u32,
    window: Window,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Requests flow.
    Closed,
    /// None until then.
    Open { until: Instant },
    /// One is on its way to tell. It may be lost: then another may go after the same time again.
    Probing { until: Instant },
}

/// Outcomes of the last while, in slices.
#[derive(Debug)]
struct Window {
    slice: Duration,
    slices: VecDeque<Slice>,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    started: Instant,
    successes: u32,
    failures: u32,
}

const SLICES: u32 = 10;

// === impl Breaker ===

impl Breaker {
    /// Closed: requests flow.
    pub fn new(accrual: Accrual) -> Self {
        let window = accrual
            .success_rate
            .map_or(Duration::from_secs(10), |rate| rate.window);
        Self {
            backoff: Backoff::new(accrual.backoff),
            accrual,
            state: State::Closed,
            failures: 0,
            window: Window {
                slice: window / SLICES,
                slices: VecDeque::new(),
            },
        }
    }

    /// Whether an answer that asks for less (429) counts as a failure: it does where success rates
    /// are kept.
    pub fn counts_throttling(&self) -> bool {
        self.accrual.success_rate.is_some()
    }

    /// Whether a request may be sent now.
    pub fn is_available(&self) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } | State::Probing { until } => until <= Instant::now(),
        }
    }

    /// A request is about to be sent. To an endpoint that was left alone it is a probe, and the
    /// only one for as long as its answer may take.
    pub fn begin(&mut self) {
        if let State::Open { until } | State::Probing { until } = self.state {
            let now = Instant::now();
            if until <= now {
                self.state = State::Probing {
                    until: now + self.accrual.backoff.max,
                };
            }
        }
    }

    /// A request ended. `retry_after` is how long the server asked to be left alone.
    pub fn record(&mut self, success: bool, retry_after: Option<Duration>, rng: &Rng) {
        match (self.state, success) {
            (State::Closed, _) => {
                self.failures = if success {
                    0
                } else {
                    self.failures.saturating_add(1)
                };
                let keeps_rate = self.accrual.success_rate.is_some();
                if keeps_rate {
                    self.window.record(success);
                }
                if self.has_failed() {
                    self.open(retry_after, rng);
                }
            }
            (State::Probing { .. }, true) => {
                self.state = State::Closed;
                self.failures = 0;
                self.backoff.reset();
                self.window.slices.clear();
            }
            (State::Probing { .. }, false) => self.open(retry_after, rng),
            // A request that was sent before the endpoint was given up tells nothing new.
            (State::Open { .. }, _) => {}
        }
    }

    fn has_failed(&self) -> bool {
        if self.accrual.max_failures > 0 && self.failures >= self.accrual.max_failures {
            return true;
        }
        self.accrual.success_rate.is_some_and(|rate| {
            let (successes, failures) = self.window.totals();
            let requests = successes + failures;
            requests >= rate.min_requests.max(1)
                && f64::from(successes) / f64::from(requests) < rate.threshold
        })
    }

    fn open(&mut self, retry_after: Option<Duration>, rng: &Rng) {
        let wait = self.backoff.next(rng);
        let asked = retry_after
            .filter(|_| self.accrual.honors_retry_after)
            .unwrap_or_default();
        let wait = wait.max(asked.min(self.accrual.backoff.max));
        self.state = State::Open {
            until: Instant::now() + wait,
        };
    }
}

// === impl Window ===

impl Window {
    fn record(&mut self, success: bool) {
        let now = Instant::now();
        let oldest = self.slice * SLICES;
        while self
            .slices
            .front()
            .is_some_and(|slice| now - slice.started >= oldest)
        {
            self.slices.pop_front();
        }
        if self
            .slices
            .back()
            .is_none_or(|slice| now - slice.started >= self.slice)
        {
            self.slices.push_back(Slice {
                started: now,
                successes: 0,
                failures: 0,
            });
        }
        if let Some(slice) = self.slices.back_mut() {
            if success {
                slice.successes += 1;
            } else {
                slice.failures += 1;
            }
        }
    }

    fn totals(&self) -> (u32, u32) {
        self.slices.iter().fold((0, 0), |(s, f), slice| {
            (s + slice.successes, f + slice.failures)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn accrual() -> Accrual {
        Accrual {
            max_failures: 3,
            success_rate: None,
            backoff: BackoffConfig {
                min: SECOND,
                max: 60 * SECOND,
                jitter: 0.0,
            },
            honors_retry_after: true,
            min_ready: 0,
        }
    }

    fn fail(breaker: &mut Breaker, times: usize) {
        for _ in 0..times {
            breaker.begin();
            breaker.record(false, None, &Rng::from_seed(1));
        }
    }

    fn succeed(breaker: &mut Breaker) {
        breaker.begin();
        breaker.record(true, None, &Rng::from_seed(1));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_a_probe_closes_it() {
        let mut breaker = Breaker::new(accrual());
        fail(&mut breaker, 2);
        succeed(&mut breaker);
        fail(&mut breaker, 2);
        assert!(breaker.is_available(), "never three in a row");
        fail(&mut breaker, 1);
        assert!(!breaker.is_available());
        tokio::time::advance(SECOND).await;
        assert!(breaker.is_available());
        breaker.begin();
        assert!(!breaker.is_available(), "one probe at a time");
        breaker.record(true, None, &Rng::from_seed(1));
        assert!(breaker.is_available());
    }

    #[tokio::test(start_paused = true)]
    async fn each_failed_probe_doubles_the_pause() {
        let mut breaker = Breaker::new(accrual());
        fail(&mut breaker, 3);
        for pause in [1, 2, 4] {
            tokio::time::advance(pause * SECOND - Duration::from_millis(1)).await;
            assert!(!breaker.is_available());
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(breaker.is_available());
            fail(&mut breaker, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_probe_does_not_keep_it_shut_for_ever() {
        let mut breaker = Breaker::new(accrual());
        fail(&mut breaker, 3);
        tokio::time::advance(SECOND).await;
        breaker.begin();
        tokio::time::advance(60 * SECOND).await;
        assert!(breaker.is_available());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_ask_for_a_longer_pause() {
        let mut breaker = Breaker::new(accrual());
        for _ in 0..3 {
            breaker.begin();
            breaker.record(false, Some(10 * SECOND), &Rng::from_seed(1));
        }
        tokio::time::advance(9 * SECOND).await;
        assert!(!breaker.is_available());
        tokio::time::advance(SECOND).await;
        assert!(breaker.is_available());
    }

    #[tokio::test(start_paused = true)]
    async fn a_low_success_rate_opens_it() {
        let rate = SuccessRate {
            threshold: 0.8,
            window: 10 * SECOND,
            min_requests: 5,
        };
        let mut breaker = Breaker::new(Accrual {
            max_failures: 7,
            success_rate: Some(rate),
            ..accrual()
        });
        succeed(&mut breaker);
        fail(&mut breaker, 1);
        succeed(&mut breaker);
        fail(&mut breaker, 1);
        assert!(
            breaker.is_available(),
            "four requests are too few for a verdict"
        );
        succeed(&mut breaker);
        assert!(!breaker.is_available(), "three of five");
    }

    #[tokio::test(start_paused = true)]
    async fn old_outcomes_do_not_count() {
        let rate = SuccessRate {
            threshold: 0.8,
            window: 10 * SECOND,
            min_requests: 2,
        };
        let mut breaker = Breaker::new(Accrual {
            max_failures: 7,
            success_rate: Some(rate),
            ..accrual()
        });
        fail(&mut breaker, 1);
        tokio::time::advance(11 * SECOND).await;
        succeed(&mut breaker);
        succeed(&mut breaker);
        assert!(breaker.is_available());
    }
}
