//! Clients and applications that do not read what they are sent.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{MIB, resident_bytes};
use crate::support::{
    app::HttpApp,
    eventually::soon,
    isolated::isolated,
    mesh::http_client,
    serve::Version,
    world::{Side, World},
};

/// Sends a head on many connections and reads nothing of the answers.
async fn deaf_clients(world: &World, count: usize, head: &str) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut stream = world
            .client
            .connect(world.target)
            .await
            .expect("a connection");
        stream
            .write_all(head.as_bytes())
            .await
            .expect("a peer that reads");
        clients.push(stream);
    }
    clients
}

/// Memory of both proxies while something goes on; the largest of it.
async fn peak_resident_bytes(world: &World, during: Duration) -> u64 {
    let deadline = tokio::time::Instant::now() + during;
    let mut peak = 0;
    while tokio::time::Instant::now() < deadline {
        for pod in [&world.client, &world.server] {
            peak = peak.max(resident_bytes(pod.proxy().expect("a proxy").pid()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    peak
}

#[test]
fn clients_that_read_nothing_cost_little_memory() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, 8080, Version::Http1);
        let head = "GET /bytes/100000000 HTTP/1.1\r\nhost: web\r\n\r\n";
        let _deaf = deaf_clients(&world, 40, head).await;
        let peak = peak_resident_bytes(&world, Duration::from_secs(1)).await;
        assert!(
            peak < 96 * MIB,
            "{} MiB for 40 clients that read nothing",
            peak / MIB
        );
    });
}

/// All of them share one HTTP/2 connection between the proxies, and its window.
#[test]
fn clients_that_read_nothing_hold_up_nobody() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, 8080, Version::Http1);
        let head = "GET /bytes/100000000 HTTP/1.1\r\nhost: web\r\n\r\n";
        let _deaf = deaf_clients(&world, 40, head).await;
        let _ = peak_resident_bytes(&world, Duration::from_secs(1)).await;
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        let response = soon("a client that reads", http.get("/"))
            .await
            .expect("a response");
        assert_eq!(response.status.as_u16(), 200);
    });
}

#[test]
fn an_application_that_reads_nothing_holds_its_clients_back() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, 8080, Version::Http1);
        let head = "POST /deaf HTTP/1.1\r\nhost: web\r\ncontent-length: 100000000\r\n\r\n";
        let clients = deaf_clients(&world, 40, head).await;
        let senders: Vec<_> = clients
            .into_iter()
            .map(|mut stream| {
                tokio::spawn(async move {
                    let chunk = [0; 64 * 1024];
                    while stream.write_all(&chunk).await.is_ok() {}
                })
            })
            .collect();
        let peak = peak_resident_bytes(&world, Duration::from_secs(1)).await;
        assert!(
            peak < 96 * MIB,
            "{} MiB for 40 bodies that nobody reads",
            peak / MIB
        );
        assert!(
            senders.iter().all(|sender| !sender.is_finished()),
            "a client was not held back"
        );
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        let response = soon("an honest request", http.get("/"))
            .await
            .expect("a response");
        assert_eq!(response.status.as_u16(), 200);
        senders.iter().for_each(tokio::task::JoinHandle::abort);
    });
}
