//! Requests of applications: the rule, its filters and timeouts, tries, and the response.

mod endpoint;
mod overrides;
mod tries;

use std::rc::Rc;

use http::{Request, Response, Version};
use tokio::time::Instant;

use self::tries::Exchange;
use super::{Outbound, plan::HttpTable, target::Target};
use crate::{
    http::{
        Body, Fault, filter,
        headers::{CLIENT_ID, ORIG_PROTO},
        observe::Ending,
        respond::Form,
        server::Service,
        timer::{Limits, Timer},
    },
    metrics::Labels,
    route::Head,
};

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

    fn table(&self, version: Version) -> Result<Rc<HttpTable>, Fault> {
        let plan = self.target.plan().ok_or(Fault::Overloaded)?;
        let (own, other) = match version {
            Version::HTTP_2 => (&plan.http2, &plan.http1),
            _ => (&plan.http1, &plan.http2),
        };
        own.as_ref()
            .or(other.as_ref())
            .cloned()
            .ok_or(Fault::InvalidPolicy)
    }
}

impl Service for HttpService {
    async fn call(&self, mut request: Request<Body>) -> Result<Response<Body>, Fault> {
        let _in_flight = InFlight::enter(&self.outbound)?;
        // Only an inbound proxy may say who a client is.
        request.headers_mut().remove(CLIENT_ID);
        request.headers_mut().remove(ORIG_PROTO);
        self.target.used();
        let started = Instant::now();
        let matched = self.table(request.version())?.find(Head::of(&request))?;
        let rule = &matched.rule;
        let rng = &self.outbound.rng;
        let prefix = matched.prefix.as_deref();
        if let Some(response) = filter::apply_to_request(&rule.filters, &mut request, prefix, rng)?
        {
            return Ok(response);
        }
        let (mut timeouts, mut retry) = (rule.timeouts, rule.retry.clone());
        if rule.allows_headers {
            overrides::apply(request.headers_mut(), &mut timeouts, &mut retry);
        }
        let limits = Limits {
            request: timeouts.request,
            response: timeouts.response,
            idle: timeouts.idle,
        };
        let is_grpc = Form::of(&request).is_grpc();
        let mut timer = Timer::start(limits);
        if let Some(timer) = &timer {
            request = request.map(|body| body.tracked(timer.progress().clone()));
        }
        let exchange = Exchange {
            outbound: &self.outbound,
            rule,
            retry: retry.as_ref(),
        };
        let result = match &mut timer {
            None => exchange.run(request).await,
            Some(timer) => tokio::select! {
                result = exchange.run(request) => result,
                expired = timer.expired() => Err(Fault::Timeout(expired)),
            },
        };
        match result {
            Ok(mut response) => {
                filter::apply_to_response(&rule.filters, &mut response);
                let ending = Ending::of_head(&response);
                Ok(response.map(|body| {
                    let body = body.told_to(rule.clone(), started, ending);
                    match timer {
                        Some(timer) => body.timed(timer, is_grpc),
                        None => body,
                    }
                }))
            }
            Err(fault) => {
                rule.metrics
                    .ended(Ending::Error(fault.route_label()), started.elapsed());
                Err(fault)
            }
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
