//! Message bodies, whatever connection they come from.

use std::{
    error::Error,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    observe::{EndSink, Ending, Observer},
    replay::{Attempt, Replay},
    revoke::Guard,
    timer::{Expired, Progress, Timer},
};

/// A body that flows through the proxy.
#[derive(Debug, Default)]
pub struct Body {
    kind: Kind,
    watch: Option<Box<Watch>>,
}

/// What most bodies do without, or have one of.
#[derive(Debug, Default)]
struct Watch {
    observer: Option<Observer>,
    timer: Option<Timer>,
    progress: Option<Rc<Progress>>,
    guard: Option<Guard>,
    /// A frame that was looked at and put back.
    ahead: Option<Frame<Bytes>>,
    /// Time-outs are told in trailers.
    is_grpc: bool,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("HTTP/1 body: {0}")]
    H1(#[from] hyper::Error),
    #[error("HTTP/2 body: {0}")]
    H2(#[from] h2::Error),
    #[error("{0}")]
    Proxy(&'static str),
    #[error("{0}")]
    Timeout(Expired),
}

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    H1(Incoming),
    H2(h2::RecvStream),
    /// No data, only trailers.
    Trailers(Box<HeaderMap>),
    Replay(Attempt),
}

// === impl Body ===

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::default()
    }

    /// These bytes.
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self::of(Kind::Full(bytes))
        }
    }

    /// No data, then these trailers.
    pub fn trailers(trailers: HeaderMap) -> Self {
        Self::of(Kind::Trailers(Box::new(trailers)))
    }

    /// What hyper reads from an HTTP/1 connection.
    pub fn h1(incoming: Incoming) -> Self {
        if incoming.is_end_stream() {
            Self::empty()
        } else {
            Self::of(Kind::H1(incoming))
        }
    }

    /// What h2 reads from a stream.
    pub fn h2(stream: h2::RecvStream) -> Self {
        if stream.is_end_stream() {
            Self::empty()
        } else {
            Self::of(Kind::H2(stream))
        }
    }

    /// A body that can be sent again.
    pub fn replay(attempt: Attempt) -> Self {
        Self::of(Kind::Replay(attempt))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, watch: None }
    }

    fn watch(&mut self) -> &mut Watch {
        self.watch.get_or_insert_default()
    }

    /// Whether there is nothing to read, now or later.
    pub fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Empty) && self.watch.as_ref().is_none_or(|w| w.ahead.is_none())
    }

    /// Tells the observer of frames and of the end; at once, if there is nothing to come.
    #[must_use]
    pub fn observed(mut self, mut observer: Observer) -> Self {
        if self.is_empty() {
            observer.end(None);
        } else {
            self.watch().observer = Some(observer);
        }
        self
    }

    /// Tells the route how the exchange ends; at once, as `ending`, if it has ended.
    #[must_use]
    pub fn told_to(mut self, route: Rc<dyn EndSink>, started: Instant, ending: Ending) -> Self {
        match self
            .watch
            .as_mut()
            .and_then(|watch| watch.observer.as_mut())
        {
            Some(observer) => observer.tell_route(route, started),
            None => route.ended(ending, started.elapsed()),
        }
        self
    }

    /// Whether it can be sent again already.
    pub fn is_replay(&self) -> bool {
        matches!(self.kind, Kind::Replay(_))
    }

    /// What it can be sent again from, if it is of that kind.
    pub fn replayable(&self) -> Option<Replay> {
        match &self.kind {
            Kind::Replay(attempt) => Some(attempt.replay()),
            _ => None,
        }
    }

    /// Breaks off when the timer expires; of gRPC in its own words.
    #[must_use]
    pub fn timed(mut self, timer: Timer, is_grpc: bool) -> Self {
        if !self.is_empty() {
            let watch = self.watch();
            watch.progress = Some(timer.progress().clone());
            watch.timer = Some(timer);
            watch.is_grpc = is_grpc;
        }
        self
    }

    /// Tells how far a request has come.
    #[must_use]
    pub fn tracked(mut self, progress: Rc<Progress>) -> Self {
        if self.is_empty() {
            progress.sent();
        } else {
            self.watch().progress = Some(progress);
        }
        self
    }

    /// Breaks off when what let it in is revoked.
    #[must_use]
    pub fn guarded(mut self, guard: Guard) -> Self {
        if !self.is_empty() {
            self.watch().guard = Some(guard);
        }
        self
    }

    /// Puts back a frame that was looked at.
    pub fn unread(&mut self, frame: Frame<Bytes>) {
        self.watch().ahead = Some(frame);
    }
}

