//! Opaque connections to endpoints.

use std::{net::SocketAddr, rc::Rc};

use super::{
    Outbound,
    endpoint::Endpoint,
    plan::{Concrete, OpaquePlan},
};
use crate::{
    connect::ConnectError, http::Fault, http::upstream::Security, io::Io, tls::client::Session,
    transport,
};

/// Endpoints that are tried before the client's connection fails.
const MAX_TRIES: usize = 3;

/// A connection for opaque bytes.
pub(super) async fn connect(outbound: Rc<Outbound>, plan: Rc<OpaquePlan>) -> Result<Io, Fault> {
    let (balancer, queue) = match plan.concrete(&outbound.rng)? {
        Concrete::Forward(endpoint) => return Ok(to_endpoint(&outbound, &endpoint).await?),
        Concrete::Fail(meta) => {
            return Err(Fault::InvalidRoute(
                meta.to_string(),
                "no usable backend".to_owned(),
            ));
        }
        Concrete::Balance(balancer, queue) => (balancer, queue),
    };
    let mut tried: Vec<SocketAddr> = Vec::new();
    loop {
        let endpoint = balancer.pick(&tried, queue).await?;
        match to_endpoint(&outbound, &endpoint).await {
            Ok(io) => {
                endpoint.succeeded();
                return Ok(io);
            }
            Err(error) => {
                endpoint.failed();
                tried.push(endpoint.addr());
                if tried.len() >= MAX_TRIES.min(balancer.len()) {
                    return Err(error.into());
                }
            }
        }
    }
}

/// To a peer that takes transport headers: on its inbound port, after the header. Else straight to
/// the port, with TLS if there is an identity.
async fn to_endpoint(outbound: &Rc<Outbound>, endpoint: &Rc<Endpoint>) -> Result<Io, ConnectError> {
    let addr = endpoint.addr();
    let live = endpoint.live().ok_or(ConnectError::Loop { addr })?;
    let io = match (&live.upstream.security, endpoint.meta.transport_port) {
        (Security::Tls(server), Some(port)) => {
            let proxy = SocketAddr::new(addr.ip(), port);
            let mut io = outbound
                .connector
                .tls(proxy, server, Session::Transport)
                .await?;
            let name = endpoint.meta.authority_override.clone();
            let header = transport::Header {
                port: addr.port(),
                name,
                protocol: None,
            };
            transport::write(&mut io, &header)
                .await
                .map_err(|source| ConnectError::Tcp {
                    addr: proxy,
                    source,
                })?;
            io
        }
        (Security::Tls(server), None) => {
            outbound
                .connector
                .tls(addr, server, Session::Direct)
                .await?
        }
        (Security::Plain, _) => outbound.connector.plain(addr).await?,
        (Security::Refuse, _) => return Err(ConnectError::UnknownIdentity { addr }),
    };
    Ok(io.metered(live.tcp.open()))
}
