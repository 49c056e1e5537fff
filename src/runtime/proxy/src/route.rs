//! Which route a request takes: the matches of the Gateway API, most specific first.

mod wire;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use regex::Regex;

/// The host names that a route serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// In lower case.
    Exact(String),
    /// Every name below this one, which is kept with its leading dot.
    Suffix(String),
}

/// Conditions on an HTTP request; all must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpMatch {
    pub path: Option<PathMatch>,
    pub headers: Vec<HeaderMatch>,
    pub query: Vec<QueryMatch>,
    pub method: Option<Method>,
    /// A condition that we do not understand: nothing matches.
    pub never: bool,
}

/// Conditions on a gRPC request; all must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrpcMatch {
    pub service: Option<String>,
    pub method: Option<String>,
    pub headers: Vec<HeaderMatch>,
    pub never: bool,
}

#[derive(Clone, Debug)]
pub enum PathMatch {
    Exact(String),
    /// By segments: `/a` is `/a` and `/a/b`, never `/ab`. Kept without a trailing slash.
    Prefix(String),
    /// The whole path.
    Regex(Regex),
}

#[derive(Clone, Debug)]
pub enum HeaderMatch {
    Exact(HeaderName, HeaderValue),
    Regex(HeaderName, Regex),
}

#[derive(Clone, Debug)]
pub enum QueryMatch {
    Exact(String, String),
    Regex(String, Regex),
}

/// How specifically a request was matched; greater is more specific. In order of weight: host,
/// path, method, number of headers, number of query parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    host: HostRank,
    path: PathRank,
    method: bool,
    headers: usize,
    query: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostRank {
    Any,
    Suffix(usize),
    Exact,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Any,
    Regex(usize),
    Prefix(usize),
    Exact,
}

/// What of a request is judged.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
}

/// A condition of a route rule.
pub trait Match {
    /// The rank without the host's part, if the request meets the condition.
    fn rank(&self, request: Head<'_>) -> Option<Rank>;
    /// Whether the path is part of the condition.
    fn has_path(&self) -> bool;
    /// The rank of a rule without conditions.
    fn any() -> Rank {
        Rank {
            host: HostRank::Any,
            path: PathRank::Any,
            method: false,
            headers: 0,
            query: 0,
        }
    }
}

/// A route as the matcher sees it.
pub trait RouteView {
    /// Its conditions.
    type Match: Match;
    /// The hosts that it serves; none is any.
    fn hosts(&self) -> &[Host];
    /// How many rules it has.
    fn rules(&self) -> usize;
    /// The alternatives of a rule; none is any request.
    fn matches(&self, rule: usize) -> &[Self::Match];
}

/// Where a request belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub route: usize,
    pub rule: usize,
    /// The alternative that matched, if the rule has any.
    pub alternative: Option<usize>,
}

/// The rule that matches most specifically. Of equals the first wins.
pub fn find<R: RouteView>(routes: &[R], head: Head<'_>) -> Option<Found> {
    let needs_host = routes.iter().any(|route| !route.hosts().is_empty());
    let host = if needs_host { host_of(head) } else { None };
    let mut best: Option<(Rank, Found)> = None;
    for (route_index, route) in routes.iter().enumerate() {
        let Some(host_rank) = rank_hosts(route.hosts(), host.as_deref()) else {
            continue;
        };
        for rule_index in 0..route.rules() {
            let Some((mut rank, alternative)) = rank_rule(route.matches(rule_index), head) else {
                continue;
            };
            rank.host = host_rank.clone();
            if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                best = Some((
                    rank,
                    Found {
                        route: route_index,
                        rule: rule_index,
                        alternative,
                    },
                ));
            }
        }
    }
    best.map(|(_, found)| found)
}

/// What belongs to the hosts that match `host` most specifically. Of equals the first wins.
pub fn find_host<'a, T: 'a>(
    routes: impl Iterator<Item = &'a (Vec<Host>, T)>,
    host: Option<&str>,
) -> Option<&'a T> {
    let mut best: Option<(HostRank, &T)> = None;
    for (hosts, item) in routes {
        if let Some(rank) = rank_hosts(hosts, host)
            && best.as_ref().is_none_or(|(known, _)| rank > *known)
        {
            best = Some((rank, item));
        }
    }
    best.map(|(_, item)| item)
}

/// The best of a rule's alternatives that match.
fn rank_rule<M: Match>(matches: &[M], head: Head<'_>) -> Option<(Rank, Option<usize>)> {
    if matches.is_empty() {
        return Some((M::any(), None));
    }
    let mut best: Option<(Rank, Option<usize>)> = None;
    for (index, alternative) in matches.iter().enumerate() {
        if let Some(rank) = alternative.rank(head)
            && best.as_ref().is_none_or(|(known, _)| rank > *known)
        {
            best = Some((rank, Some(index)));
        }
    }
    best
}

/// The host that a request is for, in lower case without port: of the target, else of `Host`.
pub fn host_of(request: Head<'_>) -> Option<String> {
    let authority = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => request.headers.get(http::header::HOST)?.to_str().ok()?,
    };
    let without_user = authority.rsplit('@').next().unwrap_or(authority);
    let host = match without_user.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => without_user.split(':').next().unwrap_or(without_user),
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

