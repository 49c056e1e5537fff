//! The policy of a port as it applies to one connection.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http::Request;
use smallvec::SmallVec;
use tokio::sync::watch;

use super::{Inbound, facts};
use crate::{
    http::{Body, Fault, canonical, headers::BadRequest},
    metrics::{LabelSet, Labels, Metrics, http::HttpSeries, registry::Counter, tcp::TcpSeries},
    policy::{
        Authorization, Client, Denied, Meta, Protocol, Route, ServerPolicy,
        authorize::{ClientTls, authorize},
        store::Current,
    },
    route::{self, Match},
};

/// One connection before the policy of its port.
pub(super) struct Gate {
    pub(super) dst: SocketAddr,
    pub(super) client: Client,
    /// Of the client's side of the connection.
    pub(super) accepted: Arc<TcpSeries>,
    metrics: Arc<Metrics>,
    current: RefCell<watch::Receiver<Current>>,
    policy: RefCell<Arc<ServerPolicy>>,
    /// Decisions that were made before, by route and authorization.
    admissions: RefCell<SmallVec<[Rc<Admission>; 1]>>,
    /// Admissions hold for one policy.
    admissions_of: Cell<usize>,
}

/// A permission, with the series of requests that it lets in.
pub(super) struct Admission {
    route: Option<Meta>,
    authorization: Meta,
    allowed: Arc<Counter>,
    pub(super) series: Rc<HttpSeries>,
}

// === impl Gate ===

impl Gate {
    /// The gate of a connection from `client` to `dst`.
    pub(super) async fn open(
        inbound: &Inbound,
        client: SocketAddr,
        dst: SocketAddr,
        tls: ClientTls,
    ) -> Rc<Self> {
        let mut current = inbound.policies.get(dst.port()).await;
        let policy = current.borrow_and_update().policy.clone();
        let client = facts(client, tls);
        let labels = Labels::new()
            .with("direction", "inbound")
            .with("peer", "src")
            .join(&target_labels(dst, &client))
            .join(&policy.labels())
            .finish();
        Rc::new(Self {
            dst,
            client,
            accepted: TcpSeries::new(&inbound.metrics, labels),
            metrics: inbound.metrics.clone(),
            current: RefCell::new(current),
            policy: RefCell::new(policy),
            admissions: RefCell::default(),
            admissions_of: Cell::new(0),
        })
    }

    /// The policy now.
    pub(super) fn policy(&self) -> Arc<ServerPolicy> {
        let mut current = self.current.borrow_mut();
        if current.has_changed().unwrap_or(false) {
            *self.policy.borrow_mut() = current.borrow_and_update().policy.clone();
        }
        self.policy.borrow().clone()
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(
            self.client.tls,
            ClientTls::Identity(_) | ClientTls::Anonymous
        )
    }

    pub(super) fn detect_timeout(&self) -> Duration {
        match &self.policy.borrow().protocol {
            Protocol::Detect { timeout, .. } => *timeout,
            _ => Duration::from_secs(10),
        }
    }

    /// Whether the server may be asked while the client is silent: only if opaque bytes are
    /// allowed in any case.
    pub(super) fn allows_race(&self) -> bool {
        let policy = self.policy();
        let may_be_opaque = match &policy.protocol {
            Protocol::Detect { routes, .. } => !is_http_only(routes),
            Protocol::Opaque | Protocol::Tls => true,
            Protocol::Http1(_) | Protocol::Http2(_) | Protocol::Grpc(_) | Protocol::Invalid => {
                false
            }
        };
        may_be_opaque && policy.authorize_connection(&self.client).is_ok()
    }

    /// Lets opaque bytes in, or says why not.
    pub(super) fn admit_connection(&self) -> Result<(), Fault> {
        let policy = self.policy();
        let labels = policy.labels();
        match judge_connection(&policy, &self.client) {
            Ok(authorization) => {
                let labels = Labels::from_set(&labels)
                    .join(&authorization.meta.labels("authz").finish())
                    .join(&tls_labels(&self.client))
                    .finish();
                self.metrics
                    .inbound_tcp_authz_allow_total
                    .get(&labels)
                    .incr();
                Ok(())
            }
            Err(fault) => {
                let labels = Labels::from_set(&labels)
                    .join(&tls_labels(&self.client))
                    .finish();
                self.metrics
                    .inbound_tcp_authz_deny_total
                    .get(&labels)
                    .incr();
                Err(fault)
            }
        }
    }

    /// Returns once a change of policy forbids what was allowed.
    pub(super) async fn revoked(&self) -> Fault {
        let mut current = self.current.borrow().clone();
        loop {
            if current.changed().await.is_err() {
                // The store is gone, and with it the process.
                return std::future::pending().await;
            }
            let policy = current.borrow_and_update().policy.clone();
            if let Err(fault) = judge_connection(&policy, &self.client) {
                let labels = Labels::from_set(&policy.labels())
                    .join(&tls_labels(&self.client))
                    .finish();
                self.metrics
                    .inbound_tcp_authz_terminate_total
                    .get(&labels)
                    .incr();
                return fault;
            }
        }
    }

    /// Lets a request in, or says why not.
    pub(super) fn admit_request(&self, request: &Request<Body>) -> Result<Rc<Admission>, Fault> {
        let policy = self.policy();
        let id = Arc::as_ptr(&policy).addr();
        if self.admissions_of.replace(id) != id {
            self.admissions.borrow_mut().clear();
        }
        let judged = match &policy.protocol {
            Protocol::Detect { routes, .. } | Protocol::Http1(routes) | Protocol::Http2(routes) => {
                self.judge_request(&policy, routes, request)
            }
            Protocol::Grpc(routes) => self.judge_request(&policy, routes, request),
            Protocol::Opaque | Protocol::Tls => {
                self.judge_request::<route::HttpMatch>(&policy, &[], request)
            }
            Protocol::Invalid => Err(Fault::InvalidPolicy),
        };
        let (route, authorization) =
            judged.inspect_err(|fault| self.count_refusal(&policy, fault))?;
        let admission = self.admission(&policy, route, authorization);
        admission.allowed.incr();
        Ok(admission)
    }

