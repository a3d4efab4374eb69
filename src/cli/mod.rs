//! What the operator says: the command line, the settings and where they come from.
//!
//! Floor 5. Flags, environment and files become one [`config::Config`], which is the only thing that
//! the rest of the server sees. Nothing here opens a socket or a database.

pub mod args;
pub mod check;
pub mod config;
pub mod layers;
pub mod settings;
