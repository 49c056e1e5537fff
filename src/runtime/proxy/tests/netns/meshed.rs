//! Traffic in every protocol between pods with and without a proxy.

use http::Request;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    app::{HttpApp, tcp_echo, tcp_server_first},
    client::empty,
    eventually::soon,
    grpc::{Channel, serve_grpc},
    isolated::isolated,
    mesh::http_client,
    serve::Version,
    world::{APP_PORT, Side, World},
};

/// Makes three tests of one body: the client and the server with a proxy, and either without.
macro_rules! every_pair {
    ($name:ident, $constructor:ident, $body:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn meshed_to_meshed() {
                isolated(async || {
                    $body(World::$constructor(Side::Meshed, Side::Meshed).await).await
                });
            }

            #[test]
            fn meshed_to_plain() {
                isolated(async || {
                    $body(World::$constructor(Side::Meshed, Side::Plain).await).await
                });
            }

            #[test]
            fn plain_to_meshed() {
                isolated(async || {
                    $body(World::$constructor(Side::Plain, Side::Meshed).await).await
                });
            }
        }
    };
}

/// Enough to need flow control, many frames and records; never the same twice in a row.
fn payload(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..len).map(next).collect()
}

every_pair!(http1, new, |world| http(world, Version::Http1));
every_pair!(http2, new, |world| http(world, Version::Http2));

async fn http(world: World, version: Version) {
    let app = HttpApp::start(&world.server, APP_PORT, version);
    let host = "web.default.svc.cluster.local";
    let mut client = http_client(&world.client, world.target, version, host).await;

    let request = Request::get("/hello?a=b%20c&d")
        .header("x-custom", "1, 2")
        .body(empty());
    let response = client
        .send(request.expect("a request"))
        .await
        .expect("a response");
    assert_eq!(
        (response.status.as_u16(), response.text().as_str()),
        (200, "server")
    );
    assert_eq!(response.header("x-app"), "server");

    // What the application sees is what was sent: nothing of the way between.
    let seen = app.last();
    assert_eq!(seen.method, "GET");
    assert_eq!(
        seen.uri.path_and_query().expect("a path"),
        "/hello?a=b%20c&d"
    );
    assert_eq!(seen.header("x-custom"), "1, 2");
    let expected = match version {
        Version::Http1 => http::Version::HTTP_11,
        Version::Http2 => http::Version::HTTP_2,
    };
    assert_eq!(seen.version, expected);
    let seen_host = seen.uri.host().unwrap_or_else(|| seen.header("host"));
    assert_eq!(seen_host, host);
    assert!(!seen.headers.contains_key("l5d-orig-proto"), "{seen:?}");
    let expected_id = if world.is_meshed() {
        world.client.identity()
    } else {
        String::new()
    };
    assert_eq!(seen.header("l5d-client-id"), expected_id);

    // The connection lives on; bodies go through whole, whatever the status.
    let body = payload(3_000_000);
    let response = client.post("/echo", body.clone()).await.expect("an echo");
    assert!(
        response.body == body,
        "{} of {} bytes",
        response.body.len(),
        body.len()
    );
    let response = client.get("/status/503").await.expect("a response");
    assert_eq!(response.status.as_u16(), 503);
    let head = Request::head("/hello").body(empty()).expect("a request");
    let response = client.send(head).await.expect("a response");
    assert_eq!((response.status.as_u16(), response.body.len()), (200, 0));
    for _ in 0..50 {
        assert_eq!(
            client
                .get("/again")
                .await
                .expect("a response")
                .status
                .as_u16(),
            200
        );
    }
    assert_http_metrics(&world, 54.0).await;
}

/// The proxies count what went through, with the identity of the other side.
async fn assert_http_metrics(world: &World, requests: f64) {
    let (tls, counted) = (world.tls_label(), Some(requests));
    let (client_id, server_id) = (world.client.identity(), world.server.identity());
    for (pod, direction, id) in [
        (&world.client, "outbound", ("server_id", &server_id)),
        (&world.server, "inbound", ("client_id", &client_id)),
    ] {
        let Some(proxy) = pod.proxy() else { continue };
        let mut labels = vec![("direction", direction), ("tls", tls)];
        if world.is_meshed() {
            labels.push((id.0, id.1.as_str()));
        }
        for name in [
            "request_total",
            "response_total",
            "response_latency_ms_count",
        ] {
            proxy
                .eventually_metrics(&format!("{name} {labels:?} is {requests}"), |metrics| {
                    (Some(metrics.sum(name, &labels)) == counted).then_some(())
                })
                .await;
        }
        let metrics = proxy.metrics().await;
        let failed = [&labels[..], &[("classification", "failure")]].concat();
        assert!(
            (metrics.sum("response_total", &failed) - 1.0).abs() < 0.5,
            "{metrics:?}"
        );
    }
}

every_pair!(grpc, new, grpc_calls);

