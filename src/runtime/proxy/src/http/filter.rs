//! What routes do to messages: changed headers, redirects, injected failures.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, HOST, LOCATION},
    uri::{PathAndQuery, Scheme, Uri},
};

use super::{Body, Fault};
use crate::{
    pb::{http_route, http_types},
    rng::Rng,
};

/// One filter of a route or backend.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    Fail(Failure),
    RequestHeaders(Modifier),
    ResponseHeaders(Modifier),
    Redirect(Redirect),
    /// Of a kind that is not known: the request cannot be let through as if it were not there.
    Unknown,
}

/// A share of requests that are answered with a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// Of `denominator` requests this many fail.
    pub numerator: u32,
    pub denominator: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Http(StatusCode),
    /// A gRPC status, 0 to 16.
    Grpc(u16),
}

/// Changes of headers: what is set replaces, what is added is appended, then some are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modifier {
    pub set: Vec<(HeaderName, HeaderValue)>,
    pub add: Vec<(HeaderName, HeaderValue)>,
    pub remove: Vec<HeaderName>,
}

/// Sends the client elsewhere. What is not given stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub scheme: Option<Scheme>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub path: Option<PathModifier>,
    pub status: StatusCode,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathModifier {
    Full(String),
    /// In place of the prefix that the route matched.
    Prefix(String),
}

/// Applies filters to a request in their order. `Some` is the response to give in its place.
pub fn apply_to_request(
    filters: &[Filter],
    request: &mut Request<Body>,
    matched_prefix: Option<&str>,
    rng: &Rng,
) -> Result<Option<Response<Body>>, Fault> {
    for filter in filters {
        match filter {
            Filter::Fail(failure) if failure.strikes(rng) => return Ok(Some(failure.respond())),
            Filter::Fail(_) | Filter::ResponseHeaders(_) => {}
            Filter::RequestHeaders(modifier) => modifier.apply_to_request(request),
            Filter::Redirect(redirect) => {
                return redirect.respond(request, matched_prefix).map(Some);
            }
            Filter::Unknown => return Err(Fault::InvalidPolicy),
        }
    }
    Ok(None)
}

/// Applies filters to a response.
pub fn apply_to_response(filters: &[Filter], response: &mut Response<Body>) {
    for filter in filters {
        if let Filter::ResponseHeaders(modifier) = filter {
            modifier.apply(response.headers_mut());
        }
    }
}

// === impl Failure ===

impl Failure {
    fn strikes(&self, rng: &Rng) -> bool {
        let denominator = usize::try_from(self.denominator).unwrap_or(usize::MAX);
        let numerator = usize::try_from(self.numerator).unwrap_or(usize::MAX);
        rng.below(denominator.max(1)) < numerator
    }

    fn respond(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        match self.kind {
            FailureKind::Http(status) => {
                *response.status_mut() = status;
                *response.body_mut() = Body::full(Bytes::from(self.message.clone()));
            }
            FailureKind::Grpc(code) => {
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert("grpc-status", HeaderValue::from(code));
                if let Ok(message) = HeaderValue::from_str(&self.message) {
                    headers.insert("grpc-message", message);
                }
            }
        }
        response
    }

    /// Without a ratio every request fails.
    pub fn from_wire(kind: FailureKind, message: &str, ratio: Option<&http_route::Ratio>) -> Self {
        let (numerator, denominator) =
            ratio.map_or((1, 1), |ratio| (ratio.numerator, ratio.denominator));
        Self {
            kind,
            message: message.to_owned(),
            numerator,
            denominator,
        }
    }
}

// === impl Modifier ===

impl Modifier {
    fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }

    /// `Host` is where HTTP/1 keeps what HTTP/2 and absolute targets have in the authority.
    fn apply_to_request(&self, request: &mut Request<Body>) {
        self.apply(request.headers_mut());
        let host = self.set.iter().find(|(name, _)| name == HOST);
        if let Some((_, host)) = host
            && request.uri().authority().is_some()
            && let Ok(authority) = http::uri::Authority::try_from(host.as_bytes())
        {
            // A valid authority in place of a valid one cannot fail.
            let _ = super::headers::set_authority(request, authority);
            if request.version() == http::Version::HTTP_2 {
                request.headers_mut().remove(HOST);
            }
        }
    }

    /// `None` when a name or value is no legal header: nothing of it can be applied safely.
    pub fn from_wire(
        add: Option<&http_types::Headers>,
        set: Option<&http_types::Headers>,
        remove: &[String],
    ) -> Option<Self> {
        Some(Self {
            add: pairs(add)?,
            set: pairs(set)?,
            remove: remove
                .iter()
                .map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
                .collect::<Option<_>>()?,
        })
    }
}

