//! The mesh data plane: a transparent proxy beside every pod.
//!
//! `app` wires everything; `inbound` and `outbound` read like the way of a connection; the modules
//! below them do one thing each.

pub mod accept;
pub mod addr;
pub mod admin;
pub mod app;
pub mod backoff;
pub mod balance;
pub mod config;
pub mod connect;
pub mod control;
pub mod detect;
pub mod drain;
pub mod http;
pub mod identity;
pub mod inbound;
pub mod io;
pub mod meta;
pub mod metrics;
pub mod outbound;
pub mod pb;
pub mod policy;
pub mod race;
pub mod redirect;
pub mod rng;
pub mod route;
pub mod sys;
pub mod tcp;
pub mod telemetry;
pub mod tls;
pub mod transport;
pub mod validate_network;

/// The version that `--version` and `proxy_build_info` tell.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
