//! `linkerd-proxy redirect` against the kernel.

use std::{net::SocketAddr, os::fd::AsFd as _, process::Command};

use tokio::net::TcpListener;

use crate::support::{
    isolated::isolated,
    network::{PROXY_BINARY, Pod, prepare_node, stderr, stdout},
};

/// Every kind of rule.
const EVERYTHING: &[&str] = &[
    "--inbound-ports-to-ignore=4190,4191,25,8000-8010",
    "--outbound-ports-to-ignore=443,6443-6444",
    "--subnets-to-ignore=10.0.0.0/8,172.16.0.0/12,1.2.3.4,fd00::/8,fe80::/9,::1,0.0.0.0/0",
    "--proxy-gid=77",
];

/// The words of text, whatever the white space between.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// What nft shows of the rules in a pod, with the program that each was compiled to.
fn compiled_rules(pod: &Pod) -> Vec<String> {
    let output = pod.run("nft", &["--debug=netlink", "list", "ruleset"]);
    assert!(output.status.success(), "{}", stderr(&output));
    // A heading ends in handles, which count what was ever loaded.
    let headings = ["inet linkerd", "ip linkerd", "ip6 linkerd"];
    let lines = stdout(&output);
    let lines = lines
        .lines()
        .map(|line| match headings.iter().any(|h| line.starts_with(h)) {
            true => line
                .trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ')
                .to_owned(),
            false => line.to_owned(),
        });
    lines.collect()
}

