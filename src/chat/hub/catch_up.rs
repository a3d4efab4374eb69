//! How a listener who is behind comes to the head, and the seam where it becomes live.
//!
//! A session is behind when it returns with a cursor, or when its outbox is over the soft limit. It
//! then gets nothing of what is said, only pages of the log, each when the one before has left its
//! outbox, so that it is served exactly as fast as it reads. **The seam:** a page is cut at the
//! head, and in the very step in which a page brings `next` to `head + 1` the session joins the
//! live list; the following entry is fanned out after that step, so it is neither missed nor
//! doubled. The one thing that moves `next` besides is the answer to a message of her own, where it
//! stands for the entry (`stands_for` in `talk`).
//!
//! Whatever a client does, at most one question of its session is with the store. An answer to a
//! question that was overtaken (by another `hello`) is dropped, and what is lacking now is asked.

use super::sessions::{Pending, Place, Wait};
use super::{Hub, Later, Looked, Output, Stopping};
use crate::chat::command::Cursor;
use crate::chat::durable::Read;
use crate::chat::event::{Event, HoleReason, Presence};
use crate::chat::refusal::Refusal;
use crate::clock::Now;
use crate::ids::{ConnId, Seq, Tag};
use crate::limits::BUSY_RETRY;

impl Hub {
    /// Everything up to the head was handed to this connection.
    pub(super) fn go_live(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        session.place = Place::Live(self.lobby.join(conn));
        if std::mem::take(&mut session.missed) {
            let total = self.people.len() as u32;
            let event = Event::Presence(Presence {
                total,
                refresh: true,
                ..Presence::default()
            });
            self.outputs.push_back(Output::Push { to: conn, event });
        }
    }

    /// Hears nothing more of the lobby, and is not brought anything either.
    pub(super) fn fall_silent(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let place = std::mem::replace(&mut session.place, Place::Absent);
        if let Place::Live(slot) = place
            && let Some(moved) = self.lobby.leave(conn, slot)
            && let Some(session) = self.sessions.get_mut(moved)
        {
            session.place = Place::Live(slot);
        }
    }

    /// The outbox of a live listener is over the soft limit. What is in there was fanned out in
    /// order, so the first entry that it lacks is the next one.
    pub(super) fn put_behind(&mut self, conn: ConnId) {
        let live = self.sessions.get(conn).map(|session| session.place);
        if !matches!(live, Some(Place::Live(_))) {
            return;
        }
        self.fall_silent(conn);
        let next = self.lobby.standing.head.next();
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        session.place = Place::Behind(next, Wait::Room);
        session.missed = true;
        self.outputs.push_back(Output::AwaitDrain { conn });
    }

    /// See `talked`: the answer to what cannot happen.
    pub(super) fn everybody_behind(&mut self) {
        let live = self.lobby.live().to_vec();
        live.into_iter().for_each(|conn| self.put_behind(conn));
    }

    /// Takes up the log behind the client's cursor, if it is a cursor of this log.
    pub(super) fn resume_at(&mut self, conn: ConnId, cursor: &Cursor) {
        let standing = &self.lobby.standing;
        let head = standing.head;
        if cursor.epoch != standing.epoch || cursor.seq > head {
            return self.reset(conn);
        }
        // Before the first entry there is nothing to compare. A log without history has an epoch
        // for each life, and a client that was told a hole up to the head never learned its tag.
        if cursor.seq == Seq::ZERO || !standing.durable {
            return self.bring(conn, cursor.seq.next());
        }
        if cursor.seq == head {
            return match cursor.tag == standing.tag {
                true => self.bring(conn, cursor.seq.next()),
                false => self.reset(conn),
            };
        }
        self.set_behind(conn, cursor.seq.next(), Wait::Cursor(cursor.tag));
        self.ask(conn);
    }

    /// Asks the store what this listener lacks, unless an earlier question of it is still there.
    fn ask(&mut self, conn: ConnId) {
        let conv = self.lobby.conv();
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let Place::Behind(next, wait) = session.place else {
            return;
        };
        let read = match wait {
            Wait::Cursor(tag) => Read::Cursor {
                conv,
                seq: next.prev(),
                tag,
            },
            Wait::Page => Read::Page { conv, next },
            Wait::Room | Wait::Store => return,
        };
        // Who is about to be sent home need not be brought anything first.
        if session.asking || self.stopping != Stopping::No {
            return;
        }
        session.asking = true;
        let ticket = self.ticket(Pending::CatchUp { conn, next, wait });
        self.outputs.push_back(Output::Fetch { ticket, read });
    }

