//! Message bodies, whatever connection they come from.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::observe::Observer;

/// A body that flows through the proxy.
#[derive(Debug, Default)]
pub struct Body {
    kind: Kind,
    observer: Option<Box<Observer>>,
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
}

// === impl Body ===

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::default()
    }

    /// These bytes.
    pub fn full(bytes: Bytes) -> Self {
        let kind = if bytes.is_empty() {
            Kind::Empty
        } else {
            Kind::Full(bytes)
        };
        Self {
            kind,
            observer: None,
        }
    }

    /// No data, then these trailers.
    pub fn trailers(trailers: HeaderMap) -> Self {
        Self {
            kind: Kind::Trailers(Box::new(trailers)),
            observer: None,
        }
    }

    /// What hyper reads from an HTTP/1 connection.
    pub fn h1(incoming: Incoming) -> Self {
        let kind = if incoming.is_end_stream() {
            Kind::Empty
        } else {
            Kind::H1(incoming)
        };
        Self {
            kind,
            observer: None,
        }
    }

    /// What h2 reads from a stream.
    pub fn h2(stream: h2::RecvStream) -> Self {
        let kind = if stream.is_end_stream() {
            Kind::Empty
        } else {
            Kind::H2(stream)
        };
        Self {
            kind,
            observer: None,
        }
    }

    /// Whether there is nothing to read, now or later.
    pub fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Empty)
    }

    /// Tells the observer of frames and of the end; at once, if there is nothing to come.
    #[must_use]
    pub fn observed(mut self, mut observer: Box<Observer>) -> Self {
        debug_assert!(self.observer.is_none(), "a body has one observer");
        if self.is_empty() {
            observer.end(None);
        } else {
            self.observer = Some(observer);
        }
        self
    }

    /// Resets the HTTP/2 stream that the bytes come from, if that is where they come from.
    fn poll_kind(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::H1(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map(|frame| frame.map(|f| f.map_err(Into::into))),
            Kind::H2(stream) => poll_h2(stream, cx),
            Kind::Trailers(trailers) => {
                let trailers = std::mem::take(&mut **trailers);
                self.kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
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
        let frame = ready!(self.poll_kind(cx));
        if let Some(observer) = &mut self.observer {
            match &frame {
                Some(Ok(frame)) => match frame.trailers_ref() {
                    Some(trailers) => observer.end(Some(trailers)),
                    None => observer.data(frame.data_ref().map_or(0, Bytes::len)),
                },
                Some(Err(error)) => observer.failed(error),
                None => observer.end(None),
            }
        }
        if frame.is_none() {
            *self = Self::empty();
        } else if self.kind_ended()
            && let Some(mut observer) = self.observer.take()
        {
            observer.end(None);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.kind_ended()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::H1(incoming) => incoming.size_hint(),
            Kind::H2(_) | Kind::Trailers(_) => SizeHint::default(),
        }
    }
}

impl Body {
    fn kind_ended(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(_) | Kind::Trailers(_) => false,
            Kind::H1(incoming) => incoming.is_end_stream(),
            Kind::H2(stream) => stream.is_end_stream(),
        }
    }
}

impl BodyError {
    /// The HTTP/2 code that a peer reset the stream with, if that is what happened.
    pub fn h2_reason(&self) -> Option<h2::Reason> {
        match self {
            Self::H2(error) => error.reason(),
            Self::H1(error) => error.source()?.downcast_ref::<h2::Error>()?.reason(),
            Self::Proxy(_) => None,
        }
    }
}
