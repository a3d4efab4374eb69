//! Who is online, and who is told.
//!
//! Up to [`PRESENCE_ALL`] people everybody is told of everybody, in batches of as many names. Above
//! it a batch would be mostly noise, so the number is told every two seconds and names only to
//! those who watch them; where names were left out, the first batch afterwards says so. Who loses
//! the last connection stays on the list for [`OFFLINE_AFTER`], so that a change of network
//! disturbs nobody; who says `exit` is off it at once. Presence is ephemeral: a listener who is
//! behind misses changes, and is told to ask again when it is live.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::sign_in::claim;
use super::{Folded, Hub, Output, item};
use crate::chat::command::{UserList, Watch};
use crate::chat::event::{Event, Person, Presence, Reply};
use crate::chat::name::{Name, skeleton};
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::{Moment, Now};
use crate::ids::{ConnId, PublicId};
use crate::limits::{
    OFFLINE_AFTER, PRESENCE_ALL, PRESENCE_BATCH, PRESENCE_COUNT_EVERY, USERS_PAGE, WATCHED_NAMES,
};

/// Everybody who is online, by the folding of their names.
#[derive(Debug, Default)]
pub(super) struct People {
    online: BTreeMap<Folded, Online>,
    /// Who is online under a name whose skeleton is not its folding, by that skeleton; the others
    /// are found by their folding.
    looks: BTreeMap<Arc<str>, Folded>,
    /// Who is to be announced as offline, and when.
    leaving: BTreeSet<(Moment, Folded)>,
    /// Who watches whom.
    watchers: BTreeMap<Folded, BTreeSet<ConnId>>,
    /// What happened last to each name since the last batch.
    changes: Changes,
    /// Names were left out since everybody was last told names.
    skipped: bool,
    batch_due: Option<Moment>,
    /// What was told last, and when the number alone may be told again.
    told: usize,
    told_at: Moment,
}

/// By folding, for the order, and by shown name, since a name may change hands.
type Changes = BTreeMap<(Folded, Arc<str>), Change>;

#[derive(Debug)]
struct Online {
    person: Person,
    conns: Vec<ConnId>,
    /// When the absence is announced; set while `conns` is empty.
    gone_at: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Came,
    Went,
}

impl Presence {
    fn note(&mut self, shown: Arc<str>, change: Change) {
        match change {
            Change::Came => self.online.push(shown),
            Change::Went => self.offline.push(shown),
        }
    }
}

impl People {
    /// Who somebody is who comes with this name and, perhaps, this proof.
    pub(super) fn admits(
        &self,
        name: &Name,
        resumed: Option<PublicId>,
        fresh: PublicId,
    ) -> Result<PublicId, Refusal> {
        let holder = self.online.get(name.folded());
        if holder.is_none() && self.look_alike(name).is_some() {
            return Err(Refusal::new(ErrorCode::NameTaken)
                .field("hello.name")
                .because("Somebody is online whose name looks like this one; choose another."));
        }
        claim(
            holder.map(|one| (one.person.id, !one.conns.is_empty())),
            resumed,
            fresh,
        )
    }

    pub(super) fn joined(&mut self, folded: &Folded, person: Person, conn: ConnId, now: Moment) {
        let Some(online) = self.online.get_mut(folded) else {
            let shown = person.name.clone();
            let online = Online {
                person,
                conns: vec![conn],
                gone_at: None,
            };
            self.online.insert(folded.clone(), online);
            let looks = skeleton(folded);
            if looks != *folded {
                self.looks.insert(looks, folded.clone());
            }
            return self.changed(folded, shown, Change::Came, now);
        };
        online.conns.push(conn);
        let Some(gone_at) = online.gone_at.take() else {
            return;
        };
        // Back in time, or a namesake in the grace of somebody else, who may write it otherwise.
        self.leaving.remove(&(gone_at, folded.clone()));
        let before = std::mem::replace(&mut online.person, person.clone());
        if before.name != person.name {
            self.changed(folded, before.name, Change::Went, now);
            self.changed(folded, person.name, Change::Came, now);
        }
    }

    /// Who is on the list under another name that looks like this one. Also who has just lost their
    /// last connection: whoever came in between could not be told from them when they are back.
    fn look_alike(&self, name: &Name) -> Option<&Folded> {
        let skeleton = name.skeleton();
        let plain = self.online.get_key_value(&skeleton);
        plain
            .map(|(folded, _)| folded)
            .or_else(|| self.looks.get(&skeleton))
    }