fn pairs(headers: Option<&http_types::Headers>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let headers = headers.map_or(&[][..], |headers| &headers.headers);
    headers
        .iter()
        .map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(&header.value).ok()?))
        })
        .collect()
}

// === impl Redirect ===

impl Redirect {
    fn respond(
        &self,
        request: &Request<Body>,
        matched_prefix: Option<&str>,
    ) -> Result<Response<Body>, Fault> {
        let location = self
            .location(request, matched_prefix)
            .ok_or(Fault::InvalidPolicy)?;
        let location =
            HeaderValue::from_str(&location.to_string()).map_err(|_| Fault::InvalidPolicy)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location);
        Ok(response)
    }

    fn location(&self, request: &Request<Body>, matched_prefix: Option<&str>) -> Option<Uri> {
        let uri = request.uri();
        let authority = match uri.authority() {
            Some(authority) => authority.as_str().to_owned(),
            None => request.headers().get(HOST)?.to_str().ok()?.to_owned(),
        };
        let known: http::uri::Authority = authority.parse().ok()?;
        let host = self.host.as_deref().unwrap_or_else(|| known.host());
        let scheme = self.scheme.clone().or_else(|| uri.scheme().cloned());
        let scheme = scheme.unwrap_or(Scheme::HTTP);
        let well_known = if scheme == Scheme::HTTPS { 443 } else { 80 };
        // A new scheme means its own port unless one is given.
        let port = match (self.port, &self.scheme) {
            (Some(port), _) => Some(port),
            (None, Some(_)) => None,
            (None, None) => known.port_u16(),
        };
        let authority = match port.filter(|port| *port != well_known) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path_and_query = match &self.path {
            None => uri.path_and_query()?.clone(),
            Some(path) => {
                let path = path.apply(uri.path(), matched_prefix);
                let text = match uri.query() {
                    Some(query) => format!("{path}?{query}"),
                    None => path,
                };
                PathAndQuery::try_from(text).ok()?
            }
        };
        Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(path_and_query)
            .build()
            .ok()
    }

    /// The redirect of a `RequestRedirect`; `None` when it cannot be carried out.
    pub fn from_wire(wire: &http_route::RequestRedirect) -> Option<Self> {
        let scheme = match wire.scheme.as_ref().and_then(|s| s.r#type.as_ref()) {
            None => None,
            Some(http_types::scheme::Type::Registered(0)) => Some(Scheme::HTTP),
            Some(http_types::scheme::Type::Registered(1)) => Some(Scheme::HTTPS),
            Some(http_types::scheme::Type::Registered(_)) => return None,
            Some(http_types::scheme::Type::Unregistered(name)) => Some(name.parse().ok()?),
        };
        let status = match wire.status {
            0 => StatusCode::FOUND,
            status => StatusCode::from_u16(u16::try_from(status).ok()?).ok()?,
        };
        Some(Self {
            scheme,
            host: Some(wire.host.clone()).filter(|host| !host.is_empty()),
            port: match wire.port {
                0 => None,
                port => Some(u16::try_from(port).ok()?),
            },
            path: match wire.path.as_ref().and_then(|path| path.replace.as_ref()) {
                None => None,
                Some(http_route::path_modifier::Replace::Full(path)) => {
                    Some(PathModifier::Full(path.clone()))
                }
                Some(http_route::path_modifier::Replace::Prefix(path)) => {
                    Some(PathModifier::Prefix(path.clone()))
                }
            },
            status,
        })
    }
}

impl PathModifier {
    fn apply(&self, path: &str, matched_prefix: Option<&str>) -> String {
        match (self, matched_prefix) {
            (Self::Full(full), _) => full.clone(),
            (Self::Prefix(prefix), Some(matched)) => {
                let rest = path
                    .strip_prefix(matched)
                    .unwrap_or(path)
                    .trim_start_matches('/');
                match (prefix.trim_end_matches('/'), rest) {
                    ("", "") => "/".to_owned(),
                    (prefix, "") => prefix.to_owned(),
                    (prefix, rest) => format!("{prefix}/{rest}"),
                }
            }
            // Without a prefix match there is nothing to replace.
            (Self::Prefix(_), None) => path.to_owned(),
        }
    }
}

// === from the wire ===

