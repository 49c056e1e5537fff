//! Connections of others to this pod's applications.

mod admission;
mod gate;
mod http;
mod local;

use std::{
    cell::RefCell, collections::HashMap, net::SocketAddr, rc::Rc, sync::Arc, time::Duration,
};

use bytes::Bytes;
use tokio::{net::TcpListener, time::Instant};

use self::{gate::Gate, http::HttpService, local::Local};
use crate::{
    accept::{self, Accepted},
    config::{H2Windows, InboundConfig},
    connect::{ConnectError, Connector},
    detect::{self, ClientHello, HttpVersion, Verdict},
    drain,
    http::{Fault, respond, server, server::H2Server},
    io::{Ahead, Io},
    metrics::{Labels, Metrics},
    policy::{Client, PolicyStore, Protocol, authorize::ClientTls},
    race::{self, First},
    rng::Rng,
    tls::{self, TlsStore, client::Session, server::Accepted as AcceptedTls},
    transport,
};

/// A client may take this long for its TLS handshake or transport header.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Everything that inbound connections of one worker share.
pub struct Inbound {
    config: InboundConfig,
    /// The TLS server name that is ours.
    server_name: String,
    tls: Arc<TlsStore>,
    policies: Arc<PolicyStore>,
    connector: Rc<Connector>,
    metrics: Arc<Metrics>,
    windows: H2Windows,
    rng: Rng,
    locals: RefCell<HashMap<SocketAddr, Rc<Local>>>,
}

/// What an `Inbound` is made from.
pub struct Params {
    pub config: InboundConfig,
    pub server_name: String,
    pub tls: Arc<TlsStore>,
    pub policies: Arc<PolicyStore>,
    pub connector: Rc<Connector>,
    pub metrics: Arc<Metrics>,
    pub windows: H2Windows,
}

/// How a connection begins.
enum Opening {
    Tls(ClientHello),
    /// Mutual TLS is not spoken; the bytes may be anything else.
    Other,
}

// === impl Inbound ===

impl Inbound {
    /// Nothing is known yet.
    pub fn new(params: Params) -> Rc<Self> {
        let this = Rc::new(Self {
            config: params.config,
            server_name: params.server_name,
            tls: params.tls,
            policies: params.policies,
            connector: params.connector,
            metrics: params.metrics,
            windows: params.windows,
            rng: Rng::from_entropy(),
            locals: RefCell::default(),
        });
        tokio::task::spawn_local(sweep_often(Rc::downgrade(&this)));
        this
    }

    /// Accepts connections until draining begins.
    pub async fn accept(self: Rc<Self>, listener: TcpListener, mut drain: drain::Watch) {
        loop {
            tokio::select! {
                () = drain.draining() => return,
                accepted = accept::accept(&listener, self.config.common.accept) => {
                    let (this, drain) = (self.clone(), drain.clone());
                    tokio::task::spawn_local(async move { this.serve(accepted, drain).await });
                }
            }
        }
    }

    async fn serve(self: Rc<Self>, accepted: Accepted, drain: drain::Watch) {
        let Accepted {
            tcp,
            client,
            original_dst,
        } = accepted;
        let ips = &self.config.ips;
        if !ips.is_empty() && !ips.contains(&original_dst.ip()) {
            tracing::warn!(
                code = "MESH_PROXY_NOT_OURS",
                %client, dst = %original_dst,
                "a connection for an address that this pod does not have",
            );
            let _ = tcp.set_zero_linger();
            return;
        }
        let io = Io::plain(tcp, Bytes::new());
        let result = if original_dst.port() == self.config.listen.port() {
            self.serve_direct(io, client, original_dst, drain).await
        } else {
            self.serve_port(io, client, original_dst, drain).await
        };
        if let Err(error) = result {
            tracing::debug!(%client, dst = %original_dst, %error, "an inbound connection ended");
        }
    }

