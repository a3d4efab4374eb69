//! Drives the hub alone by a story of readable lines.
//!
//! A line that begins with `>` is something that happens; the lines below it are everything that
//! the hub wants done about it, in order. A single `*` below it means that it does not matter here.
//! Time is virtual, connections have names, and the store is whatever the story says it answers.
//!
//! ```text
//! > ann opens as Ann
//! ann signed in
//! ann < 0 welcome Ann, 1 online, lobby 1-0
//! > ann asks 1 talk hello
//! store < 1 talk Ann: hello
//! > store keeps 1
//! ann < 1 talked 1
//! nobody < entry 1 Ann: hello
//! ```
//!
//! What can happen: `X opens [in Y's place] [from ADDRESS] [as NAME]`, `X closes`, `X lags`,
//! `X drained`, `X unfit N`, `X asks N [key K] COMMAND`, `store keeps T`, `store has T as SEQ`,
//! `store refuses T CODE`, `store finds T page A-B [floor F]`, `store finds T tag right|wrong`,
//! `store finds T history A-B`, `store misses T CODE`, `stop [now]`, `wait N ms`.

#![allow(dead_code, reason = "no test uses all of it")]

mod hub_lines;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use kith::chat::bucket::Rate;
use kith::chat::command::{self, Command, Cursor, Hello};
use kith::chat::durable::{Snapshot, Write, Written};
use kith::chat::event::{Body, Entry, HistoryPage, Person, Standing};
use kith::chat::hub::{Hub, Input, Looked, Output, Settings};
use kith::chat::refusal::{ErrorCode, Refusal};
use kith::clock::{Moment, Now, UnixMillis};
use kith::ids::{ConnId, ConvId, Epoch, Key, PublicId, Seq, Tag, Ticket};

use hub_lines::{happened, lookup, refused, told, wait};

pub const LOBBY: ConvId = ConvId(1);
const EPOCH: Epoch = Epoch(7);

/// How the hub is set up before the story begins.
#[derive(Clone, Copy)]
pub struct Setup {
    pub settings: Settings,
    /// The lobby's log, and whether it outlives the server.
    pub floor: u64,
    pub head: u64,
    pub durable: bool,
}

/// A lobby with history whose log holds the entries 1 to `head`.
pub fn durable(head: u64) -> Setup {
    Setup {
        settings: Settings::default(),
        floor: 1,
        head,
        durable: true,
    }
}

/// A lobby without history.
pub fn live() -> Setup {
    Setup {
        durable: false,
        ..durable(0)
    }
}

pub fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

/// Runs a story and holds the hub to it.
#[track_caller]
pub fn check(setup: Setup, story: &str) {
    let mut room = Room::new(setup);
    let mut wanted = String::new();
    let mut came = String::new();
    let mut lines = story
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .peekable();
    while let Some(line) = lines.next() {
        let happens = line.strip_prefix("> ");
        let happens = happens.unwrap_or_else(|| panic!("nothing happened before {line:?}"));
        let _ = (writeln!(wanted, "{line}"), writeln!(came, "{line}"));
        let outputs = room.run(happens);
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("> ")) {
            expected.push(line);
        }
        let matters = expected != ["*"];
        for line in expected.into_iter().filter(|_| matters) {
            let _ = writeln!(wanted, "{line}");
        }
        for line in outputs.iter().filter(|_| matters) {
            let _ = writeln!(came, "{line}");
        }
    }
    assert!(wanted == came, "wanted:\n{wanted}\ncame:\n{came}");
}

/// A hub, and what the story has called its connections.
pub struct Room {
    pub hub: Hub,
    now: Now,
    conns: Vec<(String, ConnId)>,
    submitted: BTreeMap<u64, Write>,
    head: u64,
}

impl Room {
    pub fn new(setup: Setup) -> Self {
        let lobby = Standing {
            conv: LOBBY,
            epoch: EPOCH,
            head: Seq(setup.head),
            tag: tag(setup.head),
            floor: Seq(setup.floor),
            durable: setup.durable,
        };
        Self {
            hub: Hub::new(setup.settings, Snapshot { lobby }),
            // Not at zero, so that a deadline in the past can be told from none.
            now: Now {
                mono: Moment(1_000_000_000_000),
                wall: UnixMillis(1_700_000_000_000),
            },
            conns: Vec::new(),
            submitted: BTreeMap::new(),
            head: setup.head,
        }
    }

    /// Lets one thing happen; returns what is to be done about it.
    #[track_caller]
    pub fn run(&mut self, line: &str) -> Vec<String> {
        let mut words = Words(line);
        let input = match words.next() {
            "wait" => return self.wait(words.number()),
            "stop" if words.skip("now") => Input::StopNow,
            "stop" => Input::Stop,
            "store" => self.answer(words),
            who => self.happens(who, words),
        };
        self.hub.handle(input, self.now);
        self.drain()
    }

    /// As [`Room::run`], many times.
    #[track_caller]
    pub fn run_all(&mut self, lines: impl IntoIterator<Item = String>) -> Vec<String> {
        lines.into_iter().flat_map(|line| self.run(&line)).collect()
    }