    /// A connection is gone, and perhaps its person with it.
    pub(super) fn lost(&mut self, folded: &Folded, conn: ConnId, now: Moment) {
        let Some(online) = self.online.get_mut(folded) else {
            return;
        };
        online.conns.retain(|other| *other != conn);
        if online.conns.is_empty() {
            let gone_at = now.after(OFFLINE_AFTER);
            online.gone_at = Some(gone_at);
            self.leaving.insert((gone_at, folded.clone()));
        }
    }

    /// A connection said that it leaves. The person is gone if it was the last one.
    pub(super) fn left(&mut self, folded: &Folded, conn: ConnId, now: Moment) {
        let Some(online) = self.online.get_mut(folded) else {
            return;
        };
        online.conns.retain(|other| *other != conn);
        if online.conns.is_empty() {
            self.remove(folded, now);
        }
    }

    pub(super) fn get(&self, folded: &Folded) -> Option<&Person> {
        self.online.get(folded).map(|online| &online.person)
    }

    pub(super) fn has(&self, folded: &Folded, conn: ConnId) -> bool {
        self.online
            .get(folded)
            .is_some_and(|online| online.conns.contains(&conn))
    }

    pub(super) fn len(&self) -> usize {
        self.online.len()
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        let leaving = self.leaving.first().map(|(at, _)| *at);
        [leaving, self.batch_due].into_iter().flatten().min()
    }

    pub(super) fn check_invariants(&self) {
        let mut leaving = 0;
        for (folded, online) in &self.online {
            assert_eq!(
                online.conns.is_empty(),
                online.gone_at.is_some(),
                "{folded}"
            );
            if let Some(at) = online.gone_at {
                leaving += 1;
                let noted = self.leaving.contains(&(at, folded.clone()));
                assert!(noted, "{folded} will be looked at");
            }
        }
        assert_eq!(leaving, self.leaving.len(), "nobody else will");
        assert!(
            self.changes.is_empty() || self.batch_due.is_some(),
            "changes will be told"
        );
    }

    /// Announces who stayed away for long enough.
    fn expire(&mut self, now: Moment) {
        while self.leaving.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, folded)) = self.leaving.pop_first()
        {
            self.remove(&folded, now);
        }
    }

    fn remove(&mut self, folded: &Folded, now: Moment) {
        if let Some(online) = self.online.remove(folded) {
            let looks = skeleton(folded);
            if self.looks.get(&looks) == Some(folded) {
                self.looks.remove(&looks);
            }
            self.changed(folded, online.person.name, Change::Went, now);
        }
    }

    /// Notes a change for the next batch. What is told is what happened last, also to those who
    /// know it already: somebody may have asked for the list in between.
    fn changed(&mut self, folded: &Folded, shown: Arc<str>, change: Change, now: Moment) {
        let crowded = self.online.len() > PRESENCE_ALL;
        let key = (folded.clone(), shown);
        let room = self.changes.len() < PRESENCE_ALL || self.changes.contains_key(&key);
        if !self.skipped && (crowded || !room) {
            self.skipped = true;
            let watchers = &self.watchers;
            self.changes
                .retain(|(folded, _), _| watchers.contains_key(folded));
        }
        if !self.skipped || self.watchers.contains_key(folded) {
            self.changes.insert(key, change);
        }
        let wait = now.after(PRESENCE_BATCH);
        let due = if crowded && self.changes.is_empty() {
            wait.max(self.told_at.after(PRESENCE_COUNT_EVERY))
        } else {
            wait
        };
        self.batch_due = Some(self.batch_due.map_or(due, |at| at.min(due)));
    }
}

impl Hub {
    /// What became due: announcements of who is gone, and the batch.
    pub(super) fn presence_due(&mut self, now: Now) {
        self.people.expire(now.mono);
        if self.people.batch_due.is_none_or(|at| at > now.mono) {
            return;
        }
        self.people.batch_due = None;
        let changes = std::mem::take(&mut self.people.changes);
        let total = self.people.len();
        let mut presence = Presence {
            total: total as u32,
            ..Presence::default()
        };
        if self.people.skipped || total > PRESENCE_ALL {
            self.tell_watchers(&changes, total);
            if total > PRESENCE_ALL {
                self.people.skipped = true;
                return self.tell_number(presence, now.mono);
            }
            self.people.skipped = false;
            presence.refresh = true;
        } else if changes.is_empty() {
            return;
        }
        self.people.told = total;
        if !presence.refresh {
            for ((_, shown), change) in changes {
                presence.note(shown, change);
            }
        }
        self.tell_listeners(presence);
    }

