//! One device of one person: a client of its own, written against the protocol.
//!
//! This file is how it connects, asks and ends; `hearing.rs` is what it makes of what it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use kith::clock::{Moment, Now};
use kith::event_loop::Readiness;
use kith::wire::pb;
use kith::wire::pb::client_frame::Command;

use super::counts::Counts;
use super::dice::Dice;
use super::frames::{self, Speech};
use super::ledger::{Ledger, Position};
use super::network::Link;
use super::oracle::Oracle;

/// Somebody, with one or several devices that share what the last welcome said.
#[derive(Clone, Debug)]
pub struct Person {
    pub name: &'static str,
    /// Guest id and resume secret.
    pub proof: Option<(String, String)>,
}

/// What a device sees and tells beside the wire.
pub struct Around<'a> {
    pub now: Now,
    pub oracle: &'a mut Oracle,
    pub people: &'a mut [Person],
    pub counts: &'a mut Counts,
}

/// What is wrong with a cursor, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    Tag,
    Epoch,
    Beyond,
}

/// How a device takes up the log when it signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeUp {
    /// At the head.
    Anew,
    /// Where it stopped.
    Resume(Wrong),
    /// As after a restore from a backup: somewhere before where it stopped.
    Earlier,
    /// From the first entry on.
    Beginning,
}

/// A question that was not answered yet.
#[derive(Clone, Debug)]
pub enum Asked {
    /// With what is held of the log as the cursor says it, if there was one.
    Hello(Option<(Ledger, Wrong)>),
    Talk(u64),
    /// A key of a message that was acknowledged, with another text.
    Reuse,
    Users,
    Typing,
    Watch,
    Ping,
    /// With what the asker had at that time.
    History {
        before: u64,
        after: u64,
        limit: u32,
        has: u64,
    },
}

/// What a cursor must or may be answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Entries and holes, and no reset.
    Nothing,
    /// A reset; unless retention has taken this position, whose tag nobody can tell then.
    Reset(u64),
    /// A reset, or not: the device has no tag to show.
    Perhaps,
}

/// A connection, from the first byte to the last.
pub struct Session {
    pub link: Link,
    pub inbox: Vec<u8>,
    pub speech: Speech,
    pub began: Moment,
    pub upgraded: bool,
    pub take_up: TakeUp,
    /// Whether the upgrade carried the name.
    pub named: bool,
    pub welcomed: bool,
    pub guest: String,
    pub secret: String,
    pub epoch: String,
    pub expects: Expect,
    pub asked: BTreeMap<u32, Asked>,
    next_id: u32,
    pub shown: BTreeSet<String>,
    pub listing: Listing,
    pub leaving: bool,
    pub closing: Option<u32>,
    /// Until when nothing is read.
    pub slow_until: Moment,
}

/// Where a device is with its list of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    Wanted,
    UnderWay,
    Complete,
}

/// See the module.
pub struct Device {
    pub number: usize,
    pub who: usize,
    pub ledger: Option<Ledger>,
    pub session: Option<Session>,
    pub away_until: Moment,
    /// Until when it asks nothing that it was told to wait with.
    pub hold_until: Moment,
    /// Messages of which it does not know that they were taken.
    pub unsettled: VecDeque<u64>,
    /// Messages that were acknowledged, for those who send twice.
    pub settled: Vec<u64>,
    /// Says nothing, not even who it is.
    pub mute: bool,
    pub dice: Dice,
}

impl Device {
    pub fn new(number: usize, who: usize, dice: Dice) -> Self {
        Self {
            number,
            who,
            ledger: None,
            session: None,
            away_until: Moment::default(),
            hold_until: Moment::default(),
            unsettled: VecDeque::new(),
            settled: Vec::new(),
            mute: false,
            dice,
        }
    }

    /// Connects: by the name in the upgrade, or to say `hello`.
    pub fn connect(&mut self, take_up: TakeUp, window: usize, around: &Around<'_>) -> Link {
        let speech = self.dice.pick(&Speech::ALL);
        let named = self.dice.chance(300) && !self.mute;
        let name = escaped(around.people[self.who].name);
        let request = frames::handshake(speech, named.then_some(&name), &mut self.dice);
        let link = Link::new(window);
        link.send(&request);
        self.session = Some(Session {
            link: link.clone(),
            inbox: Vec::new(),
            speech,
            began: around.now.mono,
            upgraded: false,
            take_up,
            named,
            welcomed: false,
            guest: String::new(),
            secret: String::new(),
            epoch: String::new(),
            expects: Expect::Nothing,
            asked: BTreeMap::new(),
            next_id: 1,
            shown: BTreeSet::new(),
            listing: Listing::Wanted,
            leaving: false,
            closing: None,
            slow_until: Moment::default(),
        });
        link
    }

