//! `talk` and `history`: what is said, and what was.

use std::sync::Arc;

use super::sessions::{Place, Wait};
use super::{Hub, Output};
use crate::chat::command::{History, Talk, Typing};
use crate::chat::durable::{Read, Write, Written};
use crate::chat::event::{Body, Entry, Event, HistoryPage, Person, Reply};
use crate::chat::log::KeyUse;
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::chat::rules;
use crate::clock::Now;
use crate::ids::{AppId, ConnId, Key, Seq};
use crate::limits::{HISTORY_ENTRIES, TYPING_EVERY, TYPING_UP_TO};

impl Hub {
    pub(super) fn talk(
        &mut self,
        conn: ConnId,
        request: u32,
        key: Option<Key>,
        talk: Talk,
        now: Now,
    ) -> Result<(), Refusal> {
        let conv = self
            .resolve(&talk.to)
            .map_err(|refusal| refusal.field("talk.to"))?;
        rules::text(&talk.text)?;
        let from = self
            .person(conn)
            .ok_or(Refusal::new(ErrorCode::SignInFirst))?;
        if !self.lobby.standing.durable {
            return self.talk_live(conn, request, key, (from, talk.text), now);
        }
        let write = Write::Talk {
            app: AppId::DEFAULT,
            conv,
            from,
            text: talk.text,
            key,
        };
        self.submit(conn, request, write)
    }

    /// In a lobby without history: the same road, without the store.
    fn talk_live(
        &mut self,
        conn: ConnId,
        request: u32,
        key: Option<Key>,
        (from, text): (Person, String),
        now: Now,
    ) -> Result<(), Refusal> {
        let conv = self.lobby.conv();
        if let Some(key) = key {
            match self.lobby.keys().look_up(from.id, key, &text) {
                KeyUse::New => {}
                KeyUse::Reused => return Err(Refusal::new(ErrorCode::KeyReused).field("key")),
                KeyUse::Again(done) => {
                    let (seq, tag, at) = (done.seq, done.tag, done.at);
                    self.talked(conn, request, Written::Again { conv, seq, tag, at });
                    return Ok(());
                }
            }
        }
        let (seq, tag) = self.lobby.assign();
        if let Some(key) = key {
            self.lobby
                .keys()
                .remember(from.id, key, &text, (seq, tag, now.wall));
        }
        let body = Body::Message { text: text.into() };
        let entry = Entry {
            conv,
            seq,
            n: self.lobby.n,
            tag,
            at: now.wall,
            from,
            body,
        };
        self.talked(conn, request, Written::Appended(entry));
        Ok(())
    }

    /// It is where it will stay: tell who said it, and everybody who listens.
    pub(super) fn talked(&mut self, conn: ConnId, request: u32, written: Written) {
        let (conv, seq, tag, at, duplicate) = match &written {
            Written::Appended(entry) => (entry.conv, entry.seq, entry.tag, entry.at, false),
            Written::Again { conv, seq, tag, at } => (*conv, *seq, *tag, *at, true),
        };
        if self.sessions.get(conn).is_some() {
            self.reply(
                conn,
                request,
                Reply::Talked {
                    conv,
                    seq,
                    tag,
                    at,
                    duplicate,
                },
            );
        }
        let Written::Appended(entry) = written else {
            return;
        };
        if entry.seq != self.lobby.standing.head.next() {
            // Cannot happen while one writer answers in order. If it did, nobody would be live at
            // the new head, and everybody is brought there by pages.
            debug_assert!(false, "answers come in the order of their entries");
            self.everybody_behind();
        }
        let except = self.stands_for(conn, request, entry.seq);
        self.lobby.advance(entry.seq, entry.tag);
        let event = Event::Entry(Arc::new(entry));
        self.outputs.push_back(Output::FanOut {
            conv,
            except,
            event,
        });
    }

    /// The sender, if the reply stands for this new entry and nothing else may bring it to her.
    ///
    /// It does if and only if the entry follows the last one of her connection, which is what a
    /// client can see: it compares two numbers, and need not know whether it is live. Otherwise the
    /// entry comes in its place, as it does to everybody who is behind.
    fn stands_for(&mut self, conn: ConnId, request: u32, seq: Seq) -> Option<ConnId> {
        // Without a number there is no reply that could stand for anything.
        let session = self.sessions.get_mut(conn).filter(|_| request != 0)?;
        match &mut session.place {
            Place::Live(_) => Some(conn),
            // Put behind, and nothing has been said since. She has it by the reply, so what she is
            // brought begins after it.
            //
            // So she waits for room, as `put_behind` has it: `resume_at`, `bring` and `page_found`
            // let nobody wait who lacks nothing, so theirs is a `next` that is at most the head of
            // that moment, and the head only grows, while this entry is beyond it. If it were
            // otherwise, it would still be right: `refilled` drops an answer that was about another
            // `next` and asks anew, and a cursor would at worst be answered by a reset.
            Place::Behind(next, wait) if *next == seq => {
                debug_assert_eq!(*wait, Wait::Room, "who lacks nothing waits only for room");
                *next = seq.next();
                Some(conn)
            }
            Place::Behind(..) | Place::Absent => None,
        }
    }

    pub(super) fn history(
        &mut self,
        conn: ConnId,
        request: u32,
        history: &History,
    ) -> Result<(), Refusal> {
        let conv = self
            .resolve(&history.conversation)
            .map_err(|refusal| refusal.field("history.conversation"))?;
        let head = self.lobby.standing.head;
        if !self.lobby.standing.durable {
            let page = HistoryPage {
                conv,
                entries: Vec::new(),
                floor: head.next(),
                head,
            };
            self.reply(conn, request, Reply::History(page));
            return Ok(());
        }
        let limit = match history.limit {
            0 => HISTORY_ENTRIES,
            limit => limit.min(HISTORY_ENTRIES),
        };
        let (before, after) = (history.before, history.after);
        self.fetch(
            conn,
            request,
            Read::History {
                conv,
                before,
                after,
                limit,
                head,
            },
        )
    }

    /// Shows nothing that was not fanned out yet, whatever the store has meanwhile.
    pub(super) fn history_found(&mut self, conn: ConnId, request: u32, page: HistoryPage) {
        let head = self.lobby.standing.head;
        debug_assert!(page.entries.last().is_none_or(|entry| entry.seq <= head));
        self.raise_floor(page.floor);
        self.reply(conn, request, Reply::History(HistoryPage { head, ..page }));
    }

    pub(super) fn typing(
        &mut self,
        conn: ConnId,
        request: u32,
        typing: &Typing,
        now: Now,
    ) -> Result<(), Refusal> {
        let conv = self
            .resolve(&typing.conversation)
            .map_err(|refusal| refusal.field("typing.conversation"))?;
        self.reply(conn, request, Reply::Done);
        let Some(from) = self.person(conn) else {
            return Ok(());
        };
        let Some(session) = self.sessions.get_mut(conn) else {
            return Ok(());
        };
        let rested = now.mono >= session.typed_at;
        if rested && self.people.len() <= TYPING_UP_TO {
            session.typed_at = now.mono.after(TYPING_EVERY);
            let event = Event::Typing { conv, from };
            let except = matches!(session.place, Place::Live(_)).then_some(conn);
            self.outputs.push_back(Output::FanOut {
                conv,
                except,
                event,
            });
        }
        Ok(())
    }

    /// For the log's own accounting of what is kept.
    pub(super) fn raise_floor(&mut self, floor: Seq) {
        self.lobby.standing.floor = self.lobby.standing.floor.max(floor);
    }
}
