//! The fake control plane itself: what the other tests rely on.

use std::net::SocketAddr;

use mesh_proxy::pb::{
    destination::{
        GetDestination, destination_client::DestinationClient, update::Update as Change,
    },
    identity::{CertifyRequest, identity_client::IdentityClient},
    inbound::{PortSpec, inbound_server_policies_client::InboundServerPoliciesClient},
    outbound::{TrafficSpec, outbound_policies_client::OutboundPoliciesClient},
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::support::{
    authority::dns_names,
    control::{Component, ControlPlane, token_of},
    eventually::soon,
    grpc::Channel,
    isolated::isolated,
    network::{Pod, prepare_node},
    proxy::identity_of,
    scenario::{Endpoint, Service, allow_identities, detect},
    tls,
};

/// A control plane and a pod that talks to it.
struct Fixture {
    control: ControlPlane,
    pod: Pod,
}

impl Fixture {
    fn new() -> Self {
        prepare_node();
        Self {
            control: ControlPlane::start(),
            pod: Pod::new("pod"),
        }
    }

    /// A channel to a component, as a proxy with the identity of `pod` would open it.
    async fn channel(&self, component: Component) -> Channel {
        let authority = self.control.authority();
        let leaf = authority.leaf(&identity_of("pod"));
        let config = authority.client_config(Some(leaf), &[]);
        let (to, name) = (self.control.addr(component), component.server_name());
        let stream = tls::connect(&self.pod, to, config, name)
            .await
            .expect("a TLS handshake");
        Channel::over(stream).await
    }
}

/// The server's name in requests; nobody looks at it.
fn origin() -> http::Uri {
    http::Uri::from_static("http://control-plane")
}

/// A request to sign, in DER, and its key.
fn signing_request(name: &str) -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a DNS name");
    params
        .serialize_request(&key)
        .expect("a request")
        .der()
        .to_vec()
}

fn get(path: &str) -> GetDestination {
    GetDestination {
        path: path.to_owned(),
        ..GetDestination::default()
    }
}

#[test]
fn identity_signs_for_the_right_token_only() {
    isolated(async || {
        let fixture = Fixture::new();
        let channel = fixture.channel(Component::Identity).await;
        let mut client = IdentityClient::with_origin(channel, origin());
        let name = identity_of("pod");
        let good = CertifyRequest {
            identity: name.clone(),
            token: token_of(&name).into_bytes(),
            certificate_signing_request: signing_request(&name),
        };
        let reply = client
            .certify(good.clone())
            .await
            .expect("a certificate")
            .into_inner();
        assert_eq!(dns_names(&reply.leaf_certificate), [name.as_str()]);
        assert_eq!(reply.intermediate_certificates.len(), 1);

        let mut tampered = good.certificate_signing_request.clone();
        *tampered.last_mut().expect("bytes") ^= 1;
        let other = signing_request("other.example.com");
        for (change, code) in [
            (
                CertifyRequest {
                    token: b"x".to_vec(),
                    ..good.clone()
                },
                tonic::Code::PermissionDenied,
            ),
            (
                CertifyRequest {
                    certificate_signing_request: other,
                    ..good.clone()
                },
                tonic::Code::InvalidArgument,
            ),
            (
                CertifyRequest {
                    certificate_signing_request: tampered,
                    ..good.clone()
                },
                tonic::Code::InvalidArgument,
            ),
        ] {
            assert_eq!(
                client.certify(change).await.expect_err("a refusal").code(),
                code
            );
        }
        let calls = fixture.control.calls("Certify");
        assert_eq!(calls.len(), 4);
        assert!(calls.iter().all(|call| call.caller == [name.as_str()]));
    });
}

