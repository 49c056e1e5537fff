//! The policies of this workload's ports, watched.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, time::Instant};
use tonic::{Status, Streaming, transport::Channel};

use super::{Authentication, Authorization, Protocol, Route, ServerPolicy};
use crate::{
    config::{BackoffConfig, DefaultPolicy, PolicyConfig, StreamLimits},
    control::stream,
    pb::inbound::{PortSpec, Server, inbound_server_policies_client::InboundServerPoliciesClient},
};

/// How long connections to a port wait for the controller's first answer, counted from the start of the watch: while
/// the controller is away, probes and clients must not wait again and again.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// What a watch holds.
#[derive(Clone, Debug)]
pub struct Current {
    pub policy: Arc<ServerPolicy>,
    /// Whether the controller said so, as opposed to the default.
    pub resolved: bool,
}

/// Policies by port. Shared by workers and the cold thread.
#[derive(Debug)]
pub struct PolicyStore {
    config: PolicyConfig,
    detect_timeout: Duration,
    idle: Duration,
    client: InboundServerPoliciesClient<Channel>,
    backoff: BackoffConfig,
    limits: StreamLimits,
    runtime: Handle,
    ports: Mutex<HashMap<u16, Entry>>,
}

#[derive(Debug)]
struct Entry {
    receiver: watch::Receiver<Current>,
    started_at: Instant,
    used_at: Instant,
}

struct Subscriber {
    client: InboundServerPoliciesClient<Channel>,
    spec: PortSpec,
    port: u16,
    detect_timeout: Duration,
    sender: watch::Sender<Current>,
    floor: Floor,
}

/// What the environment demands of a port, whatever the controller says.
#[derive(Clone, Copy, Debug)]
struct Floor {
    require_identity: bool,
    require_tls: bool,
}

/// How a store reaches the controller.
#[derive(Clone, Debug)]
pub struct Source {
    pub channel: Channel,
    pub backoff: BackoffConfig,
    pub limits: StreamLimits,
    pub runtime: Handle,
}

// === impl PolicyStore ===

impl PolicyStore {
    /// Watches the configured ports from now on, others when asked for and while in use.
    pub fn start(
        config: PolicyConfig,
        detect_timeout: Duration,
        idle: Duration,
        source: Source,
    ) -> Arc<Self> {
        let ports: Vec<u16> = config.ports.iter().copied().collect();
        let store = Arc::new(Self {
            config,
            detect_timeout,
            idle,
            client: InboundServerPoliciesClient::new(source.channel)
                .max_decoding_message_size(16 << 20),
            backoff: source.backoff,
            limits: source.limits,
            runtime: source.runtime,
            ports: Mutex::default(),
        });
        for port in ports {
            store.watch(port);
        }
        store
    }

    /// The policy of `port`, from a watch that is started if there is none.
    pub fn watch(&self, port: u16) -> watch::Receiver<Current> {
        let now = Instant::now();
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = ports.entry(port).or_insert_with(|| Entry {
            receiver: self.follow(port),
            started_at: now,
            used_at: now,
        });
        entry.used_at = now;
        entry.receiver.clone()
    }

    /// The policy of `port` once the controller has answered or it is clear that it will not soon.
    pub async fn get(&self, port: u16) -> watch::Receiver<Current> {
        let mut receiver = self.watch(port);
        let deadline = self.started_at(port) + FIRST_ANSWER;
        let answer = receiver.wait_for(|current| current.resolved);
        if tokio::time::timeout_at(deadline, answer).await.is_err() {
            tracing::debug!(
                port,
                "no answer of the policy controller; the default policy holds"
            );
        }
        receiver
    }

    fn started_at(&self, port: u16) -> Instant {
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports
            .get(&port)
            .map_or_else(Instant::now, |entry| entry.started_at)
    }

