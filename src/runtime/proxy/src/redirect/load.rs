//! Brings rules into the kernel by the first way that it takes.

use std::fmt;
use std::io;

use super::netlink::Refusal;
use super::options::Backend;
use super::rules::Ruleset;
use super::{iptables, nftables};

/// By what way the rules were loaded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// nf_tables tables of these families.
    Nftables(&'static str),
    /// A program, such as `iptables-legacy`.
    Program(String),
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nftables(tables) => write!(f, "nf_tables, {tables}"),
            Self::Program(name) => write!(f, "{name}"),
        }
    }
}

/// Why no rules were loaded. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(
        "MESH_REDIRECT_NOT_PERMITTED: the kernel does not let this process change the network \
         rules; run it with the capability NET_ADMIN (and NET_RAW for iptables) in the network \
         namespace of the pod"
    )]
    NotPermitted,
    #[error(
        "MESH_REDIRECT_REFUSED: the kernel could not {purpose}: {cause}; look at the flags and \
         at the tables that other programs own"
    )]
    Refused { purpose: String, cause: io::Error },
    #[error(
        "MESH_REDIRECT_TOO_MANY_RULES: the lists of ports and subnets are longer than the kernel \
         takes at once; write neighbouring ports as ranges"
    )]
    TooManyRules,
    #[error(
        "MESH_REDIRECT_UNSUPPORTED: the kernel has no nf_tables NAT ({nftables}), and iptables \
         did not help: {iptables}; load the module nf_tables with nft_redir and nft_chain_nat"
    )]
    Unsupported { nftables: String, iptables: String },
}

/// Loads `rules`, replacing what an earlier run left.
pub(super) fn load(rules: &Ruleset, backend: Backend) -> Result<Loaded, LoadError> {
    let mut lacks = "not tried".to_owned();
    for (kind, split) in [(Backend::Inet, false), (Backend::Split, true)] {
        if backend != Backend::Auto && backend != kind {
            continue;
        }
        match nftables::replace(rules, rules.families(split)) {
            Ok(()) => return Ok(Loaded::Nftables(tables(rules, split))),
            Err(refusal) => lacks = missing_feature(refusal)?,
        }
    }
    if matches!(backend, Backend::Inet | Backend::Split) {
        let iptables = "not asked for by --backend".to_owned();
        return Err(LoadError::Unsupported {
            nftables: lacks,
            iptables,
        });
    }
    match iptables::load(rules) {
        Ok(program) => Ok(Loaded::Program(program)),
        Err(iptables) if iptables.contains("Permission denied (you must be root)") => {
            Err(LoadError::NotPermitted)
        }
        Err(iptables) => Err(LoadError::Unsupported {
            nftables: lacks,
            iptables,
        }),
    }
}

const fn tables(rules: &Ruleset, split: bool) -> &'static str {
    match (rules.ipv6, split) {
        (true, false) => "table inet linkerd",
        (true, true) => "tables ip linkerd and ip6 linkerd",
        (false, _) => "table ip linkerd",
    }
}

/// Tells a kernel that lacks something (another way may work) from one that says no.
fn missing_feature(refusal: Refusal) -> Result<String, LoadError> {
    match refusal.cause.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Err(LoadError::NotPermitted),
        Some(libc::EMSGSIZE | libc::ENOBUFS) => Err(LoadError::TooManyRules),
        // No nfnetlink, no nf_tables, no such family, no NAT chains or redirect in it.
        Some(
            libc::EPROTONOSUPPORT
            | libc::EOPNOTSUPP
            | libc::EAFNOSUPPORT
            | libc::ENOENT
            | libc::ENOPROTOOPT,
        ) => Ok(format!("could not {}: {}", refusal.purpose, refusal.cause)),
        _ => Err(LoadError::Refused {
            purpose: refusal.purpose,
            cause: refusal.cause,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(errno: i32) -> Refusal {
        Refusal {
            purpose: "add a chain".to_owned(),
            cause: io::Error::from_raw_os_error(errno),
        }
    }

    #[test]
    fn only_a_missing_feature_lets_another_way_be_tried() {
        for errno in [
            libc::EOPNOTSUPP,
            libc::EPROTONOSUPPORT,
            libc::EAFNOSUPPORT,
            libc::ENOENT,
        ] {
            assert!(missing_feature(refusal(errno)).is_ok(), "{errno}");
        }
        assert!(matches!(
            missing_feature(refusal(libc::EPERM)),
            Err(LoadError::NotPermitted)
        ));
        assert!(matches!(
            missing_feature(refusal(libc::EMSGSIZE)),
            Err(LoadError::TooManyRules)
        ));
        let busy = missing_feature(refusal(libc::EBUSY))
            .unwrap_err()
            .to_string();
        assert!(busy.contains("add a chain"), "{busy}");
    }
}
