//! Everything that can go wrong with a request, and the one place that makes a response of it.

use std::rc::Rc;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE},
};

use super::{body::Body, headers::BadRequest, headers::PROXY_ERROR, timer::Expired};
use crate::{connect::ConnectError, policy::Denied, tls::TlsError};

/// Why the proxy answers a request itself.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Denied(Rc<Denied>),
    #[error("no route of {0} matches the request")]
    NoRoute(String),
    #[error("{0}")]
    BadRequest(#[from] BadRequest),
    #[error("{0}")]
    Connect(Rc<ConnectError>),
    #[error("{0} has no endpoint that can be used")]
    NoEndpoints(String),
    #[error("the connection broke before the response came: {0}")]
    Upstream(String),
    #[error("the server reset the stream: {0}")]
    Reset(h2::Reason),
    #[error("the server did not take the request: {0}")]
    NotTaken(String),
    #[error("the policy of the port cannot be understood")]
    InvalidPolicy,
    #[error("the application demands {required}, the server is {found}")]
    RequiredId { required: String, found: String },
    #[error("too many requests are in flight")]
    Overloaded,
    #[error("{0}")]
    Timeout(Expired),
    #[error("policy forbids connections to {0}")]
    Forbidden(String),
    #[error("the route to {0} is invalid: {1}")]
    InvalidRoute(String, String),
    #[error("policy has come to forbid the request")]
    Revoked,
    #[error("the client's rate is over the limit of {0}")]
    RateLimited(String),
    #[error("{0} has HTTP policy and the connection is not HTTP")]
    NotHttp(String),
    #[error("a connection to the proxy's own port: {0}")]
    NotDirect(&'static str),
}

/// What of a request decides the form of an error.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    grpc: bool,
    version: Version,
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

// === impl Form ===

impl Form {
    /// The form that the sender of `request` understands.
    pub fn of<B>(request: &Request<B>) -> Self {
        let grpc = request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        Self {
            grpc,
            version: request.version(),
        }
    }
}

impl Form {
    /// Whether the client speaks gRPC.
    pub fn is_grpc(self) -> bool {
        self.grpc
    }
}

// === impl Fault ===

impl Fault {
    /// The stable code: the same in headers, logs and `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "MESH_PROXY_DENIED",
            Self::NoRoute(_) => "MESH_PROXY_NO_ROUTE",
            Self::BadRequest(_) => "MESH_PROXY_BAD_REQUEST",
            Self::Connect(error) => connect_code(error),
            Self::NoEndpoints(_) => "MESH_PROXY_NO_ENDPOINTS",
            Self::Upstream(_) => "MESH_PROXY_UPSTREAM_BROKE",
            Self::Reset(_) => "MESH_PROXY_UPSTREAM_RESET",
            Self::NotTaken(_) => "MESH_PROXY_UPSTREAM_REFUSED",
            Self::InvalidPolicy => "MESH_PROXY_INVALID_POLICY",
            Self::RequiredId { .. } => "MESH_PROXY_REQUIRED_ID",
            Self::Overloaded => "MESH_PROXY_OVERLOADED",
            Self::Timeout(expired) => expired.code(),
            Self::Forbidden(_) => "MESH_PROXY_FORBIDDEN",
            Self::InvalidRoute(..) => "MESH_PROXY_INVALID_ROUTE",
            Self::RateLimited(_) => "MESH_PROXY_RATE_LIMITED",
            Self::Revoked => "MESH_PROXY_REVOKED",
            Self::NotHttp(_) => "MESH_PROXY_NOT_HTTP",
            Self::NotDirect(_) => "MESH_PROXY_NOT_DIRECT",
        }
    }

    /// The label of the error counters.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoEndpoints(_) => "failfast",
            Self::Overloaded => "loadshed",
            Self::Connect(_) | Self::Upstream(_) | Self::Reset(_) | Self::NotTaken(_) => "i/o",
            Self::RequiredId { .. } => "identity required",
            Self::Timeout(_) => "response timeout",
            Self::Denied(_)
            | Self::NoRoute(_)
            | Self::BadRequest(_)
            | Self::InvalidPolicy
            | Self::NotHttp(_)
            | Self::NotDirect(_)
            | Self::Forbidden(_)
            | Self::InvalidRoute(..)
            | Self::RateLimited(_)
            | Self::Revoked => "unexpected",
        }
    }

    /// The label of route metrics.
    pub fn route_label(&self) -> &'static str {
        match self {
            Self::NoEndpoints(_) => "FAIL_FAST",
            Self::Overloaded => "LOAD_SHED",
            Self::Timeout(Expired::Request) => "REQUEST_TIMEOUT",
            Self::Timeout(Expired::Try) => "RESPONSE_HEADERS_TIMEOUT",
            Self::Timeout(Expired::Response) => "RESPONSE_STREAM_TIMEOUT",
            Self::Timeout(Expired::Idle) => "IDLE_TIMEOUT",
            Self::Reset(h2::Reason::CANCEL) => "CANCEL",
            Self::Reset(h2::Reason::ENHANCE_YOUR_CALM) => "ENHANCE_YOUR_CALM",
            Self::Reset(_) => "RESET",
            Self::NotTaken(_) => "REFUSED",
            Self::Connect(_) | Self::Upstream(_) => "IO",
            _ => "UNKNOWN",
        }
    }

    /// Whether another try might do better.
    pub fn is_of_the_try(&self) -> bool {
        self.is_of_the_server()
            || matches!(self, Self::NoEndpoints(_) | Self::Timeout(Expired::Try))
    }

    /// The HTTP status and the gRPC status.
    pub fn status(&self) -> (StatusCode, u8) {
        match self {
            Self::Denied(_)
            | Self::NotHttp(_)
            | Self::NotDirect(_)
            | Self::Forbidden(_)
            | Self::Revoked => (StatusCode::FORBIDDEN, 7),
            Self::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, 4),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, 8),
            Self::NoRoute(_) => (StatusCode::NOT_FOUND, 5),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, 13),
            Self::Connect(error) => match &**error {
                ConnectError::Timeout { .. } => (StatusCode::GATEWAY_TIMEOUT, 4),
                ConnectError::Loop { .. } => (StatusCode::LOOP_DETECTED, 10),
                _ => (StatusCode::BAD_GATEWAY, 14),
            },
            Self::NoEndpoints(_) => (StatusCode::GATEWAY_TIMEOUT, 14),
            Self::Upstream(_) | Self::Reset(_) | Self::NotTaken(_) | Self::RequiredId { .. } => {
                (StatusCode::BAD_GATEWAY, 14)
            }
            Self::InvalidPolicy | Self::InvalidRoute(..) => (StatusCode::INTERNAL_SERVER_ERROR, 13),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, 14),
        }
    }

    /// Whether the server (rather than the client or policy) is what failed.
    pub fn is_of_the_server(&self) -> bool {
        matches!(
            self,
            Self::Connect(_) | Self::Upstream(_) | Self::Reset(_) | Self::NotTaken(_)
        )
    }

    /// Whether the server has never seen the request.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Connect(_))
    }

    /// Whether an HTTP/1 connection is to be closed after the response.
    fn closes(&self) -> bool {
        !matches!(
            self,
            Self::Denied(_) | Self::NoRoute(_) | Self::Timeout(_) | Self::RateLimited(_)
        )
    }

    /// The response. `explain` is whether it may say why.
    pub fn respond(&self, form: Form, explain: bool) -> Response<Body> {
        let (status, grpc) = self.status();
        let text = format!("{}: {self}", self.code());
        let text = HeaderValue::from_maybe_shared(Bytes::from(printable(&text)));
        let text = text.unwrap_or(HeaderValue::from_static("MESH_PROXY"));
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        if explain {
            headers.insert(PROXY_ERROR, text.clone());
        }
        if form.grpc {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(grpc)));
            headers.insert(GRPC_MESSAGE, text);
        } else {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            *response.status_mut() = status;
        }
        if self.closes() && form.version <= Version::HTTP_11 {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<ConnectError> for Fault {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Rc::new(error))
    }
}

