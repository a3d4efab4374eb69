//! The least chat server there is: one lobby, a log, keys and cursors. Its script says for which
//! listener it does what with which entry.

use std::collections::HashMap;

use kith::clock::Now;
use kith::conn::frame::{Kind, append};
use kith::conn::{Conn, ConnConfig, Event, Frame, Push, Shared};
use kith::wire::pb;
use kith::wire::pb::client_frame::Command;
use kith::wire::pb::server_frame::Body;
use prost::Message as _;

/// What the server does with one entry for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deal {
    Drop,
    Twice,
    /// After the one that follows.
    Late,
    /// And with it what belongs into another room.
    AndForeign,
    /// And with it what another swarm said here, at a place that was heard long ago.
    AndOtherRun,
    Alter,
    /// It hears something else in its place, with nothing of the swarm in it.
    OtherWords,
    Announce,
    /// The sender is told nothing.
    Unanswered,
    /// The sender is told that it is too fast, and nobody else anything.
    Refuse,
    /// The same, and yet everybody else hears it.
    RefuseAloud,
    /// The sender is told that the server stops, and so it is until it comes back.
    Stop,
    /// It gets its place after the next message of its sender.
    After,
    /// The log loses it when everybody has heard it, and everybody is told to go back.
    Forget,
    /// It gets a second place, and everybody hears both.
    TwoPlaces,
    /// With seq 0: this client is not let in.
    TurnAway,
}

/// For which client, with which entry, what.
pub type Script = Vec<(u32, u64, Deal)>;

/// Somebody at the other end.
#[derive(Default)]
pub struct Guest {
    /// Its connection, while it has one.
    pub conn: Option<Conn>,
    name: String,
    late: Vec<pb::Entry>,
    stopping: bool,
    after: Option<(u32, Vec<u8>, pb::Talk)>,
}

/// The server. See the module.
pub struct Server {
    /// By index.
    pub guests: Vec<Guest>,
    /// What connections share.
    pub shared: Shared,
    log: Vec<pb::Entry>,
    keys: HashMap<Vec<u8>, pb::Talked>,
    script: Script,
}

impl Server {
    /// For so many; nobody is there yet.
    pub fn new(guests: u32, script: Script) -> Self {
        Self {
            guests: (0..guests).map(|_| Guest::default()).collect(),
            shared: Shared::new(ConnConfig::default()),
            log: Vec::new(),
            keys: HashMap::new(),
            script,
        }
    }

    fn deal(&self, client: u32, seq: u64) -> Option<Deal> {
        let mut rows = self.script.iter();
        let row = rows.find(|(who, at, _)| (*who, *at) == (client, seq));
        row.map(|(_, _, deal)| *deal)
    }

    fn tell(&mut self, client: u32, id: u32, body: Body) {
        let Some(conn) = &mut self.guests[client as usize].conn else {
            return;
        };
        let body = Some(body);
        let frame = pb::ServerFrame { id, body };
        let mut bytes = Vec::new();
        let range = append(&mut bytes, Kind::Binary, |out| {
            frame.encode(out).expect("a Vec takes everything")
        });
        let pushed = conn.push(&Frame::Copied(&bytes[range]), &mut self.shared);
        assert_ne!(pushed, Push::Full);
    }

    /// Bytes came from somebody.
    pub fn received(&mut self, client: u32, bytes: &[u8], now: Now) {
        let mut input = bytes;
        loop {
            let Some(conn) = &mut self.guests[client as usize].conn else {
                return;
            };
            match conn.poll_event(&mut input, &mut self.shared, now) {
                Some(Event::Upgrade(upgrade)) => {
                    conn.accept(Some("kith.v1.proto"), &mut self.shared, now);
                    if let Some(name) = upgrade.username {
                        let hello = pb::Hello {
                            name,
                            ..pb::Hello::default()
                        };
                        self.hello(client, 0, hello);
                    }
                }
                Some(Event::Binary(bytes)) => {
                    let frame =
                        pb::ClientFrame::decode(&bytes[..]).expect("the crowd speaks protobuf");
                    match frame.command.expect("the crowd sends commands") {
                        Command::Hello(hello) => self.hello(client, frame.id, hello),
                        Command::Talk(talk) => self.talk(client, frame.id, frame.key, talk),
                        other => panic!("{other:?}"),
                    }
                }
                Some(other) => panic!("{other:?}"),
                None => return,
            }
        }
    }

    fn hello(&mut self, client: u32, id: u32, hello: pb::Hello) {
        if self.deal(client, 0) == Some(Deal::TurnAway) {
            let error = pb::Error {
                code: 201,
                message: "taken".to_owned(),
                ..pb::Error::default()
            };
            return self.tell(client, id, Body::Error(error));
        }
        self.guests[client as usize].stopping = false;
        self.guests[client as usize].name.clone_from(&hello.name);
        let welcome = pb::Welcome {
            name: hello.name,
            guest_id: "g".to_owned(),
            conversations: vec![self.standing()],
            ..pb::Welcome::default()
        };
        self.tell(client, id, Body::Welcome(welcome));
        for cursor in hello.cursors {
            for at in cursor.seq as usize..self.log.len() {
                self.bring(client, self.log[at].clone());
            }
        }
    }

