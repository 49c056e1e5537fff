//! Matches from the wire. What cannot be read matches nothing.

use http::{HeaderName, HeaderValue, Method};
use regex::{Regex, RegexBuilder};

use super::{GrpcMatch, HeaderMatch, Host, HttpMatch, PathMatch, QueryMatch};
use crate::pb::{
    grpc_route,
    http_route::{self, header_match, host_match, path_match, query_param_match},
    http_types::{self, http_method},
};

/// A compiled expression may take this much memory.
const REGEX_LIMIT: usize = 256 * 1024;

/// An expression that must match the whole text, so that leftmost-first choices cannot end early.
fn regex(text: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(REGEX_LIMIT)
        .build()
        .ok()
}

impl Host {
    /// The host of a `HostMatch`; `None` for an unknown kind.
    pub(crate) fn from_wire(wire: &http_route::HostMatch) -> Option<Self> {
        Some(match wire.r#match.as_ref()? {
            host_match::Match::Exact(name) => {
                Self::Exact(name.trim_end_matches('.').to_ascii_lowercase())
            }
            host_match::Match::Suffix(suffix) => Self::suffix(&suffix.reverse_labels),
        })
    }

    /// Every name below the one with these labels, given from the right.
    pub(crate) fn suffix(reverse_labels: &[String]) -> Self {
        let labels: Vec<_> = reverse_labels
            .iter()
            .rev()
            .map(|l| l.to_ascii_lowercase())
            .collect();
        Self::Suffix(format!(".{}", labels.join(".")))
    }
}

impl HttpMatch {
    /// The conditions of an `HttpRouteMatch`.
    pub(crate) fn from_wire(wire: &http_route::HttpRouteMatch) -> Self {
        Self::try_from_wire(wire).unwrap_or_else(|| Self {
            never: true,
            ..Self::default()
        })
    }

    fn try_from_wire(wire: &http_route::HttpRouteMatch) -> Option<Self> {
        Some(Self {
            path: match &wire.path {
                Some(path) => Some(PathMatch::from_wire(path)?),
                None => None,
            },
            headers: wire
                .headers
                .iter()
                .map(HeaderMatch::from_wire)
                .collect::<Option<_>>()?,
            query: wire
                .query_params
                .iter()
                .map(QueryMatch::from_wire)
                .collect::<Option<_>>()?,
            method: match &wire.method {
                Some(method) => Some(method_from_wire(method)?),
                None => None,
            },
            never: false,
        })
    }
}

impl GrpcMatch {
    /// The conditions of a `GrpcRouteMatch`.
    pub(crate) fn from_wire(wire: &grpc_route::GrpcRouteMatch) -> Self {
        let headers: Option<_> = wire.headers.iter().map(HeaderMatch::from_wire).collect();
        let Some(headers) = headers else {
            return Self {
                never: true,
                ..Self::default()
            };
        };
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Self {
            service: wire.rpc.as_ref().and_then(|rpc| some(&rpc.service)),
            method: wire.rpc.as_ref().and_then(|rpc| some(&rpc.method)),
            headers,
            never: false,
        }
    }
}

impl PathMatch {
    fn from_wire(wire: &http_route::PathMatch) -> Option<Self> {
        Some(match wire.kind.as_ref()? {
            path_match::Kind::Exact(path) => Self::Exact(path.clone()),
            path_match::Kind::Prefix(prefix) => {
                Self::Prefix(prefix.trim_end_matches('/').to_owned())
            }
            path_match::Kind::Regex(text) => Self::Regex(regex(text)?),
        })
    }
}

impl HeaderMatch {
    fn from_wire(wire: &http_route::HeaderMatch) -> Option<Self> {
        let name = HeaderName::from_bytes(wire.name.as_bytes()).ok()?;
        Some(match wire.value.as_ref()? {
            header_match::Value::Exact(value) => {
                Self::Exact(name, HeaderValue::from_bytes(value).ok()?)
            }
            header_match::Value::Regex(text) => Self::Regex(name, regex(text)?),
        })
    }
}

impl QueryMatch {
    fn from_wire(wire: &http_route::QueryParamMatch) -> Option<Self> {
        let name = wire.name.clone();
        Some(match wire.value.as_ref()? {
            query_param_match::Value::Exact(value) => Self::Exact(name, value.clone()),
            query_param_match::Value::Regex(text) => Self::Regex(name, regex(text)?),
        })
    }
}

/// The method of an `HttpMethod`.
pub(crate) fn method_from_wire(wire: &http_types::HttpMethod) -> Option<Method> {
    use http_method::Registered as R;
    match wire.r#type.as_ref()? {
        http_method::Type::Registered(number) => Some(match R::try_from(*number).ok()? {
            R::Get => Method::GET,
            R::Post => Method::POST,
            R::Put => Method::PUT,
            R::Delete => Method::DELETE,
            R::Patch => Method::PATCH,
            R::Options => Method::OPTIONS,
            R::Connect => Method::CONNECT,
            R::Head => Method::HEAD,
            R::Trace => Method::TRACE,
        }),
        http_method::Type::Unregistered(name) => Method::from_bytes(name.as_bytes()).ok(),
    }
}
