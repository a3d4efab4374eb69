//! Kith, a self-hosted instant-messaging server: one program, one port, one thread for all sockets.
//!
//! This is the tour; read the modules in this order.
//!
//! 1. [`chat::command`] and [`chat::event`]: what clients ask and what the server tells. Everything
//!    else is about getting from the one to the other.
//! 2. [`chat::hub`]: the state machine in the middle. It does no I/O, so it can be read, tested and
//!    replayed as a function of its inputs.
//! 3. [`event_loop`]: the thread that turns the crank, one screen per tick.
//! 4. [`conn`]: how bytes become messages, and messages bytes, without a socket in sight.
//! 5. [`store`]: how a message comes to the disk before anybody hears of it.
//! 6. [`wire`], [`auth`], [`page`]: payloads, proofs, the web client.
//! 7. [`app`]: how the parts are put together.
//!
//! Below all of them are the words ([`ids`]), the bounds ([`limits`]), time as a value ([`clock`])
//! and the numbers ([`metrics`]).
//!
#![doc = include_str!("ARCHITECTURE.md")]
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
