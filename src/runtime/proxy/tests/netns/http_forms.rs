//! What HTTP allows and applications do: upgrades, trailers, pipelines, odd forms of requests.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{
    app::HttpApp,
    client::{empty, full},
    eventually::soon,
    isolated::isolated,
    mesh::http_client,
    proxy::identity_of,
    serve::Version,
    world::{APP_PORT, Side, World},
};

/// Reads until the text so far ends a way that `complete` accepts, or the connection ends.
async fn read_until(stream: &mut TcpStream, complete: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let read = async {
        let mut buffer = [0; 4096];
        while !complete(&text) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(len) => text += &String::from_utf8_lossy(buffer.get(..len).unwrap_or_default()),
            }
        }
    };
    soon("an answer", read).await;
    text
}

/// Worlds in which HTTP goes over the mesh, in through it, and out of it.
const PAIRS: [(Side, Side); 3] = [
    (Side::Meshed, Side::Meshed),
    (Side::Plain, Side::Meshed),
    (Side::Meshed, Side::Plain),
];

#[test]
fn a_connection_can_switch_to_another_protocol() {
    isolated(async || {
        for (client, server) in PAIRS {
            let world = World::new(client, server).await;
            let _app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
            let mut stream = world
                .client
                .connect(world.target)
                .await
                .expect("a connection");
            let request = "GET /upgrade HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
            stream
                .write_all(request.as_bytes())
                .await
                .expect("a peer that reads");
            let answer = read_until(&mut stream, |text| text.ends_with("\r\n\r\n")).await;
            assert!(
                answer.starts_with("HTTP/1.1 101 "),
                "{client:?} to {server:?}: {answer}"
            );
            assert!(answer.to_lowercase().contains("upgrade: echo"), "{answer}");
            stream
                .write_all(b"\0 not HTTP any more")
                .await
                .expect("a peer that reads");
            stream.shutdown().await.expect("a half-closed connection");
            let echo = read_until(&mut stream, |_| false).await;
            assert_eq!(echo, "\0 not HTTP any more");
        }
    });
}

#[test]
fn trailers_and_chunks_arrive() {
    isolated(async || {
        for (version, (client, server)) in [
            (Version::Http1, PAIRS[0]),
            (Version::Http2, PAIRS[0]),
            (Version::Http2, PAIRS[1]),
        ] {
            let world = World::new(client, server).await;
            let _app = HttpApp::start(&world.server, APP_PORT, version);
            let mut http = http_client(&world.client, world.target, version, "web").await;
            let trailers = [("x-checksum", "12345")];
            let trailers = trailers.map(|(k, v)| {
                (
                    http::HeaderName::from_static(k),
                    http::HeaderValue::from_static(v),
                )
            });
            let frames = vec![
                Ok(Frame::data(Bytes::from_static(b"first "))),
                Ok(Frame::data(Bytes::from_static(b"second"))),
                Ok(Frame::trailers(trailers.into_iter().collect())),
            ];
            let body = StreamBody::new(tokio_stream::iter(frames)).boxed_unsync();
            let request = Request::post("/echo")
                .header("trailer", "x-checksum")
                .header("te", "trailers");
            let response = http
                .send(request.body(body).expect("a request"))
                .await
                .expect("an echo");
            assert_eq!(response.text(), "first second");
            if version == Version::Http2 {
                let trailers = response.trailers.as_ref().expect("trailers");
                assert_eq!(trailers["x-checksum"], "12345", "{client:?} to {server:?}");
            }
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
        let mut stream = world
            .client
            .connect(world.target)
            .await
            .expect("a connection");
        let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: web\r\n\r\n");
        let pipeline = request("/slow/100") + &request("/status/404") + &request("/status/410");
        stream
            .write_all(pipeline.as_bytes())
            .await
            .expect("a peer that reads");
        let answers = read_until(&mut stream, |text| text.contains(" 410 ")).await;
        let order: Vec<&str> = answers
            .lines()
            .filter(|line| line.contains("HTTP/1.1 "))
            .filter_map(|line| {
                line.split_once("HTTP/1.1 ")
                    .and_then(|(_, rest)| rest.get(..3))
            })
            .collect();
        assert_eq!(order, ["200", "404", "410"], "{answers}");
    });
}

#[test]
fn expect_100_continue_does_not_stall() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
        let mut stream = world
            .client
            .connect(world.target)
            .await
            .expect("a connection");
        let head = "POST /echo HTTP/1.1\r\nhost: web\r\ncontent-length: 5\r\n\
                    expect: 100-continue\r\n\r\n";
        stream
            .write_all(head.as_bytes())
            .await
            .expect("a peer that reads");
        let limit = Duration::from_secs(5);
        let interim = timeout(
            limit,
            read_until(&mut stream, |text| text.ends_with("\r\n\r\n")),
        );
        let interim = interim.await.expect("100 without a stall");
        assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
        stream.write_all(b"hello").await.expect("a peer that reads");
        // The final head may have come right behind the interim one.
        let rest = read_until(&mut stream, |text| text.ends_with("hello")).await;
        let answer = interim + &rest;
        assert!(
            answer.contains("HTTP/1.1 200 ") && answer.ends_with("hello"),
            "{answer}"
        );
    });
}

