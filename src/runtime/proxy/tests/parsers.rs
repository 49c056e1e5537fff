//! Properties of the parsers that see bytes of strangers, over generated input.
//!
//! The generator is seeded, so that a failure happens again; each property runs for a fixed number
//! of inputs.

use mesh_proxy::{
    detect::{self, ClientHello, HttpVersion, MAX_BYTES, Verdict},
    transport::{self, Header},
};

/// Inputs of each property.
const INPUTS: u64 = 20_000;

/// A small generator of numbers (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a number of 64 bits");
        usize::try_from(self.next() % limit.max(1)).expect("a small number")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.byte()).collect()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        from.get(self.below(from.len()))
            .expect("something to pick from")
    }
}

/// Words that HTTP, TLS and what resembles them are made of.
const WORDS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"PRI",
    b"*",
    b" ",
    b"/",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\n",
    b"a",
    b"host: web\r\n",
    b"\x16\x03\x01",
    b"\x16\x03\x03\x00\x05\x01\x00\x00\x01\x03",
    b"SSH-2.0-x",
];

/// Words in any order, with a byte changed now and then, and sometimes plain noise.
fn resembling(numbers: &mut Numbers) -> Vec<u8> {
    if numbers.below(8) == 0 {
        return numbers.bytes(200);
    }
    let words = numbers.below(12);
    let mut bytes: Vec<u8> = (0..words)
        .flat_map(|_| numbers.pick(WORDS).to_vec())
        .collect();
    for _ in 0..numbers.below(3) {
        let at = numbers.below(bytes.len().max(1));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = numbers.byte();
        }
    }
    bytes
}

/// A verdict is final: more bytes never change it. And no amount of bytes leaves it open for ever.
fn assert_stable<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    detect: impl Fn(&[u8]) -> Verdict<T>,
) {
    let mut last: Option<(usize, Verdict<T>)> = None;
    for end in 0..=bytes.len() {
        let now = detect(bytes.get(..end).unwrap_or_default());
        if let Some((at, before)) = &last {
            assert_eq!(&now, before, "{at} and {end} bytes of {bytes:?}");
        } else if !matches!(now, Verdict::More { .. }) {
            last = Some((end, now));
        }
    }
    let mut endless = bytes.to_vec();
    endless.resize(MAX_BYTES.max(bytes.len()), b'a');
    assert!(
        !matches!(detect(&endless), Verdict::More { .. }),
        "open for ever: {bytes:?}"
    );
}

#[test]
fn a_verdict_on_http_is_final() {
    let mut numbers = Numbers::new(1);
    for _ in 0..INPUTS {
        assert_stable(&resembling(&mut numbers), detect::http);
    }
}

#[test]
fn a_verdict_on_tls_is_final() {
    let mut numbers = Numbers::new(2);
    for _ in 0..INPUTS {
        assert_stable(&resembling(&mut numbers), detect::client_hello);
    }
}

#[test]
fn every_well_formed_request_line_is_http() {
    let mut numbers = Numbers::new(3);
    let token = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for _ in 0..INPUTS {
        let method: Vec<u8> = (0..=numbers.below(20))
            .map(|_| *numbers.pick(token))
            .collect();
        let target: Vec<u8> = (0..=numbers.below(60))
            .map(|_| 0x21 + numbers.byte() % (0x7f - 0x21))
            .collect();
        let version = *numbers.pick(&[&b"HTTP/1.1"[..], b"HTTP/1.0"]);
        let line = [&method[..], b" ", &target, b" ", version, b"\r\n"].concat();
        assert_eq!(
            detect::http(&line),
            Verdict::Is(HttpVersion::Http1),
            "{line:?}"
        );
        let open = line.len() - 2;
        let unfinished = detect::http(line.get(..open).unwrap_or_default());
        assert!(
            matches!(unfinished, Verdict::More { .. }),
            "{line:?}: {unfinished:?}"
        );
    }
}

/// What a real client sends first.
fn real_hello(name: &str, alpn: Vec<Vec<u8>>) -> Vec<u8> {
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn;
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).expect("a DNS name");
    let mut client = rustls::ClientConnection::new(config.into(), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a ClientHello");
    hello
}

