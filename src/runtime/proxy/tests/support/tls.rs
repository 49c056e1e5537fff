//! Speaks to a proxy's inbound port as another proxy would, or as an attacker might.

use std::{io, net::SocketAddr, sync::Arc};

use prost::Message as _;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::network::Pod;

/// The protocol (ALPN) of connections that begin with a transport header.
pub const TRANSPORT_ALPN: &[u8] = b"transport.l5d.io/v1";

/// Connects from a pod and finishes the TLS handshake with whoever is `name`.
pub async fn connect(
    from: &Pod,
    to: SocketAddr,
    config: Arc<ClientConfig>,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = from.connect(to).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a DNS name");
    TlsConnector::from(config).connect(name, stream).await
}

/// The bytes of a transport header for a port.
pub fn transport_header(port: i32, name: &str) -> Vec<u8> {
    let header = mesh_proxy::pb::transport::Header {
        port,
        name: name.to_owned(),
        ..mesh_proxy::pb::transport::Header::default()
    };
    let message = header.encode_to_vec();
    let len = u32::try_from(message.len()).expect("a short header");
    [TRANSPORT_ALPN, b"\r\n\r\n", &len.to_be_bytes(), &message].concat()
}

/// Sends a transport header.
pub async fn send_header(
    stream: &mut TlsStream<TcpStream>,
    port: u16,
    name: &str,
) -> io::Result<()> {
    stream
        .write_all(&transport_header(i32::from(port), name))
        .await
}