/// The failure injector of an HTTP route.
pub fn failure_from_wire(wire: &http_route::HttpFailureInjector) -> Filter {
    let status = u16::try_from(wire.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    match status {
        Some(status) => {
            let kind = FailureKind::Http(status);
            Filter::Fail(Failure::from_wire(kind, &wire.message, wire.ratio.as_ref()))
        }
        None => Filter::Unknown,
    }
}

/// The failure injector of a gRPC route.
pub fn grpc_failure_from_wire(wire: &crate::pb::grpc_route::GrpcFailureInjector) -> Filter {
    match u16::try_from(wire.code) {
        Ok(code) => {
            let kind = FailureKind::Grpc(code);
            Filter::Fail(Failure::from_wire(kind, &wire.message, wire.ratio.as_ref()))
        }
        Err(_) => Filter::Unknown,
    }
}

/// The change of request headers.
pub fn request_headers_from_wire(wire: &http_route::RequestHeaderModifier) -> Filter {
    Modifier::from_wire(wire.add.as_ref(), wire.set.as_ref(), &wire.remove)
        .map_or(Filter::Unknown, Filter::RequestHeaders)
}

/// The change of response headers.
pub fn response_headers_from_wire(wire: &http_route::ResponseHeaderModifier) -> Filter {
    Modifier::from_wire(wire.add.as_ref(), wire.set.as_ref(), &wire.remove)
        .map_or(Filter::Unknown, Filter::ResponseHeaders)
}

/// The redirect.
pub fn redirect_from_wire(wire: &http_route::RequestRedirect) -> Filter {
    Redirect::from_wire(wire).map_or(Filter::Unknown, Filter::Redirect)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> Request<Body> {
        Request::builder()
            .uri(uri)
            .header(HOST, "web:8080")
            .body(Body::empty())
            .unwrap()
    }

    fn location(redirect: &Redirect, uri: &str, prefix: Option<&str>) -> String {
        redirect
            .location(&request(uri), prefix)
            .unwrap()
            .to_string()
    }

    fn same() -> Redirect {
        Redirect {
            scheme: None,
            host: None,
            port: None,
            path: None,
            status: StatusCode::FOUND,
        }
    }

    #[test]
    fn a_redirect_keeps_what_it_does_not_name() {
        assert_eq!(location(&same(), "/a?b", None), "http://web:8080/a?b");
        let https = Redirect {
            scheme: Some(Scheme::HTTPS),
            ..same()
        };
        assert_eq!(location(&https, "/a", None), "https://web/a");
        let port = Redirect {
            scheme: Some(Scheme::HTTPS),
            port: Some(8443),
            ..same()
        };
        assert_eq!(location(&port, "/a", None), "https://web:8443/a");
        let host = Redirect {
            host: Some("other".to_owned()),
            port: Some(80),
            ..same()
        };
        assert_eq!(location(&host, "/", None), "http://other/");
    }

    #[test]
    fn a_prefix_is_replaced_by_segments() {
        let path = |p: &str| Redirect {
            path: Some(PathModifier::Prefix(p.to_owned())),
            ..same()
        };
        for (prefix, uri, expected) in [
            ("/x", "/a/b?c", "http://web:8080/x/b?c"),
            ("/x/", "/a/b", "http://web:8080/x/b"),
            ("/x", "/a", "http://web:8080/x"),
            ("/", "/a/b", "http://web:8080/b"),
            ("/", "/a", "http://web:8080/"),
        ] {
            assert_eq!(location(&path(prefix), uri, Some("/a")), expected);
        }
    }

    #[test]
    fn headers_are_set_added_and_removed() {
        let h = |n: &'static str, v: &'static str| {
            (HeaderName::from_static(n), HeaderValue::from_static(v))
        };
        let modifier = Modifier {
            set: vec![h("a", "2"), h("host", "other")],
            add: vec![h("b", "2")],
            remove: vec![HeaderName::from_static("c")],
        };
        let mut r = Request::builder()
            .uri("http://web/")
            .header("a", "1")
            .header("b", "1")
            .header("c", "1")
            .body(Body::empty())
            .unwrap();
        let filters = [Filter::RequestHeaders(modifier)];
        let rng = Rng::from_seed(1);
        assert!(
            apply_to_request(&filters, &mut r, None, &rng)
                .unwrap()
                .is_none()
        );
        assert_eq!(r.headers()["a"], "2");
        assert_eq!(r.headers().get_all("b").iter().count(), 2);
        assert!(!r.headers().contains_key("c"));
        assert_eq!(r.uri().host(), Some("other"));
    }

    #[test]
    fn a_share_of_requests_fails() {
        let failure = Failure {
            kind: FailureKind::Http(StatusCode::IM_A_TEAPOT),
            message: "no".to_owned(),
            numerator: 1,
            denominator: 4,
        };
        let rng = Rng::from_seed(5);
        let filters = [Filter::Fail(failure)];
        let failed = (0..1000)
            .filter(|_| {
                apply_to_request(&filters, &mut request("/"), None, &rng)
                    .unwrap()
                    .is_some()
            })
            .count();
        assert!((200..300).contains(&failed), "{failed}");
        assert!(apply_to_request(&[Filter::Unknown], &mut request("/"), None, &rng).is_err());
    }
}
