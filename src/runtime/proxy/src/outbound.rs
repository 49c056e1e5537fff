//! Connections of this pod's applications to others.

mod balancer;
mod endpoint;
mod http;
mod metrics;
mod plan;
pub mod policy;
mod target;
mod tcp;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, time::Instant};

use self::{
    balancer::Balancer,
    endpoint::Judgement,
    http::HttpService,
    plan::{Detection, OpaquePlan, Plan},
    target::Target,
};
use crate::{
    accept::{self, Accepted},
    config::{H2Windows, OutboundConfig},
    connect::Connector,
    control::Discovery,
    detect::{self, HttpVersion},
    drain,
    http::{
        Fault,
        multiplex::H2ClientConfig,
        server::{self, H2Server},
    },
    io::Io,
    metrics::{Labels, Metrics},
    race::{self, First},
    rng::Rng,
    route,
};

/// Everything that outbound connections of one worker share.
pub struct Outbound {
    config: OutboundConfig,
    discovery: Discovery,
    connector: Rc<Connector>,
    metrics: Arc<Metrics>,
    rng: Rng,
    windows: H2Windows,
    targets: RefCell<HashMap<SocketAddr, Rc<Target>>>,
    balancers: RefCell<HashMap<Arc<str>, Vec<Rc<Balancer>>>>,
    in_flight: Cell<usize>,
}

/// What an `Outbound` is made from.
pub struct Params {
    pub config: OutboundConfig,
    pub discovery: Discovery,
    pub connector: Rc<Connector>,
    pub metrics: Arc<Metrics>,
    pub windows: H2Windows,
}

// === impl Outbound ===

impl Outbound {
    /// Nothing is known yet.
    pub fn new(params: Params) -> Rc<Self> {
        let this = Rc::new(Self {
            config: params.config,
            discovery: params.discovery,
            connector: params.connector,
            metrics: params.metrics,
            rng: Rng::from_entropy(),
            windows: params.windows,
            targets: RefCell::default(),
            balancers: RefCell::default(),
            in_flight: Cell::new(0),
        });
        tokio::task::spawn_local(sweep_often(Rc::downgrade(&this)));
        this
    }

    /// Accepts connections for as long as the process lives: while draining, too, because the
    /// application may need others in order to end well.
    pub async fn accept(self: Rc<Self>, listener: TcpListener, drain: drain::Source) {
        loop {
            let accepted = accept::accept(&listener, self.config.common.accept).await;
            let (this, Some(drain)) = (self.clone(), drain.watch()) else {
                return;
            };
            tokio::task::spawn_local(async move { this.serve(accepted, drain).await });
        }
    }

    /// One connection: where to, what protocol, then on its way.
    async fn serve(self: Rc<Self>, accepted: Accepted, drain: drain::Watch) {
        let Accepted {
            tcp,
            client,
            original_dst,
        } = accepted;
        if self.connector.is_own(original_dst) {
            tracing::warn!(code = "MESH_PROXY_LOOP", %client, "a connection meant for the proxy itself");
            let _ = tcp.set_zero_linger();
            return;
        }
        let target = self.target(original_dst).await;
        let Some(plan) = target.plan() else { return };
        let io = Io::plain(tcp, bytes::Bytes::new()).metered(target.accepted.open());
        let result = match &plan.detection {
            Detection::Http { timeout } => {
                self.clone()
                    .serve_detected(io, *timeout, &target, &plan, drain)
                    .await
            }
            Detection::Http1 => {
                return self.serve_http(io, HttpVersion::Http1, target, drain).await;
            }
            Detection::Http2 => return self.serve_http(io, HttpVersion::H2, target, drain).await,
            Detection::Opaque => {
                return self.forward(io, None, &target, plan.opaque.clone()).await;
            }
            Detection::Tls => self.serve_tls(io, &target, &plan).await,
            Detection::Refuse(why) => {
                let fault = Fault::InvalidRoute(original_dst.to_string(), (*why).to_owned());
                return self.refuse(&io, original_dst, &fault);
            }
        };
        if let Err(error) = result {
            tracing::debug!(%client, %error, "a client's connection broke");
        }
    }

    async fn serve_detected(
        self: Rc<Self>,
        mut io: Io,
        timeout: Duration,
        target: &Rc<Target>,
        plan: &Plan,
        drain: drain::Watch,
    ) -> std::io::Result<()> {
        let opaque = plan.opaque.clone();
        let connect = opaque
            .clone()
            .map(|opaque| || tcp::connect(self.clone(), opaque));
        match race::first_bytes(&mut io, detect::http, timeout, connect).await? {
            First::Is(version) => self.serve_http(io, version, target.clone(), drain).await,
            First::No(server) => self.forward(io, server, target, opaque).await,
            First::Server(server) => self.forward(io, Some(server), target, opaque).await,
            First::Closed => {}
            First::Unreachable(error) => self.refuse(&io, target.original_dst, &error),
        }
        Ok(())
    }

