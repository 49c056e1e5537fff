//! A whole small mesh: a control plane, and pods with and without a proxy.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
};

use super::{
    client::HttpClient,
    control::ControlPlane,
    network::{Pod, prepare_node},
    proxy::{Proxy, environment, identity_of},
    scenario::{Endpoint, Service},
    serve::Version,
};

/// The control plane and what it knows of the pods.
pub struct Mesh {
    pub control: ControlPlane,
}

/// A pod whose connections go through a proxy.
pub struct MeshedPod {
    pod: Pod,
    pub proxy: Proxy,
}

impl Deref for MeshedPod {
    type Target = Pod;

    fn deref(&self) -> &Pod {
        &self.pod
    }
}

impl MeshedPod {
    /// The identity of its proxy.
    pub fn identity(&self) -> String {
        identity_of(&self.pod.name)
    }

    /// How other proxies reach a port of this pod.
    pub fn endpoint(&self, port: u16) -> Endpoint {
        Endpoint {
            identity: Some(self.identity()),
            ..plain_endpoint(&self.pod, port)
        }
    }

    /// How other proxies reach a port of this pod whose bytes nobody looks into.
    pub fn opaque_endpoint(&self, port: u16) -> Endpoint {
        Endpoint {
            opaque: true,
            ..self.endpoint(port)
        }
    }
}

/// How proxies reach a port of a pod without a proxy.
pub fn plain_endpoint(pod: &Pod, port: u16) -> Endpoint {
    let labels = [("pod", pod.name.as_str()), ("namespace", "default")];
    Endpoint {
        address: pod.addr(port),
        identity: None,
        opaque: false,
        transport_header: true,
        labels: BTreeMap::from(labels.map(|(k, v)| (k.to_owned(), v.to_owned()))),
    }
}

impl Mesh {
    /// Starts the control plane.
    pub fn start() -> Self {
        prepare_node();
        Self {
            control: ControlPlane::start(),
        }
    }

    /// A pod with a proxy that is ready.
    pub async fn meshed(&self, name: &str) -> MeshedPod {
        self.meshed_with(name, &[]).await
    }

    /// The same, with more variables (without their prefix) for the proxy.
    pub async fn meshed_with(&self, name: &str, variables: &[(&str, &str)]) -> MeshedPod {
        let mut meshed = self.starting(name, variables);
        meshed.proxy.ready().await;
        meshed
    }

    /// A pod with a proxy that may not be ready yet.
    pub fn starting(&self, name: &str, variables: &[(&str, &str)]) -> MeshedPod {
        let pod = Pod::new(name);
        pod.redirect(&[
            "--inbound-ports-to-ignore=4190,4191",
            "--outbound-ports-to-ignore=4567",
        ]);
        let mut environment = environment(&pod, &self.control);
        for (name, value) in variables {
            let name = format!("LINKERD2_PROXY_{name}");
            environment.retain(|(known, _)| *known != name);
            environment.push((name, (*value).to_owned()));
        }
        let proxy = Proxy::spawn(&pod, &environment);
        let meshed = MeshedPod { pod, proxy };
        self.control.update(|state| {
            for ip in meshed.ips() {
                state.pods.insert(ip, meshed.endpoint(0));
            }
        });
        meshed
    }

    /// Makes a service known, or changes it.
    pub fn service(&self, name: &str, endpoints: Vec<Endpoint>) -> SocketAddr {
        let opaque = endpoints.iter().any(|endpoint| endpoint.opaque);
        let name = format!("{name}.default.svc.cluster.local");
        let mut address = None;
        self.control.update(|state| {
            let number = u8::try_from(state.services.len() + 20).expect("few services");
            let new = SocketAddr::from((Ipv4Addr::new(10, 96, 0, number), 80));
            let service = state.services.entry(name).or_insert(Service {
                address: new,
                opaque,
                endpoints: vec![],
            });
            service.endpoints = endpoints;
            address = Some(service.address);
        });
        address.expect("the address of the service")
    }
}

/// Connects from a pod and speaks HTTP.
pub async fn http_client(pod: &Pod, to: SocketAddr, version: Version, host: &str) -> HttpClient {
    let stream = pod
        .connect(to)
        .await
        .unwrap_or_else(|error| panic!("{to}: {error}"));
    HttpClient::handshake(stream, version, host)
        .await
        .expect("a handshake")
}