#[test]
fn http_1_0_and_connection_close_end_the_connection() {
    isolated(async || {
        for request in [
            "GET / HTTP/1.0\r\nhost: web\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n",
        ] {
            let world = World::new(Side::Meshed, Side::Meshed).await;
            let _app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
            let mut stream = world
                .client
                .connect(world.target)
                .await
                .expect("a connection");
            stream
                .write_all(request.as_bytes())
                .await
                .expect("a peer that reads");
            let answer = read_until(&mut stream, |_| false).await;
            assert!(answer.starts_with("HTTP/1."), "{request:?}: {answer}");
            assert!(
                answer.contains(" 200 ") && answer.ends_with("server"),
                "{request:?}: {answer}"
            );
        }
    });
}

#[test]
fn the_form_of_the_target_is_kept() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
        for (target, expected) in [
            (
                "/a//b/../c?x=%2F;y#".trim_end_matches('#'),
                "/a//b/../c?x=%2F;y",
            ),
            ("http://web/absolute?q", "http://web/absolute?q"),
            ("*", "*"),
        ] {
            let method = if target == "*" { "OPTIONS" } else { "GET" };
            let mut stream = world
                .client
                .connect(world.target)
                .await
                .expect("a connection");
            let request =
                format!("{method} {target} HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n");
            stream
                .write_all(request.as_bytes())
                .await
                .expect("a peer that reads");
            let answer = read_until(&mut stream, |_| false).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
            assert_eq!(app.last().uri.to_string(), expected);
        }
    });
}

#[test]
fn large_headers_and_many_headers_pass() {
    isolated(async || {
        for version in [Version::Http1, Version::Http2] {
            let world = World::new(Side::Meshed, Side::Meshed).await;
            let app = HttpApp::start(&world.server, APP_PORT, version);
            let mut http = http_client(&world.client, world.target, version, "web").await;
            let mut request = Request::get("/").header("cookie", "c".repeat(8_000));
            for number in 0..50 {
                request = request.header(format!("x-header-{number}"), number.to_string());
            }
            let request = request.header("x-twice", "1").header("x-twice", "2");
            let response = http.send(request.body(empty()).expect("a request")).await;
            assert_eq!(
                response.expect("a response").status.as_u16(),
                200,
                "{version:?}"
            );
            let seen = app.last();
            assert_eq!(seen.header("cookie").len(), 8_000);
            assert_eq!(seen.header("x-header-49"), "49");
            assert_eq!(seen.headers.get_all("x-twice").iter().count(), 2);
        }
    });
}

