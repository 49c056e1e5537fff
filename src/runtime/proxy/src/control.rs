//! The control plane as the proxy sees it: channels to its services, and watches of what it says.
//!
//! All of it runs on the cold thread. The data path gets `watch` receivers of immutable snapshots.

mod connect;
pub mod destination;
mod outbound;
pub mod profile;
pub mod stream;
pub mod trust;

use std::{net::SocketAddr, sync::Arc};

use tokio::{runtime::Handle, sync::watch};
use tonic::transport::{Channel, Endpoint, Uri};

use self::connect::Connector;
pub use self::{
    destination::{EndpointMeta, Endpoints, Hint},
    profile::Profile,
};
use crate::{
    config::{ConnectConfig, ControlConfig, ServiceConfig},
    outbound::policy::OutboundPolicy,
    pb::{
        destination::destination_client::DestinationClient,
        outbound::outbound_policies_client::OutboundPoliciesClient,
    },
    tls::TlsStore,
};

/// What a watch knows.
#[derive(Clone, Debug)]
pub enum Known<T> {
    /// Nothing yet.
    Pending,
    /// Nothing yet, and the control plane could not be reached.
    Lost,
    /// The control plane's latest answer.
    Is(Arc<T>),
    /// The control plane says that there is no such thing.
    Absent,
}

/// Clients of the control plane's discovery.
#[derive(Clone, Debug)]
pub struct Discovery {
    client: DestinationClient<Channel>,
    policies: OutboundPoliciesClient<Channel>,
    config: Arc<ControlConfig>,
    /// How policies name this workload.
    workload: String,
    runtime: Handle,
}

/// Channels to the services that know of destinations.
#[derive(Clone, Debug)]
pub struct Channels {
    pub destination: Channel,
    pub policy: Channel,
}

/// Opens connections to a service when first used, and again after each loss.
pub fn channel(service: &ServiceConfig, tls: &Arc<TlsStore>, config: &ConnectConfig) -> Channel {
    let host = &service.addr.host;
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    // The connector takes the address from the configuration; the URI only names the authority.
    let uri = format!("http://{host}:{}", service.addr.port)
        .parse()
        .unwrap_or_else(|_| Uri::from_static("http://control.invalid"));
    Endpoint::from(uri)
        .http2_keep_alive_interval(std::time::Duration::from_secs(10))
        .keep_alive_timeout(std::time::Duration::from_secs(3))
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(Connector::new(service.clone(), tls.clone(), *config))
}

// === impl Discovery ===

impl Discovery {
    /// Looks things up through these channels, in tasks on `runtime`.
    pub fn new(
        channels: Channels,
        config: Arc<ControlConfig>,
        workload: String,
        runtime: Handle,
    ) -> Self {
        // A profile or address set can exceed tonic's limit of 4 MiB at 10,000 endpoints.
        let client =
            DestinationClient::new(channels.destination).max_decoding_message_size(64 << 20);
        let policies =
            OutboundPoliciesClient::new(channels.policy).max_decoding_message_size(16 << 20);
        Self {
            client,
            policies,
            config,
            workload,
            runtime,
        }
    }

    /// Follows the outbound policy of `addr` until the receiver is dropped.
    pub fn policy(&self, addr: SocketAddr) -> watch::Receiver<Known<OutboundPolicy>> {
        let sender = watch::Sender::new(Known::Pending);
        let receiver = sender.subscribe();
        let limits = (self.config.connect.backoff, self.config.stream);
        let (client, workload) = (self.policies.clone(), self.workload.clone());
        self.runtime
            .spawn(outbound::follow(client, workload, addr, limits, sender));
        receiver
    }

    /// Follows the profile of `addr` until the receiver is dropped.
    pub fn profile(&self, addr: SocketAddr) -> watch::Receiver<Known<Profile>> {
        let sender = watch::Sender::new(Known::Pending);
        let receiver = sender.subscribe();
        let (client, config) = (self.client.clone(), self.config.clone());
        self.runtime
            .spawn(profile::follow(client, config, addr, sender));
        receiver
    }

    /// Follows the endpoints of `name:port` until the receiver is dropped.
    pub fn endpoints(&self, path: &str) -> watch::Receiver<Known<Endpoints>> {
        let sender = watch::Sender::new(Known::Pending);
        let receiver = sender.subscribe();
        let (client, config) = (self.client.clone(), self.config.clone());
        self.runtime
            .spawn(destination::follow(client, config, path.to_owned(), sender));
        receiver
    }

    /// What was configured for discovery.
    pub fn config(&self) -> &ControlConfig {
        &self.config
    }
}

// === impl Known ===

impl<T> Known<T> {
    /// Whether the control plane has answered.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Is(_) | Self::Absent)
    }

    /// Notes that the control plane could not be reached, unless it has answered before.
    fn lose(sender: &watch::Sender<Self>) {
        sender.send_if_modified(|known| {
            let pending = matches!(known, Self::Pending);
            if pending {
                *known = Self::Lost;
            }
            pending
        });
    }
}
