//! Requests before the policy of their port: who is let in, by which route, and until when.

use std::{rc::Rc, sync::Arc};

use http::Request;

use super::gate::{Gate, denied, is_http_only, policy_join, target_labels, tls_labels};
use crate::{
    http::{Body, Fault, canonical, filter::Filter, headers::BadRequest, revoke::Revocation},
    metrics::{Labels, http::HttpSeries, registry::Counter},
    policy::{
        Authorization, Denied, Meta, Protocol, RateLimit, Route, ServerPolicy,
        authorize::authorize_index, rate_limit::Scope,
    },
    route::{self, Found, Match, PathMatch},
};

/// A permission, with the series of requests that it lets in. Holds for one policy.
pub(super) struct Admission {
    key: Key,
    route: Option<Meta>,
    pub(super) filters: Vec<Filter>,
    /// The path prefix that the route matched.
    pub(super) prefix: Option<String>,
    allowed: Arc<Counter>,
    pub(super) series: Rc<HttpSeries>,
    /// Ends what is still going on when policy forbids it.
    pub(super) revocation: Rc<Revocation>,
}

/// What was decided, as indices into the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    found: Option<Found>,
    authorization: usize,
}

/// A decision.
struct Judgement<'a> {
    key: Key,
    route: Option<&'a Meta>,
    authorization: &'a Authorization,
    filters: &'a [Filter],
    prefix: Option<&'a str>,
}

// === impl Gate ===

impl Gate {
    /// Lets a request in, or says why not.
    pub(super) fn admit_request(&self, request: &Request<Body>) -> Result<Rc<Admission>, Fault> {
        let policy = self.policy();
        self.forget_admissions_of_other_policies(&policy);
        let judged = match &policy.protocol {
            Protocol::Detect { http, .. } | Protocol::Http1(http) | Protocol::Http2(http) => self
                .judge(&policy, &http.routes, request)
                .and_then(|judged| {
                    self.limit(http.rate_limit.as_deref(), &policy)
                        .map(|()| judged)
                }),
            Protocol::Grpc(routes) => self.judge(&policy, routes, request),
            Protocol::Opaque | Protocol::Tls => {
                self.judge::<route::HttpMatch>(&policy, &[], request)
            }
            Protocol::Invalid => Err(Fault::InvalidPolicy),
        };
        let judged = judged.inspect_err(|fault| self.count_refusal(&policy, fault))?;
        let admission = self.admission(&policy, &judged);
        admission.allowed.incr();
        Ok(admission)
    }

