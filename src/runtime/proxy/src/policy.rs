//! Inbound policy: who may do what at a port of this workload.

pub mod authorize;
mod convert;
pub mod rate_limit;
pub mod store;

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

pub use crate::meta::Meta;

pub use self::{
    authorize::{Client, Denied},
    rate_limit::RateLimit,
    store::PolicyStore,
};
use crate::{
    addr::IpNet,
    config::DefaultPolicy,
    http::filter::Filter,
    metrics::LabelSet,
    route::{GrpcMatch, Host, HttpMatch, Match, RouteView},
    tls::PeerId,
};

/// The policy of one port. Immutable; a change is a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerPolicy {
    pub protocol: Protocol,
    /// For connections. Any one is enough; with none, nothing is allowed.
    pub authorizations: Arc<[Authorization]>,
    pub meta: Meta,
    pub port: u16,
}

/// How connections to the port are treated.
#[derive(Clone, Debug, PartialEq)]
pub enum Protocol {
    Detect {
        timeout: Duration,
        http: HttpPolicy,
    },
    Http1(HttpPolicy),
    Http2(HttpPolicy),
    Grpc(GrpcRoutes),
    Opaque,
    Tls,
    /// Nothing that we understand: refuse.
    Invalid,
}

/// What requests are subject to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpPolicy {
    pub routes: HttpRoutes,
    pub rate_limit: Option<Arc<RateLimit>>,
}

/// Routes of HTTP requests. Without any, every request has the server's own authorizations.
pub type HttpRoutes = Arc<[Route<HttpMatch>]>;
/// Routes of gRPC requests.
pub type GrpcRoutes = Arc<[Route<GrpcMatch>]>;

/// Requests that match any of the rules, to any of the hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct Route<M> {
    pub meta: Meta,
    pub hosts: Vec<Host>,
    pub authorizations: Arc<[Authorization]>,
    pub rules: Vec<Rule<M>>,
}

/// Matches of a route. Without any, everything matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule<M> {
    pub matches: Vec<M>,
    pub filters: Vec<Filter>,
}

/// One permission.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    pub networks: Vec<Network>,
    pub authentication: Authentication,
    pub meta: Meta,
}

/// A network less some parts of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub net: IpNet,
    pub except: Vec<IpNet>,
}

/// What a client must prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    None,
    /// Mesh TLS, with or without an identity.
    Tls,
    /// Mesh TLS with one of these identities or suffixes. A suffix is kept with its leading dot;
    /// the empty one is any identity.
    Identities {
        names: Vec<String>,
        suffixes: Vec<String>,
    },
}

/// Connection-level facts that policy judges by.
pub type ClientRef = Rc<Client>;

// === impl ServerPolicy ===

impl ServerPolicy {
    /// The policy that a default stands for.
    pub fn from_default(
        default: DefaultPolicy,
        port: u16,
        cluster: &[IpNet],
        opaque: bool,
        timeout: Duration,
    ) -> Self {
        let any = || vec![IpNet::ANY_V4, IpNet::ANY_V6];
        let (networks, authentication) = match default {
            DefaultPolicy::Deny => (Vec::new(), Authentication::None),
            DefaultPolicy::AllUnauthenticated | DefaultPolicy::Audit => {
                (any(), Authentication::None)
            }
            DefaultPolicy::AllAuthenticated => (any(), Authentication::any_identity()),
            DefaultPolicy::ClusterUnauthenticated => (cluster.to_vec(), Authentication::None),
            DefaultPolicy::ClusterAuthenticated => {
                (cluster.to_vec(), Authentication::any_identity())
            }
        };
        let meta = Meta::default_of(default.name());
        let networks: Vec<_> = networks
            .into_iter()
            .map(|net| Network {
                net,
                except: Vec::new(),
            })
            .collect();
        let authorizations = if networks.is_empty() {
            Arc::default()
        } else {
            Arc::from([Authorization {
                networks,
                authentication,
                meta: meta.clone(),
            }])
        };
        let protocol = if opaque {
            Protocol::Opaque
        } else {
            Protocol::Detect {
                timeout,
                http: HttpPolicy::default(),
            }
        };
        Self {
            protocol,
            authorizations,
            meta,
            port,
        }
    }

    /// A rate limit that has not changed goes on counting where it was.
    fn keep_counts_of(&mut self, old: &Self) {
        if let (Some(new), Some(old)) = (self.rate_limit_mut(), old.rate_limit())
            && *new == *old
        {
            *new = old.clone();
        }
    }

    fn rate_limit(&self) -> Option<&Arc<RateLimit>> {
        match &self.protocol {
            Protocol::Detect { http, .. } | Protocol::Http1(http) | Protocol::Http2(http) => {
                http.rate_limit.as_ref()
            }
            Protocol::Grpc(_) | Protocol::Opaque | Protocol::Tls | Protocol::Invalid => None,
        }
    }

    fn rate_limit_mut(&mut self) -> Option<&mut Arc<RateLimit>> {
        match &mut self.protocol {
            Protocol::Detect { http, .. } | Protocol::Http1(http) | Protocol::Http2(http) => {
                http.rate_limit.as_mut()
            }
            Protocol::Grpc(_) | Protocol::Opaque | Protocol::Tls | Protocol::Invalid => None,
        }
    }

    /// The `srv_*` labels.
    pub fn labels(&self) -> LabelSet {
        self.meta.labels("srv").with("srv_port", self.port).finish()
    }
}

impl<M: Match> RouteView for Route<M> {
    type Match = M;

    fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    fn rules(&self) -> usize {
        self.rules.len()
    }

    fn matches(&self, rule: usize) -> &[M] {
        self.rules.get(rule).map_or(&[], |rule| &rule.matches)
    }
}

// === impl Authentication ===

impl Authentication {
    /// Any identity of the mesh.
    pub fn any_identity() -> Self {
        Self::Identities {
            names: Vec::new(),
            suffixes: vec![String::new()],
        }
    }
}

// === impl Network ===

impl Network {
    /// Whether `ip` is in the network and in no exception.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.net.contains(ip) && !self.except.iter().any(|except| except.contains(ip))
    }
}

impl PeerId {
    fn has_suffix(&self, suffix: &str) -> bool {
        let name = &*self.0;
        suffix.is_empty() || (name.len() > suffix.len() && name.ends_with(suffix))
    }
}
