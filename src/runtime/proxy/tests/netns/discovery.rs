//! Endpoints that come and go, and a control plane that does.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;

use crate::support::{
    app::HttpApp,
    client::HttpClient,
    control::Component,
    eventually::eventually,
    isolated::isolated,
    mesh::{Mesh, MeshedPod, http_client},
    network::Pod,
    serve::Version,
    world::{AnyPod, Side, World},
};

/// Meshed servers with their applications.
async fn servers(mesh: &Mesh, count: usize) -> Vec<(MeshedPod, HttpApp)> {
    let mut servers = Vec::new();
    for number in 0..count {
        let pod = mesh.meshed(&format!("server{number}")).await;
        let app = HttpApp::start(&pod, 8080, Version::Http1);
        servers.push((pod, app));
    }
    servers
}

/// How often each server answered a number of requests on one connection.
async fn answers(http: &mut HttpClient, requests: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..requests {
        let response = http.get("/").await.expect("a response");
        assert_eq!(response.status.as_u16(), 200, "{response:?}");
        *answers.entry(response.text()).or_default() += 1;
    }
    answers
}

#[test]
fn requests_spread_over_the_endpoints() {
    isolated(async || {
        let mesh = Mesh::start();
        let client = mesh.meshed("client").await;
        let servers = servers(&mesh, 3).await;
        let web = mesh.service(
            "web",
            servers.iter().map(|(pod, _)| pod.endpoint(8080)).collect(),
        );
        let clients = (0..12).map(async |_| {
            let mut http = http_client(&client, web, Version::Http1, "web").await;
            let mut answers: BTreeMap<String, usize> = BTreeMap::new();
            for _ in 0..25 {
                let server = http.get("/slow/5").await.expect("a response").text();
                *answers.entry(server).or_default() += 1;
            }
            answers
        });
        let mut total: BTreeMap<String, usize> = BTreeMap::new();
        for (server, count) in join_all(clients).await.into_iter().flatten() {
            *total.entry(server).or_default() += count;
        }
        assert_eq!(total.len(), 3, "{total:?}");
        assert!(total.values().all(|count| *count >= 30), "{total:?}");
    });
}

#[test]
fn endpoints_come_and_go_without_an_error() {
    isolated(async || {
        let mesh = Mesh::start();
        let client = mesh.meshed("client").await;
        let servers = servers(&mesh, 2).await;
        let endpoints: Vec<_> = servers.iter().map(|(pod, _)| pod.endpoint(8080)).collect();
        let web = mesh.service("web", endpoints[..1].to_vec());
        let mut http = http_client(&client, web, Version::Http1, "web").await;
        for (number, set) in [
            &endpoints[..1],
            &endpoints[1..],
            &endpoints[..1],
            &endpoints[1..],
        ]
        .into_iter()
        .enumerate()
        {
            mesh.service("web", set.to_vec());
            let expected = format!("server{}", number % 2);
            eventually(&format!("only {expected} answers"), async || {
                let answers = answers(&mut http, 10).await;
                if answers.keys().eq([&expected]) {
                    Ok(())
                } else {
                    Err(answers)
                }
            })
            .await;
        }
        mesh.service("web", endpoints);
        eventually("both answer", async || {
            let answers = answers(&mut http, 40).await;
            if answers.len() == 2 {
                Ok(())
            } else {
                Err(answers)
            }
        })
        .await;
    });
}

#[test]
fn a_service_without_endpoints_fails_soon_and_recovers() {
    isolated(async || {
        let mesh = Mesh::start();
        let (client, server) = (mesh.meshed("client").await, mesh.meshed("server").await);
        let _app = HttpApp::start(&server, 8080, Version::Http1);
        let web = mesh.service("web", Vec::new());
        let mut http = http_client(&client, web, Version::Http1, "web").await;
        let response = tokio::time::timeout(Duration::from_secs(8), http.get("/")).await;
        let response = response.expect("an answer in time").expect("a response");
        assert!(
            [502, 503, 504].contains(&response.status.as_u16()),
            "{response:?}"
        );
        assert_ne!(response.header("l5d-proxy-error"), "", "{response:?}");
        mesh.service("web", vec![server.endpoint(8080)]);
        eventually("the endpoint is used", async || {
            let mut http = http_client(&client, web, Version::Http1, "web").await;
            match http.get("/").await {
                Ok(response) if response.status.as_u16() == 200 => Ok(()),
                other => Err(other),
            }
        })
        .await;
    });
}

