//! Who said what, and who heard it: the verdict.
//!
//! Every entry of a log has a `seq`, dense from 1, and every message of a run is known by sender
//! and number. So for each listener it is known what comes next, and for each message who must hear
//! it: everybody who was in the room when it got its place, but the connection that said it, for
//! which the acknowledgement stands. Knows no connection and no clock.

use std::collections::HashMap;

use kith::clock::Moment;
use kith::wire::pb;

use crate::bounds::STRANGE;
use crate::listener::{Listener, Place};
use crate::payload::{Reading, Run, Which};
use crate::verdict::{Fault, Verdict};

/// The books of one run.
#[derive(Debug)]
pub struct Ledger {
    run: Run,
    size: usize,
    names: Vec<String>,
    /// By sender, then by number.
    said: Vec<Vec<Said>>,
    by_seq: HashMap<u64, Which>,
    /// Where somebody heard what is none of the swarm's words, and how often. Whether it was to be
    /// is known when the books are closed.
    strange: HashMap<u64, u64>,
    listeners: Vec<Listener>,
    /// The first of those who only count what they hear.
    counting: usize,
    /// The last place in the log that anybody has heard of.
    head: u64,
    open: u64,
    verdict: Verdict,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// Index of the client who says it.
    pub sender: u32,
    /// When it was to be said.
    pub due: Moment,
    /// When it was, for the last time.
    pub sent: Option<Moment>,
    /// Its sender was away at some time between the two and the answer, by the swarm's own doing.
    pub interrupted: bool,
    fate: Fate,
    seq: Option<u64>,
    /// How many others heard it.
    seen: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Acknowledged,
    Refused,
    /// Refused, and nobody knows whether it was said all the same.
    Doubtful,
}

impl Ledger {
    /// For so many clients, whose messages have `size` bytes; the first `readers` read what they
    /// hear, the others count.
    pub fn new(run: Run, size: usize, clients: u32, readers: u32) -> Self {
        let count = clients as usize;
        Self {
            run,
            size,
            names: (0..clients).map(|client| run.name(client)).collect(),
            said: vec![Vec::new(); count],
            by_seq: HashMap::new(),
            strange: HashMap::new(),
            listeners: vec![Listener::default(); count],
            counting: readers as usize,
            head: 0,
            open: 0,
            verdict: Verdict::default(),
        }
    }

    /// What a client is called.
    pub fn name(&self, client: u32) -> &str {
        &self.names[client as usize]
    }

    /// Notes that a message is due, and gives it its number.
    pub fn due(&mut self, sender: u32, due: Moment) -> Which {
        let all = &mut self.said[sender as usize];
        let number = all.len() as u32;
        all.push(Said {
            sender,
            due,
            sent: None,
            interrupted: false,
            fate: Fate::Open,
            seq: None,
            seen: 0,
        });
        self.open += 1;
        Which { sender, number }
    }

    /// A message, if there is such a one.
    pub fn said(&mut self, which: Which) -> Option<&mut Said> {
        let all = self.said.get_mut(which.sender as usize)?;
        all.get_mut(which.number as usize)
    }

    /// A client came in for the first time, behind this place. It hears what follows.
    pub fn joined(&mut self, client: u32, head: u64, tag: u32) {
        self.head = self.head.max(head);
        self.listeners[client as usize] = Listener::joined(head, tag);
    }

    /// A client that only counts is back, behind this place.
    pub fn came_back(&mut self, client: u32, head: u64, tag: u32) {
        self.head = self.head.max(head);
        self.listeners[client as usize].missed(head, tag);
    }

    /// A client that only counts heard so many entries.
    pub fn counted(&mut self, client: u32, entries: u64) {
        self.listeners[client as usize].counted(entries);
    }

    /// Where a client stopped reading: `(seq, tag)`.
    pub fn cursor(&self, client: u32) -> (u64, u32) {
        self.listeners[client as usize].cursor()
    }

    /// The sender was told its message's place. Says whether that was news.
    pub fn acknowledged(&mut self, which: Which, told: &pb::Talked) -> bool {
        let Some(said) = self.said(which).filter(|said| said.fate == Fate::Open) else {
            let name = self.name(which.sender);
            let why = format!("{name} was told again that {} is said", number(which));
            self.verdict.note(Fault::Altered, || why);
            return false;
        };
        said.fate = Fate::Acknowledged;
        self.open -= 1;
        self.place(which, told.seq);
        // The first answer to a repeated question is of another connection, and stands for nothing
        // on this one.
        if !told.duplicate {
            self.listeners[which.sender as usize].acknowledged(told.seq, told.tag);
        }
        true
    }

    /// The sender was told that it will not be said.
    pub fn refused(&mut self, which: Which, error: &pb::Error) {
        if let Some(said) = self.said(which)
            && said.fate == Fate::Open
        {
            said.fate = match error.outcome() {
                pb::Outcome::Unknown => Fate::Doubtful,
                _ => Fate::Refused,
            };
            self.open -= 1;
        }
        let who = self.name(which.sender).to_owned();
        let pb::Error { code, name, .. } = error;
        self.verdict.refused.note(*code, name, || {
            format!("{} of {who}: {}", number(which), error.message)
        });
    }