    fn judge_request<'a, M: Match>(
        &self,
        policy: &'a ServerPolicy,
        routes: &'a [Route<M>],
        request: &Request<Body>,
    ) -> Result<(Option<&'a Meta>, &'a Authorization), Fault> {
        if routes.is_empty() {
            let authorization = policy.authorize_connection(&self.client).map_err(denied)?;
            return Ok((None, authorization));
        }
        if routes.iter().any(depends_on_path) && canonical::is_ambiguous_path(request.uri().path())
        {
            return Err(BadRequest::Path.into());
        }
        let route = route::find(routes, route::Head::of(request))
            .and_then(|found| routes.get(found.route))
            .ok_or_else(|| Fault::NoRoute(policy.meta.to_string()))?;
        match authorize(&route.authorizations, &self.client) {
            Some(authorization) => Ok((Some(&route.meta), authorization)),
            None => Err(denied(Box::new(Denied {
                who: self.client.to_string(),
                server: policy.meta.clone(),
                route: Some(route.meta.clone()),
            }))),
        }
    }

    fn admission(
        &self,
        policy: &ServerPolicy,
        route: Option<&Meta>,
        authorization: &Authorization,
    ) -> Rc<Admission> {
        let mut admissions = self.admissions.borrow_mut();
        let known = admissions
            .iter()
            .find(|a| a.route.as_ref() == route && a.authorization == authorization.meta);
        if let Some(known) = known {
            return known.clone();
        }
        let default_route = Meta::default_of("default");
        let policy_labels = Labels::from_set(&policy.labels())
            .join(&route.unwrap_or(&default_route).labels("route").finish())
            .join(&authorization.meta.labels("authz").finish())
            .finish();
        let base = Labels::new()
            .with("direction", "inbound")
            .join(&target_labels(self.dst, &self.client))
            .join(&policy_labels)
            .finish();
        let authz = Labels::from_set(&policy_labels)
            .join(&tls_labels(&self.client))
            .finish();
        let admission = Rc::new(Admission {
            route: route.cloned(),
            authorization: authorization.meta.clone(),
            allowed: self.metrics.inbound_http_authz_allow_total.get(&authz),
            series: HttpSeries::new(&self.metrics, base),
        });
        admissions.push(admission.clone());
        admission
    }

    fn count_refusal(&self, policy: &ServerPolicy, fault: &Fault) {
        let labels = match fault {
            Fault::Denied(denied) => match &denied.route {
                Some(route) => policy_and(policy, &route.labels("route").finish()),
                None => policy_and(
                    policy,
                    &Meta::default_of("default").labels("route").finish(),
                ),
            },
            _ => policy.labels(),
        };
        let family = match fault {
            Fault::NoRoute(_) => &self.metrics.inbound_http_route_not_found_total,
            _ => &self.metrics.inbound_http_authz_deny_total,
        };
        family
            .get(&policy_join(&labels, &tls_labels(&self.client)))
            .incr();
    }
}

/// Opaque bytes are let in by the server's authorizations, unless HTTP routes were written for the
/// port: what they forbid must not come in by not looking like HTTP.
fn judge_connection<'a>(
    policy: &'a ServerPolicy,
    client: &Client,
) -> Result<&'a Authorization, Fault> {
    match &policy.protocol {
        Protocol::Detect { routes, .. } if is_http_only(routes) => {
            return Err(Fault::NotHttp(policy.meta.to_string()));
        }
        Protocol::Http1(_) | Protocol::Http2(_) | Protocol::Grpc(_) => {
            return Err(Fault::NotHttp(policy.meta.to_string()));
        }
        Protocol::Invalid => return Err(Fault::InvalidPolicy),
        Protocol::Detect { .. } | Protocol::Opaque | Protocol::Tls => {}
    }
    policy.authorize_connection(client).map_err(denied)
}

/// Whether someone wrote a route whose path decides who is let in.
fn depends_on_path<M: Match>(route: &Route<M>) -> bool {
    !route.meta.is_default()
        && route
            .rules
            .iter()
            .flat_map(|rule| &rule.matches)
            .any(Match::has_path)
}

fn is_http_only<M>(routes: &[Route<M>]) -> bool {
    routes.iter().any(|route| !route.meta.is_default())
}

fn denied(denied: Box<Denied>) -> Fault {
    Fault::Denied(denied.into())
}

fn target_labels(dst: SocketAddr, client: &Client) -> LabelSet {
    Labels::new()
        .with("target_addr", dst)
        .with("target_ip", dst.ip())
        .with("target_port", dst.port())
        .join(&tls_labels(client))
        .finish()
}

fn tls_labels(client: &Client) -> LabelSet {
    match &client.tls {
        ClientTls::Identity(id) => Labels::new().with("tls", "true").with("client_id", id),
        ClientTls::Anonymous => Labels::new().with("tls", "true").with("client_id", ""),
        ClientTls::Opaque => Labels::new().with("tls", "opaque"),
        ClientTls::None => Labels::new()
            .with("tls", "no_identity")
            .with("no_tls_reason", "no_tls_from_remote"),
    }
    .finish()
}

fn policy_and(policy: &ServerPolicy, labels: &str) -> LabelSet {
    policy_join(&policy.labels(), labels)
}

fn policy_join(a: &str, b: &str) -> LabelSet {
    Labels::from_set(a).join(b).finish()
}
