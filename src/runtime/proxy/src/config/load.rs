//! From the environment to a `Config`.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    time::Duration,
};

use super::{
    AccessLogFormat, AdminConfig, BackoffConfig, Config, ConfigError, ConnectConfig, ControlConfig,
    DefaultPolicy, DirectionConfig, Env, H2ServerConfig, H2Windows, IdentityConfig, InboundConfig,
    LogFormat, OutboundConfig, PREFIX, PolicyConfig, ServiceConfig, SocketConfig, StreamLimits,
    TapConfig, TelemetryConfig,
    parse::{self, Reason},
};

/// Reads variables and gathers what is wrong with them.
struct Reader<'a> {
    env: &'a dyn Env,
    errors: Vec<ConfigError>,
}

/// What differs between the two directions.
struct Defaults {
    prefix: &'static str,
    connect_timeout: Duration,
    backoff_max: Duration,
    discovery_idle: Duration,
    failfast: Duration,
}

const INBOUND: Defaults = Defaults {
    prefix: "INBOUND",
    connect_timeout: Duration::from_millis(300),
    backoff_max: Duration::from_secs(10),
    discovery_idle: Duration::from_secs(90),
    failfast: Duration::from_secs(1),
};

const OUTBOUND: Defaults = Defaults {
    prefix: "OUTBOUND",
    connect_timeout: Duration::from_secs(1),
    backoff_max: Duration::from_secs(60),
    discovery_idle: Duration::from_secs(5),
    failfast: Duration::from_secs(3),
};

/// Reads the whole configuration, or tells everything that is wrong with it.
pub fn load(env: &dyn Env) -> Result<Config, Vec<ConfigError>> {
    let mut r = Reader {
        env,
        errors: Vec::new(),
    };
    let inbound = inbound(&mut r);
    let outbound = outbound(&mut r);
    let identity = identity(&mut r);
    let control = control(&mut r, outbound.common.connect.backoff);
    let policy = policy(&mut r);
    let admin = admin(&mut r);
    let tap = tap(&mut r);
    let telemetry = telemetry(&mut r);
    let workers = workers(&mut r);
    let shutdown_grace = r.or(
        "SHUTDOWN_GRACE_PERIOD",
        parse::duration,
        Duration::from_secs(120),
    );
    let h2 = H2Windows {
        stream: r.or(
            "HTTP2_INITIAL_STREAM_WINDOW_SIZE",
            parse::number,
            H2Windows::DEFAULT_STREAM,
        ),
        connection: r.or(
            "HTTP2_INITIAL_CONNECTION_WINDOW_SIZE",
            parse::number,
            H2Windows::DEFAULT_CONNECTION,
        ),
    };
    if r.raw("IDENTITY_DISABLED").is_some() {
        r.fail(
            "IDENTITY_DISABLED",
            "identity cannot be disabled".to_owned(),
        );
    }
    match (identity, control, policy) {
        (Some(identity), Some(control), Some(policy)) if r.errors.is_empty() => Ok(Config {
            inbound,
            outbound,
            identity,
            control,
            policy,
            admin,
            tap,
            telemetry,
            workers,
            shutdown_grace,
            h2,
        }),
        _ => Err(r.errors),
    }
}

fn inbound(r: &mut Reader<'_>) -> InboundConfig {
    InboundConfig {
        listen: r.or(
            "INBOUND_LISTEN_ADDR",
            parse::number,
            SocketAddr::from(([0, 0, 0, 0], 4143)),
        ),
        common: direction(r, &INBOUND),
        ips: r.or_else("INBOUND_IPS", parse::ips, Vec::new),
        gateway_suffixes: r.or_else("INBOUND_GATEWAY_SUFFIXES", parse::suffixes, Vec::new),
        authority_labels: r
            .raw("INBOUND_METRICS_AUTHORITY_LABELS")
            .is_some_and(|value| value.trim() == "unsafe"),
    }
}

