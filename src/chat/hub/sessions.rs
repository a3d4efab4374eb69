//! Sessions: one for each upgraded connection, found by its [`ConnId`].

use std::sync::Arc;

use super::{Folded, Hub, Later, Looked, Output, Stopping, busy};
use crate::chat::bucket::Address;
use crate::chat::closing::CloseCode;
use crate::chat::durable::{Read, Write, WriteResult};
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::{Moment, Now};
use crate::ids::{ConnId, PublicId, Seq, Tag, Ticket};
use crate::limits::{BUSY_RETRY, IN_FLIGHT};

/// What the hub keeps of a connection. Ten thousand of these are idle most of the time: their size
/// is held by a test.
#[derive(Debug)]
pub(super) struct Session {
    serial: u32,
    pub(super) stage: Stage,
    pub(super) place: Place,
    /// Changes of presence passed this session by while it was behind.
    pub(super) missed: bool,
    /// Whether its commands are taken from the socket.
    pub(super) reading: Reading,
    /// The store was asked something for it while it is behind, and has not answered yet.
    pub(super) asking: bool,
    /// Commands that are on their way through the store.
    pub(super) in_flight: u32,
    pub(super) address: Address,
    pub(super) commands_full: Moment,
    pub(super) talk_full: Moment,
    pub(super) typed_at: Moment,
    /// Foldings of the names it watches; most watch nobody.
    pub(super) watched: Option<Box<[Folded]>>,
}

/// Who somebody is, so far.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nobody yet; this is who it will be if it signs in as somebody new.
    Nameless(PublicId),
    /// Found in [`super::People`] under this folding.
    Named(Folded),
    /// Said `exit`, and waits for the answers that are still due.
    Leaving,
}

/// Whether a session is read, and if not, until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is.
    On,
    /// Not until half of [`IN_FLIGHT`] is answered.
    Full,
    /// Not until [`BUSY_RETRY`] has passed, whatever is answered meanwhile: it was told so.
    Busy,
}

/// Where a session stands in the log of the lobby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It does not listen.
    Absent,
    /// In [`crate::chat::log::Log::live`], at this slot.
    Live(u32),
    /// Behind: `next` is the first entry that it lacks.
    Behind(Seq, Wait),
}

/// What a session that is behind waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Its cursor being compared with the log; this is the cursor's tag.
    Cursor(Tag),
    /// A page.
    Page,
    /// Its outbox to drain.
    Room,
    /// A store that is less busy.
    Store,
}

/// What an answer of the store is for.
#[derive(Debug)]
pub(super) enum Pending {
    /// A command that changes something, and who waits for it.
    Write { conn: ConnId, request: u32 },
    /// A command that changes nothing.
    Look { conn: ConnId, request: u32 },
    /// A listener that is behind, and what it lacked when the question was asked.
    CatchUp { conn: ConnId, next: Seq, wait: Wait },
}

impl Session {
    /// The folding of its name, once it has one.
    pub(super) fn name(&self) -> Option<&Folded> {
        match &self.stage {
            Stage::Named(folded) => Some(folded),
            Stage::Nameless(_) | Stage::Leaving => None,
        }
    }
}

/// All sessions, by the slab index of their connection: as dense as the slab itself, and a stale id
/// finds nobody.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    slots: Vec<Option<Session>>,
    named: usize,
}

impl Sessions {
    pub(super) fn insert(&mut self, conn: ConnId, address: Address, fresh: PublicId) {
        let index = conn.index as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        debug_assert!(
            self.slots[index].is_none(),
            "the connection before it was closed"
        );
        self.slots[index] = Some(Session {
            serial: conn.serial,
            stage: Stage::Nameless(fresh),
            place: Place::Absent,
            missed: false,
            reading: Reading::On,
            asking: false,
            in_flight: 0,
            address,
            commands_full: Moment::default(),
            talk_full: Moment::default(),
            typed_at: Moment::default(),
            watched: None,
        });
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&Session> {
        self.slots
            .get(conn.index as usize)?
            .as_ref()
            .filter(|one| one.serial == conn.serial)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Session> {
        self.slots
            .get_mut(conn.index as usize)?
            .as_mut()
            .filter(|one| one.serial == conn.serial)
    }

    pub(super) fn take(&mut self, conn: ConnId) -> Option<Session> {
        self.get(conn)?;
        self.slots[conn.index as usize].take()
    }

    /// Gives back the room behind the last one.
    pub(super) fn shrink(&mut self) {
        let used = self.slots.iter().rposition(Option::is_some);
        self.slots.truncate(used.map_or(0, |last| last + 1));
        self.slots.shrink_to_fit();
    }

    /// Counts one more or one less with a name.
    pub(super) const fn count_named(&mut self, one: Named) {
        match one {
            Named::More => self.named += 1,
            Named::Less => self.named -= 1,
        }
    }

    pub(super) const fn signed_in(&self) -> usize {
        self.named
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Session)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let session = slot.as_ref()?;
            Some((
                ConnId {
                    index: index as u32,
                    serial: session.serial,
                },
                session,
            ))
        })
    }
}

