//! One server as HTTP sees it: its connections of either version, and its metrics.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, Version, uri::Authority};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::{
    Body, Fault,
    headers::{self, PROXY_CONNECTION},
    multiplex::{Connection, H2ClientConfig, Multiplex},
    observe::{EndSink, Held, Load, Observer},
    pool::{Lease, Pool, Unsent},
    revoke::{Guard, Revocation},
    transfer,
};
use crate::{
    connect::{ConnectError, Connector},
    io::Io,
    metrics::{http::HttpSeries, tcp::TcpSeries},
    tcp,
    tls::{ServerTls, client::Session},
};

/// A server.
#[derive(Debug)]
pub struct Upstream {
    pub addr: SocketAddr,
    pub security: Security,
    /// Whether the server's proxy takes HTTP/1 in HTTP/2.
    pub orig_proto: bool,
    connector: Rc<Connector>,
    h1: Rc<Pool>,
    h2: Rc<Multiplex>,
    tcp: Arc<TcpSeries>,
    authority: Authority,
}

/// How connections to the server are secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    Plain,
    Tls(ServerTls),
    /// TLS is demanded in a way that we do not understand.
    Refuse,
}

/// What an upstream is made from.
pub struct Params {
    pub addr: SocketAddr,
    pub security: Security,
    pub orig_proto: bool,
    pub connector: Rc<Connector>,
    pub h1: Rc<Pool>,
    pub h2: H2ClientConfig,
    pub tcp: Arc<TcpSeries>,
}

/// A request that got no response.
#[derive(Debug)]
pub struct Failed {
    pub fault: Fault,
    /// The request, if the server has not begun with it: it can be sent elsewhere.
    pub request: Option<Request<Body>>,
}

/// What is recorded of a request.
pub struct Record {
    pub series: Rc<HttpSeries>,
    pub started: Instant,
    pub load: Option<Load>,
    pub sink: Option<Rc<dyn EndSink>>,
    /// Ends it when policy comes to forbid it.
    pub revocation: Option<Rc<Revocation>>,
}

// === impl Upstream ===

impl Upstream {
    /// A server to which no connection is made yet.
    pub fn new(params: Params) -> Rc<Self> {
        Rc::new(Self {
            h2: Multiplex::new(params.addr, params.h2),
            // The text of a socket address is a valid authority.
            authority: Authority::try_from(params.addr.to_string())
                .unwrap_or_else(|_| Authority::from_static("invalid")),
            addr: params.addr,
            security: params.security,
            orig_proto: params.orig_proto,
            connector: params.connector,
            h1: params.h1,
            tcp: params.tcp,
        })
    }

    /// Sends a request and waits for the head of its response.
    pub async fn send(
        self: &Rc<Self>,
        mut request: Request<Body>,
        record: Record,
    ) -> Result<Response<Body>, Failed> {
        if headers::is_upgrade(&request) {
            return self.send_upgrade(request, record).await;
        }
        if request.version() == Version::HTTP_2 {
            return self.send_h2(request, record).await;
        }
        if !self.orig_proto {
            return self.send_h1(request, record).await;
        }
        if let Err(error) = headers::into_orig_proto(&mut request, &self.authority) {
            return Err(Failed {
                fault: error.into(),
                request: None,
            });
        }
        let mut response = self.send_h2(request, record).await.map_err(|mut failed| {
            // Another server may not take it in this form.
            failed.request = failed.request.and_then(|mut request| {
                headers::from_orig_proto(&mut request)
                    .is_ok()
                    .then_some(request)
            });
            failed
        })?;
        headers::response_from_orig_proto(&mut response);
        Ok(response)
    }

    /// Gives up idle connections that are too old. Returns whether there is no connection.
    pub fn sweep(&self) -> bool {
        self.h1.sweep() && !self.h2.is_connected()
    }

    /// A new connection, counted.
    pub async fn connect(self: Rc<Self>) -> Result<Io, ConnectError> {
        let io = match &self.security {
            Security::Plain => self.connector.plain(self.addr).await?,
            Security::Tls(server) => {
                self.connector
                    .tls(self.addr, server, Session::Direct)
                    .await?
            }
            Security::Refuse => return Err(ConnectError::UnknownIdentity { addr: self.addr }),
        };
        Ok(io.metered(self.tcp.open()))
    }

    async fn send_h2(
        self: &Rc<Self>,
        request: Request<Body>,
        mut record: Record,
    ) -> Result<Response<Body>, Failed> {
        let (head, mut body) = request.into_parts();
        let mut request = Request::from_parts(head, ());
        // A kept connection may have been told to take no more streams: then a new one is tried.
        for _ in 0..2 {
            let connection = match self.h2.acquire(|| self.clone().connect()).await {
                Ok(connection) => connection,
                Err(error) => {
                    let request = Some(request.map(|()| body));
                    return Err(Failed {
                        fault: Fault::Connect(error),
                        request,
                    });
                }
            };
            let spare = request.clone();
            record.sent();
            let ended = body.is_empty();
            let replay = body.replayable();
            match connection.sender.clone().send_request(request, ended) {
                Ok((response, stream)) => {
                    let guard = connection.open_stream();
                    record.series.request();
                    if !ended {
                        spawn_transfer(std::mem::take(&mut body), stream);
                    }
                    return match response.await {
                        Ok(response) => {
                            Ok(record.observe(response.map(Body::h2), Held::Stream(guard)))
                        }
                        Err(error) => Err(self.h2_failed(&connection, &error, || {
                            let body = match replay {
                                Some(replay) => replay.attempt(),
                                None => ended.then(Body::empty),
                            };
                            body.map(|body| spare.map(|()| body))
                        })),
                    };
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection takes no new stream");
                    self.h2.remove(&connection);
                    request = spare;
                }
            }
        }
        let fault = Fault::NotTaken("its connections take no new streams".to_owned());
        Err(Failed {
            fault,
            request: Some(request.map(|()| body)),
        })
    }

