//! The configuration: `LINKERD2_PROXY_*` environment variables, read once through an injectable
//! reader. Every error is reported at once; unknown variables are ignored.

mod load;
mod parse;

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use self::{load::load, parse::HostPort};
use crate::addr::IpNet;

/// The prefix of every variable.
pub const PREFIX: &str = "LINKERD2_PROXY_";

/// Where variables come from: the process, or a map in tests.
pub trait Env {
    /// The value of the variable with this whole name.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnv;

/// What is wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("MESH_PROXY_CONFIG: {variable}: {reason}")]
pub struct ConfigError {
    /// The whole name of the variable.
    pub variable: String,
    /// What is wrong with its value.
    pub reason: String,
}

/// Everything that the proxy is told at start.
#[derive(Clone, Debug)]
pub struct Config {
    pub inbound: InboundConfig,
    pub outbound: OutboundConfig,
    pub identity: IdentityConfig,
    pub control: ControlConfig,
    pub policy: PolicyConfig,
    pub admin: AdminConfig,
    pub tap: Option<TapConfig>,
    pub telemetry: TelemetryConfig,
    /// Data-plane workers.
    pub workers: usize,
    /// How long connections may live on after the signal to stop.
    pub shutdown_grace: Duration,
    /// Whether HTTP/2 windows are set explicitly for both sides.
    pub h2: H2Windows,
}

/// HTTP/2 flow-control windows in bytes.
///
/// The window of a connection must not be less than those of its streams together, lest streams
/// that nobody reads use it up and hold up all others.
#[derive(Clone, Copy, Debug)]
pub struct H2Windows {
    pub stream: u32,
    pub connection: u32,
}

/// HTTP/2 parameters of the servers that applications (outbound) or peers (inbound) talk to.
#[derive(Clone, Copy, Debug, Default)]
pub struct H2ServerConfig {
    pub stream_window: Option<u32>,
    pub connection_window: Option<u32>,
    pub keep_alive_interval: Option<Duration>,
    pub keep_alive_timeout: Option<Duration>,
    pub max_concurrent_streams: Option<u32>,
    pub max_frame_size: Option<u32>,
    pub max_header_list_size: Option<u32>,
    pub max_pending_accept_reset_streams: Option<usize>,
    pub max_send_buf_size: Option<usize>,
}

/// Socket options of one side of the proxy.
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketConfig {
    pub keep_alive: Option<Duration>,
    pub user_timeout: Option<Duration>,
}

/// How connections are made.
#[derive(Clone, Copy, Debug)]
pub struct ConnectConfig {
    pub timeout: Duration,
    pub backoff: BackoffConfig,
    pub socket: SocketConfig,
}

/// Growing waits between tries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffConfig {
    pub min: Duration,
    pub max: Duration,
    /// Added at random: 0.1 is up to a tenth more.
    pub jitter: f64,
}

/// What both directions have.
#[derive(Clone, Debug)]
pub struct DirectionConfig {
    pub accept: SocketConfig,
    pub connect: ConnectConfig,
    pub backlog: Option<u32>,
    pub detect_timeout: Duration,
    pub discovery_idle: Duration,
    pub max_in_flight: usize,
    pub max_idle_per_endpoint: usize,
    pub h1_idle: Duration,
    pub queue_capacity: usize,
    pub failfast: Duration,
    pub h2_server: H2ServerConfig,
}

#[derive(Clone, Debug)]
pub struct InboundConfig {
    pub listen: SocketAddr,
    pub common: DirectionConfig,
    /// The pod's own addresses. Empty: not known, nothing is refused for its address.
    pub ips: Vec<IpAddr>,
    /// DNS suffixes of the names that a gateway serves. Empty: no gateway.
    pub gateway_suffixes: Vec<String>,
    /// Whether `authority` is put into metric labels although clients choose it.
    pub authority_labels: bool,
}

#[derive(Clone, Debug)]
pub struct OutboundConfig {
    /// One or two addresses.
    pub listen: Vec<SocketAddr>,
    pub common: DirectionConfig,
    /// Routes by `l5d-dst-override` rather than by original destination.
    pub ingress_mode: bool,
    /// Whether errors carry `l5d-proxy-error` and its like to the application.
    pub informational_headers: bool,
    pub hostname_labels: bool,
}

