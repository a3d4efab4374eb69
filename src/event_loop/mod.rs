//! The event loop.

pub mod backend;
pub mod exchange;
mod http;
pub mod pages;
pub mod peer;
mod reading;
mod telling;

pub use backend::{Backend, NoStore, Taken};
pub use exchange::{Exchange, Readiness, Setup};
pub use peer::Socket;
