//! Clients of the applications.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::serve::{Task, Version};

/// A request's body.
pub type RequestBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// One connection that requests are sent on.
pub struct HttpClient {
    sender: Sender,
    authority: String,
    _connection: Task,
}

enum Sender {
    Http1(conn::http1::SendRequest<RequestBody>),
    Http2(conn::http2::SendRequest<RequestBody>),
}

/// A whole response.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// An empty body.
pub fn empty() -> RequestBody {
    full("")
}

/// A body that is sent at once.
pub fn full(bytes: impl Into<Bytes>) -> RequestBody {
    Full::new(bytes.into()).boxed_unsync()
}

impl HttpClient {
    /// Speaks HTTP over an open connection; requests name `authority` as their host.
    pub async fn handshake<S>(stream: S, version: Version, authority: &str) -> Result<Self, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let (sender, connection) = match version {
            Version::Http1 => {
                let (sender, connection) = conn::http1::handshake(io)
                    .await
                    .map_err(|error| error.to_string())?;
                let task = Task::spawn(async {
                    let _ = connection.with_upgrades().await;
                });
                (Sender::Http1(sender), task)
            }
            Version::Http2 => {
                let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), io)
                    .await
                    .map_err(|error| error.to_string())?;
                let task = Task::spawn(async {
                    let _ = connection.await;
                });
                (Sender::Http2(sender), task)
            }
        };
        Ok(Self {
            sender,
            authority: authority.to_owned(),
            _connection: connection,
        })
    }

    /// `GET path`, and the whole response.
    pub async fn get(&mut self, path: &str) -> Result<Response, String> {
        self.send(Request::get(path).body(empty()).expect("a request"))
            .await
    }

    /// `POST path` with a body, and the whole response.
    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Result<Response, String> {
        self.send(Request::post(path).body(full(body)).expect("a request"))
            .await
    }

    /// Sends a request whose URI is a path, and reads the whole response.
    pub async fn send(&mut self, request: Request<RequestBody>) -> Result<Response, String> {
        let response = self.start(request).await?;
        let (parts, body) = response.into_parts();
        let collected = body
            .collect()
            .await
            .map_err(|error| format!("body: {error}"))?;
        let trailers = collected.trailers().cloned();
        let body = collected.to_bytes();
        Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body,
            trailers,
        })
    }

    /// Sends a request whose URI is a path, and reads the head of the response.
    pub async fn start(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> Result<http::Response<Incoming>, String> {
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                let host = self.authority.parse().expect("a host");
                request.headers_mut().entry(HOST).or_insert(host);
                sender.ready().await.map_err(|error| error.to_string())?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                let path = request.uri().path_and_query().expect("a path").as_str();
                let uri = format!("http://{}{path}", self.authority);
                *request.uri_mut() = uri.parse().expect("a URI");
                sender.ready().await.map_err(|error| error.to_string())?;
                sender.send_request(request).await
            }
        };
        answer.map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
    }
}
