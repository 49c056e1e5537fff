//! A connection as the rest of the proxy sees it: plain or TLS, with bytes that were read ahead,
//! counted.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::metrics::tcp::TcpMeter;

/// A byte stream to or from a peer.
#[derive(Debug)]
pub struct Io {
    /// Read before the stream was wrapped; served first.
    ahead: Bytes,
    stream: Stream,
    meter: Option<TcpMeter>,
}

/// A TCP stream of which the first bytes were already read: what TLS is terminated on.
#[derive(Debug)]
pub struct Ahead {
    ahead: Bytes,
    tcp: TcpStream,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Server(Box<tokio_rustls::server::TlsStream<Ahead>>),
    Client(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

// === impl Io ===

impl Io {
    /// Plain TCP; `ahead` was read from it already.
    pub fn plain(tcp: TcpStream, ahead: Bytes) -> Self {
        Self {
            ahead,
            stream: Stream::Plain(tcp),
            meter: None,
        }
    }

    /// TLS that we terminated.
    pub fn server_tls(tls: tokio_rustls::server::TlsStream<Ahead>) -> Self {
        Self {
            ahead: Bytes::new(),
            stream: Stream::Server(Box::new(tls)),
            meter: None,
        }
    }

    /// TLS that we originated.
    pub fn client_tls(tls: tokio_rustls::client::TlsStream<TcpStream>) -> Self {
        Self {
            ahead: Bytes::new(),
            stream: Stream::Client(Box::new(tls)),
            meter: None,
        }
    }

    /// Counts bytes and the end of the connection from here on.
    #[must_use]
    pub fn metered(mut self, meter: TcpMeter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Puts bytes that were read back in front.
    pub fn unread(&mut self, bytes: Bytes) {
        debug_assert!(self.ahead.is_empty(), "bytes were read while others waited");
        self.ahead = bytes;
    }

    /// The socket and the bytes read ahead, if this is plain TCP.
    pub fn into_plain(self) -> Result<(TcpStream, Bytes), Self> {
        match self.stream {
            Stream::Plain(tcp) => Ok((tcp, self.ahead)),
            stream => Err(Self { stream, ..self }),
        }
    }

    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Server(tls) => &tls.get_ref().0.tcp,
            Stream::Client(tls) => tls.get_ref().0,
        }
    }

    /// Makes the coming drop abort the connection (RST) rather than end it (FIN), so that the peer
    /// can tell a refusal from an end.
    pub fn reset_on_drop(&self) {
        // An error here leaves an ordinary close, which is all that can be done then.
        let _ = self.tcp().set_zero_linger();
    }

    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let (Err(error), Some(meter)) = (&result, &self.meter) {
            meter.failed(error);
        }
        result
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = if self.ahead.is_empty() {
            ready!(match &mut self.stream {
                Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
                Stream::Server(tls) => Pin::new(tls).poll_read(cx, buf),
                Stream::Client(tls) => Pin::new(tls).poll_read(cx, buf),
            })
        } else {
            serve_ahead(&mut self.ahead, buf);
            Ok(())
        };
        if let Some(meter) = &self.meter {
            meter.read(buf.filled().len() - before);
        }
        Poll::Ready(self.note(result))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Server(tls) => Pin::new(tls).poll_write(cx, buf),
            Stream::Client(tls) => Pin::new(tls).poll_write(cx, buf),
        });
        if let (Ok(bytes), Some(meter)) = (&result, &self.meter) {
            meter.wrote(*bytes);
        }
        Poll::Ready(self.note(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Stream::Server(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
            Stream::Client(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        });
        if let (Ok(bytes), Some(meter)) = (&result, &self.meter) {
            meter.wrote(*bytes);
        }
        Poll::Ready(self.note(result))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(tcp) => tcp.is_write_vectored(),
            Stream::Server(tls) => tls.is_write_vectored(),
            Stream::Client(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Server(tls) => Pin::new(tls).poll_flush(cx),
            Stream::Client(tls) => Pin::new(tls).poll_flush(cx),
        });
        Poll::Ready(self.note(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Server(tls) => Pin::new(tls).poll_shutdown(cx),
            Stream::Client(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

// === impl Ahead ===

impl Ahead {
    /// `ahead` was read from `tcp` already.
    pub fn new(tcp: TcpStream, ahead: Bytes) -> Self {
        Self { ahead, tcp }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.tcp).poll_read(cx, buf);
        }
        serve_ahead(&mut self.ahead, buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Copies what fits and releases the buffer once it is empty.
fn serve_ahead(ahead: &mut Bytes, buf: &mut ReadBuf<'_>) {
    let len = ahead.len().min(buf.remaining());
    if let Some(head) = ahead.get(..len) {
        buf.put_slice(head);
    }
    ahead.advance(len);
    if ahead.is_empty() {
        *ahead = Bytes::new();
    }
}
