//! Ctrl-C and SIGTERM, to the swarm.
//!
//! The first asks for the verdict on what was said so far. The second ends the process at once, by
//! the handler itself, whatever hangs; a server that the swarm started is then killed by the kernel
//! (`serving.rs`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook_mio::v1_0::Signals;

use crate::failure::Failure;

/// Readable when there was a signal.
pub struct Interrupts(Signals);

impl Interrupts {
    /// Takes both over, for the rest of the process's life.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> Result<Self, Failure> {
        let system = |error| Failure::System("asking for signals", error);
        let signals = Signals::new([SIGINT, SIGTERM]).map_err(system)?;
        let asked = Arc::new(AtomicBool::new(false));
        // A handler runs its actions as they were registered: the first signal finds `asked` still
        // false, and sets it.
        for signal in [SIGINT, SIGTERM] {
            let again = asked.clone();
            flag::register_conditional_shutdown(signal, 128 + signal, again).map_err(system)?;
            flag::register(signal, asked.clone()).map_err(system)?;
        }
        Ok(Self(signals))
    }

    /// Whether there was one since the last call; never waits.
    pub fn asked(&mut self) -> bool {
        self.0.pending().count() > 0
    }
}

impl Source for Interrupts {
    fn register(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.0.register(to, token, interest)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.0.reregister(to, token, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.0.deregister(from)
    }
}
