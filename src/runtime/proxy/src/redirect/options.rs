//! The flags of `linkerd-proxy redirect`.

use std::net::IpAddr;
use std::str::FromStr;

use super::flags::{self, Given, Problem, Problems, Spec};

/// What `--help` prints.
pub(super) const USAGE: &str = "\
Load the rules that send a pod's TCP connections through the proxy.

Usage: linkerd-proxy redirect [flags]

  -p, --incoming-proxy-port PORT       port that takes inbound connections (default 4143)
  -o, --outgoing-proxy-port PORT       port that takes outbound connections (default 4140)
  -u, --proxy-uid UID                  user whose connections go out untouched (default 2102)
  -g, --proxy-gid GID                  group whose connections go out untouched (default none)
      --ports-to-redirect PORTS        redirect only these inbound ports (default all)
      --inbound-ports-to-ignore PORTS  inbound ports that bypass the proxy
      --outbound-ports-to-ignore PORTS outbound ports that bypass the proxy
      --subnets-to-ignore SUBNETS      sources whose inbound connections bypass the proxy
      --ipv6[=false]                   IPv6 too (default true)
      --backend KIND                   auto, inet, split (ip and ip6 tables) or iptables
      --simulate                       print the rules and change nothing

PORTS is a list such as 25,587,8000-8010; SUBNETS a list such as 10.0.0.0/8,fd00::/8.
";

const SPECS: &[Spec] = &[
    value("incoming-proxy-port", Some('p')),
    value("outgoing-proxy-port", Some('o')),
    value("proxy-uid", Some('u')),
    value("proxy-gid", Some('g')),
    value("ports-to-redirect", Some('r')),
    value("inbound-ports-to-ignore", None),
    value("outbound-ports-to-ignore", None),
    value("subnets-to-ignore", None),
    value("backend", None),
    switch("ipv6", None),
    switch("simulate", None),
    switch("help", Some('h')),
];

const fn value(long: &'static str, short: Option<char>) -> Spec {
    Spec {
        long,
        short,
        is_switch: false,
    }
}

const fn switch(long: &'static str, short: Option<char>) -> Spec {
    Spec {
        long,
        short,
        is_switch: true,
    }
}

/// A range of TCP ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PortRange {
    pub(super) first: u16,
    pub(super) last: u16,
}

/// An IP network; the bits of `address` beyond `prefix` are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

/// How the rules reach the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    /// The first of the following that the kernel takes.
    Auto,
    /// One nf_tables table of family `inet` (NAT in it needs Linux 5.2).
    Inet,
    /// One nf_tables table of family `ip` and one of family `ip6`.
    Split,
    /// The `iptables-restore` programs.
    Iptables,
}

/// The command line, checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) incoming_port: u16,
    pub(super) outgoing_port: u16,
    pub(super) proxy_uid: u32,
    /// `None` (or 0 on the command line, as with proxy-init) exempts no group.
    pub(super) proxy_gid: Option<u32>,
    /// Empty means every port.
    pub(super) ports_to_redirect: Vec<PortRange>,
    pub(super) inbound_ignore: Vec<PortRange>,
    pub(super) outbound_ignore: Vec<PortRange>,
    pub(super) subnets_to_ignore: Vec<Subnet>,
    pub(super) ipv6: bool,
    pub(super) backend: Backend,
    pub(super) simulate: bool,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Run(Options),
    Help,
}

/// Reads the command line; on error returns every mistake, in order.
pub(super) fn parse(args: &[String]) -> Result<Parsed, Vec<Problem>> {
    let mut problems = Problems::new("MESH_REDIRECT");
    let mut options = Options {
        incoming_port: 4143,
        outgoing_port: 4140,
        proxy_uid: 2102,
        proxy_gid: None,
        ports_to_redirect: Vec::new(),
        inbound_ignore: Vec::new(),
        outbound_ignore: Vec::new(),
        subnets_to_ignore: Vec::new(),
        ipv6: true,
        backend: Backend::Auto,
        simulate: false,
    };
    let mut help = false;
    for given in flags::scan(args, SPECS, &mut problems) {
        if given.name == "help" {
            help = true;
        } else {
            apply(&given, &mut options, &mut problems);
        }
    }
    if help {
        return Ok(Parsed::Help);
    }
    check_together(&options, &mut problems);
    for list in [
        &mut options.ports_to_redirect,
        &mut options.inbound_ignore,
        &mut options.outbound_ignore,
    ] {
        merge(list);
    }
    problems.finish(Parsed::Run(options))
}

