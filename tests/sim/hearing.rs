//! What a device makes of what it is told, and what it insists on.

use std::time::Duration;

use kith::chat::name::Name;
use kith::limits::{HANDSHAKE_WAIT, PRESENCE_ALL};
use kith::wire::pb;
use kith::wire::pb::server_frame::Body;

use super::device::{Around, Asked, Device, Expect, Listing, TakeUp, Wrong};
use super::frames::{self, Told};
use super::ledger::{Ledger, Stands};
use super::network::Heard;
use super::oracle::Check;

/// Close codes, from the table in the README.
mod code {
    pub const BYE: u16 = 1000;
    pub const RESTART: u16 = 1012;
    pub const SLOW: u16 = 3000;
    pub const SILENT: u16 = 3001;
    pub const NO_NAME: u16 = 3500;
}

/// Refusals, from the table in the README.
mod refused {
    pub const NAME_TAKEN: u32 = 201;
    pub const KEY_REUSED: u32 = 403;
    pub const TOO_FAST: u32 = 500;
    pub const BUSY: u32 = 600;
    pub const STOPPING: u32 = 601;
    pub const STORE_FAILED: u32 = 602;
    pub const STORE_UNKNOWN: u32 = 603;
}

impl Device {
    /// Takes what came over the wire.
    ///
    /// # Errors
    /// What the server must not do.
    pub fn receive(&mut self, heard: Heard, around: &mut Around<'_>) -> Check {
        match heard {
            Heard::Nothing => return Ok(()),
            Heard::End => {
                self.part(Duration::from_millis(100), around.now);
                return Ok(());
            }
            Heard::Bytes(bytes) => {
                let Some(session) = &mut self.session else {
                    return Ok(());
                };
                session.inbox.extend(bytes);
            }
        }
        while let Some(session) = &mut self.session {
            if !session.upgraded {
                if !self.upgraded(around)? {
                    return Ok(());
                }
                continue;
            }
            match frames::take(&mut session.inbox)? {
                None => return Ok(()),
                Some(Told::Ping(payload)) => {
                    let pong = frames::pong(&payload, &mut self.dice);
                    session.link.send(&pong);
                }
                Some(Told::Close(code)) => self.closed(code, around)?,
                Some(Told::Frame(frame)) => self.hear(*frame, around)?,
            }
        }
        Ok(())
    }

    /// The answer to the request to upgrade; says whether there is one.
    fn upgraded(&mut self, around: &mut Around<'_>) -> Result<bool, String> {
        let Some(session) = &mut self.session else {
            return Ok(false);
        };
        let Some((status, end)) = frames::status(&session.inbox) else {
            return Ok(false);
        };
        session.inbox.drain(..end);
        match status {
            101 => session.upgraded = true,
            // Our request took too long to arrive.
            408 if around.now.mono.since(session.began) >= HANDSHAKE_WAIT => {
                self.hang_up(around.now);
                return Ok(false);
            }
            503 => {
                self.hang_up(around.now);
                return Ok(false);
            }
            other => return Err(format!("the upgrade was answered by {other}")),
        }
        if !session.named && !self.mute {
            self.hello(around);
        }
        Ok(true)
    }

    fn hear(&mut self, frame: pb::ServerFrame, around: &mut Around<'_>) -> Check {
        let body = frame.body.ok_or("a frame without a body")?;
        let asked = match frame.id {
            0 => None,
            id => {
                let session = self.session.as_mut().ok_or("nobody listens")?;
                let asked = session.asked.remove(&id);
                Some(asked.ok_or(format!("an answer to {id}, which was not asked or twice"))?)
            }
        };
        match (asked, body) {
            (asked, Body::Welcome(welcome)) => self.welcome(asked, &welcome, around),
            (asked, Body::Error(error)) => self.refused(asked, &error, around),
            (Some(asked), body) => self.answer(asked, body, around),
            (None, body) => self.event(body, around),
        }
    }

