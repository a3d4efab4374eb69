//! The hub: one state machine that knows who is here and decides who must hear what.
//!
//! Floor 1, and the heart of it. It does no I/O: it reads no clock, starts no thread, draws no
//! random number and writes no log. What it needs of those comes with its input; what it wants done
//! comes out as a queue of [`Output`]s. So a run of it is a list of inputs, and can be repeated.
//!
//! The methods come in four families, named alike everywhere in this tree: `handle*` takes input
//! and is the only way to change anything, `poll_*` hands out what came of it, and what takes
//! `&self` only looks. **After every `handle` the caller drains [`Hub::poll_output`] to `None`
//! before the next.** That rule is what makes "the listeners of this entry" mean the same to the
//! hub and to the caller, who walks [`Hub::live`] while it handles an [`Output::FanOut`].
//!
//! The rest of this folder, in the order of a session's life: `sign_in`, `talk`, `catch_up`,
//! `presence`, and the plumbing in `sessions`.

mod catch_up;
mod ports;
mod presence;
mod sessions;
mod sign_in;
mod talk;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::chat::bucket::Addresses;
use crate::chat::closing::CloseCode;
use crate::chat::command::Command;
use crate::chat::durable::Snapshot;
use crate::chat::event::Reply;
use crate::chat::log::Log;
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::{Moment, Now};
use crate::ids::{ConnId, ConvId, Key, Seq, Ticket};
use crate::limits::{BUSY_RETRY, DRAIN_RETRY, STRANGER_WAIT};

pub use ports::{Input, Looked, Output, Settings};
use presence::People;
use sessions::{Pending, Sessions, Stage};

/// See the module.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    lobby: Log,
    people: People,
    sessions: Sessions,
    addresses: Addresses,
    pending: BTreeMap<Ticket, Pending>,
    next_ticket: u64,
    /// What waits for [`BUSY_RETRY`] or [`STRANGER_WAIT`] to pass. Both are the same, so the order is
    /// right.
    later: VecDeque<(Moment, Later)>,
    /// What somebody without a name has yet to be told: the number of what they sent, and what was
    /// wrong with it.
    untold: BTreeMap<ConnId, (u32, Refusal)>,
    stopping: Stopping,
    outputs: VecDeque<Output>,
}

/// What is taken up again after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Later {
    /// A session that was told "busy" is read again.
    Resume(ConnId),
    /// A listener that is behind asks again for its next page.
    CatchUp(ConnId),
    /// Somebody without a name is told what was wrong with what they sent.
    Tell(ConnId),
}

/// See [`Hub::attend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    Heard,
    Deaf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    /// Told to stop; commands are still on their way through the store.
    Draining,
    /// Everybody was sent home.
    Done,
}

impl Hub {
    /// A hub over a store that stands as `snapshot` says, with nobody in it.
    pub fn new(settings: Settings, snapshot: Snapshot) -> Self {
        Self {
            settings,
            lobby: Log::new("lobby", snapshot.lobby),
            people: People::default(),
            sessions: Sessions::default(),
            addresses: Addresses::default(),
            pending: BTreeMap::new(),
            next_ticket: 1,
            later: VecDeque::new(),
            untold: BTreeMap::new(),
            stopping: Stopping::No,
            outputs: VecDeque::new(),
        }
    }

    /// Takes what happened. Drain [`Hub::poll_output`] before the next one.
    pub fn handle(&mut self, input: Input, now: Now) {
        debug_assert!(self.outputs.is_empty(), "drained before the next input");
        match input {
            Input::Opened {
                conn,
                address,
                fresh,
                name,
            } => {
                self.opened(conn, address, fresh, name, now);
            }
            Input::Asked {
                conn,
                request,
                key,
                command,
            } => {
                self.asked(conn, request, key, command, now);
            }
            Input::Unfit {
                conn,
                request,
                refusal,
            } => self.unfit(conn, request, refusal, now),
            Input::Closed { conn } => self.closed(conn, now),
            Input::Lagging { conn } => self.put_behind(conn),
            Input::Drained { conn } => self.drained(conn),
            Input::Written { ticket, result } => self.written(ticket, result, now),
            Input::Found { ticket, result } => self.found(ticket, result, now),
            Input::Stop => self.stop(),
            Input::StopNow => self.stop_now(),
        }
        self.send_home_when_idle();
        self.check_invariants();
    }

