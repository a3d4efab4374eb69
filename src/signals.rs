//! The signals that end the server.
//!
//! Floor 4. SIGINT (Ctrl-C) and SIGTERM wake the loop through a pipe of signal-hook and ask it to
//! drain; a second one of either ends the process at once with 128 plus its number, also when the
//! loop hangs, because the handler itself does that. What draining is, others know.
//!
//! SIGPIPE is ignored, as Rust's own start-up does for every program: writing to a closed socket
//! is an error of that socket. SIGHUP keeps its default, the end, until there is something to
//! reload.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook_mio::v1_0::Signals as Pipe;

use crate::event_loop::Stop;

/// What the operator asks of a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Let everybody go, and end.
    Stop,
}

/// Readable when there is something in [`Signals::pending`].
pub struct Signals {
    pipe: Pipe,
}

impl Signals {
    /// Takes SIGINT and SIGTERM over, for the whole process and for the rest of its life.
    ///
    /// # Errors
    /// When the process has no file descriptor left for the pipe.
    pub fn new() -> io::Result<Self> {
        let pipe = Pipe::new([SIGINT, SIGTERM])?;
        let asked = Arc::new(AtomicBool::new(false));
        // In this order: a handler runs its actions as they were registered, so the first signal
        // finds `asked` still false, and sets it.
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, asked.clone())?;
            flag::register(signal, asked.clone())?;
        }
        Ok(Self { pipe })
    }

    /// What arrived since the last call; never waits.
    pub fn pending(&mut self) -> impl Iterator<Item = Signal> {
        self.pipe.pending().map(|_| Signal::Stop)
    }
}

impl Stop for Signals {
    fn asked(&mut self) -> bool {
        self.pending().count() > 0
    }
}

impl Source for Signals {
    fn register(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.pipe.register(to, token, interest)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.pipe.reregister(to, token, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.pipe.deregister(from)
    }
}