    /// Somebody was told an entry; gives the message, if it was to hear it.
    pub fn heard(&mut self, client: u32, entry: &pb::Entry) -> Option<Said> {
        let text = match &entry.body {
            Some(pb::entry::Body::Message(message)) => message.text.as_str(),
            None => "",
        };
        let reading = self.run.read(text, self.size);
        let listener = &mut self.listeners[client as usize];
        let foreign = entry.conversation != "lobby" || reading == Reading::Foreign;
        if foreign && (entry.conversation != "lobby" || !listener.expects(entry.seq)) {
            // It has no place in this log; a place that it claims is another log's.
            return self.misdelivered(client, entry);
        }
        self.head = self.head.max(entry.seq);
        let place = listener.heard(entry.seq, entry.tag);
        let which = match reading {
            Reading::Ours(which, _) => which,
            Reading::Foreign => return self.misdelivered(client, entry),
            Reading::Stranger => {
                self.strange(entry.seq);
                return None;
            }
            Reading::Altered => return self.altered(client, entry),
        };
        if self.names.get(which.sender as usize) != Some(&entry.from) {
            return self.altered(client, entry);
        }
        let Some(known) = self.said(which).map(|said| said.seq) else {
            return self.altered(client, entry);
        };
        let twice = known.is_some_and(|seq| seq != entry.seq);
        if twice || place == Place::Again {
            let name = self.name(client).to_owned();
            let seq = entry.seq;
            self.verdict.note(Fault::Duplicated, || {
                format!(
                    "{name} heard {} twice, at seq {seq}",
                    of(which, &entry.from)
                )
            });
            return None;
        }
        self.place(which, entry.seq);
        if place == Place::Late {
            let name = self.name(client).to_owned();
            let seq = entry.seq;
            self.verdict.note(Fault::Reordered, || {
                format!(
                    "{name} heard {} (seq {seq}) too late",
                    of(which, &entry.from)
                )
            });
        }
        let said = self.said(which)?;
        if which.sender != client {
            said.seen += 1;
        }
        Some(*said)
    }

    /// Somebody was told that entries will not come, of which the last has this tag.
    pub fn hole(&mut self, client: u32, (from, to): (u64, u64), tag: u32) {
        self.head = self.head.max(to);
        let listener = &mut self.listeners[client as usize];
        let entries = if (client as usize) < self.counting {
            listener.hole(from, to, tag)
        } else {
            let entries = to.saturating_sub(from).saturating_add(1);
            listener.counted(entries);
            entries
        };
        let name = self.names[client as usize].as_str();
        let why = || format!("{name} was told that seq {from} to {to} will not come");
        self.verdict.add(Fault::AnnouncedHole, entries, why);
    }

    /// Somebody was told to forget its place and to go on behind this one.
    pub fn reset(&mut self, client: u32, head: u64, tag: u32) {
        let (seq, _) = self.cursor(client);
        self.hole(client, (seq.saturating_add(1), head), tag);
        let name = self.names[client as usize].as_str();
        let taken_back = || format!("{name} was told to go back from seq {seq} to {head}");
        let entries = seq.saturating_sub(head);
        self.verdict.add(Fault::AnnouncedHole, entries, taken_back);
        self.listeners[client as usize].go_on(head, tag);
    }

    /// Messages that were due.
    pub fn due_so_far(&self) -> u64 {
        self.said.iter().map(|all| all.len() as u64).sum()
    }

    /// Messages that nobody has answered yet.
    pub const fn open(&self) -> u64 {
        self.open
    }

    /// Faults found so far. Those of omission are only found when the books are closed.
    pub fn faults(&self) -> u64 {
        self.verdict.faults()
    }

    /// Messages refused so far.
    pub fn refusals(&self) -> u64 {
        self.verdict.refused.count()
    }

    /// Whether everybody who is in the room has everything.
    pub fn all_heard(&self) -> bool {
        let mut all = self.listeners.iter();
        all.all(|listener| listener.has_all(self.head))
    }

    /// Closes the books.
    pub fn close(mut self) -> Verdict {
        let mut known: Vec<_> = self
            .by_seq
            .iter()
            .map(|(seq, which)| (*seq, *which))
            .collect();
        known.sort_unstable_by_key(|(seq, _)| *seq);
        for (client, listener) in self.listeners.iter().enumerate() {
            let name = &self.names[client];
            if client >= self.counting {
                let (few, many) = listener.balance(self.head);
                let why = || format!("{name} heard {few} entries too few, or {many} too many");
                self.verdict.add(Fault::Lost, few, why);
                self.verdict.add(Fault::Duplicated, many, why);
                continue;
            }
            for fault in [Fault::Lost, Fault::SilentHole] {
                self.verdict.add(fault, listener.forgotten(), || {
                    format!("{name} never heard more entries than there is room to name")
                });
            }
            for (from, to) in listener.missing(self.head) {
                let begin = known.partition_point(|(seq, _)| *seq < from);
                let end = known.partition_point(|(seq, _)| *seq <= to);
                let mut own = 0;
                for (seq, which) in &known[begin..end] {
                    // Its own: that is between it and the acknowledgement.
                    if which.sender as usize == client {
                        own += 1;
                        continue;
                    }
                    let sender = &self.names[which.sender as usize];
                    self.verdict.note(Fault::Lost, || {
                        format!("{name} never heard {} (seq {seq})", of(*which, sender))
                    });
                }
                if listener.heard_beyond(to) {
                    let entries = (to - from).saturating_add(1) - own;
                    self.verdict.add(Fault::SilentHole, entries, || {
                        format!("{name} heard what follows seq {to}, and not seq {from} to {to}")
                    });
                }
            }
        }
        self.count_said();
        self.count_strange();
        self.verdict
    }

