//! Connections to control-plane services: name resolution, TCP, TLS with the service's identity.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use hickory_resolver::TokioResolver;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::Uri;
use tower_service::Service;

use crate::{
    accept,
    config::{ConnectConfig, HostPort, ServiceConfig},
    io::Io,
    rng::Rng,
    tls::{ServerTls, TlsStore, client},
};

/// Makes connections to one service. The address comes from the configuration, not from the URI.
#[derive(Clone)]
pub(super) struct Connector {
    service: Arc<ServiceConfig>,
    tls: Arc<TlsStore>,
    config: ConnectConfig,
}

static RESOLVER: OnceLock<Result<TokioResolver, String>> = OnceLock::new();

// === impl Connector ===

impl Connector {
    pub(super) fn new(service: ServiceConfig, tls: Arc<TlsStore>, config: ConnectConfig) -> Self {
        Self {
            service: Arc::new(service),
            tls,
            config,
        }
    }

    async fn connect(self) -> io::Result<Io> {
        let addrs = resolve(&self.service.addr).await?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for addr in addrs {
            match self.connect_to(addr).await {
                Ok(io) => return Ok(io),
                Err(error) => {
                    tracing::debug!(%addr, %error, "cannot reach the control plane here");
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn connect_to(&self, addr: SocketAddr) -> io::Result<Io> {
        let tcp = tokio::time::timeout(self.config.timeout, TcpStream::connect(addr)).await??;
        accept::set_options(&tcp, self.config.socket);
        let Some(name) = &self.service.name else {
            return Ok(Io::plain(tcp, bytes::Bytes::new()));
        };
        let server = ServerTls::dns(name)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "invalid server name"))?;
        let tls = client::connect(
            &self.tls,
            tcp,
            &server,
            client::Session::Direct,
            self.config.timeout,
        )
        .await
        .map_err(io::Error::other)?;
        Ok(Io::client_tls(tls))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Io>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.connect().await.map(TokioIo::new) })
    }
}

/// The addresses of a host in random order, so that clients spread over replicas.
async fn resolve(addr: &HostPort) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = addr.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, addr.port)]);
    }
    if addr.host == "localhost" {
        return Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), addr.port)]);
    }
    let resolver = RESOLVER
        .get_or_init(|| {
            TokioResolver::builder_tokio()
                .and_then(hickory_resolver::ResolverBuilder::build)
                .map_err(|e| e.to_string())
        })
        .as_ref()
        .map_err(|e| io::Error::other(format!("no usable resolv.conf: {e}")))?;
    let name = if addr.absolute {
        format!("{}.", addr.host)
    } else {
        addr.host.clone()
    };
    let found = resolver.lookup_ip(name).await.map_err(io::Error::other)?;
    let mut addrs: Vec<_> = found
        .iter()
        .map(|ip| SocketAddr::new(ip, addr.port))
        .collect();
    let rng = Rng::from_entropy();
    for index in (1..addrs.len()).rev() {
        addrs.swap(index, rng.below(index + 1));
    }
    Ok(addrs)
}