/// Puts one flag into `options`; lists given more than once add up, as in pflag.
fn apply(given: &Given, options: &mut Options, problems: &mut Problems) {
    match given.name {
        "incoming-proxy-port" => set(&mut options.incoming_port, port(given, problems)),
        "outgoing-proxy-port" => set(&mut options.outgoing_port, port(given, problems)),
        "proxy-uid" => set(&mut options.proxy_uid, id(given, problems)),
        "proxy-gid" => {
            set(
                &mut options.proxy_gid,
                id(given, problems).map(|gid| (gid > 0).then_some(gid)),
            );
        }
        "ports-to-redirect" => options.ports_to_redirect.extend(ports(given, problems)),
        "inbound-ports-to-ignore" => options.inbound_ignore.extend(ports(given, problems)),
        "outbound-ports-to-ignore" => options.outbound_ignore.extend(ports(given, problems)),
        "subnets-to-ignore" => options.subnets_to_ignore.extend(subnets(given, problems)),
        "backend" => set(&mut options.backend, backend(given, problems)),
        "ipv6" => set(&mut options.ipv6, boolean(given, problems)),
        "simulate" => set(&mut options.simulate, boolean(given, problems)),
        name => unreachable!("--{name} is in SPECS but not applied"),
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn check_together(options: &Options, problems: &mut Problems) {
    if options.incoming_port == options.outgoing_port {
        let message = format!(
            "--incoming-proxy-port and --outgoing-proxy-port are both {}; they must differ",
            options.incoming_port
        );
        problems.add("SAME_PORT", message);
    }
}

/// Sorts and joins ranges that touch, so that the kernel compares as little as possible.
fn merge(ranges: &mut Vec<PortRange>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let touches = u32::from(next.first) <= u32::from(kept.last) + 1;
        if touches {
            kept.last = kept.last.max(next.last);
        }
        touches
    });
}

/// The non-empty parts of a list; an empty value is an empty list, so that a template may pass one.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// A port number: digits only (no sign), 1 to 65535.
fn port_number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| u16::from_str(text).ok())
        .flatten()
        .filter(|port| *port > 0)
}

fn port(given: &Given, problems: &mut Problems) -> Option<u16> {
    let port = port_number(&given.value);
    if port.is_none() {
        let message = format!(
            "--{}: {:?} is not a port from 1 to 65535",
            given.name, given.value
        );
        problems.add("BAD_PORT", message);
    }
    port
}

fn ports(given: &Given, problems: &mut Problems) -> Vec<PortRange> {
    let mut ranges = Vec::new();
    for part in parts(&given.value) {
        let range = match part.split_once('-') {
            Some((first, last)) => port_number(first.trim()).zip(port_number(last.trim())),
            None => port_number(part).map(|port| (port, port)),
        };
        match range {
            Some((first, last)) if first <= last => ranges.push(PortRange { first, last }),
            _ => {
                let want = "a port from 1 to 65535 or a range such as 8000-8010";
                let message = format!("--{}: {part:?} is not {want}", given.name);
                problems.add("BAD_PORTS", message);
            }
        }
    }
    ranges
}

fn subnets(given: &Given, problems: &mut Problems) -> Vec<Subnet> {
    let mut subnets = Vec::new();
    for part in parts(&given.value) {
        match subnet(part) {
            Some(subnet) => subnets.push(subnet),
            None => {
                let want = "a network such as 10.0.0.0/8 or fd00::/8";
                let message = format!("--{}: {part:?} is not {want}", given.name);
                problems.add("BAD_SUBNET", message);
            }
        }
    }
    subnets
}

/// A network in CIDR form, or one address. Bits beyond the prefix are cleared, as iptables does.
fn subnet(text: &str) -> Option<Subnet> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (IpAddr::from_str(address).ok()?, Some(prefix)),
        None => (IpAddr::from_str(text).ok()?, None),
    };
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => u8::from_str(digits).ok()?,
        Some(_) => return None,
        None => bits,
    };
    if prefix > bits {
        return None;
    }
    let address = match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    };
    Some(Subnet { address, prefix })
}

/// A user or group id. 4294967295 is "nobody set" to the kernel and never a real id.
fn id(given: &Given, problems: &mut Problems) -> Option<u32> {
    let digits = given.value.bytes().all(|b| b.is_ascii_digit());
    let id = given
        .value
        .parse()
        .ok()
        .filter(|id| digits && *id != u32::MAX);
    if id.is_none() {
        let message = format!(
            "--{}: {:?} is not an id from 0 to 4294967294",
            given.name, given.value
        );
        problems.add("BAD_ID", message);
    }
    id
}

fn boolean(given: &Given, problems: &mut Problems) -> Option<bool> {
    match given.value.as_str() {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Some(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Some(false),
        other => {
            problems.add(
                "BAD_BOOL",
                format!("--{}: {other:?} is not true or false", given.name),
            );
            None
        }
    }
}

fn backend(given: &Given, problems: &mut Problems) -> Option<Backend> {
    match given.value.as_str() {
        "auto" => Some(Backend::Auto),
        "inet" => Some(Backend::Inet),
        "split" => Some(Backend::Split),
        "iptables" => Some(Backend::Iptables),
        other => {
            let message = format!("--backend: {other:?} is not auto, inet, split or iptables");
            problems.add("BAD_BACKEND", message);
            None
        }
    }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