    fn talk(&mut self, client: u32, id: u32, key: Vec<u8>, talk: pb::Talk) {
        if let Some(known) = self.keys.get(&key) {
            let mut again = known.clone();
            again.duplicate = true;
            return self.tell(client, id, Body::Talked(again));
        }
        let seq = self.log.len() as u64 + 1;
        if self.deal(client, seq) == Some(Deal::After) {
            self.script.retain(|row| (row.0, row.1) != (client, seq));
            self.guests[client as usize].after = Some((id, key, talk));
            return;
        }
        self.take(client, id, key, talk);
        if let Some((id, key, talk)) = self.guests[client as usize].after.take() {
            self.take(client, id, key, talk);
        }
    }

    /// Gives it the next place, or does what the script says.
    fn take(&mut self, client: u32, id: u32, key: Vec<u8>, talk: pb::Talk) {
        let seq = self.log.len() as u64 + 1;
        let deal = self.deal(client, seq);
        if deal == Some(Deal::Stop) {
            self.script.retain(|row| (row.0, row.1) != (client, seq));
            self.guests[client as usize].stopping = true;
        }
        if self.guests[client as usize].stopping {
            let error = pb::Error {
                code: 601,
                ..pb::Error::default()
            };
            return self.tell(client, id, Body::Error(error));
        }
        if let Some(Deal::Refuse | Deal::RefuseAloud) = deal {
            let error = pb::Error {
                code: 500,
                name: "too_fast".to_owned(),
                ..pb::Error::default()
            };
            // So that the next message finds another script.
            self.script.retain(|row| (row.0, row.1) != (client, seq));
            if deal == Some(Deal::RefuseAloud) {
                self.say(client, talk.text, Some(client));
            }
            return self.tell(client, id, Body::Error(error));
        }
        let talked = pb::Talked {
            conversation: "lobby".to_owned(),
            seq,
            ..pb::Talked::default()
        };
        self.keys.insert(key, talked.clone());
        if deal != Some(Deal::Unanswered) {
            self.tell(client, id, Body::Talked(talked));
        }
        self.say(client, talk.text.clone(), Some(client));
        match deal {
            Some(Deal::TwoPlaces) => self.say(client, talk.text, None),
            Some(Deal::Forget) => {
                self.script.retain(|row| (row.0, row.1) != (client, seq));
                self.log.pop();
                let standing = Some(self.standing());
                for client in 0..self.guests.len() as u32 {
                    self.tell(
                        client,
                        0,
                        Body::Reset(pb::Reset {
                            standing: standing.clone(),
                        }),
                    );
                }
            }
            _ => {}
        }
    }

    fn standing(&self) -> pb::Standing {
        pb::Standing {
            conversation: "lobby".to_owned(),
            epoch: "e".to_owned(),
            head: self.log.len() as u64,
            ..pb::Standing::default()
        }
    }

    /// Gives it a place and tells everybody but one.
    fn say(&mut self, sender: u32, text: String, but: Option<u32>) {
        let entry = pb::Entry {
            conversation: "lobby".to_owned(),
            seq: self.log.len() as u64 + 1,
            from: self.guests[sender as usize].name.clone(),
            body: Some(pb::entry::Body::Message(pb::Message { text })),
            ..pb::Entry::default()
        };
        self.log.push(entry.clone());
        for client in 0..self.guests.len() as u32 {
            if Some(client) != but {
                self.bring(client, entry.clone());
            }
        }
    }

    /// Tells somebody the last entry again.
    pub fn repeat(&mut self, client: u32) {
        if let Some(last) = self.log.last().cloned() {
            self.bring(client, last);
        }
    }

    fn bring(&mut self, client: u32, entry: pb::Entry) {
        let seq = entry.seq;
        let deal = self.deal(client, seq);
        let copies = match deal {
            Some(Deal::Drop | Deal::Late | Deal::Announce | Deal::Alter | Deal::OtherWords) => 0,
            Some(Deal::Twice) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            self.tell(client, 0, Body::Entry(entry.clone()));
        }
        for late in std::mem::take(&mut self.guests[client as usize].late) {
            self.tell(client, 0, Body::Entry(late));
        }
        let other = |conversation: &str, text: String, seq| {
            Body::Entry(pb::Entry {
                conversation: conversation.to_owned(),
                seq,
                body: Some(pb::entry::Body::Message(pb::Message { text })),
                ..entry.clone()
            })
        };
        let words = format!("swarm {:016x} 0 0 0 x", 0);
        match deal {
            Some(Deal::Late) => self.guests[client as usize].late.push(entry),
            Some(Deal::AndForeign) => self.tell(client, 0, other("g:x", words, 9000)),
            Some(Deal::AndOtherRun) => self.tell(client, 0, other("lobby", words, 1)),
            Some(Deal::Alter) => {
                let Some(pb::entry::Body::Message(message)) = &entry.body else {
                    return;
                };
                let text = message.text.replace("xx", "yx");
                self.tell(client, 0, other("lobby", text, seq));
            }
            Some(Deal::OtherWords) => {
                self.tell(client, 0, other("lobby", "hello".to_owned(), seq));
            }
            Some(Deal::Announce) => {
                let hole = pb::Hole {
                    conversation: "lobby".to_owned(),
                    from: seq,
                    to: seq,
                    reason: 0,
                    tag: 0,
                };
                self.tell(client, 0, Body::Hole(hole));
            }
            _ => {}
        }
    }
}
