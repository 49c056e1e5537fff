//! Integration tests in network namespaces: the real binary, real redirect rules, real sockets.

#[path = "../support/support.rs"]
mod support;

mod control_plane;
mod discovery;
mod hostile;
mod http_forms;
mod identity;
mod lifecycle;
mod meshed;
mod outbound;
mod policy;
mod redirect;
mod smuggling;
mod validate_network;
mod wire;
