//! A control plane in a pod of its own: identity, destination and policy over TLS, from a scenario
//! that a test changes as it goes. Each component can be stopped and started again.

mod destination;
mod identity;
mod policy;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tower_service::Service as _;

pub use self::identity::token_of;
use self::{destination::DestinationApi, identity::IdentityApi, policy::PolicyApi};
use super::{
    authority::Authority,
    network::Pod,
    pb::{
        destination::destination_server::DestinationServer,
        identity::identity_server::IdentityServer,
        inbound::inbound_server_policies_server::InboundServerPoliciesServer,
        outbound::outbound_policies_server::OutboundPoliciesServer,
    },
    scenario::State,
    serve::{Peer, Task, serve_tls},
};

/// A part of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    Identity,
    Destination,
    Policy,
}

impl Component {
    const ALL: [Self; 3] = [Self::Identity, Self::Destination, Self::Policy];

    /// The port that it serves on.
    pub const fn port(self) -> u16 {
        match self {
            Self::Identity => 8080,
            Self::Destination => 8086,
            Self::Policy => 8090,
        }
    }

    /// The identity that it proves.
    pub const fn server_name(self) -> &'static str {
        match self {
            Self::Identity => {
                "linkerd-identity.linkerd.serviceaccount.identity.linkerd.cluster.local"
            }
            Self::Destination | Self::Policy => {
                "linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local"
            }
        }
    }
}

/// What tests may look at and change while the control plane runs.
pub struct Shared {
    pub authority: Authority,
    pub state: watch::Sender<State>,
    /// How long certificates last, in milliseconds.
    lifetime_ms: AtomicU64,
    /// Calls so far: the method with its argument, and who called.
    calls: Mutex<Vec<Call>>,
}

/// One call that the control plane was asked.
#[derive(Clone, Debug)]
pub struct Call {
    /// As `GetProfile 10.96.0.1:80`.
    pub what: String,
    /// The identities of the caller's certificate.
    pub caller: Vec<String>,
}

/// The running control plane.
pub struct ControlPlane {
    pub pod: Pod,
    shared: Arc<Shared>,
    running: HashMap<Component, Task>,
}

impl ControlPlane {
    /// Starts every component.
    pub fn start() -> Self {
        let shared = Shared {
            authority: Authority::new(),
            state: watch::Sender::new(State::default()),
            lifetime_ms: AtomicU64::new(24 * 3600 * 1000),
            calls: Mutex::default(),
        };
        let pod = Pod::new("control-plane");
        let mut control = Self {
            pod,
            shared: Arc::new(shared),
            running: HashMap::new(),
        };
        for component in Component::ALL {
            control.restart(component);
        }
        control
    }

    /// Starts a component again.
    pub fn restart(&mut self, component: Component) {
        let listener = self.pod.listen(component.port());
        let shared = Arc::clone(&self.shared);
        let tls = shared.authority.server_config(component.server_name());
        let task = serve_tls(listener, tls, move |request, peer| {
            answer(component, Arc::clone(&shared), request, peer)
        });
        self.running.insert(component, task);
    }

    /// Stops a component: its connections are cut, new ones are refused.
    pub async fn stop(&mut self, component: Component) {
        if let Some(task) = self.running.remove(&component) {
            task.stop().await;
        }
    }

    /// The address of a component.
    pub fn addr(&self, component: Component) -> SocketAddr {
        self.pod.addr(component.port())
    }

    pub fn authority(&self) -> &Authority {
        &self.shared.authority
    }

    /// Changes what is known; every open stream is told.
    pub fn update(&self, change: impl FnOnce(&mut State)) {
        self.shared.state.send_modify(change);
    }

    /// How long certificates issued from now on last.
    pub fn set_certificate_lifetime(&self, lifetime: Duration) {
        let millis = u64::try_from(lifetime.as_millis()).expect("a lifetime of this century");
        self.shared.lifetime_ms.store(millis, Ordering::Relaxed);
    }

    /// The calls so far whose description begins so.
    pub fn calls(&self, prefix: &str) -> Vec<Call> {
        let calls = self.shared.calls.lock().expect("no panic while recording");
        calls
            .iter()
            .filter(|call| call.what.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// How many streams of the state are open.
    pub fn subscribers(&self) -> usize {
        self.shared.state.receiver_count()
    }
}

impl Shared {
    fn record(&self, what: String, caller: &Peer) {
        let call = Call {
            what,
            caller: caller.identities.clone(),
        };
        self.calls
            .lock()
            .expect("no panic while recording")
            .push(call);
    }

    fn certificate_lifetime(&self) -> Duration {
        Duration::from_millis(self.lifetime_ms.load(Ordering::Relaxed))
    }
}

/// Hands a request to the API that it is for, with who asks as an extension.
async fn answer(
    component: Component,
    shared: Arc<Shared>,
    mut request: Request<Incoming>,
    peer: Peer,
) -> Response<tonic::body::Body> {
    request.extensions_mut().insert(peer);
    let inbound = request
        .uri()
        .path()
        .starts_with("/io.linkerd.proxy.inbound.");
    let answer = match component {
        Component::Identity => IdentityServer::new(IdentityApi(shared)).call(request).await,
        Component::Destination => {
            DestinationServer::new(DestinationApi(shared))
                .call(request)
                .await
        }
        Component::Policy if inbound => {
            InboundServerPoliciesServer::new(PolicyApi(shared))
                .call(request)
                .await
        }
        Component::Policy => {
            OutboundPoliciesServer::new(PolicyApi(shared))
                .call(request)
                .await
        }
    };
    match answer {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Who sent a request.
fn caller<T>(request: &tonic::Request<T>) -> Peer {
    request
        .extensions()
        .get::<Peer>()
        .cloned()
        .expect("every request is given its peer")
}

/// A stream of what `view` makes of the state, now and after every change.
fn follow<T: Send + 'static>(
    shared: &Shared,
    mut view: impl FnMut(&State) -> Vec<Result<T, Status>> + Send + 'static,
) -> ReceiverStream<Result<T, Status>> {
    let mut state = shared.state.subscribe();
    let (sender, stream) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let messages = view(&state.borrow_and_update());
            for message in messages {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() {
                    return;
                },
                () = sender.closed() => return,
            }
        }
    });
    ReceiverStream::new(stream)
}

/// Turns a view into one that is silent while nothing changes.
fn changes<T: PartialEq + Clone>(
    mut view: impl FnMut(&State) -> T,
) -> impl FnMut(&State) -> Vec<Result<T, Status>> {
    let mut last = None;
    move |state| {
        let now = view(state);
        if last.as_ref() == Some(&now) {
            return Vec::new();
        }
        last = Some(now.clone());
        vec![Ok(now)]
    }
}