    fn wait(&mut self, ms: u64) -> Vec<String> {
        let end = self.now.mono.after(Duration::from_millis(ms));
        let mut lines = Vec::new();
        while let Some(due) = self.hub.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now.mono, "what was due before was done before");
            self.now.mono = due;
            self.hub.handle_timeout(self.now);
            lines.append(&mut self.drain());
            assert_ne!(self.hub.poll_timeout(), Some(due), "done is done");
        }
        self.now.mono = end;
        lines
    }

    fn happens(&mut self, who: &str, mut words: Words<'_>) -> Input {
        let happens = words.next();
        if happens == "opens" {
            return self.open(who, words);
        }
        let conn = self.conn(who);
        match happens {
            "closes" => Input::Closed { conn },
            "lags" => Input::Lagging { conn },
            "drained" => Input::Drained { conn },
            "unfit" => Input::Unfit {
                conn,
                request: words.number() as u32,
                refusal: Refusal::new(ErrorCode::Malformed),
            },
            "asks" => Input::Asked {
                conn,
                request: words.number() as u32,
                key: words.number_after("key").map(|key| Key([key as u8; 16])),
                command: self.command(words),
            },
            other => panic!("{who} cannot {other:?}"),
        }
    }

    fn open(&mut self, who: &str, mut words: Words<'_>) -> Input {
        let serial = self.conns.len() as u32 + 1;
        let index = if words.skip("in") {
            let place = words.next().trim_end_matches("'s");
            assert!(words.skip("place"));
            self.conn(place).index
        } else {
            serial - 1
        };
        let conn = ConnId { index, serial };
        self.conns.push((who.to_owned(), conn));
        let from = words.number_after("from");
        Input::Opened {
            conn,
            address: [from.unwrap_or_default() as u8; 16],
            fresh: id(serial),
            name: words.rest_after("as"),
        }
    }

    fn command(&self, mut words: Words<'_>) -> Command {
        match words.next() {
            "hello" => self.hello(words),
            "talk" => Command::Talk(command::Talk {
                to: String::new(),
                text: words.rest(),
            }),
            "talkto" => Command::Talk(command::Talk {
                to: words.next().to_owned(),
                text: words.rest(),
            }),
            "list" => Command::UserList(command::UserList {
                limit: words.number_after("limit").unwrap_or(0) as u32,
                after: words.rest_after("after").unwrap_or_default(),
            }),
            "typing" => Command::Typing(command::Typing {
                conversation: words.rest(),
            }),
            "history" => Command::History(command::History {
                before: Seq(words.number_after("before").unwrap_or(0)),
                after: Seq(words.number_after("after").unwrap_or(0)),
                limit: words.number_after("limit").unwrap_or(0) as u32,
                conversation: words.rest(),
            }),
            "watch" => Command::Watch(command::Watch {
                names: words.0.split_whitespace().map(str::to_owned).collect(),
            }),
            "ping" => Command::Ping,
            "exit" => Command::Exit,
            other => panic!("no command {other:?}"),
        }
    }

    /// `hello [NAME] [proving CONN] [with cursor SEQ [tag T] [epoch E] [in ADDRESS]]…`
    fn hello(&self, mut words: Words<'_>) -> Command {
        let mut hello = Hello::default();
        let end = ["proving ", "with cursor "]
            .iter()
            .filter_map(|word| words.0.find(word))
            .min();
        let (name, rest) = words.0.split_at(end.unwrap_or(words.0.len()));
        hello.name = name.trim().to_owned();
        words.0 = rest;
        if words.skip("proving") {
            hello.resumed = Some(id(self.conn(words.next()).serial));
        }
        while words.skip("with") {
            assert!(words.skip("cursor"));
            let seq = words.number();
            hello.cursors.push(Cursor {
                seq: Seq(seq),
                tag: match words.skip("tag") {
                    true => Tag(words.number() as u32),
                    false => tag(seq),
                },
                epoch: match words.skip("epoch") {
                    true => Epoch(words.number()),
                    false => EPOCH,
                },
                conversation: match words.skip("in") {
                    true => words.next().to_owned(),
                    false => "lobby".to_owned(),
                },
            });
        }
        Command::Hello(Box::new(hello))
    }

    fn answer(&mut self, mut words: Words<'_>) -> Input {
        let verb = words.next();
        let ticket = Ticket(words.number());
        let result = match verb {
            "keeps" => Ok(Written::Appended(self.keep(ticket))),
            "has" if words.skip("as") => {
                let seq = words.number();
                let at = UnixMillis(0);
                Ok(Written::Again {
                    conv: LOBBY,
                    seq: Seq(seq),
                    tag: tag(seq),
                    at,
                })
            }
            "refuses" => Err(refusal(words.next())),
            "finds" => {
                let result = Ok(self.looked(words));
                return Input::Found { ticket, result };
            }
            "misses" => {
                let result = Err(refusal(words.next()));
                return Input::Found { ticket, result };
            }
            other => panic!("the store cannot {other:?}"),
        };
        Input::Written { ticket, result }
    }

    fn keep(&mut self, ticket: Ticket) -> Entry {
        let Some(Write::Talk { from, text, .. }) = self.submitted.remove(&ticket.0) else {
            panic!("{ticket:?} was never submitted");
        };
        self.head += 1;
        entry(self.head, from, &text)
    }

    fn looked(&mut self, mut words: Words<'_>) -> Looked {
        let kind = words.next();
        if kind == "tag" {
            let matches = words.next() == "right";
            return Looked::Cursor { matches };
        }
        let (first, last) = words.next().split_once('-').unwrap();
        let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
        let floor = words.number_after("floor").unwrap_or(1);
        if kind == "page" {
            return Looked::Page {
                first: Seq(first),
                last: Seq(last),
                floor: Seq(floor),
            };
        }
        let ann = Person {
            id: id(1),
            name: "Ann".into(),
        };
        Looked::History(HistoryPage {
            conv: LOBBY,
            entries: (first..=last).map(|n| entry(n, ann.clone(), "x")).collect(),
            floor: Seq(floor),
            head: Seq(0),
        })
    }

    #[track_caller]
    pub fn conn(&self, who: &str) -> ConnId {
        let found = self.conns.iter().rfind(|(name, _)| name == who);
        found
            .unwrap_or_else(|| panic!("nobody is called {who:?}"))
            .1
    }

    fn who(&self, conn: ConnId) -> &str {
        let found = self.conns.iter().find(|(_, one)| *one == conn);
        &found.expect("the hub knows nobody else").0
    }

    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.hub.poll_output() {
            lines.push(self.line(output));
        }
        lines
    }

    fn line(&mut self, output: Output) -> String {
        match output {
            Output::Reply { to, request, reply } => {
                format!("{} < {request} {}", self.who(to), told(&reply))
            }
            Output::Refuse {
                to,
                request,
                refusal,
            } => format!("{} < {request} {}", self.who(to), refused(&refusal)),
            Output::Push { to, event } => format!("{} < {}", self.who(to), happened(&event)),
            Output::FanOut {
                conv,
                except,
                event,
            } => {
                let mut to = self.hub.live(conv).to_vec();
                to.retain(|conn| Some(*conn) != except);
                to.sort_by_key(|conn| conn.serial);
                let mut to: Vec<&str> = to.into_iter().map(|conn| self.who(conn)).collect();
                if to.is_empty() {
                    to.push("nobody");
                }
                format!("{} < {}", to.join(" "), happened(&event))
            }
            Output::SendPage { to, from, upto, .. } => {
                format!("{} < page {from}-{upto}", self.who(to))
            }
            Output::Submit { ticket, write } => {
                let Write::Talk {
                    from, text, key, ..
                } = &write;
                let key = key.map_or(String::new(), |key| format!(" key {}", key.0[0]));
                let line = format!("store < {}{key} talk {}: {text}", ticket.0, from.name);
                self.submitted.insert(ticket.0, write);
                line
            }
            Output::Fetch { ticket, read } => format!("store < {} {}", ticket.0, lookup(&read)),
            Output::AwaitDrain { conn } => format!("{} awaits room", self.who(conn)),
            Output::SignedIn { conn } => format!("{} signed in", self.who(conn)),
            Output::Pause { conn } => format!("{} paused", self.who(conn)),
            Output::Resume { conn } => format!("{} resumed", self.who(conn)),
            Output::Close { conn, code } => format!("{} closed {}", self.who(conn), code.number()),
            Output::CloseAll { code, retry_after } => {
                format!("everybody closed {}{}", code.number(), wait(retry_after))
            }
        }
    }
}

