//! What the integration tests stand on: private namespaces, pods, a fake control plane,
//! applications and their clients.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    unreachable_pub,
    reason = "one level of visibility is enough for test support"
)]

pub mod isolated;
pub mod network;
pub mod sys;
