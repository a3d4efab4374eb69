//! Connections that come besides the clients and never get anything done.
//!
//! Some say nothing, some stop in the middle of the handshake, some say everything byte by byte,
//! some are gone as soon as they are in; some end with a FIN and some with a reset. What they are
//! told is read and forgotten: no verdict is about them, and the others must not notice them.
//! Knows no socket and no clock, and nothing of the crowd.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::IoSlice;

use kith::clock::Moment;
use kith::conn::Shared;
use kith::conn::client::{Client, Opening, Told};
use kith::ids::Entropy;
use kith::limits::WRITE_PIECES;
use kith::wire::{Format, pb};
use tungstenite::handshake::client::generate_key;

use crate::bounds::{FLAP_AWAY, FLAP_BYTE, FLAP_HOLD};
use crate::crowd::{Action, Target};
use crate::payload::Run;
use crate::person::{greeting, masked};

/// All such connections of a run.
#[derive(Debug)]
pub struct Flaps {
    /// Their sockets have the numbers from here on.
    first: u32,
    list: Vec<Flap>,
    /// When whose next step is.
    steps: BinaryHeap<Reverse<(Moment, u32)>>,
    actions: VecDeque<Action>,
    dirty: Vec<u32>,
    /// How many connections there have been.
    opened: u64,
}

/// One of them, in one of its lives.
#[derive(Debug, Default)]
struct Flap {
    conn: Option<Client>,
    way: Way,
    /// What it would say, what of that it may, and what of that is written.
    words: Vec<u8>,
    may: usize,
    said: usize,
    /// The end of this life.
    until: Moment,
    lives: u32,
}

/// What one does in a life; in its next it does the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    /// Connects and says nothing.
    #[default]
    Mute,
    /// Stops in the middle of the handshake.
    Half,
    /// Says everything, a byte at a time.
    Bytewise,
    /// Is in, and leaves at once.
    Passing,
}

const WAYS: [Way; 4] = [Way::Mute, Way::Half, Way::Bytewise, Way::Passing];

/// What they share with the crowd, which owns it.
#[derive(Debug)]
pub struct Means<'a> {
    /// Where the server is.
    pub target: &'a Target,
    /// Whose names they bear.
    pub run: Run,
    /// What connections share.
    pub shared: &'a mut Shared,
    /// Where masks come from.
    pub entropy: &'a mut Entropy,
}

impl Flaps {
    /// So many, whose sockets have the numbers from `first` on. None of them is there yet.
    pub fn new(first: u32, count: u32) -> Self {
        Self {
            first,
            list: (0..count).map(|_| Flap::default()).collect(),
            steps: BinaryHeap::new(),
            actions: VecDeque::new(),
            dirty: Vec::new(),
            opened: 0,
        }
    }

    /// They come from now on, one after the other.
    pub fn begin(&mut self, now: Moment) {
        let count = self.list.len() as u32;
        for at in 0..count {
            let wait = FLAP_HOLD.mul_f64(f64::from(at) / f64::from(count));
            self.steps.push(Reverse((now.after(wait), at)));
        }
    }

    /// They are all gone, and stay away.
    pub fn end(&mut self) {
        self.steps.clear();
        for at in 0..self.list.len() {
            if self.list[at].conn.take().is_some() {
                self.actions.push_back(Action::Drop(self.first + at as u32));
            }
        }
    }

    /// How many connections there have been.
    pub const fn opened(&self) -> u64 {
        self.opened
    }

    /// Does what is due.
    pub fn tick(&mut self, means: &mut Means<'_>, now: Moment) {
        while let Some(Reverse((due, at))) = self.steps.peek().copied()
            && due <= now
        {
            self.steps.pop();
            let next = self.step(at, means, now);
            self.steps.push(Reverse((next, at)));
        }
    }

    /// When something is due.
    pub fn next(&self) -> Option<Moment> {
        self.steps.peek().map(|Reverse((due, _))| *due)
    }

    /// What is to be done with sockets, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Those who have something to write, since the last call.
    pub fn take_dirty(&mut self, into: &mut Vec<u32>) {
        into.append(&mut self.dirty);
    }

    /// Bytes came.
    pub fn received(&mut self, client: u32, bytes: &[u8], means: &mut Means<'_>) {
        let flap = &mut self.list[(client - self.first) as usize];
        let mut input = bytes;
        while let Some(conn) = &mut flap.conn
            && let Some(told) = conn.poll_event(&mut input, means.shared)
        {
            match told {
                Told::Open => {
                    // A name of its own in each life: the last one may still be online.
                    let name = means.run.name(self.first.wrapping_add(self.opened as u32));
                    let frame = greeting(pb::Hello {
                        name,
                        ..pb::Hello::default()
                    });
                    let mask = means.entropy.u32().to_be_bytes();
                    conn.push(&masked(&frame, mask), means.shared);
                    take(conn, &mut flap.words, means.shared);
                    self.dirty.push(client);
                }
                // The answer to `hello`.
                Told::Binary(_) if flap.way == Way::Passing => {
                    flap.conn = None;
                    self.actions.push_back(flap.leave(client));
                }
                Told::Refused(_) | Told::Closed(_) => return self.ended(client),
                Told::Binary(_) | Told::Text(_) => {}
            }
        }
    }