    /// A connection to a port of an application: opaque, TLS or plain, as its policy says and its
    /// first bytes tell.
    async fn serve_port(
        self: Rc<Self>,
        mut io: Io,
        client: SocketAddr,
        dst: SocketAddr,
        drain: drain::Watch,
    ) -> std::io::Result<()> {
        let gate = Gate::open(&self, client, dst, ClientTls::None).await;
        if matches!(gate.policy().protocol, Protocol::Opaque) {
            return self.forward(io, None, gate).await;
        }
        let connect = gate
            .allows_race()
            .then_some(|| self.clone().connect_raw(dst));
        let timeout = gate.detect_timeout();
        match race::first_bytes(&mut io, opening, timeout, connect).await? {
            First::Is(Opening::Tls(hello)) if self.is_ours(&hello) => {
                let accepted = self.terminate(io, Session::Direct).await?;
                let tls = ClientTls::of(&accepted);
                let io = Io::server_tls(accepted.stream);
                let gate = Gate::open(&self, client, dst, tls).await;
                self.serve_detected(io, gate, drain).await
            }
            First::Is(Opening::Tls(_)) => {
                let gate = Gate::open(&self, client, dst, ClientTls::Opaque).await;
                self.forward(io, None, gate).await
            }
            First::Is(Opening::Other) => self.serve_detected(io, gate, drain).await,
            First::No(server) => {
                // The client ended after a few bytes, or was cut off in a hello.
                self.forward(io, server, gate).await
            }
            First::Server(server) => self.forward(io, Some(server), gate).await,
            First::Closed => Ok(()),
            First::Unreachable(error) => self.refuse(&io, dst, &error.into()),
        }
    }

    /// A connection to the proxy's own port: mutual TLS, then a transport header.
    async fn serve_direct(
        self: Rc<Self>,
        mut io: Io,
        client: SocketAddr,
        dst: SocketAddr,
        drain: drain::Watch,
    ) -> std::io::Result<()> {
        match race::first_bytes(&mut io, detect::client_hello, HANDSHAKE, race::NEVER).await? {
            First::Is(hello) if self.is_ours(&hello) => {}
            First::Closed => return Ok(()),
            _ => return self.refuse(&io, dst, &Fault::NotDirect("no TLS for this workload")),
        }
        let accepted = self.terminate(io, Session::Transport).await?;
        let (tls, is_transport) = (ClientTls::of(&accepted), accepted.transport);
        let mut io = Io::server_tls(accepted.stream);
        if !is_transport || !matches!(tls, ClientTls::Identity(_)) {
            return self.refuse(
                &io,
                dst,
                &Fault::NotDirect("no transport protocol or identity"),
            );
        }
        let header = tokio::time::timeout(HANDSHAKE, transport::read(&mut io)).await??;
        if header.name.is_some() {
            return self.refuse(&io, dst, &Fault::NotDirect("this proxy is no gateway"));
        }
        let target = SocketAddr::new(dst.ip(), header.port);
        let gate = Gate::open(&self, client, target, tls).await;
        match header.protocol {
            None => self.forward(io, None, gate).await,
            Some(version) => self.serve_http(io, version, gate, drain).await,
        }
    }

    /// TLS is dealt with: what is spoken inside?
    async fn serve_detected(
        self: Rc<Self>,
        mut io: Io,
        gate: Rc<Gate>,
        drain: drain::Watch,
    ) -> std::io::Result<()> {
        let dst = gate.dst;
        let policy = gate.policy();
        match &policy.protocol {
            Protocol::Opaque | Protocol::Tls => return self.forward(io, None, gate).await,
            Protocol::Invalid => return self.refuse(&io, dst, &Fault::InvalidPolicy),
            // A peer may carry HTTP/1 in HTTP/2, so that with TLS detection is needed still.
            Protocol::Http1(_) if !gate.is_tls() => {
                return self.serve_http(io, HttpVersion::Http1, gate, drain).await;
            }
            Protocol::Http2(_) | Protocol::Grpc(_) => {
                return self.serve_http(io, HttpVersion::H2, gate, drain).await;
            }
            Protocol::Detect { .. } | Protocol::Http1(_) => {}
        }
        let connect = gate
            .allows_race()
            .then_some(|| self.clone().connect_raw(dst));
        let timeout = gate.detect_timeout();
        match race::first_bytes(&mut io, detect::http, timeout, connect).await? {
            First::Is(version) => self.serve_http(io, version, gate, drain).await,
            First::No(server) => self.forward(io, server, gate).await,
            First::Server(server) => self.forward(io, Some(server), gate).await,
            First::Closed => Ok(()),
            First::Unreachable(error) => self.refuse(&io, dst, &error.into()),
        }
    }

