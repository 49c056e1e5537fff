//! Discovery: profiles and endpoints, and every change of them.

use std::{net::SocketAddr, sync::Arc};

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Shared, caller, changes, follow};
use crate::support::{
    pb::destination::{
        AddrSet, DestinationProfile, GetDestination, NoEndpoints, Update, WeightedAddrSet,
        destination_server::Destination, update,
    },
    scenario::{Endpoint, State, tcp_address},
};

/// Serves `Destination`.
pub(super) struct DestinationApi(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl Destination for DestinationApi {
    type GetStream = ReceiverStream<Result<Update, Status>>;
    type GetProfileStream = ReceiverStream<Result<DestinationProfile, Status>>;

    async fn get(
        &self,
        request: Request<GetDestination>,
    ) -> Result<Response<Self::GetStream>, Status> {
        let peer = caller(&request);
        let path = request.into_inner().path;
        self.0.record(format!("Get {path}"), &peer);
        let mut sent = None;
        let view = move |state: &State| updates(&mut sent, endpoints(state, &path), &path);
        Ok(Response::new(follow(&self.0, view)))
    }

    async fn get_profile(
        &self,
        request: Request<GetDestination>,
    ) -> Result<Response<Self::GetProfileStream>, Status> {
        let peer = caller(&request);
        let path = request.into_inner().path;
        self.0.record(format!("GetProfile {path}"), &peer);
        let view = changes(move |state: &State| state.profile(&path));
        Ok(Response::new(follow(&self.0, view)))
    }
}

/// The endpoints of a service, or `None` when there is no such service.
fn endpoints(state: &State, path: &str) -> Option<Vec<Endpoint>> {
    state
        .service(path)
        .map(|(_, service)| service.endpoints.clone())
}

/// What to tell a subscriber that was told `sent` before.
fn updates(
    sent: &mut Option<Option<Vec<Endpoint>>>,
    now: Option<Vec<Endpoint>>,
    path: &str,
) -> Vec<Result<Update, Status>> {
    if sent.as_ref() == Some(&now) {
        return Vec::new();
    }
    let before = sent.replace(now.clone()).flatten().unwrap_or_default();
    let after = now.clone().unwrap_or_default();
    if after.is_empty() {
        let exists = now.is_some();
        return vec![message(update::Update::NoEndpoints(NoEndpoints { exists }))];
    }
    let addresses: Vec<SocketAddr> = after.iter().map(|endpoint| endpoint.address).collect();
    let gone = before
        .iter()
        .filter(|old| !addresses.contains(&old.address));
    let gone: Vec<_> = gone.map(|old| tcp_address(old.address)).collect();
    let new: Vec<_> = after
        .iter()
        .filter(|new| !before.contains(new))
        .map(Endpoint::to_wire)
        .collect();
    let name = path.split('.').next().unwrap_or(path);
    let labels = [("service", name), ("namespace", "default")];
    let mut messages = Vec::new();
    if !new.is_empty() {
        messages.push(message(update::Update::Add(WeightedAddrSet {
            addrs: new,
            metric_labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        })));
    }
    if !gone.is_empty() {
        messages.push(message(update::Update::Remove(AddrSet { addrs: gone })));
    }
    messages
}

#[expect(clippy::unnecessary_wraps, reason = "an item of the stream")]
fn message(update: update::Update) -> Result<Update, Status> {
    Ok(Update {
        update: Some(update),
    })
}
