//! Rules as nf_tables objects. Each rule is the small program that nft(8) compiles from the text
//! of the same rule, so that `nft list ruleset` shows it back in those words.
//!
//! Numbers are those of `linux/netfilter/nf_tables.h` (Linux user-space interface).

use std::net::IpAddr;

use super::netlink::{self, APPEND, Attributes, Batch, CREATE, Refusal, Request};
use super::options::{PortRange, Subnet};
use super::rules::{Action, Family, Match, Rule, Ruleset, TABLE};

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;

const NFPROTO_INET: u8 = 1;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;

const NF_INET_PRE_ROUTING: u32 = 0;
const NF_INET_LOCAL_OUT: u32 = 3;
const NF_ACCEPT: u32 = 1;
/// `NF_IP_PRI_NAT_DST` (-100): where destination NAT belongs in both hooks.
const PRIORITY_DSTNAT: u32 = (-100_i32).cast_unsigned();

const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;
const NFT_RETURN: u32 = (-5_i32).cast_unsigned();
const NFT_CMP_EQ: u32 = 0;
const NFT_CMP_LTE: u32 = 3;
const NFT_CMP_GTE: u32 = 5;
const NFT_META_OIFNAME: u32 = 7;
const NFT_META_SKUID: u32 = 10;
const NFT_META_SKGID: u32 = 11;
const NFT_META_NFPROTO: u32 = 15;
const NFT_META_L4PROTO: u32 = 16;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const IPPROTO_TCP: u8 = 6;
const IFNAMSIZ: usize = 16;

/// Replaces whatever tables of ours the kernel has by the ones of `families`, in one transaction.
pub(super) fn replace(rules: &Ruleset, families: &[Family]) -> Result<(), Refusal> {
    let mut batch = Batch::new();
    for family in [Family::Inet, Family::Ip, Family::Ip6] {
        let wanted = families.contains(&family);
        if wanted {
            // Adding before deleting works whether or not the table is there.
            batch.push(table(NFT_MSG_NEWTABLE, CREATE, family, "add"));
        }
        if wanted || netlink::exists(&table(NFT_MSG_GETTABLE, 0, family, "find")) {
            batch.push(table(NFT_MSG_DELTABLE, 0, family, "delete"));
        }
        if wanted {
            batch.push(table(NFT_MSG_NEWTABLE, CREATE, family, "add"));
            push_chain(
                &mut batch,
                family,
                "prerouting",
                NF_INET_PRE_ROUTING,
                &rules.prerouting,
            );
            push_chain(
                &mut batch,
                family,
                "output",
                NF_INET_LOCAL_OUT,
                &rules.output,
            );
        }
    }
    batch.commit()
}

fn table(kind: u16, flags: u16, family: Family, verb: &str) -> Request {
    Request {
        kind,
        flags,
        family: nfproto(family),
        body: Attributes::default().text(NFTA_TABLE_NAME, TABLE),
        purpose: format!("{verb} table {} {TABLE}", family.name()),
    }
}

const fn nfproto(family: Family) -> u8 {
    match family {
        Family::Inet => NFPROTO_INET,
        Family::Ip => NFPROTO_IPV4,
        Family::Ip6 => NFPROTO_IPV6,
    }
}

fn push_chain(batch: &mut Batch, family: Family, name: &str, hook: u32, rules: &[Rule]) {
    let hook = Attributes::default()
        .number(NFTA_HOOK_HOOKNUM, hook)
        .number(NFTA_HOOK_PRIORITY, PRIORITY_DSTNAT);
    batch.push(Request {
        kind: NFT_MSG_NEWCHAIN,
        flags: CREATE,
        family: nfproto(family),
        body: Attributes::default()
            .text(NFTA_CHAIN_TABLE, TABLE)
            .text(NFTA_CHAIN_NAME, name)
            .nested(NFTA_CHAIN_HOOK, &hook)
            .number(NFTA_CHAIN_POLICY, NF_ACCEPT)
            .text(NFTA_CHAIN_TYPE, "nat"),
        purpose: format!("add NAT chain {name} to table {} {TABLE}", family.name()),
    });
    for rule in rules.iter().filter(|rule| rule.fits(family)) {
        let program = condition(rule.when, family).then(rule.then);
        batch.push(Request {
            kind: NFT_MSG_NEWRULE,
            flags: CREATE | APPEND,
            family: nfproto(family),
            body: Attributes::default()
                .text(NFTA_RULE_TABLE, TABLE)
                .text(NFTA_RULE_CHAIN, name)
                .nested(NFTA_RULE_EXPRESSIONS, &program.0),
            purpose: format!(
                "add {rule:?} to chain {name} of table {} {TABLE}",
                family.name()
            ),
        });
    }
}

/// The expressions of a rule, run in order until one does not match.
#[derive(Default)]
struct Program(Attributes);

impl Program {
    fn expression(self, name: &str, data: &Attributes) -> Self {
        let element = Attributes::default()
            .text(NFTA_EXPR_NAME, name)
            .nested(NFTA_EXPR_DATA, data);
        Self(self.0.nested(NFTA_LIST_ELEM, &element))
    }

    /// Puts a property of the packet into register 1 (`NFTA_META_DREG`, `NFTA_META_KEY`).
    fn meta(self, key: u32) -> Self {
        self.expression(
            "meta",
            &Attributes::default().number(1, NFT_REG_1).number(2, key),
        )
    }

