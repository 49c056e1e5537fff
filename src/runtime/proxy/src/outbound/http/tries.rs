//! One request, tried as often as its rule allows.

use std::{pin::Pin, rc::Rc};

use http::{Request, Response};
use http_body::Body as _;

use super::endpoint;
use crate::{
    backoff::Backoff,
    http::{Body, Fault, filter, headers, replay::Replay, timer::Expired},
    metrics::http::grpc_status,
    outbound::{
        Outbound,
        plan::{BackendPlan, Concrete, RulePlan},
        policy::{Conditions, Retry},
    },
};

/// Bodies up to this length are kept in case an endpoint turns out not to take the request.
const MAX_REPLAY: usize = 64 * 1024;

/// What a request is sent with.
pub(super) struct Exchange<'a> {
    pub(super) outbound: &'a Rc<Outbound>,
    pub(super) rule: &'a Rc<RulePlan>,
    pub(super) retry: Option<&'a Retry>,
}

// === impl Exchange ===

impl Exchange<'_> {
    /// The response of the try that counts.
    pub(super) async fn run(&self, request: Request<Body>) -> Result<Response<Body>, Fault> {
        match self.retry {
            Some(retry) if !headers::is_upgrade(&request) => self.retried(request, retry).await,
            _ => self.once(request, None).await,
        }
    }

    async fn retried(
        &self,
        request: Request<Body>,
        retry: &Retry,
    ) -> Result<Response<Body>, Fault> {
        let metrics = &self.rule.metrics;
        let (head, body) = request.into_parts();
        let replay = Replay::new(body, retry.max_request_bytes);
        let mut backoff = retry.backoff.map(Backoff::new);
        let mut retries = 0;
        let mut body = replay.attempt().unwrap_or_default();
        loop {
            let request = Request::from_parts(head.clone(), body);
            let mut result = self.once(request, Some(retry)).await;
            if !is_retryable(&mut result, &retry.conditions).await {
                if retries > 0 && result.is_ok() {
                    metrics.retry_successes.incr();
                }
                return result;
            }
            if retries >= retry.max_retries {
                metrics.retry_limit_exceeded.incr();
                return result;
            }
            let Some(again) = replay.attempt() else {
                metrics.retry_overflow.incr();
                return result;
            };
            drop(result);
            retries += 1;
            metrics.retries.incr();
            body = again;
            if let Some(backoff) = &mut backoff {
                tokio::time::sleep(backoff.next(&self.outbound.rng)).await;
            }
        }
    }

    /// One try, at a backend chosen for it.
    async fn once(
        &self,
        mut request: Request<Body>,
        retry: Option<&Retry>,
    ) -> Result<Response<Body>, Fault> {
        let rng = &self.outbound.rng;
        let backend = self.rule.backend(rng);
        let backend =
            backend.ok_or_else(|| Fault::NoEndpoints("a route without backends".into()))?;
        if let Some(response) = filter::apply_to_request(&backend.filters, &mut request, None, rng)?
        {
            return Ok(response);
        }
        let limit = retry.and_then(|retry| retry.timeout);
        let limit = [limit, backend.request_timeout].into_iter().flatten().min();
        let sent = send(&backend, request);
        let result = match limit {
            None => sent.await,
            Some(limit) => tokio::time::timeout(limit, sent)
                .await
                .unwrap_or(Err(Fault::Timeout(Expired::Try))),
        };
        if let Ok(mut response) = result {
            filter::apply_to_response(&backend.filters, &mut response);
            return Ok(response);
        }
        result
    }
}

async fn send(backend: &Rc<BackendPlan>, request: Request<Body>) -> Result<Response<Body>, Fault> {
    backend.metrics.requests.incr();
    match &backend.concrete {
        Concrete::Balance(balancer, queue) => {
            endpoint::balance(balancer, *queue, keep(request), backend.clone()).await
        }
        Concrete::Forward(to) => endpoint::forward(to, request, backend.clone()).await,
        Concrete::Fail(meta) => Err(Fault::InvalidRoute(
            meta.to_string(),
            "no usable backend".to_owned(),
        )),
    }
}

/// A body that can be offered to a second endpoint when the first has not taken it.
fn keep(request: Request<Body>) -> Request<Body> {
    if request.body().is_empty() || request.body().is_replay() || headers::is_upgrade(&request) {
        return request;
    }
    request.map(|body| Replay::new(body, MAX_REPLAY).attempt().unwrap_or_default())
}

/// Whether the response, or its absence, is of the kind that another try may mend.
async fn is_retryable(result: &mut Result<Response<Body>, Fault>, conditions: &Conditions) -> bool {
    let response = match result {
        Ok(response) => response,
        Err(fault) => {
            let (status, grpc) = fault.status();
            return fault.is_of_the_try()
                && (conditions.matches_status(status.as_u16()) || conditions.grpc.contains(&grpc));
        }
    };
    if conditions.matches_status(response.status().as_u16()) {
        return true;
    }
    if conditions.grpc.is_empty() {
        return false;
    }
    if let Some(code) = grpc_status(response.headers()) {
        return conditions.grpc.contains(&code);
    }
    // A call that fails before its first message has its status in the first frame.
    let body = response.body_mut();
    let first = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
    match first {
        Some(Ok(frame)) => {
            let code = frame.trailers_ref().and_then(grpc_status);
            let is_retryable = code.is_some_and(|code| conditions.grpc.contains(&code));
            body.unread(frame);
            is_retryable
        }
        Some(Err(_)) => conditions.grpc.contains(&14),
        None => false,
    }
}