fn outbound(r: &mut Reader<'_>) -> OutboundConfig {
    let default = SocketAddr::from(([127, 0, 0, 1], 4140));
    let listen = match r.opt("OUTBOUND_LISTEN_ADDRS", socket_addrs) {
        Some(addrs) if addrs.is_empty() => vec![default],
        Some(addrs) if addrs.len() > 2 => {
            r.fail(
                "OUTBOUND_LISTEN_ADDRS",
                "more than two addresses".to_owned(),
            );
            addrs
        }
        Some(addrs) => addrs,
        None => vec![r.or("OUTBOUND_LISTEN_ADDR", parse::number, default)],
    };
    OutboundConfig {
        listen,
        common: direction(r, &OUTBOUND),
        ingress_mode: r.or("INGRESS_MODE", parse::boolean, false),
        informational_headers: !r.or(
            "OUTBOUND_DISABLE_INFORMATIONAL_HEADERS",
            parse::boolean,
            false,
        ),
        hostname_labels: r.or("OUTBOUND_METRICS_HOSTNAME_LABELS", parse::boolean, false),
    }
}

fn direction(r: &mut Reader<'_>, defaults: &Defaults) -> DirectionConfig {
    let name = |suffix: &str| format!("{}_{suffix}", defaults.prefix);
    let idle_name = match defaults.prefix {
        "INBOUND" => "MAX_IDLE_CONNS_PER_ENDPOINT".to_owned(),
        _ => name("MAX_IDLE_CONNS_PER_ENDPOINT"),
    };
    DirectionConfig {
        accept: SocketConfig {
            keep_alive: r.opt(&name("ACCEPT_KEEPALIVE"), parse::duration),
            user_timeout: r.opt(&name("ACCEPT_USER_TIMEOUT"), parse::duration),
        },
        connect: ConnectConfig {
            timeout: r.or(
                &name("CONNECT_TIMEOUT"),
                parse::duration,
                defaults.connect_timeout,
            ),
            backoff: backoff(r, &name("CONNECT_EXP_BACKOFF"), defaults.backoff_max),
            socket: SocketConfig {
                keep_alive: r.opt(&name("CONNECT_KEEPALIVE"), parse::duration),
                user_timeout: r.opt(&name("CONNECT_USER_TIMEOUT"), parse::duration),
            },
        },
        backlog: r.opt(&name("TCP_LISTEN_BACKLOG"), parse::number),
        detect_timeout: r.or(
            &name("DETECT_TIMEOUT"),
            parse::duration,
            Duration::from_secs(10),
        ),
        discovery_idle: r.or(
            &name("DISCOVERY_IDLE_TIMEOUT"),
            parse::duration,
            defaults.discovery_idle,
        ),
        max_in_flight: r.or(&name("MAX_IN_FLIGHT"), parse::number, 100_000),
        max_idle_per_endpoint: r.or(&idle_name, parse::number, 10_000),
        h1_idle: r.or(
            &name("HTTP1_CONNECTION_POOL_IDLE_TIMEOUT"),
            parse::duration,
            Duration::from_secs(3),
        ),
        queue_capacity: r.or(&name("HTTP_QUEUE_CAPACITY"), parse::number, 10_000),
        failfast: r.or(
            &name("HTTP_FAILFAST_TIMEOUT"),
            parse::duration,
            defaults.failfast,
        ),
        h2_server: h2_server(r, &name("SERVER_HTTP2")),
    }
}

