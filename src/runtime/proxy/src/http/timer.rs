//! Timeouts of one exchange: of the whole, of the response, and of silence.

use std::{
    cell::{Cell, RefCell},
    future::Future as _,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Limits of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of the request to the last of the response.
    pub request: Option<Duration>,
    /// From the last byte of the request to the last of the response.
    pub response: Option<Duration>,
    /// Without a frame in either direction.
    pub idle: Option<Duration>,
}

/// Which limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    Request,
    Response,
    Idle,
    /// The head of the response did not come in time for one try.
    Try,
}

/// How far an exchange has come, told by both bodies.
#[derive(Debug)]
pub struct Progress {
    sent_at: Cell<Option<Instant>>,
    moved_at: Cell<Instant>,
    waker: RefCell<Option<Waker>>,
}

/// Expires when a limit is exceeded.
#[derive(Debug)]
pub struct Timer {
    limits: Limits,
    started: Instant,
    progress: Rc<Progress>,
    sleep: Pin<Box<Sleep>>,
}

// === impl Expired ===

impl Expired {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Request => "MESH_PROXY_REQUEST_TIMEOUT",
            Self::Response => "MESH_PROXY_RESPONSE_TIMEOUT",
            Self::Idle => "MESH_PROXY_IDLE_TIMEOUT",
            Self::Try => "MESH_PROXY_TRY_TIMEOUT",
        }
    }
}

impl std::fmt::Display for Expired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request => "the request took longer than its route allows",
            Self::Response => "the response took longer than its route allows",
            Self::Idle => "the stream was idle for longer than its route allows",
            Self::Try => "no response within the time for one try",
        })
    }
}

// === impl Limits ===

impl Limits {
    /// Whether there is no limit.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

// === impl Progress ===

impl Progress {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            sent_at: Cell::new(None),
            moved_at: Cell::new(Instant::now()),
            waker: RefCell::default(),
        })
    }

    /// A frame went by.
    pub fn moved(&self) {
        self.moved_at.set(Instant::now());
    }

    /// The request is sent. The time of the response begins.
    pub fn sent(&self) {
        if self.sent_at.get().is_none() {
            self.sent_at.set(Some(Instant::now()));
            if let Some(waker) = self.waker.borrow_mut().take() {
                waker.wake();
            }
        }
    }
}

// === impl Timer ===

impl Timer {
    /// Begins now; `None` without limits.
    pub fn start(limits: Limits) -> Option<Self> {
        if limits.is_none() {
            return None;
        }
        let started = Instant::now();
        Some(Self {
            limits,
            started,
            progress: Progress::new(),
            sleep: Box::pin(sleep_until(started)),
        })
    }

    /// What the bodies tell.
    pub fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    /// Ready once a limit is exceeded.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        loop {
            let next = self.next();
            let Some((at, what)) = next else {
                *self.progress.waker.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            };
            if at <= Instant::now() {
                return Poll::Ready(what);
            }
            if self.sleep.deadline() != at {
                self.sleep.as_mut().reset(at);
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                *self.progress.waker.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }

    /// Returns once a limit is exceeded.
    pub async fn expired(&mut self) -> Expired {
        std::future::poll_fn(|cx| self.poll_expired(cx)).await
    }

    /// The limit that is exceeded next, and when.
    fn next(&self) -> Option<(Instant, Expired)> {
        let request = self
            .limits
            .request
            .map(|limit| (self.started + limit, Expired::Request));
        let response = self.limits.response.zip(self.progress.sent_at.get());
        let response = response.map(|(limit, sent)| (sent + limit, Expired::Response));
        let idle = self
            .limits
            .idle
            .map(|limit| (self.progress.moved_at.get() + limit, Expired::Idle));
        [request, response, idle]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_first_limit_that_is_exceeded_counts() {
        let limits = Limits {
            request: Some(10 * SECOND),
            response: Some(2 * SECOND),
            idle: None,
        };
        let mut timer = Timer::start(limits).unwrap();
        let progress = timer.progress().clone();
        let started = Instant::now();
        tokio::spawn(tokio::time::sleep(SECOND));
        let local = tokio::task::LocalSet::new();
        local.spawn_local(async move {
            tokio::time::sleep(3 * SECOND).await;
            progress.sent();
        });
        let expired = local.run_until(timer.expired()).await;
        assert_eq!(
            (expired, started.elapsed()),
            (Expired::Response, 5 * SECOND)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn frames_put_off_the_idle_limit() {
        let limits = Limits {
            idle: Some(SECOND),
            ..Limits::default()
        };
        let mut timer = Timer::start(limits).unwrap();
        let started = Instant::now();
        tokio::time::sleep(SECOND / 2).await;
        timer.progress().moved();
        assert_eq!(timer.expired().await, Expired::Idle);
        assert_eq!(started.elapsed(), SECOND * 3 / 2);
    }

    #[test]
    fn without_limits_there_is_no_timer() {
        assert!(Timer::start(Limits::default()).is_none());
    }
}
