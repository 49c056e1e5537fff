//! Outbound policy: routes, weights, filters, timeouts, retries, circuit breaking.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

use crate::support::{
    app::HttpApp,
    client::full,
    eventually::eventually,
    isolated::isolated,
    mesh::{Mesh, MeshedPod, http_client},
    pb::{
        destination::WeightedAddr,
        http_route::{self, path_match},
        http_types, meta,
        outbound::{self, http_route as route, proxy_protocol},
    },
    scenario::wire_duration,
    serve::{Task, Version, serve_http},
};

type Rule = route::Rule;

fn resource(kind: &str, name: &str) -> Option<meta::Metadata> {
    Some(meta::Metadata {
        kind: Some(meta::metadata::Kind::Resource(meta::Resource {
            group: "core".to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: "default".to_owned(),
            port: 80,
            ..Default::default()
        })),
    })
}

/// The endpoints of a service that the fake control plane knows.
fn backend(service: &str) -> route::RouteBackend {
    let path = format!("{service}.default.svc.cluster.local:80");
    let discovery = outbound::endpoint_discovery::DestinationGet { path };
    let balancer = outbound::BalanceP2c {
        discovery: Some(outbound::EndpointDiscovery {
            kind: Some(outbound::endpoint_discovery::Kind::Dst(discovery)),
        }),
        load: None,
    };
    route::RouteBackend {
        backend: Some(outbound::Backend {
            metadata: resource("Service", service),
            kind: Some(outbound::backend::Kind::Balancer(balancer)),
            queue: Some(outbound::Queue {
                capacity: 100,
                failfast_timeout: Some(wire_duration(Duration::from_secs(3))),
            }),
        }),
        ..Default::default()
    }
}

fn to(service: &str) -> Rule {
    let backends = vec![backend(service)];
    let kind =
        route::distribution::Kind::FirstAvailable(route::distribution::FirstAvailable { backends });
    Rule {
        backends: Some(route::Distribution { kind: Some(kind) }),
        ..Rule::default()
    }
}

fn weighted(weights: &[(&str, u32)]) -> Rule {
    let backends = weights
        .iter()
        .map(|(service, weight)| route::WeightedRouteBackend {
            backend: Some(backend(service)),
            weight: *weight,
        })
        .collect();
    let kind = route::distribution::Kind::RandomAvailable(route::distribution::RandomAvailable {
        backends,
    });
    Rule {
        backends: Some(route::Distribution { kind: Some(kind) }),
        ..Rule::default()
    }
}

fn prefix(path: &str) -> Vec<http_route::HttpRouteMatch> {
    vec![http_route::HttpRouteMatch {
        path: Some(http_route::PathMatch {
            kind: Some(path_match::Kind::Prefix(path.to_owned())),
        }),
        ..Default::default()
    }]
}

fn filter(kind: route::filter::Kind) -> Vec<route::Filter> {
    vec![route::Filter { kind: Some(kind) }]
}

fn headers(name: &str, value: &str) -> Option<http_types::Headers> {
    let header = http_types::headers::Header {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
    };
    Some(http_types::Headers {
        headers: vec![header],
    })
}

fn policy(
    rules: Vec<Rule>,
    failure_accrual: Option<outbound::FailureAccrual>,
) -> outbound::OutboundPolicy {
    let routes = vec![outbound::HttpRoute {
        metadata: resource("HTTPRoute", "test-route"),
        rules,
        ..Default::default()
    }];
    let http1 = proxy_protocol::Http1 {
        routes: routes.clone(),
        failure_accrual,
    };
    let http2 = proxy_protocol::Http2 {
        routes,
        failure_accrual,
    };
    let detect = proxy_protocol::Detect {
        timeout: Some(wire_duration(Duration::from_secs(10))),
        opaque: Some(proxy_protocol::Opaque::default()),
        http1: Some(http1),
        http2: Some(http2),
    };
    outbound::OutboundPolicy {
        metadata: resource("Service", "web"),
        protocol: Some(outbound::ProxyProtocol {
            kind: Some(proxy_protocol::Kind::Detect(detect)),
        }),
    }
}

/// A client and two services with a pod each.
struct Shop {
    mesh: Mesh,
    client: MeshedPod,
    target: SocketAddr,
    red: MeshedPod,
    _blue: MeshedPod,
    _apps: Vec<HttpApp>,
}