#[test]
fn traffic_goes_on_while_destination_is_gone() {
    isolated(async || {
        let mut mesh = Mesh::start();
        let client = mesh.meshed("client").await;
        let servers = servers(&mesh, 2).await;
        let web = mesh.service("web", vec![servers[0].0.endpoint(8080)]);
        let mut http = http_client(&client, web, Version::Http1, "web").await;
        assert_eq!(answers(&mut http, 3).await.len(), 1);
        mesh.control.stop(Component::Destination).await;
        // Changed while nobody can be told.
        mesh.service("web", vec![servers[1].0.endpoint(8080)]);
        for _ in 0..5 {
            assert!(answers(&mut http, 5).await.keys().eq(["server0"]));
            let mut new = http_client(&client, web, Version::Http1, "web").await;
            assert!(answers(&mut new, 5).await.keys().eq(["server0"]));
        }
        mesh.control.restart(Component::Destination);
        eventually("what changed meanwhile is known", async || {
            let answers = answers(&mut http, 5).await;
            if answers.keys().eq(["server1"]) {
                Ok(())
            } else {
                Err(answers)
            }
        })
        .await;
    });
}

#[test]
fn without_destination_from_the_start_connections_go_where_they_are_headed() {
    isolated(async || {
        let mut mesh = Mesh::start();
        mesh.control.stop(Component::Destination).await;
        let (client, plain) = (mesh.meshed("client").await, Pod::new("plain"));
        let _app = HttpApp::start(&plain, 8080, Version::Http1);
        let mut http = http_client(&client, plain.addr(8080), Version::Http1, "plain").await;
        assert!(answers(&mut http, 5).await.keys().eq(["plain"]));
    });
}

/// What the load of a test saw.
#[derive(Default)]
struct Load {
    ok: AtomicUsize,
    failed: AtomicUsize,
    stop: AtomicBool,
}

/// Sends requests on one connection, one after the other; connects again when it breaks.
async fn send_until_stopped(client: &Pod, web: SocketAddr, load: &Load) {
    'connection: while !load.stop.load(Ordering::Relaxed) {
        let mut http = http_client(client, web, Version::Http1, "web").await;
        while !load.stop.load(Ordering::Relaxed) {
            match http.get("/slow/2").await {
                Ok(response) if response.status.as_u16() == 200 => {
                    load.ok.fetch_add(1, Ordering::Relaxed);
                }
                other => {
                    let failed = load.failed.fetch_add(1, Ordering::Relaxed);
                    eprintln!("failure {failed}: {other:?}");
                    continue 'connection;
                }
            }
        }
    }
}

#[test]
fn a_killed_endpoint_costs_at_most_the_requests_in_flight() {
    isolated(async || {
        const CONNECTIONS: usize = 8;
        let mesh = Mesh::start();
        let client = Arc::new(mesh.meshed("client").await);
        let mut servers = servers(&mesh, 3).await;
        let endpoints: Vec<_> = servers.iter().map(|(pod, _)| pod.endpoint(8080)).collect();
        let web = mesh.service("web", endpoints.clone());
        let load: Arc<Load> = Arc::default();
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (client, load) = (Arc::clone(&client), Arc::clone(&load));
                tokio::spawn(async move { send_until_stopped(&client, web, &load).await })
            })
            .collect();
        let reaches = async |more: usize| {
            let goal = load.ok.load(Ordering::Relaxed) + more;
            eventually("load goes on", async || {
                let now = load.ok.load(Ordering::Relaxed);
                if now >= goal { Ok(()) } else { Err(now) }
            })
            .await;
        };
        reaches(200).await;
        // The whole pod is killed; the control plane learns of it only later.
        drop(servers.remove(1));
        reaches(400).await;
        mesh.service("web", vec![endpoints[0].clone(), endpoints[2].clone()]);
        reaches(200).await;
        load.stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("a client that ends");
        }
        let failed = load.failed.load(Ordering::Relaxed);
        assert!(failed <= CONNECTIONS, "{failed} requests failed");
    });
}

#[test]
fn a_pods_own_address_leads_to_mutual_tls_too() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let app = HttpApp::start(&world.server, 8080, Version::Http1);
        let mut requests = 0.0;
        for target in [world.server.addr(8080), world.server.addr6(8080)] {
            let host = target.to_string();
            let mut http = http_client(&world.client, target, Version::Http1, &host).await;
            assert_eq!(
                answers(&mut http, 3)
                    .await
                    .keys()
                    .next()
                    .map(String::as_str),
                Some("server")
            );
            assert_eq!(
                app.last().header("l5d-client-id"),
                world.client.identity(),
                "{target}"
            );
            requests += 3.0;
            let AnyPod::Meshed(server) = &world.server else {
                panic!("a meshed server")
            };
            let labels = [("direction", "inbound"), ("tls", "true")];
            server
                .proxy
                .eventually_metrics("requests over TLS", |metrics| {
                    (metrics.sum("request_total", &labels) >= requests).then_some(())
                })
                .await;
        }
    });
}
