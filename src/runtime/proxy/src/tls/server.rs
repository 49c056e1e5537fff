//! TLS towards clients: peers' proxies.

use std::{sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    OwnCertificate, PeerId, ServerConfigs, TRANSPORT_ALPN, TlsError, TlsStore, client::Session,
    names,
};
use crate::io::Ahead;

/// A client's TLS connection, and who the client is.
#[derive(Debug)]
pub struct Accepted {
    pub stream: TlsStream<Ahead>,
    /// `None`: the client showed no certificate.
    pub client_id: Option<PeerId>,
    /// Whether a transport header follows.
    pub transport: bool,
}

pub(super) fn configs(
    roots: &Arc<RootCertStore>,
    own: &OwnCertificate,
) -> Result<ServerConfigs, TlsError> {
    let provider = super::provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| TlsError::Anchors(e.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(own.chain.clone(), own.key.clone_key())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let mut transport = config.clone();
    transport.alpn_protocols = vec![TRANSPORT_ALPN.to_vec()];
    Ok(ServerConfigs {
        plain: Arc::new(config),
        transport: Arc::new(transport),
    })
}

/// Terminates TLS. With `Session::Transport` the transport protocol is offered to clients that ask
/// for it; others are served without.
pub async fn accept(
    store: &TlsStore,
    stream: Ahead,
    session: Session,
    timeout: Duration,
) -> Result<Accepted, TlsError> {
    let config = {
        let state = store.load();
        let configs = state.server.as_ref().ok_or(TlsError::NotReady)?;
        match session {
            Session::Direct => configs.plain.clone(),
            Session::Transport => configs.transport.clone(),
        }
    };
    let handshake = TlsAcceptor::from(config).accept(stream);
    let stream = tokio::time::timeout(timeout, handshake)
        .await
        .map_err(|_| TlsError::Timeout)?
        .map_err(TlsError::Handshake)?;
    let (_, connection) = stream.get_ref();
    let client_id = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(|leaf| names(leaf).into_iter().next())
        .map(|name| PeerId(name.into()));
    let transport = connection.alpn_protocol() == Some(TRANSPORT_ALPN);
    Ok(Accepted {
        stream,
        client_id,
        transport,
    })
}
