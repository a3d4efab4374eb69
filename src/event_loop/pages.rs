//! Pages of logs that were read from the store, kept for the next listener who is behind.
//!
//! Floor 3. After a restart ten thousand listeners lack the same two hundred entries. A page is read
//! once, and encoded once per format, however many ask; while it is being read, further listeners
//! who need it join those who wait. What is kept is bounded in bytes, and the page that was not used
//! for longest goes first. Entries never change, so a page is never wrong, at worst too short: then
//! it does not hold what is looked for and is read again.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::chat::durable::Page;
use crate::chat::event::{Addresses, Body, Entry};
use crate::chat::hub::Looked;
use crate::conn::frame::{self, Kind};
use crate::ids::{ConvId, Seq, Ticket};
use crate::limits::{PAGE_CACHE_BYTES, PAGE_ENTRIES};
use crate::wire::{self, Format};

/// The cache. See the module.
#[derive(Debug, Default)]
pub struct Pages {
    kept: BTreeMap<(ConvId, Seq), Kept>,
    bytes: usize,
    uses: u64,
    /// Who waits for a page that is being read, under its number in the log.
    waiting: BTreeMap<(ConvId, u64), Vec<Waiting>>,
    asked: BTreeMap<Ticket, (ConvId, u64)>,
}

/// A listener that lacks `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Of the question.
    pub ticket: Ticket,
    /// The first entry that the listener lacks.
    pub next: Seq,
}

/// What to do about a page that somebody needs.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Want {
    /// It is here.
    Here(Looked),
    /// It is not, and is to be read.
    Read,
    /// It is not, but is being read already.
    Wait,
}

#[derive(Debug)]
struct Kept {
    entries: Vec<Entry>,
    floor: Seq,
    encoded: [Option<Encoded>; Format::ALL.len()],
    bytes: usize,
    used: u64,
}

/// The frames of a page, one after the other, and where each one begins.
#[derive(Debug)]
struct Encoded {
    frames: Bytes,
    starts: Vec<u32>,
}

/// What an entry takes beside its text.
const ENTRY_BYTES: usize = size_of::<Entry>() + 32;

impl Pages {
    /// Finds the page that holds `next`, or notes who waits for it.
    pub fn want(&mut self, conv: ConvId, waiting: Waiting) -> Want {
        if let Some(found) = self.find(conv, waiting.next) {
            return Want::Here(found);
        }
        let page = (conv, number(waiting.next));
        let others = self.waiting.entry(page).or_default();
        others.push(waiting);
        if others.len() > 1 {
            return Want::Wait;
        }
        self.asked.insert(waiting.ticket, page);
        Want::Read
    }

    /// The answer to `ticket` is here, or never will be: who waited for it, and it first of all.
    pub fn answered(&mut self, ticket: Ticket) -> Vec<Waiting> {
        let Some(page) = self.asked.remove(&ticket) else {
            return Vec::new();
        };
        self.waiting.remove(&page).unwrap_or_default()
    }

    /// Keeps a page, and says what it holds.
    pub fn keep(&mut self, page: Page) -> Looked {
        let looked = look(&page.entries, page.floor);
        let (Some(first), Some(last)) = (page.entries.first(), page.entries.last()) else {
            return looked;
        };
        let key = (page.conv, first.seq);
        self.drop_within(key, last.seq);
        let bytes = page.entries.iter().map(weight).sum();
        self.uses += 1;
        let kept = Kept {
            entries: page.entries,
            floor: page.floor,
            encoded: [const { None }; Format::ALL.len()],
            bytes,
            used: self.uses,
        };
        self.bytes += bytes;
        if let Some(old) = self.kept.insert(key, kept) {
            self.bytes -= old.bytes;
        }
        self.make_room(key);
        looked
    }

    /// Drops what begins behind the first entry of a new page and not behind its last. Retention
    /// moves the beginnings of pages that are cut by their size, so that an older and shorter one
    /// may begin in between; whoever looks for an entry that only the new one holds would find the
    /// older one.
    fn drop_within(&mut self, (conv, first): (ConvId, Seq), last: Seq) {
        let begins = self.kept.range((conv, first.next())..);
        let within = begins.take_while(|(key, _)| key.0 == conv && key.1 <= last);
        let within: Vec<_> = within.map(|(key, _)| *key).collect();
        for old in within {
            if let Some(gone) = self.kept.remove(&old) {
                self.bytes -= gone.bytes;
            }
        }
    }

    /// The frames of the entries `from` to `upto`, all of which a page holds that was just found.
    pub fn frames(
        &mut self,
        conv: ConvId,
        (from, upto): (Seq, Seq),
        format: Format,
        addresses: &dyn Addresses,
    ) -> Option<Bytes> {
        let key = self.key(conv, from)?;
        let kept = self.kept.get_mut(&key)?;
        let slot = &mut kept.encoded[format.index()];
        if slot.is_none() {
            let encoded = encode(&kept.entries, format, addresses);
            kept.bytes += encoded.frames.len();
            self.bytes += encoded.frames.len();
            *slot = Some(encoded);
        }
        let encoded = slot.as_ref()?;
        let start = *encoded.starts.get((from.0 - key.1.0) as usize)? as usize;
        let after = (upto.next().0 - key.1.0) as usize;
        let end = encoded.starts.get(after).map(|start| *start as usize);
        let frames = encoded
            .frames
            .slice(start..end.unwrap_or(encoded.frames.len()));
        self.make_room(key);
        Some(frames)
    }

    fn find(&mut self, conv: ConvId, next: Seq) -> Option<Looked> {
        let key = self.key(conv, next)?;
        self.uses += 1;
        let kept = self.kept.get_mut(&key)?;
        kept.used = self.uses;
        Some(look(&kept.entries, kept.floor))
    }