    fn welcome(
        &mut self,
        asked: Option<Asked>,
        told: &pb::Welcome,
        around: &mut Around<'_>,
    ) -> Check {
        let [standing] = &told.conversations[..] else {
            return Err("a welcome to one lobby".to_owned());
        };
        self.recognised(asked.as_ref(), told, standing, around)?;
        let resume = match asked {
            Some(Asked::Hello(resume)) => resume,
            None => None,
            other => return Err(format!("{other:?} was answered by a welcome")),
        };
        let session = self.session.as_mut().ok_or("nobody listens")?;
        session.epoch.clone_from(&standing.epoch);
        let (first, named) = (!session.welcomed, session.named);
        session.welcomed = true;
        match resume {
            Some((ledger, wrong)) => self.resumed(ledger, wrong, standing, around),
            None if first => {
                // The name was in the upgrade; what was held before is brought after it.
                if named && session.take_up != TakeUp::Anew && self.ledger.is_some() {
                    self.hello(around);
                }
                let (head, tag) = (standing.head, standing.tag);
                self.ledger = Some(Ledger::begin(&standing.epoch, head, tag));
            }
            None => {}
        }
        Ok(())
    }

    /// Who somebody is stays the same, as far as it was proved.
    fn recognised(
        &mut self,
        asked: Option<&Asked>,
        told: &pb::Welcome,
        standing: &pb::Standing,
        around: &mut Around<'_>,
    ) -> Check {
        let person = &mut around.people[self.who];
        let fold = |name: &str| Name::parse(name).map(|name| name.folded().clone());
        if fold(&told.name) != fold(person.name) {
            return Err(format!("{} was welcomed as {}", person.name, told.name));
        }
        let session = self.session.as_mut().ok_or("nobody listens")?;
        if session.welcomed && session.guest != told.guest_id {
            return Err("a second welcome to somebody else".to_owned());
        }
        let proof = (told.guest_id.clone(), told.resume_secret.clone());
        if asked.is_some() && person.proof.as_ref() == Some(&proof) {
            around.counts.add("guests who proved themselves");
        }
        session.guest.clone_from(&told.guest_id);
        session.secret.clone_from(&told.resume_secret);
        person.proof = Some(proof);
        let history = around.oracle.history;
        if standing.durable != history || standing.conversation != "lobby" {
            return Err(format!("the lobby stands as {standing:?}"));
        }
        Ok(())
    }

    fn resumed(
        &mut self,
        mut ledger: Ledger,
        wrong: Wrong,
        standing: &pb::Standing,
        around: &mut Around<'_>,
    ) {
        let Some(session) = &mut self.session else {
            return;
        };
        let position = ledger.position();
        let history = around.oracle.history;
        session.expects = match wrong {
            Wrong::Epoch | Wrong::Beyond => Expect::Reset(0),
            _ if position.epoch != standing.epoch => Expect::Reset(0),
            // The epoch is enough where a log has one for each start.
            _ if !history || position.seq == 0 => Expect::Nothing,
            Wrong::Tag => Expect::Reset(position.seq),
            Wrong::Nothing if position.tag == 0 => Expect::Perhaps,
            Wrong::Nothing => Expect::Nothing,
        };
        if wrong != Wrong::Nothing {
            around.counts.add("wrong cursors");
        }
        around.counts.add("resumes");
        // What an answer stood for was ours before; from here on everything comes in its place.
        ledger.rewind(position.seq);
        self.ledger = Some(ledger);
    }

    fn answer(&mut self, asked: Asked, body: Body, around: &mut Around<'_>) -> Check {
        match (asked, body) {
            (Asked::Talk(uid), Body::Talked(told)) => self.talked(uid, &told, around),
            (Asked::Users, Body::Users(users)) => self.listed(users, around),
            (Asked::Typing | Asked::Watch, Body::Done(_)) | (Asked::Ping, Body::Pong(_)) => Ok(()),
            (asked @ Asked::History { .. }, Body::Page(page)) => {
                self.scrolled(&asked, &page, around)
            }
            (asked, body) => Err(format!("{asked:?} was answered by {body:?}")),
        }
    }

    fn talked(&mut self, uid: u64, told: &pb::Talked, around: &mut Around<'_>) -> Check {
        let session = self.session.as_ref().ok_or("nobody listens")?;
        around
            .oracle
            .one_key_one_answer(uid, &session.epoch, told)?;
        self.unsettled.retain(|other| *other != uid);
        self.settled.push(uid);
        around.counts.add("answers");
        if told.duplicate {
            around.counts.add("answers to duplicates");
            return Ok(());
        }
        let ledger = self.ledger.as_mut().ok_or("an answer without a log")?;
        around.counts.add(match ledger.talked(told.seq, told.tag)? {
            Stands::ForTheEntry => "answers that stand for the entry",
            Stands::ForNothing => "answers before the entry",
        });
        Ok(())
    }

