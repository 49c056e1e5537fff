//! What the fake control plane knows, and how it looks on the wire.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::pb::{
    destination::{
        DestinationProfile, ProtocolHint, TlsIdentity, WeightedAddr, protocol_hint, tls_identity,
    },
    http_route, inbound, meta, net, outbound,
};

/// The inbound port of every proxy.
pub const INBOUND_PORT: u16 = 4143;

/// Everything that the control plane answers from.
#[derive(Clone, Default)]
pub struct State {
    /// By the name without port, as `web.default.svc.cluster.local`.
    pub services: BTreeMap<String, Service>,
    /// What a pod's own address leads to.
    pub pods: HashMap<IpAddr, Endpoint>,
    /// The policy of a port of a workload, as (`default:web`, 8080).
    pub inbound: HashMap<(String, u16), inbound::Server>,
    /// The policy towards an address; without one the answer is `NotFound`.
    pub outbound: HashMap<SocketAddr, outbound::OutboundPolicy>,
}

/// A service with a ClusterIP.
#[derive(Clone, Debug)]
pub struct Service {
    pub address: SocketAddr,
    pub opaque: bool,
    pub endpoints: Vec<Endpoint>,
}

/// One pod behind a service, or reached directly.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// The identity of its proxy; `None` has no proxy.
    pub identity: Option<String>,
    pub opaque: bool,
    /// Whether its proxy is told to take a transport header.
    pub transport_header: bool,
    pub labels: BTreeMap<String, String>,
}

impl Endpoint {
    /// The wire form.
    pub fn to_wire(&self) -> WeightedAddr {
        let mut wire = WeightedAddr {
            addr: Some(tcp_address(self.address)),
            weight: 10_000,
            metric_labels: self.labels.clone().into_iter().collect(),
            ..WeightedAddr::default()
        };
        let Some(identity) = &self.identity else {
            return wire;
        };
        let name = tls_identity::DnsLikeIdentity {
            name: identity.clone(),
        };
        wire.tls_identity = Some(TlsIdentity {
            server_name: Some(name.clone()),
            strategy: Some(tls_identity::Strategy::DnsLikeIdentity(name)),
        });
        let transport = protocol_hint::OpaqueTransport {
            inbound_port: u32::from(INBOUND_PORT),
        };
        wire.protocol_hint = Some(ProtocolHint {
            protocol: Some(match self.opaque {
                true => protocol_hint::Protocol::Opaque(protocol_hint::Opaque {}),
                false => protocol_hint::Protocol::H2(protocol_hint::H2 {}),
            }),
            opaque_transport: (self.opaque || self.transport_header).then_some(transport),
        });
        wire
    }
}

impl State {
    /// The profile of `NAME:PORT` or `IP:PORT`.
    pub fn profile(&self, path: &str) -> DestinationProfile {
        if let Some((name, service)) = self.service(path) {
            return DestinationProfile {
                fully_qualified_name: name.to_owned(),
                opaque_protocol: service.opaque,
                parent_ref: Some(resource("core", "Service", name)),
                ..DestinationProfile::default()
            };
        }
        let address: Option<SocketAddr> = path.parse().ok();
        let pod = address.and_then(|address| Some((address, self.pods.get(&address.ip())?)));
        let Some((address, pod)) = pod else {
            return DestinationProfile::default();
        };
        DestinationProfile {
            opaque_protocol: pod.opaque,
            endpoint: Some(
                Endpoint {
                    address,
                    ..pod.clone()
                }
                .to_wire(),
            ),
            ..DestinationProfile::default()
        }
    }

    /// The service of `NAME:PORT`, `NAME` or `IP:PORT`.
    pub fn service(&self, path: &str) -> Option<(&str, &Service)> {
        let (host, port) = path.rsplit_once(':').unwrap_or((path, ""));
        self.services
            .iter()
            .find(|(name, service)| {
                let named = *name == host && (port.is_empty() || port == service.port());
                named || path.parse() == Ok(service.address)
            })
            .map(|(name, service)| (name.as_str(), service))
    }

    /// The policy of a port: the one given, else everything is allowed.
    pub fn inbound_policy(&self, workload: &str, port: u16) -> inbound::Server {
        let key = (workload.to_owned(), port);
        self.inbound
            .get(&key)
            .cloned()
            .unwrap_or_else(|| detect(vec![allow_everyone()]))
    }
}

impl Service {
    fn port(&self) -> String {
        self.address.port().to_string()
    }
}

/// A server whose protocol is detected.
pub fn detect(authorizations: Vec<inbound::Authz>) -> inbound::Server {
    let kind = inbound::proxy_protocol::Kind::Detect(inbound::proxy_protocol::Detect {
        timeout: Some(wire_duration(Duration::from_secs(10))),
        // As our controller does; Linkerd's leaves them out, see `inherited`.
        http_routes: vec![every_http_request(authorizations.clone())],
        http_local_rate_limit: None,
    });
    server(kind, authorizations)
}

/// A server of bytes that nobody looks into.
pub fn opaque(authorizations: Vec<inbound::Authz>) -> inbound::Server {
    let kind = inbound::proxy_protocol::Kind::Opaque(inbound::proxy_protocol::Opaque {});
    server(kind, authorizations)
}

fn server(
    kind: inbound::proxy_protocol::Kind,
    authorizations: Vec<inbound::Authz>,
) -> inbound::Server {
    let labels = [
        ("group", "policy.linkerd.io"),
        ("kind", "server"),
        ("name", "test-server"),
    ];
    inbound::Server {
        protocol: Some(inbound::ProxyProtocol { kind: Some(kind) }),
        server_ips: Vec::new(),
        authorizations,
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    }
}

