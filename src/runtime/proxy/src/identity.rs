//! The workload's certificate: a key that never leaves memory, a signing request, and renewal in
//! time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tonic::transport::Channel;

use crate::{
    backoff::Backoff,
    config::{BackoffConfig, IdentityConfig},
    metrics::{LabelSet, Labels, Metrics},
    pb::identity::{CertifyRequest, CertifyResponse, identity_client::IdentityClient},
    rng::Rng,
    tls::{self, OwnCertificate, TlsError, TlsStore},
};

/// The share of a certificate's remaining life after which it is renewed.
const RENEW_AT: f64 = 0.7;
/// At most this share of the wait is taken off at random, so that proxies do not renew together.
const RENEW_JITTER: f64 = 0.1;

/// Why no certificate was obtained.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot read the token {path}: {source}")]
    Token {
        path: String,
        source: std::io::Error,
    },
    #[error("cannot make a key or signing request: {0}")]
    Request(#[from] rcgen::Error),
    #[error("identity refused: {} ({:?})", .0.message(), .0.code())]
    Refused(Box<tonic::Status>),
    #[error("identity's certificate is for {0:?}, not for this workload")]
    WrongName(Vec<String>),
    #[error("identity's certificate has no usable lifetime")]
    NoLifetime,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Keeps a certificate in the store.
pub struct Renewer {
    config: IdentityConfig,
    client: IdentityClient<Channel>,
    store: Arc<TlsStore>,
    metrics: Arc<Metrics>,
    key: KeyPair,
    csr: Vec<u8>,
}

/// A new key for ECDSA P-256 and its signing request in DER: the identity as the only DNS name
/// and as common name.
fn key_and_csr(name: &str) -> Result<(KeyPair, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let csr = params.serialize_request(&key)?.der().to_vec();
    Ok((key, csr))
}

/// How long to wait before renewing a certificate that stays valid for `life`. `random` is from 0
/// to below 1.
fn renew_after(life: Duration, min: Duration, max: Duration, random: f64) -> Duration {
    life.mul_f64(RENEW_AT * random.mul_add(-RENEW_JITTER, 1.0))
        .clamp(min, max)
}

// === impl Renewer ===

impl Renewer {
    /// Makes the key.
    pub fn new(
        config: IdentityConfig,
        channel: Channel,
        store: Arc<TlsStore>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, IdentityError> {
        let (key, csr) = key_and_csr(&config.local_name)?;
        let client = IdentityClient::new(channel);
        Ok(Self {
            config,
            client,
            store,
            metrics,
            key,
            csr,
        })
    }

    /// Obtains a certificate and renews it, for as long as the process lives.
    pub async fn run(mut self) {
        let rng = Rng::from_entropy();
        let first = BackoffConfig {
            min: Duration::from_millis(100),
            // Nothing is served before the first certificate: a new pod must not wait long for a new identity pod.
            max: Duration::from_secs(2),
            jitter: 0.2,
        };
        let later = BackoffConfig {
            min: self.config.min_refresh,
            max: self.config.min_refresh * 8,
            jitter: 0.2,
        };
        let mut backoff = Backoff::new(first);
        loop {
            let wait = match self.certify().await {
                Ok(life) => {
                    backoff = Backoff::new(later);
                    self.count("ok");
                    let (min, max) = (self.config.min_refresh, self.config.max_refresh);
                    renew_after(life, min, max, rng.unit())
                }
                Err(error) => {
                    self.count("error");
                    let wait = backoff.next(&rng);
                    tracing::warn!(
                        code = "MESH_PROXY_IDENTITY",
                        %error,
                        retry_ms = wait.as_millis(),
                        "no certificate from identity",
                    );
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Asks for a certificate, uses it, and tells how long it is valid.
    async fn certify(&mut self) -> Result<Duration, IdentityError> {
        let path = &self.config.token_file;
        let token = std::fs::read(path).map_err(|source| IdentityError::Token {
            path: path.display().to_string(),
            source,
        })?;
        let request = CertifyRequest {
            identity: self.config.local_name.clone(),
            token,
            certificate_signing_request: self.csr.clone(),
        };
        let mut request = tonic::Request::new(request);
        request.set_timeout(Duration::from_secs(10));
        let call = tokio::time::timeout(Duration::from_secs(10), self.client.certify(request));
        let response = call
            .await
            .unwrap_or_else(|_| Err(tonic::Status::deadline_exceeded("no answer within 10 s")))
            .map_err(|status| IdentityError::Refused(Box::new(status)))?
            .into_inner();
        self.install(response)
    }

    fn install(&self, response: CertifyResponse) -> Result<Duration, IdentityError> {
        let leaf = CertificateDer::from(response.leaf_certificate);
        let names = tls::names(&leaf);
        if !names.contains(&self.config.local_name) {
            return Err(IdentityError::WrongName(names));
        }
        let valid_until = response
            .valid_until
            .and_then(|time| u64::try_from(time.seconds).ok())
            .ok_or(IdentityError::NoLifetime)?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        let life = valid_until.checked_sub(now).filter(|s| *s > 0);
        let life = Duration::from_secs(life.ok_or(IdentityError::NoLifetime)?);
        let intermediates = response
            .intermediate_certificates
            .into_iter()
            .map(Into::into);
        let chain = std::iter::once(leaf).chain(intermediates).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        self.store.set_certificate(OwnCertificate { chain, key })?;
        self.report(valid_until, now);
        tracing::info!(
            identity = self.config.local_name,
            valid_s = life.as_secs(),
            "certified"
        );
        Ok(life)
    }

    fn report(&self, valid_until: u64, now: u64) {
        let none = LabelSet::from("");
        let metrics = &self.metrics;
        let (valid_until, now) = (valid_until.cast_signed(), now.cast_signed());
        metrics
            .identity_cert_expiration_timestamp_seconds
            .get(&none)
            .set(valid_until);
        metrics
            .control_identity_cert_expiration_timestamp_seconds
            .get(&none)
            .set(valid_until);
        metrics
            .control_identity_cert_refresh_timestamp_seconds
            .get(&none)
            .set(now);
        metrics.identity_cert_refresh_count.get(&none).incr();
    }

    fn count(&self, result: &str) {
        let labels = Labels::new().with("result", result).finish();
        self.metrics
            .control_identity_cert_refreshes_total
            .get(&labels)
            .incr();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renews_at_seventy_percent_less_jitter_within_bounds() {
        let s = Duration::from_secs;
        let renew = |life, random| renew_after(life, s(10), s(86_400), random);
        assert_eq!(renew(s(1000), 0.0), s(700));
        assert_eq!(renew(s(1000), 1.0), s(630));
        assert_eq!(renew(s(5), 0.0), s(10));
        assert_eq!(renew(s(86_400 * 10), 0.5), s(86_400));
    }

    #[test]
    fn the_request_names_the_identity_once() {
        let name = "web.default.serviceaccount.identity.linkerd.cluster.local";
        let (_, csr) = key_and_csr(name).unwrap();
        let needle = name.as_bytes();
        let count = csr
            .windows(needle.len())
            .filter(|window| *window == needle)
            .count();
        assert_eq!(count, 2, "once as common name, once as DNS name");
    }
}
