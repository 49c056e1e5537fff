//! The proxy as a whole: listeners, threads, and their end.
//!
//! The main thread and `workers - 1` others carry traffic, each with a runtime of its own. One
//! cold thread talks to the control plane and serves the admin port, so that neither delays a
//! request.

use std::{io, net::SocketAddr, process::ExitCode, rc::Rc, sync::Arc, thread, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle, LocalOptions, LocalRuntime},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    accept,
    admin::Admin,
    config::{Config, ConfigError, ProcessEnv, load},
    connect::Connector,
    control::{self, Channels, Discovery, trust},
    drain,
    identity::Renewer,
    inbound::{self, Inbound},
    metrics::Metrics,
    outbound::{self, Outbound},
    policy::{PolicyStore, store::Source},
    sys,
    telemetry::{self, LogLevel},
    tls::TlsStore,
};

/// The configuration is wrong (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;
/// Start failed.
const EXIT_START: u8 = 1;

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("MESH_PROXY_LISTEN: cannot listen on {addr}: {source}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("MESH_PROXY_IDENTITY: {0}")]
    Identity(#[from] crate::identity::IdentityError),
    #[error("MESH_PROXY_RUNTIME: {0}")]
    Runtime(#[from] io::Error),
}

/// Listening sockets of one worker.
struct Listeners {
    inbound: std::net::TcpListener,
    outbound: Vec<std::net::TcpListener>,
}

/// What all threads share.
#[derive(Clone)]
struct Shared {
    config: Arc<Config>,
    tls: Arc<TlsStore>,
    metrics: Arc<Metrics>,
}

/// What the cold thread hands to the workers.
struct Cold {
    discovery: Discovery,
    policies: Arc<PolicyStore>,
}

/// Runs the proxy until it is told to stop.
pub fn run() -> ExitCode {
    let config = match load(&ProcessEnv) {
        Ok(config) => config,
        Err(errors) => return refuse(&errors),
    };
    let log_level = telemetry::start(&config.telemetry.log_filter, config.telemetry.log_format);
    let tls = match TlsStore::new(&config.identity.trust_anchors_pem) {
        Ok(tls) => Arc::new(tls),
        Err(error) => {
            let variable = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS".to_owned();
            return refuse(&[ConfigError {
                variable,
                reason: error.to_string(),
            }]);
        }
    };
    trust::restore(&config.identity, &tls);
    match start(config, tls, log_level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            eprintln!("{error}");
            ExitCode::from(EXIT_START)
        }
    }
}

fn refuse(errors: &[ConfigError]) -> ExitCode {
    for error in errors {
        eprintln!("{error}");
    }
    ExitCode::from(EXIT_CONFIG)
}

fn start(config: Config, tls: Arc<TlsStore>, log_level: LogLevel) -> Result<(), StartError> {
    match sys::raise_open_files_limit() {
        Ok(limit) => tracing::debug!(limit, "limit of open files"),
        Err(error) => tracing::debug!(%error, "the limit of open files stays"),
    }
    let config = Arc::new(config);
    let mut listeners = (0..config.workers)
        .map(|_| Listeners::bind(&config))
        .collect::<Result<Vec<_>, _>>()?;
    let admin = bind(config.admin.listen, None, false)?;
    let shared = Shared {
        config,
        tls,
        metrics: Metrics::new(),
    };
    let (signal, watch) = drain::channel();

    let cold = start_cold(shared.clone(), admin, log_level, signal)?;
    let own_worker = listeners.pop();
    for (index, listeners) in listeners.into_iter().enumerate() {
        let (shared, cold, watch) = (shared.clone(), cold.clone(), watch.clone());
        thread::Builder::new()
            .name(format!("worker-{}", index + 1))
            .spawn(move || work(&shared, &cold, listeners, watch))?;
    }
    if let Some(listeners) = own_worker {
        work(&shared, &cold, listeners, watch)?;
    }
    Ok(())
}

/// Starts the thread of everything that is not traffic. It ends the process when draining is done.
fn start_cold(
    shared: Shared,
    admin: std::net::TcpListener,
    log_level: LogLevel,
    signal: drain::Signal,
) -> Result<Arc<Cold>, StartError> {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::Builder::new()
        .name("cold".to_owned())
        .spawn(move || {
            let runtime = match runtime() {
                Ok(runtime) => runtime,
                Err(error) => {
                    return sender
                        .send(Err(StartError::Runtime(error)))
                        .unwrap_or_default();
                }
            };
            runtime.block_on(async move {
                let shutdown = mpsc::channel(1);
                match cold_tasks(&shared, admin, log_level, shutdown.0) {
                    Ok(cold) => sender.send(Ok(Arc::new(cold))).unwrap_or_default(),
                    Err(error) => return sender.send(Err(error)).unwrap_or_default(),
                }
                until_stopped(shutdown.1).await;
                tracing::info!("draining");
                let grace = shared.config.shutdown_grace;
                if tokio::time::timeout(grace, signal.drain()).await.is_err() {
                    tracing::warn!(
                        code = "MESH_PROXY_DRAIN_TIMEOUT",
                        "connections were still open after {} s",
                        grace.as_secs()
                    );
                }
                #[expect(clippy::exit, reason = "listeners and workers have no other end")]
                std::process::exit(0);
            });
        })?;
    receiver.recv().map_err(io::Error::other)?
}

/// Starts identity, discovery, policy, admin and housekeeping on the current runtime.
fn cold_tasks(
    shared: &Shared,
    admin: std::net::TcpListener,
    log_level: LogLevel,
    shutdown: mpsc::Sender<()>,
) -> Result<Cold, StartError> {
    let config = &shared.config;
    let connect = config.control.connect;
    let channel = |service| control::channel(service, &shared.tls, &connect);

    let identity = channel(&config.identity.service);
    tokio::spawn(trust::follow(
        config.identity.clone(),
        identity.clone(),
        shared.tls.clone(),
        connect.backoff,
    ));
    let (tls, metrics) = (shared.tls.clone(), shared.metrics.clone());
    tokio::spawn(Renewer::new(config.identity.clone(), identity, tls, metrics)?.run());
    tokio::spawn(warn_until_ready(shared.tls.clone()));

    let policy_channel = channel(&config.control.policy);
    let channels = Channels {
        destination: channel(&config.control.destination),
        policy: policy_channel.clone(),
    };
    let discovery = Discovery::new(
        channels,
        Arc::new(config.control.clone()),
        config.policy.workload.clone(),
        Handle::current(),
    );
    let policies = PolicyStore::start(
        config.policy.clone(),
        config.inbound.common.detect_timeout,
        config.inbound.common.discovery_idle,
        Source {
            channel: policy_channel,
            backoff: connect.backoff,
            limits: config.control.stream,
            runtime: Handle::current(),
        },
    );
    let mut admin_config = config.admin.clone();
    admin_config.env = proxy_env();
    let server = Rc::new(Admin {
        config: admin_config,
        server_name: config.identity.server_name.clone(),
        tls: shared.tls.clone(),
        metrics: shared.metrics.clone(),
        log_level,
        shutdown,
    });
    // The admin server is there to the end: it does not hold up draining.
    let (admin_signal, admin_watch) = drain::channel();
    let listener = TcpListener::from_std(admin)?;
    tokio::task::spawn_local(async move {
        server.serve(listener, admin_watch).await;
        drop(admin_signal);
    });
    tokio::spawn(sweep_often(shared.clone(), policies.clone()));
    Ok(Cold {
        discovery,
        policies,
    })
}

/// Carries traffic until the process ends.
fn work(
    shared: &Shared,
    cold: &Arc<Cold>,
    listeners: Listeners,
    watch: drain::Watch,
) -> io::Result<()> {
    runtime()?.block_on(async move {
        shared.tls.ready().await;
        let config = &shared.config;
        let inbound = Inbound::new(inbound::Params {
            connector: connector(shared, config.inbound.common.connect),
            config: config.inbound.clone(),
            server_name: config.identity.server_name.clone(),
            tls: shared.tls.clone(),
            policies: cold.policies.clone(),
            metrics: shared.metrics.clone(),
            windows: config.h2,
        });
        let outbound = Outbound::new(outbound::Params {
            connector: connector(shared, config.outbound.common.connect),
            config: config.outbound.clone(),
            discovery: cold.discovery.clone(),
            metrics: shared.metrics.clone(),
            windows: config.h2,
        });
        for listener in listeners.outbound {
            let listener = TcpListener::from_std(listener)?;
            tokio::task::spawn_local(outbound.clone().accept(listener, watch.source()));
        }
        inbound
            .accept(TcpListener::from_std(listeners.inbound)?, watch)
            .await;
        std::future::pending::<io::Result<()>>().await
    })
}

fn connector(shared: &Shared, config: crate::config::ConnectConfig) -> Rc<Connector> {
    let mut own = shared.config.outbound.listen.clone();
    own.push(shared.config.inbound.listen);
    Rc::new(Connector {
        tls: shared.tls.clone(),
        config,
        own,
        own_ips: shared.config.inbound.ips.clone(),
    })
}

fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
}

