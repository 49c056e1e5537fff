//! What policy judges is what the application gets: no form of a request may make the two differ.

use http::Request;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::support::{
    app::HttpApp,
    client::{HttpClient, empty},
    eventually::{eventually, soon},
    isolated::isolated,
    mesh::{Mesh, MeshedPod},
    network::Pod,
    proxy::identity_of,
    scenario::{allow_everyone, allow_identities, by_host},
    serve::Version,
    tls,
};

/// A server that gives `public` to everyone and `private` to its owner alone.
struct Guarded {
    mesh: Mesh,
    server: MeshedPod,
    app: HttpApp,
    stranger: Pod,
}

impl Guarded {
    async fn new() -> Self {
        let mesh = Mesh::start();
        let server = mesh.meshed("server").await;
        let owner = identity_of("owner");
        mesh.control.update(|state| {
            let hosts = vec![
                ("public", vec![allow_everyone()]),
                ("private", vec![allow_identities(&[&owner])]),
            ];
            state
                .inbound
                .insert(("default:server".to_owned(), 8080), by_host(hosts));
        });
        let app = HttpApp::start(&server, 8080, Version::Http1);
        let guarded = Self {
            mesh,
            server,
            app,
            stranger: Pod::new("stranger"),
        };
        guarded.wait_until_guarded().await;
        guarded
    }

    /// The policy has arrived, and works in the plain case.
    async fn wait_until_guarded(&self) {
        eventually("policy by host", async || {
            let public = self.plain("GET / HTTP/1.1\r\nhost: public\r\n").await;
            let private = self.plain("GET / HTTP/1.1\r\nhost: private\r\n").await;
            let works = public.contains(" 200 ") && private.contains(" 403 ");
            if works {
                Ok(())
            } else {
                Err((public, private))
            }
        })
        .await;
    }

    /// The answer to a head in plaintext.
    async fn plain(&self, head: &str) -> String {
        let stream = self
            .stranger
            .connect(self.server.addr(8080))
            .await
            .expect("a connection");
        exchange(stream, head).await
    }

    /// The answer to a head over mutual TLS, by whoever has this identity.
    async fn as_identity(&self, identity: &str, head: &str) -> String {
        let authority = self.mesh.control.authority();
        let config = authority.client_config(Some(authority.leaf(identity)), &[]);
        let to = self.server.addr(8080);
        let stream = tls::connect(&self.stranger, to, config, &self.server.identity()).await;
        exchange(stream.expect("a TLS handshake"), head).await
    }

    /// Everything that reached the application was meant for, and says it is for, `public`.
    fn assert_only_public(&self, form: &str) {
        for seen in self.app.seen() {
            let hosts: Vec<_> = seen.headers.get_all("host").iter().collect();
            let authority = seen.uri.authority().map(http::uri::Authority::as_str);
            assert_eq!(hosts, ["public"], "{form}: {seen:?}");
            assert!(authority.is_none_or(|a| a == "public"), "{form}: {seen:?}");
        }
    }
}

/// Sends a head (without its last empty line), asks for the connection to be closed, and reads.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str) -> String {
    let request = format!("{head}connection: close\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = soon("the end of the connection", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_request_has_one_host() {
    isolated(async || {
        let guarded = Guarded::new().await;
        for head in [
            "GET / HTTP/1.1\r\nhost: public\r\nhost: private\r\n",
            "GET / HTTP/1.1\r\nhost: private\r\nhost: public\r\n",
            // The target of an absolute form wins over the header (RFC 9112 §3.2.2).
            "GET http://public/ HTTP/1.1\r\nhost: private\r\n",
            "GET http://private/ HTTP/1.1\r\nhost: public\r\n",
            "GET http://private@public/ HTTP/1.1\r\nhost: public\r\n",
            "GET http://public@private/ HTTP/1.1\r\nhost: public\r\n",
            "GET / HTTP/1.1\r\nhost: public, private\r\n",
            "GET / HTTP/1.1\r\nhost: private#public\r\n",
            "GET / HTTP/1.1\r\nhost: public/private\r\n",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nhost:\r\n",
            "GET / HTTP/1.0\r\n",
            "GET / HTTP/1.1\r\nx: y\r\n host: private\r\nhost: public\r\n",
        ] {
            let _ = guarded.plain(head).await;
            guarded.assert_only_public(head);
        }
        guarded.wait_until_guarded().await;
    });
}

#[test]
fn what_one_connection_says_of_itself_changes_no_judgement() {
    isolated(async || {
        let guarded = Guarded::new().await;
        for listed in [
            "host",
            "l5d-client-id",
            "content-length",
            "transfer-encoding",
            "connection",
        ] {
            let head = format!("GET / HTTP/1.1\r\nhost: public\r\nconnection: {listed}\r\n");
            let _ = guarded.plain(&head).await;
            guarded.assert_only_public(&head);
        }
    });
}

#[test]
fn an_identity_cannot_be_taken_away_or_forged_on_the_way_in() {
    isolated(async || {
        let guarded = Guarded::new().await;
        let stranger = identity_of("stranger");
        for head in [
            "GET / HTTP/1.1\r\nhost: public\r\nconnection: l5d-client-id\r\n",
            "GET / HTTP/1.1\r\nhost: public\r\nl5d-client-id: owner\r\n",
            "GET / HTTP/1.1\r\nhost: public\r\nl5d-client-id: owner\r\nL5D-CLIENT-ID: owner\r\n",
        ] {
            let answer = guarded.as_identity(&stranger, head).await;
            assert!(answer.contains(" 200 "), "{head}: {answer}");
            let seen = guarded.app.last();
            let identities: Vec<_> = seen.headers.get_all("l5d-client-id").iter().collect();
            assert_eq!(identities, [stranger.as_str()], "{head}");
        }
        let head = "GET / HTTP/1.1\r\nhost: private\r\nl5d-client-id: owner\r\n";
        let answer = guarded.as_identity(&stranger, head).await;
        assert!(answer.contains(" 403 "), "{answer}");
        let answer = guarded.as_identity(&identity_of("owner"), head).await;
        assert!(answer.contains(" 200 "), "{answer}");
    });
}

#[test]
fn the_proxies_own_headers_mean_nothing_from_strangers() {
    isolated(async || {
        let guarded = Guarded::new().await;
        let headers = [
            ("l5d-orig-proto", "HTTP/1.1"),
            ("l5d-orig-proto", "HTTP/1.1; absolute-form"),
            ("l5d-orig-proto", "HTTP/1.0"),
            ("l5d-dst-canonical", "private"),
            ("l5d-dst-override", "private"),
        ];
        for (name, value) in headers {
            let to = guarded.server.addr(8080);
            let stream = guarded.stranger.connect(to).await.expect("a connection");
            let http = HttpClient::handshake(stream, Version::Http2, "public").await;
            let mut http = http.expect("a handshake");
            // HTTP/2 has both an authority and, if a client insists, a host.
            let request = Request::get("/")
                .header(name, value)
                .header("host", "private");
            let _ = http.send(request.body(empty()).expect("a request")).await;
            guarded.assert_only_public(&format!("{name}: {value}"));
        }
    });
}
