//! System calls without a safe wrapper: the only unsafe code of the crate.

#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::{
    io, mem,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, BorrowedFd},
};

/// `SO_ORIGINAL_DST` of `linux/netfilter_ipv4.h` and `IP6T_SO_ORIGINAL_DST`: both 80.
const SO_ORIGINAL_DST: libc::c_int = 80;

/// Where a connection was headed before a redirect rule turned it to us.
///
/// A socket that listens on an IPv6 wildcard can hold an IPv4 connection; the kernel then answers
/// only to the IPv4 question, so `local` (the socket's own address) decides which one to ask.
/// `ErrorKind::NotFound` means that no rule touched the connection.
pub fn original_dst(socket: BorrowedFd<'_>, local: SocketAddr) -> io::Result<SocketAddr> {
    if local.ip().to_canonical().is_ipv4() {
        let addr: libc::sockaddr_in = query(socket, libc::SOL_IP)?;
        let ip = Ipv4Addr::from(u32::from_be(addr.sin_addr.s_addr));
        Ok(SocketAddr::V4(SocketAddrV4::new(
            ip,
            u16::from_be(addr.sin_port),
        )))
    } else {
        let addr: libc::sockaddr_in6 = query(socket, libc::SOL_IPV6)?;
        let ip = Ipv6Addr::from(addr.sin6_addr.s6_addr);
        Ok(SocketAddr::V6(SocketAddrV6::new(
            ip,
            u16::from_be(addr.sin6_port),
            0,
            0,
        )))
    }
}

fn query<T>(socket: BorrowedFd<'_>, level: libc::c_int) -> io::Result<T> {
    let mut addr = mem::MaybeUninit::<T>::zeroed();
    let size = size_of::<T>();
    let mut len = libc::socklen_t::try_from(size).unwrap_or(0);
    // SAFETY: `addr` is valid for writes of `len` bytes, `len` is an exclusive reference, and the
    // descriptor is borrowed for the duration of the call.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            SO_ORIGINAL_DST,
            addr.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    if usize::try_from(len).is_ok_and(|len| len < size) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "short original destination",
        ));
    }
    // SAFETY: zeroed memory is a valid socket address structure, and the kernel has filled it.
    Ok(unsafe { addr.assume_init() })
}

/// Raises the soft limit of open files to the hard one: every proxied connection takes two.
pub fn raise_open_files_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid, exclusively borrowed structure.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid structure that the call only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// Clock ticks per second and the page size in bytes, the units of `/proc/self/stat`.
pub fn clock_ticks_and_page_size() -> (u64, u64) {
    // SAFETY: `sysconf` has no preconditions.
    let (ticks, page) = unsafe {
        (
            libc::sysconf(libc::_SC_CLK_TCK),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    (
        u64::try_from(ticks).unwrap_or(100),
        u64::try_from(page).unwrap_or(4096),
    )
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsFd};

    use super::*;

    #[test]
    fn a_connection_without_redirect_has_no_original_destination() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(local).unwrap();
        let (server, _) = listener.accept().unwrap();
        // With connection tracking the kernel names the socket's own address instead.
        match original_dst(server.as_fd(), local) {
            Ok(addr) => assert_eq!(addr, local),
            Err(error) => assert!(
                matches!(error.kind(), io::ErrorKind::NotFound)
                    || error.raw_os_error() == Some(libc::ENOPROTOOPT),
                "{error}"
            ),
        }
    }
}
