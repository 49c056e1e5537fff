//! The first bytes of a connection, from whichever side they come.
//!
//! Most clients speak at once. While one is silent, the server is connected to as if the protocol
//! were opaque; if the server speaks first (MySQL, SMTP, NATS, …) it is. So no protocol waits for
//! a timeout.

use std::{future::Future, pin::pin, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::AsyncReadExt as _,
    time::{Instant, sleep_until},
};

use crate::{connect::ConnectError, detect::Verdict, io::Io};

/// How long a client may be silent before the server is asked.
const SILENCE: Duration = Duration::from_millis(20);
/// How long to wait for more of what may be the protocol but probably is not.
const UNLIKELY: Duration = Duration::from_millis(250);
/// Room for a first read: a post-quantum ClientHello takes up to 1.8 KB.
const FIRST_READ: usize = 2 * 1024;

/// For connections whose server must not be asked.
pub type Never = fn() -> std::future::Ready<Result<Io, ConnectError>>;
/// Says so.
pub const NEVER: Option<Never> = None;

/// How the first bytes turned out.
#[derive(Debug)]
pub enum First<T, E> {
    /// The client speaks the protocol. Its bytes are back in front of the connection.
    Is(T),
    /// It does not. There may be a connection to the server already.
    No(Option<Io>),
    /// The server spoke first (or closed); both sides' bytes are back in front.
    Server(Io),
    /// The client went away without a word.
    Closed,
    /// The server could not be reached while the client was silent.
    Unreachable(E),
}

/// Reads from `client` until `classify` is sure, the server speaks, or time is over (which counts
/// as not the protocol). `connect` is `None` where the server must not be asked.
pub async fn first_bytes<T, E, F, C>(
    client: &mut Io,
    classify: fn(&[u8]) -> Verdict<T>,
    timeout: Duration,
    connect: Option<C>,
) -> std::io::Result<First<T, E>>
where
    C: FnOnce() -> F,
    F: Future<Output = Result<Io, E>>,
{
    let mut bytes = BytesMut::with_capacity(FIRST_READ);
    let silence = sleep_until(Instant::now() + SILENCE);
    let mut spoke_at = None;
    let mut deadline = Instant::now() + timeout;
    let mut asked = pin!(async {
        let Some(connect) = connect else {
            return std::future::pending().await;
        };
        silence.await;
        connect().await
    });
    let mut server: Option<Io> = None;
    let mut greeting = BytesMut::new();
    loop {
        let silent = bytes.is_empty();
        tokio::select! {
            biased;
            read = client.read_buf(&mut bytes) => {
                if read? == 0 {
                    return Ok(end_of_client(client, bytes, server));
                }
                match classify(&bytes) {
                    Verdict::Is(found) => {
                        client.unread(bytes.freeze());
                        return Ok(First::Is(found));
                    }
                    Verdict::No => {
                        client.unread(bytes.freeze());
                        return Ok(First::No(server));
                    }
                    Verdict::More { likely } => {
                        let patience = if likely { timeout } else { timeout.min(UNLIKELY) };
                        deadline = *spoke_at.get_or_insert_with(Instant::now) + patience;
                    }
                }
            }
            connected = &mut asked, if silent && server.is_none() => match connected {
                Ok(io) => server = Some(io),
                Err(error) => return Ok(First::Unreachable(error)),
            },
            read = read_greeting(&mut server, &mut greeting) => {
                client.unread(bytes.freeze());
                let mut server = server.take().ok_or(std::io::ErrorKind::NotConnected)?;
                // An error of the server is met again by whoever copies.
                let _ = read;
                server.unread(greeting.freeze());
                return Ok(First::Server(server));
            }
            () = sleep_until(deadline), if !silent => {
                client.unread(bytes.freeze());
                return Ok(First::No(server));
            }
        }
    }
}

fn end_of_client<T, E>(client: &mut Io, bytes: BytesMut, server: Option<Io>) -> First<T, E> {
    if bytes.is_empty() {
        return First::Closed;
    }
    client.unread(bytes.freeze());
    First::No(server)
}

async fn read_greeting(server: &mut Option<Io>, greeting: &mut BytesMut) -> std::io::Result<usize> {
    match server {
        Some(server) => {
            greeting.reserve(FIRST_READ);
            server.read_buf(greeting).await
        }
        None => std::future::pending().await,
    }
}