fn h2_server(r: &mut Reader<'_>, prefix: &str) -> H2ServerConfig {
    let name = |suffix: &str| format!("{prefix}_{suffix}");
    H2ServerConfig {
        stream_window: r.opt(&name("INITIAL_STREAM_WINDOW_SIZE"), parse::number),
        connection_window: r.opt(&name("INITIAL_CONNECTION_WINDOW_SIZE"), parse::number),
        keep_alive_interval: r.opt(&name("KEEP_ALIVE_INTERVAL"), parse::duration),
        keep_alive_timeout: r.opt(&name("KEEP_ALIVE_TIMEOUT"), parse::duration),
        max_concurrent_streams: r.opt(&name("MAX_CONCURRENT_STREAMS"), parse::number),
        max_frame_size: r.opt(&name("MAX_FRAME_SIZE"), parse::number),
        max_header_list_size: r.opt(&name("MAX_HEADER_LIST_SIZE"), parse::number),
        max_pending_accept_reset_streams: r
            .opt(&name("MAX_PENDING_ACCEPT_RESET_STREAMS"), parse::number),
        max_send_buf_size: r.opt(&name("MAX_SEND_BUF_SIZE"), parse::number),
    }
}

fn backoff(r: &mut Reader<'_>, prefix: &str, default_max: Duration) -> BackoffConfig {
    let min_name = format!("{prefix}_MIN");
    let backoff = BackoffConfig {
        min: r.or(&min_name, parse::duration, Duration::from_millis(100)),
        max: r.or(&format!("{prefix}_MAX"), parse::duration, default_max),
        jitter: r.or(&format!("{prefix}_JITTER"), parse::ratio, 0.1),
    };
    if backoff.min > backoff.max || backoff.min.is_zero() {
        r.fail(
            &min_name,
            "must be greater than 0 and at most the maximum".to_owned(),
        );
    }
    backoff
}

fn identity(r: &mut Reader<'_>) -> Option<IdentityConfig> {
    let local_name = r.required("IDENTITY_LOCAL_NAME", parse::dns_name);
    let anchors = r.required("IDENTITY_TRUST_ANCHORS", |text| {
        if text.contains("-----BEGIN CERTIFICATE-----") {
            Ok(text.to_owned())
        } else {
            Err("holds no PEM certificate".to_owned())
        }
    });
    let token_file = r.required("IDENTITY_TOKEN_FILE", |text| Ok(text.into()));
    let dir = r.opt("IDENTITY_DIR", |text| Ok(text.into()));
    let service = service(r, "IDENTITY_SVC");
    let server_name = r.opt("IDENTITY_SERVER_NAME", parse::dns_name);
    let min_refresh = r.or(
        "IDENTITY_MIN_REFRESH",
        parse::duration,
        Duration::from_secs(10),
    );
    let max_refresh = r.or(
        "IDENTITY_MAX_REFRESH",
        parse::duration,
        Duration::from_secs(86_400),
    );
    if min_refresh > max_refresh {
        r.fail(
            "IDENTITY_MIN_REFRESH",
            "is more than IDENTITY_MAX_REFRESH".to_owned(),
        );
    }
    let local_name = local_name?;
    Some(IdentityConfig {
        server_name: server_name.unwrap_or_else(|| local_name.clone()),
        local_name,
        trust_anchors_pem: anchors?,
        token_file: token_file?,
        dir,
        min_refresh,
        max_refresh,
        service: service?,
    })
}

/// `<PREFIX>_ADDR` and `<PREFIX>_NAME`; the name may be missing for a loopback address only.
fn service(r: &mut Reader<'_>, prefix: &str) -> Option<ServiceConfig> {
    let addr = r.required(&format!("{prefix}_ADDR"), parse::host_port);
    let name_variable = format!("{prefix}_NAME");
    let name = r.opt(&name_variable, parse::dns_name);
    let addr = addr?;
    if addr.is_loopback() {
        return Some(ServiceConfig { addr, name: None });
    }
    if name.is_none() {
        let reason = "is needed to verify a service that is not on a loopback address";
        r.fail(&name_variable, reason.to_owned());
    }
    Some(ServiceConfig { addr, name })
}

