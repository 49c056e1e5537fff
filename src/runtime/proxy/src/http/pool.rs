//! HTTP/1 connections to one server, kept for a while between requests.

use std::{cell::RefCell, rc::Rc, time::Duration};

use http::{Request, Response};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::body::Body;
use crate::io::Io;

/// Idle connections to one server.
#[derive(Debug)]
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
    max_idle: usize,
    idle_timeout: Duration,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Body>,
    since: Instant,
}

/// A connection in use for one request.
#[derive(Debug)]
pub struct Lease {
    sender: SendRequest<Body>,
    pool: Rc<Pool>,
    /// Whether it has served a request before: then it can turn out to be closed by the server.
    pub reused: bool,
}

/// A request that failed, with the request itself if none of it was sent.
#[derive(Debug)]
pub struct Unsent {
    pub error: hyper::Error,
    pub request: Option<Request<Body>>,
}

// === impl Pool ===

impl Pool {
    /// Keeps at most `max_idle` connections for at most `idle_timeout`.
    pub fn new(max_idle: usize, idle_timeout: Duration) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            max_idle,
            idle_timeout,
        })
    }

    /// A kept connection that is still open, the freshest first.
    pub async fn checkout(self: &Rc<Self>) -> Option<Lease> {
        loop {
            let Idle { mut sender, since } = self.idle.borrow_mut().pop()?;
            if since.elapsed() >= self.idle_timeout || sender.is_closed() {
                continue;
            }
            if sender.ready().await.is_ok() {
                return Some(Lease {
                    sender,
                    pool: self.clone(),
                    reused: true,
                });
            }
        }
    }

    /// Speaks HTTP/1 on a new connection, which is driven by a task of its own.
    pub async fn connected(self: &Rc<Self>, io: Io) -> Result<Lease, hyper::Error> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(64 * 1024)
            .handshake::<_, Body>(TokioIo::new(io))
            .await?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "an HTTP/1 connection to a server ended");
            }
        });
        Ok(Lease {
            sender,
            pool: self.clone(),
            reused: false,
        })
    }

    /// Closes connections that were idle for too long. Returns whether none is left.
    pub fn sweep(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|conn| conn.since.elapsed() < self.idle_timeout && !conn.sender.is_closed());
        if idle.is_empty() {
            idle.shrink_to_fit();
        }
        idle.is_empty()
    }
}

// === impl Lease ===

impl Lease {
    /// Sends the request and waits for the response's head.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Body>, Unsent> {
        match self.sender.try_send_request(request).await {
            Ok(response) => Ok(response.map(Body::h1)),
            Err(mut failed) => {
                let request = failed.take_message();
                Err(Unsent {
                    error: failed.into_error(),
                    request,
                })
            }
        }
    }

    /// Makes the connection available for another request.
    pub fn give_back(self) {
        let Self { sender, pool, .. } = self;
        let mut idle = pool.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < pool.max_idle {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }
}
