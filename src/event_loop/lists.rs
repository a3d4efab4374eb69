//! Who waits for what in the exchange.
//!
//! Floor 3, a part of the exchange. Lists of ids and nothing else: what is done with those in them is
//! the phases' affair, and whether somebody is in one is noted in the peer's flags.

use std::collections::VecDeque;

use crate::event_loop::peer::{Dirty, Peer};
use crate::ids::ConnId;

/// Who waits for what. Every list holds a connection at most once, so each is bounded by their number.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// To be read.
    pub ready: Vec<ConnId>,
    /// To be flushed first.
    pub urgent: VecDeque<ConnId>,
    /// To be flushed after those.
    pub bulk: VecDeque<ConnId>,
    /// Drained as the hub asked.
    pub drained: Vec<ConnId>,
    /// To be reaped.
    pub doomed: Vec<ConnId>,
    /// Brought up by the wheel.
    pub due: Vec<ConnId>,
}

/// Queues a peer to be flushed, once; one that waits with the many may move to the first.
pub(super) fn mark<S>(peer: &mut Peer<S>, id: ConnId, class: Dirty, lists: &mut Lists) {
    match (peer.flags.dirty, class) {
        (Dirty::No, Dirty::Bulk) => lists.bulk.push_back(id),
        (Dirty::No | Dirty::Bulk, Dirty::Urgent) => lists.urgent.push_back(id),
        _ => return,
    }
    peer.flags.dirty = class;
}