    /// There is room for what comes next.
    pub(super) fn drained(&mut self, conn: ConnId) {
        if let Some(Place::Behind(next, Wait::Room)) = self.place(conn) {
            self.bring(conn, next);
        }
    }

    /// The store may be less busy by now.
    pub(super) fn ask_again(&mut self, conn: ConnId) {
        match self.place(conn) {
            Some(Place::Behind(next, Wait::Store)) => self.bring(conn, next),
            Some(Place::Behind(_, Wait::Cursor(_))) => self.ask(conn),
            _ => {}
        }
    }

    fn place(&self, conn: ConnId) -> Option<Place> {
        self.sessions.get(conn).map(|session| session.place)
    }

    /// Brings a listener on from `next`: by a hole, by a page, or into the live list.
    fn bring(&mut self, conn: ConnId, mut next: Seq) {
        let standing = &self.lobby.standing;
        let (conv, head, floor, durable) = (
            standing.conv,
            standing.head,
            standing.floor,
            standing.durable,
        );
        let head_tag = standing.tag;
        let (gap_end, reason) = if durable {
            (floor.prev().min(head), HoleReason::Retention)
        } else {
            (head, HoleReason::NoHistory)
        };
        if next <= gap_end {
            let event = Event::Hole {
                conv,
                from: next,
                to: gap_end,
                reason,
                tag: if gap_end == head { head_tag } else { Tag(0) },
            };
            self.outputs.push_back(Output::Push { to: conn, event });
            next = gap_end.next();
        }
        if next > head {
            return self.go_live(conn);
        }
        self.set_behind(conn, next, Wait::Page);
        self.ask(conn);
    }

    /// What was looked up for a listener that lacked `next` is here.
    pub(super) fn refilled(
        &mut self,
        conn: ConnId,
        (next, wait): (Seq, Wait),
        result: Result<Looked, Refusal>,
        now: Now,
    ) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        session.asking = false;
        if session.place != Place::Behind(next, wait) {
            return self.ask(conn);
        }
        match (wait, result) {
            (Wait::Cursor(_), Ok(Looked::Cursor { matches: true })) => self.bring(conn, next),
            (Wait::Cursor(_), Ok(Looked::Cursor { matches: false })) => self.reset(conn),
            (Wait::Page, Ok(Looked::Page { first, last, floor })) => {
                self.raise_floor(floor);
                self.page_found(conn, next, (first, last), now);
            }
            // The store is busy, or could not read. The listener keeps its place and asks again.
            (_, _) => self.ask_later(conn, next, wait, now),
        }
    }

    fn page_found(&mut self, conn: ConnId, next: Seq, (first, last): (Seq, Seq), now: Now) {
        let head = self.lobby.standing.head;
        let upto = last.min(head);
        if first <= next && next <= upto {
            let conv = self.lobby.conv();
            self.outputs.push_back(Output::SendPage {
                to: conn,
                conv,
                from: next,
                upto,
            });
            let next = upto.next();
            if next > head {
                return self.go_live(conn);
            }
            self.set_behind(conn, next, Wait::Room);
            self.outputs.push_back(Output::AwaitDrain { conn });
        } else if next < self.lobby.standing.floor {
            // Retention overtook it; the hole is told, and the next page begins behind it.
            self.bring(conn, next);
        } else {
            self.ask_later(conn, next, Wait::Page, now);
        }
    }

    fn ask_later(&mut self, conn: ConnId, next: Seq, wait: Wait, now: Now) {
        if wait == Wait::Page {
            self.set_behind(conn, next, Wait::Store);
        }
        self.later
            .push_back((now.mono.after(BUSY_RETRY), Later::CatchUp(conn)));
    }

    fn set_behind(&mut self, conn: ConnId, next: Seq, wait: Wait) {
        if let Some(session) = self.sessions.get_mut(conn) {
            debug_assert!(
                !matches!(session.place, Place::Live(_)),
                "not in the list any more"
            );
            session.place = Place::Behind(next, wait);
            session.missed = true;
        }
    }
}
