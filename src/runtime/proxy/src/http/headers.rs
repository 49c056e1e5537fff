//! Header hygiene: what ends at one hop, what only the proxies may say to each other, and how
//! HTTP/1 travels in HTTP/2.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version,
    header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery, Scheme},
};

/// The verified identity of the client, from the inbound proxy to the application.
pub const CLIENT_ID: HeaderName = HeaderName::from_static("l5d-client-id");
/// The version that a message had before it travelled in HTTP/2.
pub const ORIG_PROTO: HeaderName = HeaderName::from_static("l5d-orig-proto");
/// Why the proxy made this response itself.
pub const PROXY_ERROR: HeaderName = HeaderName::from_static("l5d-proxy-error");
/// `close`: the peer's application connection is to be closed.
pub const PROXY_CONNECTION: HeaderName = HeaderName::from_static("l5d-proxy-connection");
/// The logical name that the client's proxy resolved.
pub const DST_CANONICAL: HeaderName = HeaderName::from_static("l5d-dst-canonical");
/// The identity that the application demands of the server.
pub const REQUIRE_ID: HeaderName = HeaderName::from_static("l5d-require-id");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION_H1: HeaderName = HeaderName::from_static("proxy-connection");
const ABSOLUTE_FORM: &str = "; absolute-form";

/// A request that cannot be carried on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    #[error("the request's host is not valid")]
    Host,
    #[error("the request names no host")]
    NoHost,
    #[error("the request names more than one host")]
    TwoHosts,
    #[error("the request's target holds user information")]
    UserInfo,
    #[error("the request has two lengths")]
    TwoLengths,
    #[error("the request's method differs from a standard one in case only")]
    Method,
    #[error("the request's path can be read in more than one way, and policy depends on it")]
    Path,
    #[error("the request's target is not valid")]
    Target,
}

/// Removes what concerns one connection only: `Connection` and what it lists, and its like
/// (RFC 9110 section 7.6.1).
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let listed: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
            .filter(|name| !is_protected(name))
            .collect();
        for name in listed {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION_H1);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(UPGRADE);
    // In HTTP/2 `TE` may say nothing but trailers (RFC 9113 section 8.2.2).
    if let Some(te) = headers.get(TE)
        && te.as_bytes() != b"trailers"
    {
        let trailers = te
            .to_str()
            .is_ok_and(|t| t.split(',').any(|t| t.trim() == "trailers"));
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
}

/// What a message is and who sent it is not for one connection to take away.
fn is_protected(name: &HeaderName) -> bool {
    *name == HOST || *name == http::header::CONTENT_LENGTH || name.as_str().starts_with("l5d-")
}

/// Whether an HTTP/1 request asks for a tunnel, which HTTP/2 streams do not carry.
pub fn is_upgrade<B>(request: &Request<B>) -> bool {
    request.version() <= Version::HTTP_11
        && (request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE))
}

/// Puts an HTTP/1 request into the form in which it travels in HTTP/2. `fallback` stands in for a
/// host that an HTTP/1.0 request does not name.
pub fn into_orig_proto<B>(
    request: &mut Request<B>,
    fallback: &Authority,
) -> Result<(), BadRequest> {
    let is_absolute = request.uri().authority().is_some();
    let proto = match (request.version(), is_absolute) {
        (Version::HTTP_10, false) => HeaderValue::from_static("HTTP/1.0"),
        (Version::HTTP_10, true) => HeaderValue::from_static("HTTP/1.0; absolute-form"),
        (_, false) => HeaderValue::from_static("HTTP/1.1"),
        (_, true) => HeaderValue::from_static("HTTP/1.1; absolute-form"),
    };
    if is_absolute {
        request.headers_mut().remove(HOST);
    } else {
        let authority = match request.headers_mut().remove(HOST) {
            Some(host) => Authority::try_from(host.as_bytes()).map_err(|_| BadRequest::Host)?,
            None => fallback.clone(),
        };
        set_authority(request, authority)?;
    }
    strip_hop_by_hop(request.headers_mut());
    request.headers_mut().insert(ORIG_PROTO, proto);
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

/// Gives the target a scheme and this authority.
pub fn set_authority<B>(request: &mut Request<B>, authority: Authority) -> Result<(), BadRequest> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme.get_or_insert(Scheme::HTTP);
    parts.authority = Some(authority);
    parts
        .path_and_query
        .get_or_insert_with(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| BadRequest::Target)?;
    Ok(())
}

