//! Values of environment variables as types that cannot be wrong.

use std::{collections::BTreeSet, net::IpAddr, str::FromStr, time::Duration};

use crate::addr::IpNet;

/// Why a value was refused, in words for the person who set it.
pub(super) type Reason = String;

/// `host:port` of a control-plane service, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A DNS name without a trailing dot, or an IP address.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// The name ended in a dot: search domains do not apply.
    pub absolute: bool,
}

impl HostPort {
    /// Whether the service is on this machine, so that plaintext is enough.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Whether and how much a boolean variable is set: anything but `false`, `0`, `no`, `off` is yes.
pub(super) fn boolean(text: &str) -> Result<bool, Reason> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "false" | "0" | "no" | "off" | "disabled" => Ok(false),
        "true" | "1" | "yes" | "on" | "enabled" => Ok(true),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

/// Digits and a unit of ms, s, m, h or d; a bare 0 is allowed.
pub(super) fn duration(text: &str) -> Result<Duration, Reason> {
    let text = text.trim();
    let invalid = || format!("{text:?} is no duration such as 100ms, 10s, 5m, 1h or 1d");
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(split).ok_or_else(invalid)?;
    let count: u64 = digits.parse().map_err(|_| invalid())?;
    let factor_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if count == 0 => 1,
        _ => return Err(invalid()),
    };
    count
        .checked_mul(factor_ms)
        .map(Duration::from_millis)
        .ok_or_else(invalid)
}

/// Any type with a text form.
pub(super) fn number<T: FromStr>(text: &str) -> Result<T, Reason> {
    let text = text.trim();
    text.parse()
        .map_err(|_| format!("{text:?} is no valid {}", std::any::type_name::<T>()))
}

/// A ratio from 0 to 1 (`0.1`).
pub(super) fn ratio(text: &str) -> Result<f64, Reason> {
    match text.trim().parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!("{text:?} is no ratio from 0 to 1")),
    }
}

/// Ports and ranges of ports, separated by commas: `25,587,8000-8010`.
pub(super) fn ports(text: &str) -> Result<BTreeSet<u16>, Reason> {
    let mut ports = BTreeSet::new();
    for item in items(text) {
        let (low, high) = item.split_once('-').unwrap_or((item, item));
        let low: u16 = number(low)?;
        let high: u16 = number(high)?;
        if low == 0 || low > high {
            return Err(format!("{item:?} is no port or range of ports"));
        }
        ports.extend(low..=high);
    }
    Ok(ports)
}

/// Networks or addresses, separated by commas.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, Reason> {
    items(text)
        .map(|item| item.parse::<IpNet>().map_err(|e| e.to_string()))
        .collect()
}

/// Addresses, separated by commas.
pub(super) fn ips(text: &str) -> Result<Vec<IpAddr>, Reason> {
    items(text)
        .map(|item| number::<IpAddr>(item).map(|ip| ip.to_canonical()))
        .collect()
}

/// DNS suffixes, separated by commas, without leading and trailing dots. A lone dot is the empty
/// suffix, which every name has.
pub(super) fn suffixes(text: &str) -> Result<Vec<String>, Reason> {
    Ok(items(text)
        .map(|item| item.trim_matches('.').to_ascii_lowercase())
        .collect())
}

/// `host:port`.
pub(super) fn host_port(text: &str) -> Result<HostPort, Reason> {
    let text = text.trim();
    let invalid = || format!("{text:?} is no address such as linkerd-dst.linkerd.svc:8086");
    let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
    let port: u16 = port.parse().map_err(|_| invalid())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let absolute = host.ends_with('.');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.is_empty() || port == 0 || host.contains(char::is_whitespace) {
        return Err(invalid());
    }
    Ok(HostPort {
        host,
        port,
        absolute,
    })
}

/// A DNS name such as an identity; kept as it is but for case and the trailing dot.
pub(super) fn dns_name(text: &str) -> Result<String, Reason> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let valid = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if valid {
        Ok(name)
    } else {
        Err(format!("{text:?} is no DNS name"))
    }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for bad in [
            "",
            "5",
            "ms",
            "1.5s",
            "-1s",
            "1w",
            "99999999999999999999s",
            "1é",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_may_be_ranges() {
        let set = ports("25, 587,8000-8002").unwrap();
        assert_eq!(
            set.into_iter().collect::<Vec<_>>(),
            [25, 587, 8000, 8001, 8002]
        );
        for bad in ["0", "70000", "9-3", "a", "1-"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn control_addresses_tell_loopback() {
        let addr = host_port("localhost.:8086").unwrap();
        assert!(addr.is_loopback() && addr.absolute);
        assert!(host_port("[::1]:8086").unwrap().is_loopback());
        let addr = host_port("linkerd-dst-headless.linkerd.svc.cluster.local.:8086").unwrap();
        assert!(!addr.is_loopback());
        assert_eq!(addr.host, "linkerd-dst-headless.linkerd.svc.cluster.local");
        for bad in ["", "a", "a:0", "a:b", ":80"] {
            assert!(host_port(bad).is_err(), "{bad}");
        }
    }
}
