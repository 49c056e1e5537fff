//! From the wire to policy. What is not understood never widens access: an authorization is left
//! out, a match matches nothing, a protocol refuses.

use std::{sync::Arc, time::Duration};

use super::{
    Authentication, Authorization, GrpcRoutes, HttpPolicy, HttpRoutes, Meta, Network, Protocol,
    RateLimit, Route, Rule, ServerPolicy,
};
use crate::{
    addr::IpNet,
    http::filter::{self, Filter},
    pb::inbound::{self, authn, proxy_protocol::Kind},
    route::{GrpcMatch, Host, HttpMatch},
};

impl ServerPolicy {
    /// The policy of an `inbound.Server`.
    pub(super) fn from_wire(wire: &inbound::Server, port: u16, timeout: Duration) -> Self {
        let kind = wire
            .protocol
            .as_ref()
            .and_then(|protocol| protocol.kind.as_ref());
        let protocol = match kind {
            Some(Kind::Detect(detect)) => Protocol::Detect {
                timeout: detect
                    .timeout
                    .and_then(|t| Duration::try_from(t).ok())
                    .filter(|t| !t.is_zero())
                    .unwrap_or(timeout),
                http: http_policy(
                    &detect.http_routes,
                    &wire.authorizations,
                    detect.http_local_rate_limit.as_ref(),
                ),
            },
            Some(Kind::Http1(http)) => Protocol::Http1(http_policy(
                &http.routes,
                &wire.authorizations,
                http.local_rate_limit.as_ref(),
            )),

            Some(Kind::Http2(http)) => Protocol::Http2(http_policy(
                &http.routes,
                &wire.authorizations,
                http.local_rate_limit.as_ref(),
            )),

            Some(Kind::Grpc(grpc)) => {
                Protocol::Grpc(grpc_routes(&grpc.routes, &wire.authorizations))
            }
            Some(Kind::Opaque(_)) => Protocol::Opaque,
            Some(Kind::Tls(_)) => Protocol::Tls,
            None => Protocol::Invalid,
        };
        Self {
            protocol,
            authorizations: authorizations(&[], &wire.authorizations),
            meta: Meta::from_labels(&wire.labels),
            port,
        }
    }
}

/// A route has the authorizations of its server and its own.
fn authorizations(server: &[inbound::Authz], own: &[inbound::Authz]) -> Arc<[Authorization]> {
    server
        .iter()
        .chain(own)
        .filter_map(Authorization::from_wire)
        .collect()
}

impl Authorization {
    fn from_wire(wire: &inbound::Authz) -> Option<Self> {
        let networks: Vec<_> = wire
            .networks
            .iter()
            .filter_map(Network::from_wire)
            .collect();
        let authentication = match wire.authentication.as_ref()?.permit.as_ref()? {
            authn::Permit::Unauthenticated(_) => Authentication::None,
            authn::Permit::MeshTls(tls) => match tls.clients.as_ref()? {
                authn::permit_mesh_tls::Clients::Unauthenticated(_) => Authentication::Tls,
                authn::permit_mesh_tls::Clients::Identities(clients) => {
                    Authentication::Identities {
                        names: clients
                            .identities
                            .iter()
                            .map(|id| id.name.clone())
                            .collect(),
                        suffixes: clients.suffixes.iter().map(|s| suffix(&s.parts)).collect(),
                    }
                }
            },
        };
        let meta = wire
            .metadata
            .as_ref()
            .and_then(Meta::from_wire)
            .unwrap_or_else(|| Meta::from_labels(&wire.labels));
        Some(Self {
            networks,
            authentication,
            meta,
        })
    }
}

/// `["example", "com"]` is every name that ends in `.example.com`; no part is every name.
fn suffix(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        parts if parts.iter().all(String::is_empty) => String::new(),
        parts => format!(".{}", parts.join(".")),
    }
}

impl Network {
    /// `None` when the network or any of its exceptions cannot be read: without the exception
    /// more would be allowed than was meant.
    fn from_wire(wire: &inbound::Network) -> Option<Self> {
        let net = IpNet::from_wire(wire.net.as_ref()?).ok()?;
        let except: Result<_, _> = wire.except.iter().map(IpNet::from_wire).collect();
        Some(Self {
            net,
            except: except.ok()?,
        })
    }
}