#[test]
fn the_names_of_real_hellos_are_read_at_any_split() {
    let mut numbers = Numbers::new(4);
    for length in [1, 10, 63] {
        let label: String = (0..length)
            .map(|_| char::from(b'a' + numbers.byte() % 26))
            .collect();
        let name = format!("{label}.default.serviceaccount.identity.linkerd.cluster.local");
        let alpn = vec![b"h2".to_vec(), b"transport.l5d.io/v1".to_vec()];
        let hello = real_hello(&name, alpn.clone());
        assert_stable(&hello, detect::client_hello);
        let expected = ClientHello {
            sni: Some(name),
            alpn,
        };
        assert_eq!(detect::client_hello(&hello), Verdict::Is(expected));
        for end in 0..hello.len() {
            let verdict = detect::client_hello(hello.get(..end).unwrap_or_default());
            assert!(
                matches!(verdict, Verdict::More { .. }),
                "{end} bytes: {verdict:?}"
            );
        }
    }
}

#[test]
fn a_hello_in_many_records_is_the_same_hello() {
    let hello = real_hello("web.default.svc.cluster.local", Vec::new());
    let Verdict::Is(expected) = detect::client_hello(&hello) else {
        panic!("a hello")
    };
    let mut numbers = Numbers::new(5);
    for _ in 0..200 {
        // The same handshake message cut into records (RFC 8446 §5.1) of random lengths.
        let mut message = hello.get(5..).unwrap_or_default();
        let mut records = Vec::new();
        while !message.is_empty() {
            let (part, rest) = message.split_at(1 + numbers.below(message.len()));
            let len = u16::try_from(part.len())
                .expect("a short record")
                .to_be_bytes();
            records.extend([&[0x16, 3, 1][..], &len, part].concat());
            message = rest;
        }
        if records.len() < MAX_BYTES {
            assert_eq!(
                detect::client_hello(&records),
                Verdict::Is(expected.clone())
            );
        }
    }
}

#[test]
fn damaged_hellos_never_panic_and_never_hang() {
    let hello = real_hello("web.default.svc.cluster.local", vec![b"h2".to_vec()]);
    let mut numbers = Numbers::new(6);
    for _ in 0..INPUTS / 10 {
        let mut damaged = hello.clone();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(damaged.len());
            if let Some(byte) = damaged.get_mut(at) {
                *byte = numbers.byte();
            }
        }
        // Lengths that lie are the classic mistake: also cut and stretch it.
        damaged.truncate(numbers.below(damaged.len() + 1));
        damaged.extend(numbers.bytes(50));
        let _ = detect::client_hello(&damaged);
        let _ = detect::http(&damaged);
    }
}

/// Reads a transport header from bytes that are all there; returns what is left of them.
fn read_header(mut bytes: &[u8]) -> (std::io::Result<Header>, &[u8]) {
    let read = transport::read(&mut bytes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let header = runtime.block_on(read);
    (header, bytes)
}

fn written(header: &Header) -> Vec<u8> {
    let mut bytes = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime
        .block_on(transport::write(&mut bytes, header))
        .expect("room");
    bytes
}

#[test]
fn transport_headers_survive_and_leave_what_follows() {
    let mut numbers = Numbers::new(7);
    for _ in 0..INPUTS / 20 {
        let name: String = (0..numbers.below(250))
            .map(|_| char::from(b'a' + numbers.byte() % 26))
            .collect();
        let protocols = [None, Some(HttpVersion::Http1), Some(HttpVersion::H2)];
        let header = Header {
            port: u16::try_from(1 + numbers.below(65_535)).expect("a port"),
            name: (!name.is_empty()).then_some(name),
            protocol: *numbers.pick(&protocols),
        };
        let follows = numbers.bytes(100);
        let wire = [written(&header), follows.clone()].concat();
        let (read, rest) = read_header(&wire);
        assert_eq!(read.expect("a header"), header);
        assert_eq!(rest, follows);
    }
}

#[test]
fn damaged_transport_headers_are_errors_or_other_headers_never_more() {
    let header = Header {
        port: 8080,
        name: Some("web.default.svc.cluster.local".to_owned()),
        protocol: None,
    };
    let whole = written(&header);
    for end in 0..whole.len() {
        let (read, _) = read_header(whole.get(..end).unwrap_or_default());
        assert!(read.is_err(), "{end} of {} bytes are enough", whole.len());
    }
    let mut numbers = Numbers::new(8);
    for _ in 0..INPUTS / 20 {
        let mut damaged = whole.clone();
        for _ in 0..=numbers.below(3) {
            let at = numbers.below(damaged.len());
            if let Some(byte) = damaged.get_mut(at) {
                *byte = numbers.byte();
            }
        }
        damaged.extend(numbers.bytes(2_000));
        let (read, _) = read_header(&damaged);
        assert!(read.is_err() || read.is_ok_and(|header| header.port != 0));
    }
}
