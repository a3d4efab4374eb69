//! What the server says to a client, and what comes of it: the other half of the crowd.
//!
//! Frames are protobuf. What was said to whom goes into the ledger, how long it took into the
//! numbers, and what is to be said next into an outbox.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use kith::clock::Moment;
use kith::conn::Closed;
use kith::conn::client::{Refused, Told};
use kith::wire::pb;
use kith::wire::pb::server_frame::Body;
use prost::Message as _;

use crate::bounds::{RETRY, SIGN_IN_WAIT};
use crate::counting::{Counted, Counter};
use crate::crowd::{Crowd, Phase};
use crate::failure::Failure;
use crate::person::{HELLO, Stage, answered, talk};
use crate::units::plain;

/// What kept somebody out, or threw him out.
#[derive(Debug)]
pub enum Trouble {
    /// No connection.
    Unreachable(io::Error),
    /// No WebSocket.
    Refused(Refused),
    /// No chat.
    Chat(String),
    /// The WebSocket was closed.
    Closed(Closed),
    /// No `welcome` within [`SIGN_IN_WAIT`], and nothing else that ended it.
    Silent,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "{error}"),
            Self::Refused(Refused::Status(status)) => write!(f, "the server answered {status}"),
            Self::Refused(refused) => write!(f, "no WebSocket was granted ({refused:?})"),
            Self::Chat(why) => f.write_str(&plain(why)),
            Self::Closed(Closed::ByPeer(Some(code))) => {
                write!(f, "the server closed the connection with {code}")
            }
            Self::Closed(Closed::Broken(_)) => f.write_str("the server broke RFC 6455"),
            Self::Closed(_) => f.write_str("the server dropped the connection"),
            Self::Silent => {
                let waited = SIGN_IN_WAIT.as_secs();
                write!(f, "the server did not answer within {waited} s")
            }
        }
    }
}

/// A server's frame without an id that brings an entry begins with the tag of that field.
const ENTRIES: Counted = Counted::Beginning([0xf2, 0x01]);

/// The code of a refusal by a server that is about to end: nothing was said.
const STOPPING: u32 = 601;

impl Trouble {
    /// Why only so many of all got in, where this is the last that was heard of the others.
    pub fn missing(last: Option<&Self>, got: u32, of: u32) -> Failure {
        let why = match last {
            Some(trouble) => trouble.to_string(),
            None => "nothing was heard of the others".to_owned(),
        };
        Failure::NotIn { got, of, why }
    }

    /// How a connection ended, as the report names it: by close code, or by what it was.
    pub fn kind(&self) -> String {
        match self {
            Self::Closed(Closed::ByPeer(Some(code))) => code.to_string(),
            Self::Closed(Closed::Broken(_)) | Self::Chat(_) => "broken".to_owned(),
            _ => "lost".to_owned(),
        }
    }

    /// Why there is no run with the server at this address, if this happened to the first of so
    /// many clients. Only who gives a wrong answer is called no chat server; who gives none may be
    /// busy, and who ends the connection has its reasons.
    pub fn failure(self, address: SocketAddr, clients: u32) -> Failure {
        match self {
            Self::Unreachable(error) => Failure::Unreachable(address, error),
            Self::Refused(refused) => Failure::NoWebSocket(address, refused),
            Self::Silent => Failure::NoAnswer(address, SIGN_IN_WAIT),
            Self::Chat(_) | Self::Closed(Closed::Broken(_)) => {
                Failure::NoChat(address, self.to_string())
            }
            Self::Closed(_) => Failure::NotIn {
                got: 0,
                of: clients,
                why: self.to_string(),
            },
        }
    }
}

impl Crowd {
    /// Goes on by one event; says whether there may be another.
    pub(crate) fn step(&mut self, client: u32, input: &mut &[u8], now: Moment) -> bool {
        let Some(conn) = &mut self.people[client as usize].conn else {
            return false;
        };
        let told = conn.poll_event(input, &mut self.shared);
        told.map(|told| self.told(client, told, now)).is_some()
    }

