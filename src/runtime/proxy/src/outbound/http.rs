//! Requests of applications.

use std::{net::SocketAddr, rc::Rc};

use http::{Request, Response, header::HeaderValue};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    Outbound,
    balancer::Balancer,
    endpoint::Endpoint,
    target::{Concrete, Target},
};
use crate::{
    http::{
        Body, Fault,
        headers::{self, CLIENT_ID, DST_CANONICAL, REQUIRE_ID},
        observe::Load,
        server::Service,
        upstream::{Failed, Record, Security},
    },
    metrics::{Labels, http::Outcome},
};

/// Endpoints that a request is offered to before it fails.
const MAX_TRIES: usize = 5;

/// Answers the requests of one connection.
pub(super) struct HttpService {
    outbound: Rc<Outbound>,
    target: Rc<Target>,
}

/// Counts a request as in flight until dropped.
struct InFlight<'a>(&'a Outbound);

// === impl HttpService ===

impl HttpService {
    pub(super) fn new(outbound: Rc<Outbound>, target: Rc<Target>) -> Self {
        Self { outbound, target }
    }

    /// Offers the request to one endpoint after the other until one has begun with it.
    async fn balance(
        &self,
        balancer: &Balancer,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Fault> {
        let mut tried: SmallVec<[SocketAddr; MAX_TRIES]> = SmallVec::new();
        loop {
            let endpoint = balancer.pick(&tried).await?;
            match self.send(&endpoint, request).await {
                Ok(response) => {
                    endpoint.succeeded();
                    return Ok(response);
                }
                Err(Failed {
                    fault,
                    request: unsent,
                }) => {
                    let is_refused = unsent.is_some();
                    if is_refused {
                        endpoint.failed();
                        tried.push(endpoint.addr());
                    }
                    match unsent {
                        Some(unsent) if tried.len() < MAX_TRIES.min(balancer.len()) => {
                            tracing::debug!(endpoint = %endpoint.addr(), %fault, "trying another");
                            request = unsent;
                        }
                        _ => {
                            record_failure(&endpoint, &fault);
                            return Err(fault);
                        }
                    }
                }
            }
        }
    }

    async fn forward(
        &self,
        endpoint: &Rc<Endpoint>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Fault> {
        self.send(endpoint, request)
            .await
            .map_err(|Failed { fault, .. }| {
                record_failure(endpoint, &fault);
                fault
            })
    }

    async fn send(
        &self,
        endpoint: &Rc<Endpoint>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Failed> {
        let Some(live) = endpoint.live() else {
            return Err(Failed {
                fault: Fault::Overloaded,
                request: None,
            });
        };
        if let Err(fault) = require_id(&mut request, &live.upstream.security) {
            return Err(Failed {
                fault,
                request: None,
            });
        }
        match &live.canonical {
            Some(canonical) => {
                request
                    .headers_mut()
                    .insert(DST_CANONICAL, canonical.clone());
            }
            None => {
                request.headers_mut().remove(DST_CANONICAL);
            }
        }
        if let Some(authority) = &endpoint.meta.authority_override
            && let Ok(authority) = HeaderValue::from_str(authority)
        {
            override_authority(&mut request, &authority).map_err(|e| Failed {
                fault: e.into(),
                request: None,
            })?;
        }
        let load = Load::begin(endpoint.clone());
        let record = Record {
            series: live.http.clone(),
            started: Instant::now(),
            load: Some(load),
        };
        live.upstream.send(request, record).await
    }
}

impl Service for HttpService {
    async fn call(&self, mut request: Request<Body>) -> Result<Response<Body>, Fault> {
        let _in_flight = InFlight::enter(&self.outbound)?;
        // Only an inbound proxy may say who a client is.
        request.headers_mut().remove(CLIENT_ID);
        self.target.used();
        match self.target.concrete().ok_or(Fault::Overloaded)? {
            Concrete::Balance(balancer) => self.balance(&balancer, request).await,
            Concrete::Forward(endpoint) => self.forward(&endpoint, request).await,
        }
    }

    fn failed(&self, fault: &Fault) {
        let dst = self.target.original_dst;
        tracing::info!(code = fault.code(), %dst, error = %fault, "a request failed");
        let labels = Labels::new().with("error", fault.label()).finish();
        self.outbound
            .metrics
            .outbound_http_errors_total
            .get(&labels)
            .incr();
    }

    fn explains(&self) -> bool {
        self.outbound.config.informational_headers
    }
}

/// Holds the server to what the application demands in `l5d-require-id`.
fn require_id(request: &mut Request<Body>, security: &Security) -> Result<(), Fault> {
    let Some(required) = request.headers_mut().remove(REQUIRE_ID) else {
        return Ok(());
    };
    let required = required.to_str().unwrap_or_default();
    let found = match security {
        Security::Tls(server) => &*server.identity.0,
        Security::Plain | Security::Refuse => "",
    };
    if required == found {
        return Ok(());
    }
    Err(Fault::RequiredId {
        required: required.to_owned(),
        found: found.to_owned(),
    })
}

fn override_authority(
    request: &mut Request<Body>,
    authority: &HeaderValue,
) -> Result<(), headers::BadRequest> {
    request.headers_mut().remove(DST_CANONICAL);
    if request.uri().authority().is_some() {
        let authority = http::uri::Authority::try_from(authority.as_bytes())
            .map_err(|_| headers::BadRequest::Host)?;
        headers::set_authority(request, authority)?;
    }
    if request.version() <= http::Version::HTTP_11 {
        request
            .headers_mut()
            .insert(http::header::HOST, authority.clone());
    }
    Ok(())
}

/// The endpoint's failure counts as its response.
fn record_failure(endpoint: &Endpoint, fault: &Fault) {
    if let (Some(live), true) = (endpoint.live(), fault.is_of_the_server()) {
        let (status, _) = fault.status();
        if fault.is_unsent() {
            live.http.request();
        }
        live.http.response(Outcome {
            status,
            grpc: None,
            success: false,
        });
    }
}

impl<'a> InFlight<'a> {
    fn enter(outbound: &'a Outbound) -> Result<Self, Fault> {
        let count = outbound.in_flight.get();
        if count >= outbound.config.common.max_in_flight {
            return Err(Fault::Overloaded);
        }
        outbound.in_flight.set(count + 1);
        Ok(Self(outbound))
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}
