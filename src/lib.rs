//! Kith, a self-hosted instant-messaging server.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod app;
pub mod auth;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod conn;
pub mod event_loop;
pub mod ids;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod page;
pub mod signals;
pub mod store;
pub mod wire;