/// Undoes `into_orig_proto`. Returns whether the request had been HTTP/1.
pub fn from_orig_proto<B>(request: &mut Request<B>) -> Result<bool, BadRequest> {
    let Some(proto) = request.headers_mut().remove(ORIG_PROTO) else {
        return Ok(false);
    };
    let proto = proto.to_str().unwrap_or_default();
    let is_absolute = proto.ends_with(ABSOLUTE_FORM);
    *request.version_mut() = if proto.starts_with("HTTP/1.0") {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
    {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| BadRequest::Host)?;
        request.headers_mut().insert(HOST, host);
    }
    if !is_absolute {
        into_origin_form(request)?;
    }
    Ok(true)
}

/// Reduces the target to path and query.
fn into_origin_form<B>(request: &mut Request<B>) -> Result<(), BadRequest> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = None;
    parts.authority = None;
    parts
        .path_and_query
        .get_or_insert_with(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| BadRequest::Target)?;
    Ok(())
}

/// Marks an HTTP/1 response for its way in HTTP/2.
pub fn response_into_orig_proto<B>(response: &mut Response<B>) {
    let proto = match response.version() {
        Version::HTTP_10 => HeaderValue::from_static("HTTP/1.0"),
        _ => HeaderValue::from_static("HTTP/1.1"),
    };
    strip_hop_by_hop(response.headers_mut());
    response.headers_mut().insert(ORIG_PROTO, proto);
    *response.version_mut() = Version::HTTP_2;
}

/// Undoes `response_into_orig_proto`.
pub fn response_from_orig_proto<B>(response: &mut Response<B>) {
    response.headers_mut().remove(ORIG_PROTO);
    *response.version_mut() = Version::HTTP_11;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().version(version).uri(uri);
        let builder = headers.iter().fold(builder, |b, (n, v)| b.header(*n, *v));
        builder.body(()).unwrap()
    }

    fn fallback() -> Authority {
        Authority::from_static("10.0.0.1:80")
    }

    #[test]
    fn http1_comes_back_as_it_was() {
        for (version, uri, headers) in [
            (
                Version::HTTP_11,
                "/a?b=c",
                &[("host", "web:80"), ("x", "y")][..],
            ),
            (Version::HTTP_11, "http://web:80/a", &[("x", "y")]),
            (Version::HTTP_10, "/a", &[("host", "web")]),
            (Version::HTTP_11, "*", &[("host", "web")]),
        ] {
            let mut r = request(version, uri, headers);
            into_orig_proto(&mut r, &fallback()).unwrap();
            assert_eq!(r.version(), Version::HTTP_2);
            assert_eq!(r.uri().scheme_str(), Some("http"));
            assert!(r.uri().authority().is_some() && !r.headers().contains_key(HOST));
            assert!(from_orig_proto(&mut r).unwrap());
            assert_eq!((r.version(), r.uri().to_string().as_str()), (version, uri));
            assert_eq!(
                r.headers()[HOST].to_str().unwrap().split(':').next(),
                Some("web")
            );
            assert!(!r.headers().contains_key(ORIG_PROTO));
        }
    }

    #[test]
    fn nobody_lists_away_what_routes_frames_or_identifies() {
        let mut r = request(
            Version::HTTP_11,
            "/",
            &[
                ("host", "a"),
                ("content-length", "1"),
                ("l5d-client-id", "x"),
                ("connection", "host, content-length, l5d-client-id, x-mine"),
                ("x-mine", "y"),
            ],
        );
        strip_hop_by_hop(r.headers_mut());
        let left: Vec<_> = r.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "content-length", "l5d-client-id"]);
    }

    #[test]
    fn a_request_without_a_host_gets_the_address() {
        let mut r = request(Version::HTTP_10, "/", &[]);
        into_orig_proto(&mut r, &fallback()).unwrap();
        assert_eq!(r.uri().authority(), Some(&fallback()));
        let mut r = request(Version::HTTP_11, "/", &[("host", "not valid")]);
        assert_eq!(into_orig_proto(&mut r, &fallback()), Err(BadRequest::Host));
    }

    #[test]
    fn hop_by_hop_headers_end_here() {
        let mut r = request(
            Version::HTTP_11,
            "/",
            &[
                ("connection", "close, X-Mine"),
                ("x-mine", "1"),
                ("keep-alive", "timeout=5"),
                ("transfer-encoding", "chunked"),
                ("te", "gzip, trailers"),
                ("x-other", "2"),
            ],
        );
        strip_hop_by_hop(r.headers_mut());
        let names: Vec<_> = r.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(r.headers()["te"], "trailers");
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn tunnels_are_told_from_requests() {
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert!(is_upgrade(&request(Version::HTTP_11, "/", &upgrade)));
        assert!(!is_upgrade(&request(Version::HTTP_2, "/", &upgrade)));
        assert!(!is_upgrade(&request(Version::HTTP_11, "/", &[])));
    }
}