    /// The page that holds `seq`.
    fn key(&self, conv: ConvId, seq: Seq) -> Option<(ConvId, Seq)> {
        let (key, kept) = self
            .kept
            .range((conv, Seq::ZERO)..=(conv, seq))
            .next_back()?;
        let last = kept.entries.last()?.seq;
        (last >= seq).then_some(*key)
    }

    /// Drops what was not used for longest, but never `but`, which somebody is about to need.
    fn make_room(&mut self, but: (ConvId, Seq)) {
        while self.bytes > PAGE_CACHE_BYTES {
            let others = self.kept.iter().filter(|(key, _)| **key != but);
            let Some(oldest) = others
                .min_by_key(|(_, kept)| kept.used)
                .map(|(key, _)| *key)
            else {
                return;
            };
            if let Some(gone) = self.kept.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
    }
}

/// Which aligned page an entry is on.
const fn number(seq: Seq) -> u64 {
    seq.prev().0 / PAGE_ENTRIES
}

fn look(entries: &[Entry], floor: Seq) -> Looked {
    let first = entries.first().map_or(Seq(1), |entry| entry.seq);
    let last = entries.last().map_or(Seq::ZERO, |entry| entry.seq);
    Looked::Page { first, last, floor }
}

fn weight(entry: &Entry) -> usize {
    let Body::Message { text } = &entry.body;
    ENTRY_BYTES + text.len() + entry.from.name.len()
}

fn encode(entries: &[Entry], format: Format, addresses: &dyn Addresses) -> Encoded {
    let mut frames = Vec::new();
    let mut starts = Vec::with_capacity(entries.len());
    let mut encoder = frame::Encoder::default();
    for entry in entries {
        starts.push(frames.len() as u32);
        let one = encoder.encode(kind(format), |out| {
            wire::encode_entry(format, entry, addresses, out);
        });
        frames.extend_from_slice(one.bytes());
    }
    Encoded {
        frames: frames.into(),
        starts,
    }
}

/// The kind of frame that a format travels in.
pub const fn kind(format: Format) -> Kind {
    match format {
        Format::Json => Kind::Text,
        Format::Proto => Kind::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::event::Person;
    use crate::clock::UnixMillis;
    use crate::ids::{PublicId, Tag};

    struct Lobby;

    impl Addresses for Lobby {
        fn address(&self, _: ConvId) -> &str {
            "lobby"
        }
    }

    const CONV: ConvId = ConvId(1);

    fn page(first: u64, last: u64, text: &str) -> Page {
        let entry = |seq| Entry {
            conv: CONV,
            seq: Seq(seq),
            n: seq,
            tag: Tag(seq as u32),
            at: UnixMillis(0),
            from: Person {
                id: PublicId([0; 16]),
                name: "alice".into(),
            },
            body: Body::Message { text: text.into() },
        };
        let entries = (first..=last).map(entry).collect();
        Page {
            conv: CONV,
            entries,
            floor: Seq(1),
        }
    }

    fn waiting(ticket: u64, next: u64) -> Waiting {
        Waiting {
            ticket: Ticket(ticket),
            next: Seq(next),
        }
    }

    #[test]
    fn a_page_is_read_once_however_many_need_it() {
        let mut pages = Pages::default();
        assert_eq!(pages.want(CONV, waiting(1, 65)), Want::Read);
        assert_eq!(pages.want(CONV, waiting(2, 70)), Want::Wait);
        assert_eq!(pages.want(CONV, waiting(3, 64)), Want::Read, "another page");
        assert_eq!(
            pages.answered(Ticket(1)),
            [waiting(1, 65), waiting(2, 70)],
            "in the order of asking"
        );
        assert_eq!(pages.answered(Ticket(1)), []);
        let held = pages.keep(page(65, 80, "x"));
        assert_eq!(pages.want(CONV, waiting(4, 80)), Want::Here(held));
        assert_eq!(
            pages.want(CONV, waiting(5, 81)),
            Want::Read,
            "too short by now"
        );
    }

    #[test]
    fn an_older_page_does_not_hide_a_newer_one_that_retention_has_moved() {
        let mut pages = Pages::default();
        let _ = pages.keep(page(20, 20, "short"));
        let _ = pages.keep(page(24, 30, "next"));
        let held = pages.keep(page(15, 22, "x"));
        assert_eq!(pages.want(CONV, waiting(1, 21)), Want::Here(held));
        let from = (Seq(21), Seq(22));
        assert!(pages.frames(CONV, from, Format::Json, &Lobby).is_some());
        let next = pages.want(CONV, waiting(2, 24));
        assert!(matches!(next, Want::Here(_)), "{next:?}");
    }

    #[test]
    fn a_part_of_a_page_is_those_frames_and_no_byte_more() {
        let mut pages = Pages::default();
        let _ = pages.keep(page(1, 64, "hello"));
        for format in Format::ALL {
            let mut all = |from, upto| {
                let range = (Seq(from), Seq(upto));
                pages.frames(CONV, range, format, &Lobby)
            };
            let (first, rest) = (all(1, 3).unwrap(), all(4, 64).unwrap());
            assert_eq!([first, rest].concat(), all(1, 64).unwrap());
            assert_eq!(all(65, 65), None);
        }
    }

    #[test]
    fn what_is_kept_has_an_end_and_the_newest_stays() {
        let mut pages = Pages::default();
        let text = "x".repeat(60_000);
        for n in 0..200 {
            let _ = pages.keep(page(64 * n + 1, 64 * n + 2, &text));
            assert!(pages.bytes <= PAGE_CACHE_BYTES);
        }
        assert!(pages.kept.contains_key(&(CONV, Seq(64 * 199 + 1))));
        assert!(!pages.kept.contains_key(&(CONV, Seq(1))));
    }
}
