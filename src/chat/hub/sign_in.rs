//! `hello`: who somebody is, and where they stopped reading.
//!
//! A guest is a name and a random id. The id is proved by a secret that this floor never sees (the
//! caller verified it); the name belongs to whoever holds it online. So name and proof together are
//! the same guest on one more connection, and the name alone is refused while somebody holds it.

use super::sessions::{Named, Place, Stage};
use super::{Hub, Output};
use crate::chat::command::{Cursor, Hello};
use crate::chat::event::{Event, Person, Reply, Standing, Welcome};
use crate::chat::name::Name;
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::Now;
use crate::ids::{ConnId, PublicId};

impl Hub {
    pub(super) fn hello(
        &mut self,
        conn: ConnId,
        request: u32,
        hello: &Hello,
        now: Now,
    ) -> Result<(), Refusal> {
        if self
            .sessions
            .get(conn)
            .is_some_and(|session| session.name().is_some())
        {
            self.still_the_same(conn, hello)?;
        } else {
            self.sign_in(conn, hello, now)?;
        }
        self.welcome(conn, request);
        self.take_up(conn, &hello.cursors);
        Ok(())
    }

    /// A second `hello` may bring cursors, but no other person.
    fn still_the_same(&self, conn: ConnId, hello: &Hello) -> Result<(), Refusal> {
        let other = || Refusal::new(ErrorCode::AlreadySignedIn);
        let Some(session) = self.sessions.get(conn) else {
            return Err(other());
        };
        let Some(person) = self.person(conn) else {
            return Err(other());
        };
        let same_name = hello.name.is_empty()
            || Name::parse(&hello.name)
                .is_ok_and(|name| session.name().is_some_and(|folded| folded == name.folded()));
        let same_id = hello.resumed.is_none_or(|id| id == person.id);
        if same_name && same_id {
            Ok(())
        } else {
            Err(other())
        }
    }

    fn sign_in(&mut self, conn: ConnId, hello: &Hello, now: Now) -> Result<(), Refusal> {
        let name = Name::parse(&hello.name).map_err(|bad| bad.field("hello.name"))?;
        let Some(session) = self.sessions.get_mut(conn) else {
            return Ok(());
        };
        let Stage::Nameless(fresh) = session.stage else {
            return Ok(());
        };
        let id = self.people.admits(&name, hello.resumed, fresh)?;
        let folded = name.folded().clone();
        session.stage = Stage::Named(folded);
        let person = Person {
            id,
            name: name.shown().clone(),
        };
        self.sessions.count_named(Named::More);
        self.people.joined(name.folded(), person, conn, now.mono);
        self.outputs.push_back(Output::SignedIn { conn });
        Ok(())
    }

    fn welcome(&mut self, conn: ConnId, request: u32) {
        let Some(you) = self.person(conn) else { return };
        let reply = Reply::Welcome(Welcome {
            you,
            conversations: vec![self.lobby.standing.clone()],
            online: self.people.len() as u32,
        });
        self.reply(conn, request, reply);
    }

    /// Begins to listen: at the head, or where the cursor says.
    ///
    /// A cursor of a conversation that this person is not in is no error: they may have been
    /// removed while they were away, and the standings in `welcome` say so.
    fn take_up(&mut self, conn: ConnId, cursors: &[Cursor]) {
        let lobby = self.lobby.conv();
        let cursor = cursors
            .iter()
            .rfind(|cursor| self.resolve(&cursor.conversation) == Ok(lobby));
        match cursor {
            Some(cursor) => {
                self.fall_silent(conn);
                self.resume_at(conn, cursor);
            }
            None => {
                let absent = self
                    .sessions
                    .get(conn)
                    .is_some_and(|one| one.place == Place::Absent);
                if absent {
                    self.go_live(conn);
                }
            }
        }
    }

    /// What the client holds is of another life of this log.
    pub(super) fn reset(&mut self, conn: ConnId) {
        let standing: Standing = self.lobby.standing.clone();
        self.outputs.push_back(Output::Push {
            to: conn,
            event: Event::Reset(standing),
        });
        self.go_live(conn);
    }
}

/// Who a claim makes somebody, given who holds the name.
pub(super) fn claim(
    holder: Option<(PublicId, bool)>,
    resumed: Option<PublicId>,
    fresh: PublicId,
) -> Result<PublicId, Refusal> {
    match (holder, resumed) {
        (Some((id, _)), Some(proved)) if id == proved => Ok(id),
        (Some((_, true)), _) => Err(Refusal::new(ErrorCode::NameTaken).field("hello.name")),
        // Nobody holds it, or only somebody whose last connection is gone.
        (_, Some(proved)) => Ok(proved),
        (_, None) => Ok(fresh),
    }
}