#[test]
fn many_streams_share_few_connections() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
        // Thirty connections of the application, each with requests of its own.
        let clients = (0..30).map(|number| {
            let world = &world;
            async move {
                let mut http =
                    http_client(&world.client, world.target, Version::Http1, "web").await;
                for round in 0..20 {
                    let body = format!("{number} {round}");
                    let response = http.post("/echo", body.clone()).await.expect("an echo");
                    assert_eq!(response.text(), body);
                }
                http
            }
        });
        let kept = soon("six hundred requests", join_all(clients)).await;
        // While a client is silent the server may be asked whether it speaks first; what was opened
        // for that is closed when it is not needed.
        let labels = [("direction", "outbound"), ("peer", "dst"), ("tls", "true")];
        let proxy = world.client.proxy().expect("a meshed client");
        let few = |metrics: &crate::support::metrics::Metrics| {
            let open = metrics.sum("tcp_open_connections", &labels);
            (0.5..2.5).contains(&open).then_some(())
        };
        proxy
            .eventually_metrics("one or two connections between the proxies", few)
            .await;
        drop(kept);
    });
}

#[test]
fn a_response_can_begin_before_its_request_ends() {
    isolated(async || {
        for (client, server) in PAIRS {
            let world = World::new(client, server).await;
            let _app = HttpApp::start(&world.server, APP_PORT, Version::Http2);
            let mut http = http_client(&world.client, world.target, Version::Http2, "web").await;
            let (sender, frames) = mpsc::channel::<Result<_, std::convert::Infallible>>(1);
            let body = StreamBody::new(ReceiverStream::new(frames)).boxed_unsync();
            let request = Request::post("/echo").body(body).expect("a request");
            let response = soon("headers before the body ends", http.start(request)).await;
            let mut body = response.expect("a response").into_body();
            for word in ["one", "two", "three"] {
                let data = Frame::data(Bytes::from(word));
                sender.send(Ok(data)).await.expect("an open stream");
                let frame = soon("an echo", body.frame())
                    .await
                    .expect("a frame")
                    .expect("data");
                assert_eq!(frame.into_data().expect("data"), word);
            }
            drop(sender);
            let end = soon("the end", body.frame()).await;
            assert!(
                end.is_none_or(
                    |frame| frame.is_ok_and(|f| f.data_ref().is_none_or(Bytes::is_empty))
                )
            );
        }
    });
}

#[test]
fn an_abandoned_request_ends_at_the_application_too() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
        for _ in 0..20 {
            let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
            let abandoned = timeout(Duration::from_millis(20), http.get("/slow/60000")).await;
            assert!(abandoned.is_err());
        }
        let proxy = world.server.proxy().expect("a meshed server");
        let labels = [("direction", "inbound"), ("peer", "dst")];
        proxy
            .eventually_metrics("no connection to the application is left", |metrics| {
                (metrics.sum("tcp_open_connections", &labels) < 0.5).then_some(())
            })
            .await;
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        assert_eq!(
            http.get("/").await.expect("a response").status.as_u16(),
            200
        );
    });
}

#[test]
fn an_application_can_demand_an_identity() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
        let mut status = Vec::new();
        for demanded in [identity_of("server"), identity_of("another")] {
            let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
            let request = Request::get("/")
                .header("l5d-require-id", demanded)
                .body(full(""));
            let response = http
                .send(request.expect("a request"))
                .await
                .expect("a response");
            status.push(response.status.as_u16());
        }
        assert_eq!(status, [200, 502]);
        assert_eq!(app.seen().len(), 1);
        assert_eq!(app.last().header("l5d-require-id"), "");
    });
}

#[test]
fn errors_of_the_proxy_are_marked_and_those_of_the_application_are_not() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let app = HttpApp::start(&world.server, APP_PORT, Version::Http1);
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        let response = http.get("/status/503").await.expect("a response");
        assert_eq!(
            (response.status.as_u16(), response.header("l5d-proxy-error")),
            (503, "")
        );
        app.stop().await;
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        let response = http.get("/").await.expect("a response");
        assert!(
            [502, 503, 504].contains(&response.status.as_u16()),
            "{response:?}"
        );
        assert_ne!(response.header("l5d-proxy-error"), "", "{response:?}");
    });
}
