//! The admin server: readiness, metrics, and a few switches.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Limited};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    accept,
    config::{AdminConfig, H2ServerConfig, H2Windows, SocketConfig},
    detect::{self, HttpVersion, Verdict},
    drain,
    http::{Body, Fault, headers, server, server::H2Server},
    io::{Ahead, Io},
    metrics::Metrics,
    race::{self, First},
    telemetry::LogLevel,
    tls::{self, TlsStore, client::Session},
};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// A log filter is not longer.
const MAX_BODY: usize = 8 * 1024;

/// What the server answers from.
pub struct Admin {
    pub config: AdminConfig,
    pub server_name: String,
    pub tls: Arc<TlsStore>,
    pub metrics: Arc<Metrics>,
    pub log_level: LogLevel,
    pub shutdown: mpsc::Sender<()>,
}

struct Connection {
    admin: Rc<Admin>,
    is_local: bool,
}

// === impl Admin ===

impl Admin {
    /// Serves until the process ends, on the cold thread.
    pub async fn serve(self: Rc<Self>, listener: TcpListener, drain: drain::Watch) {
        loop {
            let accepted = accept::accept(&listener, SocketConfig::default()).await;
            let (this, drain) = (self.clone(), drain.clone());
            tokio::task::spawn_local(async move {
                let io = Io::plain(accepted.tcp, Bytes::new());
                if let Err(error) = this.connection(io, accepted.client, drain).await {
                    tracing::debug!(client = %accepted.client, %error, "an admin connection ended");
                }
            });
        }
    }

    /// Meshed clients come with mutual TLS, others without.
    async fn connection(
        self: Rc<Self>,
        io: Io,
        client: SocketAddr,
        drain: drain::Watch,
    ) -> std::io::Result<()> {
        let Some(io) = self.without_tls(io).await? else {
            return Ok(());
        };
        let Some((io, version)) = detect_http(io).await? else {
            return Ok(());
        };
        let service = Rc::new(Connection {
            admin: self,
            is_local: client.ip().is_loopback(),
        });
        match version {
            HttpVersion::Http1 => server::serve_h1(io, service, drain)
                .await
                .map_err(std::io::Error::other),
            HttpVersion::H2 => {
                let windows = H2Windows {
                    stream: 65_535,
                    connection: 1 << 20,
                };
                let limits = H2Server {
                    config: H2ServerConfig::default(),
                    windows,
                };
                server::serve_h2(io, service, limits, drain)
                    .await
                    .map_err(std::io::Error::other)
            }
        }
    }

    async fn without_tls(&self, mut io: Io) -> std::io::Result<Option<Io>> {
        match race::first_bytes(&mut io, detect::client_hello, HANDSHAKE, race::NEVER).await? {
            First::Is(hello) if hello.sni.as_deref() == Some(self.server_name.as_str()) => {
                let Ok((tcp, ahead)) = io.into_plain() else {
                    return Ok(None);
                };
                let stream = Ahead::new(tcp, ahead);
                let accepted = tls::server::accept(&self.tls, stream, Session::Direct, HANDSHAKE)
                    .await
                    .map_err(std::io::Error::other)?;
                Ok(Some(Io::server_tls(accepted.stream)))
            }
            First::Is(_) | First::Closed => Ok(None),
            _ => Ok(Some(io)),
        }
    }

    async fn answer(&self, request: Request<Body>, is_local: bool) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let is_read = method == Method::GET || method == Method::HEAD;
        match path.as_str() {
            "/live" | "/ping" if is_read => text(StatusCode::OK, "live\n"),
            "/ready" if is_read && self.tls.is_ready() => text(StatusCode::OK, "ready\n"),
            "/ready" if is_read => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "MESH_PROXY_NOT_READY: no certificate yet\n",
            ),
            "/metrics" if is_read => {
                let mut response = text(StatusCode::OK, self.metrics.encode());
                let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, plain);
                response
            }
            "/env.json" if is_read => self.env(request.uri().query()),
            "/proxy-log-level" if is_local => self.log_level(method, request).await,
            "/shutdown" if method == Method::POST && self.config.shutdown_endpoint && is_local => {
                let _ = self.shutdown.try_send(());
                text(StatusCode::OK, "shutting down\n")
            }
            "/proxy-log-level" => text(StatusCode::FORBIDDEN, "only from this host\n"),
            "/live" | "/ping" | "/ready" | "/metrics" | "/env.json" => {
                text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n")
            }
            _ => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    /// The proxy's variables, or those named in the query.
    fn env(&self, query: Option<&str>) -> Response<Body> {
        let names: Vec<&str> = query.into_iter().flat_map(|q| q.split('&')).collect();
        let wanted = self
            .config
            .env
            .iter()
            .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()));
        let map: serde_json::Map<String, serde_json::Value> = wanted
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let mut response = text(StatusCode::OK, serde_json::Value::Object(map).to_string());
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    async fn log_level(&self, method: Method, request: Request<Body>) -> Response<Body> {
        match method {
            Method::GET => text(StatusCode::OK, self.log_level.current()),
            Method::PUT => {
                let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
                    return text(StatusCode::PAYLOAD_TOO_LARGE, "too long\n");
                };
                let filter = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                match self.log_level.set(filter.trim()) {
                    Ok(()) => text(StatusCode::NO_CONTENT, ""),
                    Err(error) => text(
                        StatusCode::BAD_REQUEST,
                        format!("MESH_PROXY_LOG_FILTER: {error}\n"),
                    ),
                }
            }
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "GET or PUT\n"),
        }
    }
}

impl server::Service for Connection {
    async fn call(&self, mut request: Request<Body>) -> Result<Response<Body>, Fault> {
        let downgraded = headers::from_orig_proto(&mut request)?;
        let mut response = self.admin.answer(request, self.is_local).await;
        if downgraded {
            headers::response_into_orig_proto(&mut response);
        }
        Ok(response)
    }

    fn failed(&self, _fault: &Fault) {}

    fn explains(&self) -> bool {
        true
    }
}

async fn detect_http(mut io: Io) -> std::io::Result<Option<(Io, HttpVersion)>> {
    /// Anything that is not HTTP/2 gets HTTP/1's answer to garbage.
    fn classify(bytes: &[u8]) -> Verdict<HttpVersion> {
        match detect::http(bytes) {
            Verdict::No => Verdict::Is(HttpVersion::Http1),
            other => other,
        }
    }
    match race::first_bytes(&mut io, classify, HANDSHAKE, race::NEVER).await? {
        First::Is(version) => Ok(Some((io, version))),
        First::No(_) => Ok(Some((io, HttpVersion::Http1))),
        First::Closed | First::Server(_) | First::Unreachable(_) => Ok(None),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
