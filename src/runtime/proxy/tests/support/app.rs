//! Applications: servers of HTTP, gRPC and TCP that tell what they have seen.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use super::{
    network::Pod,
    serve::{Task, Version, accept_all, serve_http},
};

/// A response's body.
pub type ResponseBody = UnsyncBoxBody<Bytes, hyper::Error>;

/// A request as the application got it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub version: http::Version,
    pub headers: HeaderMap,
    pub peer: std::net::SocketAddr,
}

impl Seen {
    /// A header as text; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// A server of HTTP. Paths say what it does:
///
/// - `/echo` answers with the body of the request, as it comes
/// - `/status/503` answers with that status
/// - `/slow/100` answers after that many milliseconds
/// - `/bytes/1000` answers with that many bytes
/// - `/deaf` answers after a minute and reads nothing of the request
/// - `/upgrade` switches to a protocol named `echo`, which sends every byte back
/// - any other path answers with the server's name
pub struct HttpApp {
    seen: Arc<Mutex<Vec<Seen>>>,
    server: Task,
}

impl HttpApp {
    pub fn start(pod: &Pod, port: u16, version: Version) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (record, name) = (Arc::clone(&seen), pod.name.clone());
        let server = serve_http(pod.listen(port), version, move |request, peer| {
            let (name, record) = (name.clone(), Arc::clone(&record));
            async move {
                let (parts, body) = request.into_parts();
                record.lock().expect("no panic while recording").push(Seen {
                    method: parts.method.clone(),
                    uri: parts.uri.clone(),
                    version: parts.version,
                    headers: parts.headers.clone(),
                    peer: peer.addr,
                });
                respond(&name, Request::from_parts(parts, body)).await
            }
        });
        Self { seen, server }
    }

    /// Ends the server and waits until its connections are closed.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic while recording").clone()
    }

    /// The newest request.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }
}

async fn respond(name: &str, request: Request<Incoming>) -> Response<ResponseBody> {
    let path = request.uri().path().to_owned();
    if path == "/upgrade" {
        return switch_to_echo(request);
    }
    let mut status = StatusCode::OK;
    if path == "/echo" {
        let mut response = Response::new(request.into_body().boxed_unsync());
        response
            .headers_mut()
            .insert("x-app", name.parse().expect("a name"));
        return response;
    }
    if path == "/deaf" {
        sleep(Duration::from_secs(60)).await;
    }
    if let Some(len) = path
        .strip_prefix("/bytes/")
        .and_then(|text| text.parse().ok())
    {
        return Response::new(zeros(len));
    }
    if let Some(code) = path.strip_prefix("/status/") {
        status = code.parse().unwrap_or(StatusCode::BAD_REQUEST);
    }
    if let Some(millis) = path
        .strip_prefix("/slow/")
        .and_then(|text| text.parse().ok())
    {
        sleep(Duration::from_millis(millis)).await;
    }
    // A body after HEAD is left to the server, which over HTTP/2 would send it (RFC 9110 §9.3.2).
    let text = if *request.method() == Method::HEAD {
        ""
    } else {
        name
    };
    // The rest of the request, so that the connection can be used again.
    let _ = request.into_body().collect().await;
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {});
    Response::builder()
        .status(status)
        .header("x-app", name)
        .body(body.boxed_unsync())
        .expect("a response")
}

/// A body of `len` zeros that takes no memory of its own.
fn zeros(len: usize) -> ResponseBody {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let chunks = (0..len).step_by(ZEROS.len()).map(move |start| {
        let end = (len - start).min(ZEROS.len());
        Ok(Frame::data(Bytes::from_static(
            ZEROS.get(..end).unwrap_or_default(),
        )))
    });
    StreamBody::new(tokio_stream::iter(chunks)).boxed_unsync()
}

/// Answers 101 and sends back what comes after it (RFC 9110 §7.8).
fn switch_to_echo(request: Request<Incoming>) -> Response<ResponseBody> {
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
            if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
                let _ = writer.shutdown().await;
            }
        }
    });
    let body = Full::new(Bytes::new()).map_err(|never| match never {});
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(body.boxed_unsync())
        .expect("a response")
}

/// Sends every byte back.
pub fn tcp_echo(pod: &Pod, port: u16) -> Task {
    accept_all(pod.listen(port), |mut stream, _| async move {
        let (mut reader, mut writer) = stream.split();
        if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
            let _ = writer.shutdown().await;
        }
    })
}

/// Speaks first, as SMTP and MySQL do: a greeting, then every byte back.
pub fn tcp_server_first(pod: &Pod, port: u16, greeting: &'static str) -> Task {
    accept_all(pod.listen(port), move |mut stream, _| async move {
        if stream.write_all(greeting.as_bytes()).await.is_err() {
            return;
        }
        let (mut reader, mut writer) = stream.split();
        if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
            let _ = writer.shutdown().await;
        }
    })
}

/// Reads until the other end closes, and tells how much came.
pub async fn read_to_end(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(bytes)
}
