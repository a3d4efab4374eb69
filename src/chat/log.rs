//! The live side of one conversation's log: its head, and who hears the next entry.
//!
//! Floor 1. A listener is *live* when everything up to the head was handed to its connection, so all
//! live listeners stand at the same place and no position is kept for each: `next == head + 1` is not
//! checked, it is what being in the list means. Who is not in it is *behind*, and its own position is
//! kept with its session (`hub/catch_up.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::chat::event::Standing;
use crate::clock::UnixMillis;
use crate::ids::{ConnId, ConvId, Epoch, Key, PublicId, Seq, Tag};
use crate::limits::LIVE_KEYS;

/// One conversation as the hub knows it.
#[derive(Debug)]
pub struct Log {
    /// What clients call it.
    pub address: Arc<str>,
    /// How it stands; `head` is the last entry that was fanned out.
    pub standing: Standing,
    /// Messages up to the head; kept by logs without history only, the store counts for the others.
    pub n: u64,
    live: Vec<ConnId>,
    keys: LiveKeys,
}

impl Log {
    /// Nobody listens yet.
    pub fn new(address: &str, standing: Standing) -> Self {
        Self {
            address: address.into(),
            standing,
            n: 0,
            live: Vec::new(),
            keys: LiveKeys::default(),
        }
    }

    /// Its id.
    pub const fn conv(&self) -> ConvId {
        self.standing.conv
    }

    /// Who hears the next entry, in no particular but a repeatable order.
    pub fn live(&self) -> &[ConnId] {
        &self.live
    }

    /// Adds a listener that has everything up to the head; returns its slot.
    pub fn join(&mut self, conn: ConnId) -> u32 {
        self.live.push(conn);
        (self.live.len() - 1) as u32
    }

    /// Takes the listener out of `slot`; returns who moved in there, if anybody had to.
    pub fn leave(&mut self, conn: ConnId, slot: u32) -> Option<ConnId> {
        let left = self.live.swap_remove(slot as usize);
        debug_assert_eq!(left, conn, "a session knows its slot");
        self.live.get(slot as usize).copied()
    }

    /// Gives back the room of listeners who have left.
    pub fn shrink(&mut self) {
        self.live.shrink_to_fit();
    }

    /// Moves the head to an entry that is about to be fanned out.
    pub fn advance(&mut self, seq: Seq, tag: Tag) {
        self.standing.head = seq;
        self.standing.tag = tag;
        self.standing.floor = self.standing.floor.max(Seq(1));
    }

    /// For a log without history: the next position. The tag only has to differ between lives of the
    /// log, and those already have an epoch each, so it is a hash of where it stands.
    pub fn assign(&mut self) -> (Seq, Tag) {
        let seq = self.standing.head.next();
        self.n += 1;
        let mixed = (self.standing.epoch.0 ^ seq.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (seq, Tag((mixed >> 32) as u32))
    }

    /// For a log without history: what the store's key table does for the others.
    pub fn keys(&mut self) -> &mut LiveKeys {
        &mut self.keys
    }
}

/// What happened under the last [`LIVE_KEYS`] keys of a log without history.
#[derive(Debug, Default)]
pub struct LiveKeys {
    made: BTreeMap<(PublicId, Key), Done>,
    order: VecDeque<(PublicId, Key)>,
}

/// See [`LiveKeys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The position that it took.
    pub seq: Seq,
    /// Its tag.
    pub tag: Tag,
    /// When.
    pub at: UnixMillis,
    command: u64,
}

/// Whether a key is new, is used again as it should be, or for another command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Never seen, or forgotten.
    New,
    /// The same command again.
    Again(Done),
    /// Another command.
    Reused,
}

impl LiveKeys {
    /// What is known of this key.
    pub fn look_up(&self, who: PublicId, key: Key, text: &str) -> KeyUse {
        match self.made.get(&(who, key)) {
            None => KeyUse::New,
            Some(done) if done.command == hash(text) => KeyUse::Again(*done),
            Some(_) => KeyUse::Reused,
        }
    }

    /// Remembers, and forgets the oldest.
    pub fn remember(&mut self, who: PublicId, key: Key, text: &str, place: (Seq, Tag, UnixMillis)) {
        if self.order.len() >= LIVE_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.made.remove(&oldest);
        }
        let (seq, tag, at) = place;
        self.made.insert(
            (who, key),
            Done {
                seq,
                tag,
                at,
                command: hash(text),
            },
        );
        self.order.push_back((who, key));
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A standing for a log that has nothing in it.
pub const fn empty(conv: ConvId, epoch: Epoch, durable: bool) -> Standing {
    Standing {
        conv,
        epoch,
        head: Seq::ZERO,
        tag: Tag(0),
        floor: Seq(1),
        durable,
    }
}
