//! The smallest world with traffic: one client, one server, each with a proxy or without.

use std::{net::SocketAddr, ops::Deref};

use super::{
    mesh::{Mesh, MeshedPod, plain_endpoint},
    metrics::Metrics,
    network::Pod,
    proxy::Proxy,
};

/// Whether a pod has a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Meshed,
    Plain,
}

/// A pod of either kind.
pub enum AnyPod {
    Meshed(Box<MeshedPod>),
    Plain(Pod),
}

impl Deref for AnyPod {
    type Target = Pod;

    fn deref(&self) -> &Pod {
        match self {
            Self::Meshed(meshed) => meshed,
            Self::Plain(pod) => pod,
        }
    }
}

impl AnyPod {
    async fn new(mesh: &Mesh, side: Side, name: &str) -> Self {
        match side {
            Side::Meshed => Self::Meshed(Box::new(mesh.meshed(name).await)),
            Side::Plain => Self::Plain(Pod::new(name)),
        }
    }

    /// Its proxy, if it has one.
    pub fn proxy(&self) -> Option<&Proxy> {
        match self {
            Self::Meshed(meshed) => Some(&meshed.proxy),
            Self::Plain(_) => None,
        }
    }

    /// Its proxy's identity; empty without a proxy.
    pub fn identity(&self) -> String {
        match self {
            Self::Meshed(meshed) => meshed.identity(),
            Self::Plain(_) => String::new(),
        }
    }

    /// What its proxy measures.
    pub async fn metrics(&self) -> Metrics {
        self.proxy().expect("a pod with a proxy").metrics().await
    }
}

/// A client and a server.
pub struct World {
    pub mesh: Mesh,
    pub client: AnyPod,
    pub server: AnyPod,
    /// What the client connects to: the service if it has a proxy (nothing else here can turn a
    /// ClusterIP into a pod), else the pod.
    pub target: SocketAddr,
}

/// The port of every application.
pub const APP_PORT: u16 = 8080;

impl World {
    /// Makes both pods and the service `web` of the server's port 8080.
    pub async fn new(client: Side, server: Side) -> Self {
        Self::build(client, server, false).await
    }

    /// The same, with the port marked opaque.
    pub async fn opaque(client: Side, server: Side) -> Self {
        Self::build(client, server, true).await
    }

    async fn build(client_side: Side, server: Side, opaque: bool) -> Self {
        let mesh = Mesh::start();
        let client = AnyPod::new(&mesh, client_side, "client").await;
        let server = AnyPod::new(&mesh, server, "server").await;
        let mut endpoint = match &server {
            AnyPod::Meshed(meshed) => meshed.endpoint(APP_PORT),
            AnyPod::Plain(pod) => plain_endpoint(pod, APP_PORT),
        };
        endpoint.opaque = opaque;
        if opaque {
            let policy = super::scenario::opaque(vec![super::scenario::allow_everyone()]);
            let key = ("default:server".to_owned(), APP_PORT);
            mesh.control.update(|state| {
                state.inbound.insert(key, policy);
            });
        }
        let service = mesh.service("web", vec![endpoint]);
        let target = match client_side {
            Side::Meshed => service,
            Side::Plain => server.addr(APP_PORT),
        };
        Self {
            mesh,
            client,
            server,
            target,
        }
    }

    /// The value of the label `tls` of connections between the pods.
    pub fn tls_label(&self) -> &'static str {
        if self.is_meshed() {
            "true"
        } else {
            "no_identity"
        }
    }

    /// Whether the connection between the pods is mutual TLS.
    pub fn is_meshed(&self) -> bool {
        self.client.proxy().is_some() && self.server.proxy().is_some()
    }
}
