//! One reading of each request. What policy and routing judge is what goes upstream, so that a
//! request that can be read in two ways is refused, or put into the one form before anyone looks.
//!
//! The rules:
//!
//! 1. A request is for one host. Of an absolute target it is the target's (RFC 9112 section
//!    3.2.2), and `Host` is made to say the same; of HTTP/2 it is `:authority`, and a `Host` beside
//!    it must not differ (RFC 9113 section 8.3.1). Several `Host` headers, one that is no valid
//!    host, an HTTP/1.1 request without any, and user information in the target are refused.
//! 2. A message has one length: `Content-Length` beside `Transfer-Encoding` is refused (RFC 9112
//!    section 6.1).
//! 3. A method that differs from a standard one in case only is refused (RFC 9110 section 9.1).
//! 4. A target has no fragment (RFC 9112 section 3.2).
//! 5. Where a route that someone wrote has a condition on the path, a path with dot segments or
//!    encoded slashes is refused (`is_ambiguous_path`, applied by inbound policy). Elsewhere paths
//!    go through as they are.

use http::{
    HeaderMap, HeaderValue, Method, Request, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    uri::Authority,
};

use super::headers::{self, BadRequest};

/// Puts a request into its one form, or refuses it.
pub fn canonicalize<B>(request: &mut Request<B>) -> Result<(), BadRequest> {
    check_method(request.method())?;
    check_length(request.headers())?;
    let in_header = host_header(request.headers())?;
    let in_target = match request.uri().authority() {
        Some(authority) if authority.as_str().contains('@') => return Err(BadRequest::UserInfo),
        Some(authority) => Some(authority.clone()),
        None => None,
    };
    if request.version() == Version::HTTP_2 {
        return canonicalize_h2(request, in_target, in_header);
    }
    match (in_target, in_header) {
        (None, Some(_)) => Ok(()),
        (None, None) if request.version() == Version::HTTP_10 => Ok(()),
        (None, None) => Err(BadRequest::NoHost),
        (Some(target), Some(header)) if target == header => Ok(()),
        (Some(target), _) => {
            let host = HeaderValue::from_str(target.as_str()).map_err(|_| BadRequest::Host)?;
            request.headers_mut().insert(HOST, host);
            Ok(())
        }
    }
}

fn canonicalize_h2<B>(
    request: &mut Request<B>,
    in_target: Option<Authority>,
    in_header: Option<Authority>,
) -> Result<(), BadRequest> {
    match (in_target, in_header) {
        (Some(_), None) => return Ok(()),
        (Some(target), Some(header)) if target == header => {}
        (Some(_), Some(_)) => return Err(BadRequest::TwoHosts),
        (None, Some(header)) => headers::set_authority(request, header)?,
        (None, None) => return Err(BadRequest::NoHost),
    }
    request.headers_mut().remove(HOST);
    Ok(())
}

/// The one `Host`, which must be a host and at most a port.
fn host_header(headers: &HeaderMap) -> Result<Option<Authority>, BadRequest> {
    let mut all = headers.get_all(HOST).iter();
    let Some(host) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(BadRequest::TwoHosts);
    }
    let authority = Authority::try_from(host.as_bytes()).map_err(|_| BadRequest::Host)?;
    if authority.as_str().contains('@') {
        return Err(BadRequest::UserInfo);
    }
    Ok(Some(authority))
}

fn check_length(headers: &HeaderMap) -> Result<(), BadRequest> {
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(BadRequest::TwoLengths);
    }
    Ok(())
}

fn check_method(method: &Method) -> Result<(), BadRequest> {
    const STANDARD: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::CONNECT,
        Method::PATCH,
        Method::TRACE,
    ];
    if STANDARD.contains(method) {
        return Ok(());
    }
    let is_near = |standard: &Method| standard.as_str().eq_ignore_ascii_case(method.as_str());
    if STANDARD.iter().any(is_near) {
        Err(BadRequest::Method)
    } else {
        Ok(())
    }
}

