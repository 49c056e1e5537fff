//! HTTP: messages between connections of either version.

pub mod body;
pub mod canonical;
pub mod filter;
pub mod headers;
pub mod multiplex;
pub mod observe;
pub mod pool;
pub mod replay;
pub mod respond;
pub mod revoke;
pub mod server;
pub mod timer;
pub mod transfer;
pub mod upstream;

pub use self::{body::Body, respond::Fault};
