//! Integration tests in network namespaces: the real binary, real redirect rules, real sockets.

#[path = "../support/support.rs"]
mod support;

mod redirect;
mod validate_network;
