//! Trust anchors that change while the proxy runs (`mesh.identity.v1.TrustBundles`).
//!
//! Each bundle replaces the anchors at once; watching again with its revision tells identity that it
//! is in use. The newest bundle is kept in the pod's identity folder, because the variable with the
//! anchors stays as it was when the pod was made: a container that restarts after a rotation would
//! trust nobody else.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prost::Message as _;
use rustls_pki_types::CertificateDer;
use tonic::{Code, Status, transport::Channel};

use crate::{
    backoff::Backoff,
    config::{BackoffConfig, IdentityConfig},
    pb::trust::{Bundle, WatchRequest, trust_bundles_client::TrustBundlesClient},
    rng::Rng,
    tls::{self, TlsError, TlsStore},
};

const FILE: &str = "trust-bundle.pb";
/// How long to wait before asking again an identity that has no such service.
const WITHOUT_SERVICE: Duration = Duration::from_secs(600);

/// Trusts, besides the configured anchors, those of the bundle that was kept, if any.
pub fn restore(config: &IdentityConfig, store: &TlsStore) {
    let Some(path) = path(config) else { return };
    let kept = match std::fs::read(&path) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return warn_unusable(&path, &error),
    };
    let restored = Bundle::decode(kept.as_slice())
        .map_err(io::Error::other)
        .and_then(|bundle| {
            let mut anchors = tls::anchors(&config.trust_anchors_pem).map_err(io::Error::other)?;
            anchors.extend(bundle.anchors.into_iter().map(CertificateDer::from));
            store.set_anchors(anchors).map_err(io::Error::other)
        });
    if let Err(error) = restored {
        warn_unusable(&path, &error);
    }
}

/// Follows the bundle of identity for as long as the process lives.
pub async fn follow(
    config: IdentityConfig,
    channel: Channel,
    store: Arc<TlsStore>,
    backoff: BackoffConfig,
) {
    let mut follower = Follower {
        client: TrustBundlesClient::new(channel),
        config,
        store,
        held: String::new(),
    };
    let rng = Rng::from_entropy();
    let max = backoff.max.max(Duration::from_secs(10));
    let mut backoff = Backoff::new(BackoffConfig { max, ..backoff });
    // Identity has more urgent things to do for a proxy that has no certificate.
    follower.store.ready().await;
    loop {
        match follower.until_changed().await {
            Ok(()) => backoff.reset(),
            Err(status) if status.code() == Code::Unimplemented => {
                tracing::debug!("identity does not tell of changed trust anchors");
                tokio::time::sleep(WITHOUT_SERVICE).await;
            }
            Err(status) => {
                tracing::debug!(%status, "the trust anchors are not watched");
                tokio::time::sleep(backoff.next(&rng)).await;
            }
        }
    }
}

struct Follower {
    client: TrustBundlesClient<Channel>,
    config: IdentityConfig,
    store: Arc<TlsStore>,
    /// Revision of the bundle in use.
    held: String,
}

// === impl Follower ===

impl Follower {
    /// Watches until there is another bundle, and uses that.
    async fn until_changed(&mut self) -> Result<(), Status> {
        let token = std::fs::read(&self.config.token_file)
            .map_err(|error| Status::unauthenticated(format!("cannot read the token: {error}")))?;
        let request = WatchRequest {
            token,
            held_revision: self.held.clone(),
        };
        let mut bundles = self.client.watch(request).await?.into_inner();
        loop {
            let bundle = bundles.message().await?;
            let bundle = bundle.ok_or_else(|| Status::unavailable("the stream ended"))?;
            if bundle.revision == self.held {
                continue;
            }
            self.adopt(&bundle).map_err(|error| {
                tracing::warn!(code = "MESH_PROXY_TRUST", %error, "the trust anchors cannot be used");
                Status::invalid_argument(error.to_string())
            })?;
            self.held = bundle.revision;
            return Ok(());
        }
    }

    fn adopt(&self, bundle: &Bundle) -> Result<(), TlsError> {
        let anchors = bundle.anchors.iter().cloned().map(CertificateDer::from);
        self.store.set_anchors(anchors.collect())?;
        let (revision, count) = (&bundle.revision, bundle.anchors.len());
        tracing::info!(revision, anchors = count, "trust anchors in use");
        if let Some(path) = path(&self.config)
            && let Err(error) = keep(&path, bundle)
        {
            tracing::warn!(
                code = "MESH_PROXY_TRUST",
                path = %path.display(),
                %error,
                "the trust anchors are in use, but a container that restarts will not know them",
            );
        }
        Ok(())
    }
}

fn path(config: &IdentityConfig) -> Option<PathBuf> {
    config.dir.as_ref().map(|dir| dir.join(FILE))
}

/// Replaces the file in one step: a reader sees the old bundle or the new one.
fn keep(path: &Path, bundle: &Bundle) -> io::Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, bundle.encode_to_vec())?;
    std::fs::rename(next, path)
}

fn warn_unusable(path: &Path, error: &io::Error) {
    tracing::warn!(
        code = "MESH_PROXY_TRUST",
        path = %path.display(),
        %error,
        "the trust anchors that were kept cannot be used",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceConfig;

    fn anchor(name: &str) -> rcgen::Certificate {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        params.self_signed(&key).unwrap()
    }

    fn config(dir: &Path, anchors: &str) -> IdentityConfig {
        let addr = crate::config::HostPort {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            absolute: false,
        };
        IdentityConfig {
            local_name: "web".to_owned(),
            server_name: "web".to_owned(),
            trust_anchors_pem: anchors.to_owned(),
            token_file: PathBuf::from("/token"),
            dir: Some(dir.to_owned()),
            min_refresh: Duration::from_secs(10),
            max_refresh: Duration::from_secs(10),
            service: ServiceConfig { addr, name: None },
        }
    }

    fn own_folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("mesh-trust-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_container_that_starts_again_trusts_the_newest_bundle_too() {
        let dir = own_folder("kept");
        let (first, second) = (anchor("first"), anchor("second"));
        let config = config(&dir, &first.pem());
        let bundle = Bundle {
            anchors: vec![second.der().to_vec()],
            revision: "2".to_owned(),
        };
        keep(&path(&config).unwrap(), &bundle).unwrap();
        let store = TlsStore::new(&config.trust_anchors_pem).unwrap();
        restore(&config, &store);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(store.load().anchor_count(), 2);
    }

    #[test]
    fn what_cannot_be_read_leaves_the_configured_anchors() {
        let dir = own_folder("broken");
        let first = anchor("first");
        let config = config(&dir, &first.pem());
        for kept in [&b"\xff\xff\xff"[..], b"\x0a\x02\x01\x02"] {
            std::fs::write(path(&config).unwrap(), kept).unwrap();
            let store = TlsStore::new(&config.trust_anchors_pem).unwrap();
            restore(&config, &store);
            assert_eq!(
                (store.load().anchor_count(), store.load().generation),
                (1, 0)
            );
        }
        std::fs::remove_dir_all(&dir).unwrap();
        let store = TlsStore::new(&config.trust_anchors_pem).unwrap();
        restore(&config, &store);
        assert_eq!(store.load().anchor_count(), 1, "nothing was kept");
    }
}