fn control(r: &mut Reader<'_>, backoff: BackoffConfig) -> Option<ControlConfig> {
    let destination = service(r, "DESTINATION_SVC");
    let policy = service(r, "POLICY_SVC");
    let connect = ConnectConfig {
        timeout: r.or(
            "CONTROL_CONNECT_TIMEOUT",
            parse::duration,
            Duration::from_secs(3),
        ),
        backoff: BackoffConfig {
            max: backoff.max.min(Duration::from_secs(10)),
            ..backoff
        },
        socket: SocketConfig {
            keep_alive: Some(Duration::from_secs(10)),
            user_timeout: Some(Duration::from_secs(30)),
        },
    };
    Some(ControlConfig {
        destination_context: r.raw("DESTINATION_CONTEXT").unwrap_or_default(),
        profile_suffixes: r.or_else("DESTINATION_PROFILE_SUFFIXES", parse::suffixes, || {
            vec!["svc.cluster.local".to_owned()]
        }),
        profile_networks: r.or_else("DESTINATION_PROFILE_NETWORKS", parse::networks, Vec::new),
        profile_initial_timeout: r.or(
            "DESTINATION_PROFILE_INITIAL_TIMEOUT",
            parse::duration,
            Duration::from_millis(500),
        ),
        connect,
        stream: StreamLimits {
            initial: r.opt("CONTROL_STREAM_INITIAL_TIMEOUT", parse::duration),
            idle: r.opt("CONTROL_STREAM_IDLE_TIMEOUT", parse::duration),
            lifetime: r.opt("CONTROL_STREAM_LIFETIME", parse::duration),
        },
        dns_min_ttl: r.opt("DNS_MIN_TTL", parse::duration),
        dns_max_ttl: r.opt("DNS_MAX_TTL", parse::duration),
        destination: destination?,
        policy: policy?,
    })
}

fn policy(r: &mut Reader<'_>) -> Option<PolicyConfig> {
    let cluster_networks = r.or_else("POLICY_CLUSTER_NETWORKS", parse::networks, Vec::new);
    let name = "INBOUND_DEFAULT_POLICY";
    let default = r.or(name, default_policy, DefaultPolicy::AllUnauthenticated);
    let needs_networks = matches!(
        default,
        DefaultPolicy::ClusterAuthenticated | DefaultPolicy::ClusterUnauthenticated
    );
    if needs_networks && cluster_networks.is_empty() {
        let reason = format!("{:?} needs POLICY_CLUSTER_NETWORKS", default.name());
        r.fail(name, reason);
    }
    let workload = r.required("POLICY_WORKLOAD", |text| Ok(text.to_owned()));
    Some(PolicyConfig {
        default,
        cluster_networks,
        ports: ports(r, "INBOUND_PORTS"),
        opaque_ports: ports(r, "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"),
        require_identity_ports: ports(r, "INBOUND_PORTS_REQUIRE_IDENTITY"),
        require_tls_ports: ports(r, "INBOUND_PORTS_REQUIRE_TLS"),
        workload: workload?,
    })
}

fn ports(r: &mut Reader<'_>, name: &str) -> BTreeSet<u16> {
    r.or_else(name, parse::ports, BTreeSet::new)
}

fn default_policy(text: &str) -> Result<DefaultPolicy, Reason> {
    [
        DefaultPolicy::Deny,
        DefaultPolicy::AllAuthenticated,
        DefaultPolicy::AllUnauthenticated,
        DefaultPolicy::ClusterAuthenticated,
        DefaultPolicy::ClusterUnauthenticated,
        DefaultPolicy::Audit,
    ]
    .into_iter()
    .find(|policy| policy.name() == text.trim())
    .ok_or_else(|| format!("{text:?} is no default policy"))
}

fn admin(r: &mut Reader<'_>) -> AdminConfig {
    AdminConfig {
        listen: r.or(
            "ADMIN_LISTEN_ADDR",
            parse::number,
            SocketAddr::from(([127, 0, 0, 1], 4191)),
        ),
        shutdown_endpoint: r.or("SHUTDOWN_ENDPOINT_ENABLED", parse::boolean, false),
        env: Vec::new(),
    }
}

