//! The store: what any engine must do, what the built-in one does besides, and what happens when
//! the disk fails or the process dies.

#![allow(clippy::unwrap_used)]

mod contract;
mod faults;
mod faulty;
mod ground;
mod kill;
mod lanes;
mod model;
mod sqlite;
