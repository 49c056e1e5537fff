//! The mesh data plane: a transparent proxy beside every pod.

pub mod redirect;
pub mod validate_network;

/// The version that `--version` and `proxy_build_info` tell.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