/// See [`Sessions::count_named`].
pub(super) enum Named {
    More,
    Less,
}

impl Hub {
    pub(super) fn opened(
        &mut self,
        conn: ConnId,
        address: Address,
        fresh: PublicId,
        name: Option<String>,
        now: Now,
    ) {
        self.sessions.insert(conn, address, fresh);
        if self.stopping == Stopping::Done {
            // Everybody else was sent home already.
            let code = CloseCode::Restart;
            return self.outputs.push_back(Output::Close { conn, code });
        }
        let Some(name) = name else { return };
        if self.stopping != Stopping::No {
            return self.refuse(conn, 0, super::stopping());
        }
        let hello = crate::chat::command::Hello {
            name,
            ..Default::default()
        };
        // A name that does not fit leaves the connection open: a `hello` with another may follow.
        if let Err(refusal) = self.hello(conn, 0, &hello, now) {
            self.refuse(conn, 0, refusal.field("username"));
        }
    }

    /// The connection is gone. What it had under way goes on, and is told to everybody else.
    pub(super) fn closed(&mut self, conn: ConnId, now: Now) {
        self.fall_silent(conn);
        self.unwatch(conn);
        self.untold.remove(&conn);
        let Some(session) = self.sessions.take(conn) else {
            return;
        };
        if let Stage::Named(folded) = session.stage {
            self.sessions.count_named(Named::Less);
            self.people.lost(&folded, conn, now.mono);
        }
    }

    /// Off the list at once; closed once everything that was asked before is answered.
    pub(super) fn exit(&mut self, conn: ConnId, now: Now) {
        self.fall_silent(conn);
        self.unwatch(conn);
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        session.reading = Reading::Full;
        if let Stage::Named(folded) = std::mem::replace(&mut session.stage, Stage::Leaving) {
            self.sessions.count_named(Named::Less);
            self.people.left(&folded, conn, now.mono);
        }
        self.outputs.push_back(Output::Pause { conn });
        self.close_when_answered(conn);
    }

    pub(super) fn written(&mut self, ticket: Ticket, result: WriteResult, now: Now) {
        let Some(Pending::Write { conn, request }) = self.pending.remove(&ticket) else {
            return;
        };
        let busy = matches!(&result, Err(refusal) if refusal.code == ErrorCode::Busy);
        match result {
            Ok(written) => self.talked(conn, request, written),
            Err(refusal) => {
                if self.sessions.get(conn).is_some() {
                    self.refuse(conn, request, refusal);
                }
            }
        }
        self.answered(conn, busy.then_some(now.mono));
    }

    pub(super) fn found(&mut self, ticket: Ticket, result: Result<Looked, Refusal>, now: Now) {
        match self.pending.remove(&ticket) {
            None | Some(Pending::Write { .. }) => {}
            Some(Pending::CatchUp { conn, next, wait }) => {
                self.refilled(conn, (next, wait), result, now);
            }
            Some(Pending::Look { conn, request }) => {
                if self.sessions.get(conn).is_some() {
                    match result {
                        Ok(Looked::History(page)) => self.history_found(conn, request, page),
                        Ok(_) => {}
                        Err(refusal) => self.refuse(conn, request, refusal),
                    }
                }
                self.answered(conn, None);
            }
        }
    }