    fn listed(&mut self, users: pb::Users, around: &mut Around<'_>) -> Check {
        let session = self.session.as_mut().ok_or("nobody listens")?;
        let last = users.names.last().cloned();
        session.shown.extend(users.names);
        // Told to ask anew in the middle of it.
        if session.listing == Listing::Wanted {
            return Ok(());
        }
        match last.filter(|_| users.more) {
            Some(last) => self.list(last),
            None => {
                around.counts.add("lists");
                session.listing = Listing::Complete;
            }
        }
        Ok(())
    }

    /// A page of the past: dense, within what was asked, and not older than what the asker has.
    fn scrolled(
        &mut self,
        asked: &Asked,
        page: &pb::HistoryPage,
        around: &mut Around<'_>,
    ) -> Check {
        let Asked::History {
            before,
            after,
            limit,
            has,
        } = *asked
        else {
            return Err("no page was asked for".to_owned());
        };
        let session = self.session.as_ref().ok_or("nobody listens")?;
        around.counts.add("pages to scroll");
        let most = if limit == 0 { 100 } else { limit.min(100) } as usize;
        let entries = &page.entries;
        let dense = entries
            .windows(2)
            .all(|pair| pair[0].seq + 1 == pair[1].seq);
        let above = |seq: u64| seq > after && seq <= page.head && seq >= page.floor;
        let within = |seq: u64| above(seq) && (before == 0 || seq < before);
        if entries.len() > most || !dense || !entries.iter().all(|one| within(one.seq)) {
            return Err(format!("{asked:?} was answered by {page:?}"));
        }
        for entry in entries {
            around.oracle.one_entry_at_a_place(&session.epoch, entry)?;
        }
        let newest = entries.last().map_or(0, |entry| entry.seq);
        let asked_newest = before == 0 && after == 0 && around.oracle.history;
        let kept = has > around.oracle.expired();
        if asked_newest && kept && session.expects == Expect::Nothing && newest < has {
            return Err(format!(
                "the newest entry is {newest}, to one who has {has}"
            ));
        }
        Ok(())
    }

    fn event(&mut self, body: Body, around: &mut Around<'_>) -> Check {
        let session = self.session.as_mut().ok_or("nobody listens")?;
        if !session.welcomed && !matches!(body, Body::Closing(_)) {
            return Err(format!("{body:?} before the welcome"));
        }
        match body {
            Body::Entry(entry) => self.entry(&entry, around),
            Body::Hole(hole) => self.hole(&hole, around),
            Body::Reset(reset) => self.reset(&reset, around),
            Body::Presence(presence) => {
                let names = presence.online.len() + presence.offline.len();
                if names > PRESENCE_ALL {
                    return Err(format!("presence of {names} names"));
                }
                session.shown.extend(presence.online);
                for name in &presence.offline {
                    session.shown.remove(name);
                }
                if presence.refresh {
                    around.counts.add("asked to list anew");
                    session.listing = Listing::Wanted;
                }
                Ok(())
            }
            Body::Typed(_) => {
                around.counts.add("typing heard");
                Ok(())
            }
            Body::Closing(closing) => {
                session.closing = Some(closing.code);
                Ok(())
            }
            other => Err(format!("{other:?} without having been asked")),
        }
    }

    fn entry(&mut self, entry: &pb::Entry, around: &mut Around<'_>) -> Check {
        self.go_on(around)?;
        let session = self.session.as_ref().ok_or("nobody listens")?;
        around.oracle.one_entry_at_a_place(&session.epoch, entry)?;
        around.counts.add("entries");
        around.counts.add(match session.speech {
            frames::Speech::Json | frames::Speech::PlainJson => "entries in JSON",
            frames::Speech::Proto | frames::Speech::PlainProto => "entries in protobuf",
        });
        let ledger = self.ledger.as_mut().ok_or("an entry without a log")?;
        ledger.entry(entry.seq, entry.tag)
    }

    fn hole(&mut self, hole: &pb::Hole, around: &mut Around<'_>) -> Check {
        self.go_on(around)?;
        let (history, expired) = (around.oracle.history, around.oracle.expired());
        match hole.reason() {
            pb::HoleReason::Retention if history && hole.to <= expired => {
                around.counts.add("holes of retention");
            }
            pb::HoleReason::NoHistory if !history => around.counts.add("holes without history"),
            reason => return Err(format!("{hole:?} for {reason:?}, and {expired} is gone")),
        }
        let ledger = self.ledger.as_mut().ok_or("a hole without a log")?;
        ledger.hole(hole.from, hole.to, hole.tag)
    }

