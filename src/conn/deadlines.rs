//! When a connection has to be looked at although nothing came.
//!
//! Floor 2, part of `conn`. Moments only; what is due at them is decided by the stage. One moment
//! stands for the stage (handshake, sign-in, end), the rest are derived from when something was
//! last heard, and last taken.

use crate::clock::Moment;
use crate::limits::{GONE_AFTER, PING_AFTER, STALL_WAIT};

const NEVER: Moment = Moment(u64::MAX);

/// The moments of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// When the stage has taken too long.
    stage: Moment,
    /// When the peer was last heard.
    heard: Moment,
    /// Since when bytes wait and none is taken; counted from the first attempt to write them.
    stuck: Moment,
}

/// What the silence of a peer calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    Fine,
    /// Ask whether somebody is there.
    Ping,
    /// Nobody is.
    Gone,
}

impl Deadlines {
    pub(super) const fn new(now: Moment, stage: Moment) -> Self {
        Self {
            stage,
            heard: now,
            stuck: NEVER,
        }
    }

    /// Sets when the present stage has taken too long.
    pub(super) const fn stage_until(&mut self, at: Moment) {
        self.stage = at;
    }

    /// The stage may take as long as it likes.
    pub(super) const fn stage_unbounded(&mut self) {
        self.stage = NEVER;
    }

    pub(super) fn stage_is_over(&self, now: Moment) -> bool {
        self.stage <= now
    }

    /// Any byte counts as a sign of life.
    pub(super) const fn heard(&mut self, now: Moment) {
        self.heard = now;
    }

    /// What to do at `now`, with so many pings sent since the peer was last heard.
    pub(super) fn silence(&self, now: Moment, pings: u8) -> Silence {
        if now >= self.heard.after(GONE_AFTER) {
            Silence::Gone
        } else if now >= self.next_ping(pings) {
            Silence::Ping
        } else {
            Silence::Fine
        }
    }

    /// Takes note of an attempt to write, which left bytes or did not.
    pub(super) fn wrote(&mut self, taken: usize, left: usize, now: Moment) {
        if left == 0 {
            self.stuck = NEVER;
        } else if taken > 0 || self.stuck == NEVER {
            self.stuck = now;
        }
    }

    pub(super) fn is_stuck(&self, now: Moment) -> bool {
        self.stuck.after(STALL_WAIT) <= now
    }

    /// When the stage has taken too long, if it is bounded.
    pub(super) fn stage(&self) -> Option<Moment> {
        (self.stage != NEVER).then_some(self.stage)
    }

    /// The next moment at which the stage or the outbox may be overdue.
    pub(super) fn without_pings(&self) -> Option<Moment> {
        let at = self.stage.min(self.stuck.after(STALL_WAIT));
        (at != NEVER).then_some(at)
    }

    /// The same, or the next ping if that comes first.
    pub(super) fn with_pings(&self, pings: u8) -> Option<Moment> {
        let silence = self.next_ping(pings).min(self.heard.after(GONE_AFTER));
        let other = self.without_pings().unwrap_or(NEVER);
        Some(silence.min(other))
    }

    fn next_ping(&self, pings: u8) -> Moment {
        self.heard.after(PING_AFTER * (u32::from(pings) + 1))
    }
}
