//! The simulation: the whole server minus the kernel, in a world that a seed decides.
//!
//! ```text
//! device.rs, hearing.rs   clients, written against the protocol; ledger.rs: what one of them has
//!     | frames.rs
//! network.rs              bytes in pieces, stalls, resets, darkness
//!     |
//! server.rs               the real exchange, hub, wire, connections, writer and SQLite
//!     | disk.rs           failing statements, commits, processes; the book of what was committed
//! oracle.rs               what everybody was told, put together and held against that book
//! world.rs, people.rs     what happens next
//! rest.rs                 whether everything comes to rest in the end, as it ought to be
//! ```

mod counts;
mod device;
mod dice;
mod disk;
mod frames;
mod hearing;
mod ledger;
mod network;
mod oracle;
mod people;
mod rest;
mod server;
mod world;

pub use counts::Counts;
pub use world::World;