impl Shop {
    async fn new(rules: Vec<Rule>) -> Self {
        let mesh = Mesh::start();
        let client = mesh.meshed("client").await;
        let (red, blue) = (mesh.meshed("red").await, mesh.meshed("blue").await);
        let apps = [&red, &blue].map(|pod| HttpApp::start(pod, 8080, Version::Http1));
        mesh.service("red", vec![red.endpoint(8080)]);
        mesh.service("blue", vec![blue.endpoint(8080)]);
        let target = mesh.service("web", vec![]);
        mesh.control.update(|state| {
            state.outbound.insert(target, policy(rules, None));
        });
        Self {
            mesh,
            client,
            target,
            red,
            _blue: blue,
            _apps: apps.into(),
        }
    }

    async fn get(&self, path: &str) -> crate::support::client::Response {
        let mut http = http_client(&self.client, self.target, Version::Http1, "web").await;
        http.get(path).await.expect("a response")
    }
}

#[test]
fn the_path_decides_the_backend() {
    isolated(async || {
        let blue = Rule {
            matches: prefix("/blue"),
            ..to("blue")
        };
        let shop = Shop::new(vec![to("red"), blue]).await;
        assert_eq!(shop.get("/").await.text(), "red");
        assert_eq!(shop.get("/blue/sky").await.text(), "blue");
        assert_eq!(shop.get("/blueish").await.text(), "red");
        let labels = [
            ("parent_name", "web"),
            ("route_name", "test-route"),
            ("route_kind", "HTTPRoute"),
            ("backend_name", "blue"),
        ];
        let metrics = shop.client.proxy.metrics().await;
        let name = "outbound_http_route_backend_requests_total";
        assert!(
            (metrics.sum(name, &labels) - 1.0).abs() < 0.1,
            "{metrics:?}"
        );
        let name = "outbound_http_route_request_statuses_total";
        let ok = [("http_status", "200"), ("route_name", "test-route")];
        assert!((metrics.sum(name, &ok) - 3.0).abs() < 0.1, "{metrics:?}");
    });
}

#[test]
fn weights_split_the_traffic_and_follow_changes() {
    isolated(async || {
        let shop = Shop::new(vec![weighted(&[("red", 3), ("blue", 1)])]).await;
        let mut http = http_client(&shop.client, shop.target, Version::Http1, "web").await;
        let mut answers = BTreeMap::<String, usize>::new();
        for _ in 0..400 {
            let answer = http.get("/").await.expect("a response").text();
            *answers.entry(answer).or_default() += 1;
        }
        let blue = answers["blue"];
        assert!((60..140).contains(&blue), "{answers:?}");
        let changed = policy(vec![weighted(&[("red", 0), ("blue", 1)])], None);
        shop.mesh
            .control
            .update(|state| state.outbound.insert(shop.target, changed).map_or((), drop));
        eventually("only blue", async || {
            for _ in 0..20 {
                let answer = http.get("/").await.expect("a response").text();
                if answer != "blue" {
                    return Err(answer);
                }
            }
            Ok(())
        })
        .await;
    });
}

#[test]
fn filters_change_redirect_and_fail() {
    isolated(async || {
        let modify = Rule {
            matches: prefix("/modify"),
            filters: [
                filter(route::filter::Kind::RequestHeaderModifier(
                    http_route::RequestHeaderModifier {
                        set: headers("x-asked", "by-policy"),
                        ..Default::default()
                    },
                )),
                filter(route::filter::Kind::ResponseHeaderModifier(
                    http_route::ResponseHeaderModifier {
                        set: headers("x-told", "by-policy"),
                        remove: vec!["x-app".to_owned()],
                        ..Default::default()
                    },
                )),
            ]
            .concat(),
            ..to("red")
        };
        let redirect = Rule {
            matches: prefix("/old"),
            filters: filter(route::filter::Kind::Redirect(http_route::RequestRedirect {
                path: Some(http_route::PathModifier {
                    replace: Some(http_route::path_modifier::Replace::Prefix(
                        "/new".to_owned(),
                    )),
                }),
                status: 301,
                ..Default::default()
            })),
            ..to("red")
        };
        let fail = Rule {
            matches: prefix("/fail"),
            filters: filter(route::filter::Kind::FailureInjector(
                http_route::HttpFailureInjector {
                    status: 418,
                    message: "short and stout".to_owned(),
                    ratio: None,
                },
            )),
            ..to("red")
        };
        let unknown = Rule {
            matches: prefix("/unknown"),
            filters: vec![route::Filter { kind: None }],
            ..to("red")
        };
        let shop = Shop::new(vec![modify, redirect, fail, unknown]).await;
        let response = shop.get("/modify").await;
        assert_eq!(
            (response.header("x-told"), response.header("x-app")),
            ("by-policy", "")
        );
        let response = shop.get("/old/page?q").await;
        assert_eq!(response.status.as_u16(), 301);
        assert_eq!(response.header("location"), "http://web/new/page?q");
        let response = shop.get("/fail").await;
        assert_eq!(
            (response.status.as_u16(), response.text().as_str()),
            (418, "short and stout")
        );
        assert_eq!(shop.get("/unknown").await.status.as_u16(), 500);
        let response = shop.get("/elsewhere").await;
        assert_eq!(response.status.as_u16(), 404);
        assert!(
            response
                .header("l5d-proxy-error")
                .starts_with("MESH_PROXY_NO_ROUTE")
        );
    });
}

