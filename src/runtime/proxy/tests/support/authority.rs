//! A certificate authority: a trust anchor, an issuer under it, and leaves.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

/// Certificates begin a little in the past, as clocks differ.
const SKEW: Duration = Duration::from_secs(20);

/// A trust anchor and the issuer that signs leaves.
pub struct Authority {
    /// The trust anchor.
    pub anchor_pem: String,
    anchor: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its chain, and its key.
pub struct Leaf {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let anchor_key = new_key();
        let anchor_params = authority_params("root.linkerd.cluster.local", 1);
        let anchor = anchor_params.self_signed(&anchor_key).expect("an anchor");
        let anchor_issuer = Issuer::new(anchor_params, anchor_key);
        let issuer_key = new_key();
        let issuer_params = authority_params("identity.linkerd.cluster.local", 0);
        let intermediate = issuer_params
            .signed_by(&issuer_key, &anchor_issuer)
            .expect("an issuer certificate");
        Self {
            anchor_pem: anchor.pem(),
            anchor: anchor.der().clone(),
            intermediate: intermediate.der().clone(),
            issuer: Issuer::new(issuer_params, issuer_key),
        }
    }

    /// The issuer's own certificate, signed by the anchor.
    pub fn intermediate(&self) -> &CertificateDer<'static> {
        &self.intermediate
    }

    /// A certificate for `name` with a new key.
    pub fn leaf(&self, name: &str) -> Leaf {
        let key = new_key();
        let leaf = self.sign(name, &key, Duration::from_secs(3600));
        Leaf {
            chain: vec![leaf, self.intermediate.clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        }
    }

    /// Signs a request (PKCS#10, DER) for `name`, or says what is wrong with it.
    pub fn sign_request(
        &self,
        name: &str,
        request: &[u8],
        lifetime: Duration,
    ) -> Result<CertificateDer<'static>, String> {
        let key =
            verify_request(request).ok_or("the signing request is malformed or not signed")?;
        if dns_names(request) != [name] {
            return Err(format!("the signing request is not for {name} alone"));
        }
        Ok(self.sign(name, &key, lifetime))
    }

    fn sign(
        &self,
        name: &str,
        key: &impl PublicKeyData,
        lifetime: Duration,
    ) -> CertificateDer<'static> {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a DNS name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_before = (SystemTime::now() - SKEW).into();
        params.not_after = (SystemTime::now() + lifetime).into();
        params
            .signed_by(key, &self.issuer)
            .expect("a leaf")
            .der()
            .clone()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.anchor.clone())
            .expect("a well-formed anchor");
        Arc::new(roots)
    }

    /// TLS for a server that is `name`; clients may show a certificate of this authority.
    pub fn server_config(&self, name: &str) -> Arc<ServerConfig> {
        let Leaf { chain, key } = self.leaf(name);
        let verifier = WebPkiClientVerifier::builder(self.roots())
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("a server configuration");
        Arc::new(config)
    }

    /// TLS for a client that shows `leaf`, if any, and offers `protocols` (ALPN).
    pub fn client_config(&self, leaf: Option<Leaf>, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder().with_root_certificates(self.roots());
        let mut config = match leaf {
            Some(Leaf { chain, key }) => builder
                .with_client_auth_cert(chain, key)
                .expect("a client configuration"),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Arc::new(config)
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn authority_params(name: &str, path_len: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_len));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// The DNS names of a certificate or request.
///
/// Context tag 2 of a `GeneralName` is a DNS name (RFC 5280 §4.2.1.6); the names are looked for
/// after the object identifier of the extension.
pub fn dns_names(der: &[u8]) -> Vec<&str> {
    const SUBJECT_ALT_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x11];
    let found = der
        .windows(SUBJECT_ALT_NAME.len())
        .position(|window| window == SUBJECT_ALT_NAME);
    let Some(at) = found else { return Vec::new() };
    let mut rest = der.get(at + SUBJECT_ALT_NAME.len()..).unwrap_or_default();
    // In certificates a BOOLEAN may say that the extension is critical.
    if let Some(boolean) = element(rest).filter(|e| e.tag == 0x01) {
        rest = boolean.rest;
    }
    let names = element(rest).and_then(|octets| element(octets.content));
    let mut names = names.map_or(&[][..], |sequence| sequence.content);
    let mut dns = Vec::new();
    while let Some(name) = element(names) {
        if name.tag == 0x82 {
            dns.extend(std::str::from_utf8(name.content));
        }
        names = name.rest;
    }
    dns
}

/// A public key on P-256, uncompressed.
struct RequestKey(Vec<u8>);

impl PublicKeyData for RequestKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// Checks that a request (RFC 2986 §4) is signed by its own key, and returns that key.
fn verify_request(der: &[u8]) -> Option<RequestKey> {
    let request = element(der)?.content;
    let info = element(request)?;
    let algorithm = element(info.rest)?;
    let signature = element(algorithm.rest)?.content.get(1..)?;

    let version = element(info.content)?;
    let subject = element(version.rest)?;
    let key_info = element(subject.rest)?;
    let key_algorithm = element(key_info.content)?;
    let key = element(key_algorithm.rest)?.content.get(1..)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(info.whole, signature)
        .ok()?;
    Some(RequestKey(key.to_vec()))
}

/// One element of DER (X.690).
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its tag and length.
    whole: &'a [u8],
    rest: &'a [u8],
}

fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&tag, after) = der.split_first()?;
    let (&first, mut after) = after.split_first()?;
    let mut len = usize::from(first);
    if first & 0x80 != 0 {
        let (digits, rest) = after.split_at_checked(usize::from(first & 0x7f))?;
        len = digits
            .iter()
            .try_fold(0_usize, |n, d| n.checked_mul(256)?.checked_add((*d).into()))?;
        after = rest;
    }
    let (content, rest) = after.split_at_checked(len)?;
    Some(Element {
        tag,
        content,
        whole: der.get(..der.len() - rest.len())?,
        rest,
    })
}
