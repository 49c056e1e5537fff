//! Peers that do not play by the rules: a proxy may refuse them, never fall over or let them harm
//! others.

mod http2;
mod unread;

use std::{fs, io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    app::{HttpApp, tcp_echo},
    eventually::{eventually, soon},
    isolated::isolated,
    mesh::{Mesh, MeshedPod, http_client},
    network::Pod,
    proxy::Proxy,
    scenario::{allow_identities, opaque},
    serve::Version,
    tls,
    world::{AnyPod, Side, World},
};

/// Resident memory of a process in bytes.
fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("VmRSS");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    kib * 1024
}

const MIB: u64 = 1024 * 1024;

/// A meshed server with an application, and a pod without a proxy that attacks it.
struct Attack {
    mesh: Mesh,
    server: MeshedPod,
    app: HttpApp,
    attacker: Pod,
}

impl Attack {
    async fn new() -> Self {
        let mesh = Mesh::start();
        let server = mesh.meshed("server").await;
        let app = HttpApp::start(&server, 8080, Version::Http1);
        Self {
            mesh,
            server,
            app,
            attacker: Pod::new("attacker"),
        }
    }

    fn target(&self) -> SocketAddr {
        self.server.addr(8080)
    }

    async fn connect(&self) -> TcpStream {
        self.attacker
            .connect(self.target())
            .await
            .expect("a connection")
    }

    /// An honest request is answered, and soon.
    async fn assert_alive(&mut self) {
        assert!(self.server.proxy.exited().is_none(), "the proxy has ended");
        let mut http = http_client(&self.attacker, self.target(), Version::Http1, "web").await;
        let response = soon("an honest request", http.get("/"))
            .await
            .expect("a response");
        assert_eq!(response.status.as_u16(), 200);
        assert_no_panic(&self.server.proxy);
    }
}

fn assert_no_panic(proxy: &Proxy) {
    let log = proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Writes what it can and reads what comes back until the end.
async fn exchange(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = soon("the end of the connection", stream.read_to_end(&mut answer)).await;
    answer
}

/// Bytes without any pattern, the same on every run.
fn garbage(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(next).collect()
}

#[test]
fn garbage_on_every_port_harms_nothing() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let server = &attack.server;
        for seed in 1..40_u64 {
            let len = usize::try_from(seed * seed).expect("a short message");
            for port in [8080, 4143, 4190, 4191] {
                if let Ok(stream) = attack.attacker.connect(server.addr(port)).await {
                    let mut bytes = garbage(seed, len);
                    // Every third begins like TLS, every fifth like HTTP/2.
                    if seed % 3 == 0 {
                        bytes = [&[0x16, 3, 1][..], &bytes].concat();
                    } else if seed % 5 == 0 {
                        bytes = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &bytes].concat();
                    }
                    let mut stream = stream;
                    let _ = stream.write_all(&bytes).await;
                    drop(stream);
                }
            }
            // From inside of the pod, to the outbound listener itself and through it.
            for to in [
                SocketAddr::from(([127, 0, 0, 1], 4140)),
                attack.attacker.addr(9),
            ] {
                if let Ok(mut stream) = server.connect(to).await {
                    let _ = stream.write_all(&garbage(seed, len)).await;
                }
            }
        }
        attack.assert_alive().await;
        assert_eq!(
            attack
                .server
                .proxy
                .admin_get("/ready")
                .await
                .expect("an answer")
                .0,
            200
        );
    });
}

#[test]
fn direct_connections_to_the_proxys_own_ports_do_not_loop() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let request = b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n";
        let stream = attack
            .attacker
            .connect(attack.server.addr(4143))
            .await
            .expect("a connection");
        let answer = exchange(stream, request).await;
        assert!(
            !answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        for own in ["127.0.0.1:4140", "[::1]:4140"] {
            let own = own.parse().expect("an address");
            // Refused at once, or closed: it must only not be served.
            if let Ok(stream) = attack.server.connect(own).await {
                let answer = exchange(stream, request).await;
                assert!(!answer.starts_with(b"HTTP/1.1 200"), "{own}: {answer:?}");
            }
        }
        assert!(attack.app.seen().is_empty());
        attack.assert_alive().await;
        let opened = attack
            .server
            .proxy
            .metrics()
            .await
            .sum("tcp_open_total", &[]);
        assert!(opened < 50.0, "{opened} connections: a loop");
    });
}