    /// Sends a command of this session on its way to the store.
    pub(super) fn submit(
        &mut self,
        conn: ConnId,
        request: u32,
        write: Write,
    ) -> Result<(), Refusal> {
        let ticket = self.under_way(conn, Pending::Write { conn, request })?;
        self.outputs.push_back(Output::Submit { ticket, write });
        Ok(())
    }

    /// Looks something up for this session.
    pub(super) fn fetch(&mut self, conn: ConnId, request: u32, read: Read) -> Result<(), Refusal> {
        let ticket = self.under_way(conn, Pending::Look { conn, request })?;
        self.outputs.push_back(Output::Fetch { ticket, read });
        Ok(())
    }

    /// Counts a command that leaves for the store, and stops reading a session that has enough
    /// there.
    fn under_way(&mut self, conn: ConnId, pending: Pending) -> Result<Ticket, Refusal> {
        let session = self.sessions.get_mut(conn).ok_or_else(busy)?;
        if session.in_flight >= IN_FLIGHT {
            return Err(busy());
        }
        session.in_flight += 1;
        if session.in_flight == IN_FLIGHT && session.reading == Reading::On {
            session.reading = Reading::Full;
            self.outputs.push_back(Output::Pause { conn });
        }
        Ok(self.ticket(pending))
    }

    pub(super) fn ticket(&mut self, pending: Pending) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.insert(ticket, pending);
        ticket
    }

    /// One command of this session came back. Who was told "busy" is not read for a while.
    fn answered(&mut self, conn: ConnId, busy_at: Option<Moment>) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        session.in_flight -= 1;
        if let Some(now) = busy_at {
            let before = std::mem::replace(&mut session.reading, Reading::Busy);
            if before == Reading::On {
                self.outputs.push_back(Output::Pause { conn });
            }
            if before != Reading::Busy {
                let at = now.after(BUSY_RETRY);
                self.later.push_back((at, Later::Resume(conn)));
            }
        } else if session.reading == Reading::Full {
            self.resume(conn);
        }
        self.close_when_answered(conn);
    }

    /// Reads on, or waits until enough is answered.
    pub(super) fn resume(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        session.reading = Reading::Full;
        if session.in_flight <= IN_FLIGHT / 2 && !matches!(session.stage, Stage::Leaving) {
            session.reading = Reading::On;
            self.outputs.push_back(Output::Resume { conn });
        }
    }

    fn close_when_answered(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if matches!(session.stage, Stage::Leaving) && session.in_flight == 0 {
            let code = CloseCode::Normal;
            self.outputs.push_back(Output::Close { conn, code });
        }
    }

    /// See [`Hub::check_invariants`].
    pub(super) fn check_lists(&self) {
        for (slot, conn) in self.lobby.live().iter().enumerate() {
            let place = self.sessions.get(*conn).map(|session| session.place);
            assert_eq!(
                place,
                Some(Place::Live(slot as u32)),
                "whoever is live knows where"
            );
        }
        let mut live = 0;
        let mut named = 0;
        for (conn, session) in self.sessions.iter() {
            live += usize::from(matches!(session.place, Place::Live(_)));
            if let Some(folded) = session.name() {
                named += 1;
                assert!(
                    self.people.has(folded, conn),
                    "a name knows its connections"
                );
            } else {
                assert_eq!(
                    session.place,
                    Place::Absent,
                    "without a name nobody listens"
                );
            }
            assert!(session.in_flight <= IN_FLIGHT);
        }
        assert_eq!(
            live,
            self.lobby.live().len(),
            "who is live is in the list, once"
        );
        assert_eq!(named, self.sessions.signed_in());
        self.people.check_invariants();
    }

    /// Who a session is to others; only asked of those who are somebody.
    pub(super) fn person(&self, conn: ConnId) -> Option<crate::chat::event::Person> {
        let folded = self.sessions.get(conn)?.name()?;
        self.people.get(folded).cloned()
    }

    /// The shown form of a name, where somebody has it now.
    pub(super) fn shown(&self, folded: &Folded) -> Arc<str> {
        self.people
            .get(folded)
            .map_or_else(|| folded.clone(), |person| person.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_stays_small() {
        assert!(
            size_of::<Option<Session>>() <= 112,
            "{}",
            size_of::<Option<Session>>()
        );
    }
}
