//! A gRPC application and its client, made of services that the wire API happens to have.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_proxy::pb::{
    destination::destination_client::DestinationClient, identity::identity_client::IdentityClient,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tower_service::Service;

use super::{
    network::Pod,
    pb::{
        destination::{
            DestinationProfile, GetDestination, NoEndpoints, Update,
            destination_server::{Destination, DestinationServer},
            update,
        },
        identity::{
            CertifyRequest, CertifyResponse,
            identity_server::{Identity, IdentityServer},
        },
    },
    serve::{Task, Version, serve_http},
};

/// Serves the application until dropped.
///
/// - `Identity.Certify` answers with the token as the certificate; for the identity `fail` with
///   `Internal`
/// - `Destination.Get` of path `N` answers with N messages
pub fn serve_grpc(pod: &Pod, port: u16) -> Task {
    serve_http(
        pod.listen(port),
        Version::Http2,
        |request: Request<Incoming>, _| async move {
            let unary = request
                .uri()
                .path()
                .starts_with("/io.linkerd.proxy.identity.");
            let answer = match unary {
                true => IdentityServer::new(App).call(request).await,
                false => DestinationServer::new(App).call(request).await,
            };
            match answer {
                Ok(response) => response,
                Err(never) => match never {},
            }
        },
    )
}

struct App;

#[tonic::async_trait]
impl Identity for App {
    async fn certify(
        &self,
        request: tonic::Request<CertifyRequest>,
    ) -> Result<tonic::Response<CertifyResponse>, Status> {
        let CertifyRequest {
            identity, token, ..
        } = request.into_inner();
        if identity == "fail" {
            return Err(Status::internal("told to fail"));
        }
        Ok(tonic::Response::new(CertifyResponse {
            leaf_certificate: token,
            ..CertifyResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl Destination for App {
    type GetStream = ReceiverStream<Result<Update, Status>>;
    type GetProfileStream = ReceiverStream<Result<DestinationProfile, Status>>;

    async fn get(
        &self,
        request: tonic::Request<GetDestination>,
    ) -> Result<tonic::Response<Self::GetStream>, Status> {
        let count: u32 = request
            .into_inner()
            .path
            .parse()
            .map_err(|_| Status::invalid_argument("?"))?;
        let (sender, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..count {
                let none = update::Update::NoEndpoints(NoEndpoints { exists: true });
                if sender
                    .send(Ok(Update { update: Some(none) }))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(tonic::Response::new(ReceiverStream::new(stream)))
    }

    async fn get_profile(
        &self,
        _: tonic::Request<GetDestination>,
    ) -> Result<tonic::Response<Self::GetProfileStream>, Status> {
        Err(Status::unimplemented("not a part of the application"))
    }
}

/// One HTTP/2 connection that gRPC clients share.
#[derive(Clone)]
pub struct Channel(http2::SendRequest<tonic::body::Body>);

impl Channel {
    pub async fn connect(from: &Pod, to: std::net::SocketAddr) -> Self {
        let stream = from
            .connect(to)
            .await
            .unwrap_or_else(|error| panic!("{to}: {error}"));
        Self::over(stream).await
    }

    /// Speaks HTTP/2 over an open connection.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("an HTTP/2 handshake");
        tokio::spawn(connection);
        Self(sender)
    }

    /// A client of the unary calls.
    pub fn unary(&self, authority: &str) -> IdentityClient<Self> {
        IdentityClient::with_origin(self.clone(), origin(authority))
    }

    /// A client of the streaming calls.
    pub fn streaming(&self, authority: &str) -> DestinationClient<Self> {
        DestinationClient::with_origin(self.clone(), origin(authority))
    }
}

fn origin(authority: &str) -> http::Uri {
    format!("http://{authority}").parse().expect("an origin")
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