    /// The session, if somebody is signed in and not about to leave.
    pub fn online(&self) -> Option<&Session> {
        let session = self.session.as_ref()?;
        (session.welcomed && !session.leaving).then_some(session)
    }

    /// Asks something, unless it has taken its leave.
    pub fn ask(&mut self, asked: Asked, command: Command, key: Vec<u8>) {
        let Some(session) = self.session.as_mut().filter(|one| !one.leaving) else {
            return;
        };
        let id = session.next_id;
        session.next_id += 1;
        session.asked.insert(id, asked);
        self.send(id, command, key);
    }

    fn send(&mut self, id: u32, command: Command, key: Vec<u8>) {
        let Some(session) = &mut self.session else {
            return;
        };
        let frame = pb::ClientFrame {
            id,
            key,
            command: Some(command),
        };
        let bytes = frames::command(&frame, session.speech, &mut self.dice);
        session.link.send(&bytes);
    }

    /// Says who it is, with proof if there is any, and takes up the log as planned.
    pub fn hello(&mut self, around: &mut Around<'_>) {
        let Some(session) = &self.session else { return };
        let person = &around.people[self.who];
        let (guest_id, resume_secret) = if session.welcomed {
            (session.guest.clone(), session.secret.clone())
        } else {
            person.proof.clone().unwrap_or_default()
        };
        let resume = match (session.take_up, self.ledger.clone()) {
            (TakeUp::Anew, _) | (_, None) => None,
            (TakeUp::Resume(wrong), Some(held)) => Some((held, wrong)),
            (TakeUp::Earlier, Some(held)) => Some((self.earlier(held), Wrong::Nothing)),
            (TakeUp::Beginning, Some(held)) => {
                let mut ledger = held;
                ledger.rewind(0);
                around.counts.add("resumes from the beginning");
                Some((ledger, Wrong::Nothing))
            }
        };
        let cursors = resume
            .iter()
            .map(|(ledger, wrong)| spoil(ledger.position(), *wrong))
            .collect();
        let command = Command::Hello(pb::Hello {
            name: person.name.to_owned(),
            guest_id,
            resume_secret,
            cursors,
        });
        self.ask(Asked::Hello(resume), command, Vec::new());
    }

    /// Says `hello` once more, to have the log brought again from somewhere.
    pub fn hello_again(&mut self, around: &mut Around<'_>) {
        if self.online().is_none() {
            return;
        }
        let take_up = [
            TakeUp::Anew,
            TakeUp::Earlier,
            TakeUp::Resume(Wrong::Nothing),
        ];
        let take_up = self.dice.pick(&take_up);
        if let Some(session) = &mut self.session {
            session.take_up = take_up;
        }
        self.hello(around);
    }

    fn earlier(&mut self, mut held: Ledger) -> Ledger {
        let known: Vec<u64> = held.known().collect();
        if !known.is_empty() {
            held.rewind(self.dice.pick(&known));
        }
        held
    }

    /// Says something new.
    pub fn talk(&mut self, padding: usize, around: &mut Around<'_>) {
        let Some(session) = self.online() else { return };
        let guest = session.guest.clone();
        let key = self.dice.chance(700).then(|| self.dice.bytes());
        let uid = around.oracle.utter(&guest, key, padding);
        self.say(uid, around);
    }

    /// Says it, for the first time or again.
    pub fn say(&mut self, uid: u64, around: &mut Around<'_>) {
        let message = around.oracle.message(uid);
        message.open += 1;
        let (text, key) = (message.text.clone(), message.key);
        let to = self.dice.pick(&["", "lobby"]).to_owned();
        let command = Command::Talk(pb::Talk { to, text });
        let key = key.map_or(Vec::new(), |key| key.to_vec());
        if self.dice.chance(30) {
            // Without a number there is no answer, and the entry comes as it does to others.
            return self.send(0, command, key);
        }
        if !key.is_empty() && !self.unsettled.contains(&uid) {
            self.unsettled.push_back(uid);
        }
        self.ask(Asked::Talk(uid), command, key);
    }

    /// Sends again what it does not know to have been taken.
    pub fn say_again(&mut self, around: &mut Around<'_>) {
        let Some(session) = self.online() else { return };
        let guest = session.guest.clone();
        let waiting: Vec<u64> = session.asked.values().filter_map(talk).collect();
        // Not all at once: there may be a limit, and whoever fills it gets nothing else through.
        for _ in 0..self.unsettled.len().min(5) {
            let Some(uid) = self.unsettled.pop_front() else {
                break;
            };
            // Under another id the key would mean nothing.
            if around.oracle.message(uid).as_guest != guest {
                continue;
            }
            self.unsettled.push_back(uid);
            if !waiting.contains(&uid) {
                self.say(uid, around);
            }
        }
    }

