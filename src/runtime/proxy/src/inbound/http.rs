//! Requests to the application.

use std::rc::Rc;

use http::{HeaderValue, Request, Response};
use tokio::time::Instant;

use super::{Inbound, gate::Gate, local::Local};
use crate::{
    http::{
        Body, Fault, filter,
        headers::{self, CLIENT_ID, ORIG_PROTO, PROXY_ERROR},
        server::Service,
        upstream::{Failed, Record},
    },
    metrics::{Labels, http::Outcome},
};

/// Answers the requests of one connection.
pub(super) struct HttpService {
    inbound: Rc<Inbound>,
    gate: Rc<Gate>,
    local: Rc<Local>,
    client_id: Option<HeaderValue>,
}

// === impl HttpService ===

impl HttpService {
    pub(super) fn new(inbound: Rc<Inbound>, gate: Rc<Gate>, local: Rc<Local>) -> Self {
        let client_id = gate
            .client
            .id()
            .and_then(|id| HeaderValue::from_str(&id.0).ok());
        Self {
            inbound,
            gate,
            local,
            client_id,
        }
    }

    async fn forward(
        &self,
        mut request: Request<Body>,
        is_h2: bool,
    ) -> Result<Response<Body>, Fault> {
        let admission = self.gate.admit_request(&request)?;
        let (filters, prefix) = (&admission.filters, admission.prefix.as_deref());
        let rng = &self.inbound.rng;
        if let Some(response) = filter::apply_to_request(filters, &mut request, prefix, rng)? {
            return Ok(response);
        }
        let record = Record {
            series: admission.series.clone(),
            started: Instant::now(),
            load: None,
            sink: None,
            revocation: Some(admission.revocation.clone()),
        };
        let mut guard = admission.revocation.guard();
        let result = tokio::select! {
            result = self.local.upstream.send(request, record) => result,
            () = guard.revoked() => return Err(Fault::Revoked),
        };
        match result {
            Ok(response) => Ok(response),
            // A peer's proxy can ask another endpoint: the application has seen nothing of this.
            Err(Failed {
                fault,
                request: Some(_),
            }) if is_h2 && self.gate.is_tls() => {
                self.failed(&fault);
                Err(Fault::Reset(h2::Reason::REFUSED_STREAM))
            }
            Err(Failed { fault, .. }) => {
                let (status, _) = fault.status();
                if fault.is_unsent() {
                    admission.series.request();
                }
                admission.series.response(Outcome {
                    status,
                    grpc: None,
                    success: false,
                });
                Err(fault)
            }
        }
    }
}

impl Service for HttpService {
    async fn call(&self, mut request: Request<Body>) -> Result<Response<Body>, Fault> {
        let is_h2 = request.version() == http::Version::HTTP_2;
        // Only a peer's proxy can have changed the version on the way.
        let downgraded = if is_h2 && self.gate.is_tls() {
            headers::from_orig_proto(&mut request)?
        } else {
            request.headers_mut().remove(ORIG_PROTO);
            false
        };
        let headers = request.headers_mut();
        headers.remove(CLIENT_ID);
        headers.remove(PROXY_ERROR);
        if let Some(id) = &self.client_id {
            headers.insert(CLIENT_ID, id.clone());
        }
        let mut response = self.forward(request, is_h2).await?;
        if downgraded {
            headers::response_into_orig_proto(&mut response);
        }
        Ok(response)
    }

    fn failed(&self, fault: &Fault) {
        let dst = self.gate.dst;
        tracing::info!(code = fault.code(), client = %self.gate.client, %dst, error = %fault, "a request failed");
        let labels = Labels::new().with("error", fault.label()).finish();
        self.inbound
            .metrics
            .inbound_http_errors_total
            .get(&labels)
            .incr();
    }

    fn explains(&self) -> bool {
        true
    }
}
