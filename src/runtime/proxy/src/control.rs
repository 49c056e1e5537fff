//! The control plane as the proxy sees it: channels to its services, and watches of what it says.
//!
//! All of it runs on the cold thread. The data path gets `watch` receivers of immutable snapshots.

mod connect;
pub mod destination;
pub mod profile;
pub mod stream;
pub mod trust;

use std::sync::Arc;

use tokio::{runtime::Handle, sync::watch};
use tonic::transport::{Channel, Endpoint, Uri};

use self::connect::Connector;
pub use self::{
    destination::{EndpointMeta, Endpoints, Hint},
    profile::Profile,
};
use crate::{
    config::{ConnectConfig, ControlConfig, ServiceConfig},
    pb::destination::destination_client::DestinationClient,
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
    config: Arc<ControlConfig>,
    runtime: Handle,
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
    /// Looks things up through this channel, in tasks on `runtime`.
    pub fn new(channel: Channel, config: Arc<ControlConfig>, runtime: Handle) -> Self {
        // A profile or address set can exceed tonic's limit of 4 MiB at 10,000 endpoints.
        let client = DestinationClient::new(channel).max_decoding_message_size(64 << 20);
        Self {
            client,
            config,
            runtime,
        }
    }

    /// Follows the profile of `addr` until the receiver is dropped.
    pub fn profile(&self, addr: std::net::SocketAddr) -> watch::Receiver<Known<Profile>> {
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