fn simulated(args: &[&str]) -> String {
    let output = Command::new(PROXY_BINARY)
        .args(["redirect", "--simulate"])
        .args(args)
        .output()
        .expect("the binary under test");
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// What a connection is like to the process that accepted it.
#[derive(Debug, PartialEq, Eq)]
struct Accepted {
    /// Where it was headed, if a rule redirected it.
    original: Option<SocketAddr>,
    port: u16,
}

async fn accept(listener: &TcpListener) -> Accepted {
    let (socket, _) = listener.accept().await.expect("a connection");
    let local = socket.local_addr().expect("its own address");
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    // Without any NAT rule for this IP version the kernel does not even track the connection.
    let original = match mesh_proxy::sys::original_dst(socket.as_fd(), local) {
        Ok(original) => Some(original).filter(|original| *original != local),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("SO_ORIGINAL_DST: {error}"),
    };
    Accepted {
        original,
        port: local.port(),
    }
}

/// Connects, and tells which of the pod's listeners took it. The client must be kept: a closed
/// connection leaves the backlog.
async fn arrives(from: &Pod, to: SocketAddr, at: &[&TcpListener]) -> Accepted {
    let _client = from
        .connect(to)
        .await
        .unwrap_or_else(|error| panic!("{to}: {error}"));
    arrived(at).await
}

async fn arrived(at: &[&TcpListener]) -> Accepted {
    let accepts = at.iter().map(|listener| Box::pin(accept(listener)));
    futures_util::future::select_all(accepts).await.0
}

fn redirected(original: SocketAddr, port: u16) -> Accepted {
    Accepted {
        original: Some(original),
        port,
    }
}

fn untouched(port: u16) -> Accepted {
    Accepted {
        original: None,
        port,
    }
}

/// A pod with rules, and one without that talks to it.
fn two_pods(args: &[&str]) -> (Pod, Pod) {
    prepare_node();
    let (meshed, plain) = (Pod::new("meshed"), Pod::new("plain"));
    meshed.redirect(args);
    (meshed, plain)
}

#[test]
fn what_simulate_prints_is_what_is_loaded() {
    isolated(async || {
        for family in [&["--backend=inet"], &["--backend=split"], &["--ipv6=false"]] {
            let args = [family, EVERYTHING].concat();
            let (ours, nfts) = (Pod::new("ours"), Pod::new("nfts"));
            ours.redirect(&args);
            let script = simulated(&args);
            std::fs::write("/run/script", &script).expect("a private /run");
            let output = nfts.run("nft", &["-f", "/run/script"]);
            assert!(output.status.success(), "{}\n{script}", stderr(&output));

            assert_eq!(compiled_rules(&ours), compiled_rules(&nfts), "{family:?}");
            let shown = stdout(&ours.run("nft", &["list", "ruleset"]));
            let own = |line: &&str| !line.starts_with("add ") && !line.starts_with("delete ");
            let script: Vec<&str> = script.lines().filter(own).collect();
            assert_eq!(words(&shown), words(&script.join("\n")), "{family:?}");
        }
    });
}

#[test]
fn simulate_needs_no_rights_and_changes_nothing() {
    isolated(async || {
        let pod = Pod::new("pod");
        let unprivileged = ["--reuid=1000", "--clear-groups", PROXY_BINARY, "redirect"];
        let output = pod.run("setpriv", &[&unprivileged[..], &["--simulate"]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stdout(&output).contains("redirect to :4143"));
        assert_eq!(stdout(&pod.run("nft", &["list", "ruleset"])), "");
    });
}

#[test]
fn a_second_run_replaces_the_first_and_leaves_other_tables_alone() {
    isolated(async || {
        let (once, again) = (Pod::new("once"), Pod::new("again"));
        once.redirect(EVERYTHING);
        for pod in [&once, &again] {
            let output = pod.run("nft", &["add", "table", "inet", "others"]);
            assert!(output.status.success(), "{}", stderr(&output));
        }
        for args in [
            &["--backend=split", "-p", "1"][..],
            &["--ipv6=false"],
            EVERYTHING,
            EVERYTHING,
        ] {
            again.redirect(args);
        }
        let sorted = |pod: &Pod| {
            let mut lines = compiled_rules(pod);
            lines.sort();
            lines
        };
        assert_eq!(sorted(&again), sorted(&once));
        assert!(stdout(&again.run("nft", &["list", "tables"])).contains("inet others"));
    });
}

#[test]
fn inbound_connections_go_to_the_proxy_with_their_destination() {
    isolated(async || {
        let (pod, peer) = two_pods(&["--inbound-ports-to-ignore=4190-4191"]);
        let (proxy, admin) = (pod.listen(4143), pod.listen(4191));
        let at = [&proxy, &admin];
        for to in [pod.addr(8080), pod.addr6(8080)] {
            assert_eq!(arrives(&peer, to, &at).await, redirected(to, 4143));
        }
        for to in [
            pod.addr(4191),
            pod.addr6(4191),
            pod.addr(4143),
            pod.addr6(4143),
        ] {
            assert_eq!(arrives(&peer, to, &at).await, untouched(to.port()), "{to}");
        }
    });
}

#[test]
fn sources_of_ignored_subnets_bypass_the_proxy() {
    isolated(async || {
        prepare_node();
        let (pod, near, far) = (Pod::new("pod"), Pod::new("near"), Pod::new("far"));
        pod.redirect(&[&format!(
            "--subnets-to-ignore={}/32,{}",
            near.ipv4, near.ipv6
        )]);
        let (proxy, app) = (pod.listen(4143), pod.listen(8080));
        for to in [pod.addr(8080), pod.addr6(8080)] {
            assert_eq!(arrives(&near, to, &[&proxy, &app]).await, untouched(8080));
            assert_eq!(
                arrives(&far, to, &[&proxy, &app]).await,
                redirected(to, 4143)
            );
        }
    });
}

#[test]
fn only_listed_ports_are_redirected_when_ports_are_listed() {
    isolated(async || {
        let (pod, peer) = two_pods(&["--ports-to-redirect=8080,9000-9010"]);
        let (proxy, other) = (pod.listen(4143), pod.listen(8081));
        for to in [pod.addr(8080), pod.addr6(9000), pod.addr(9010)] {
            assert_eq!(
                arrives(&peer, to, &[&proxy, &other]).await,
                redirected(to, 4143)
            );
        }
        for to in [pod.addr(8081), pod.addr6(8081)] {
            assert_eq!(arrives(&peer, to, &[&proxy, &other]).await, untouched(8081));
        }
    });
}

#[test]
fn outbound_connections_go_to_the_proxy_with_their_destination() {
    isolated(async || {
        let (pod, peer) = two_pods(&["--outbound-ports-to-ignore=443,6000-6010"]);
        let v4 = pod.listen_on("127.0.0.1:4140".parse().expect("an address"));
        let v6 = pod.listen_on("[::1]:4140".parse().expect("an address"));
        for (to, proxy) in [(peer.addr(80), &v4), (peer.addr6(80), &v6)] {
            assert_eq!(arrives(&pod, to, &[proxy]).await, redirected(to, 4140));
        }
        // Nobody has this address: what is redirected needs no server.
        let nowhere = "10.96.0.1:80".parse().expect("an address");
        assert_eq!(
            arrives(&pod, nowhere, &[&v4]).await,
            redirected(nowhere, 4140)
        );

        let (https, range) = (peer.listen(443), peer.listen(6005));
        for to in [peer.addr(443), peer.addr6(443), peer.addr(6005)] {
            assert_eq!(
                arrives(&pod, to, &[&https, &range, &v4, &v6]).await,
                untouched(to.port())
            );
        }
    });
}

#[test]
fn a_pod_that_talks_to_itself_bypasses_the_proxy() {
    isolated(async || {
        let (pod, _) = two_pods(&[]);
        let (app, inbound) = (pod.listen(8080), pod.listen(4143));
        let outbound = pod.listen(4140);
        let loopback4 = "127.0.0.1:8080".parse().expect("an address");
        let loopback6 = "[::1]:8080".parse().expect("an address");
        for to in [pod.addr(8080), pod.addr6(8080), loopback4, loopback6] {
            let at = [&app, &inbound, &outbound];
            assert_eq!(arrives(&pod, to, &at).await, untouched(8080), "{to}");
        }
    });
}

/// Connects from a process of another user or group: opening `/dev/tcp` is all that it does.
async fn arrives_from_process(
    pod: &Pod,
    ids: [&str; 2],
    to: SocketAddr,
    at: &[&TcpListener],
) -> Accepted {
    let script = format!(
        "exec 3<>/dev/tcp/{}/{}; read -t 20 -u 3",
        to.ip(),
        to.port()
    );
    let mut client = pod.enter(|| {
        Command::new("setpriv")
            .args(ids)
            .args(["--clear-groups", "bash", "-c", &script])
            .spawn()
            .expect("setpriv and bash")
    });
    let accepted = arrived(at).await;
    client.kill().expect("a client that still waits");
    client.wait().expect("its end");
    accepted
}

#[test]
fn the_proxys_own_user_and_group_go_out_untouched() {
    isolated(async || {
        let (pod, peer) = two_pods(&["--proxy-uid=2102", "--proxy-gid=2103"]);
        let (app, outbound) = (peer.listen(8080), pod.listen(4140));
        let at = [&app, &outbound];
        for to in [peer.addr(8080), peer.addr6(8080)] {
            for exempt in [
                ["--reuid=2102", "--regid=1"],
                ["--reuid=1000", "--regid=2103"],
            ] {
                let accepted = arrives_from_process(&pod, exempt, to, &at).await;
                assert_eq!(accepted, untouched(8080), "{exempt:?}");
            }
            let other = ["--reuid=2103", "--regid=2102"];
            let accepted = arrives_from_process(&pod, other, to, &at).await;
            assert_eq!(accepted, redirected(to, 4140));
        }
    });
}

#[test]
fn without_ipv6_only_ipv4_is_redirected() {
    isolated(async || {
        let (pod, peer) = two_pods(&["--ipv6=false"]);
        let (proxy, app) = (pod.listen(4143), pod.listen(8080));
        let at = [&proxy, &app];
        let accepted = arrives(&peer, pod.addr(8080), &at).await;
        assert_eq!(accepted, redirected(pod.addr(8080), 4143));
        assert_eq!(arrives(&peer, pod.addr6(8080), &at).await, untouched(8080));
    });
}

#[test]
fn split_tables_and_iptables_redirect_alike() {
    isolated(async || {
        prepare_node();
        let peer = Pod::new("peer");
        for backend in ["--backend=split", "--backend=iptables"] {
            let pod = Pod::new("pod");
            let ignore = [
                "--inbound-ports-to-ignore=4191",
                "--outbound-ports-to-ignore=443",
            ];
            // Twice: a second run must not add to the first.
            for _ in 0..2 {
                pod.redirect(&[&[backend], &ignore[..]].concat());
            }
            let (inbound, admin, outbound) = (pod.listen(4143), pod.listen(4191), pod.listen(4140));
            let at = [&inbound, &admin, &outbound];
            for (to, back) in [
                (pod.addr(80), peer.addr(80)),
                (pod.addr6(80), peer.addr6(80)),
            ] {
                assert_eq!(
                    arrives(&peer, to, &at).await,
                    redirected(to, 4143),
                    "{backend}"
                );
                assert_eq!(
                    arrives(&pod, back, &at).await,
                    redirected(back, 4140),
                    "{backend}"
                );
            }
            assert_eq!(
                arrives(&peer, pod.addr(4191), &at).await,
                untouched(4191),
                "{backend}"
            );
            let jumps = stdout(&pod.run("iptables-legacy-save", &["-t", "nat"]));
            let jumps = jumps
                .lines()
                .filter(|line| line.starts_with("-A OUTPUT "))
                .count();
            assert_eq!(jumps, usize::from(backend == "--backend=iptables"));
        }
    });
}

#[test]
fn a_process_without_the_capability_is_told_what_it_needs() {
    isolated(async || {
        let pod = Pod::new("pod");
        for backend in ["auto", "inet", "split", "iptables"] {
            let unprivileged = ["--reuid=1000", "--clear-groups", PROXY_BINARY, "redirect"];
            let output = pod.run(
                "setpriv",
                &[&unprivileged[..], &["--backend", backend]].concat(),
            );
            assert_eq!(output.status.code(), Some(1));
            let message = stderr(&output);
            assert!(
                message.starts_with("MESH_REDIRECT_NOT_PERMITTED: "),
                "{backend}: {message}"
            );
            assert!(message.contains("NET_ADMIN"), "{message}");
        }
        assert_eq!(stdout(&pod.run("nft", &["list", "ruleset"])), "");
    });
}

#[test]
fn a_list_too_long_for_the_kernel_is_refused_whole() {
    isolated(async || {
        let pod = Pod::new("pod");
        let lists = |ports: u32| -> Vec<String> {
            let every_second: Vec<String> = (1..ports).map(|n| (n * 2).to_string()).collect();
            let lists = every_second.chunks(1_000);
            lists
                .map(|list| format!("--inbound-ports-to-ignore={}", list.join(",")))
                .collect()
        };
        let too_many = lists(32_000);
        let args: Vec<&str> = too_many.iter().map(String::as_str).collect();
        let output = pod.run(PROXY_BINARY, &[&["redirect"], &args[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).starts_with("MESH_REDIRECT_TOO_MANY_RULES: "),
            "{output:?}"
        );
        assert_eq!(stdout(&pod.run("nft", &["list", "ruleset"])), "");
        // Far more than anybody lists does fit.
        pod.redirect(&[&lists(200)[0]]);
    });
}

#[test]
fn bad_flags_are_all_told_and_change_nothing() {
    isolated(async || {
        let pod = Pod::new("pod");
        let args = [
            "redirect",
            "-p",
            "x",
            "--subnets-to-ignore=10.0.0.0/99",
            "--prot",
            "stray",
        ];
        let output = pod.run(PROXY_BINARY, &args);
        assert_eq!(output.status.code(), Some(64));
        let text = stderr(&output);
        let codes: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split(':').next())
            .collect();
        let expected = [
            "UNKNOWN_FLAG",
            "UNEXPECTED_ARGUMENT",
            "BAD_PORT",
            "BAD_SUBNET",
        ];
        assert_eq!(codes, expected.map(|code| format!("MESH_REDIRECT_{code}")));
        assert_eq!(stdout(&pod.run("nft", &["list", "ruleset"])), "");
    });
}