#[test]
fn slow_headers_hold_up_nobody_else() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let mut slow = Vec::new();
        for _ in 0..200 {
            let mut stream = attack.connect().await;
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: web\r\nx-")
                .await
                .expect("a peer");
            slow.push(stream);
        }
        attack.assert_alive().await;
        // Nor do unfinished first lines.
        for _ in 0..200 {
            let mut stream = attack.connect().await;
            stream.write_all(b"GE").await.expect("a peer");
            slow.push(stream);
        }
        attack.assert_alive().await;
        let resident = resident_bytes(attack.server.proxy.pid());
        assert!(
            resident < 96 * MIB,
            "{} MiB for 400 slow clients",
            resident / MIB
        );
    });
}

#[test]
fn ambiguous_requests_never_become_two() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let smuggled = "GET /smuggled HTTP/1.1\r\nhost: web\r\n\r\n";
        for head in [
            // Two ways to tell the length, which disagree (RFC 9112 §6.1).
            "transfer-encoding: chunked\r\ncontent-length: 4",
            "content-length: 4\r\ntransfer-encoding: chunked",
            "content-length: 5\r\ncontent-length: 60",
            "content-length: +5",
            "transfer-encoding: chunked, identity\r\ncontent-length: 5",
            "transfer-encoding : chunked\r\ncontent-length: 5",
            "transfer-encoding:\x0bchunked\r\ncontent-length: 5",
        ] {
            let request =
                format!("POST /first HTTP/1.1\r\nhost: web\r\n{head}\r\n\r\n0\r\n\r\n{smuggled}");
            let answer = exchange(attack.connect().await, request.as_bytes()).await;
            let answers = String::from_utf8_lossy(&answer);
            let firsts = attack
                .app
                .seen()
                .iter()
                .filter(|seen| seen.uri.path() == "/first")
                .count();
            let seconds = attack.app.seen().len() - firsts;
            // A second request is fine only if the first was whole in the chunked reading, and then
            // the client is answered twice.
            let twice = answers.matches("HTTP/1.1 200").count();
            assert!(
                seconds <= firsts && twice <= 2,
                "{head:?}: {firsts} and {seconds}: {answers}"
            );
            for seen in attack.app.seen() {
                let both = seen.headers.contains_key("transfer-encoding")
                    && seen.headers.contains_key("content-length");
                assert!(!both, "{head:?} reached the application: {seen:?}");
                let lengths = seen.headers.get_all("content-length").iter().count();
                assert!(lengths <= 1, "{head:?} reached the application: {seen:?}");
            }
        }
        attack.assert_alive().await;
    });
}

#[test]
fn transport_headers_that_lie_are_refused() {
    isolated(async || {
        let mut attack = Attack::new().await;
        let authority = attack.mesh.control.authority();
        let name = attack.server.identity();
        let honest = tls::transport_header(8080, "");
        let mut endless = tls::TRANSPORT_ALPN.to_vec();
        endless.extend(b"\r\n\r\n\xff\xff\xff\xff");
        endless.extend(garbage(7, 100_000));
        let mut wrong_word = honest.clone();
        wrong_word[3] ^= 1;
        let lies: Vec<Vec<u8>> = vec![
            tls::transport_header(0, ""),
            tls::transport_header(-1, ""),
            tls::transport_header(70_000, ""),
            tls::transport_header(4143, ""),
            tls::transport_header(9, "no-such-gateway.example.com"),
            honest[..honest.len() - 1].to_vec(),
            honest[..26].to_vec(),
            endless,
            wrong_word,
            garbage(11, 500),
            Vec::new(),
        ];
        for lie in lies {
            let leaf = authority.leaf(&crate::support::proxy::identity_of("client"));
            let config = authority.client_config(Some(leaf), &[tls::TRANSPORT_ALPN]);
            let to = attack.server.addr(4143);
            let stream = tls::connect(&attack.attacker, to, config, &name).await;
            let mut stream = stream.expect("a TLS handshake");
            let request = b"GET /lied HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(&lie).await;
            let _ = stream.write_all(request).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = soon("the end", stream.read_to_end(&mut answer)).await;
            let start = &lie[..lie.len().min(40)];
            assert!(
                answer.is_empty(),
                "{start:?}: {}",
                String::from_utf8_lossy(&answer)
            );
        }
        assert!(attack.app.seen().is_empty(), "{:?}", attack.app.seen());
        attack.assert_alive().await;
    });
}

