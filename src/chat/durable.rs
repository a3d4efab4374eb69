//! What the hub asks of the store, and what it gets back.
//!
//! Floor 1. These are the words between the hub and whatever keeps the logs; nothing here knows
//! SQL, threads or files. A write is one command of one person and becomes one transaction, or a
//! part of one that many commands share.

use crate::chat::event::{Entry, HistoryPage, Person, Standing};
use crate::chat::refusal::Refusal;
use crate::ids::{AppId, ConvId, Key, Seq, Tag};

/// Something to be done once and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Appends a message.
    Talk {
        /// Whose people and conversations.
        app: AppId,
        /// Where to.
        conv: ConvId,
        /// Who says it.
        from: Person,
        /// What is said.
        text: String,
        /// Under which key, if any.
        key: Option<Key>,
    },
}

/// What came of a write, once it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The entry that was appended.
    Appended(Entry),
    /// The key had been used for the very same command: what was answered then.
    Again {
        /// Where.
        conv: ConvId,
        /// Its place.
        seq: Seq,
        /// Its tag.
        tag: Tag,
        /// When it was committed.
        at: crate::clock::UnixMillis,
    },
}

/// Something to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The run of entries that a listener who is behind needs next: it contains `next` if the log
    /// does, begins at the start of the aligned page of `next` unless that makes it too big, and
    /// ends with that page or at `PAGE_BYTES`.
    Page {
        /// Whose.
        conv: ConvId,
        /// The first entry that the listener lacks.
        next: Seq,
    },
    /// Whether the entry at `seq` has this tag. What is older than the floor cannot be told, and
    /// passes.
    Cursor {
        /// Whose.
        conv: ConvId,
        /// Position.
        seq: Seq,
        /// Tag.
        tag: Tag,
    },
    /// What somebody wants to scroll through. See [`crate::chat::command::History`].
    History {
        /// Whose.
        conv: ConvId,
        /// 0, or only entries before this one.
        before: Seq,
        /// 0, or only entries after this one.
        after: Seq,
        /// At most so many.
        limit: u32,
        /// Nothing after this one: the last entry that has been fanned out.
        head: Seq,
    },
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// To [`Read::Page`].
    Page(Page),
    /// To [`Read::Cursor`].
    Cursor {
        /// Whether the tag is that entry's.
        matches: bool,
    },
    /// To [`Read::History`].
    History(HistoryPage),
}

/// A run of a log, ascending and without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whose.
    pub conv: ConvId,
    /// May be empty when everything from `next` on is below the floor or beyond the head.
    pub entries: Vec<Entry>,
    /// The oldest entry that is kept.
    pub floor: Seq,
}

/// The answer to a [`Write`]. A refusal says whether it may have happened all the same.
pub type WriteResult = Result<Written, Refusal>;

/// The answer to a [`Read`].
pub type ReadResult = Result<Found, Refusal>;

/// What the hub must know of the store before the first client comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The lobby of the app `default`.
    pub lobby: Standing,
}