/// Returns when a signal or `/shutdown` asks for the end.
async fn until_stopped(mut shutdown: mpsc::Receiver<()>) {
    let (Ok(mut term), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
        _ = shutdown.recv() => {}
    }
}

async fn warn_until_ready(tls: Arc<TlsStore>) {
    const PAUSE: Duration = Duration::from_secs(15);
    while tokio::time::timeout(PAUSE, tls.ready()).await.is_err() {
        tracing::warn!(code = "MESH_PROXY_NOT_READY", "still without a certificate");
    }
}

async fn sweep_often(shared: Shared, policies: Arc<PolicyStore>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(10));
    loop {
        ticks.tick().await;
        shared
            .metrics
            .sweep(shared.config.telemetry.metrics_retain_idle);
        policies.sweep();
    }
}

/// The proxy's variables as they are; none of them is a secret.
fn proxy_env() -> Vec<(String, String)> {
    std::env::vars()
        .filter(|(name, _)| name.starts_with(crate::config::PREFIX))
        .collect()
}

// === impl Listeners ===

impl Listeners {
    fn bind(config: &Config) -> Result<Self, StartError> {
        let shared = config.workers > 1;
        let inbound = bind(config.inbound.listen, config.inbound.common.backlog, shared)?;
        let backlog = config.outbound.common.backlog;
        let outbound = config
            .outbound
            .listen
            .iter()
            .map(|addr| bind(*addr, backlog, shared));
        Ok(Self {
            inbound,
            outbound: outbound.collect::<Result<_, _>>()?,
        })
    }
}

fn bind(
    addr: SocketAddr,
    backlog: Option<u32>,
    shared: bool,
) -> Result<std::net::TcpListener, StartError> {
    accept::bind(addr, backlog, shared).map_err(|source| StartError::Listen { addr, source })
}