#[test]
fn timeouts_end_what_takes_too_long() {
    isolated(async || {
        let timeouts = |timeouts| Rule {
            timeouts: Some(timeouts),
            ..to("red")
        };
        let short = Some(wire_duration(Duration::from_millis(200)));
        let request = Rule {
            matches: prefix("/slow"),
            ..timeouts(http_route::Timeouts {
                request: short,
                ..Default::default()
            })
        };
        let response = timeouts(http_route::Timeouts {
            response: short,
            ..Default::default()
        });
        let shop = Shop::new(vec![request, response]).await;
        let started = tokio::time::Instant::now();
        let answer = shop.get("/slow/5000").await;
        assert_eq!(answer.status.as_u16(), 504);
        assert!(
            answer
                .header("l5d-proxy-error")
                .starts_with("MESH_PROXY_REQUEST_TIMEOUT")
        );
        assert!(started.elapsed() < Duration::from_secs(3));
        assert_eq!(shop.get("/slow/1").await.status.as_u16(), 200);
        assert_eq!(shop.get("/").await.status.as_u16(), 200);
        let answer = shop.get("/deaf").await;
        assert!(
            answer
                .header("l5d-proxy-error")
                .starts_with("MESH_PROXY_RESPONSE_TIMEOUT")
        );
    });
}

/// Fails the first so many requests, then echoes.
fn flaky(pod: &MeshedPod, port: u16, failures: usize) -> (Task, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let task = serve_http(pod.listen(port), Version::Http1, move |request, _| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let body = request.into_body().collect().await.map(|b| b.to_bytes());
            let status = if number < failures {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::OK
            };
            let mut response = Response::new(Full::new(body.unwrap_or_default()));
            *response.status_mut() = status;
            response
        }
    });
    (task, count)
}

fn retry(max_retries: u32) -> Option<route::Retry> {
    Some(route::Retry {
        max_retries,
        conditions: Some(route::retry::Conditions {
            status_ranges: vec![route::retry::conditions::StatusRange {
                start: 500,
                end: 599,
            }],
        }),
        ..Default::default()
    })
}

#[test]
fn failed_requests_are_tried_again_with_their_body() {
    isolated(async || {
        let rule = Rule {
            retry: retry(2),
            ..to("flaky")
        };
        let shop = Shop::new(vec![rule]).await;
        let (_task, count) = flaky(&shop.red, 9090, 2);
        shop.mesh.service("flaky", vec![shop.red.endpoint(9090)]);
        let mut http = http_client(&shop.client, shop.target, Version::Http1, "web").await;
        let body = vec![7; 50_000];
        let response = http.post("/", body.clone()).await.expect("a response");
        assert_eq!(response.status.as_u16(), 200);
        assert_eq!(response.body, body);
        assert_eq!(count.load(Ordering::SeqCst), 3);
        let metrics = shop.client.proxy.metrics().await;
        let value = |name| metrics.sum(name, &[("route_name", "test-route")]);
        assert!((value("outbound_http_route_retry_requests_total") - 2.0).abs() < 0.1);
        assert!((value("outbound_http_route_retry_successes_total") - 1.0).abs() < 0.1);
    });
}

