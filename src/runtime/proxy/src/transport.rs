//! The header that opens a connection between two proxies when opaque bytes follow.
//!
//! `transport.l5d.io/v1` CR LF CR LF, the length of the message as a big-endian number of 32 bits,
//! and the message (`proto/io/linkerd/proxy/transport.proto`).

use std::io;

use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{
    detect::HttpVersion,
    pb::transport::{self, session_protocol::Kind},
};

const PREFACE: &[u8] = b"transport.l5d.io/v1\r\n\r\n";
/// A header holds a port, a name of at most 253 octets and a few tags.
const MAX_LEN: usize = 1024;

/// Where the bytes that follow are meant to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub port: u16,
    /// The name of a destination, for a gateway.
    pub name: Option<String>,
    /// `None`: opaque.
    pub protocol: Option<HttpVersion>,
}

/// Sends the header.
pub async fn write(io: &mut (impl AsyncWrite + Unpin), header: &Header) -> io::Result<()> {
    io.write_all(&header.encode()).await?;
    io.flush().await
}

/// Reads the header and nothing beyond it.
pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Header> {
    let mut preface = [0; PREFACE.len()];
    io.read_exact(&mut preface).await?;
    if preface != PREFACE {
        return Err(invalid("no transport header"));
    }
    let len = usize::try_from(io.read_u32().await?).unwrap_or(usize::MAX);
    if len > MAX_LEN {
        return Err(invalid("the transport header is too long"));
    }
    let mut message = vec![0; len];
    io.read_exact(&mut message).await?;
    Header::decode(&message)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

// === impl Header ===

impl Header {
    fn encode(&self) -> Vec<u8> {
        let kind = self.protocol.map(|version| match version {
            HttpVersion::Http1 => Kind::Http1(transport::session_protocol::Http1 {}),
            HttpVersion::H2 => Kind::Http2(transport::session_protocol::Http2 {}),
        });
        let message = transport::Header {
            port: i32::from(self.port),
            name: self.name.clone().unwrap_or_default(),
            session_protocol: kind.map(|kind| transport::SessionProtocol { kind: Some(kind) }),
        }
        .encode_to_vec();
        let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
        [PREFACE, &len.to_be_bytes()[..], &message].concat()
    }

    fn decode(message: &[u8]) -> io::Result<Self> {
        let wire = transport::Header::decode(message)
            .map_err(|_| invalid("the transport header is malformed"))?;
        let protocol = match wire.session_protocol {
            None => None,
            Some(session) => match session.kind {
                Some(Kind::Http1(_)) => Some(HttpVersion::Http1),
                Some(Kind::Http2(_)) => Some(HttpVersion::H2),
                None => return Err(invalid("the transport header has an unknown protocol")),
            },
        };
        let port = u16::try_from(wire.port).ok().filter(|port| *port != 0);
        Ok(Self {
            port: port.ok_or_else(|| invalid("the transport header has no valid port"))?,
            name: (!wire.name.is_empty()).then_some(wire.name),
            protocol,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn survives_the_wire_and_leaves_what_follows() {
        for header in [
            Header {
                port: 80,
                name: None,
                protocol: None,
            },
            Header {
                port: 65_535,
                name: Some("web.default.svc.cluster.local".to_owned()),
                protocol: Some(HttpVersion::H2),
            },
        ] {
            let mut wire = Vec::new();
            write(&mut wire, &header).await.unwrap();
            wire.extend_from_slice(b"rest");
            let mut reader = &wire[..];
            assert_eq!(read(&mut reader).await.unwrap(), header);
            assert_eq!(reader, b"rest");
        }
    }

    #[tokio::test]
    async fn refuses_what_is_no_header() {
        let mut long = PREFACE.to_vec();
        long.extend_from_slice(&[0xff; 8]);
        let mut no_port = PREFACE.to_vec();
        no_port.extend_from_slice(&[0, 0, 0, 0]);
        for wire in [
            &b"GET / HTTP/1.1\r\nhost: example.com\r\n\r\n"[..],
            &long,
            &no_port,
            b"trans",
        ] {
            assert!(read(&mut &wire[..]).await.is_err(), "{wire:?}");
        }
    }
}
