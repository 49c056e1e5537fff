//! The wire API, generated from `../proto/` by the build script.

#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::restriction,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    reason = "generated code"
)]

include!(concat!(env!("OUT_DIR"), "/pb.rs"));

pub use io::linkerd::proxy::{
    destination, grpc_route, http_route, http_types, identity, inbound, meta, net, opaque_route,
    outbound, tap, tls_route, transport,
};
pub use mesh::identity::v1 as trust;