    /// What became of a stream, and the request, if it may be repeated: a refused stream and one
    /// beyond a GOAWAY were not processed (RFC 9113 sections 6.8 and 8.7).
    fn h2_failed(
        &self,
        connection: &Connection,
        error: &h2::Error,
        again: impl FnOnce() -> Option<Request<Body>>,
    ) -> Failed {
        let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        if error.is_go_away() || error.is_io() {
            self.h2.remove(connection);
        }
        let unprocessed = error.is_remote() && (refused || error.is_go_away());
        let fault = match error.reason() {
            _ if unprocessed => Fault::NotTaken(error.to_string()),
            Some(reason) if error.is_reset() => Fault::Reset(reason),
            _ => Fault::Upstream(error.to_string()),
        };
        let request = if unprocessed { again() } else { None };
        Failed { fault, request }
    }

    async fn send_h1(
        self: &Rc<Self>,
        mut request: Request<Body>,
        mut record: Record,
    ) -> Result<Response<Body>, Failed> {
        headers::strip_hop_by_hop(request.headers_mut());
        let mut counted = false;
        loop {
            let mut lease = match self.h1.checkout().await {
                Some(lease) => lease,
                None => match self.connect_h1().await {
                    Ok(lease) => lease,
                    Err(fault) => {
                        return Err(Failed {
                            fault,
                            request: Some(request),
                        });
                    }
                },
            };
            record.sent();
            if !std::mem::replace(&mut counted, true) {
                record.series.request();
            }
            match lease.send(request).await {
                Ok(response) => return Ok(record.observe(response, Held::Lease(lease))),
                // The server has closed a kept connection while it was idle.
                Err(Unsent {
                    request: Some(unsent),
                    ..
                }) if lease.reused => request = unsent,
                Err(Unsent { error, request }) => {
                    return Err(Failed {
                        fault: Fault::Upstream(error.to_string()),
                        request,
                    });
                }
            }
        }
    }

    async fn connect_h1(self: &Rc<Self>) -> Result<Lease, Fault> {
        let io = self
            .clone()
            .connect()
            .await
            .map_err(|e| Fault::Connect(Rc::new(e)))?;
        self.h1
            .connected(io)
            .await
            .map_err(|e| Fault::Upstream(e.to_string()))
    }

    /// A request that turns its connection into a tunnel has a connection of its own, of HTTP/1.
    async fn send_upgrade(
        self: &Rc<Self>,
        mut request: Request<Body>,
        record: Record,
    ) -> Result<Response<Body>, Failed> {
        let client = request.extensions_mut().remove::<OnUpgrade>();
        let mut lease = match self.connect_h1().await {
            Ok(lease) => lease,
            Err(fault) => {
                return Err(Failed {
                    fault,
                    request: Some(request),
                });
            }
        };
        record.series.request();
        let is_connect = request.method() == http::Method::CONNECT;
        let mut response = match lease.send(request).await {
            Ok(response) => response,
            Err(Unsent { error, .. }) => {
                return Err(Failed {
                    fault: Fault::Upstream(error.to_string()),
                    request: None,
                });
            }
        };
        let upgraded = response.status() == http::StatusCode::SWITCHING_PROTOCOLS
            || (is_connect && response.status().is_success());
        if let (true, Some(client)) = (upgraded, client) {
            let server = hyper::upgrade::on(&mut response);
            let mut guard = record.revocation.as_ref().map(Revocation::guard);
            tokio::task::spawn_local(async move {
                let ended = tokio::select! {
                    ended = tunnel(client, server, lease) => ended,
                    () = revoked(&mut guard) => Err("policy forbids it now".into()),
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a tunnel ended");
                }
            });
            return Ok(record.observe(response, Held::Nothing));
        }
        Ok(record.observe(response, Held::Lease(lease)))
    }
}

async fn tunnel(
    client: OnUpgrade,
    server: OnUpgrade,
    lease: Lease,
) -> Result<(), Box<dyn std::error::Error>> {
    let (client, server) = (client.await?, server.await?);
    drop(lease);
    let mut client = hyper_util::rt::TokioIo::new(client);
    let mut server = hyper_util::rt::TokioIo::new(server);
    tcp::copy(&mut client, &mut server).await?;
    Ok(())
}

async fn revoked(guard: &mut Option<Guard>) {
    match guard {
        Some(guard) => guard.revoked().await,
        None => std::future::pending().await,
    }
}

fn spawn_transfer(body: Body, mut stream: h2::SendStream<Bytes>) {
    tokio::task::spawn_local(async move {
        if let Err(error) = transfer::send(body, &mut stream).await {
            tracing::debug!(%error, "a request's body broke off");
        }
    });
}

// === impl Record ===

impl Record {
    /// There is a connection; what follows is the server's time.
    fn sent(&mut self) {
        if let Some(load) = &mut self.load {
            load.sent();
        }
    }

    fn observe(self, mut response: Response<Body>, connection: Held) -> Response<Body> {
        response.headers_mut().remove(PROXY_CONNECTION);
        let (head, body) = response.into_parts();
        let observer = Observer::new(self.series, self.started, &head)
            .with_load(self.load, &head)
            .with_backend(self.sink)
            .with_connection(connection);
        let body = body.observed(observer);
        let body = match self.revocation {
            Some(revocation) => body.guarded(revocation.guard()),
            None => body,
        };
        Response::from_parts(head, body)
    }
}