    /// Does what is due at `now`; calling it early or in vain does nothing.
    pub fn handle_timeout(&mut self, now: Now) {
        debug_assert!(self.outputs.is_empty(), "drained before the next input");
        while let Some(&(at, later)) = self.later.front()
            && at <= now.mono
        {
            self.later.pop_front();
            match later {
                Later::Resume(conn) => self.resume(conn),
                Later::CatchUp(conn) => self.ask_again(conn),
                Later::Tell(conn) => self.tell_stranger(conn),
            }
        }
        // Last, so that its listeners are still the same when the caller walks them.
        self.presence_due(now);
        self.check_invariants();
    }

    /// What is to be done next, if anything.
    #[inline]
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Hub::handle_timeout`] should be called next, if ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let later = self.later.front().map(|(at, _)| *at);
        [later, self.people.next_due()].into_iter().flatten().min()
    }

    /// Gives back the room that its tables have beyond what is in them. Changes nothing else.
    pub fn shrink(&mut self) {
        self.sessions.shrink();
        self.lobby.shrink();
        self.later.shrink_to_fit();
        self.outputs.shrink_to_fit();
    }

    /// Who hears what happens in this conversation.
    pub fn live(&self, conv: ConvId) -> &[ConnId] {
        if conv == self.lobby.conv() {
            self.lobby.live()
        } else {
            &[]
        }
    }

    /// The last entry of this conversation that was fanned out.
    pub fn head(&self, conv: ConvId) -> Option<Seq> {
        (conv == self.lobby.conv()).then_some(self.lobby.standing.head)
    }

    /// How many people are online.
    pub fn online(&self) -> usize {
        self.people.len()
    }

    /// How many connections have a name.
    pub const fn signed_in(&self) -> usize {
        self.sessions.signed_in()
    }

    /// Whether everything was finished and everybody sent home, after [`Input::Stop`].
    pub const fn stopped(&self) -> bool {
        matches!(self.stopping, Stopping::Done)
    }

    /// How many questions the store has not answered.
    pub fn unanswered(&self) -> usize {
        self.pending.len()
    }

    fn stop(&mut self) {
        if self.stopping == Stopping::No {
            self.stopping = Stopping::Draining;
        }
    }

    /// Nobody will learn any more what becomes of what is under way; its key will tell.
    fn stop_now(&mut self) {
        self.stop();
        for pending in std::mem::take(&mut self.pending).into_values() {
            let (conn, request, refusal) = match pending {
                Pending::Write { conn, request } => (conn, request, unknown()),
                Pending::Look { conn, request } => (conn, request, stopping()),
                Pending::CatchUp { .. } => continue,
            };
            if self.sessions.get(conn).is_some() {
                self.refuse(conn, request, refusal);
            }
        }
    }

    /// Once nothing is under way any more, nobody is left to be told of anything but the end.
    fn send_home_when_idle(&mut self) {
        if self.stopping == Stopping::Draining && self.pending.is_empty() {
            self.stopping = Stopping::Done;
            let retry_after = Some(DRAIN_RETRY);
            self.outputs.push_back(Output::CloseAll {
                code: CloseCode::Restart,
                retry_after,
            });
        }
    }

    fn asked(&mut self, conn: ConnId, request: u32, key: Option<Key>, command: Command, now: Now) {
        if self.attend(conn) == Attention::Deaf {
            return;
        }
        if let Err(refusal) = self.admit(conn, &command, now) {
            return self.refuse(conn, request, refusal);
        }
        let done = match command {
            Command::Hello(hello) => self.hello(conn, request, &hello, now),
            Command::Talk(talk) => self.talk(conn, request, key, talk, now),
            Command::UserList(list) => self.user_list(conn, request, &list),
            Command::Typing(typing) => self.typing(conn, request, &typing, now),
            Command::History(history) => self.history(conn, request, &history),
            Command::Watch(watch) => self.watch(conn, request, &watch),
            Command::Ping => {
                self.reply(conn, request, Reply::Pong);
                Ok(())
            }
            Command::Exit => {
                self.exit(conn, now);
                Ok(())
            }
        };
        if let Err(refusal) = done {
            self.refuse(conn, request, refusal);
        }
    }

    /// Whether anything that this connection sends is still of interest: not if it is gone, and not
    /// after `exit`, which was its last word. Who has no name is told first what was wrong before.
    fn attend(&mut self, conn: ConnId) -> Attention {
        match self.sessions.get(conn).map(|session| &session.stage) {
            None | Some(Stage::Leaving) => return Attention::Deaf,
            Some(Stage::Nameless(_)) => self.tell_stranger(conn),
            Some(Stage::Named(_)) => {}
        }
        Attention::Heard
    }

    /// What every command must pass before anybody looks at what it says. Leaving is always
    /// allowed.
    fn admit(&mut self, conn: ConnId, command: &Command, now: Now) -> Result<(), Refusal> {
        let Some(session) = self.sessions.get_mut(conn) else {
            return Err(Refusal::new(ErrorCode::SignInFirst));
        };
        if matches!(command, Command::Exit) {
            return Ok(());
        }
        let rate = self.settings.commands;
        rate.take(&mut session.commands_full, now.mono)
            .map_err(too_fast)?;
        if self.stopping != Stopping::No && !matches!(command, Command::Ping) {
            return Err(stopping());
        }
        if command.verb().signed_in && session.name().is_none() {
            return Err(Refusal::new(ErrorCode::SignInFirst));
        }
        if matches!(command, Command::Talk(_)) {
            self.settings
                .talk
                .take(&mut session.talk_full, now.mono)
                .map_err(too_fast)?;
            let address = session.address;
            let rate = self.settings.address_talk;
            self.addresses
                .take(address, rate, now.mono)
                .map_err(|wait| {
                    too_fast(wait).because("Too many messages from your address; wait a little.")
                })?;
        }
        Ok(())
    }

    /// What is no command is answered at once to somebody who has a name. Without one it is most
    /// likely no client of ours: the answer waits for the next frame, or for [`STRANGER_WAIT`], so
    /// that whoever only tries things out is slowed down, and whoever goes on to break the protocol
    /// is told that and nothing else.
    fn unfit(&mut self, conn: ConnId, request: u32, refusal: Refusal, now: Now) {
        if self.attend(conn) == Attention::Deaf {
            return;
        }
        let Some(session) = self.sessions.get_mut(conn) else {
            return;
        };
        let rate = self.settings.commands;
        let taken = rate.take(&mut session.commands_full, now.mono);
        let refusal = taken.map_or_else(too_fast, |()| refusal);
        if session.name().is_some() {
            return self.refuse(conn, request, refusal);
        }
        self.untold.insert(conn, (request, refusal));
        let at = now.mono.after(STRANGER_WAIT);
        self.later.push_back((at, Later::Tell(conn)));
    }

    /// See [`Hub::unfit`].
    fn tell_stranger(&mut self, conn: ConnId) {
        if let Some((request, refusal)) = self.untold.remove(&conn) {
            self.refuse(conn, request, refusal);
        }
    }

    /// The conversation of an address, for somebody who is in it.
    fn resolve(&self, address: &str) -> Result<ConvId, Refusal> {
        if address.is_empty() || address == &*self.lobby.address {
            return Ok(self.lobby.conv());
        }
        Err(Refusal::new(ErrorCode::NotFound))
    }

    #[inline]
    fn reply(&mut self, to: ConnId, request: u32, reply: Reply) {
        // Without a number nobody waits for the answer; a `welcome` is worth telling all the same.
        if request != 0 || matches!(reply, Reply::Welcome(_)) {
            self.outputs.push_back(Output::Reply { to, request, reply });
        }
    }

    fn refuse(&mut self, to: ConnId, request: u32, refusal: Refusal) {
        self.outputs.push_back(Output::Refuse {
            to,
            request,
            refusal,
        });
    }

    /// What must hold between any two inputs. In release builds this is nothing.
    fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            self.check_lists();
        }
    }
}

/// What clients call a conversation.
impl crate::chat::event::Addresses for Hub {
    fn address(&self, conv: ConvId) -> &str {
        if conv == self.lobby.conv() {
            &self.lobby.address
        } else {
            ""
        }
    }
}

fn too_fast(wait: Duration) -> Refusal {
    Refusal::new(ErrorCode::TooFast).retry(wait)
}

fn stopping() -> Refusal {
    Refusal::new(ErrorCode::Stopping).retry(DRAIN_RETRY)
}

fn unknown() -> Refusal {
    Refusal::new(ErrorCode::StoreUnknown)
        .because("The server ends before the disk has answered; ask again, under the same key.")
        .retry(DRAIN_RETRY)
}

fn busy() -> Refusal {
    Refusal::new(ErrorCode::Busy).retry(BUSY_RETRY)
}

/// A field of the `i`th item of a list.
fn item(list: &'static str, i: usize) -> Cow<'static, str> {
    format!("{list}[{i}]").into()
}

/// The names of people are shared, not copied.
type Folded = Arc<str>;