/// Whether servers read this path differently: dot segments, plain or encoded, encoded slashes,
/// backslashes.
pub fn is_ambiguous_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    if lower.contains('\\') || lower.contains("%2f") || lower.contains("%5c") {
        return true;
    }
    lower.split('/').any(|segment| {
        matches!(
            segment.replace("%2e", ".").split(';').next(),
            Some("." | "..")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(
        version: Version,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Option<String>, Vec<String>), BadRequest> {
        let builder = Request::builder().version(version).method(method).uri(uri);
        let mut request = headers
            .iter()
            .fold(builder, |b, (n, v)| b.header(*n, *v))
            .body(())
            .unwrap();
        canonicalize(&mut request)?;
        let authority = request.uri().authority().map(ToString::to_string);
        let hosts = request.headers().get_all(HOST).iter();
        Ok((
            authority,
            hosts.map(|h| h.to_str().unwrap().to_owned()).collect(),
        ))
    }

    fn h1(uri: &str, hosts: &[&str]) -> Result<(Option<String>, Vec<String>), BadRequest> {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        canonical(Version::HTTP_11, "GET", uri, &headers)
    }

    fn h2(uri: &str, hosts: &[&str]) -> Result<(Option<String>, Vec<String>), BadRequest> {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        canonical(Version::HTTP_2, "GET", uri, &headers)
    }

    #[test]
    fn a_request_has_one_host() {
        let host = |name: &str| vec![name.to_owned()];
        assert_eq!(h1("/", &["web"]), Ok((None, host("web"))));
        assert_eq!(h1("/", &["web:80"]), Ok((None, host("web:80"))));
        assert_eq!(
            h1("http://a/", &["b"]),
            Ok((Some("a".to_owned()), host("a")))
        );
        assert_eq!(h1("http://a/", &[]), Ok((Some("a".to_owned()), host("a"))));
        assert_eq!(h1("/", &["a", "b"]), Err(BadRequest::TwoHosts));
        assert_eq!(h1("/", &["a", "a"]), Err(BadRequest::TwoHosts));
        assert_eq!(h1("/", &[]), Err(BadRequest::NoHost));
        assert_eq!(h1("http://u@a/", &["a"]), Err(BadRequest::UserInfo));
        for invalid in ["", "a, b", "a/b", "a#b", "a b", "a:b:c"] {
            assert!(h1("/", &[invalid]).is_err(), "{invalid}");
        }
        assert_eq!(
            canonical(Version::HTTP_10, "GET", "/", &[]),
            Ok((None, vec![]))
        );
    }

    #[test]
    fn http2_has_its_host_in_the_authority() {
        let a = || Some("a".to_owned());
        assert_eq!(h2("http://a/", &[]), Ok((a(), vec![])));
        assert_eq!(h2("http://a/", &["A"]), Ok((a(), vec![])));
        assert_eq!(h2("/", &["a"]), Ok((a(), vec![])));
        assert_eq!(h2("http://a/", &["b"]), Err(BadRequest::TwoHosts));
        assert_eq!(h2("/", &[]), Err(BadRequest::NoHost));
    }

    #[test]
    fn lengths_and_methods_are_of_one_kind() {
        let both = [
            ("host", "a"),
            ("content-length", "1"),
            ("transfer-encoding", "chunked"),
        ];
        assert_eq!(
            canonical(Version::HTTP_11, "POST", "/", &both),
            Err(BadRequest::TwoLengths)
        );
        let host = [("host", "a")];
        assert_eq!(
            canonical(Version::HTTP_11, "get", "/", &host),
            Err(BadRequest::Method)
        );
        assert_eq!(
            canonical(Version::HTTP_11, "Post", "/", &host),
            Err(BadRequest::Method)
        );
        assert!(canonical(Version::HTTP_11, "purge", "/", &host).is_ok());
    }

    #[test]
    fn ambiguous_paths_are_known() {
        for path in [
            "/a/../b",
            "/..",
            "/a/./b",
            "/%2e%2E/x",
            "/.%2e",
            "/a%2Fb",
            "/a\\b",
            "/a/..;x/b",
        ] {
            assert!(is_ambiguous_path(path), "{path}");
        }
        for path in [
            "/",
            "/a/b",
            "/a//b",
            "/.well-known/x",
            "/a..b",
            "/...",
            "/a%20b",
        ] {
            assert!(!is_ambiguous_path(path), "{path}");
        }
    }
}
