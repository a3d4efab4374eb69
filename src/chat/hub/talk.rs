//! `talk` and `history`: what is said, and what was.

use std::sync::Arc;

use super::sessions::Place;
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
    ///
    /// For a sender who is live the reply stands for the entry. One who is behind gets the entry in
    /// its place, as everybody does who is behind.
    pub(super) fn talked(&mut self, conn: ConnId, request: u32, written: Written) {
        let heard = self.sessions.get(conn).map(|session| session.place);
        let (conv, seq, tag, at, duplicate) = match &written {
            Written::Appended(entry) => (entry.conv, entry.seq, entry.tag, entry.at, false),
            Written::Again { conv, seq, tag, at } => (*conv, *seq, *tag, *at, true),
        };
        if heard.is_some() {
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
        self.lobby.advance(entry.seq, entry.tag);
        // Without a number there is no reply, and nothing stands for the entry.
        let stands = request != 0 && matches!(heard, Some(Place::Live(_)));
        let except = stands.then_some(conn);
        let event = Event::Entry(Arc::new(entry));
        self.outputs.push_back(Output::FanOut {
            conv,
            except,
            event,
        });
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
