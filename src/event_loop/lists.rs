//! Who waits for what in the exchange.
//!
//! Floor 3, a part of the exchange. Lists of ids and nothing else: what is done with those in them is
//! the phases' affair, and whether somebody is in one is noted in the peer's flags.

use std::collections::VecDeque;

use crate::event_loop::peer::{Dirty, Peer};
use crate::ids::ConnId;
use crate::limits::FLUSH_BULK;

/// Who waits for what. Every list holds a connection at most once, so each is bounded by their number;
/// but for `bulk`, where one that moved to `urgent` leaves its old place behind, to be passed over.
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

impl Lists {
    /// Who is flushed next, with so much left of the tick's budget: the urgent first, but the last
    /// part of it is for the others. It may have moved to the other list since it was put here.
    pub(super) fn next_dirty(&mut self, budget: usize) -> Option<(ConnId, Dirty)> {
        let Self { urgent, bulk, .. } = self;
        if budget <= FLUSH_BULK && !bulk.is_empty() || urgent.is_empty() {
            return bulk.pop_front().map(|id| (id, Dirty::Bulk));
        }
        urgent.pop_front().map(|id| (id, Dirty::Urgent))
    }

    /// Gives back what is not in use.
    pub(super) fn shrink(&mut self) {
        for queue in [&mut self.urgent, &mut self.bulk] {
            queue.shrink_to_fit();
        }
        let lists = [
            &mut self.ready,
            &mut self.drained,
            &mut self.doomed,
            &mut self.due,
        ];
        lists.into_iter().for_each(Vec::shrink_to_fit);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FLUSH_BUDGET;

    fn ids(count: u32) -> VecDeque<ConnId> {
        let id = |index| ConnId { index, serial: 1 };
        (0..count).map(id).collect()
    }

    /// How many of each are flushed in one tick, at a unit each.
    fn flushed(urgent: u32, bulk: u32) -> (usize, usize) {
        let mut lists = Lists {
            urgent: ids(urgent),
            bulk: ids(bulk),
            ..Lists::default()
        };
        let next = |budget| lists.next_dirty(budget);
        let classes: Vec<Dirty> = (1..=FLUSH_BUDGET)
            .rev()
            .map_while(next)
            .map(|(_, class)| class)
            .collect();
        let count = |wanted| classes.iter().filter(|class| **class == wanted).count();
        (count(Dirty::Urgent), count(Dirty::Bulk))
    }

    #[test]
    fn however_many_ask_a_big_fan_out_goes_on() {
        for (urgent, bulk, expected) in [
            (5, 3, (5, 3)),
            (100_000, 0, (FLUSH_BUDGET, 0)),
            (0, 100_000, (0, FLUSH_BUDGET)),
            (100_000, 100_000, (FLUSH_BUDGET - FLUSH_BULK, FLUSH_BULK)),
            (100_000, 7, (FLUSH_BUDGET - 7, 7)),
            (7, 100_000, (7, FLUSH_BUDGET - 7)),
        ] {
            assert_eq!(flushed(urgent, bulk), expected, "{urgent} and {bulk}");
        }
    }
}
