//! Mutual TLS: what is trusted, who we are, and the configurations made of both.
//!
//! TLS 1.3 only (RFC 8446); the hybrid X25519MLKEM768 key exchange is preferred.

pub mod client;
pub mod server;

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::sync::watch;

use crate::pb::destination::{TlsIdentity, tls_identity};

/// The protocol of connections that begin with a transport header.
pub const TRANSPORT_ALPN: &[u8] = b"transport.l5d.io/v1";

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
            aws_lc_rs::kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    })
});

/// An identity that a peer proves: a DNS-like name or a URI (SPIFFE).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerId(pub Arc<str>);

/// Whom to expect at an address, and what to ask for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The TLS server name.
    pub server_name: ServerName<'static>,
    /// The identity that the server's leaf must hold.
    pub identity: PeerId,
}

/// The certificate of this workload and its key.
pub struct OwnCertificate {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// Everything made of one trust bundle and at most one certificate.
#[derive(Debug)]
pub struct TlsState {
    /// Grows with each change.
    pub generation: u64,
    roots: Arc<RootCertStore>,
    pub(crate) client: ClientConfigs,
    pub(crate) server: Option<ServerConfigs>,
}

#[derive(Clone, Debug)]
pub(crate) struct ClientConfigs {
    pub(crate) plain: Arc<ClientConfig>,
    pub(crate) transport: Arc<ClientConfig>,
}

#[derive(Clone, Debug)]
pub(crate) struct ServerConfigs {
    pub(crate) plain: Arc<ServerConfig>,
    pub(crate) transport: Arc<ServerConfig>,
}

/// The current `TlsState`, replaced whole.
#[derive(Debug)]
pub struct TlsStore {
    state: ArcSwap<TlsState>,
    /// Taken by writers: the certificate of which the next state is made.
    own: Mutex<Option<OwnCertificate>>,
    ready: watch::Sender<bool>,
}

/// Why TLS could not be set up or agreed on.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no trust anchor: {0}")]
    Anchors(String),
    #[error("unusable certificate or key: {0}")]
    Config(#[from] rustls::Error),
    #[error("no certificate yet")]
    NotReady,
    #[error("TLS handshake failed: {0}")]
    Handshake(std::io::Error),
    #[error("TLS handshake took too long")]
    Timeout,
    #[error("the peer does not hold the identity {expected:?} but {found:?}")]
    WrongIdentity {
        expected: String,
        found: Vec<String>,
    },
    #[error("the peer does not speak the transport protocol")]
    NoTransport,
}

// === impl TlsState ===

impl TlsState {
    /// How many anchors are trusted.
    pub fn anchor_count(&self) -> usize {
        self.roots.len()
    }
}

// === impl TlsStore ===

impl TlsStore {
    /// Trusts the anchors; clients can be verified but nothing can be served yet.
    pub fn new(trust_anchors_pem: &str) -> Result<Self, TlsError> {
        let roots = Arc::new(roots(anchors(trust_anchors_pem)?)?);
        let client = client::configs(&roots, None)?;
        let state = TlsState {
            generation: 0,
            roots,
            client,
            server: None,
        };
        Ok(Self {
            state: ArcSwap::from_pointee(state),
            own: Mutex::new(None),
            ready: watch::Sender::new(false),
        })
    }

    /// Uses this certificate for every handshake from now on.
    pub fn set_certificate(&self, own: OwnCertificate) -> Result<(), TlsError> {
        let mut held = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(self.load().roots.clone(), Some(&own))?;
        *held = Some(own);
        self.ready.send_replace(true);
        Ok(())
    }

    /// Trusts these anchors, and no others, in every handshake from now on. Connections that are open stay.
    pub fn set_anchors(&self, anchors: Vec<CertificateDer<'static>>) -> Result<(), TlsError> {
        let held = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(Arc::new(roots(anchors)?), held.as_ref())
    }