async fn grpc_calls(world: World) {
    let _app = serve_grpc(&world.server, APP_PORT);
    let channel = Channel::connect(&world.client, world.target).await;
    let mut unary = channel.unary("web.default.svc.cluster.local");
    let request = |identity: &str, token: Vec<u8>| mesh_proxy::pb::identity::CertifyRequest {
        identity: identity.to_owned(),
        token,
        ..mesh_proxy::pb::identity::CertifyRequest::default()
    };
    let token = payload(1_000_000);
    let reply = unary
        .certify(request("echo", token.clone()))
        .await
        .expect("a reply");
    assert!(reply.into_inner().leaf_certificate == token);

    let status = unary
        .certify(request("fail", Vec::new()))
        .await
        .expect_err("a failure");
    assert_eq!(status.code(), tonic::Code::Internal, "{status:?}");
    assert_eq!(status.message(), "told to fail");

    let mut streaming = channel.streaming("web.default.svc.cluster.local");
    let request = mesh_proxy::pb::destination::GetDestination {
        path: "1000".to_owned(),
        ..mesh_proxy::pb::destination::GetDestination::default()
    };
    let mut stream = streaming.get(request).await.expect("a stream").into_inner();
    let mut count = 0;
    while stream.message().await.expect("a message").is_some() {
        count += 1;
    }
    assert_eq!(count, 1000);
    assert_grpc_metrics(&world).await;
}

/// A failed call is a failure although its HTTP status is 200.
async fn assert_grpc_metrics(world: &World) {
    for (pod, direction) in [(&world.client, "outbound"), (&world.server, "inbound")] {
        let Some(proxy) = pod.proxy() else { continue };
        for (classification, grpc_status, count) in [("success", "0", 2.0), ("failure", "13", 1.0)]
        {
            let labels = [
                ("direction", direction),
                ("classification", classification),
                ("grpc_status", grpc_status),
                ("status_code", "200"),
            ];
            proxy
                .eventually_metrics(&format!("response_total {labels:?}"), |metrics| {
                    (Some(metrics.sum("response_total", &labels)) == Some(count)).then_some(())
                })
                .await;
        }
    }
}

every_pair!(tcp, new, tcp_both_ways);
every_pair!(opaque_tcp, opaque, tcp_both_ways);

async fn tcp_both_ways(world: World) {
    let _app = tcp_echo(&world.server, APP_PORT);
    let stream = world
        .client
        .connect(world.target)
        .await
        .expect("a connection");
    // A first byte that no protocol begins with; not enough to fill any buffer.
    echo(stream, b"\0".to_vec()).await;
    let stream = world
        .client
        .connect(world.target)
        .await
        .expect("a connection");
    let body = [b"\0", &payload(5_000_000)[..]].concat();
    echo(stream, body).await;
    assert_tcp_metrics(&world).await;
}

/// Sends, closes its half, and expects everything back.
async fn echo(mut stream: TcpStream, body: Vec<u8>) {
    let (mut reader, mut writer) = stream.split();
    let send = async {
        writer.write_all(&body).await.expect("a peer that reads");
        writer.shutdown().await.expect("a half-closed connection");
    };
    let mut back = Vec::new();
    let (_, read) = tokio::join!(
        soon("sending", send),
        soon("echo", reader.read_to_end(&mut back))
    );
    read.expect("a proper end");
    assert!(
        back == body,
        "{} of {} bytes came back",
        back.len(),
        body.len()
    );
}

async fn assert_tcp_metrics(world: &World) {
    let tls = world.tls_label();
    for (pod, direction, peer) in [
        (&world.client, "outbound", "dst"),
        (&world.server, "inbound", "src"),
    ] {
        let Some(proxy) = pod.proxy() else { continue };
        let labels = [("direction", direction), ("peer", peer), ("tls", tls)];
        proxy
            .eventually_metrics(
                &format!("two connections {labels:?}, both closed"),
                |metrics| {
                    let opened = metrics.sum("tcp_open_total", &labels);
                    let closed = metrics.sum("tcp_close_total", &labels);
                    (opened > 1.5 && opened.total_cmp(&closed).is_eq()).then_some(())
                },
            )
            .await;
        let metrics = proxy.metrics().await;
        for name in ["tcp_read_bytes_total", "tcp_write_bytes_total"] {
            assert!(
                metrics.sum(name, &labels) > 5_000_000.0,
                "{name} {labels:?}: {metrics:?}"
            );
        }
        assert!(
            metrics.sum("tcp_open_connections", &labels) < 0.5,
            "{metrics:?}"
        );
    }
}

every_pair!(server_first, new, the_server_speaks_first);
every_pair!(opaque_server_first, opaque, the_server_speaks_first);

async fn the_server_speaks_first(world: World) {
    let greeting = "220 mail.example.com ESMTP ready\r\n";
    let _app = tcp_server_first(&world.server, APP_PORT, greeting);
    let mut stream = world
        .client
        .connect(world.target)
        .await
        .expect("a connection");
    // Detection may not wait for a client that waits for the server.
    let mut read = vec![0; greeting.len()];
    let limit = std::time::Duration::from_secs(3);
    tokio::time::timeout(limit, stream.read_exact(&mut read))
        .await
        .expect("a greeting without a stall")
        .expect("a greeting");
    assert_eq!(String::from_utf8_lossy(&read), greeting);
    echo(stream, b"EHLO client.example.com\r\n".to_vec()).await;
}
