//! From a backend to the one endpoint that takes the request.

use std::{net::SocketAddr, rc::Rc};

use http::{Request, Response, header::HeaderValue};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::{
    http::{
        Body, Fault,
        headers::{self, DST_CANONICAL, REQUIRE_ID},
        observe::{EndSink, Load, LoadSink as _, Verdict},
        upstream::{Failed, Record, Security},
    },
    metrics::http::Outcome,
    outbound::{balancer::Balancer, endpoint::Endpoint, policy::Queue},
};

/// Endpoints that a request is offered to before it fails.
const MAX_TRIES: usize = 5;

/// Offers the request to one endpoint after the other until one has begun with it.
pub(super) async fn balance(
    balancer: &Balancer,
    queue: Queue,
    mut request: Request<Body>,
    sink: Rc<dyn EndSink>,
) -> Result<Response<Body>, Fault> {
    let mut tried: SmallVec<[SocketAddr; MAX_TRIES]> = SmallVec::new();
    loop {
        let endpoint = balancer.pick(&tried, queue).await?;
        match send(&endpoint, request, sink.clone()).await {
            Ok(response) => {
                endpoint.succeeded();
                return Ok(response);
            }
            Err(Failed {
                fault,
                request: unsent,
            }) => {
                if unsent.is_some() {
                    endpoint.failed();
                    tried.push(endpoint.addr());
                }
                match unsent {
                    Some(unsent) if tried.len() < MAX_TRIES.min(balancer.len()) => {
                        tracing::debug!(endpoint = %endpoint.addr(), %fault, "trying another");
                        request = unsent;
                    }
                    _ => return Err(failed(&endpoint, fault)),
                }
            }
        }
    }
}

/// Offers the request to this endpoint.
pub(super) async fn forward(
    endpoint: &Rc<Endpoint>,
    request: Request<Body>,
    sink: Rc<dyn EndSink>,
) -> Result<Response<Body>, Fault> {
    send(endpoint, request, sink)
        .await
        .map_err(|Failed { fault, .. }| failed(endpoint, fault))
}

async fn send(
    endpoint: &Rc<Endpoint>,
    mut request: Request<Body>,
    sink: Rc<dyn EndSink>,
) -> Result<Response<Body>, Failed> {
    let unsendable = |fault| Failed {
        fault,
        request: None,
    };
    let Some(live) = endpoint.live() else {
        return Err(unsendable(Fault::Overloaded));
    };
    require_id(&mut request, &live.upstream.security).map_err(unsendable)?;
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
    if let Some(authority) = &endpoint.meta.authority_override {
        override_authority(&mut request, authority).map_err(|e| unsendable(e.into()))?;
    }
    let record = Record {
        series: live.http.clone(),
        started: Instant::now(),
        load: Some(Load::begin(endpoint.clone())),
        sink: Some(sink),
        revocation: None,
    };
    live.upstream.send(request, record).await
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
    authority: &str,
) -> Result<(), headers::BadRequest> {
    let invalid = headers::BadRequest::Host;
    request.headers_mut().remove(DST_CANONICAL);
    if request.uri().authority().is_some() {
        let authority = http::uri::Authority::try_from(authority).map_err(|_| invalid)?;
        headers::set_authority(request, authority)?;
    }
    if request.version() <= http::Version::HTTP_11 {
        let host = HeaderValue::from_str(authority).map_err(|_| invalid)?;
        request.headers_mut().insert(http::header::HOST, host);
    }
    Ok(())
}

/// The endpoint's failure counts as its response, and against it.
fn failed(endpoint: &Rc<Endpoint>, fault: Fault) -> Fault {
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
        endpoint.end(Verdict {
            success: false,
            throttled: false,
            retry_after: None,
        });
    }
    fault
}
