//! Addresses and networks, and their forms on the wire.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use crate::pb::net;

/// An IP network in CIDR form. A bare address is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNet {
    addr: IpAddr,
    prefix_len: u8,
}

/// The text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network such as 10.0.0.0/8")]
pub struct InvalidNetwork(String);

/// The address on the wire lacks its IP or has a port beyond 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("incomplete or invalid address on the wire")]
pub struct InvalidAddress;

/// An IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) as plain IPv4, so that both compare equal.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// The address of a `net.TcpAddress`.
pub fn from_wire(addr: &net::TcpAddress) -> Result<SocketAddr, InvalidAddress> {
    let ip = addr.ip.as_ref().ok_or(InvalidAddress)?;
    let port = u16::try_from(addr.port).map_err(|_| InvalidAddress)?;
    Ok(SocketAddr::new(ip_from_wire(ip)?, port))
}

/// The address of a `net.IPAddress`.
pub fn ip_from_wire(ip: &net::IpAddress) -> Result<IpAddr, InvalidAddress> {
    match ip.ip.as_ref().ok_or(InvalidAddress)? {
        net::ip_address::Ip::Ipv4(bits) => Ok(IpAddr::V4(Ipv4Addr::from(*bits))),
        net::ip_address::Ip::Ipv6(halves) => {
            let bits = (u128::from(halves.first) << 64) | u128::from(halves.last);
            Ok(IpAddr::V6(Ipv6Addr::from(bits)))
        }
    }
}

/// The wire form of an address.
pub fn to_wire(addr: SocketAddr) -> net::TcpAddress {
    let ip = match addr.ip().to_canonical() {
        IpAddr::V4(v4) => net::ip_address::Ip::Ipv4(u32::from(v4)),
        IpAddr::V6(v6) => {
            let octets = u128::from(v6).to_be_bytes();
            let (first, last) = octets.split_at(8);
            net::ip_address::Ip::Ipv6(net::IPv6 {
                first: be_u64(first),
                last: be_u64(last),
            })
        }
    };
    net::TcpAddress {
        ip: Some(net::IpAddress { ip: Some(ip) }),
        port: u32::from(addr.port()),
    }
}

fn be_u64(octets: &[u8]) -> u64 {
    octets
        .iter()
        .fold(0, |sum, octet| (sum << 8) | u64::from(*octet))
}

// === impl IpNet ===

impl IpNet {
    /// Every IPv4 address.
    pub const ANY_V4: Self = Self {
        addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        prefix_len: 0,
    };
    /// Every IPv6 address.
    pub const ANY_V6: Self = Self {
        addr: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        prefix_len: 0,
    };

    /// The network of `addr` with `prefix_len` leading bits; `None` when there are not so many.
    pub fn new(addr: IpAddr, prefix_len: u8) -> Option<Self> {
        let max = if addr.is_ipv4() { 32 } else { 128 };
        (prefix_len <= max).then_some(Self { addr, prefix_len })
    }

    /// Whether `ip` lies in the network. IPv4 in IPv6 form counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.addr, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix_len))
                    .unwrap_or(0);
                u32::from(net) & mask == u32::from(ip) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix_len))
                    .unwrap_or(0);
                u128::from(net) & mask == u128::from(ip) & mask
            }
            _ => false,
        }
    }

    /// The network of a `net.IPNetwork`.
    pub fn from_wire(network: &net::IpNetwork) -> Result<Self, InvalidAddress> {
        let ip = ip_from_wire(network.ip.as_ref().ok_or(InvalidAddress)?)?;
        let prefix_len = u8::try_from(network.prefix_len).map_err(|_| InvalidAddress)?;
        Self::new(ip, prefix_len).ok_or(InvalidAddress)
    }
}

impl FromStr for IpNet {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (ip, prefix_len) = match text.split_once('/') {
            Some((ip, len)) => (ip, Some(len.parse::<u8>().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| invalid())?;
        let whole = if ip.is_ipv4() { 32 } else { 128 };
        Self::new(ip, prefix_len.unwrap_or(whole)).ok_or_else(invalid)
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let net: IpNet = "10.244.0.0/16".parse().unwrap();
        assert!(net.contains("10.244.255.1".parse().unwrap()));
        assert!(net.contains("::ffff:10.244.0.1".parse().unwrap()));
        assert!(!net.contains("10.245.0.1".parse().unwrap()));
        assert!(!net.contains("fd00::1".parse().unwrap()));
        let net: IpNet = "fd00:10:244::/64".parse().unwrap();
        assert!(net.contains("fd00:10:244::77".parse().unwrap()));
        assert!(!net.contains("fd00:10:245::77".parse().unwrap()));
        assert!(IpNet::ANY_V4.contains("1.2.3.4".parse().unwrap()));
        assert!(IpNet::ANY_V6.contains("::1".parse().unwrap()));
        assert!(!IpNet::ANY_V4.contains("::1".parse().unwrap()));
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/x",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<IpNet>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_survive_the_wire() {
        for text in ["10.1.2.3:80", "[fd00:10:244::7]:4143"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(from_wire(&to_wire(addr)), Ok(addr));
        }
        assert_eq!(
            from_wire(&net::TcpAddress { ip: None, port: 1 }),
            Err(InvalidAddress)
        );
    }
}
