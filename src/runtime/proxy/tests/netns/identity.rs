//! Certificates: the first one, renewal, and peers that cannot prove who they are.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    app::HttpApp,
    authority::Authority,
    control::Component,
    eventually::eventually,
    isolated::isolated,
    mesh::{Mesh, MeshedPod, http_client, plain_endpoint},
    network::Pod,
    proxy::identity_of,
    serve::{Version, serve_tls},
    tls,
};

/// The certificate that a proxy shows.
async fn leaf_of(pod: &MeshedPod, from: &Pod, authority: &Authority) -> Vec<u8> {
    let config = authority.client_config(None, &[]);
    let stream = tls::connect(from, pod.addr(8080), config, &pod.identity()).await;
    let stream = stream.expect("a TLS handshake");
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain.first().expect("a leaf").to_vec()
}

#[test]
fn a_proxy_is_ready_when_it_has_its_certificate() {
    isolated(async || {
        let mut mesh = Mesh::start();
        mesh.control.stop(Component::Identity).await;
        let mut pod = mesh.starting("pod", &[]);
        let waiting = async || match pod.proxy.admin_get("/ready").await {
            Ok((503, _)) => Ok(()),
            other => Err(other),
        };
        eventually("not ready without a certificate", waiting).await;
        assert_eq!(
            pod.proxy.admin_get("/live").await.expect("an answer").0,
            200
        );
        mesh.control.restart(Component::Identity);
        pod.proxy.ready().await;

        let certificate = leaf_of(&pod, &mesh.control.pod, mesh.control.authority()).await;
        assert_eq!(
            crate::support::authority::dns_names(&certificate),
            [identity_of("pod")]
        );
    });
}

#[test]
fn a_certificate_is_renewed_before_it_ends_and_traffic_goes_on() {
    isolated(async || {
        let mesh = Mesh::start();
        mesh.control
            .set_certificate_lifetime(Duration::from_secs(3));
        let often = [("IDENTITY_MIN_REFRESH", "1s")];
        let client = mesh.meshed_with("client", &often).await;
        let server = mesh.meshed_with("server", &often).await;
        let _app = HttpApp::start(&server, 8080, Version::Http1);
        let web = mesh.service("web", vec![server.endpoint(8080)]);
        let mut kept = http_client(&client, web, Version::Http1, "web").await;
        let observer = Pod::new("observer");
        let first = leaf_of(&server, &observer, mesh.control.authority()).await;

        let what = format!("Certify {}", server.identity());
        eventually("two renewals", async || {
            assert_eq!(
                kept.get("/").await.expect("a response").status.as_u16(),
                200
            );
            let count = mesh.control.calls(&what).len();
            if count >= 3 { Ok(()) } else { Err(count) }
        })
        .await;
        // By now the first certificate has ended: only a renewed one passes verification.
        let now = leaf_of(&server, &observer, mesh.control.authority()).await;
        assert_ne!(now, first);
        let mut fresh = http_client(&client, web, Version::Http1, "web").await;
        assert_eq!(
            fresh.get("/").await.expect("a response").status.as_u16(),
            200
        );
        let metrics = server.proxy.metrics().await;
        assert!(
            metrics.sum("identity_cert_refresh_count", &[]) >= 3.0,
            "{metrics:?}"
        );
        assert!(metrics.sum("identity_cert_expiration_timestamp_seconds", &[]) > 0.0);
    });
}

#[test]
fn identity_may_be_gone_for_a_while() {
    isolated(async || {
        let mut mesh = Mesh::start();
        mesh.control
            .set_certificate_lifetime(Duration::from_secs(4));
        let often = [("IDENTITY_MIN_REFRESH", "1s")];
        let client = mesh.meshed_with("client", &often).await;
        let server = mesh.meshed_with("server", &often).await;
        let _app = HttpApp::start(&server, 8080, Version::Http1);
        let web = mesh.service("web", vec![server.endpoint(8080)]);
        mesh.control.stop(Component::Identity).await;
        let mut http = http_client(&client, web, Version::Http1, "web").await;
        assert_eq!(
            http.get("/").await.expect("a response").status.as_u16(),
            200
        );

        // Past the first renewals, which fail; then it comes back.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let calls = mesh.control.calls("Certify").len();
        mesh.control.restart(Component::Identity);
        eventually("renewal after the return", async || {
            let now = mesh.control.calls("Certify").len();
            if now >= calls + 2 { Ok(()) } else { Err(now) }
        })
        .await;
        let mut http = http_client(&client, web, Version::Http1, "web").await;
        assert_eq!(
            http.get("/").await.expect("a response").status.as_u16(),
            200
        );
    });
}

#[test]
fn a_server_with_another_identity_gets_nothing() {
    isolated(async || {
        let mesh = Mesh::start();
        let (client, server) = (mesh.meshed("client").await, mesh.meshed("server").await);
        let app = HttpApp::start(&server, 8080, Version::Http1);
        let mut endpoint = server.endpoint(8080);
        endpoint.identity = Some(identity_of("another"));
        let web = mesh.service("web", vec![endpoint]);
        let mut http = http_client(&client, web, Version::Http1, "web").await;
        let response = http.get("/").await.expect("a response");
        assert!(
            [502, 503, 504].contains(&response.status.as_u16()),
            "{response:?}"
        );
        assert_ne!(response.header("l5d-proxy-error"), "", "{response:?}");
        assert!(app.seen().is_empty());
    });
}

#[test]
fn a_server_of_another_authority_gets_nothing() {
    isolated(async || {
        let mesh = Mesh::start();
        let (client, impostor) = (mesh.meshed("client").await, Pod::new("impostor"));
        let other = Authority::new().server_config(&identity_of("server"));
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = std::sync::Arc::clone(&asked);
        let _server = serve_tls(impostor.listen(8080), other, move |_, _| {
            flag.store(true, std::sync::atomic::Ordering::Relaxed);
            async { http::Response::new(crate::support::client::empty()) }
        });
        let mut endpoint = plain_endpoint(&impostor, 8080);
        endpoint.identity = Some(identity_of("server"));
        let web = mesh.service("web", vec![endpoint]);
        let mut http = http_client(&client, web, Version::Http1, "web").await;
        let response = http.get("/").await.expect("a response");
        assert!(
            [502, 503, 504].contains(&response.status.as_u16()),
            "{response:?}"
        );
        assert!(!asked.load(std::sync::atomic::Ordering::Relaxed));
    });
}

#[test]
fn a_client_of_another_authority_is_refused() {
    isolated(async || {
        let mesh = Mesh::start();
        let (server, attacker) = (mesh.meshed("server").await, Pod::new("attacker"));
        let app = HttpApp::start(&server, 8080, Version::Http1);
        let leaf = Authority::new().leaf(&identity_of("client"));
        let config = mesh.control.authority().client_config(Some(leaf), &[]);
        let answer = tls::connect(&attacker, server.addr(8080), config, &server.identity()).await;
        // TLS 1.3 clients learn of the refusal only when they read.
        let read = match answer {
            Ok(mut stream) => {
                let _ = stream
                    .write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                    .await;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.map(|_| answer)
            }
            Err(error) => Err(error),
        };
        assert!(read.as_ref().map_or(true, Vec::is_empty), "{read:?}");
        assert!(app.seen().is_empty());
    });
}
