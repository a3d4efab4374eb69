//! What everybody was told, put together: the checks that need more than one device.
//!
//! What it knows comes from the clients' side of the wire, and from the book that the disk's
//! wrapper keeps. The invariants of the design, as far as one room of guests has them, and where
//! each is checked:
//!
//! |   | invariant | check |
//! |---|---|---|
//! | 1 | acknowledged is kept, as it was acknowledged | `effects_are_as_told`, `sighting` |
//! | 2 | positions are dense from 1, none is given twice | `disk_keeps_its_word`, `sighting` |
//! | 3 | what a device got and its holes are contiguous | `ledger.rs`, `hearing.rs` |
//! | 4 | live means at the head | `ledger.rs` all along, `lacks` and `all_is_well` in the end |
//! | 5 | nothing before the welcome, nothing of anybody else | `event`, `one_entry_at_a_place` |
//! | 6 | one key, one effect, one answer | `one_key_one_answer`, `sighting` |
//! | 7 | (nothing can be revoked yet) | |
//! | 8 | the hub stands where the store does | `all_is_well` |
//! | 9 | nothing is told that is not on disk | `told_only_what_is_kept` |
//! | 10 | everything comes to rest, and presence is reality | `rest.rs` |

use std::collections::{BTreeMap, BTreeSet};

use kith::chat::durable::{Found, Read};
use kith::chat::event::{Body, Entry};
use kith::ids::{ConvId, Seq};
use kith::store::engine::Reader;
use kith::wire::pb;

use super::disk::{self, Ledger as Disk};

pub type Check = Result<(), String>;

/// Where a message went: epoch and position.
pub type Place = (String, u64);

/// One message that somebody wants to say.
#[derive(Clone, Debug)]
pub struct Said {
    /// The number at the beginning of its text, by which it is known everywhere.
    pub uid: u64,
    pub text: String,
    /// The guest id under which it is said; a key means nothing under another.
    pub as_guest: String,
    pub key: Option<[u8; 16]>,
    /// Attempts that were neither acknowledged nor refused for certain.
    pub open: usize,
    /// What was acknowledged: where, with which tag, at what time.
    pub acknowledged: Option<(Place, u32, (i64, i32))>,
}

/// See the module.
pub struct Oracle {
    pub disk: Disk,
    pub history: bool,
    pub lobby_keep: u64,
    pub said: BTreeMap<u64, Said>,
    /// What anybody saw at a place: tag, message, time.
    seen: BTreeMap<Place, (u32, u64, (i64, i32))>,
    /// Where a message was seen.
    placed: BTreeMap<(String, u64), u64>,
}

impl Oracle {
    pub fn new(disk: Disk, history: bool, lobby_keep: u64) -> Self {
        Self {
            disk,
            history,
            lobby_keep,
            said: BTreeMap::new(),
            seen: BTreeMap::new(),
            placed: BTreeMap::new(),
        }
    }

    /// Somebody is about to say something new; returns the message's number.
    pub fn utter(&mut self, as_guest: &str, key: Option<[u8; 16]>, padding: usize) -> u64 {
        let uid = self.said.len() as u64 + 1;
        let said = Said {
            uid,
            text: format!("{uid}:{}", "x".repeat(padding)),
            as_guest: as_guest.to_owned(),
            key,
            open: 0,
            acknowledged: None,
        };
        self.said.insert(uid, said);
        uid
    }

    pub fn message(&mut self, uid: u64) -> &mut Said {
        self.said.get_mut(&uid).expect("was said")
    }

    /// Invariants 6 and 9: the first answer and every further one under the key are the same, and
    /// none comes before the disk has it.
    pub fn one_key_one_answer(&mut self, uid: u64, epoch: &str, told: &pb::Talked) -> Check {
        let at = time(told.at.as_ref());
        let place = (epoch.to_owned(), told.seq);
        let message = self.message(uid);
        message.open = message.open.saturating_sub(1);
        let answer = (place.clone(), told.tag, at);
        match &message.acknowledged {
            Some(before) if before.0.0 == epoch && *before != answer => {
                return Err(format!(
                    "one key, one answer: {before:?}, and then {answer:?} for message {uid}"
                ));
            }
            Some(before) if before.0.0 == epoch && !told.duplicate => {
                return Err(format!("one key, one answer: message {uid} is new again"));
            }
            None if told.duplicate && message.key.is_none() => {
                return Err(format!("message {uid} has no key, and is a duplicate"));
            }
            _ => message.acknowledged = Some(answer),
        }
        self.sighting(place, told.tag, uid, at)
    }

    /// Invariant 2 and 5: a place holds one entry for everybody, said by whoever said it.
    pub fn one_entry_at_a_place(&mut self, epoch: &str, told: &pb::Entry) -> Check {
        let Some(pb::entry::Body::Message(message)) = &told.body else {
            return Err(format!("entry {} says nothing", told.seq));
        };
        if told.conversation != "lobby" {
            return Err(format!("an entry of {:?}", told.conversation));
        }
        let uid = number(&message.text)?;
        let Some(said) = self.said.get(&uid) else {
            return Err(format!("nobody said {:?}", message.text));
        };
        if message.text != said.text || told.from_id != said.as_guest {
            return Err(format!(
                "message {uid} of {} came as one of {} with {} bytes",
                said.as_guest,
                told.from_id,
                message.text.len()
            ));
        }
        if told.n != told.seq {
            return Err(format!("entry {} is message {}", told.seq, told.n));
        }
        let at = time(told.at.as_ref());
        self.sighting((epoch.to_owned(), told.seq), told.tag, uid, at)
    }

