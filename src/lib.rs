//! Kith, a self-hosted instant-messaging server.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod chat;
pub mod clock;
pub mod ids;
pub mod limits;
pub mod metrics;
pub mod page;