fn tap(r: &mut Reader<'_>) -> Option<TapConfig> {
    let listen = r.or(
        "CONTROL_LISTEN_ADDR",
        parse::number,
        SocketAddr::from(([0, 0, 0, 0], 4190)),
    );
    let client_name = r.opt("TAP_SVC_NAME", parse::dns_name)?;
    Some(TapConfig {
        listen,
        client_name,
    })
}

fn telemetry(r: &mut Reader<'_>) -> TelemetryConfig {
    let trace_collector = match r.raw("TRACE_COLLECTOR_SVC_ADDR") {
        Some(_) => service(r, "TRACE_COLLECTOR_SVC"),
        None => None,
    };
    TelemetryConfig {
        log_filter: r
            .raw("LOG")
            .unwrap_or_else(|| "warn,linkerd=info,hickory=error".to_owned()),
        log_format: r.or("LOG_FORMAT", log_format, LogFormat::Plain),
        access_log: r.or("ACCESS_LOG", access_log, None),
        metrics_retain_idle: r.or(
            "METRICS_RETAIN_IDLE",
            parse::duration,
            Duration::from_secs(600),
        ),
        trace_collector,
        trace_service_name: r.raw("TRACE_SERVICE_NAME"),
        trace_attributes: r.or_else("TRACE_EXTRA_ATTRIBUTES", attributes, HashMap::new),
    }
}

fn log_format(text: &str) -> Result<LogFormat, Reason> {
    match text.trim().to_ascii_lowercase().as_str() {
        "plain" => Ok(LogFormat::Plain),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("{other:?} is neither plain nor json")),
    }
}

fn access_log(text: &str) -> Result<Option<AccessLogFormat>, Reason> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "none" | "off" => Ok(None),
        "apache" => Ok(Some(AccessLogFormat::Apache)),
        "json" => Ok(Some(AccessLogFormat::Json)),
        other => Err(format!("{other:?} is neither apache nor json")),
    }
}

/// `key=value` pairs, one a line or separated by commas.
fn attributes(text: &str) -> Result<HashMap<String, String>, Reason> {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok((
                key.trim().to_owned(),
                value.trim().trim_matches('"').to_owned(),
            )),
            None => Err(format!("{pair:?} is no key=value")),
        })
        .collect()
}

/// `CORES_MAX_RATIO` of the processors (rounded up) if given, within `CORES_MIN` and `CORES_MAX`,
/// else `CORES`, else 1.
fn workers(r: &mut Reader<'_>) -> usize {
    let cores: Option<usize> = r.opt("CORES", parse::number);
    let min: usize = r.opt("CORES_MIN", parse::number).unwrap_or(1);
    let max: Option<usize> = r.opt("CORES_MAX", parse::number);
    let ratio = r.opt("CORES_MAX_RATIO", parse::ratio);
    let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let by_ratio = ratio.map(|ratio| share_of(available, ratio));
    let wanted = match (by_ratio, max) {
        (Some(ratio), Some(max)) => ratio.min(max),
        (Some(count), None) | (None, Some(count)) => count,
        (None, None) => cores.unwrap_or(1),
    };
    wanted.max(min).clamp(1, available.max(1))
}

fn share_of(count: usize, ratio: f64) -> usize {
    (1..=count)
        .find(|n| *n as f64 >= count as f64 * ratio)
        .unwrap_or(count)
}

fn socket_addrs(text: &str) -> Result<Vec<SocketAddr>, Reason> {
    text.split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(parse::number)
        .collect()
}

// === impl Reader ===

