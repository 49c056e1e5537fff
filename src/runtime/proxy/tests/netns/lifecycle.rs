//! Start, configuration, admin server, metrics, and the end.

use std::time::Duration;

use crate::support::{
    app::HttpApp,
    eventually::eventually,
    isolated::isolated,
    mesh::{Mesh, http_client},
    network::Pod,
    proxy::{Proxy, environment},
    serve::Version,
    world::{AnyPod, Side, World},
};

#[test]
fn bad_configuration_is_told_whole_and_exits_64() {
    isolated(async || {
        let mesh = Mesh::start();
        let pod = Pod::new("pod");
        let mut variables = environment(&pod, &mesh.control);
        variables.retain(|(name, _)| name != "LINKERD2_PROXY_POLICY_WORKLOAD");
        for (name, value) in [
            ("INBOUND_LISTEN_ADDR", "nowhere"),
            ("SHUTDOWN_GRACE_PERIOD", "soon"),
        ] {
            variables.retain(|(known, _)| !known.ends_with(name));
            variables.push((format!("LINKERD2_PROXY_{name}"), value.to_owned()));
        }
        let mut proxy = Proxy::spawn(&pod, &variables);
        assert_eq!(proxy.exit_code().await, 64, "{}", proxy.log());
        let told = [
            "INBOUND_LISTEN_ADDR",
            "SHUTDOWN_GRACE_PERIOD",
            "POLICY_WORKLOAD",
        ];
        eventually("every mistake in the log", async || {
            let log = proxy.log();
            let all = told
                .iter()
                .all(|name| log.contains(&format!("MESH_PROXY_CONFIG: LINKERD2_PROXY_{name}")));
            if all { Ok(()) } else { Err(log) }
        })
        .await;
    });
}

#[test]
fn a_taken_port_ends_the_start_with_its_name() {
    isolated(async || {
        let mesh = Mesh::start();
        let pod = Pod::new("pod");
        let _taken = pod.listen(4143);
        let mut proxy = Proxy::spawn(&pod, &environment(&pod, &mesh.control));
        assert_eq!(proxy.exit_code().await, 1, "{}", proxy.log());
        eventually("the port in the log", async || {
            let log = proxy.log();
            if log.contains("4143") {
                Ok(())
            } else {
                Err(log)
            }
        })
        .await;
    });
}

#[test]
fn the_admin_server_answers_as_kubernetes_and_prometheus_ask() {
    isolated(async || {
        let mesh = Mesh::start();
        let pod = mesh.meshed("pod").await;
        for (path, status) in [
            ("/ready", 200),
            ("/live", 200),
            ("/metrics", 200),
            ("/nothing", 404),
        ] {
            let answer = pod.proxy.admin_get(path).await.expect("an answer");
            assert_eq!(answer.0, status, "{path}: {answer:?}");
        }
    });
}

/// Names that dashboards, alerts and `viz` ask for.
const METRICS: &[&str] = &[
    "request_total",
    "response_total",
    "response_latency_ms_bucket",
    "response_latency_ms_count",
    "response_latency_ms_sum",
    "tcp_open_total",
    "tcp_open_connections",
    "tcp_close_total",
    "tcp_read_bytes_total",
    "tcp_write_bytes_total",
    "identity_cert_expiration_timestamp_seconds",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "proxy_build_info",
];

#[test]
fn metrics_have_linkerds_names_and_labels() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, 8080, Version::Http1);
        let authority = "web.default.svc.cluster.local";
        let mut http = http_client(&world.client, world.target, Version::Http1, authority).await;
        assert_eq!(
            http.get("/").await.expect("a response").status.as_u16(),
            200
        );
        drop(http);
        for pod in [&world.client, &world.server] {
            let AnyPod::Meshed(meshed) = pod else {
                panic!("a meshed pod")
            };
            let complete = |metrics: &crate::support::metrics::Metrics| {
                METRICS
                    .iter()
                    .all(|name| metrics.names().contains(name))
                    .then(|| metrics.clone())
            };
            let metrics = meshed
                .proxy
                .eventually_metrics("every name", complete)
                .await;
            let buckets = metrics.find("response_latency_ms_bucket", &[]);
            assert!(
                buckets
                    .iter()
                    .any(|bucket| bucket.label("le") == Some("+Inf"))
            );
        }
        let outbound = world.client.metrics().await;
        let labels = [
            ("direction", "outbound"),
            ("authority", "web.default.svc.cluster.local:80"),
            ("dst_service", "web"),
            ("dst_namespace", "default"),
            ("dst_pod", "server"),
            ("tls", "true"),
        ];
        assert!(outbound.sum("request_total", &labels) > 0.5, "{outbound:?}");
        let inbound = world.server.metrics().await;
        let target = world.server.addr(8080).to_string();
        let labels = [
            ("direction", "inbound"),
            ("tls", "true"),
            ("target_addr", target.as_str()),
            ("srv_kind", "server"),
            ("srv_name", "test-server"),
            ("authz_name", "all-unauthenticated"),
        ];
        assert!(inbound.sum("request_total", &labels) > 0.5, "{inbound:?}");
    });
}