#[test]
fn a_transport_header_leads_to_the_policy_of_its_port() {
    isolated(async || {
        let mesh = Mesh::start();
        let (server, peer) = (mesh.meshed("server").await, Pod::new("peer"));
        let _app = tcp_echo(&server, 8080);
        let friend = crate::support::proxy::identity_of("friend");
        mesh.control.update(|state| {
            let policy = opaque(vec![allow_identities(&[&friend])]);
            state
                .inbound
                .insert(("default:server".to_owned(), 8080), policy);
        });
        let authority = mesh.control.authority();
        let ask = async |who: Option<&str>| -> io::Result<Vec<u8>> {
            let leaf = who.map(|name| authority.leaf(name));
            let config = authority.client_config(leaf, &[tls::TRANSPORT_ALPN]);
            let to = server.addr(4143);
            let mut stream = tls::connect(&peer, to, config, &server.identity()).await?;
            tls::send_header(&mut stream, 8080, "").await?;
            stream.write_all(b"hello").await?;
            let mut answer = vec![0; 5];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        eventually("the friend gets through", async || ask(Some(&friend)).await).await;
        let stranger = crate::support::proxy::identity_of("stranger");
        assert!(ask(Some(&stranger)).await.is_err());
        assert!(ask(None).await.is_err());
    });
}

#[test]
fn an_application_that_dies_or_lies_is_answered_for() {
    isolated(async || {
        let world = World::new(Side::Meshed, Side::Meshed).await;
        let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
        // Nobody listens.
        let response = http.get("/").await.expect("a response");
        assert!(
            [502, 503, 504].contains(&response.status.as_u16()),
            "{response:?}"
        );
        assert_ne!(response.header("l5d-proxy-error"), "", "{response:?}");
        // It speaks, but not HTTP; it ends in the middle of a header; in the middle of a body.
        for lie in [
            &b"not http at all\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
            b"HTTP/1.1 99999 NO\r\n\r\n",
        ] {
            let liar = crate::support::serve::accept_all(
                world.server.listen(8080),
                move |mut stream, _| async move {
                    let mut request = [0; 1024];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(lie).await;
                },
            );
            let mut http = http_client(&world.client, world.target, Version::Http1, "web").await;
            match soon("an outcome", http.get("/")).await {
                Ok(response) => {
                    let status = response.status.as_u16();
                    assert!([502, 503, 504].contains(&status), "{lie:?}: {response:?}");
                }
                Err(cut) => assert!(lie.ends_with(b"short"), "{lie:?}: {cut}"),
            }
            liar.stop().await;
        }
        for pod in [&world.client, &world.server] {
            let AnyPod::Meshed(meshed) = pod else {
                panic!("a meshed pod")
            };
            assert_no_panic(&meshed.proxy);
        }
    });
}

#[test]
fn many_connections_that_come_and_go_leave_nothing() {
    isolated(async || {
        let mut attack = Attack::new().await;
        attack.assert_alive().await;
        let before = attack
            .server
            .proxy
            .metrics()
            .await
            .sum("process_open_fds", &[]);
        for round in 0..20_u64 {
            let mut streams = Vec::new();
            for seed in 0..50 {
                let mut stream = attack.connect().await;
                let _ = stream.write_all(&garbage(round * 50 + seed, 10)).await;
                streams.push(stream);
            }
        }
        let back_to_normal = |metrics: &crate::support::metrics::Metrics| {
            (metrics.sum("process_open_fds", &[]) <= before + 10.0).then_some(())
        };
        attack
            .server
            .proxy
            .eventually_metrics("descriptors are closed", back_to_normal)
            .await;
        attack.assert_alive().await;
        let open = attack
            .server
            .proxy
            .metrics()
            .await
            .sum("tcp_open_connections", &[]);
        assert!(open < 20.0, "{open} connections are still counted as open");
        // The pause of a detector must not be what ends them.
        tokio::time::timeout(Duration::from_secs(5), attack.assert_alive())
            .await
            .expect("soon");
    });
}