    fn sighting(&mut self, place: Place, tag: u32, uid: u64, at: (i64, i32)) -> Check {
        let sight = (tag, uid, at);
        let before = self.seen.entry(place.clone()).or_insert(sight);
        if *before != sight {
            return Err(format!("{place:?} is {before:?}, and then {sight:?}"));
        }
        let at = self.placed.entry((place.0.clone(), uid));
        if *at.or_insert(place.1) != place.1 {
            return Err(format!("one key, one effect: {uid} stands twice"));
        }
        self.told_only_what_is_kept(&place, tag, uid)
    }

    /// Invariant 9: no event, no page and no answer before the disk has it.
    fn told_only_what_is_kept(&self, place: &Place, tag: u32, uid: u64) -> Check {
        if !self.history {
            return Ok(());
        }
        let book = disk::open(&self.disk);
        let Some(entry) = book.committed.get(&place.1) else {
            return Err(format!("{place:?} was told and is not on disk"));
        };
        let Body::Message { text } = &entry.body;
        if entry.tag.0 != tag || number(text) != Ok(uid) {
            return Err(format!("{place:?} was told otherwise than it is on disk"));
        }
        Ok(())
    }

    /// The last entry that retention may have taken by now.
    pub fn expired(&self) -> u64 {
        let book = disk::open(&self.disk);
        let head = book.committed.keys().next_back().copied().unwrap_or(0);
        match self.lobby_keep {
            0 => 0,
            keep => head.saturating_sub(keep),
        }
    }

    /// Invariants 1, 2, 6 and 8, once nothing is under way: what is on disk is what was committed,
    /// dense, once, and everything that was acknowledged.
    pub fn disk_keeps_its_word(&self, conv: ConvId, reader: &mut impl Reader) -> Check {
        let mut kept = BTreeMap::new();
        let mut floor = Seq(1);
        let mut after = Seq(0);
        loop {
            let entries = run_of(reader, conv, after, &mut floor)?;
            let Some(last) = entries.last() else { break };
            after = last.seq;
            kept.extend(entries.into_iter().map(|entry| (entry.seq.0, entry)));
        }
        let book = disk::open(&self.disk);
        let head = book.committed.keys().next_back().copied().unwrap_or(0);
        if !book.committed.keys().copied().eq(1..=head) {
            return Err("positions are not dense from 1".to_owned());
        }
        let wanted = book.committed.range(floor.0..);
        if !wanted.eq(kept.iter()) {
            return Err(format!(
                "the disk holds {} of {} entries from {floor} on",
                kept.len(),
                (head + 1).saturating_sub(floor.0)
            ));
        }
        drop(book);
        if floor.0 > self.expired() + 1 {
            return Err(format!("the floor {floor} is above what is kept"));
        }
        self.effects_are_as_told()
    }

    /// Every message that was acknowledged is there; one that was refused for certain is not; none
    /// is there twice.
    fn effects_are_as_told(&self) -> Check {
        let book = disk::open(&self.disk);
        let mut effects: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for entry in book.committed.values() {
            let Body::Message { text } = &entry.body;
            effects.entry(number(text)?).or_default().push(entry.seq.0);
        }
        for said in self.said.values() {
            let effects = effects.get(&said.uid).map_or(&[][..], Vec::as_slice);
            let right = match (&said.acknowledged, effects) {
                (Some(((_, seq), ..)), [one]) => seq == one,
                (Some(_), _) => false,
                (None, []) => true,
                (None, [_]) => said.open > 0,
                (None, _) => false,
            };
            if !right {
                return Err(format!(
                    "acknowledged means kept: message {} was acknowledged as {:?} with {} attempts \
                     open, and stands at {effects:?}",
                    said.uid, said.acknowledged, said.open
                ));
            }
        }
        Ok(())
    }

    /// Invariant 10, of one list: who is shown is who is there.
    pub fn presence_is_reality(shown: &BTreeSet<String>, there: &BTreeSet<String>) -> Check {
        if shown == there {
            return Ok(());
        }
        Err(format!("presence shows {shown:?}, and there are {there:?}"))
    }
}

fn run_of(
    reader: &mut impl Reader,
    conv: ConvId,
    after: Seq,
    floor: &mut Seq,
) -> Result<Vec<Entry>, String> {
    let read = Read::Page {
        conv,
        next: after.next(),
    };
    let found = reader.read(&read).map_err(|error| format!("{error:?}"))?;
    let Found::Page(mut page) = found else {
        return Err("a page that is none".to_owned());
    };
    *floor = page.floor;
    if page.entries.is_empty() && after < page.floor.prev() {
        return run_of(reader, conv, page.floor.prev(), floor);
    }
    page.entries.retain(|entry| entry.seq > after);
    Ok(page.entries)
}

/// The number that a message is known by.
fn number(text: &str) -> Result<u64, String> {
    let number = text.split_once(':').map(|(number, _)| number.parse());
    match number {
        Some(Ok(number)) => Ok(number),
        _ => Err(format!("{text:.20?} is nothing that anybody said")),
    }
}

fn time(at: Option<&kith::wire::time::Timestamp>) -> (i64, i32) {
    at.map_or((i64::MIN, 0), |at| (at.seconds, at.nanos))
}
