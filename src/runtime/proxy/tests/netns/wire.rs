//! What can be read on the wire between two pods.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    app::{HttpApp, tcp_echo},
    capture::{Capture, count_containing},
    isolated::isolated,
    mesh::http_client,
    serve::Version,
    world::{APP_PORT, Side, World},
};

const SECRET: &str = "correct-horse-battery-staple-0123456789";

/// How many packets between the pods show the secret, of HTTP that carries it in its path, in a
/// header and in its body.
async fn packets_with_secret(server: Side, version: Version) -> usize {
    let world = World::new(Side::Meshed, server).await;
    let _app = HttpApp::start(&world.server, APP_PORT, version);
    let capture = Capture::start();
    let mut http = http_client(&world.client, world.target, version, "web").await;
    let response = http.post("/echo", SECRET).await.expect("an echo");
    assert_eq!(response.text(), SECRET);
    let path = format!("/{SECRET}");
    assert_eq!(
        http.get(&path).await.expect("a response").status.as_u16(),
        200
    );
    let packets = capture.stop();
    assert!(
        packets.len() > 10,
        "the capture saw {} packets",
        packets.len()
    );
    count_containing(&packets, SECRET.as_bytes())
}

#[test]
fn http_between_meshed_pods_cannot_be_read() {
    isolated(async || {
        assert_eq!(packets_with_secret(Side::Meshed, Version::Http1).await, 0);
        assert_eq!(packets_with_secret(Side::Meshed, Version::Http2).await, 0);
        // The same capture does find it where there is no proxy to decrypt it.
        assert!(packets_with_secret(Side::Plain, Version::Http1).await >= 3);
    });
}

#[test]
fn tcp_between_meshed_pods_cannot_be_read() {
    isolated(async || {
        for (server, opaque, readable) in [
            (Side::Meshed, false, false),
            (Side::Meshed, true, false),
            (Side::Plain, false, true),
        ] {
            let world = match opaque {
                true => World::opaque(Side::Meshed, server).await,
                false => World::new(Side::Meshed, server).await,
            };
            let _app = tcp_echo(&world.server, APP_PORT);
            let capture = Capture::start();
            let mut stream = world
                .client
                .connect(world.target)
                .await
                .expect("a connection");
            let secret = format!("\0{SECRET}");
            stream
                .write_all(secret.as_bytes())
                .await
                .expect("a peer that reads");
            let mut back = vec![0; secret.len()];
            stream.read_exact(&mut back).await.expect("an echo");
            assert_eq!(back, secret.as_bytes());
            let packets = capture.stop();
            assert!(
                packets.len() > 5,
                "the capture saw {} packets",
                packets.len()
            );
            let found = count_containing(&packets, SECRET.as_bytes());
            assert_eq!(
                found > 0,
                readable,
                "{server:?}, opaque: {opaque}: {found} packets"
            );
        }
    });
}