    pub(crate) fn told(&mut self, client: u32, told: Told, now: Moment) {
        match told {
            Told::Open => {
                self.numbers.handshakes += 1;
                let cursor = (!self.counts(client)).then(|| self.ledger.cursor(client));
                let person = &mut self.people[client as usize];
                if let Some(hello) = person.hello(self.ledger.name(client), cursor) {
                    person.push(&hello, &mut self.shared, &mut self.entropy);
                }
            }
            Told::Refused(refused) => self.out(client, Trouble::Refused(refused), now),
            Told::Closed(closed) => self.out(client, Trouble::Closed(closed), now),
            Told::Binary(bytes) => {
                let frame = pb::ServerFrame::decode(&bytes[..]);
                self.shared.reuse(bytes);
                match frame {
                    Ok(frame) => self.frame(client, frame, now),
                    Err(_) => {
                        let why = "it sends frames that are not those of the protocol";
                        self.out(client, Trouble::Chat(why.to_owned()), now);
                    }
                }
            }
            Told::Text(_) => {
                let why = "it sends text where protobuf was agreed on";
                self.out(client, Trouble::Chat(why.to_owned()), now);
            }
        }
    }

    /// A client's connection is over, not by the swarm's doing.
    pub(crate) fn out(&mut self, client: u32, trouble: Trouble, now: Moment) {
        if self.people[client as usize].stage == Stage::In {
            *self.numbers.ended.entry(trouble.kind()).or_default() += 1;
        }
        let back = now.after(RETRY + self.jitter(RETRY));
        self.away(client, back);
        if matches!(self.phase, Phase::Filling(_)) && self.inside == 0 {
            // Nobody is in, so there is nothing to wait for.
            let address = self.target.address;
            self.fatal
                .get_or_insert_with(|| trouble.failure(address, self.plan.clients));
        } else {
            self.trouble = Some(trouble);
        }
    }

    fn frame(&mut self, client: u32, frame: pb::ServerFrame, now: Moment) {
        match frame.body {
            Some(Body::Entry(entry)) => self.entry(client, &entry, now),
            Some(Body::Talked(talked)) => self.talked(client, frame.id, &talked, now),
            Some(Body::Welcome(welcome)) => self.welcome(client, welcome, now),
            Some(Body::Error(error)) => self.error(client, frame.id, &error, now),
            Some(Body::Hole(hole)) if hole.conversation == "lobby" => {
                self.ledger.hole(client, (hole.from, hole.to), hole.tag);
            }
            Some(Body::Reset(pb::Reset {
                standing: Some(standing),
            })) if standing.conversation == "lobby" => {
                self.ledger.reset(client, standing.head, standing.tag);
                self.people[client as usize].epoch = standing.epoch;
            }
            // Presence and the like are heard and counted as bytes.
            _ => {}
        }
    }

    fn entry(&mut self, client: u32, entry: &pb::Entry, now: Moment) {
        if self.counts(client) {
            // It came in pieces, and was passed on for that.
            return self.count(client, 1, now);
        }
        let Some(said) = self.ledger.heard(client, entry) else {
            return;
        };
        self.numbers.heard(1, now);
        if self.slow.has(client) || self.slow.has(said.sender) {
            self.numbers.slow.record(said.due, now);
        } else if said.interrupted || said.due < self.people[client as usize].in_since {
            self.numbers.after_break.record(said.due, now);
        } else {
            if !self.plan.flood {
                self.numbers.corrected.record(said.due, now);
            }
            self.numbers
                .uncorrected
                .record(said.sent.unwrap_or(said.due), now);
        }
    }

    /// Whether this client only counts what it hears.
    pub(crate) fn counts(&self, client: u32) -> bool {
        client >= self.plan.readers()
    }

    /// Somebody who counts heard so many entries more.
    pub(crate) fn count(&mut self, client: u32, entries: u64, now: Moment) {
        self.numbers.heard(entries, now);
        self.ledger.counted(client, entries);
    }

