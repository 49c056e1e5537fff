//! What is known of a destination address, from `Destination.GetProfile`.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use tokio::sync::watch;
use tonic::{Status, Streaming, transport::Channel};

use super::{EndpointMeta, Hint, Known, stream};
use crate::{
    config::ControlConfig,
    pb::destination::{DestinationProfile, GetDestination, destination_client::DestinationClient},
};

/// A destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The service's fully qualified name, without a port.
    pub name: Option<Arc<str>>,
    /// The one endpoint behind the address, when it belongs to no service.
    pub endpoint: Option<Arc<EndpointMeta>>,
    /// Not to be looked into.
    pub opaque: bool,
}

struct Subscriber {
    client: DestinationClient<Channel>,
    request: GetDestination,
    sender: watch::Sender<Known<Profile>>,
}

/// Keeps `sender` at the profile of `addr` until nobody listens.
pub(super) async fn follow(
    client: DestinationClient<Channel>,
    config: Arc<ControlConfig>,
    addr: SocketAddr,
    sender: watch::Sender<Known<Profile>>,
) {
    let path = addr.to_string();
    let request = GetDestination {
        scheme: "k8s".to_owned(),
        path: path.clone(),
        context_token: config.destination_context.clone(),
    };
    let closed = sender.clone();
    let mut subscriber = Subscriber {
        client,
        request,
        sender,
    };
    tokio::select! {
        () = closed.closed() => {}
        () = stream::follow(&mut subscriber, &path, config.connect.backoff, config.stream) => {}
    }
}

// === impl Subscriber ===

impl stream::Subscriber for Subscriber {
    type Item = DestinationProfile;

    async fn open(&mut self) -> Result<tonic::Response<Streaming<DestinationProfile>>, Status> {
        self.client.get_profile(self.request.clone()).await
    }

    fn message(&mut self, profile: DestinationProfile) {
        let profile = Profile::from_wire(&profile);
        self.sender.send_if_modified(|known| {
            if matches!(known, Known::Is(old) if **old == profile) {
                return false;
            }
            *known = Known::Is(Arc::new(profile));
            true
        });
    }

    fn lost(&mut self) {
        Known::lose(&self.sender);
    }

    fn refused(&mut self, _status: &Status) -> bool {
        self.sender.send_replace(Known::Absent);
        false
    }
}

// === impl Profile ===

impl Profile {
    /// Whether connections are not to be looked into.
    pub fn is_opaque(&self) -> bool {
        self.opaque
            || self
                .endpoint
                .as_ref()
                .is_some_and(|e| e.hint == Hint::Opaque)
    }

    fn from_wire(wire: &DestinationProfile) -> Self {
        let name = wire.fully_qualified_name.trim_end_matches('.');
        Self {
            name: (!name.is_empty()).then(|| name.into()),
            endpoint: wire
                .endpoint
                .as_ref()
                .and_then(|endpoint| EndpointMeta::from_wire(endpoint, &HashMap::new()))
                .map(Arc::new),
            opaque: wire.opaque_protocol,
        }
    }
}