    async fn serve_http(
        self: Rc<Self>,
        io: Io,
        version: HttpVersion,
        gate: Rc<Gate>,
        drain: drain::Watch,
    ) -> std::io::Result<()> {
        let io = io.metered(gate.accepted.open());
        let h2 = H2Server {
            config: self.config.common.h2_server,
            windows: self.windows,
        };
        let local = self.local(gate.dst);
        let service = Rc::new(HttpService::new(self, gate.clone(), local));
        let served = async {
            match version {
                HttpVersion::Http1 => server::serve_h1(io, service, drain)
                    .await
                    .map_err(std::io::Error::other),
                HttpVersion::H2 => server::serve_h2(io, service, h2, drain)
                    .await
                    .map_err(std::io::Error::other),
            }
        };
        tokio::select! {
            served = served => served,
            () = gate.enforce() => Ok(()),
        }
    }

    /// Opaque bytes, for as long as policy allows them.
    async fn forward(
        self: Rc<Self>,
        io: Io,
        server: Option<Io>,
        gate: Rc<Gate>,
    ) -> std::io::Result<()> {
        if let Err(fault) = gate.admit_connection() {
            return self.refuse(&io, gate.dst, &fault);
        }
        let mut io = io.metered(gate.accepted.open());
        let mut server = match server {
            Some(server) => server,
            None => match self.clone().connect_raw(gate.dst).await {
                Ok(server) => server,
                Err(error) => return self.refuse(&io, gate.dst, &error.into()),
            },
        };
        let result = tokio::select! {
            result = crate::tcp::copy(&mut io, &mut server) => result,
            fault = gate.revoked() => {
                server.reset_on_drop();
                return self.refuse(&io, gate.dst, &fault);
            }
        };
        if result.is_err() {
            io.reset_on_drop();
            server.reset_on_drop();
        }
        result
    }

    /// Ends a connection with a reset, which tells the client that this was no ordinary end.
    fn refuse(&self, io: &Io, dst: SocketAddr, fault: &Fault) -> std::io::Result<()> {
        tracing::info!(code = fault.code(), %dst, error = %fault, "a connection was refused");
        let labels = Labels::new().with("error", fault.label()).finish();
        self.metrics.inbound_tcp_errors_total.get(&labels).incr();
        io.reset_on_drop();
        Ok(())
    }

    async fn terminate(&self, io: Io, session: Session) -> std::io::Result<AcceptedTls> {
        let Ok((tcp, ahead)) = io.into_plain() else {
            return Err(std::io::Error::other("TLS within TLS"));
        };
        tls::server::accept(&self.tls, Ahead::new(tcp, ahead), session, HANDSHAKE)
            .await
            .map_err(|error| {
                let code = respond::tls_code(&error);
                tracing::info!(code, %error, "a client's TLS handshake failed");
                std::io::Error::other(error)
            })
    }

    fn is_ours(&self, hello: &ClientHello) -> bool {
        hello.sni.as_deref() == Some(self.server_name.as_str())
    }

    /// A counted connection to the application.
    async fn connect_raw(self: Rc<Self>, dst: SocketAddr) -> Result<Io, ConnectError> {
        let local = self.local(dst);
        Ok(self.connector.plain(dst).await?.metered(local.tcp.open()))
    }

    /// The application's port, with its kept connections.
    fn local(&self, addr: SocketAddr) -> Rc<Local> {
        let mut locals = self.locals.borrow_mut();
        let local = locals.entry(addr).or_insert_with(|| Local::new(self, addr));
        local.used_at.set(Instant::now());
        local.clone()
    }

    fn sweep(&self) {
        let now = Instant::now();
        let idle = self.config.common.discovery_idle;
        self.locals.borrow_mut().retain(|_, local| {
            let is_idle = local.upstream.sweep();
            Rc::strong_count(local) > 1 || !is_idle || now - local.used_at.get() < idle
        });
    }
}

impl ClientTls {
    fn of(accepted: &AcceptedTls) -> Self {
        match &accepted.client_id {
            Some(id) => Self::Identity(id.clone()),
            None => Self::Anonymous,
        }
    }
}

/// Tells mutual TLS from everything else. Only TLS needs more than its first byte.
fn opening(bytes: &[u8]) -> Verdict<Opening> {
    match detect::client_hello(bytes) {
        Verdict::Is(hello) => Verdict::Is(Opening::Tls(hello)),
        Verdict::No => Verdict::Is(Opening::Other),
        Verdict::More { likely } => Verdict::More { likely },
    }
}

async fn sweep_often(inbound: std::rc::Weak<Inbound>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        match inbound.upgrade() {
            Some(inbound) => inbound.sweep(),
            None => return,
        }
    }
}

/// The facts of a connection that policy judges by.
fn facts(client: SocketAddr, tls: ClientTls) -> Client {
    Client {
        ip: client.ip(),
        tls,
    }
}