    fn talked(&mut self, client: u32, id: u32, talked: &pb::Talked, now: Moment) {
        let Some(which) = answered(client, id) else {
            return;
        };
        if self.ledger.acknowledged(which, talked)
            && let Some(said) = self.ledger.said(which)
            && !said.interrupted
        {
            self.numbers.acknowledged.record(said.due, now);
        }
        self.people[client as usize]
            .unanswered
            .retain(|other| *other != which);
        self.send_waiting(client, now);
    }

    fn error(&mut self, client: u32, id: u32, error: &pb::Error, now: Moment) {
        let coming = matches!(self.people[client as usize].stage, Stage::Coming(_));
        if id == HELLO || coming {
            let pb::Error { code, message, .. } = error;
            let why = format!("it refused the name with {code}: {message}");
            return self.out(client, Trouble::Chat(why), now);
        }
        let person = &mut self.people[client as usize];
        if let Some(which) = answered(client, id)
            && person.unanswered.contains(&which)
            // Whoever is told so asks again on the next connection. If there is none, that shows.
            && error.code != STOPPING
        {
            person.unanswered.retain(|other| *other != which);
            self.ledger.refused(which, error);
            self.send_waiting(client, now);
        }
    }

    fn welcome(&mut self, client: u32, welcome: pb::Welcome, now: Moment) {
        let mut standings = welcome.conversations.into_iter();
        let Some(lobby) = standings.find(|standing| standing.conversation == "lobby") else {
            let why = "its `welcome` names no lobby".to_owned();
            return self.out(client, Trouble::Chat(why), now);
        };
        let person = &mut self.people[client as usize];
        let Stage::Coming(since) = person.stage else {
            return;
        };
        self.coming -= 1;
        self.inside += 1;
        self.progress = now;
        self.numbers.sign_in.record(since, now);
        person.stage = Stage::In;
        let first = person.identity.is_none();
        // After a break that was the server's doing, what was missed counts with its whole delay.
        self.came_back(client, now);
        let person = &mut self.people[client as usize];
        person.identity = Some((welcome.guest_id, welcome.resume_secret));
        if first {
            person.epoch = lobby.epoch;
            self.ledger.joined(client, lobby.head, lobby.tag);
        } else if self.counts(client) {
            self.ledger.came_back(client, lobby.head, lobby.tag);
        }
        if self.counts(client) {
            self.people[client as usize].counter = Some(Counter::new(ENTRIES));
        }
        // What was asked and not answered is asked again, under the same keys.
        for which in self.people[client as usize].unanswered.clone() {
            let Some(said) = self.ledger.said(which) else {
                continue;
            };
            let text = self.run.text(which, said.due, self.plan.size);
            let frame = talk(which, self.run.key(which).0, text);
            let person = &mut self.people[client as usize];
            person.push(&frame, &mut self.shared, &mut self.entropy);
        }
        self.send_waiting(client, now);
    }
}

#[cfg(test)]
mod tests {
    use kith::conn::Closed;
    use kith::conn::client::Refused;

    use super::Trouble;

    #[test]
    fn only_a_wrong_answer_makes_it_no_chat_server() {
        let no_chat = "127.0.0.1:9091 is no chat server of this protocol: ";
        for (trouble, expected) in [
            (Trouble::Chat("it sings".to_owned()), no_chat),
            (
                Trouble::Silent,
                "127.0.0.1:9091 did not answer within 10 s, so what it is cannot be told; look \
                 whether it is busy or hangs, and try again, with fewer --clients or a lower \
                 --connect-rate; or check --url",
            ),
            (
                Trouble::Closed(Closed::ByPeer(Some(1013))),
                "only 0 of 5 clients got in: the server closed the connection with 1013; look",
            ),
            (
                Trouble::Closed(Closed::Lost),
                "only 0 of 5 clients got in: the server dropped the connection; look",
            ),
            (
                Trouble::Refused(Refused::Status(404)),
                "127.0.0.1:9091 grants no such WebSocket: it answers 404",
            ),
        ] {
            let told = trouble
                .failure(([127, 0, 0, 1], 9091).into(), 5)
                .to_string();
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
