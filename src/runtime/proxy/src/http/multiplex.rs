//! HTTP/2 connections to one server: as few as its limit of streams allows.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use tokio::{sync::Notify, time::Instant};

use crate::{config::H2Windows, connect::ConnectError, io::Io};

/// Header lists of more than this many bytes are refused.
pub(super) const MAX_HEADER_LIST: u32 = 64 * 1024;

/// HTTP/2 connections to one server.
#[derive(Debug)]
pub struct Multiplex {
    addr: std::net::SocketAddr,
    config: H2ClientConfig,
    state: RefCell<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    connections: Vec<Connection>,
    next_id: u64,
    connecting: bool,
    /// Grows with each failed attempt, so that those who waited for it learn of it.
    failures: u64,
    last_error: Option<Rc<ConnectError>>,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    id: u64,
    pub sender: SendRequest<Bytes>,
    /// Streams that are open.
    streams: Rc<Cell<usize>>,
}

/// One open stream; dropped at its end.
#[derive(Debug)]
pub struct StreamGuard(Rc<Cell<usize>>);

/// How to speak HTTP/2 to a server.
#[derive(Clone, Copy, Debug)]
pub struct H2ClientConfig {
    pub windows: H2Windows,
    /// PING after this much time, and the time for an answer.
    pub keep_alive: Option<(Duration, Duration)>,
}

// === impl Multiplex ===

impl Multiplex {
    /// No connection yet.
    pub fn new(addr: std::net::SocketAddr, config: H2ClientConfig) -> Rc<Self> {
        Rc::new(Self {
            addr,
            config,
            state: RefCell::default(),
            changed: Notify::new(),
        })
    }

    /// A connection with room for a stream. If there is none, one is made by a task of its own
    /// that outlives the caller's interest; others wait for the same one.
    pub async fn acquire<F>(
        self: &Rc<Self>,
        connect: impl Fn() -> F,
    ) -> Result<Connection, Rc<ConnectError>>
    where
        F: Future<Output = Result<Io, ConnectError>> + 'static,
    {
        loop {
            if let Some(connection) = self.free() {
                return Ok(connection);
            }
            let failures = self.state.borrow().failures;
            if !std::mem::replace(&mut self.state.borrow_mut().connecting, true) {
                let (this, io) = (self.clone(), connect());
                tokio::task::spawn_local(async move {
                    let result = match io.await {
                        Ok(io) => this.handshake(io).await,
                        Err(error) => Err(error),
                    };
                    this.connected(result);
                });
            }
            self.wait(failures).await?;
        }
    }

    /// Uses this connection for no new request.
    pub fn remove(&self, connection: &Connection) {
        self.state
            .borrow_mut()
            .connections
            .retain(|known| known.id != connection.id);
    }

    /// Uses none of the connections for new requests.
    pub fn clear(&self) {
        self.state.borrow_mut().connections.clear();
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        !self.state.borrow().connections.is_empty()
    }

    fn free(&self) -> Option<Connection> {
        let state = self.state.borrow();
        let limit = self.config.windows.streams();
        let has_room =
            |c: &&Connection| c.streams.get() < c.sender.current_max_send_streams().min(limit);
        state.connections.iter().find(has_room).cloned()
    }

    /// Waits until the connection that is being made is there, or has failed.
    async fn wait(&self, failures: u64) -> Result<(), Rc<ConnectError>> {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state.borrow();
                if let (true, Some(error)) = (state.failures != failures, &state.last_error) {
                    return Err(error.clone());
                }
                if !state.connecting {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    fn connected(&self, result: Result<Connection, ConnectError>) {
        {
            let mut state = self.state.borrow_mut();
            state.connecting = false;
            match result {
                Ok(connection) => {
                    state.last_error = None;
                    state.connections.push(connection);
                }
                Err(error) => {
                    state.failures += 1;
                    state.last_error = Some(Rc::new(error));
                }
            }
        }
        self.changed.notify_waiters();
    }

    async fn handshake(self: &Rc<Self>, io: Io) -> Result<Connection, ConnectError> {
        let (sender, mut connection) = client::Builder::new()
            .initial_window_size(self.config.windows.stream)
            .initial_connection_window_size(self.config.windows.connection)
            .enable_push(false)
            .max_header_list_size(MAX_HEADER_LIST)
            .handshake::<_, Bytes>(io)
            .await
            .map_err(|e| ConnectError::Http {
                addr: self.addr,
                reason: e.to_string(),
            })?;
        let ping = connection.ping_pong();
        let id = {
            let mut state = self.state.borrow_mut();
            state.next_id += 1;
            state.next_id
        };
        let keep_alive = self.config.keep_alive;
        let this = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            let result = tokio::select! {
                result = connection => result.map_err(|e| e.to_string()),
                () = unanswered_ping(ping, keep_alive) => Err("no answer to PING".to_owned()),
            };
            if let Err(error) = result {
                tracing::debug!(%error, "an HTTP/2 connection to a server ended");
            }
            if let Some(this) = this.upgrade() {
                this.state
                    .borrow_mut()
                    .connections
                    .retain(|known| known.id != id);
            }
        });
        Ok(Connection {
            id,
            sender,
            streams: Rc::default(),
        })
    }
}

// === impl Connection ===

impl Connection {
    /// Counts a stream as open.
    pub fn open_stream(&self) -> StreamGuard {
        self.streams.set(self.streams.get() + 1);
        StreamGuard(self.streams.clone())
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Returns when a PING is not answered in time.
pub(super) async fn unanswered_ping(
    ping: Option<h2::PingPong>,
    config: Option<(Duration, Duration)>,
) {
    let (Some(mut ping), Some((interval, timeout))) = (ping, config) else {
        return std::future::pending().await;
    };
    let mut next = Instant::now() + interval;
    loop {
        tokio::time::sleep_until(next).await;
        match tokio::time::timeout(timeout, ping.ping(h2::Ping::opaque())).await {
            Ok(Ok(_)) => next = Instant::now() + interval,
            // The connection has ended, which its own future tells.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}