    /// What was heard in the place of a message and is not even like one was that message.
    fn count_strange(&mut self) {
        for (seq, times) in std::mem::take(&mut self.strange) {
            match self.by_seq.get(&seq) {
                None => self.verdict.strangers += times,
                Some(which) => {
                    let of = of(*which, &self.names[which.sender as usize]);
                    let why = || format!("somebody heard other words at seq {seq}, place of {of}");
                    self.verdict.add(Fault::Altered, times, why);
                }
            }
        }
    }

    /// What became of each message by itself.
    fn count_said(&mut self) {
        // With one client there is nobody to hear anything, and who counts does not know what.
        let (readers, counters) = self.listeners.split_at(self.counting);
        let readers = readers.iter().filter(|one| one.is_in()).count();
        let heard_by_others = readers > 1 && counters.is_empty();
        for (name, all) in self.names.iter().zip(&self.said) {
            let mut last = 0;
            for (nth, said) in all.iter().enumerate() {
                let verdict = &mut self.verdict;
                verdict.said += 1;
                // Who says one thing after the other, also over several connections, has said so.
                let seq = said.seq.unwrap_or(last);
                if seq < last {
                    let why = || format!("message {nth} of {name} has seq {seq}, its last {last}");
                    verdict.note(Fault::Reordered, why);
                }
                last = last.max(seq);
                match said.fate {
                    Fate::Acknowledged => {
                        verdict.acknowledged += 1;
                        if said.seen == 0 && heard_by_others {
                            let seq = said.seq.unwrap_or_default();
                            verdict.note(Fault::NeverSeen, || {
                                format!("message {nth} of {name}, acknowledged as seq {seq}")
                            });
                        }
                    }
                    Fate::Open if said.sent.is_some() => {
                        let why = || format!("message {nth} of {name} was sent, never answered");
                        verdict.note(Fault::Unanswered, why);
                    }
                    Fate::Open => {
                        let why = || format!("message {nth} of {name} could not even be sent");
                        verdict.note(Fault::Unanswered, why);
                    }
                    // What was sent again may have been said the first time.
                    Fate::Refused if said.seen > 0 && !said.interrupted => {
                        let why = || format!("message {nth} of {name} was refused, and heard");
                        verdict.note(Fault::Altered, why);
                    }
                    Fate::Refused | Fate::Doubtful => {}
                }
            }
        }
    }

    /// Somebody was told what is none of the swarm's words.
    fn strange(&mut self, seq: u64) {
        if self.strange.len() < STRANGE || self.strange.contains_key(&seq) {
            *self.strange.entry(seq).or_default() += 1;
        } else {
            self.verdict.strangers += 1;
        }
    }

    /// Remembers a message's place, the first that is told.
    fn place(&mut self, which: Which, seq: u64) {
        self.head = self.head.max(seq);
        let Some(said) = self.said(which) else { return };
        match said.seq {
            None => {
                said.seq = Some(seq);
                // As when a log loses its end after somebody has heard it: each message was heard,
                // and nobody who was told the one will be told the other.
                if let Some(before) = self.by_seq.insert(seq, which) {
                    let before = of(before, self.name(before.sender));
                    let now = of(which, self.name(which.sender));
                    self.verdict.note(Fault::Lost, || {
                        format!("{before} had seq {seq}, which is {now} now")
                    });
                }
            }
            Some(known) if known != seq => {
                let name = self.name(which.sender).to_owned();
                self.verdict.note(Fault::Duplicated, || {
                    format!("{} has the places {known} and {seq}", of(which, &name))
                });
            }
            Some(_) => {}
        }
    }

    fn misdelivered(&mut self, client: u32, entry: &pb::Entry) -> Option<Said> {
        let name = self.names[client as usize].as_str();
        self.verdict.note(Fault::Misdelivered, || {
            let pb::Entry {
                conversation, from, ..
            } = entry;
            format!("{name} heard what {from} said in {conversation}, in no talk of this run")
        });
        None
    }

    fn altered(&mut self, client: u32, entry: &pb::Entry) -> Option<Said> {
        let name = self.names[client as usize].as_str();
        self.verdict.note(Fault::Altered, || {
            let pb::Entry { seq, from, .. } = entry;
            format!("{name} heard seq {seq} from {from}, not as it was said")
        });
        None
    }
}

fn number(which: Which) -> String {
    format!("message {}", which.number)
}

fn of(which: Which, sender: &str) -> String {
    format!("message {} of {sender}", which.number)
}
