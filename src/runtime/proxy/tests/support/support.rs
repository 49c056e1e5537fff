//! What the integration tests stand on: private namespaces, pods, a fake control plane,
//! applications and their clients.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    unreachable_pub,
    reason = "one level of visibility is enough for test support"
)]

pub mod app;
pub mod authority;
pub mod capture;
pub mod client;
pub mod control;
pub mod eventually;
pub mod grpc;
pub mod isolated;
pub mod mesh;
pub mod metrics;
pub mod network;
pub mod pb;
pub mod proxy;
pub mod scenario;
pub mod serve;
pub mod sys;
pub mod tls;
pub mod world;