fn connect_code(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Tcp { .. } => "MESH_PROXY_CONNECT",
        ConnectError::Timeout { .. } => "MESH_PROXY_CONNECT_TIMEOUT",
        ConnectError::UnknownIdentity { .. } => "MESH_PROXY_PEER_IDENTITY",
        ConnectError::Loop { .. } => "MESH_PROXY_LOOP",
        ConnectError::Http { .. } => "MESH_PROXY_UPSTREAM_BROKE",
        ConnectError::Tls { source, .. } => tls_code(source),
    }
}

/// The code of a TLS failure: expired, not yet valid, wrong and untrusted peers are told apart.
pub fn tls_code(error: &TlsError) -> &'static str {
    match error {
        TlsError::WrongIdentity { .. } => "MESH_PROXY_PEER_IDENTITY",
        TlsError::Timeout => "MESH_PROXY_TLS_TIMEOUT",
        TlsError::NoTransport => "MESH_PROXY_TLS_TRANSPORT",
        TlsError::NotReady => "MESH_PROXY_NOT_READY",
        TlsError::Anchors(_) | TlsError::Config(_) => "MESH_PROXY_TLS_CONFIG",
        TlsError::Handshake(error) => {
            let cause = error
                .get_ref()
                .and_then(|e| e.downcast_ref::<rustls::Error>());
            match cause {
                Some(rustls::Error::InvalidCertificate(error)) => certificate_code(error),
                _ => "MESH_PROXY_TLS",
            }
        }
    }
}

fn certificate_code(error: &rustls::CertificateError) -> &'static str {
    use rustls::CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "MESH_PROXY_PEER_EXPIRED",
        E::NotValidYet | E::NotValidYetContext { .. } => "MESH_PROXY_PEER_NOT_YET_VALID",
        E::UnknownIssuer | E::BadSignature => "MESH_PROXY_PEER_UNTRUSTED",
        _ => "MESH_PROXY_PEER_CERTIFICATE",
    }
}

/// Text that may stand in a header: visible ASCII and blanks.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(content_type: &str) -> Form {
        Form::of(
            &Request::builder()
                .header("content-type", content_type)
                .body(())
                .unwrap(),
        )
    }

    #[test]
    fn http_gets_a_status_and_the_code() {
        let response = Fault::NoEndpoints("web".to_owned()).respond(form("text/plain"), true);
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(response.headers()["connection"], "close");
        assert_eq!(
            response.headers()["l5d-proxy-error"],
            "MESH_PROXY_NO_ENDPOINTS: web has no endpoint that can be used"
        );
        let response = Fault::NoRoute("server x".to_owned()).respond(form("text/plain"), false);
        assert!(!response.headers().contains_key("l5d-proxy-error"));
        assert!(!response.headers().contains_key("connection"));
    }

    #[test]
    fn grpc_gets_ok_and_a_grpc_status() {
        let response =
            Fault::Upstream("é\r\nx".to_owned()).respond(form("application/grpc+proto"), true);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(
            response.headers()["grpc-message"],
            "MESH_PROXY_UPSTREAM_BROKE: the connection broke before the response came: ???x"
        );
    }
}
