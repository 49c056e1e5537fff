//! Who may connect to a port, and what happens when that changes.

use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    app::{HttpApp, tcp_echo},
    client::empty,
    control::Component,
    eventually::{eventually, soon},
    isolated::isolated,
    mesh::{Mesh, MeshedPod, http_client},
    network::Pod,
    pb::inbound,
    scenario::{allow_everyone, allow_identities, detect, inherited, opaque},
    serve::Version,
    world::{AnyPod, Side, World},
};

/// Sets the policy of port 8080 of the pod `server`.
fn set(mesh: &Mesh, server: inbound::Server) {
    mesh.control.update(|state| {
        state
            .inbound
            .insert(("default:server".to_owned(), 8080), server);
    });
}

/// Waits until a request has this status.
async fn eventually_status(client: &mut crate::support::client::HttpClient, status: u16) {
    eventually(&format!("status {status}"), async || {
        match client.get("/").await {
            Ok(response) if response.status.as_u16() == status => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[test]
fn only_a_listed_identity_gets_through() {
    isolated(async || {
        let mesh = Mesh::start();
        let server = mesh.meshed("server").await;
        let (friend, stranger) = (mesh.meshed("friend").await, mesh.meshed("stranger").await);
        let plain = Pod::new("plain");
        set(&mesh, detect(vec![allow_identities(&[&friend.identity()])]));
        let app = HttpApp::start(&server, 8080, Version::Http1);
        let web = mesh.service("web", vec![server.endpoint(8080)]);

        let mut http = http_client(&friend, web, Version::Http1, "web").await;
        eventually_status(&mut http, 200).await;
        let allowed = app.seen().len();
        let mut http = http_client(&stranger, web, Version::Http1, "web").await;
        let response = http.get("/").await.expect("a response");
        assert_eq!(response.status.as_u16(), 403, "{response:?}");
        assert_ne!(response.header("l5d-proxy-error"), "", "{response:?}");
        let mut http = http_client(&plain, server.addr(8080), Version::Http1, "web").await;
        let response = http.get("/").await.expect("a response");
        assert_eq!(response.status.as_u16(), 403, "{response:?}");
        assert_eq!(app.seen().len(), allowed);

        let denied = "inbound_http_authz_deny_total";
        server
            .proxy
            .eventually_metrics(denied, |metrics| {
                let tls = |tls| metrics.sum(denied, &[("tls", tls)]);
                let once = tls("true") > 0.5 && tls("no_identity") > 0.5;
                (once && metrics.sum("inbound_http_authz_allow_total", &[]) > 0.5).then_some(())
            })
            .await;
    });
}

#[test]
fn a_route_has_the_authorizations_of_its_server_and_its_own() {
    isolated(async || {
        let world = World::new(Side::Plain, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, 8080, Version::Http1);
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        // The route itself lists nobody; who is let into the server is let into its routes.
        set(&world.mesh, inherited(detect(vec![allow_identities(&[])])));
        eventually_status(&mut http, 403).await;
        set(&world.mesh, inherited(detect(vec![allow_everyone()])));
        eventually_status(&mut http, 200).await;
    });
}

#[test]
fn grpc_is_refused_in_its_own_words() {
    isolated(async || {
        let world = World::new(Side::Plain, Side::Meshed).await;
        set(&world.mesh, detect(vec![allow_identities(&[])]));
        let _app = crate::support::grpc::serve_grpc(&world.server, 8080);
        let channel = crate::support::grpc::Channel::connect(&world.client, world.target).await;
        let request = mesh_proxy::pb::identity::CertifyRequest::default();
        let status = channel
            .unary("web")
            .certify(request)
            .await
            .expect_err("a refusal");
        assert_eq!(status.code(), tonic::Code::PermissionDenied, "{status:?}");
    });
}

#[test]
fn opaque_connections_without_identity_are_closed() {
    isolated(async || {
        let mesh = Mesh::start();
        let (server, client) = (mesh.meshed("server").await, mesh.meshed("client").await);
        let plain = Pod::new("plain");
        set(&mesh, opaque(vec![allow_identities(&[])]));
        let _app = tcp_echo(&server, 8080);
        let target = mesh.service("web", vec![server.opaque_endpoint(8080)]);
        eventually("the meshed client gets through", async || {
            let mut stream = client.connect(target).await.expect("a connection");
            stream
                .write_all(b"hello")
                .await
                .map_err(|e| e.to_string())?;
            let mut answer = [0; 5];
            stream
                .read_exact(&mut answer)
                .await
                .map_err(|e| e.to_string())?;
            assert_eq!(&answer, b"hello");
            Ok::<_, String>(())
        })
        .await;
        // Closed at once or after the first bytes: nothing may come back.
        if let Ok(mut stream) = plain.connect(server.addr(8080)).await {
            let _ = stream.write_all(b"hello").await;
            let mut answer = Vec::new();
            let read = soon("the refusal", stream.read_to_end(&mut answer)).await;
            assert!(answer.is_empty(), "{read:?} {answer:?}");
        }
        let denied = "inbound_tcp_authz_deny_total";
        let count = |metrics: &crate::support::metrics::Metrics| {
            (metrics.sum(denied, &[]) > 0.5).then_some(())
        };
        server.proxy.eventually_metrics(denied, count).await;
    });
}

#[test]
fn a_change_holds_for_the_next_request_of_an_open_connection() {
    isolated(async || {
        let world = World::new(Side::Plain, Side::Meshed).await;
        let app = HttpApp::start(&world.server, 8080, Version::Http2);
        let mut http = http_client(&world.client, world.target, Version::Http2, "web").await;
        assert_eq!(
            http.get("/").await.expect("a response").status.as_u16(),
            200
        );
        set(&world.mesh, detect(vec![allow_identities(&[])]));
        eventually_status(&mut http, 403).await;
        let refused = app.seen().len();
        assert_eq!(
            http.get("/").await.expect("a response").status.as_u16(),
            403
        );
        assert_eq!(app.seen().len(), refused);
        set(&world.mesh, detect(vec![allow_everyone()]));
        eventually_status(&mut http, 200).await;
    });
}

#[test]
fn an_open_opaque_connection_ends_when_it_is_no_longer_allowed() {
    isolated(async || {
        let world = World::opaque(Side::Plain, Side::Meshed).await;
        let _app = tcp_echo(&world.server, 8080);
        let mut stream = world
            .client
            .connect(world.target)
            .await
            .expect("a connection");
        stream
            .write_all(b"hello")
            .await
            .expect("an open connection");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.expect("an echo");
        set(&world.mesh, opaque(vec![allow_identities(&[])]));
        let mut rest = Vec::new();
        let _ = soon("the end of the connection", stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
    });
}

#[test]
fn nobody_can_claim_an_identity_by_a_header() {
    isolated(async || {
        let world = World::new(Side::Plain, Side::Meshed).await;
        let app = HttpApp::start(&world.server, 8080, Version::Http1);
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        let forged = Request::get("/")
            .header("l5d-client-id", "admin")
            .header("L5d-Client-Id", "x");
        let forged = forged.body(empty()).expect("a request");
        assert_eq!(
            http.send(forged).await.expect("a response").status.as_u16(),
            200
        );
        assert_eq!(
            app.last().headers.get_all("l5d-client-id").iter().count(),
            0
        );
    });
}

/// One request from a pod without a proxy.
async fn status_from(plain: &Pod, server: &MeshedPod) -> u16 {
    let mut http = http_client(plain, server.addr(8080), Version::Http1, "web").await;
    http.get("/").await.expect("a response").status.as_u16()
}

#[test]
fn without_the_policy_controller_the_default_holds() {
    isolated(async || {
        let mut mesh = Mesh::start();
        mesh.control.stop(Component::Policy).await;
        let plain = Pod::new("plain");
        for (policy, status) in [
            ("all-unauthenticated", 200),
            ("all-authenticated", 403),
            ("deny", 403),
        ] {
            let variables = [("INBOUND_DEFAULT_POLICY", policy)];
            let server = mesh.meshed_with("server", &variables).await;
            let _app = HttpApp::start(&server, 8080, Version::Http1);
            assert_eq!(status_from(&plain, &server).await, status, "{policy}");
        }
    });
}

#[test]
fn what_is_known_holds_while_the_policy_controller_is_gone() {
    isolated(async || {
        let mut world = World::new(Side::Plain, Side::Meshed).await;
        set(&world.mesh, detect(vec![allow_identities(&[])]));
        let _app = HttpApp::start(&world.server, 8080, Version::Http1);
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        eventually_status(&mut http, 403).await;
        world.mesh.control.stop(Component::Policy).await;
        let AnyPod::Meshed(server) = &world.server else {
            panic!("a meshed server")
        };
        assert_eq!(status_from(&world.client, server).await, 403);
        set(&world.mesh, detect(vec![allow_everyone()]));
        world.mesh.control.restart(Component::Policy);
        eventually(
            "the change arrives after the return",
            async || match status_from(&world.client, server).await {
                200 => Ok(()),
                other => Err(other),
            },
        )
        .await;
    });
}