    fn tell_number(&mut self, presence: Presence, now: Moment) {
        let total = presence.total as usize;
        if total == self.people.told {
            return;
        }
        let may_at = self.people.told_at.after(PRESENCE_COUNT_EVERY);
        if may_at > now && self.people.told > PRESENCE_ALL {
            self.people.batch_due = Some(may_at);
            return;
        }
        self.people.told = total;
        self.people.told_at = now;
        self.tell_listeners(presence);
    }

    fn tell_listeners(&mut self, presence: Presence) {
        let conv = self.lobby.conv();
        let event = Event::Presence(presence);
        self.outputs.push_back(Output::FanOut {
            conv,
            except: None,
            event,
        });
    }

    fn tell_watchers(&mut self, changes: &Changes, total: usize) {
        let mut told: BTreeMap<ConnId, Presence> = BTreeMap::new();
        for ((folded, shown), change) in changes {
            for conn in self.people.watchers.get(folded).into_iter().flatten() {
                let presence = told.entry(*conn).or_default();
                presence.total = total as u32;
                presence.note(shown.clone(), *change);
            }
        }
        for (to, presence) in told {
            self.outputs.push_back(Output::Push {
                to,
                event: Event::Presence(presence),
            });
        }
    }

    pub(super) fn user_list(
        &mut self,
        conn: ConnId,
        request: u32,
        list: &UserList,
    ) -> Result<(), Refusal> {
        let limit = match list.limit {
            0 => USERS_PAGE,
            limit => limit.min(USERS_PAGE),
        };
        let after = if list.after.is_empty() {
            Bound::Unbounded
        } else {
            let name = Name::parse(&list.after).map_err(|bad| bad.field("userList.after"))?;
            Bound::Excluded(name.folded().clone())
        };
        let mut rest = self
            .people
            .online
            .range::<Folded, _>((after, Bound::Unbounded));
        let page = rest.by_ref().take(limit as usize);
        let names = page.map(|(_, online)| online.person.name.clone()).collect();
        let reply = Reply::Users {
            names,
            total: self.people.len() as u32,
            more: rest.next().is_some(),
        };
        self.reply(conn, request, reply);
        Ok(())
    }

    pub(super) fn watch(
        &mut self,
        conn: ConnId,
        request: u32,
        watch: &Watch,
    ) -> Result<(), Refusal> {
        if watch.names.len() > WATCHED_NAMES {
            let message = format!("At most {WATCHED_NAMES} names can be watched.");
            return Err(Refusal::new(ErrorCode::TooMany)
                .field("watch.names")
                .because(message));
        }
        let mut names = BTreeSet::new();
        for (i, typed) in watch.names.iter().enumerate() {
            let name = Name::parse(typed).map_err(|bad| bad.field(item("watch.names", i)))?;
            names.insert(name.folded().clone());
        }
        self.unwatch(conn);
        let mut presence = Presence {
            total: self.people.len() as u32,
            ..Presence::default()
        };
        for folded in &names {
            self.people
                .watchers
                .entry(folded.clone())
                .or_default()
                .insert(conn);
            let online = self.people.get(folded).is_some();
            let list = if online {
                &mut presence.online
            } else {
                &mut presence.offline
            };
            list.push(self.shown(folded));
        }
        if let Some(session) = self.sessions.get_mut(conn) {
            session.watched = (!names.is_empty()).then(|| names.into_iter().collect());
        }
        self.reply(conn, request, Reply::Done);
        self.outputs.push_back(Output::Push {
            to: conn,
            event: Event::Presence(presence),
        });
        Ok(())
    }

    /// Forgets what this connection watched.
    pub(super) fn unwatch(&mut self, conn: ConnId) {
        let watched = self
            .sessions
            .get_mut(conn)
            .and_then(|session| session.watched.take());
        for folded in watched.into_iter().flatten() {
            if let Some(watchers) = self.people.watchers.get_mut(&folded) {
                watchers.remove(&conn);
                if watchers.is_empty() {
                    self.people.watchers.remove(&folded);
                }
            }
        }
    }
}