    /// TLS is not looked into, but its server name decides where it goes.
    async fn serve_tls(
        self: &Rc<Self>,
        mut io: Io,
        target: &Rc<Target>,
        plan: &Plan,
    ) -> std::io::Result<()> {
        let timeout = self.config.common.detect_timeout;
        match race::first_bytes(&mut io, detect::client_hello, timeout, race::NEVER).await? {
            First::Is(hello) => {
                let route = route::find_host(plan.tls.iter(), hello.sni.as_deref());
                self.forward(io, None, target, route.cloned()).await;
            }
            First::Closed => {}
            First::No(_) | First::Server(_) | First::Unreachable(_) => {
                let fault = Fault::InvalidRoute(target.original_dst.to_string(), "not TLS".into());
                self.refuse(&io, target.original_dst, &fault);
            }
        }
        Ok(())
    }

    async fn serve_http(
        self: Rc<Self>,
        io: Io,
        version: HttpVersion,
        target: Rc<Target>,
        drain: drain::Watch,
    ) {
        let h2 = H2Server {
            config: self.config.common.h2_server,
            windows: self.windows,
        };
        let service = Rc::new(HttpService::new(self, target));
        let ended = match version {
            HttpVersion::Http1 => server::serve_h1(io, service, drain)
                .await
                .map_err(|e| e.to_string()),
            HttpVersion::H2 => server::serve_h2(io, service, h2, drain)
                .await
                .map_err(|e| e.to_string()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an application's HTTP connection ended");
        }
    }

    async fn forward(
        self: &Rc<Self>,
        mut io: Io,
        server: Option<Io>,
        target: &Rc<Target>,
        plan: Option<Rc<OpaquePlan>>,
    ) {
        let connected = match (server, plan) {
            (Some(server), _) => Ok(server),
            (None, Some(plan)) => tcp::connect(self.clone(), plan).await,
            (None, None) => Err(Fault::NoRoute(target.original_dst.to_string())),
        };
        let mut server = match connected {
            Ok(server) => server,
            Err(fault) => return self.refuse(&io, target.original_dst, &fault),
        };
        if let Err(error) = crate::tcp::copy(&mut io, &mut server).await {
            tracing::debug!(dst = %target.original_dst, %error, "a connection broke");
            io.reset_on_drop();
            server.reset_on_drop();
        }
    }

    /// Ends the client's connection as the server would have: with a reset.
    fn refuse(&self, io: &Io, dst: SocketAddr, fault: &Fault) {
        tracing::info!(code = fault.code(), %dst, error = %fault, "a connection failed");
        let labels = Labels::new().with("error", fault.label()).finish();
        self.metrics.outbound_tcp_errors_total.get(&labels).incr();
        io.reset_on_drop();
    }

    /// What is known of a destination, from the cache if it was asked for recently.
    async fn target(self: &Rc<Self>, dst: SocketAddr) -> Rc<Target> {
        let known = self.targets.borrow().get(&dst).cloned();
        let target = known.unwrap_or_else(|| {
            let target = Target::new(self, dst);
            self.targets.borrow_mut().insert(dst, target.clone());
            target
        });
        target.used();
        target.ready().await;
        target
    }

    /// The balancer of a service, shared by all targets that lead to it and judge alike.
    fn balancer(self: &Rc<Self>, path: &Arc<str>, judgement: Judgement) -> Rc<Balancer> {
        let known =
            |all: &Vec<Rc<Balancer>>| all.iter().find(|b| b.judgement == judgement).cloned();
        if let Some(balancer) = self.balancers.borrow().get(path).and_then(known) {
            return balancer;
        }
        let balancer = Balancer::new(self, path.clone(), judgement);
        let mut balancers = self.balancers.borrow_mut();
        balancers
            .entry(path.clone())
            .or_default()
            .push(balancer.clone());
        balancer
    }

    fn h2_client(&self) -> H2ClientConfig {
        H2ClientConfig {
            windows: self.windows,
            keep_alive: Some((Duration::from_secs(10), Duration::from_secs(3))),
        }
    }

    /// Forgets what was not used for a while and closes connections that idle.
    fn sweep(&self) {
        let idle = self.config.common.discovery_idle;
        let now = Instant::now();
        self.targets.borrow_mut().retain(|_, target| {
            target.sweep();
            Rc::strong_count(target) > 1 || now - target.used_at() < idle
        });
        self.balancers.borrow_mut().retain(|_, balancers| {
            balancers.retain(|balancer| {
                balancer.sweep();
                Rc::strong_count(balancer) > 1
            });
            !balancers.is_empty()
        });
    }
}

async fn sweep_often(outbound: std::rc::Weak<Outbound>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        match outbound.upgrade() {
            Some(outbound) => outbound.sweep(),
            None => return,
        }
    }
}
