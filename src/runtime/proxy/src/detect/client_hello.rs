//! The server name of a TLS ClientHello, RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3.

use super::{MAX_BYTES, Verdict};

const RECORD_HANDSHAKE: u8 = 22;
const HANDSHAKE_CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_ALPN: u16 = 16;
const NAME_TYPE_HOST: u8 = 0;

/// What of a ClientHello decides where its connection goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The server name in lower case, without a trailing dot.
    pub sni: Option<String>,
    /// The protocols that the client offers.
    pub alpn: Vec<Vec<u8>>,
}

/// Whether `bytes` begin with a ClientHello, which may span several records.
pub fn client_hello(bytes: &[u8]) -> Verdict<ClientHello> {
    if bytes.first().is_some_and(|b| *b != RECORD_HANDSHAKE)
        || bytes.get(1).is_some_and(|major| *major != 3)
        || bytes
            .get(5)
            .is_some_and(|kind| *kind != HANDSHAKE_CLIENT_HELLO)
    {
        return Verdict::No;
    }
    if bytes.is_empty() {
        return Verdict::More { likely: false };
    }
    match message(bytes) {
        Ok(message) => match parse(&message) {
            Some(hello) => Verdict::Is(hello),
            None => Verdict::No,
        },
        Err(Short::NotYet) if bytes.len() < MAX_BYTES => Verdict::More { likely: true },
        Err(_) => Verdict::No,
    }
}

enum Short {
    NotYet,
    Never,
}

/// The body of the first handshake message, put together from its records.
fn message(bytes: &[u8]) -> Result<Vec<u8>, Short> {
    let mut records = Reader(bytes);
    let mut handshake = Vec::with_capacity(bytes.len());
    loop {
        if let Some(&[_, a, b, c]) = handshake.first_chunk::<4>() {
            let end = 4 + ((usize::from(a) << 16) | (usize::from(b) << 8) | usize::from(c));
            if end > MAX_BYTES {
                return Err(Short::Never);
            }
            if let Some(body) = handshake.get(4..end) {
                return Ok(body.to_vec());
            }
        }
        let kind = records.u8().ok_or(Short::NotYet)?;
        let _version = records.u16().ok_or(Short::NotYet)?;
        let len = records.u16().ok_or(Short::NotYet)?;
        if kind != RECORD_HANDSHAKE || len == 0 {
            return Err(Short::Never);
        }
        handshake.extend_from_slice(records.take(usize::from(len)).ok_or(Short::NotYet)?);
    }
}

fn parse(message: &[u8]) -> Option<ClientHello> {
    let mut r = Reader(message);
    let _version = r.u16()?;
    let _random = r.take(32)?;
    let _session = r.vector8()?;
    let _suites = r.vector16()?;
    let _compression = r.vector8()?;
    let mut hello = ClientHello::default();
    if r.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(r.vector16()?);
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let mut body = Reader(extensions.vector16()?);
        match kind {
            EXTENSION_SERVER_NAME => hello.sni = server_name(body.vector16()?),
            EXTENSION_ALPN => hello.alpn = protocols(body.vector16()?)?,
            _ => {}
        }
    }
    Some(hello)
}

fn server_name(list: &[u8]) -> Option<String> {
    let mut list = Reader(list);
    while !list.0.is_empty() {
        let kind = list.u8()?;
        let name = list.vector16()?;
        if kind == NAME_TYPE_HOST {
            let name = std::str::from_utf8(name).ok()?;
            return Some(name.trim_end_matches('.').to_ascii_lowercase());
        }
    }
    None
}

fn protocols(list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut list = Reader(list);
    let mut found = Vec::new();
    while !list.0.is_empty() {
        found.push(list.vector8()?.to_vec());
    }
    Some(found)
}

/// Takes big-endian numbers and length-prefixed vectors from the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?
            .first_chunk()
            .map(|octets| u16::from_be_bytes(*octets))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn hello(name: &str, alpn: &[&[u8]]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        let name = name.to_owned().try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn finds_name_and_protocols_of_a_real_hello_in_any_piece() {
        let bytes = hello("Web.example.com", &[b"transport.l5d.io/v1", b"h2"]);
        let expected = ClientHello {
            sni: Some("web.example.com".to_owned()),
            alpn: vec![b"transport.l5d.io/v1".to_vec(), b"h2".to_vec()],
        };
        assert_eq!(client_hello(&bytes), Verdict::Is(expected));
        for end in 1..bytes.len() {
            assert_eq!(
                client_hello(&bytes[..end]),
                Verdict::More { likely: true },
                "{end}"
            );
        }
    }

    #[test]
    fn a_hello_may_span_records() {
        let bytes = hello("web.example.com", &[]);
        let (header, body) = bytes.split_at(5);
        let mut split = Vec::new();
        for chunk in body.chunks(100) {
            split.extend_from_slice(&header[..3]);
            split.extend_from_slice(&u16::try_from(chunk.len()).unwrap().to_be_bytes());
            split.extend_from_slice(chunk);
        }
        let Verdict::Is(hello) = client_hello(&split) else {
            panic!("not a hello")
        };
        assert_eq!(hello.sni.as_deref(), Some("web.example.com"));
    }

    #[test]
    fn refuses_what_is_no_hello() {
        for bytes in [
            &b"GET "[..],
            b"\x16\x02",
            b"\x17\x03\x03",
            b"\x16\x03\x01\x00\x05\x02",
        ] {
            assert_eq!(client_hello(bytes), Verdict::No, "{bytes:?}");
        }
        // A handshake longer than any we wait for.
        assert_eq!(
            client_hello(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"),
            Verdict::No
        );
    }

    #[test]
    fn damaged_hellos_never_panic() {
        let bytes = hello("web.example.com", &[b"h2"]);
        for index in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[index] = value;
                let _ = client_hello(&damaged);
            }
        }
    }
}
