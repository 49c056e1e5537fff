//! Rules for the iptables programs: the last resort, on kernels without nf_tables.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use super::rules::{Action, Family, Match, Ruleset};

/// Chains of Linkerd's proxy-init, so that either program replaces the other's rules.
const INBOUND_CHAIN: &str = "PROXY_INIT_REDIRECT";
const OUTBOUND_CHAIN: &str = "PROXY_INIT_OUTPUT";
/// Flavours in the order tried: without nf_tables only the legacy one can work.
const FLAVOURS: [&str; 3] = ["-legacy", "", "-nft"];

/// The text for `iptables-restore --noflush`: it flushes our chains and fills them again.
pub(super) fn script(rules: &Ruleset, family: Family) -> String {
    let mut text = format!("*nat\n:{INBOUND_CHAIN} - [0:0]\n:{OUTBOUND_CHAIN} - [0:0]\n");
    for (chain, rules) in [
        (INBOUND_CHAIN, &rules.prerouting),
        (OUTBOUND_CHAIN, &rules.output),
    ] {
        for rule in rules.iter().filter(|rule| rule.fits(family)) {
            text += &format!(
                "-A {chain} {} {}\n",
                condition(rule.when),
                action(rule.then)
            );
        }
    }
    text + "COMMIT\n"
}

fn condition(when: Match) -> String {
    match when {
        Match::Ports(ports) if ports.first == ports.last => {
            format!("-p tcp --dport {}", ports.first)
        }
        Match::Ports(ports) => format!("-p tcp --dport {}:{}", ports.first, ports.last),
        Match::Tcp => "-p tcp".to_owned(),
        Match::Source(subnet) => format!("-s {}/{}", subnet.address, subnet.prefix),
        Match::Uid(uid) => format!("-m owner --uid-owner {uid}"),
        Match::Gid(gid) => format!("-m owner --gid-owner {gid}"),
        Match::Loopback => "-o lo".to_owned(),
    }
}

fn action(then: Action) -> String {
    match then {
        Action::Return => "-j RETURN".to_owned(),
        Action::Redirect(port) => format!("-j REDIRECT --to-ports {port}"),
    }
}

/// Loads the rules with the first flavour that takes them and returns its name, as `iptables-nft`.
///
/// The error is a sentence: what each flavour said.
pub(super) fn load(rules: &Ruleset) -> Result<String, String> {
    let mut said = Vec::new();
    for flavour in FLAVOURS {
        match load_flavour(rules, flavour) {
            Ok(()) => return Ok(format!("iptables{flavour}")),
            Err(error) => said.push(error),
        }
    }
    said.dedup();
    Err(said.join("; "))
}

fn load_flavour(rules: &Ruleset, flavour: &str) -> Result<(), String> {
    for family in rules.families(true) {
        let program = if *family == Family::Ip {
            "iptables"
        } else {
            "ip6tables"
        };
        let mut text = script(rules, *family);
        for (hook, chain) in [("PREROUTING", INBOUND_CHAIN), ("OUTPUT", OUTBOUND_CHAIN)] {
            let tables = format!("{program}{flavour}");
            let check = ["-w", "-t", "nat", "-C", hook, "-j", chain];
            // A second jump would be harmless but would make two runs differ from one.
            if !run(&tables, &check, "").is_ok_and(|outcome| outcome.is_ok()) {
                text = text.replace("COMMIT\n", &format!("-A {hook} -j {chain}\nCOMMIT\n"));
            }
        }
        let restore = format!("{program}{flavour}-restore");
        match run(&restore, &["-w", "--noflush"], &text) {
            Ok(Ok(())) => {}
            Ok(Err(stderr)) => return Err(format!("{restore}: {stderr}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err("no iptables program is installed".to_owned());
            }
            Err(error) => return Err(format!("{restore}: {error}")),
        }
    }
    Ok(())
}

/// Runs a program to its end; the inner error is what it wrote on stderr.
fn run(program: &str, args: &[&str], input: &str) -> io::Result<Result<(), String>> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that refuses early may close its end; its message tells more than EPIPE.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Ok(Err(stderr.split_whitespace().collect::<Vec<_>>().join(" ")))
}
