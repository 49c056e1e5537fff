//! Policy of traffic to a destination address, from `OutboundPolicies.Watch`.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::watch;
use tonic::{Status, Streaming, transport::Channel};

use super::{Known, stream};
use crate::{
    addr,
    config::{BackoffConfig, StreamLimits},
    outbound::policy::OutboundPolicy,
    pb::outbound::{
        self, TrafficSpec, outbound_policies_client::OutboundPoliciesClient, traffic_spec::Target,
    },
};

struct Subscriber {
    client: OutboundPoliciesClient<Channel>,
    request: TrafficSpec,
    sender: watch::Sender<Known<OutboundPolicy>>,
}

/// Keeps `sender` at the policy of `target` until nobody listens.
pub(super) async fn follow(
    client: OutboundPoliciesClient<Channel>,
    workload: String,
    target: SocketAddr,
    (backoff, limits): (BackoffConfig, StreamLimits),
    sender: watch::Sender<Known<OutboundPolicy>>,
) {
    let request = TrafficSpec {
        source_workload: workload,
        target: Some(Target::Addr(addr::to_wire(target))),
    };
    let what = format!("outbound policy of {target}");
    let closed = sender.clone();
    let mut subscriber = Subscriber {
        client,
        request,
        sender,
    };
    tokio::select! {
        () = closed.closed() => {}
        () = stream::follow(&mut subscriber, &what, backoff, limits) => {}
    }
}

// === impl Subscriber ===

impl stream::Subscriber for Subscriber {
    type Item = outbound::OutboundPolicy;

    async fn open(
        &mut self,
    ) -> Result<tonic::Response<Streaming<outbound::OutboundPolicy>>, Status> {
        self.client.watch(self.request.clone()).await
    }

    fn message(&mut self, policy: outbound::OutboundPolicy) {
        let policy = OutboundPolicy::from_wire(&policy);
        self.sender.send_if_modified(|known| {
            if matches!(known, Known::Is(old) if **old == policy) {
                return false;
            }
            *known = Known::Is(Arc::new(policy));
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