fn http_policy(
    routes: &[inbound::HttpRoute],
    server: &[inbound::Authz],
    rate_limit: Option<&inbound::HttpLocalRateLimit>,
) -> HttpPolicy {
    HttpPolicy {
        routes: http_routes(routes, server),
        rate_limit: rate_limit.map(|limit| Arc::new(RateLimit::from_wire(limit))),
    }
}

fn http_filter(wire: &inbound::http_route::Filter) -> Filter {
    use inbound::http_route::filter::Kind as K;
    match &wire.kind {
        Some(K::FailureInjector(failure)) => filter::failure_from_wire(failure),
        Some(K::RequestHeaderModifier(m)) => filter::request_headers_from_wire(m),
        Some(K::Redirect(redirect)) => filter::redirect_from_wire(redirect),
        None => Filter::Unknown,
    }
}

fn grpc_filter(wire: &inbound::grpc_route::Filter) -> Filter {
    use inbound::grpc_route::filter::Kind as K;
    match &wire.kind {
        Some(K::FailureInjector(failure)) => filter::grpc_failure_from_wire(failure),
        Some(K::RequestHeaderModifier(m)) => filter::request_headers_from_wire(m),
        None => Filter::Unknown,
    }
}

fn http_routes(wire: &[inbound::HttpRoute], server: &[inbound::Authz]) -> HttpRoutes {
    wire.iter()
        .map(|route| Route {
            meta: Meta::from_optional(route.metadata.as_ref()),
            hosts: route.hosts.iter().filter_map(Host::from_wire).collect(),
            authorizations: authorizations(server, &route.authorizations),
            rules: route
                .rules
                .iter()
                .map(|rule| Rule {
                    matches: rule.matches.iter().map(HttpMatch::from_wire).collect(),
                    filters: rule.filters.iter().map(http_filter).collect(),
                })
                .collect(),
        })
        .collect()
}

fn grpc_routes(wire: &[inbound::GrpcRoute], server: &[inbound::Authz]) -> GrpcRoutes {
    wire.iter()
        .map(|route| Route {
            meta: Meta::from_optional(route.metadata.as_ref()),
            hosts: route.hosts.iter().filter_map(Host::from_wire).collect(),
            authorizations: authorizations(server, &route.authorizations),
            rules: route
                .rules
                .iter()
                .map(|rule| Rule {
                    matches: rule.matches.iter().map(GrpcMatch::from_wire).collect(),
                    filters: rule.filters.iter().map(grpc_filter).collect(),
                })
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::net;

    fn network(ip: u32, prefix_len: u32) -> net::IpNetwork {
        let ip = Some(net::IpAddress {
            ip: Some(net::ip_address::Ip::Ipv4(ip)),
        });
        net::IpNetwork { ip, prefix_len }
    }

    #[test]
    fn what_is_not_understood_never_widens() {
        let any = inbound::Network {
            net: Some(network(0, 0)),
            except: Vec::new(),
        };
        let unknown_permit = inbound::Authz {
            networks: vec![any.clone()],
            authentication: Some(inbound::Authn { permit: None }),
            ..Default::default()
        };
        let no_authn = inbound::Authz {
            networks: vec![any],
            ..Default::default()
        };
        let bad_exception = inbound::Authz {
            networks: vec![inbound::Network {
                net: Some(network(0, 0)),
                except: vec![network(0, 77)],
            }],
            authentication: Some(inbound::Authn {
                permit: Some(authn::Permit::Unauthenticated(Default::default())),
            }),
            ..Default::default()
        };
        let server = inbound::Server {
            authorizations: vec![unknown_permit, no_authn, bad_exception],
            ..Default::default()
        };
        let policy = ServerPolicy::from_wire(&server, 80, Duration::from_secs(1));
        assert_eq!(policy.protocol, Protocol::Invalid);
        let client = crate::policy::Client {
            ip: "10.0.0.1".parse().unwrap(),
            tls: crate::policy::authorize::ClientTls::None,
        };
        assert!(policy.authorize_connection(&client).is_err());
    }

    #[test]
    fn suffixes_keep_their_dot() {
        assert_eq!(suffix(&[]), "");
        assert_eq!(suffix(&[String::new()]), "");
        assert_eq!(suffix(&["a".to_owned(), "b".to_owned()]), ".a.b");
    }
}
