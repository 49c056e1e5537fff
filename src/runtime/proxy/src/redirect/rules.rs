//! What is redirected, independent of how the kernel is told: the tables of `linkerd-proxy redirect`.
//!
//! The order is Linkerd's. Inbound: ignored ports, ignored sources, then the redirect. Outbound:
//! the proxy's own user and group, loopback (a pod that talks to itself, also by its own address,
//! bypasses the proxy), ignored ports, then the redirect.

use super::options::{Options, PortRange, Subnet};

/// The name of every table that this program owns.
pub(super) const TABLE: &str = "linkerd";

/// What a rule asks of a packet. Every rule asks one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// TCP to a port of the range.
    Ports(PortRange),
    /// Any TCP.
    Tcp,
    /// From an address of the network.
    Source(Subnet),
    /// Sent by a process of this user.
    Uid(u32),
    /// Sent by a process of this group.
    Gid(u32),
    /// Leaving through the loopback interface.
    Loopback,
}

/// What happens to a connection whose first packet matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It goes on untouched.
    Return,
    /// It goes to this port of this machine.
    Redirect(u16),
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) when: Match,
    pub(super) then: Action,
}

/// The address family of an nf_tables table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Ip,
    Ip6,
    Inet,
}

/// All rules of a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ruleset {
    /// For connections that arrive.
    pub(super) prerouting: Vec<Rule>,
    /// For connections that start here.
    pub(super) output: Vec<Rule>,
    /// Whether IPv6 is redirected as well as IPv4.
    pub(super) ipv6: bool,
}

impl Ruleset {
    /// The rules that `options` ask for.
    pub(super) fn new(options: &Options) -> Self {
        let subnets = options
            .subnets_to_ignore
            .iter()
            .filter(|s| options.ipv6 || s.is_ipv4());
        let mut prerouting = Vec::new();
        prerouting.extend(
            options
                .inbound_ignore
                .iter()
                .map(|p| Rule::pass(Match::Ports(*p))),
        );
        prerouting.extend(subnets.map(|s| Rule::pass(Match::Source(*s))));
        prerouting.extend(inbound_redirects(options));

        let mut output = vec![Rule::pass(Match::Uid(options.proxy_uid))];
        output.extend(options.proxy_gid.map(|gid| Rule::pass(Match::Gid(gid))));
        output.push(Rule::pass(Match::Loopback));
        output.extend(
            options
                .outbound_ignore
                .iter()
                .map(|p| Rule::pass(Match::Ports(*p))),
        );
        output.push(Rule {
            when: Match::Tcp,
            then: Action::Redirect(options.outgoing_port),
        });
        Self {
            prerouting,
            output,
            ipv6: options.ipv6,
        }
    }

    /// The families of the tables: one for both, or one each.
    pub(super) const fn families(&self, split: bool) -> &'static [Family] {
        match (self.ipv6, split) {
            (true, false) => &[Family::Inet],
            (true, true) => &[Family::Ip, Family::Ip6],
            (false, _) => &[Family::Ip],
        }
    }
}

fn inbound_redirects(options: &Options) -> Vec<Rule> {
    let then = Action::Redirect(options.incoming_port);
    if options.ports_to_redirect.is_empty() {
        return vec![Rule {
            when: Match::Tcp,
            then,
        }];
    }
    options
        .ports_to_redirect
        .iter()
        .map(|p| Rule {
            when: Match::Ports(*p),
            then,
        })
        .collect()
}

impl Rule {
    const fn pass(when: Match) -> Self {
        Self {
            when,
            then: Action::Return,
        }
    }

    /// Whether the rule has a meaning in a table of `family`.
    pub(super) fn fits(&self, family: Family) -> bool {
        match (self.when, family) {
            (Match::Source(subnet), Family::Ip) => subnet.is_ipv4(),
            (Match::Source(subnet), Family::Ip6) => !subnet.is_ipv4(),
            _ => true,
        }
    }
}

impl Subnet {
    pub(super) fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }
}

impl Family {
    /// The word of nft(8).
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
        }
    }
}
