//! What one device has of the lobby's log, and the one thing that it insists on: what it was given
//! and what it was told that it will not get is contiguous, and nothing comes twice.

use std::collections::BTreeMap;

/// What a device holds of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub epoch: String,
    /// The first entry that it lacks.
    next: u64,
    /// The tags of what it has.
    tags: BTreeMap<u64, u32>,
}

/// What a device says of where it stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub epoch: String,
    pub seq: u64,
    pub tag: u32,
}

/// What the answer to our own message is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It stands for the entry, which must not come any more.
    ForTheEntry,
    /// Something before the entry is missing; it comes in its place, or in a hole.
    ForNothing,
}

impl Ledger {
    /// A device that begins behind `head`.
    pub fn begin(epoch: &str, head: u64, tag: u32) -> Self {
        Self {
            epoch: epoch.to_owned(),
            next: head + 1,
            tags: BTreeMap::from([(head, tag)]),
        }
    }

    /// The last entry that it has, one way or the other.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    pub fn position(&self) -> Position {
        let seq = self.last();
        Position {
            epoch: self.epoch.clone(),
            seq,
            tag: self.tags.get(&seq).copied().unwrap_or(0),
        }
    }

    /// Everything it has from `seq` on is lost: restored from a backup, or asked for anew.
    pub fn rewind(&mut self, seq: u64) {
        self.next = seq + 1;
        self.tags.retain(|at, _| *at <= seq);
    }

    /// The entries that it has, of which it knows the tag.
    pub fn known(&self) -> impl Iterator<Item = u64> {
        self.tags.keys().copied()
    }

    /// Our own message was given this place, which nothing had before. The answer stands for the
    /// entry if and only if this is what was due.
    ///
    /// # Errors
    /// It was given to us before.
    pub fn talked(&mut self, seq: u64, tag: u32) -> Result<Stands, String> {
        if seq > self.next {
            return Ok(Stands::ForNothing);
        }
        self.entry(seq, tag)?;
        Ok(Stands::ForTheEntry)
    }

    /// # Errors
    /// A gap, or a repetition.
    pub fn entry(&mut self, seq: u64, tag: u32) -> Result<(), String> {
        self.due(seq)?;
        self.next = seq + 1;
        self.tags.insert(seq, tag);
        Ok(())
    }

    /// # Errors
    /// It does not begin where something was due, or ends before it begins.
    pub fn hole(&mut self, from: u64, to: u64, tag: u32) -> Result<(), String> {
        self.due(from)?;
        if to < from {
            return Err(format!("a hole from {from} to {to}"));
        }
        self.next = to + 1;
        if tag != 0 {
            self.tags.insert(to, tag);
        }
        Ok(())
    }

    fn due(&self, seq: u64) -> Result<(), String> {
        if self.next == seq {
            return Ok(());
        }
        Err(format!("{seq} came where {} was due", self.next))
    }
}
