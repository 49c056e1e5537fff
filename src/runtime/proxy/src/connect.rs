//! Connections from the proxy to servers: TCP, then TLS if the endpoint has an identity.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::{
    accept,
    config::ConnectConfig,
    io::Io,
    tls::{ServerTls, TlsError, TlsStore, client},
};

/// A TLS handshake may take this much longer than the connect timeout: it costs both sides more
/// than a SYN.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot connect to {addr}: {source}")]
    Tcp { addr: SocketAddr, source: io::Error },
    #[error("no connection to {addr} within {} ms", .timeout.as_millis())]
    Timeout { addr: SocketAddr, timeout: Duration },
    #[error("{addr}: {source}")]
    Tls { addr: SocketAddr, source: TlsError },
    #[error("{addr} has an identity of a kind that is not known")]
    UnknownIdentity { addr: SocketAddr },
    #[error("{addr} is the proxy itself")]
    Loop { addr: SocketAddr },
    #[error("{addr}: HTTP handshake failed: {reason}")]
    Http { addr: SocketAddr, reason: String },
}

/// Makes connections.
#[derive(Debug)]
pub struct Connector {
    pub tls: Arc<TlsStore>,
    pub config: ConnectConfig,
    /// The proxy's own listeners, to which it must never connect.
    pub own: Vec<SocketAddr>,
    /// The pod's addresses. Empty: not known.
    pub own_ips: Vec<std::net::IpAddr>,
}

// === impl Connector ===

impl Connector {
    /// A TCP connection within the connect timeout.
    pub async fn tcp(&self, addr: SocketAddr) -> Result<TcpStream, ConnectError> {
        if self.is_own(addr) {
            return Err(ConnectError::Loop { addr });
        }
        let timeout = self.config.timeout;
        let tcp = tokio::time::timeout(timeout, TcpStream::connect(addr))
            .await
            .map_err(|_| ConnectError::Timeout { addr, timeout })?
            .map_err(|source| ConnectError::Tcp { addr, source })?;
        accept::set_options(&tcp, self.config.socket);
        Ok(tcp)
    }

    /// A plain connection.
    pub async fn plain(&self, addr: SocketAddr) -> Result<Io, ConnectError> {
        Ok(Io::plain(self.tcp(addr).await?, Bytes::new()))
    }

    /// A mutual TLS connection to the server with this identity.
    pub async fn tls(
        &self,
        addr: SocketAddr,
        server: &ServerTls,
        session: client::Session,
    ) -> Result<Io, ConnectError> {
        let tcp = self.tcp(addr).await?;
        let tls = client::connect(&self.tls, tcp, server, session, TLS_TIMEOUT)
            .await
            .map_err(|source| ConnectError::Tls { addr, source })?;
        Ok(Io::client_tls(tls))
    }

    /// Whether a connection there would come back to us: redirected connections all look alike,
    /// so that a loop would not end by itself.
    pub fn is_own(&self, addr: SocketAddr) -> bool {
        self.own.iter().any(|own| {
            own.port() == addr.port()
                && (own.ip() == addr.ip()
                    || (own.ip().is_unspecified()
                        && (addr.ip().is_loopback() || self.own_ips.contains(&addr.ip()))))
        })
    }
}

// === impl ConnectError ===

impl ConnectError {
    /// Whether the server, by all signs, is not there; nobody has seen any of the request.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Tcp { .. } | Self::Timeout { .. } | Self::Http { .. }
        )
    }
}