fn rank_hosts(hosts: &[Host], host: Option<&str>) -> Option<HostRank> {
    if hosts.is_empty() {
        return Some(HostRank::Any);
    }
    let host = host?;
    hosts.iter().filter_map(|known| known.rank(host)).max()
}

// === impl Head ===

impl<'a> Head<'a> {
    /// The head of a request.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
        }
    }
}

// === impl Host ===

impl Host {
    fn rank(&self, host: &str) -> Option<HostRank> {
        match self {
            Self::Exact(name) => (name == host).then_some(HostRank::Exact),
            Self::Suffix(suffix) => (host.len() > suffix.len() && host.ends_with(suffix.as_str()))
                .then_some(HostRank::Suffix(suffix.len())),
        }
    }
}

// === impl HttpMatch ===

impl Match for HttpMatch {
    fn has_path(&self) -> bool {
        match &self.path {
            None => false,
            Some(PathMatch::Prefix(prefix)) => !prefix.is_empty(),
            Some(PathMatch::Exact(_) | PathMatch::Regex(_)) => true,
        }
    }

    fn rank(&self, request: Head<'_>) -> Option<Rank> {
        if self.never || self.method.as_ref().is_some_and(|m| m != request.method) {
            return None;
        }
        let path = match &self.path {
            Some(path) => path.rank(request.uri.path())?,
            None => PathRank::Any,
        };
        let query = request.uri.query().unwrap_or_default();
        let all = self.headers.iter().all(|m| m.matches(request.headers))
            && self.query.iter().all(|m| m.matches(query));
        all.then_some(Rank {
            host: HostRank::Any,
            path,
            method: self.method.is_some(),
            headers: self.headers.len(),
            query: self.query.len(),
        })
    }
}

impl PathMatch {
    /// Whether the path matches, and how specifically.
    fn rank(&self, path: &str) -> Option<PathRank> {
        let (matches, rank) = match self {
            Self::Exact(exact) => (path == exact, PathRank::Exact),
            Self::Prefix(prefix) => (has_prefix(path, prefix), PathRank::Prefix(prefix.len())),
            Self::Regex(regex) => (
                is_whole_match(regex, path),
                PathRank::Regex(regex.as_str().len()),
            ),
        };
        matches.then_some(rank)
    }
}

fn has_prefix(path: &str, prefix: &str) -> bool {
    if prefix.is_empty() {
        // Every target, that of `OPTIONS *` included.
        return true;
    }
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_whole_match(regex: &Regex, text: &str) -> bool {
    regex
        .find(text)
        .is_some_and(|found| found.range() == (0..text.len()))
}

impl HeaderMatch {
    fn matches(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Exact(name, value) => headers.get_all(name).iter().any(|v| v == value),
            Self::Regex(name, regex) => headers.get_all(name).iter().any(|value| {
                value
                    .to_str()
                    .is_ok_and(|value| is_whole_match(regex, value))
            }),
        }
    }
}

impl QueryMatch {
    fn matches(&self, query: &str) -> bool {
        let (Self::Exact(wanted, _) | Self::Regex(wanted, _)) = self;
        let check = |found: &str| match self {
            Self::Exact(_, value) => found == value,
            Self::Regex(_, regex) => is_whole_match(regex, found),
        };
        // Of a repeated parameter the first counts, as in the Gateway API.
        query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(name, _)| percent_decode(name) == *wanted)
            .is_some_and(|(_, value)| check(&percent_decode(value)))
    }
}

/// `%41` and `+` of a query as text; what is no valid escape stays as it is.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (byte, hex(index + 1), hex(index + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                index += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                index += 1;
            }
            _ => {
                out.push(*byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

// === impl GrpcMatch ===

impl Match for GrpcMatch {
    fn has_path(&self) -> bool {
        self.service.is_some() || self.method.is_some()
    }

    fn rank(&self, request: Head<'_>) -> Option<Rank> {
        if self.never {
            return None;
        }
        let mut segments = request.uri.path().strip_prefix('/')?.splitn(2, '/');
        let (service, method) = (segments.next()?, segments.next()?);
        let fits = self.service.as_ref().is_none_or(|s| s == service)
            && self.method.as_ref().is_none_or(|m| m == method)
            && self.headers.iter().all(|m| m.matches(request.headers));
        let path = match (&self.service, &self.method) {
            (Some(_), Some(_)) => PathRank::Exact,
            (Some(service), None) => PathRank::Prefix(service.len()),
            (None, Some(method)) => PathRank::Regex(method.len()),
            (None, None) => PathRank::Any,
        };
        fits.then_some(Rank {
            host: HostRank::Any,
            path,
            method: self.method.is_some(),
            headers: self.headers.len(),
            query: 0,
        })
    }
}

// === impl PartialEq: regular expressions are equal by their text ===

impl PartialEq for PathMatch {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) | (Self::Prefix(a), Self::Prefix(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl PartialEq for HeaderMatch {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a, x), Self::Exact(b, y)) => a == b && x == y,
            (Self::Regex(a, x), Self::Regex(b, y)) => a == b && x.as_str() == y.as_str(),
            _ => false,
        }
    }
}

impl PartialEq for QueryMatch {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a, x), Self::Exact(b, y)) => a == b && x == y,
            (Self::Regex(a, x), Self::Regex(b, y)) => a == b && x.as_str() == y.as_str(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