#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// The DNS-like name of this workload.
    pub local_name: String,
    /// The TLS server name under which peers reach this proxy.
    pub server_name: String,
    /// PEM, one or more certificates.
    pub trust_anchors_pem: String,
    pub token_file: PathBuf,
    /// A folder of this pod alone that outlives the container.
    pub dir: Option<PathBuf>,
    pub min_refresh: Duration,
    pub max_refresh: Duration,
    pub service: ServiceConfig,
}

/// A control-plane service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    pub addr: HostPort,
    /// The identity to expect. `None` only for a loopback address: plaintext.
    pub name: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ControlConfig {
    pub destination: ServiceConfig,
    pub policy: ServiceConfig,
    /// Sent with each discovery request.
    pub destination_context: String,
    /// Names without one of these suffixes are not looked up.
    pub profile_suffixes: Vec<String>,
    /// Addresses outside of these are not looked up. Empty: all are.
    pub profile_networks: Vec<IpNet>,
    /// How long a connection waits for what discovery knows of its destination.
    pub profile_initial_timeout: Duration,
    pub connect: ConnectConfig,
    pub stream: StreamLimits,
    pub dns_min_ttl: Option<Duration>,
    pub dns_max_ttl: Option<Duration>,
}

/// Limits of response streams from the control plane.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamLimits {
    /// Until the first message.
    pub initial: Option<Duration>,
    /// Between messages.
    pub idle: Option<Duration>,
    /// From open to close.
    pub lifetime: Option<Duration>,
}

/// What holds for a port until (and unless) the policy controller answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultPolicy {
    Deny,
    AllAuthenticated,
    AllUnauthenticated,
    ClusterAuthenticated,
    ClusterUnauthenticated,
    Audit,
}

#[derive(Clone, Debug)]
pub struct PolicyConfig {
    pub workload: String,
    pub default: DefaultPolicy,
    pub cluster_networks: Vec<IpNet>,
    /// Watched from the start.
    pub ports: BTreeSet<u16>,
    pub opaque_ports: BTreeSet<u16>,
    pub require_identity_ports: BTreeSet<u16>,
    pub require_tls_ports: BTreeSet<u16>,
}

#[derive(Clone, Debug)]
pub struct AdminConfig {
    pub listen: SocketAddr,
    pub shutdown_endpoint: bool,
    /// What `/env.json` shows.
    pub env: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct TapConfig {
    pub listen: SocketAddr,
    /// The only identity that may observe.
    pub client_name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Plain,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    Apache,
    Json,
}

#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    pub log_filter: String,
    pub log_format: LogFormat,
    pub access_log: Option<AccessLogFormat>,
    pub metrics_retain_idle: Duration,
    pub trace_collector: Option<ServiceConfig>,
    pub trace_service_name: Option<String>,
    pub trace_attributes: HashMap<String, String>,
}

// === impl Env ===

impl Env for ProcessEnv {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Env for HashMap<&str, &str> {
    fn get(&self, name: &str) -> Option<String> {
        HashMap::get(self, name).map(|value| (*value).to_owned())
    }
}

// === impl H2Windows ===

impl H2Windows {
    /// Streams that a connection may have by default: as many as its window is enough for.
    pub const STREAMS: u32 = 250;
    /// In the same zone (0.5 ms) enough for 2 Gbit/s on one stream.
    pub const DEFAULT_STREAM: u32 = 128 * 1024;
    /// Enough for all streams.
    pub const DEFAULT_CONNECTION: u32 = Self::DEFAULT_STREAM * Self::STREAMS;

    /// How many streams may share a connection so that none can hold up another; with small
    /// windows configured, as many as are still worth multiplexing.
    pub fn streams(self) -> usize {
        usize::try_from(self.connection / self.stream.max(1))
            .unwrap_or(usize::MAX)
            .max(100)
    }
}

// === impl DefaultPolicy ===

impl DefaultPolicy {
    /// The name in annotations, values and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::AllAuthenticated => "all-authenticated",
            Self::AllUnauthenticated => "all-unauthenticated",
            Self::ClusterAuthenticated => "cluster-authenticated",
            Self::ClusterUnauthenticated => "cluster-unauthenticated",
            Self::Audit => "audit",
        }
    }
}
