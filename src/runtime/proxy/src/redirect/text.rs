//! Rules as text: the syntax of nft(8), written as `nft list ruleset` would.

use super::iptables;
use super::options::Backend;
use super::rules::{Action, Family, Match, Rule, Ruleset, TABLE};

/// What `--simulate` prints: a script for `nft -f`, or for `iptables-restore` with that backend.
pub(super) fn render(rules: &Ruleset, backend: Backend) -> String {
    match backend {
        Backend::Auto | Backend::Inet => nft(rules, rules.families(false)),
        Backend::Split => nft(rules, rules.families(true)),
        Backend::Iptables => rules
            .families(true)
            .iter()
            .map(|family| iptables::script(rules, *family))
            .collect(),
    }
}

/// Adding before deleting makes the script work whether or not the table is there.
fn nft(rules: &Ruleset, families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let table = format!("table {} {TABLE}", family.name());
        text += &format!("add {table}\ndelete {table}\n{table} {{\n");
        text += &chain(
            "prerouting",
            "prerouting priority dstnat",
            &rules.prerouting,
            *family,
        );
        text += "\n";
        text += &chain("output", "output priority -100", &rules.output, *family);
        text += "}\n";
    }
    text
}

fn chain(name: &str, hook: &str, rules: &[Rule], family: Family) -> String {
    let mut text = format!("\tchain {name} {{\n\t\ttype nat hook {hook}; policy accept;\n");
    for rule in rules.iter().filter(|rule| rule.fits(family)) {
        text += &format!(
            "\t\t{} {}\n",
            condition(rule.when, family),
            action(rule.then)
        );
    }
    text + "\t}\n"
}

fn condition(when: Match, family: Family) -> String {
    match when {
        Match::Ports(ports) if ports.first == ports.last => format!("tcp dport {}", ports.first),
        Match::Ports(ports) => format!("tcp dport {}-{}", ports.first, ports.last),
        Match::Tcp => "meta l4proto tcp".to_owned(),
        Match::Source(subnet) => {
            let (ip, bits, nfproto) = if subnet.is_ipv4() {
                ("ip", 32, "ipv4")
            } else {
                ("ip6", 128, "ipv6")
            };
            match (subnet.prefix, family) {
                // Every source: only the version of IP is left to ask, if even that.
                (0, Family::Inet) => format!("meta nfproto {nfproto}"),
                (0, _) => "meta l4proto tcp".to_owned(),
                (prefix, _) if prefix == bits => format!("{ip} saddr {}", subnet.address),
                (prefix, _) => format!("{ip} saddr {}/{prefix}", subnet.address),
            }
        }
        Match::Uid(uid) => format!("meta skuid {uid}"),
        Match::Gid(gid) => format!("meta skgid {gid}"),
        Match::Loopback => "oifname \"lo\"".to_owned(),
    }
}

fn action(then: Action) -> String {
    match then {
        Action::Return => "return".to_owned(),
        Action::Redirect(port) => format!("redirect to :{port}"),
    }
}