#[test]
fn sigterm_lets_requests_finish_and_then_ends() {
    isolated(async || {
        let mut world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, 8080, Version::Http1);
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        let (client, server) = (&mut world.client, &mut world.server);
        let (AnyPod::Meshed(client), AnyPod::Meshed(server)) = (client, server) else {
            panic!("two meshed pods")
        };
        let slow = tokio::spawn(async move { http.get("/slow/1500").await });
        let in_flight = |metrics: &crate::support::metrics::Metrics| {
            (metrics.sum("request_total", &[("direction", "inbound")]) > 0.5).then_some(())
        };
        server
            .proxy
            .eventually_metrics("the request is in flight", in_flight)
            .await;
        for proxy in [&server.proxy, &client.proxy] {
            proxy.signal(libc::SIGTERM);
        }
        // Peers must go elsewhere; the application may still need connections to end well.
        let plain = Pod::new("plain");
        let inbound = server.addr(8080);
        eventually("new connections are refused", async || {
            match plain.connect(inbound).await {
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
                other => Err(other),
            }
        })
        .await;
        let response = slow.await.expect("no panic").expect("a response");
        assert_eq!(
            (response.status.as_u16(), response.text().as_str()),
            (200, "server")
        );
        assert_eq!(client.proxy.exit_code().await, 0);
        assert_eq!(server.proxy.exit_code().await, 0);
    });
}

#[test]
fn the_grace_period_bounds_the_drain() {
    isolated(async || {
        let mesh = Mesh::start();
        let mut server = mesh
            .meshed_with("server", &[("SHUTDOWN_GRACE_PERIOD", "300ms")])
            .await;
        let _app = HttpApp::start(&server, 8080, Version::Http1);
        let plain = Pod::new("plain");
        let mut http = http_client(&plain, server.addr(8080), Version::Http1, "web").await;
        let slow = tokio::spawn(async move { http.get("/slow/50000").await });
        let in_flight = |metrics: &crate::support::metrics::Metrics| {
            (metrics.sum("request_total", &[("direction", "inbound")]) > 0.5).then_some(())
        };
        server
            .proxy
            .eventually_metrics("the request is in flight", in_flight)
            .await;
        server.proxy.signal(libc::SIGTERM);
        let limit = Duration::from_secs(5);
        tokio::time::timeout(limit, server.proxy.exit_code())
            .await
            .expect("an end in time");
        let outcome = slow.await.expect("no panic");
        assert!(
            !matches!(&outcome, Ok(r) if r.status.as_u16() == 200),
            "{outcome:?}"
        );
    });
}

#[test]
fn idle_connections_end_at_once_on_sigterm() {
    isolated(async || {
        let mut world = World::new(Side::Meshed, Side::Meshed).await;
        let _app = HttpApp::start(&world.server, 8080, Version::Http1);
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        assert_eq!(
            http.get("/").await.expect("a response").status.as_u16(),
            200
        );
        for pod in [&mut world.client, &mut world.server] {
            let AnyPod::Meshed(meshed) = pod else {
                panic!("a meshed pod")
            };
            meshed.proxy.signal(libc::SIGTERM);
            let limit = Duration::from_secs(5);
            let code = tokio::time::timeout(limit, meshed.proxy.exit_code()).await;
            assert_eq!(code.expect("an end in time"), 0);
        }
    });
}