    /// A socket came to its end, or could not be connected. In its next life it tries again.
    pub fn ended(&mut self, client: u32) {
        self.list[(client - self.first) as usize].conn = None;
        self.actions.push_back(Action::Drop(client));
    }

    /// What is to be written now.
    pub fn slices<'a>(&'a self, client: u32, into: &mut [IoSlice<'a>; WRITE_PIECES]) -> usize {
        let flap = &self.list[(client - self.first) as usize];
        let bytes = &flap.words[flap.said..flap.may.clamp(flap.said, flap.words.len())];
        into[0] = IoSlice::new(bytes);
        usize::from(flap.conn.is_some() && !bytes.is_empty())
    }

    /// So much of it was taken.
    pub fn wrote(&mut self, client: u32, taken: usize) {
        self.list[(client - self.first) as usize].said += taken;
    }

    /// What one does next, and when it wants to be asked again.
    fn step(&mut self, at: u32, means: &mut Means<'_>, now: Moment) -> Moment {
        let client = self.first + at;
        let flap = &mut self.list[at as usize];
        if flap.conn.is_some() && now >= flap.until {
            flap.conn = None;
            self.actions.push_back(flap.leave(client));
            return now.after(FLAP_AWAY);
        }
        if flap.conn.is_none() && now >= flap.until {
            flap.begin(at, means, now);
            self.opened += 1;
            self.actions.push_back(Action::Connect(client));
        }
        if flap.way == Way::Bytewise {
            flap.may += 1;
        }
        self.dirty.push(client);
        match flap.way {
            Way::Bytewise => now.after(FLAP_BYTE).min(flap.until),
            _ => flap.until,
        }
    }
}

impl Flap {
    fn begin(&mut self, at: u32, means: &mut Means<'_>, now: Moment) {
        let opening = Opening {
            host: &means.target.host,
            path: &means.target.path,
            key: &generate_key(),
            subprotocol: Some(Format::Proto.subprotocol()),
            fields: &[],
        };
        let mut conn = Client::new(&opening, means.shared);
        let mut words = Vec::new();
        take(&mut conn, &mut words, means.shared);
        let way = WAYS[(at.wrapping_add(self.lives) % WAYS.len() as u32) as usize];
        *self = Self {
            may: match way {
                Way::Mute | Way::Bytewise => 0,
                Way::Half => words.len() / 2,
                Way::Passing => usize::MAX,
            },
            conn: Some(conn),
            way,
            words,
            said: 0,
            until: now.after(FLAP_HOLD),
            lives: self.lives.wrapping_add(1),
        };
    }

    /// Every other round it says so, and in the one between it just vanishes.
    fn leave(&self, client: u32) -> Action {
        match self.lives.saturating_sub(1) / WAYS.len() as u32 % 2 {
            0 => Action::Leave(client),
            _ => Action::Drop(client),
        }
    }
}

