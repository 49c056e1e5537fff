//! A request's body that can be sent more than once, as long as it is short.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame};

use super::body::{Body, BodyError};

/// The body, remembered while it is read for the first time.
#[derive(Clone, Debug)]
pub struct Replay(Rc<RefCell<Shared>>);

#[derive(Debug)]
struct Shared {
    source: Body,
    frames: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    len: usize,
    limit: usize,
    /// The source has ended.
    complete: bool,
    /// Longer than the limit: what was read is gone.
    forgotten: bool,
    /// The attempt that may read.
    attempt: u32,
}

/// The body of one attempt.
#[derive(Debug)]
pub struct Attempt {
    shared: Rc<RefCell<Shared>>,
    attempt: u32,
    next: usize,
    done: bool,
}

// === impl Replay ===

impl Replay {
    /// Remembers up to `limit` bytes of `source`.
    pub fn new(source: Body, limit: usize) -> Self {
        let complete = source.is_empty();
        Self(Rc::new(RefCell::new(Shared {
            source,
            frames: Vec::new(),
            trailers: None,
            len: 0,
            limit,
            complete,
            forgotten: false,
            attempt: 0,
        })))
    }

    /// The body from its beginning. Attempts before this one get no more. `None` when the
    /// beginning is forgotten.
    pub fn attempt(&self) -> Option<Body> {
        let mut shared = self.0.borrow_mut();
        if shared.forgotten {
            return None;
        }
        shared.attempt += 1;
        if shared.complete && shared.frames.is_empty() && shared.trailers.is_none() {
            return Some(Body::empty());
        }
        let attempt = shared.attempt;
        Some(Body::replay(Attempt {
            shared: self.0.clone(),
            attempt,
            next: 0,
            done: false,
        }))
    }
}

// === impl Attempt ===

impl Attempt {
    /// The next frame, remembered or fresh.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut shared = self.shared.borrow_mut();
        if shared.attempt != self.attempt {
            return Poll::Ready(Some(Err(BodyError::Proxy("another attempt was begun"))));
        }
        if let Some(bytes) = shared.frames.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(bytes.clone()))));
        }
        if shared.complete {
            let trailers = shared.trailers.clone().filter(|_| !self.done);
            self.done = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut shared.source).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    shared.remember(bytes);
                    self.next = shared.frames.len();
                    shared.complete = shared.source.is_end_stream();
                } else {
                    shared.trailers = frame.trailers_ref().cloned();
                    shared.complete = true;
                    self.done = true;
                }
            }
            // A body that broke off cannot be completed by reading it again.
            Some(Err(_)) => shared.forgotten = true,
            None => shared.complete = true,
        }
        Poll::Ready(frame)
    }

    /// The whole that this is an attempt of.
    pub fn replay(&self) -> Replay {
        Replay(self.shared.clone())
    }

    /// Whether nothing is left to send.
    pub fn is_end(&self) -> bool {
        let shared = self.shared.borrow();
        shared.complete
            && self.next >= shared.frames.len()
            && (self.done || shared.trailers.is_none())
    }

    /// The exact length of the whole body, where the source tells it.
    pub fn size_hint(&self) -> http_body::SizeHint {
        let shared = self.shared.borrow();
        if shared.forgotten || self.next > 0 || !shared.frames.is_empty() {
            return http_body::SizeHint::default();
        }
        shared.source.size_hint()
    }
}

// === impl Shared ===

impl Shared {
    fn remember(&mut self, bytes: &Bytes) {
        if self.forgotten {
            return;
        }
        self.len += bytes.len();
        if self.len > self.limit {
            self.forgotten = true;
            self.frames = Vec::new();
        } else if !bytes.is_empty() {
            self.frames.push(bytes.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn read(body: Body) -> Result<Bytes, BodyError> {
        Ok(body.collect().await?.to_bytes())
    }

    #[tokio::test]
    async fn a_short_body_can_be_read_again_and_again() {
        let replay = Replay::new(Body::full(Bytes::from_static(b"hello")), 5);
        for _ in 0..3 {
            assert_eq!(read(replay.attempt().unwrap()).await.unwrap(), "hello");
        }
    }

    #[tokio::test]
    async fn a_long_body_can_be_read_once() {
        let replay = Replay::new(Body::full(Bytes::from_static(b"hello!")), 5);
        assert_eq!(read(replay.attempt().unwrap()).await.unwrap(), "hello!");
        assert!(replay.attempt().is_none());
    }

    #[tokio::test]
    async fn an_attempt_ends_when_another_begins() {
        let replay = Replay::new(Body::full(Bytes::from_static(b"hello")), 5);
        let first = replay.attempt().unwrap();
        let second = replay.attempt().unwrap();
        assert!(read(first).await.is_err());
        assert_eq!(read(second).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn trailers_are_repeated_and_nothing_stays_nothing() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x", "y".parse().unwrap());
        let replay = Replay::new(Body::trailers(trailers), 5);
        for _ in 0..2 {
            let collected = replay.attempt().unwrap().collect().await.unwrap();
            assert_eq!(collected.trailers().unwrap()["x"], "y");
        }
        assert!(Replay::new(Body::empty(), 5).attempt().unwrap().is_empty());
    }
}