    /// Sends again what was acknowledged, or something else under its key.
    pub fn say_twice(&mut self, around: &mut Around<'_>) {
        let Some(session) = self.online() else { return };
        let (guest, epoch) = (session.guest.clone(), session.epoch.clone());
        if self.settled.is_empty() {
            return;
        }
        let uid = self.dice.pick(&self.settled);
        let message = around.oracle.message(uid);
        let known = message
            .acknowledged
            .as_ref()
            .is_some_and(|((at, _), ..)| *at == epoch);
        let (Some(key), true, true) = (message.key, known, message.as_guest == guest) else {
            return;
        };
        if self.dice.chance(500) {
            return self.say(uid, around);
        }
        let text = format!("{} and more", around.oracle.message(uid).text);
        let to = String::new();
        let command = Command::Talk(pb::Talk { to, text });
        self.ask(Asked::Reuse, command, key.to_vec());
    }

    /// Asks for something that everybody may ask for.
    pub fn look_around(&mut self) {
        let Some(session) = self.online() else { return };
        let has = self.ledger.as_ref().map_or(0, Ledger::last);
        if session.listing == Listing::Wanted {
            return self.list(String::new());
        }
        let limit = self.dice.pick(&[0, 1, 5, 200]);
        let before = self
            .dice
            .weighted(&[(3, 0), (1, 1), (2, has), (1, u64::MAX >> 1)]);
        let after = self
            .dice
            .weighted(&[(3, 0), (1, has / 2), (1, u64::MAX >> 1)]);
        let history = pb::History {
            conversation: String::new(),
            before,
            after,
            limit,
        };
        let asked = Asked::History {
            before,
            after,
            limit,
            has,
        };
        let typing = pb::Typing {
            conversation: "lobby".to_owned(),
        };
        let names = vec!["Ann".to_owned(), "nobody".to_owned()];
        match self.dice.below(6) {
            0 => self.ask(Asked::Ping, Command::Ping(pb::Ping {}), Vec::new()),
            1 => self.ask(Asked::Typing, Command::Typing(typing), Vec::new()),
            2 => self.ask(
                Asked::Watch,
                Command::Watch(pb::Watch { names }),
                Vec::new(),
            ),
            _ => self.ask(asked, Command::History(history), Vec::new()),
        }
    }

    /// Asks for a page of the list of people; the first page begins a new list.
    pub fn list(&mut self, after: String) {
        let limit = self.dice.between(1, 4) as u32;
        let Some(session) = &mut self.session else {
            return;
        };
        if after.is_empty() {
            session.shown.clear();
        }
        session.listing = Listing::UnderWay;
        let command = Command::UserList(pb::UserList { after, limit });
        self.ask(Asked::Users, command, Vec::new());
    }

    /// Leaves as one should.
    pub fn exit(&mut self) {
        self.send(0, Command::Exit(pb::Exit {}), Vec::new());
        if let Some(session) = &mut self.session {
            session.leaving = true;
        }
    }

    /// The connection is over for this device, whatever the server knows of it. It will be back.
    pub fn part(&mut self, wait: Duration, now: Now) -> Option<Link> {
        let session = self.session.take()?;
        let jitter = Duration::from_millis(self.dice.below(400) as u64);
        self.away_until = now.mono.after(wait + jitter);
        Some(session.link)
    }

    /// Closes the socket, with or without a close frame.
    pub fn hang_up(&mut self, now: Now) {
        let frame = frames::close(1001, &mut self.dice);
        let polite = self.dice.chance(500);
        if let Some(link) = self.part(Duration::from_millis(50), now) {
            if polite {
                link.send(&frame);
            }
            link.end();
        }
    }

    /// As [`Device::hang_up`], by a reset.
    pub fn break_off(&mut self, now: Now) -> Option<(usize, Readiness)> {
        self.part(Duration::from_millis(50), now)?.reset()
    }
}

fn talk(asked: &Asked) -> Option<u64> {
    match asked {
        Asked::Talk(uid) => Some(*uid),
        _ => None,
    }
}

/// A cursor, as it is or spoilt.
fn spoil(position: Position, wrong: Wrong) -> pb::Cursor {
    let mut cursor = pb::Cursor {
        conversation: "lobby".to_owned(),
        epoch: position.epoch,
        seq: position.seq,
        tag: position.tag,
    };
    match wrong {
        Wrong::Nothing => {}
        Wrong::Tag => cursor.tag ^= 1,
        Wrong::Epoch => cursor.epoch = "0123456789abcdef".to_owned(),
        Wrong::Beyond => cursor.seq += 1_000_000,
    }
    cursor
}

/// Percent-encoded where a header or a query needs it.
fn escaped(name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    name.bytes().map(escape).collect()
}
