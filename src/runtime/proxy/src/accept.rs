//! Listening sockets, and where the connections that they accept were headed.

use std::{io, net::SocketAddr, os::fd::AsFd, time::Duration};

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::{addr::canonical, config::SocketConfig, sys};

/// Accept errors such as running out of files pass; until then there is no point in spinning.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// An accepted connection.
#[derive(Debug)]
pub struct Accepted {
    pub tcp: TcpStream,
    pub client: SocketAddr,
    /// Where the client meant to go; our own address if no rule redirected it.
    pub original_dst: SocketAddr,
}

/// Binds a listener. `shared` lets several workers listen on one port, each with its own queue.
pub fn bind(
    addr: SocketAddr,
    backlog: Option<u32>,
    shared: bool,
) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if addr.is_ipv6() {
        // The wildcard takes IPv4 too; any other address is of its own family only.
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog.and_then(|b| b.try_into().ok()).unwrap_or(4096))?;
    Ok(socket.into())
}

/// The next connection. Errors are logged and waited out.
pub async fn accept(listener: &TcpListener, options: SocketConfig) -> Accepted {
    loop {
        match listener.accept().await {
            Ok((tcp, client)) => match original_dst(&tcp) {
                Ok(original_dst) => {
                    set_options(&tcp, options);
                    return Accepted {
                        tcp,
                        client: canonical(client),
                        original_dst,
                    };
                }
                Err(error) => tracing::debug!(%client, %error, "no original destination"),
            },
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(code = "MESH_PROXY_ACCEPT", %error, "cannot accept");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

/// Applies what was configured. Options are a help, not a need: failures are ignored.
pub fn set_options(tcp: &TcpStream, options: SocketConfig) {
    let _ = tcp.set_nodelay(true);
    let socket = socket2::SockRef::from(tcp);
    if let Some(keep_alive) = options.keep_alive {
        let keep_alive = TcpKeepalive::new()
            .with_time(keep_alive)
            .with_interval(keep_alive);
        let _ = socket.set_tcp_keepalive(&keep_alive);
    }
    if options.user_timeout.is_some() {
        let _ = socket.set_tcp_user_timeout(options.user_timeout);
    }
}

fn original_dst(tcp: &TcpStream) -> io::Result<SocketAddr> {
    let local = tcp.local_addr()?;
    match sys::original_dst(tcp.as_fd(), local) {
        Ok(addr) => Ok(canonical(addr)),
        Err(error) if is_not_redirected(&error) => Ok(canonical(local)),
        Err(error) => Err(error),
    }
}

/// Without a redirect, or without connection tracking at all, the kernel knows no original
/// destination.
fn is_not_redirected(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENOPROTOOPT | libc::EOPNOTSUPP | libc::EINVAL)
    )
}

/// Errors that concern one connection, which is gone already.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