    fn judge<'a, M: Match + PrefixOf>(
        &self,
        policy: &'a ServerPolicy,
        routes: &'a [Route<M>],
        request: &Request<Body>,
    ) -> Result<Judgement<'a>, Fault> {
        if routes.is_empty() {
            let (index, authorization) = authorize_index(&policy.authorizations, &self.client)
                .ok_or_else(|| self.denied(policy, None))?;
            let key = Key {
                found: None,
                authorization: index,
            };
            return Ok(Judgement {
                key,
                route: None,
                authorization,
                filters: &[],
                prefix: None,
            });
        }
        if routes.iter().any(depends_on_path) && canonical::is_ambiguous_path(request.uri().path())
        {
            return Err(BadRequest::Path.into());
        }
        let no_route = || Fault::NoRoute(policy.meta.to_string());
        let found = route::find(routes, route::Head::of(request)).ok_or_else(no_route)?;
        let route = routes.get(found.route).ok_or_else(no_route)?;
        let (index, authorization) = authorize_index(&route.authorizations, &self.client)
            .ok_or_else(|| self.denied(policy, Some(&route.meta)))?;
        let rule = route.rules.get(found.rule);
        let alternative = rule
            .zip(found.alternative)
            .and_then(|(rule, i)| rule.matches.get(i));
        Ok(Judgement {
            key: Key {
                found: Some(found),
                authorization: index,
            },
            route: Some(&route.meta),
            authorization,
            filters: rule.map_or(&[], |rule| &rule.filters),
            prefix: alternative.and_then(PrefixOf::prefix),
        })
    }

    fn limit(&self, limit: Option<&RateLimit>, policy: &ServerPolicy) -> Result<(), Fault> {
        let Some(limit) = limit else { return Ok(()) };
        limit.check(self.client.id()).map_err(|scope| {
            self.count_limited(limit, scope, policy);
            Fault::RateLimited(format!("{} ({})", limit.meta(), scope.name()))
        })
    }

    fn denied(&self, policy: &ServerPolicy, route: Option<&Meta>) -> Fault {
        denied(Box::new(Denied {
            who: self.client.to_string(),
            server: policy.meta.clone(),
            route: route.cloned(),
        }))
    }

    fn forget_admissions_of_other_policies(&self, policy: &Arc<ServerPolicy>) {
        let mut of = self.admissions_of.borrow_mut();
        if !of.as_ref().is_some_and(|of| Arc::ptr_eq(of, policy)) {
            *of = Some(policy.clone());
            self.admissions.borrow_mut().clear();
        }
    }

    fn admission(&self, policy: &ServerPolicy, judged: &Judgement<'_>) -> Rc<Admission> {
        let mut admissions = self.admissions.borrow_mut();
        if let Some(known) = admissions.iter().find(|a| a.key == judged.key) {
            return known.clone();
        }
        let default_route = Meta::default_of("default");
        let policy_labels = Labels::from_set(&policy.labels())
            .join(
                &judged
                    .route
                    .unwrap_or(&default_route)
                    .labels("route")
                    .finish(),
            )
            .join(&judged.authorization.meta.labels("authz").finish())
            .finish();
        let base = Labels::new()
            .with("direction", "inbound")
            .join(&target_labels(self.dst, &self.client))
            .join(&policy_labels)
            .finish();
        let authz = policy_join(&policy_labels, &tls_labels(&self.client));
        let admission = Rc::new(Admission {
            key: judged.key,
            route: judged.route.cloned(),
            filters: judged.filters.to_vec(),
            prefix: judged.prefix.map(str::to_owned),
            allowed: self.metrics.inbound_http_authz_allow_total.get(&authz),
            series: HttpSeries::new(&self.metrics, base),
            revocation: Revocation::new(),
        });
        admissions.push(admission.clone());
        let mut given = self.given.borrow_mut();
        given.retain(|admission| admission.strong_count() > 0);
        given.push(Rc::downgrade(&admission));
        admission
    }

    /// Follows policy for as long as the connection lives, and ends what it comes to forbid:
    /// requests that are still going on, and nothing else.
    pub(super) async fn enforce(&self) {
        let mut current = self.current.borrow().clone();
        while current.changed().await.is_ok() {
            let policy = current.borrow_and_update().policy.clone();
            let given: Vec<_> = self
                .given
                .borrow()
                .iter()
                .filter_map(std::rc::Weak::upgrade)
                .collect();
            for admission in given {
                if !self.still_allows(&policy, admission.route.as_ref()) {
                    admission.revocation.revoke();
                }
            }
        }
        // The store is gone, and with it the process.
        std::future::pending::<()>().await;
    }

    /// Whether a request that came by this route may go on. A route that is gone has nothing to
    /// say; then the server's own authorizations do.
    fn still_allows(&self, policy: &ServerPolicy, route: Option<&Meta>) -> bool {
        let of_route = match &policy.protocol {
            Protocol::Detect { http, .. } | Protocol::Http1(http) | Protocol::Http2(http) => {
                authorizations_of(&http.routes, route)
            }
            Protocol::Grpc(routes) => authorizations_of(routes, route),
            Protocol::Opaque | Protocol::Tls => None,
            Protocol::Invalid => return false,
        };
        authorize_index(of_route.unwrap_or(&policy.authorizations), &self.client).is_some()
    }

    fn count_refusal(&self, policy: &ServerPolicy, fault: &Fault) {
        let labels = match fault {
            Fault::RateLimited(_) => return,
            Fault::Denied(denied) => {
                let default_route = Meta::default_of("default");
                let route = denied.route.as_ref().unwrap_or(&default_route);
                policy_join(&policy.labels(), &route.labels("route").finish())
            }
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

    fn count_limited(&self, limit: &RateLimit, scope: Scope, policy: &ServerPolicy) {
        let labels = Labels::from_set(&policy.labels())
            .join(&limit.meta().labels("ratelimit").finish())
            .with("ratelimit_scope", scope.name())
            .finish();
        self.metrics
            .inbound_http_local_ratelimit_total
            .get(&labels)
            .incr();
    }
}

fn authorizations_of<'a, M>(
    routes: &'a [Route<M>],
    meta: Option<&Meta>,
) -> Option<&'a [Authorization]> {
    let meta = meta?;
    routes
        .iter()
        .find(|route| route.meta == *meta)
        .map(|route| &*route.authorizations)
}

/// Whether someone wrote a route whose path decides who is let in.
fn depends_on_path<M: Match>(route: &Route<M>) -> bool {
    is_http_only(std::slice::from_ref(route))
        && route
            .rules
            .iter()
            .flat_map(|rule| &rule.matches)
            .any(Match::has_path)
}

/// The path prefix of a condition, which a redirect can replace.
trait PrefixOf {
    fn prefix(&self) -> Option<&str>;
}

impl PrefixOf for route::HttpMatch {
    fn prefix(&self) -> Option<&str> {
        match self.path.as_ref()? {
            PathMatch::Prefix(prefix) => Some(prefix),
            PathMatch::Exact(_) | PathMatch::Regex(_) => None,
        }
    }
}

impl PrefixOf for route::GrpcMatch {
    fn prefix(&self) -> Option<&str> {
        None
    }
}
