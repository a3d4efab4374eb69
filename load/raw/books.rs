//! Who said what, and who heard it, where a server gives messages no places: the verdict.
//!
//! What one sender says has an order, its numbers, dense from 0. So for each listener and each
//! sender whom it is to hear, it is known what comes next; what was passed over and never came is
//! lost. Of listeners that only count it is known how many messages they are to hear. Knows no
//! connection and no clock.

use std::collections::BTreeMap;

use super::Expect;
use super::marker::Reading;
use crate::bounds::GAPS;
use crate::listener::Place;
use crate::payload::{Run, Which};
use crate::verdict::{Fault, Verdict};

/// The books of one run.
#[derive(Debug)]
pub struct Books {
    run: Run,
    expect: Expect,
    /// How many messages of each talker were due, and how many were sent.
    due: Vec<u32>,
    sent: Vec<u32>,
    /// How far each listener that reads has heard each sender, listener by listener: everything
    /// before that number was heard, or is in its gaps.
    next: Vec<u32>,
    /// Numbers that were passed over, by sender and first, up to the last.
    gaps: Vec<BTreeMap<(u32, u32), u32>>,
    /// Messages in gaps that there was no room for, by listener.
    forgotten: Vec<u64>,
    /// How many messages each listener that only counts has heard.
    counted: Vec<u64>,
    /// Messages that somebody who reads has not heard yet, once for each.
    missing: u64,
    /// The same for all who count, or less, if somebody of them has heard too much.
    uncounted: u64,
    /// Messages that came back to their sender, for the first time.
    returned: u64,
    verdict: Verdict,
}

impl Books {
    /// The first `talkers` of all `clients` say something; the first `readers` read what they
    /// hear, the others count.
    pub fn new(run: Run, expect: Expect, clients: u32, talkers: u32, readers: u32) -> Self {
        let (talkers, readers) = (talkers as usize, readers as usize);
        let width = if expect == Expect::Echo { 1 } else { talkers };
        Self {
            run,
            expect,
            due: vec![0; talkers],
            sent: vec![0; talkers],
            next: vec![0; readers * width],
            gaps: vec![BTreeMap::new(); readers],
            forgotten: vec![0; readers],
            counted: vec![0; clients as usize - readers],
            missing: 0,
            uncounted: 0,
            returned: 0,
            verdict: Verdict::default(),
        }
    }

    /// A message is due.
    pub fn due(&mut self, sender: u32) {
        self.due[sender as usize] += 1;
    }

    /// The next message of this client goes; gives its number.
    pub fn sent(&mut self, sender: u32) -> Which {
        let number = self.sent[sender as usize];
        self.sent[sender as usize] += 1;
        let readers = self.gaps.len() as u64;
        self.missing += match self.expect {
            Expect::Echo => 1,
            Expect::Broadcast => readers,
            Expect::Others => readers.saturating_sub(1),
        };
        if self.expect != Expect::Echo {
            self.uncounted += self.counted.len() as u64;
        }
        Which { sender, number }
    }

    /// What a client that reads was told. Says which message it is to be counted as, if it is a
    /// message that this client was to hear and had not heard.
    pub fn heard(&mut self, client: u32, reading: Reading) -> Option<Which> {
        let which = match reading {
            Reading::Ours(which, _) | Reading::AlteredOf(which) => which,
            Reading::Altered => {
                let name = self.run.name(client);
                let why = || format!("{name} heard a message of this run, not as it was sent");
                self.verdict.note(Fault::Altered, why);
                return None;
            }
            Reading::Foreign => return self.misdelivered(client, "a message of another run"),
            Reading::Stranger => {
                self.verdict.strangers += 1;
                return None;
            }
        };
        let Which { sender, number } = which;
        if self
            .sent
            .get(sender as usize)
            .is_none_or(|sent| number >= *sent)
        {
            return self.misdelivered(client, "a message that nobody has sent");
        }
        match self.expect {
            Expect::Echo if sender != client => {
                return self.misdelivered(client, &format!("{} for another", self.of(which)));
            }
            Expect::Others if sender == client => {
                return self.misdelivered(client, &format!("{}, its own", self.of(which)));
            }
            _ => {}
        }
        self.place(client, which, reading)
    }

    /// A client that only counts heard so many more.
    pub fn counted(&mut self, client: u32, messages: u64) {
        let at = client as usize - self.gaps.len();
        self.counted[at] += messages;
        self.uncounted = self.uncounted.saturating_sub(messages);
    }

    /// The server said that it will not do this.
    pub fn refused(&mut self, which: Which, code: u32, name: &str, message: &str) {
        let Which { sender, number } = which;
        if self
            .sent
            .get(sender as usize)
            .is_none_or(|sent| number >= *sent)
        {
            return;
        }
        let at = self.index(sender, sender);
        if self.pass(sender, at, which) == Place::Again {
            return;
        }
        self.missing -= 1;
        let of = self.of(which);
        let refused = &mut self.verdict.refused;
        refused.note(code, name, || format!("{of}: {message}"));
    }

    /// How often that was.
    pub fn refusals(&self) -> u64 {
        self.verdict.refused.count()
    }