    fn replace(
        &self,
        roots: Arc<RootCertStore>,
        own: Option<&OwnCertificate>,
    ) -> Result<(), TlsError> {
        let client = client::configs(&roots, own)?;
        let server = own.map(|own| server::configs(&roots, own)).transpose()?;
        self.state.store(Arc::new(TlsState {
            generation: self.load().generation + 1,
            roots,
            client,
            server,
        }));
        Ok(())
    }

    /// The state now.
    pub fn load(&self) -> arc_swap::Guard<Arc<TlsState>> {
        self.state.load()
    }

    /// Whether a certificate is held.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Returns once a certificate is held.
    pub async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }
}

// === impl ServerTls ===

impl ServerTls {
    /// A server whose TLS name and identity are the same DNS-like name.
    pub fn dns(name: &str) -> Option<Self> {
        let server_name = ServerName::try_from(name.to_owned()).ok()?;
        Some(Self {
            server_name,
            identity: PeerId(name.into()),
        })
    }

    /// The expectation in an endpoint's metadata. `None` when it is incomplete, which callers must
    /// not take for permission to speak plaintext.
    pub fn from_wire(identity: &TlsIdentity) -> Option<Self> {
        match identity.strategy.as_ref()? {
            tls_identity::Strategy::DnsLikeIdentity(id) => {
                let name = identity
                    .server_name
                    .as_ref()
                    .map_or(&id.name, |name| &name.name);
                let server_name = ServerName::try_from(name.clone()).ok()?;
                Some(Self {
                    server_name,
                    identity: PeerId(id.name.as_str().into()),
                })
            }
            tls_identity::Strategy::UriLikeIdentity(id) => {
                let name = identity.server_name.as_ref()?.name.clone();
                let server_name = ServerName::try_from(name).ok()?;
                Some(Self {
                    server_name,
                    identity: PeerId(id.uri.as_str().into()),
                })
            }
        }
    }
}

impl std::fmt::Display for PeerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnCertificate")
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// The cryptography used everywhere.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// The names in a certificate: DNS first, then URIs.
pub(crate) fn names(leaf: &CertificateDer<'_>) -> Vec<String> {
    let Ok(cert) = webpki::EndEntityCert::try_from(leaf) else {
        return Vec::new();
    };
    cert.valid_dns_names()
        .chain(cert.valid_uri_names())
        .map(str::to_owned)
        .collect()
}

/// The certificates of a PEM text.
pub(crate) fn anchors(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| TlsError::Anchors(e.to_string()))
}

fn roots(anchors: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for anchor in anchors {
        store
            .add(anchor)
            .map_err(|e| TlsError::Anchors(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(TlsError::Anchors(
            "the bundle holds no certificate".to_owned(),
        ));
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed(name: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap(), key)
    }

    #[test]
    fn anchors_are_replaced_whole_and_the_certificate_stays() {
        let (first, key) = self_signed("first");
        let (second, _) = self_signed("second");
        let store = TlsStore::new(&first.pem()).unwrap();
        store
            .set_certificate(OwnCertificate {
                chain: vec![first.der().clone()],
                key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            })
            .unwrap();
        let both = vec![first.der().clone(), second.der().clone()];
        store.set_anchors(both).unwrap();
        assert_eq!(store.load().roots.len(), 2);
        store.set_anchors(vec![second.der().clone()]).unwrap();
        let state = store.load();
        assert_eq!((state.roots.len(), state.generation), (1, 3));
        assert!(state.server.is_some(), "still served");
    }

    #[test]
    fn anchors_that_cannot_be_used_change_nothing() {
        let (first, _) = self_signed("first");
        let store = TlsStore::new(&first.pem()).unwrap();
        let good = first.der().clone();
        store.set_anchors(Vec::new()).unwrap_err();
        store
            .set_anchors(vec![good, CertificateDer::from(vec![1, 2, 3])])
            .unwrap_err();
        assert_eq!((store.load().roots.len(), store.load().generation), (1, 0));
    }
}
