//! Kith, a self-hosted instant-messaging server.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod app;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod ids;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod signals;