fn poll_kind(
    kind: &mut Kind,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    match kind {
        Kind::Empty => Poll::Ready(None),
        Kind::Full(bytes) => {
            let bytes = std::mem::take(bytes);
            *kind = Kind::Empty;
            Poll::Ready(Some(Ok(Frame::data(bytes))))
        }
        Kind::H1(incoming) => Pin::new(incoming)
            .poll_frame(cx)
            .map(|frame| frame.map(|f| f.map_err(Into::into))),
        Kind::H2(stream) => poll_h2(stream, cx),
        Kind::Trailers(trailers) => {
            let trailers = std::mem::take(&mut **trailers);
            *kind = Kind::Empty;
            Poll::Ready(Some(Ok(Frame::trailers(trailers))))
        }
        Kind::Replay(attempt) => attempt.poll_frame(cx),
    }
}

/// Data, then trailers. The window is opened again as soon as the bytes are taken: whoever polls
/// has room for them.
fn poll_h2(
    stream: &mut h2::RecvStream,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    match ready!(stream.poll_data(cx)) {
        Some(Ok(bytes)) => {
            let _ = stream.flow_control().release_capacity(bytes.len());
            Poll::Ready(Some(Ok(Frame::data(bytes))))
        }
        Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
        None => match ready!(stream.poll_trailers(cx)) {
            Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        },
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { kind, watch } = &mut *self;
        let Some(watch) = watch else {
            return poll_kind(kind, cx);
        };
        if let Some(frame) = watch.ahead.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let revoked = watch
            .guard
            .as_mut()
            .map(|guard| guard.poll_revoked(cx).is_ready());
        let expired = watch.timer.as_mut().map(|timer| timer.poll_expired(cx));
        let frame = if let Some(Poll::Ready(expired)) = expired {
            // What breaks off is dropped, and with it the stream that it came from.
            *kind = Kind::Empty;
            watch.timer = None;
            Some(timed_out(expired, watch.is_grpc))
        } else if revoked == Some(true) {
            *kind = Kind::Empty;
            Some(Err(BodyError::Proxy("policy forbids it now")))
        } else {
            ready!(poll_kind(kind, cx))
        };
        watch.note(&frame, kind_ended(kind));
        if frame.is_none() {
            *self = Self::empty();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        kind_ended(&self.kind) && self.watch.as_ref().is_none_or(|w| w.ahead.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::H1(incoming) => incoming.size_hint(),
            Kind::H2(_) | Kind::Trailers(_) => SizeHint::default(),
            Kind::Replay(attempt) => attempt.size_hint(),
        }
    }
}

fn kind_ended(kind: &Kind) -> bool {
    match kind {
        Kind::Empty => true,
        Kind::Full(_) | Kind::Trailers(_) => false,
        Kind::H1(incoming) => incoming.is_end_stream(),
        Kind::H2(stream) => stream.is_end_stream(),
        Kind::Replay(attempt) => attempt.is_end(),
    }
}

/// gRPC is told in trailers, HTTP by breaking off.
fn timed_out(expired: Expired, is_grpc: bool) -> Result<Frame<Bytes>, BodyError> {
    if !is_grpc {
        return Err(BodyError::Timeout(expired));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("4"));
    let message = format!("{}: {expired}", expired.code());
    trailers.insert(
        "grpc-message",
        HeaderValue::from_str(&message).unwrap_or(EMPTY),
    );
    Ok(Frame::trailers(trailers))
}

const EMPTY: HeaderValue = HeaderValue::from_static("");

// === impl Watch ===

impl Watch {
    /// Tells everyone who wants to know of a frame. `ended` is whether none follows.
    fn note(&mut self, frame: &Option<Result<Frame<Bytes>, BodyError>>, ended: bool) {
        let trailers = match frame {
            Some(Ok(frame)) => frame.trailers_ref(),
            Some(Err(_)) | None => None,
        };
        let is_last = ended || trailers.is_some() || frame.is_none();
        if let Some(progress) = &self.progress {
            progress.moved();
            if is_last {
                progress.sent();
            }
        }
        let Some(observer) = &mut self.observer else {
            return;
        };
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    observer.data(data.len());
                }
                if is_last {
                    observer.end(trailers);
                }
            }
            Some(Err(error)) => observer.failed(error),
            None => observer.end(None),
        }
    }
}

impl BodyError {
    /// The HTTP/2 code that a peer reset the stream with, if that is what happened.
    pub fn h2_reason(&self) -> Option<h2::Reason> {
        match self {
            Self::H2(error) => error.reason(),
            Self::H1(error) => error.source()?.downcast_ref::<h2::Error>()?.reason(),
            Self::Timeout(_) => Some(h2::Reason::CANCEL),
            Self::Proxy(_) => None,
        }
    }
}
