//! Bytes from one side to the other, both ways, with half-close.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first buffer of a direction; enough for a chatty protocol.
const SMALL: usize = 4 * 1024;
/// What a direction grows to once it moves bulk: the knee of throughput per byte.
const LARGE: usize = 64 * 1024;
/// Full reads in a row that make a direction count as bulk.
const BULK_AFTER: u8 = 4;

/// One direction of a copy. Its buffer exists only while bytes are in it or are being read.
#[derive(Debug, Default)]
struct Direction {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    full_reads: u8,
    state: State,
    unflushed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Copying,
    /// The reader ended; the writer is to be shut down once the buffer is empty.
    Closing,
    Done,
}

/// Copies both ways until both have ended or one has failed. The end of one direction is passed on
/// (half-close) and the other goes on.
pub async fn copy<A, B>(a: &mut A, b: &mut B) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut forth = Direction::default();
    let mut back = Direction::default();
    std::future::poll_fn(|cx| {
        let forth = forth.poll(cx, a, b)?;
        let back = back.poll(cx, b, a)?;
        if forth.is_ready() && back.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

// === impl Direction ===

impl Direction {
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            while let Some(rest) = self
                .buffer
                .get(self.start..self.end)
                .filter(|r| !r.is_empty())
            {
                let written = ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.start += written;
                self.unflushed = true;
            }
            match self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Closing => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.state = State::Done;
                }
                State::Copying => match self.poll_fill(cx, from)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => {
                        if self.unflushed {
                            ready!(Pin::new(&mut *to).poll_flush(cx))?;
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                },
            }
        }
    }

    /// Reads into the empty buffer; gives its memory back when there is nothing to read.
    fn poll_fill<R>(&mut self, cx: &mut Context<'_>, from: &mut R) -> io::Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
    {
        let size = if self.full_reads >= BULK_AFTER {
            LARGE
        } else {
            SMALL
        };
        if self.buffer.len() != size {
            self.buffer = vec![0; size].into();
        }
        (self.start, self.end) = (0, 0);
        let mut buf = ReadBuf::new(&mut self.buffer);
        match Pin::new(from).poll_read(cx, &mut buf) {
            Poll::Pending => {
                self.buffer = Box::default();
                Ok(Poll::Pending)
            }
            Poll::Ready(result) => {
                self.end = buf.filled().len();
                result?;
                if self.end == 0 {
                    self.state = State::Closing;
                    self.buffer = Box::default();
                } else if self.end == size {
                    self.full_reads = (self.full_reads + 1).min(BULK_AFTER);
                } else if self.end < SMALL {
                    self.full_reads = 0;
                }
                Ok(Poll::Ready(()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::io::Io;

    /// Two ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn the_end_of_one_direction_leaves_the_other_open() {
        let (mut client, near) = pair().await;
        let (far, mut server) = pair().await;
        let (mut near, mut far) = (
            Io::plain(near, bytes::Bytes::new()),
            Io::plain(far, bytes::Bytes::new()),
        );
        let copying = tokio::spawn(async move { copy(&mut near, &mut far).await });

        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        server.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");

        let answer = vec![7; 1 << 20];
        server.write_all(&answer).await.unwrap();
        drop(server);
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, answer);
        copying.await.unwrap().unwrap();
    }
}
