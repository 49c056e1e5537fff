//! System calls without a safe wrapper: moving a thread between network namespaces.

#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Moves the calling thread, and only it, to a new network namespace.
pub fn new_network_namespace() -> io::Result<()> {
    // SAFETY: the call takes no pointers and changes nothing that Rust code relies on.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

/// Moves the calling thread, and only it, to the network namespace that `namespace` is open on.
pub fn enter_network_namespace(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the call, which takes no pointers.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// Sends a signal to a process that the caller has started and not yet waited for.
pub fn signal(pid: u32, signal: libc::c_int) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: the call takes no pointers; an unreaped child's id is not reused.
    check(unsafe { libc::kill(pid, signal) })
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