/// Moves what a connection has to write behind the other words.
fn take(conn: &mut Client, words: &mut Vec<u8>, shared: &mut Shared) {
    let before = words.len();
    let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
    let count = conn.slices(shared, &mut pieces);
    for piece in &pieces[..count] {
        words.extend_from_slice(piece);
    }
    conn.wrote(words.len() - before, shared);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use kith::clock::Now;
    use kith::conn::{Conn, ConnConfig, Event, Frame, Push};

    use super::*;

    /// What the other end saw of a connection.
    #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
    struct Seen {
        asked: bool,
        named: bool,
        /// Turns in which bytes came.
        pieces: usize,
        reset: bool,
    }

    /// Some of them, and a server that answers.
    struct Rig {
        flaps: Flaps,
        target: Target,
        mine: Shared,
        theirs: Shared,
        entropy: Entropy,
        open: BTreeMap<u32, (Conn, Seen)>,
        over: Vec<Seen>,
    }

    impl Rig {
        fn new(count: u32) -> Self {
            let mut flaps = Flaps::new(100, count);
            flaps.begin(Moment(0));
            Self {
                flaps,
                target: Target {
                    address: ([127, 0, 0, 1], 9091).into(),
                    host: "h".to_owned(),
                    path: "/ws".to_owned(),
                },
                mine: Shared::for_clients(ConnConfig::default()),
                theirs: Shared::new(ConnConfig::default()),
                entropy: Entropy::Seeded(7),
                open: BTreeMap::new(),
                over: Vec::new(),
            }
        }

        fn until(&mut self, end: Duration) {
            while let Some(due) = self.flaps.next()
                && due < Moment(0).after(end)
            {
                let Self {
                    flaps,
                    target,
                    mine,
                    entropy,
                    ..
                } = self;
                let mut means = Means {
                    target,
                    run: Run(1),
                    shared: mine,
                    entropy,
                };
                flaps.tick(&mut means, due);
                while self.exchange(Now {
                    mono: due,
                    ..Now::default()
                }) {}
            }
        }

        fn act(&mut self, action: Action, now: Now) {
            let (client, reset) = match action {
                Action::Connect(client) => {
                    let new = (Conn::new(now), Seen::default());
                    assert!(self.open.insert(client, new).is_none());
                    return;
                }
                Action::Drop(client) => (client, true),
                Action::Leave(client) => (client, false),
                Action::Read(_) => panic!("nobody was held"),
            };
            let (_, seen) = self.open.remove(&client).unwrap();
            self.over.push(Seen { reset, ..seen });
        }

        /// Moves bytes both ways, once; says whether there was anything to do.
        fn exchange(&mut self, now: Now) -> bool {
            while let Some(action) = self.flaps.poll_action() {
                self.act(action, now);
            }
            let mut dirty = Vec::new();
            self.flaps.take_dirty(&mut dirty);
            for client in &dirty {
                let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
                if self.flaps.slices(*client, &mut pieces) == 0 {
                    continue;
                }
                let bytes = pieces[0].to_vec();
                self.flaps.wrote(*client, bytes.len());
                let (conn, seen) = self.open.get_mut(client).unwrap();
                seen.pieces += 1;
                let answer = answer(conn, seen, &bytes, &mut self.theirs, now);
                let Self {
                    flaps,
                    target,
                    mine,
                    entropy,
                    ..
                } = self;
                let mut means = Means {
                    target,
                    run: Run(1),
                    shared: mine,
                    entropy,
                };
                flaps.received(*client, &answer, &mut means);
            }
            !dirty.is_empty()
        }
    }

    fn answer(
        conn: &mut Conn,
        seen: &mut Seen,
        bytes: &[u8],
        shared: &mut Shared,
        now: Now,
    ) -> Vec<u8> {
        let mut input = bytes;
        loop {
            match conn.poll_event(&mut input, shared, now) {
                None => break,
                Some(Event::Upgrade(_)) => {
                    seen.asked = true;
                    conn.accept(Some("kith.v1.proto"), shared, now);
                }
                Some(Event::Binary(_)) => {
                    seen.named = true;
                    // Anything will do for a welcome.
                    let pushed = conn.push(&Frame::Copied(b"\x82\x00"), shared);
                    assert_eq!(pushed, Push::Queued);
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let count = conn.slices(shared, &mut pieces);
        let bytes: Vec<u8> = pieces[..count]
            .iter()
            .flat_map(|piece| piece.to_vec())
            .collect();
        conn.wrote(bytes.len(), shared, now);
        bytes
    }

    #[test]
    fn each_gets_as_far_as_its_way_goes_and_leaves_with_and_without_a_word() {
        let mut rig = Rig::new(1);
        // Eight lives: every way, once with a FIN and once with a reset.
        rig.until(8 * (FLAP_HOLD + FLAP_AWAY));
        assert_eq!(rig.over.len(), 8, "{:?}", rig.over);
        let ways: Vec<_> = rig
            .over
            .iter()
            .map(|seen| (seen.asked, seen.named))
            .collect();
        let round = [(false, false), (false, false), (true, true), (true, true)];
        assert_eq!(ways, [round, round].concat());
        let resets: Vec<_> = rig.over.iter().map(|seen| seen.reset).collect();
        assert_eq!(resets, [false, false, false, false, true, true, true, true]);
        let pieces: Vec<_> = rig.over.iter().map(|seen| seen.pieces).collect();
        assert_eq!((pieces[0], pieces[1], pieces[3]), (0, 1, 2));
        assert!(pieces[2] > 200, "{pieces:?}");
        assert_eq!(rig.flaps.opened() as usize, 8 + rig.open.len());
    }

    #[test]
    fn they_come_one_after_the_other_and_are_gone_at_the_end() {
        let mut rig = Rig::new(10);
        rig.until(FLAP_HOLD / 2);
        assert!((4..=6).contains(&rig.open.len()), "{}", rig.open.len());
        rig.until(FLAP_HOLD);
        rig.flaps.end();
        while rig.exchange(Now::default()) {}
        assert!(rig.open.is_empty() && rig.flaps.next().is_none());
    }
}