/// The id of whoever signs in as somebody new on the connection of this serial.
fn id(serial: u32) -> PublicId {
    PublicId([serial as u8; 16])
}

/// Every entry of a story has a tag of its own.
pub fn tag(seq: u64) -> Tag {
    Tag(seq.wrapping_mul(10) as u32)
}

fn entry(seq: u64, from: Person, text: &str) -> Entry {
    Entry {
        conv: LOBBY,
        seq: Seq(seq),
        n: seq,
        tag: tag(seq),
        at: UnixMillis(0),
        from,
        body: Body::Message { text: text.into() },
    }
}

fn refusal(name: &str) -> Refusal {
    let code = ErrorCode::ALL.iter().find(|code| code.name() == name);
    Refusal::new(*code.unwrap_or_else(|| panic!("no refusal {name:?}")))
}

/// A line's words, one by one.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        word
    }

    fn skip(&mut self, word: &str) -> bool {
        let mut ahead = Words(self.0);
        let is = ahead.next() == word;
        if is {
            self.0 = ahead.0;
        }
        is
    }

    #[track_caller]
    fn number(&mut self) -> u64 {
        let word = self.next();
        word.parse()
            .unwrap_or_else(|_| panic!("{word:?} is no number"))
    }

    #[track_caller]
    fn number_after(&mut self, word: &str) -> Option<u64> {
        self.skip(word).then(|| self.number())
    }

    fn rest_after(&mut self, word: &str) -> Option<String> {
        self.skip(word).then(|| self.rest())
    }

    /// Everything that is left.
    fn rest(&mut self) -> String {
        std::mem::take(&mut self.0).to_owned()
    }
}