    fn reset(&mut self, reset: &pb::Reset, around: &mut Around<'_>) -> Check {
        let session = self.session.as_mut().ok_or("nobody listens")?;
        let standing = reset.standing.as_ref().ok_or("a reset to nowhere")?;
        if session.expects == Expect::Nothing {
            return Err(format!("a reset to {standing:?} without a reason"));
        }
        around.counts.add("resets");
        session.expects = Expect::Nothing;
        let (head, tag) = (standing.head, standing.tag);
        self.ledger = Some(Ledger::begin(&standing.epoch, head, tag));
        Ok(())
    }

    /// The log goes on behind the cursor; right only if the cursor was.
    fn go_on(&mut self, around: &Around<'_>) -> Check {
        let session = self.session.as_mut().ok_or("nobody listens")?;
        match session.expects {
            Expect::Reset(seq) if seq == 0 || seq > around.oracle.expired() => {
                Err("a wrong cursor was not noticed".to_owned())
            }
            _ => {
                session.expects = Expect::Nothing;
                Ok(())
            }
        }
    }

    fn refused(
        &mut self,
        asked: Option<Asked>,
        error: &pb::Error,
        around: &mut Around<'_>,
    ) -> Check {
        around.counts.add(match error.code {
            refused::TOO_FAST => "refusals: too_fast",
            refused::BUSY => "refusals: busy",
            refused::STOPPING => "refusals: stopping",
            refused::STORE_FAILED => "refusals: store_failed",
            refused::STORE_UNKNOWN => "refusals: store_unknown",
            refused::NAME_TAKEN => "names that were taken",
            refused::KEY_REUSED => "keys used for another command",
            other => return Err(format!("{asked:?} was refused with {other}: {error:?}")),
        });
        let temporary = error.code >= refused::TOO_FAST;
        if error.temporary != temporary || (temporary && error.retry_after_ms == 0) {
            return Err(format!("a refusal of the wrong kind: {error:?}"));
        }
        let wait = Duration::from_millis(u64::from(error.retry_after_ms));
        self.hold_until = self.hold_until.max(around.now.mono.after(wait));
        match (asked, error.code) {
            (Some(Asked::Reuse), refused::KEY_REUSED) => {}
            (_, refused::KEY_REUSED) => return Err("a key was called used".to_owned()),
            (Some(Asked::Talk(uid)), _) => self.not_taken(uid, error, around),
            (Some(Asked::Hello(_)) | None, _) => self.turned_away(error, around),
            (Some(Asked::Users), _) => {
                let session = self.session.as_mut().ok_or("nobody listens")?;
                session.listing = Listing::Wanted;
            }
            _ => {}
        }
        Ok(())
    }

    fn not_taken(&mut self, uid: u64, error: &pb::Error, around: &mut Around<'_>) {
        let message = around.oracle.message(uid);
        if error.outcome() == pb::Outcome::NotDone {
            message.open -= 1;
        }
        if message.key.is_none() {
            self.unsettled.retain(|other| *other != uid);
        }
    }

    /// Nobody is signed in, or no cursor was taken up.
    fn turned_away(&mut self, error: &pb::Error, around: &mut Around<'_>) {
        let Some(session) = &self.session else { return };
        // What was said without a number is refused without one.
        if session.welcomed {
            return;
        }
        let proved = around.people[self.who].proof.is_some();
        if error.field == "username" && error.code == refused::NAME_TAKEN && proved {
            return self.hello(around);
        }
        let wait = Duration::from_millis(u64::from(error.retry_after_ms).max(500));
        if let Some(link) = self.part(wait, around.now) {
            link.end();
        }
    }

    fn closed(&mut self, code: u16, around: &mut Around<'_>) -> Check {
        let reply = frames::close(code, &mut self.dice);
        let session = self.session.as_ref().ok_or("nobody listens")?;
        let due = session.asked.len();
        let wait = match code {
            code::BYE if session.leaving && due == 0 => "goodbyes",
            code::RESTART if session.closing == Some(code.into()) => "restarts told",
            code::SLOW => "closed for slowness",
            code::SILENT => "closed for silence",
            code::NO_NAME if !session.welcomed => "closed without a name",
            other => return Err(format!("closed with {other}, and {due} answers are due")),
        };
        around.counts.add(wait);
        if let Some(link) = self.part(Duration::from_millis(1000), around.now) {
            link.send(&reply);
            link.end();
        }
        Ok(())
    }
}