    /// Puts `len` bytes of a header into register 1 (`NFTA_PAYLOAD_DREG`, `_BASE`, `_OFFSET`, `_LEN`).
    fn payload(self, base: u32, offset: u32, len: u32) -> Self {
        let data = Attributes::default().number(1, NFT_REG_1).number(2, base);
        self.expression("payload", &data.number(3, offset).number(4, len))
    }

    /// Goes on only if register 1 compares so (`NFTA_CMP_SREG`, `_OP`, `_DATA`).
    fn compare(self, operator: u32, value: &[u8]) -> Self {
        let data = Attributes::default()
            .number(1, NFT_REG_1)
            .number(2, operator);
        self.expression("cmp", &data.nested(3, &bytes_value(value)))
    }

    /// Clears the bits of register 1 that `mask` lacks (`NFTA_BITWISE_SREG`, `_DREG`, `_LEN`, `_MASK`, `_XOR`).
    fn mask(self, mask: &[u8]) -> Self {
        let len = u32::try_from(mask.len()).expect("a mask is as long as an address");
        let data = Attributes::default()
            .number(1, NFT_REG_1)
            .number(2, NFT_REG_1)
            .number(3, len)
            .nested(4, &bytes_value(mask))
            .nested(5, &bytes_value(&vec![0; mask.len()]));
        self.expression("bitwise", &data)
    }

    /// Puts a value into a register (`NFTA_IMMEDIATE_DREG`, `_DATA`).
    fn immediate(self, register: u32, value: &Attributes) -> Self {
        self.expression(
            "immediate",
            &Attributes::default().number(1, register).nested(2, value),
        )
    }

    /// Redirects to the port in register 1 (`NFTA_REDIR_REG_PROTO_MIN`).
    fn redirect(self) -> Self {
        self.expression("redir", &Attributes::default().number(1, NFT_REG_1))
    }

    fn then(mut self, next: Action) -> Self {
        self = match next {
            Action::Return => {
                let code = Attributes::default().number(NFTA_VERDICT_CODE, NFT_RETURN);
                let verdict = Attributes::default().nested(NFTA_DATA_VERDICT, &code);
                self.immediate(NFT_REG_VERDICT, &verdict)
            }
            Action::Redirect(port) => self
                .immediate(NFT_REG_1, &bytes_value(&port.to_be_bytes()))
                .redirect(),
        };
        self
    }
}

fn bytes_value(value: &[u8]) -> Attributes {
    Attributes::default().bytes(NFTA_DATA_VALUE, value)
}

fn condition(when: Match, family: Family) -> Program {
    let program = Program::default();
    match when {
        Match::Tcp => tcp(program),
        Match::Ports(ports) => tcp_ports(program, ports),
        Match::Source(subnet) => source(program, subnet, family),
        // Ids and interface names are in the byte order of this machine.
        Match::Uid(uid) => program
            .meta(NFT_META_SKUID)
            .compare(NFT_CMP_EQ, &uid.to_ne_bytes()),
        Match::Gid(gid) => program
            .meta(NFT_META_SKGID)
            .compare(NFT_CMP_EQ, &gid.to_ne_bytes()),
        Match::Loopback => {
            let mut name = [0; IFNAMSIZ];
            name[..2].copy_from_slice(b"lo");
            program.meta(NFT_META_OIFNAME).compare(NFT_CMP_EQ, &name)
        }
    }
}

fn tcp(program: Program) -> Program {
    program
        .meta(NFT_META_L4PROTO)
        .compare(NFT_CMP_EQ, &[IPPROTO_TCP])
}

fn tcp_ports(program: Program, PortRange { first, last }: PortRange) -> Program {
    // The destination port is bytes 2 and 3 of the TCP header (RFC 9293 §3.1).
    let program = tcp(program).payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
    if first == last {
        return program.compare(NFT_CMP_EQ, &first.to_be_bytes());
    }
    program
        .compare(NFT_CMP_GTE, &first.to_be_bytes())
        .compare(NFT_CMP_LTE, &last.to_be_bytes())
}

fn source(mut program: Program, subnet: Subnet, family: Family) -> Program {
    // Where the source address is: RFC 791 §3.1, RFC 8200 §3.
    let (address, mask, offset, nfproto) = match subnet.address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(subnet.prefix))
                .unwrap_or(0);
            (
                ip.octets().to_vec(),
                mask.to_be_bytes().to_vec(),
                12,
                NFPROTO_IPV4,
            )
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(subnet.prefix))
                .unwrap_or(0);
            (
                ip.octets().to_vec(),
                mask.to_be_bytes().to_vec(),
                8,
                NFPROTO_IPV6,
            )
        }
    };
    if family == Family::Inet {
        program = program
            .meta(NFT_META_NFPROTO)
            .compare(NFT_CMP_EQ, &[nfproto]);
    }
    if subnet.prefix == 0 {
        return if family == Family::Inet {
            program
        } else {
            tcp(program)
        };
    }
    // A prefix of whole bytes is compared as such; any other needs the rest masked away.
    let whole = subnet.prefix.is_multiple_of(8);
    let len = if whole {
        usize::from(subnet.prefix / 8)
    } else {
        address.len()
    };
    let network = address.get(..len).unwrap_or_default();
    let wire_len = u32::try_from(len).expect("an address is 4 or 16 bytes");
    program = program.payload(NFT_PAYLOAD_NETWORK_HEADER, offset, wire_len);
    if !whole {
        program = program.mask(&mask);
    }
    program.compare(NFT_CMP_EQ, network)
}
