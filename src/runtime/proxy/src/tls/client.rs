//! TLS towards servers: peers' proxies and the control plane.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{ClientConfigs, OwnCertificate, ServerTls, TRANSPORT_ALPN, TlsError, TlsStore, names};

/// What follows the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// The application's protocol.
    Direct,
    /// A transport header.
    Transport,
}

/// Checks that the chain leads to a trust anchor now. The identity is compared by `connect`, after
/// the handshake and before any byte is sent: it can be a URI, of which rustls knows nothing.
#[derive(Debug)]
struct ChainVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

pub(super) fn configs(
    roots: &Arc<RootCertStore>,
    own: Option<&OwnCertificate>,
) -> Result<ClientConfigs, TlsError> {
    let provider = super::provider();
    let verifier = Arc::new(ChainVerifier {
        roots: roots.clone(),
        algorithms: provider.signature_verification_algorithms,
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match own {
        Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    // A ticket would outlive a change of trust or of the peer's certificate.
    config.resumption = Resumption::disabled();
    let mut transport = config.clone();
    transport.alpn_protocols = vec![TRANSPORT_ALPN.to_vec()];
    Ok(ClientConfigs {
        plain: Arc::new(config),
        transport: Arc::new(transport),
    })
}

/// Speaks TLS on `tcp` and makes sure that the server is the expected one.
pub async fn connect(
    store: &TlsStore,
    tcp: TcpStream,
    server: &ServerTls,
    session: Session,
    timeout: Duration,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let config = {
        let state = store.load();
        match session {
            Session::Direct => state.client.plain.clone(),
            Session::Transport => state.client.transport.clone(),
        }
    };
    let connector = TlsConnector::from(config);
    let handshake = connector.connect(server.server_name.clone(), tcp);
    let tls = tokio::time::timeout(timeout, handshake)
        .await
        .map_err(|_| TlsError::Timeout)?
        .map_err(TlsError::Handshake)?;
    let (_, connection) = tls.get_ref();
    let found = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(names)
        .unwrap_or_default();
    if !found
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&server.identity.0))
    {
        return Err(TlsError::WrongIdentity {
            expected: server.identity.to_string(),
            found,
        });
    }
    if session == Session::Transport && connection.alpn_protocol() != Some(TRANSPORT_ALPN) {
        return Err(TlsError::NoTransport);
    }
    Ok(tls)
}

// === impl ChainVerifier ===

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let cert = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &cert,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
