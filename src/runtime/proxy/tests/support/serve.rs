//! Serves HTTP to whoever connects: the common part of the fake control plane and the applications.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// A task that ends when this is dropped, with all that it started in a `JoinSet`.
pub struct Task(JoinHandle<()>);

impl Task {
    pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Ends the task and waits until its sockets are closed.
    pub async fn stop(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The version of HTTP that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    pub addr: SocketAddr,
    /// The DNS names of its certificate.
    pub identities: Vec<String>,
}

/// Accepts connections and hands each to `serve`, until dropped; then all connections are cut.
pub fn accept_all<F, C>(listener: TcpListener, serve: C) -> Task
where
    F: Future<Output = ()> + Send + 'static,
    C: Fn(TcpStream, SocketAddr) -> F + Send + 'static,
{
    Task::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(serve(stream, peer));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

/// Serves HTTP in plaintext.
pub fn serve_http<H, F, B>(listener: TcpListener, version: Version, handler: H) -> Task
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    accept_all(listener, move |stream, addr| {
        let handler = handler.clone();
        async move {
            let peer = Peer {
                addr,
                identities: Vec::new(),
            };
            serve_connection(stream, version, handler, peer).await;
        }
    })
}

/// Serves HTTP/2 over TLS.
pub fn serve_tls<H, F, B>(listener: TcpListener, tls: Arc<rustls::ServerConfig>, handler: H) -> Task
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(tls);
    accept_all(listener, move |stream, addr| {
        let (handler, acceptor) = (handler.clone(), acceptor.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let names = certificates
                .first()
                .map(|leaf| super::authority::dns_names(leaf));
            let identities = names
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect();
            serve_connection(stream, Version::Http2, handler, Peer { addr, identities }).await;
        }
    })
}

async fn serve_connection<S, H, F, B>(stream: S, version: Version, handler: H, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = handler(request, peer.clone());
        async move { Ok::<_, Infallible>(response.await) }
    });
    // A connection that ends in an error is the test's subject, not this server's concern.
    let _ = match version {
        Version::Http1 => {
            let http = conn::http1::Builder::new().timer(TokioTimer::new()).clone();
            http.serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await
        }
        Version::Http2 => {
            let http = conn::http2::Builder::new(TokioExecutor::new());
            http.serve_connection(TokioIo::new(stream), service).await
        }
    };
}