    /// Stops watches that nobody has asked for in a while.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.retain(|port, entry| {
            self.config.ports.contains(port) || now - entry.used_at < self.idle
        });
    }

    fn follow(&self, port: u16) -> watch::Receiver<Current> {
        let opaque = self.config.opaque_ports.contains(&port);
        let floor = Floor {
            require_identity: self.config.require_identity_ports.contains(&port),
            require_tls: self.config.require_tls_ports.contains(&port),
        };
        let mut policy = ServerPolicy::from_default(
            self.config.default,
            port,
            &self.config.cluster_networks,
            opaque,
            self.detect_timeout,
        );
        floor.apply(&mut policy);
        let sender = watch::Sender::new(Current {
            policy: Arc::new(policy),
            resolved: false,
        });
        let receiver = sender.subscribe();
        let closed = sender.clone();
        let mut subscriber = Subscriber {
            client: self.client.clone(),
            spec: PortSpec {
                workload: self.config.workload.clone(),
                port: port.into(),
            },
            port,
            detect_timeout: self.detect_timeout,
            sender,
            floor,
        };
        let (backoff, limits) = (self.backoff, self.limits);
        self.runtime.spawn(async move {
            let what = format!("policy of port {port}");
            tokio::select! {
                () = closed.closed() => {}
                () = stream::follow(&mut subscriber, &what, backoff, limits) => {
                    // Terminal refusals leave the default in place for as long as it is watched.
                    closed.closed().await;
                }
            }
        });
        receiver
    }

    /// The configured default.
    pub fn default_policy(&self) -> DefaultPolicy {
        self.config.default
    }
}

// === impl Subscriber ===

impl stream::Subscriber for Subscriber {
    type Item = Server;

    async fn open(&mut self) -> Result<tonic::Response<Streaming<Server>>, Status> {
        self.client.watch_port(self.spec.clone()).await
    }

    fn message(&mut self, server: Server) {
        let mut policy = ServerPolicy::from_wire(&server, self.port, self.detect_timeout);
        self.floor.apply(&mut policy);
        self.sender.send_if_modified(|current| {
            policy.keep_counts_of(&current.policy);
            let changed = !current.resolved || *current.policy != policy;
            if changed {
                *current = Current {
                    policy: Arc::new(policy),
                    resolved: true,
                };
            }
            changed
        });
    }

    fn refused(&mut self, status: &Status) -> bool {
        self.sender
            .send_if_modified(|current| !std::mem::replace(&mut current.resolved, true));
        matches!(
            status.code(),
            tonic::Code::InvalidArgument | tonic::Code::FailedPrecondition
        )
    }
}

// === impl Floor ===

impl Floor {
    /// Narrows every permission to what the environment demands.
    fn apply(self, policy: &mut ServerPolicy) {
        if !self.require_identity && !self.require_tls {
            return;
        }
        policy.authorizations = self.narrow(&policy.authorizations);
        match &mut policy.protocol {
            Protocol::Detect { http, .. } | Protocol::Http1(http) | Protocol::Http2(http) => {
                http.routes = self.narrow_routes(&http.routes);
            }
            Protocol::Grpc(routes) => *routes = self.narrow_routes(routes),
            Protocol::Opaque | Protocol::Tls | Protocol::Invalid => {}
        }
    }

    fn narrow_routes<M: Clone>(self, routes: &[Route<M>]) -> Arc<[Route<M>]> {
        let narrowed = routes.iter().cloned().map(|mut route| {
            route.authorizations = self.narrow(&route.authorizations);
            route
        });
        narrowed.collect()
    }

    fn narrow(self, authorizations: &[Authorization]) -> Arc<[Authorization]> {
        let narrowed = authorizations.iter().cloned().map(|mut authorization| {
            authorization.authentication = match authorization.authentication {
                Authentication::None | Authentication::Tls if self.require_identity => {
                    Authentication::any_identity()
                }
                Authentication::None => Authentication::Tls,
                other => other,
            };
            authorization
        });
        narrowed.collect()
    }
}