impl Reader<'_> {
    /// The value of a variable, if it is set to more than blanks.
    fn raw(&self, name: &str) -> Option<String> {
        self.env
            .get(&format!("{PREFIX}{name}"))
            .filter(|value| !value.trim().is_empty())
    }

    fn fail(&mut self, name: &str, reason: Reason) {
        self.errors.push(ConfigError {
            variable: format!("{PREFIX}{name}"),
            reason,
        });
    }

    fn opt<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Reason>) -> Option<T> {
        match parse(&self.raw(name)?) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.fail(name, reason);
                None
            }
        }
    }

    fn or<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Reason>, default: T) -> T {
        self.opt(name, parse).unwrap_or(default)
    }

    fn or_else<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Reason>,
        default: impl FnOnce() -> T,
    ) -> T {
        self.opt(name, parse).unwrap_or_else(default)
    }

    fn required<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Reason>) -> Option<T> {
        if self.raw(name).is_none() {
            self.fail(name, "is required".to_owned());
            return None;
        }
        self.opt(name, parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            (
                "LINKERD2_PROXY_IDENTITY_LOCAL_NAME",
                "web.default.serviceaccount.identity.linkerd.cluster.local",
            ),
            (
                "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS",
                "-----BEGIN CERTIFICATE-----",
            ),
            ("LINKERD2_PROXY_IDENTITY_TOKEN_FILE", "/token"),
            ("LINKERD2_PROXY_IDENTITY_SVC_ADDR", "localhost:8080"),
            ("LINKERD2_PROXY_DESTINATION_SVC_ADDR", "127.0.0.1:8086"),
            ("LINKERD2_PROXY_POLICY_SVC_ADDR", "127.0.0.1:8090"),
            ("LINKERD2_PROXY_POLICY_WORKLOAD", "default:web"),
        ])
    }

    #[test]
    fn the_minimum_is_enough_and_has_the_published_defaults() {
        let config = load(&minimal()).unwrap();
        assert_eq!(config.inbound.listen, "0.0.0.0:4143".parse().unwrap());
        assert_eq!(config.outbound.listen, ["127.0.0.1:4140".parse().unwrap()]);
        assert_eq!(config.admin.listen, "127.0.0.1:4191".parse().unwrap());
        assert_eq!(
            config.inbound.common.connect.timeout,
            Duration::from_millis(300)
        );
        assert_eq!(
            config.outbound.common.connect.timeout,
            Duration::from_secs(1)
        );
        assert_eq!(
            config.outbound.common.discovery_idle,
            Duration::from_secs(5)
        );
        assert_eq!(config.shutdown_grace, Duration::from_secs(120));
        assert_eq!(config.policy.default, DefaultPolicy::AllUnauthenticated);
        assert_eq!(config.identity.server_name, config.identity.local_name);
        assert_eq!(config.workers, 1);
        assert!(config.tap.is_none());
    }

    #[test]
    fn every_error_is_told_at_once() {
        let mut env = minimal();
        env.remove("LINKERD2_PROXY_POLICY_WORKLOAD");
        env.insert("LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD", "soon");
        env.insert(
            "LINKERD2_PROXY_DESTINATION_SVC_ADDR",
            "linkerd-dst.linkerd.svc:8086",
        );
        env.insert(
            "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY",
            "cluster-authenticated",
        );
        env.insert("LINKERD2_PROXY_IDENTITY_DISABLED", "1");
        let errors = load(&env).unwrap_err();
        let mut names: Vec<_> = errors
            .iter()
            .filter_map(|e| e.variable.strip_prefix(PREFIX))
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "DESTINATION_SVC_NAME",
                "IDENTITY_DISABLED",
                "INBOUND_DEFAULT_POLICY",
                "POLICY_WORKLOAD",
                "SHUTDOWN_GRACE_PERIOD",
            ]
        );
    }

    #[test]
    fn two_outbound_listeners_at_most() {
        let mut env = minimal();
        env.insert(
            "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS",
            "127.0.0.1:4140,[::1]:4140",
        );
        assert_eq!(load(&env).unwrap().outbound.listen.len(), 2);
        env.insert(
            "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS",
            "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3",
        );
        assert!(load(&env).is_err());
    }
}