#[test]
fn discovery_tells_every_change_and_nothing_else() {
    isolated(async || {
        let fixture = Fixture::new();
        let mut client =
            DestinationClient::with_origin(fixture.channel(Component::Destination).await, origin());
        let name = "web.default.svc.cluster.local";
        let mut updates = client
            .get(get(&format!("{name}:80")))
            .await
            .expect("a stream")
            .into_inner();
        let mut next = async || {
            let message = soon("an update", updates.message())
                .await
                .expect("no error");
            message.expect("an open stream").update.expect("a change")
        };
        let Change::NoEndpoints(none) = next().await else {
            panic!("no endpoints yet")
        };
        assert!(!none.exists);

        let address: SocketAddr = "10.96.0.1:80".parse().expect("an address");
        let endpoint = |port| Endpoint {
            address: SocketAddr::new("10.244.0.9".parse().expect("an address"), port),
            identity: Some(identity_of("web")),
            opaque: false,
            transport_header: true,
            labels: std::collections::BTreeMap::new(),
        };
        let set = |ports: &[u16]| {
            let endpoints = ports.iter().map(|port| endpoint(*port)).collect();
            let service = Service {
                address,
                opaque: false,
                endpoints,
            };
            fixture.control.update(|state| {
                state.services.insert(name.to_owned(), service);
            });
        };
        set(&[1, 2]);
        let Change::Add(added) = next().await else {
            panic!("two endpoints")
        };
        assert_eq!(added.addrs.len(), 2);
        // Nothing of this stream changes here.
        fixture.control.update(|state| {
            state.pods.clear();
        });
        set(&[2, 3]);
        let Change::Add(added) = next().await else {
            panic!("a new endpoint")
        };
        assert_eq!(added.addrs[0].addr.as_ref().map(|addr| addr.port), Some(3));
        let Change::Remove(removed) = next().await else {
            panic!("an endpoint less")
        };
        assert_eq!(removed.addrs[0].port, 1);
        set(&[]);
        let Change::NoEndpoints(none) = next().await else {
            panic!("no endpoints any more")
        };
        assert!(none.exists);

        for path in ["10.96.0.1:80", "web.default.svc.cluster.local:80"] {
            let mut profiles = client
                .get_profile(get(path))
                .await
                .expect("a stream")
                .into_inner();
            let profile = soon("a profile", profiles.message())
                .await
                .expect("no error");
            assert_eq!(profile.expect("a profile").fully_qualified_name, name);
        }
    });
}

#[test]
fn policies_follow_the_scenario() {
    isolated(async || {
        let fixture = Fixture::new();
        let channel = fixture.channel(Component::Policy).await;
        let mut client = InboundServerPoliciesClient::with_origin(channel.clone(), origin());
        let spec = PortSpec {
            workload: "default:pod".to_owned(),
            port: 8080,
        };
        let mut servers = client
            .watch_port(spec)
            .await
            .expect("a stream")
            .into_inner();
        let mut authorizations = async || {
            let server = soon("a policy", servers.message()).await.expect("no error");
            server.expect("an open stream").authorizations
        };
        assert_eq!(
            authorizations().await[0].labels["name"],
            "all-unauthenticated"
        );
        fixture.control.update(|state| {
            let key = ("default:pod".to_owned(), 8080);
            state
                .inbound
                .insert(key, detect(vec![allow_identities(&[])]));
        });
        assert_eq!(
            authorizations().await[0].labels["name"],
            "test-authorization"
        );

        let mut client = OutboundPoliciesClient::with_origin(channel, origin());
        let mut spec = TrafficSpec::default();
        assert_eq!(
            client
                .watch(spec.clone())
                .await
                .expect_err("no address")
                .code(),
            tonic::Code::InvalidArgument
        );
        let authority = "10.96.0.1:80".to_owned();
        spec.target = Some(mesh_proxy::pb::outbound::traffic_spec::Target::Authority(
            authority,
        ));
        let mut policies = client.watch(spec).await.expect("a stream").into_inner();
        let answer = soon("an answer", policies.message()).await;
        assert_eq!(answer.expect_err("no policy").code(), tonic::Code::NotFound);
    });
}

#[test]
fn a_stopped_component_is_gone_until_it_is_started() {
    isolated(async || {
        let mut fixture = Fixture::new();
        let mut client =
            DestinationClient::with_origin(fixture.channel(Component::Destination).await, origin());
        let mut updates = client
            .get(get("web:80"))
            .await
            .expect("a stream")
            .into_inner();
        soon("an update", updates.message())
            .await
            .expect("no error")
            .expect("an update");
        fixture.control.stop(Component::Destination).await;
        assert!(
            soon("the end of the stream", updates.message())
                .await
                .is_err()
        );
        let to = fixture.control.addr(Component::Destination);
        let refused = fixture.pod.connect(to).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        fixture.control.restart(Component::Destination);
        let mut client =
            DestinationClient::with_origin(fixture.channel(Component::Destination).await, origin());
        assert!(client.get(get("web:80")).await.is_ok());
    });
}