    /// Whether everybody has heard everything that was sent.
    pub const fn all_heard(&self) -> bool {
        self.missing == 0 && self.uncounted == 0
    }

    /// Closes the books.
    pub fn close(mut self) -> Verdict {
        for client in 0..self.gaps.len() as u32 {
            self.close_reader(client);
        }
        self.close_counters();
        for (sender, (due, sent)) in self.due.iter().zip(&self.sent).enumerate() {
            self.verdict.said += u64::from(*due);
            let name = self.run.name(sender as u32);
            let why = || format!("message {sent} of {name} could not even be sent");
            let unsent = u64::from(due - sent);
            self.verdict.add(Fault::Unanswered, unsent, why);
        }
        self.verdict.acknowledged = self.returned;
        self.verdict
    }

    fn close_reader(&mut self, client: u32) {
        let name = self.run.name(client);
        let forgotten = self.forgotten[client as usize];
        self.verdict.add(Fault::Lost, forgotten, || {
            format!("{name} never heard more messages than there is room to name")
        });
        let gaps = std::mem::take(&mut self.gaps[client as usize]);
        let gaps = gaps
            .into_iter()
            .map(|((sender, from), to)| (sender, from, to + 1));
        let senders = match self.expect {
            Expect::Echo => client..(client + 1).min(self.sent.len() as u32),
            _ => 0..self.sent.len() as u32,
        };
        let own = self.expect == Expect::Others;
        let tails = senders.filter(|sender| !own || *sender != client);
        let tails = tails.map(|sender| {
            let next = self.next[self.index(client, sender)];
            (sender, next, self.sent[sender as usize])
        });
        let lost: Vec<_> = gaps.chain(tails).collect();
        for (sender, number, end) in lost {
            let of = self.of(Which { sender, number });
            let why = || format!("{name} never heard {of}");
            self.verdict.add(Fault::Lost, u64::from(end - number), why);
        }
    }

    /// They know numbers only: what was lost and doubled in equal parts is not seen.
    fn close_counters(&mut self) {
        let all = match self.expect {
            Expect::Echo => 0,
            _ => self.sent.iter().map(|sent| u64::from(*sent)).sum(),
        };
        for (at, counted) in self.counted.iter().enumerate() {
            let name = self.run.name((self.gaps.len() + at) as u32);
            let why = || format!("{name} heard {counted} messages of {all}");
            let verdict = &mut self.verdict;
            verdict.add(Fault::Lost, all.saturating_sub(*counted), why);
            verdict.add(Fault::Duplicated, counted.saturating_sub(all), why);
        }
    }

    /// Notes that a message has come to somebody who was to hear it.
    fn place(&mut self, client: u32, which: Which, reading: Reading) -> Option<Which> {
        let at = self.index(client, which.sender);
        let place = self.pass(client, at, which);
        let heard = |this: &Self| format!("{} heard {}", this.run.name(client), this.of(which));
        match place {
            Place::New => {}
            Place::Late => {
                let why = heard(self);
                self.verdict
                    .note(Fault::Reordered, || format!("{why} too late"));
            }
            Place::Again => {
                let why = heard(self);
                self.verdict
                    .note(Fault::Duplicated, || format!("{why} twice"));
                return None;
            }
        }
        self.missing -= 1;
        self.returned += u64::from(client == which.sender);
        if let Reading::AlteredOf(_) = reading {
            let why = heard(self);
            self.verdict
                .note(Fault::Altered, || format!("{why}, not as it was sent"));
        }
        Some(which)
    }

    /// Goes on behind a message, or takes it out of the gaps.
    fn pass(&mut self, client: u32, at: usize, which: Which) -> Place {
        let Which { sender, number } = which;
        let next = &mut self.next[at];
        let gaps = &mut self.gaps[client as usize];
        if number >= *next {
            if number > *next {
                gaps.insert((sender, *next), number - 1);
                if gaps.len() > GAPS
                    && let Some(((_, from), to)) = gaps.pop_first()
                {
                    self.forgotten[client as usize] += u64::from(to - from + 1);
                }
            }
            self.next[at] = number + 1;
            return Place::New;
        }
        let before = gaps.range(..=(sender, number)).next_back();
        let Some((&(of, from), &to)) = before else {
            return Place::Again;
        };
        if of != sender || to < number {
            return Place::Again;
        }
        gaps.remove(&(sender, from));
        if from < number {
            gaps.insert((sender, from), number - 1);
        }
        if number < to {
            gaps.insert((sender, number + 1), to);
        }
        Place::Late
    }

    /// Where it stands how far a listener has heard a sender.
    const fn index(&self, client: u32, sender: u32) -> usize {
        match self.expect {
            Expect::Echo => client as usize,
            _ => client as usize * self.sent.len() + sender as usize,
        }
    }

    fn of(&self, which: Which) -> String {
        let sender = self.run.name(which.sender);
        format!("message {} of {sender}", which.number)
    }

    fn misdelivered(&mut self, client: u32, what: &str) -> Option<Which> {
        let name = self.run.name(client);
        let why = || format!("{name} heard {what}");
        self.verdict.note(Fault::Misdelivered, why);
        None
    }
}
