//! Inbound and outbound policy, and every change of it.

use std::sync::Arc;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Shared, caller, changes, follow};
use crate::support::{
    pb::{
        inbound::{PortSpec, Server, inbound_server_policies_server::InboundServerPolicies},
        outbound::{
            OutboundPolicy, TrafficSpec, outbound_policies_server::OutboundPolicies, traffic_spec,
        },
    },
    scenario::{State, from_tcp_address},
};

/// Serves `InboundServerPolicies` and `OutboundPolicies`.
pub(super) struct PolicyApi(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl InboundServerPolicies for PolicyApi {
    type WatchPortStream = ReceiverStream<Result<Server, Status>>;

    async fn get_port(&self, request: Request<PortSpec>) -> Result<Response<Server>, Status> {
        let spec = request.into_inner();
        let port = wire_port(spec.port)?;
        let server = self.0.state.borrow().inbound_policy(&spec.workload, port);
        Ok(Response::new(server))
    }

    async fn watch_port(
        &self,
        request: Request<PortSpec>,
    ) -> Result<Response<Self::WatchPortStream>, Status> {
        let peer = caller(&request);
        let PortSpec { workload, port } = request.into_inner();
        self.0.record(format!("WatchPort {workload} {port}"), &peer);
        let port = wire_port(port)?;
        let view = changes(move |state: &State| state.inbound_policy(&workload, port));
        Ok(Response::new(follow(&self.0, view)))
    }
}

fn wire_port(port: u32) -> Result<u16, Status> {
    u16::try_from(port).map_err(|_| Status::invalid_argument("not a port"))
}

#[tonic::async_trait]
impl OutboundPolicies for PolicyApi {
    type WatchStream = ReceiverStream<Result<OutboundPolicy, Status>>;

    async fn get(&self, request: Request<TrafficSpec>) -> Result<Response<OutboundPolicy>, Status> {
        let target = target(&request.into_inner())?;
        let policy = self.0.state.borrow().outbound.get(&target).cloned();
        policy
            .map(Response::new)
            .ok_or_else(|| Status::not_found("no policy"))
    }

    async fn watch(
        &self,
        request: Request<TrafficSpec>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let peer = caller(&request);
        let target = target(&request.into_inner())?;
        self.0.record(format!("Watch {target}"), &peer);
        let mut last = None;
        let view = move |state: &State| {
            let now = state.outbound.get(&target).cloned();
            if last.as_ref() == Some(&now) {
                return Vec::new();
            }
            last = Some(now.clone());
            vec![now.ok_or_else(|| Status::not_found("no policy"))]
        };
        Ok(Response::new(follow(&self.0, view)))
    }
}

/// The address that a policy is asked for.
fn target(spec: &TrafficSpec) -> Result<std::net::SocketAddr, Status> {
    match &spec.target {
        Some(traffic_spec::Target::Addr(address)) => from_tcp_address(address),
        Some(traffic_spec::Target::Authority(authority)) => authority.parse().ok(),
        None => None,
    }
    .ok_or_else(|| Status::invalid_argument("no address"))
}
