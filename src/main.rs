//! The program `kith`: reads what was typed, and lets `app` do it.
//!
//! Floor 5. Exit codes are documented in `cli/args.rs` and decided in `app.rs`.

use std::process::ExitCode;

use clap::Parser;
use kith::app;
use kith::cli::args::{Args, Environment};

fn main() -> ExitCode {
    app::run(&Args::parse(), &Environment::read())
}