/// A server with one route for each host name, with the authorizations of that host.
pub fn by_host(hosts: Vec<(&str, Vec<inbound::Authz>)>) -> inbound::Server {
    let route = |(host, authorizations): (&str, Vec<inbound::Authz>)| {
        let exact = http_route::host_match::Match::Exact(host.to_owned());
        inbound::HttpRoute {
            hosts: vec![http_route::HostMatch {
                r#match: Some(exact),
            }],
            metadata: Some(resource("policy.linkerd.io", "httproute", host)),
            ..every_http_request(authorizations)
        }
    };
    let routes = hosts.into_iter().map(route).collect();
    let mut server = detect(Vec::new());
    let kind = server
        .protocol
        .as_mut()
        .and_then(|protocol| protocol.kind.as_mut());
    if let Some(inbound::proxy_protocol::Kind::Detect(detect)) = kind {
        detect.http_routes = routes;
    }
    server
}

/// The same, in the way of Linkerd's controller: the route adds nothing to the server's
/// authorizations.
pub fn inherited(mut server: inbound::Server) -> inbound::Server {
    let kind = server
        .protocol
        .as_mut()
        .and_then(|protocol| protocol.kind.as_mut());
    if let Some(inbound::proxy_protocol::Kind::Detect(detect)) = kind {
        for route in &mut detect.http_routes {
            route.authorizations.clear();
        }
    }
    server
}

fn every_http_request(authorizations: Vec<inbound::Authz>) -> inbound::HttpRoute {
    let path = http_route::PathMatch {
        kind: Some(http_route::path_match::Kind::Prefix("/".to_owned())),
    };
    let matches = vec![http_route::HttpRouteMatch {
        path: Some(path),
        ..http_route::HttpRouteMatch::default()
    }];
    inbound::HttpRoute {
        metadata: Some(default_metadata("default")),
        authorizations,
        rules: vec![inbound::http_route::Rule {
            matches,
            filters: Vec::new(),
        }],
        ..inbound::HttpRoute::default()
    }
}

/// Anyone, with TLS or without.
pub fn allow_everyone() -> inbound::Authz {
    let permit = inbound::authn::Permit::Unauthenticated(inbound::authn::PermitUnauthenticated {});
    authorization(permit, "all-unauthenticated")
}

/// Only clients with one of these identities; with none, any identity.
pub fn allow_identities(names: &[&str]) -> inbound::Authz {
    use inbound::authn::{PermitMeshTls, permit_mesh_tls};
    let identities = names.iter().map(|name| inbound::Identity {
        name: (*name).to_owned(),
    });
    let any = inbound::IdentitySuffix { parts: Vec::new() };
    let clients = permit_mesh_tls::Clients::Identities(permit_mesh_tls::PermitClientIdentities {
        identities: identities.collect(),
        suffixes: if names.is_empty() {
            vec![any]
        } else {
            Vec::new()
        },
    });
    let permit = inbound::authn::Permit::MeshTls(PermitMeshTls {
        clients: Some(clients),
    });
    authorization(permit, "test-authorization")
}

fn authorization(permit: inbound::authn::Permit, name: &str) -> inbound::Authz {
    let everywhere = ["0.0.0.0", "::"].map(|ip| inbound::Network {
        net: Some(net::IpNetwork {
            ip: Some(ip_address(ip.parse().expect("an address"))),
            prefix_len: 0,
        }),
        except: Vec::new(),
    });
    let group = "policy.linkerd.io";
    let labels = [
        ("group", group),
        ("kind", "serverauthorization"),
        ("name", name),
    ];
    inbound::Authz {
        networks: everywhere.into(),
        authentication: Some(inbound::Authn {
            permit: Some(permit),
        }),
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        metadata: Some(resource(group, "serverauthorization", name)),
    }
}

fn default_metadata(name: &str) -> meta::Metadata {
    meta::Metadata {
        kind: Some(meta::metadata::Kind::Default(name.to_owned())),
    }
}

fn resource(group: &str, kind: &str, name: &str) -> meta::Metadata {
    let (name, namespace) = (name.split('.').next().unwrap_or(name), "default");
    meta::Metadata {
        kind: Some(meta::metadata::Kind::Resource(meta::Resource {
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            section: String::new(),
            port: 0,
        })),
    }
}

/// The wire form of an address with a port.
pub fn tcp_address(address: SocketAddr) -> net::TcpAddress {
    net::TcpAddress {
        ip: Some(ip_address(address.ip())),
        port: u32::from(address.port()),
    }
}

/// The address with a port of a wire form.
pub fn from_tcp_address(wire: &net::TcpAddress) -> Option<SocketAddr> {
    let ip: IpAddr = match wire.ip.as_ref()?.ip.as_ref()? {
        net::ip_address::Ip::Ipv4(number) => std::net::Ipv4Addr::from(*number).into(),
        net::ip_address::Ip::Ipv6(halves) => {
            let number = (u128::from(halves.first) << 64) | u128::from(halves.last);
            std::net::Ipv6Addr::from(number).into()
        }
    };
    Some(SocketAddr::new(ip, u16::try_from(wire.port).ok()?))
}

fn ip_address(ip: IpAddr) -> net::IpAddress {
    let ip = match ip {
        IpAddr::V4(v4) => net::ip_address::Ip::Ipv4(v4.into()),
        IpAddr::V6(v6) => {
            let number = u128::from(v6);
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
            let (first, last) = ((number >> 64) as u64, number as u64);
            net::ip_address::Ip::Ipv6(net::IPv6 { first, last })
        }
    };
    net::IpAddress { ip: Some(ip) }
}

/// The wire form of a time.
pub fn wire_duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().expect("a time that fits")
}
