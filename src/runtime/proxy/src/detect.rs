//! What protocol a connection speaks, told from its first bytes. Pure: bytes in, verdict out, and
//! the same bytes in smaller pieces give the same verdict.

mod client_hello;

pub use self::client_hello::{ClientHello, client_hello};

/// No first line, preface or hello is waited for beyond this many bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// The answer of a detector to the bytes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Enough bytes to be sure.
    Is(T),
    /// Not this.
    No,
    /// Not yet known. `likely` tells bytes that only this protocol begins with from bytes that
    /// merely do not contradict it: for these it is not worth waiting long.
    More { likely: bool },
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    Http1,
    H2,
}

/// How an HTTP/2 connection begins, RFC 9113 section 3.4; the first 14 octets are enough.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// Methods that make an unfinished first line look like HTTP: RFC 9110, RFC 5789, RFC 4918.
const METHODS: &[&[u8]] = &[
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"SEARCH ",
    b"REPORT ",
    b"PURGE ",
];

/// Whether `bytes` begin an HTTP connection, and of which version.
pub fn http(bytes: &[u8]) -> Verdict<HttpVersion> {
    if bytes.is_empty() {
        return Verdict::More { likely: false };
    }
    if bytes.starts_with(H2_PREFACE) {
        return Verdict::Is(HttpVersion::H2);
    }
    if H2_PREFACE.starts_with(bytes) {
        return Verdict::More { likely: true };
    }
    let window = bytes.get(..MAX_BYTES).unwrap_or(bytes);
    match window.iter().position(|b| *b == b'\n') {
        Some(end) => match window.get(..end) {
            Some(line) if is_request_line(line) => Verdict::Is(HttpVersion::Http1),
            _ => Verdict::No,
        },
        None => unfinished_line(bytes),
    }
}

/// `method SP target SP HTTP/1.x CR`, RFC 9112 section 3, without its LF.
fn is_request_line(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    is_token(method) && is_target(target) && matches!(version, b"HTTP/1.1" | b"HTTP/1.0")
}

fn unfinished_line(bytes: &[u8]) -> Verdict<HttpVersion> {
    let likely = METHODS
        .iter()
        .any(|m| bytes.starts_with(m) || m.starts_with(bytes));
    let mut parts = bytes.splitn(2, |b| *b == b' ');
    let method = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    let possible = (is_token(method) && method.len() <= 32)
        && rest
            .iter()
            .all(|b| (b' '..0x7f).contains(b) || *b >= 0x80 || *b == b'\r');
    if !possible {
        return Verdict::No;
    }
    if bytes.len() >= MAX_BYTES {
        // A target this long is HTTP of a kind that the server refuses by itself.
        return if likely {
            Verdict::Is(HttpVersion::Http1)
        } else {
            Verdict::No
        };
    }
    Verdict::More { likely }
}

/// A token of RFC 9110 section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

fn is_target(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| (0x21..0x7f).contains(b) || *b >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_http() {
        for (bytes, version) in [
            (&b"GET / HTTP/1.1\r\n"[..], HttpVersion::Http1),
            (
                b"POST /a?b=c HTTP/1.0\r\nHost: x\r\n\r\n",
                HttpVersion::Http1,
            ),
            (b"FROB * HTTP/1.1\n", HttpVersion::Http1),
            (b"CONNECT a:443 HTTP/1.1\r\n", HttpVersion::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", HttpVersion::H2),
        ] {
            assert_eq!(http(bytes), Verdict::Is(version), "{bytes:?}");
        }
    }

    #[test]
    fn knows_what_is_not_http() {
        for bytes in [
            &b"\x16\x03\x01"[..],
            b"\0",
            b"get key\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"EHLO example.com\r\n",
            b"GET / HTTP/3\r\n",
            b"GET  / HTTP/1.1\r\n",
            b"\r\nGET / HTTP/1.1\r\n",
            b"(\0",
            b"SSH-2.0-x\r\n",
        ] {
            assert_eq!(http(bytes), Verdict::No, "{bytes:?}");
        }
    }

    #[test]
    fn an_unfinished_line_is_likely_with_a_known_method_only() {
        assert_eq!(http(b""), Verdict::More { likely: false });
        for bytes in [
            &b"G"[..],
            b"GET /some",
            b"PRI * HTT",
            b"PROPFIND /x HTTP/1.",
            b"POST / HTTP/1.1\r",
        ] {
            assert_eq!(http(bytes), Verdict::More { likely: true }, "{bytes:?}");
        }
        for bytes in [&b"PING"[..], b"AUTH x", b"abc"] {
            assert_eq!(http(bytes), Verdict::More { likely: false }, "{bytes:?}");
        }
    }

    #[test]
    fn a_long_first_line_is_decided_at_the_limit() {
        let mut line = b"GET /".to_vec();
        line.resize(MAX_BYTES, b'a');
        assert_eq!(http(&line), Verdict::Is(HttpVersion::Http1));
        let mut line = b"FROB /".to_vec();
        line.resize(MAX_BYTES, b'a');
        assert_eq!(http(&line), Verdict::No);
    }

    #[test]
    fn pieces_give_the_same_verdict_as_the_whole() {
        for whole in [
            &b"GET /x HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\n",
            b"EHLO a b c\r\n",
        ] {
            let last = http(whole);
            for end in 0..whole.len() {
                let verdict = http(&whole[..end]);
                assert!(
                    matches!(verdict, Verdict::More { .. }) || verdict == last,
                    "{end}"
                );
            }
        }
    }
}
