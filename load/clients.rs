//! What the engine drives: a set of clients without sockets and without a clock.
//!
//! A set numbers its clients from 0 on, for good. It says which sockets to open and to drop, is
//! given the bytes that come, and shows the bytes that are to go. The engine is compiled once for
//! each kind of set, so that none pays for a call through a table.

use std::io::{self, IoSlice};

use kith::clock::Moment;
use kith::limits::WRITE_PIECES;

use crate::breaks::Kind;
use crate::crowd::{Action, Phase};
use crate::failure::Failure;
use crate::numbers::Numbers;
use crate::schedule::Pace;
use crate::verdict::Verdict;

/// A set of clients. See the module.
pub trait Clients {
    /// Does what is due.
    fn tick(&mut self, now: Moment);

    /// When [`Clients::tick`] has to be called, if nothing happens before.
    fn next_tick(&self, now: Moment) -> Moment;

    /// What is to be done with sockets, in order.
    fn poll_action(&mut self) -> Option<Action>;

    /// How many bytes may be read for a client now. With 0 there will be an [`Action::Read`].
    fn room(&mut self, _client: u32, _now: Moment) -> usize {
        usize::MAX
    }

    /// How many bytes the kernel may hold of what a client has not read, if that matters.
    fn receive_buffer(&self, _client: u32) -> Option<usize> {
        None
    }

    /// Bytes came for a client.
    fn received(&mut self, client: u32, bytes: &[u8], now: Moment);

    /// A client's socket came to its end.
    fn ended(&mut self, client: u32, now: Moment);

    /// A client's socket could not be connected.
    fn unreachable(&mut self, client: u32, error: io::Error, now: Moment);

    /// Those who have something to write, since the last call.
    fn take_dirty(&mut self, into: &mut Vec<u32>);

    /// What a client has to write, for one `writev`; returns how many pieces there are.
    fn slices<'a>(&'a self, client: u32, into: &mut [IoSlice<'a>; WRITE_PIECES]) -> usize;

    /// So much of it was taken.
    fn wrote(&mut self, client: u32, taken: usize);

    /// The server is told to end, or is killed. Of interest to who can resume.
    fn server_leaves(&mut self, _kind: Kind, _now: Moment) {}

    /// It is gone, and another one was started.
    fn server_renewed(&mut self) {}

    /// That can be reached.
    fn server_up(&mut self, _now: Moment) {}

    /// Nothing more is due: what was said so far is all that counts.
    fn stop(&mut self, now: Moment);

    /// When it is over: talks again, at this pace.
    fn again(&mut self, pace: Pace, now: Moment);

    /// Whether everybody has everything, and every message an answer.
    fn has_all(&self) -> bool;

    /// Messages refused so far.
    fn refused(&self) -> u64;

    /// How far the run is.
    fn phase(&self) -> &Phase;

    /// How many are in.
    fn inside(&self) -> u32;

    /// What was counted so far.
    fn numbers(&self) -> &Numbers;

    /// Faults found so far, of any kind. Some are only found when the books are closed.
    fn faults(&self) -> u64 {
        0
    }

    /// Why the run cannot go on, if it cannot.
    fn take_failure(&mut self) -> Option<Failure>;

    /// Closes the books.
    fn finish(self) -> (Numbers, Verdict)
    where
        Self: Sized;
}