#[test]
fn long_bodies_and_hopeless_requests_are_not_tried_for_ever() {
    isolated(async || {
        let rule = Rule {
            retry: retry(3),
            ..to("flaky")
        };
        let shop = Shop::new(vec![rule]).await;
        let (_task, count) = flaky(&shop.red, 9090, usize::MAX);
        shop.mesh.service("flaky", vec![shop.red.endpoint(9090)]);
        let mut http = http_client(&shop.client, shop.target, Version::Http1, "web").await;
        let response = http.get("/").await.expect("a response");
        assert_eq!(response.status.as_u16(), 503);
        assert_eq!(count.swap(0, Ordering::SeqCst), 4);
        let response = http.post("/", vec![7; 200_000]).await.expect("a response");
        assert_eq!(response.status.as_u16(), 503);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_request_may_set_its_own_limits_where_that_is_allowed() {
    isolated(async || {
        let allowed = Rule {
            matches: prefix("/slow"),
            allow_l5d_request_headers: true,
            ..to("red")
        };
        let shop = Shop::new(vec![allowed, to("red")]).await;
        let request = |path: &str| {
            Request::get(path)
                .header("l5d-timeout", "100ms")
                .body(full(""))
                .expect("a request")
        };
        let mut http = http_client(&shop.client, shop.target, Version::Http1, "web").await;
        let response = http.send(request("/slow/3000")).await.expect("a response");
        assert_eq!(response.status.as_u16(), 504);
        let mut http = http_client(&shop.client, shop.target, Version::Http1, "web").await;
        let response = http.send(request("/status/200")).await.expect("a response");
        assert_eq!(response.status.as_u16(), 200);
    });
}

#[test]
fn a_failing_endpoint_is_left_alone_and_comes_back() {
    isolated(async || {
        let shop = Shop::new(vec![to("both")]).await;
        let (_task, count) = flaky(&shop.red, 9090, 4);
        let mut endpoints = vec![shop.red.endpoint(9090)];
        endpoints.push(shop._blue.endpoint(8080));
        shop.mesh.service("both", endpoints);
        let accrual = outbound::FailureAccrual {
            kind: Some(outbound::failure_accrual::Kind::ConsecutiveFailures(
                outbound::failure_accrual::ConsecutiveFailures {
                    max_failures: 3,
                    backoff: Some(outbound::ExponentialBackoff {
                        min_backoff: Some(wire_duration(Duration::from_millis(300))),
                        max_backoff: Some(wire_duration(Duration::from_secs(10))),
                        ..Default::default()
                    }),
                },
            )),
            ejection: None,
        };
        let broken = policy(vec![to("both")], Some(accrual));
        shop.mesh
            .control
            .update(|state| state.outbound.insert(shop.target, broken).map_or((), drop));
        let mut http = http_client(&shop.client, shop.target, Version::Http1, "web").await;
        let mut failures = 0;
        eventually("three failures", async || {
            let status = http.get("/").await.expect("a response").status.as_u16();
            failures += usize::from(status == 503);
            if failures == 3 { Ok(()) } else { Err(failures) }
        })
        .await;
        for _ in 0..100 {
            assert_eq!(
                http.get("/").await.expect("a response").status.as_u16(),
                200
            );
        }
        assert_eq!(count.load(Ordering::SeqCst), 3, "it was not left alone");
        // The first probe is the fourth failure; the second finds it well.
        eventually("it serves again", async || {
            let _ = http.get("/").await.expect("a response");
            let count = count.load(Ordering::SeqCst);
            if count > 5 { Ok(()) } else { Err(count) }
        })
        .await;
    });
}

#[test]
fn an_address_outside_the_mesh_is_forwarded_to() {
    isolated(async || {
        let shop = Shop::new(vec![]).await;
        let plain = crate::support::network::Pod::new("plain");
        let _app = HttpApp::start(&plain, 8080, Version::Http1);
        let to = plain.addr(8080);
        let forward = WeightedAddr {
            addr: Some(crate::support::scenario::tcp_address(to)),
            weight: 1,
            ..Default::default()
        };
        let mut rule = to_forward(forward);
        rule.matches = prefix("/");
        shop.mesh.control.update(|state| {
            state.outbound.insert(to, policy(vec![rule], None));
        });
        let mut http = http_client(&shop.client, to, Version::Http1, "web").await;
        assert_eq!(http.get("/").await.expect("a response").text(), "plain");
    });
}

fn to_forward(forward: WeightedAddr) -> Rule {
    let mut backend = backend("unused");
    if let Some(inner) = &mut backend.backend {
        inner.kind = Some(outbound::backend::Kind::Forward(forward));
    }
    let backends = vec![backend];
    let kind =
        route::distribution::Kind::FirstAvailable(route::distribution::FirstAvailable { backends });
    Rule {
        backends: Some(route::Distribution { kind: Some(kind) }),
        ..Rule::default()
    }
}
