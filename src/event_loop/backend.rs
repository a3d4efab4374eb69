//! What the loop asks of the store, and no more.
//!
//! Floor 3. In the server this is the store's mailboxes; in a simulation the store itself, and in a
//! benchmark of fan-out nothing at all. Answers come back as inputs of the exchange.

use crate::chat::durable::{Read, Write};
use crate::ids::Ticket;
use crate::store::{Lanes, Unsent};

/// Takes jobs and never waits.
pub trait Backend {
    /// Takes a write, whose answer will name the ticket.
    fn submit(&mut self, ticket: Ticket, write: Write) -> Taken;

    /// Takes a read, whose answer will name the ticket.
    fn fetch(&mut self, ticket: Ticket, read: Read) -> Taken;
}

/// Whether a mailbox had room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// The answer will come.
    Taken,
    /// No room, or nobody there; nothing will come.
    Full,
}

/// A server whose lobby keeps nothing has nothing to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl Backend for NoStore {
    fn submit(&mut self, _: Ticket, _: Write) -> Taken {
        Taken::Full
    }

    fn fetch(&mut self, _: Ticket, _: Read) -> Taken {
        Taken::Full
    }
}

impl Backend for Lanes {
    fn submit(&mut self, ticket: Ticket, write: Write) -> Taken {
        taken(self.write(ticket, write))
    }

    fn fetch(&mut self, ticket: Ticket, read: Read) -> Taken {
        taken(self.read(ticket, read))
    }
}

/// A lane that has died is told as `Answer::Fatal`; until that is read it counts as full.
fn taken<J>(sent: Result<(), Unsent<J>>) -> Taken {
    match sent {
        Ok(()) => Taken::Taken,
        Err(Unsent::Full(_) | Unsent::Closed(_)) => Taken::Full,
    }
}
