//! One address of a destination.

use std::{
    cell::{Cell, OnceCell, RefCell},
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use http::HeaderValue;
use tokio::time::Instant;

use super::{
    Outbound,
    policy::{LoadParams, Penalty},
};
use crate::{
    balance::{
        Candidate,
        breaker::{Accrual, Breaker},
        ewma::PeakEwma,
    },
    control::{EndpointMeta, Hint, destination::EndpointTls},
    http::{
        observe::{LoadSink, Verdict},
        pool::Pool,
        upstream::{Params, Security, Upstream},
    },
    metrics::{LabelSet, Labels, http::HttpSeries, tcp::TcpSeries},
};

/// An endpoint that cannot be reached is left alone for this long, doubling with each failure.
const DOWN_MIN: Duration = Duration::from_millis(100);
const DOWN_MAX: Duration = Duration::from_secs(10);

/// An address, its load, and, once it is used, its connections.
pub(super) struct Endpoint {
    pub(super) meta: Arc<EndpointMeta>,
    outbound: Weak<Outbound>,
    /// `name:port` of the service that it belongs to.
    authority: Option<Arc<str>>,
    ewma: PeakEwma,
    penalty: Option<Penalty>,
    breaker: Option<RefCell<Breaker>>,
    failures: Cell<u32>,
    down_until: Cell<Option<Instant>>,
    live: OnceCell<Live>,
}

/// How endpoints of a backend are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Judgement {
    pub(super) load: LoadParams,
    pub(super) accrual: Option<Accrual>,
}

/// What exists only of endpoints that are used.
pub(super) struct Live {
    pub(super) upstream: Rc<Upstream>,
    pub(super) http: Rc<HttpSeries>,
    pub(super) tcp: Arc<TcpSeries>,
    /// For peers: the name that we resolved.
    pub(super) canonical: Option<HeaderValue>,
}

// === impl Endpoint ===

impl Endpoint {
    pub(super) fn new(
        outbound: &Rc<Outbound>,
        meta: Arc<EndpointMeta>,
        authority: Option<Arc<str>>,
        judgement: Judgement,
    ) -> Rc<Self> {
        let load = judgement.load;
        Rc::new(Self {
            meta,
            outbound: Rc::downgrade(outbound),
            authority,
            ewma: PeakEwma::new(load.default_rtt, load.decay),
            penalty: load.penalty,
            breaker: judgement
                .accrual
                .map(|accrual| RefCell::new(Breaker::new(accrual))),
            failures: Cell::new(0),
            down_until: Cell::new(None),
            live: OnceCell::new(),
        })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.meta.addr
    }

    /// Whether the address is this pod: there is no other proxy on the way, so no TLS.
    pub(super) fn is_self(&self, outbound: &Outbound) -> bool {
        outbound.connector.own_ips.contains(&self.meta.addr.ip())
    }

    /// Connections and metrics, made at the first use. `None` only while the process ends.
    pub(super) fn live(&self) -> Option<&Live> {
        if let Some(live) = self.live.get() {
            return Some(live);
        }
        let outbound = self.outbound.upgrade()?;
        Some(self.live.get_or_init(|| self.make_live(&outbound)))
    }

    fn make_live(&self, outbound: &Rc<Outbound>) -> Live {
        let security = if self.is_self(outbound) {
            Security::Plain
        } else {
            match &self.meta.tls {
                EndpointTls::None => Security::Plain,
                EndpointTls::Identity(server) => Security::Tls(server.clone()),
                EndpointTls::Invalid => Security::Refuse,
            }
        };
        let is_peer = matches!(security, Security::Tls(_));
        let labels = self.labels(&security, self.is_self(outbound));
        let tcp_labels = Labels::new()
            .with("direction", "outbound")
            .with("peer", "dst")
            .join(&labels)
            .finish();
        let http_labels = Labels::new()
            .with("direction", "outbound")
            .join(&labels)
            .finish();
        let tcp = TcpSeries::new(&outbound.metrics, tcp_labels);
        let common = &outbound.config.common;
        let upstream = Upstream::new(Params {
            addr: self.meta.addr,
            orig_proto: is_peer && self.meta.hint == Hint::H2,
            security,
            connector: outbound.connector.clone(),
            h1: Pool::new(common.max_idle_per_endpoint, common.h1_idle),
            h2: outbound.h2_client(),
            tcp: tcp.clone(),
        });
        Live {
            upstream,
            http: HttpSeries::new(&outbound.metrics, http_labels),
            tcp,
            canonical: self
                .authority
                .as_ref()
                .filter(|_| is_peer)
                .and_then(|authority| HeaderValue::from_str(authority).ok()),
        }
    }

    fn labels(&self, security: &Security, is_self: bool) -> LabelSet {
        let addr = self.meta.addr;
        let labels = Labels::new()
            .maybe("authority", self.authority.as_ref())
            .with("target_addr", addr)
            .with("target_ip", addr.ip())
            .with("target_port", addr.port());
        let labels = match security {
            Security::Tls(server) => labels
                .with("tls", "true")
                .with("server_id", &server.identity),
            Security::Plain | Security::Refuse => {
                let reason = if is_self {
                    "loopback"
                } else {
                    "not_provided_by_service_discovery"
                };
                labels
                    .with("tls", "no_identity")
                    .with("no_tls_reason", reason)
            }
        };
        labels.join(&self.meta.labels).finish()
    }

    /// The endpoint could not be reached: others are preferred for a while.
    pub(super) fn failed(&self) {
        let failures = self.failures.get();
        self.failures.set(failures.saturating_add(1));
        let wait = DOWN_MIN.saturating_mul(1 << failures.min(16)).min(DOWN_MAX);
        self.down_until.set(Some(Instant::now() + wait));
    }

    /// The endpoint was reached.
    pub(super) fn succeeded(&self) {
        if self.failures.replace(0) != 0 {
            self.down_until.set(None);
        }
    }

    /// Closes connections that idle.
    pub(super) fn sweep(&self) {
        if let Some(live) = self.live.get() {
            live.upstream.sweep();
        }
    }
}

impl Candidate for Rc<Endpoint> {
    fn load(&self) -> f64 {
        let weight = self.meta.weight;
        if weight == 0 {
            f64::INFINITY
        } else {
            self.ewma.load() * 10_000.0 / f64::from(weight)
        }
    }

    fn is_available(&self) -> bool {
        self.down_until
            .get()
            .is_none_or(|until| until <= Instant::now())
            && self
                .breaker
                .as_ref()
                .is_none_or(|breaker| breaker.borrow().is_available())
    }
}

impl LoadSink for Endpoint {
    fn begin(&self) {
        self.ewma.begin();
        if let Some(breaker) = &self.breaker {
            breaker.borrow_mut().begin();
        }
    }

    fn first(&self, rtt: Option<Duration>) {
        self.ewma.complete(rtt);
    }

    fn end(&self, verdict: Verdict) {
        let success = verdict.success && !verdict.throttled;
        if let (false, Some(penalty)) = (success, self.penalty) {
            let asked = verdict
                .retry_after
                .map(|wait| wait.min(penalty.max_retry_after));
            self.ewma
                .penalize(asked.unwrap_or(penalty.penalty), penalty.decay);
        }
        if let (Some(breaker), Some(outbound)) = (&self.breaker, self.outbound.upgrade()) {
            let mut breaker = breaker.borrow_mut();
            let success = if breaker.counts_throttling() {
                success
            } else {
                verdict.success
            };
            breaker.record(success, verdict.retry_after, &outbound.rng);
        }
    }
}
