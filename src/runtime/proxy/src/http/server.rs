//! HTTP connections that clients make to the proxy.

use std::{convert::Infallible, future::Future, pin::pin, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Version};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

use super::{
    body::Body,
    canonical::canonicalize,
    headers::strip_hop_by_hop,
    multiplex::MAX_HEADER_LIST,
    respond::{Fault, Form},
    transfer,
};
use crate::{config::H2ServerConfig, config::H2Windows, drain, io::Io};

/// Answers requests of one connection.
pub trait Service: 'static {
    /// The response, or why there is none.
    fn call(&self, request: Request<Body>) -> impl Future<Output = Result<Response<Body>, Fault>>;
    /// A fault is about to become a response.
    fn failed(&self, fault: &Fault);
    /// Whether responses may tell why.
    fn explains(&self) -> bool;
}

/// Limits of HTTP/2 connections of clients.
#[derive(Clone, Copy, Debug)]
pub struct H2Server {
    pub config: H2ServerConfig,
    pub windows: H2Windows,
}

/// Streams that one client may have open, unless configured.
const MAX_STREAMS: u32 = H2Windows::STREAMS;
/// An HTTP/1 head may be this long.
const MAX_H1_HEAD: usize = 64 * 1024;

/// Serves HTTP/1 until the client closes or, draining, until the current request is done.
pub async fn serve_h1<S: Service>(
    io: Io,
    service: Rc<S>,
    mut drain: drain::Watch,
) -> Result<(), hyper::Error> {
    let respond = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(&*service, request).await) }
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_H1_HEAD)
        .serve_connection(TokioIo::new(io), respond)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result,
        () = drain.draining() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

async fn answer<S: Service>(
    service: &S,
    request: Request<hyper::body::Incoming>,
) -> Response<Body> {
    let form = Form::of(&request);
    match call(service, request.map(Body::h1)).await {
        Ok(response) => response,
        Err(fault) => {
            service.failed(&fault);
            fault.respond(form, service.explains())
        }
    }
}

/// Nobody sees a request that is not in its one form.
async fn call<S: Service>(
    service: &S,
    mut request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    canonicalize(&mut request)?;
    service.call(request).await
}

/// Serves HTTP/2 until the client closes or, draining, until its streams are done.
pub async fn serve_h2<S: Service>(
    io: Io,
    service: Rc<S>,
    limits: H2Server,
    mut drain: drain::Watch,
) -> Result<(), h2::Error> {
    let mut connection = builder(limits).handshake::<_, Bytes>(io).await?;
    let ping = connection.ping_pong();
    let mut dead = pin!(super::multiplex::unanswered_ping(
        ping,
        keep_alive(limits.config)
    ));
    let (mut draining, mut is_dead) = (false, false);
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let service = service.clone();
                    tokio::task::spawn_local(serve_stream(service, request, respond));
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            () = drain.draining(), if !draining => {
                draining = true;
                connection.graceful_shutdown();
            }
            () = &mut dead, if !is_dead => {
                is_dead = true;
                connection.abrupt_shutdown(h2::Reason::NO_ERROR);
            }
        }
    }
}

fn keep_alive(config: H2ServerConfig) -> Option<(Duration, Duration)> {
    let interval = config.keep_alive_interval?;
    Some((
        interval,
        config.keep_alive_timeout.unwrap_or(Duration::from_secs(20)),
    ))
}

fn builder(H2Server { config, windows }: H2Server) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(config.stream_window.unwrap_or(windows.stream))
        .initial_connection_window_size(config.connection_window.unwrap_or(windows.connection))
        .max_concurrent_streams(config.max_concurrent_streams.unwrap_or(MAX_STREAMS))
        .max_header_list_size(config.max_header_list_size.unwrap_or(MAX_HEADER_LIST));
    if let Some(size) = config.max_frame_size {
        builder.max_frame_size(size);
    }
    if let Some(max) = config.max_pending_accept_reset_streams {
        builder.max_pending_accept_reset_streams(max);
    }
    if let Some(max) = config.max_send_buf_size {
        builder.max_send_buffer_size(max);
    }
    builder
}

/// One request. A client that resets its stream ends the work on it.
async fn serve_stream<S: Service>(
    service: Rc<S>,
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) {
    let form = Form::of(&request);
    let answer = tokio::select! {
        answer = call(&*service, request.map(Body::h2)) => answer,
        _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    let response = match answer {
        Ok(response) => response,
        Err(fault) => {
            service.failed(&fault);
            match fault {
                Fault::Reset(reason) => return respond.send_reset(reason),
                fault => fault.respond(form, service.explains()),
            }
        }
    };
    let (mut head, body) = response.into_parts();
    strip_hop_by_hop(&mut head.headers);
    head.version = Version::HTTP_2;
    let ended = body.is_empty();
    match respond.send_response(Response::from_parts(head, ()), ended) {
        Ok(mut stream) if !ended => {
            if let Err(error) = transfer::send(body, &mut stream).await {
                tracing::debug!(%error, "a response broke off");
            }
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "a response could not be sent"),
    }
}
