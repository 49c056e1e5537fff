//! The real proxy, run as the user that the redirect rules exempt.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::{
    client::HttpClient,
    control::{Component, ControlPlane, token_of},
    eventually::eventually,
    metrics::Metrics,
    network::{PROXY_BINARY, Pod},
    serve::Version,
    sys,
};

/// The user and group of the proxy.
pub const PROXY_UID: u32 = 2102;
const ADMIN_PORT: u16 = 4191;

/// A running proxy; killed when dropped. Its log is shown when the test fails.
pub struct Proxy {
    name: String,
    pub admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
}

/// The environment that the injector would give to the proxy of `pod`.
pub fn environment(pod: &Pod, control: &ControlPlane) -> Vec<(String, String)> {
    let identity = identity_of(&pod.name);
    let token_file = format!("/run/{}.token", pod.name);
    fs::write(&token_file, token_of(&identity)).expect("a private /run");
    let ips = pod.ips().map(|ip| ip.to_string()).join(",");
    let workload = format!("default:{}", pod.name);
    let mut variables = vec![
        ("LOG", "warn,linkerd=debug,mesh_proxy=debug".to_owned()),
        ("INBOUND_LISTEN_ADDR", "[::]:4143".to_owned()),
        (
            "OUTBOUND_LISTEN_ADDRS",
            "127.0.0.1:4140,[::1]:4140".to_owned(),
        ),
        ("CONTROL_LISTEN_ADDR", "[::]:4190".to_owned()),
        ("ADMIN_LISTEN_ADDR", format!("[::]:{ADMIN_PORT}")),
        ("INBOUND_IPS", ips),
        ("POLICY_WORKLOAD", workload),
        ("INBOUND_DEFAULT_POLICY", "all-unauthenticated".to_owned()),
        ("POLICY_CLUSTER_NETWORKS", "10.0.0.0/8,fd00::/8".to_owned()),
        (
            "DESTINATION_CONTEXT",
            format!("{{\"ns\":\"default\",\"pod\":\"{}\"}}", pod.name),
        ),
        (
            "DESTINATION_PROFILE_SUFFIXES",
            "svc.cluster.local.".to_owned(),
        ),
        (
            "DESTINATION_PROFILE_NETWORKS",
            "10.0.0.0/8,fd00::/8".to_owned(),
        ),
        ("IDENTITY_DIR", "/run".to_owned()),
        (
            "IDENTITY_TRUST_ANCHORS",
            control.authority().anchor_pem.clone(),
        ),
        ("IDENTITY_TOKEN_FILE", token_file),
        ("IDENTITY_LOCAL_NAME", identity),
    ];
    let services = [
        ("IDENTITY", Component::Identity),
        ("DESTINATION", Component::Destination),
        ("POLICY", Component::Policy),
    ];
    let services: Vec<(String, String)> = services
        .iter()
        .flat_map(|(name, component)| {
            [
                (
                    format!("{name}_SVC_ADDR"),
                    control.addr(*component).to_string(),
                ),
                (
                    format!("{name}_SVC_NAME"),
                    component.server_name().to_owned(),
                ),
            ]
        })
        .collect();
    let variables = variables
        .drain(..)
        .map(|(name, value)| (name.to_owned(), value));
    variables
        .chain(services)
        .map(|(name, value)| (format!("LINKERD2_PROXY_{name}"), value))
        .collect()
}

/// The identity of the service account that a test's pod runs as.
pub fn identity_of(pod: &str) -> String {
    format!("{pod}.default.serviceaccount.identity.linkerd.cluster.local")
}

impl Proxy {
    /// Starts the proxy of `pod` with exactly this environment; does not wait for anything.
    pub fn spawn(pod: &Pod, environment: &[(String, String)]) -> Self {
        let mut child = pod.enter(|| {
            Command::new(PROXY_BINARY)
                .env_clear()
                .envs(environment.iter().cloned())
                .uid(PROXY_UID)
                .gid(PROXY_UID)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary under test")
        });
        let log = Arc::default();
        collect(child.stdout.take().expect("a pipe"), Arc::clone(&log));
        collect(child.stderr.take().expect("a pipe"), Arc::clone(&log));
        Self {
            name: pod.name.clone(),
            admin: pod.addr(ADMIN_PORT),
            child,
            log,
        }
    }

    /// Waits until the proxy says that it is ready.
    pub async fn ready(&mut self) {
        let what = format!("{} becomes ready", self.name);
        eventually(&what, async || {
            if let Some(status) = self.exited() {
                panic!("the proxy of {} ended with {status}", self.name);
            }
            match self.admin_get("/ready").await {
                Ok((200, _)) => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }

    /// Asks the admin server; returns the status and the body.
    pub async fn admin_get(&self, path: &str) -> Result<(u16, String), String> {
        let stream = tokio::net::TcpStream::connect(self.admin)
            .await
            .map_err(|e| e.to_string())?;
        let mut client = HttpClient::handshake(stream, Version::Http1, "localhost").await?;
        let response = client.get(path).await?;
        Ok((response.status.as_u16(), response.text()))
    }

    /// What the proxy measures now.
    pub async fn metrics(&self) -> Metrics {
        match self.admin_get("/metrics").await {
            Ok((200, text)) => Metrics::parse(&text),
            other => panic!("/metrics of {}: {other:?}", self.name),
        }
    }

    /// Waits until the metrics satisfy `condition`; what it returns names what is missing.
    pub async fn eventually_metrics<T>(
        &self,
        what: &str,
        condition: impl Fn(&Metrics) -> Option<T>,
    ) -> T {
        eventually(what, async || {
            let metrics = self.metrics().await;
            condition(&metrics).ok_or(metrics)
        })
        .await
    }

    /// Sends a signal, as SIGTERM.
    pub fn signal(&self, signal: i32) {
        sys::signal(self.child.id(), signal).expect("a running proxy");
    }

    /// How the proxy ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Waits for the end of the process and returns its exit code (128 and the signal if killed).
    pub async fn exit_code(&mut self) -> i32 {
        let what = format!("the proxy of {} ends", self.name);
        let status = eventually(&what, async || self.exited().ok_or("it runs")).await;
        status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .expect("a code or a signal")
    }

    /// Everything that the proxy has written so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic while logging").clone()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Appends what a process writes to its log, line by line, until it ends.
fn collect(pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut log = log.lock().expect("no panic while logging");
            log.push_str(&line);
            log.push('\n');
        }
    });
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!(
                "--- log of the proxy of {} ---\n{}--- end ---",
                self.name,
                self.log()
            );
        }
    }
}
