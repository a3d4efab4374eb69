//! From the hub to outboxes: what is to be told becomes frames.
//!
//! Floor 3, a part of the exchange. A frame for many is encoded once per format and holds nothing
//! that differs between its listeners; whoever gets it costs one look at the slab, and a note in an
//! outbox of where the frame stands. Nothing here writes to a socket.

use super::backend::{Backend, Taken};
use super::exchange::{Exchange, live};
use super::lists::{Lists, mark};
use super::pages::{Waiting, Want, kind};
use super::peer::{Dirty, Peer, Socket};
use crate::chat::closing::CloseCode;
use crate::chat::durable::{Read, Write};
use crate::chat::event::{Addresses as _, Body, Entry, Event, Reply};
use crate::chat::hub::{Hub, Input, Looked, Output};
use crate::chat::name::Name;
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::Now;
use crate::conn::frame::{ForMany, Frame};
use crate::conn::{Push, Shared};
use crate::ids::{AppId, ConnId, ConvId, Seq, Ticket};
use crate::limits::{BUSY_RETRY, OUTBOX_LOW, SMALL_FAN_OUT};
use crate::wire::{self, Format, Greeting};

impl<S: Socket, B: Backend> Exchange<S, B> {
    /// Carries out everything that the hub wants, and hands it what follows from that, until both
    /// are through.
    pub(super) fn drain(&mut self, now: Now) {
        loop {
            while let Some(output) = self.hub.poll_output() {
                self.carry_out(output, now);
            }
            let Some(next) = self.follow.pop_front() else {
                break;
            };
            if let Input::Lagging { conn } = &next
                && let Some(peer) = self.peer(*conn)
            {
                peer.flags.lagging = false;
            }
            self.hub.handle(next, now);
        }
    }

    fn carry_out(&mut self, output: Output, now: Now) {
        match output {
            Output::Reply { to, request, reply } => self.reply(to, request, &reply, now),
            Output::Refuse {
                to,
                request,
                refusal,
            } => {
                self.metrics.refused += 1;
                self.tell(to, now, |format, _, _, out| {
                    wire::encode_refusal(format, request, &refusal, out);
                });
            }
            Output::Push { to, event } => self.tell(to, now, |format, hub, _, out| {
                wire::encode_event(format, &event, hub, out);
            }),
            Output::FanOut {
                conv,
                except,
                event,
            } => self.fan_out(conv, except, &event, now),
            Output::SendPage {
                to,
                conv,
                from,
                upto,
            } => self.send_page(to, conv, (from, upto), now),
            Output::Submit { ticket, write } => self.submit(ticket, write),
            Output::Fetch { ticket, read } => self.fetch(ticket, read),
            Output::AwaitDrain { conn } => {
                if let Some(peer) = self.peer(conn) {
                    peer.flags.awaited = true;
                    self.tell_drained(conn);
                }
            }
            Output::SignedIn { conn } => {
                if let Some(peer) = self.peer(conn) {
                    peer.conn.signed_in();
                }
            }
            Output::Pause { conn } => {
                if let Some(peer) = self.peer(conn) {
                    peer.flags.paused = true;
                }
            }
            Output::Resume { conn } => {
                if let Some(peer) = self.peer(conn) {
                    peer.flags.paused = false;
                    self.queue_read(conn);
                }
            }
            Output::Close { conn, code } => self.close(conn, code, now),
            Output::CloseAll { code, retry_after } => {
                self.close_all(&Event::Closing { code, retry_after }, code, now);
            }
        }
    }

    fn reply(&mut self, to: ConnId, request: u32, reply: &Reply, now: Now) {
        let secret = match reply {
            Reply::Welcome(welcome) => match Name::parse(&welcome.you.name) {
                Ok(name) => self.guests.secret(AppId::DEFAULT, welcome.you.id, &name),
                Err(_) => String::new(),
            },
            _ => String::new(),
        };
        self.tell(to, now, |format, addresses, greeting, out| {
            let context = wire::Context {
                addresses,
                greeting,
                resume_secret: &secret,
            };
            wire::encode_reply(format, request, reply, &context, out);
        });
    }

    /// Sends one frame to one peer.
    fn tell(
        &mut self,
        to: ConnId,
        now: Now,
        encode: impl FnOnce(Format, &Hub, &Greeting, &mut Vec<u8>),
    ) {
        let Self {
            hub,
            peers,
            shared,
            encoders,
            greeting,
            lists,
            ..
        } = self;
        let Some(peer) = live(peers, to) else { return };
        let format = peer.format;
        let encoder = &mut encoders[format.index()];
        let frame = encoder.encode(kind(format), |out| encode(format, hub, greeting, out));
        let pushed = push(peer, to, &frame, Dirty::Urgent, shared, lists);
        self.pushed(to, pushed, now);
    }

    /// Sends one event to everybody who listens. See the module.
    fn fan_out(&mut self, conv: ConvId, except: Option<ConnId>, event: &Event, now: Now) {
        if let Event::Entry(entry) = event {
            self.metrics.talks += 1;
            self.log_entry(entry);
        }
        let Self {
            hub,
            peers,
            shared,
            encoders,
            lists,
            metrics,
            ..
        } = self;
        let listeners = hub.live(conv);
        let class = if listeners.len() > SMALL_FAN_OUT {
            Dirty::Bulk
        } else {
            Dirty::Urgent
        };
        // What is worth nothing later is not queued behind what is. A change of presence is: who
        // missed one would show somebody who is gone for as long as nothing else happens to them.
        let ephemeral = matches!(event, Event::Typing { .. });
        let [json, proto] = encoders;
        let mut encoders = [Some(json), Some(proto)];
        let mut frames: [Option<ForMany<'_>>; Format::ALL.len()] = [None, None];
        let mut trouble = Vec::new();
        for &id in listeners {
            let Some(peer) = live(peers, id) else {
                continue;
            };
            if except == Some(id) || (ephemeral && peer.conn.outbox().len() > OUTBOX_LOW) {
                continue;
            }
            let format = peer.format;
            let frame = &mut frames[format.index()];
            if let Some(encoder) = encoders[format.index()].take() {
                let fill = |out: &mut Vec<u8>| wire::encode_event(format, event, hub, out);
                *frame = Some(match class {
                    Dirty::Bulk => encoder.encode_for_many(kind(format), shared, fill),
                    _ => ForMany::Frame(encoder.encode(kind(format), fill)),
                });
            }
            let Some(frame) = frame else { continue };
            metrics.deliveries += 1;
            let pushed = peer.conn.push_one_of_many(frame, shared);
            mark(peer, id, class, lists);
            match pushed {
                Push::Queued => {}
                other => trouble.push((id, other)),
            }
        }
        for (id, pushed) in trouble {
            self.pushed(id, pushed, now);
        }
    }

    fn send_page(&mut self, to: ConnId, conv: ConvId, range: (Seq, Seq), now: Now) {
        let Self {
            hub,
            peers,
            shared,
            pages,
            lists,
            metrics,
            ..
        } = self;
        let Some(peer) = live(peers, to) else { return };
        let Some(frames) = pages.frames(conv, range, peer.format, hub) else {
            // Other pages crowded it out of the cache since it was found. The hub counts it as
            // sent, so this connection cannot go on; it comes back with its cursor.
            return self.close(to, CloseCode::Overloaded, now);
        };
        metrics.deliveries += range.1.0 - range.0.0 + 1;
        let pushed = push(peer, to, &Frame::from(&frames), Dirty::Bulk, shared, lists);
        // A page is meant to fill the outbox; the hub waits for it to drain anyway.
        if pushed != Push::Soft {
            self.pushed(to, pushed, now);
        }
    }

    /// What a push came to, where that is anything but "queued".
    fn pushed(&mut self, id: ConnId, pushed: Push, now: Now) {
        match pushed {
            Push::Queued | Push::Closed => {}
            Push::Soft => {
                let Some(peer) = self.peer(id) else { return };
                if !std::mem::replace(&mut peer.flags.lagging, true) {
                    self.metrics.put_behind += 1;
                    self.follow.push_back(Input::Lagging { conn: id });
                }
            }
            Push::Full => {
                self.metrics.cut += 1;
                self.close(id, CloseCode::Slow, now);
            }
        }
    }

    /// Closes a WebSocket, and lets the hub know if it is not the one who wanted it.
    fn close(&mut self, id: ConnId, code: CloseCode, now: Now) {
        let Self {
            peers,
            shared,
            follow,
            lists,
            ..
        } = self;
        let Some(peer) = live(peers, id) else { return };
        peer.conn.close(code, shared, now);
        peer.flags.paused = false;
        mark(peer, id, Dirty::Urgent, lists);
        if std::mem::take(&mut peer.flags.upgraded) {
            follow.push_back(Input::Closed { conn: id });
        }
        self.queue_read(id);
        self.arm(id);
    }

    fn close_all(&mut self, closing: &Event, code: CloseCode, now: Now) {
        let all: Vec<ConnId> = self
            .peers
            .iter()
            .map(|(index, peer)| ConnId {
                index: index as u32,
                serial: peer.serial,
            })
            .collect();
        for id in all {
            self.tell(id, now, |format, hub, _, out| {
                wire::encode_event(format, closing, hub, out);
            });
            self.close(id, code, now);
            self.after(id);
        }
    }

    fn submit(&mut self, ticket: Ticket, write: Write) {
        if self.backend.submit(ticket, write) == Taken::Full {
            self.follow.push_back(Input::Written {
                ticket,
                result: Err(busy()),
            });
        }
    }

    fn fetch(&mut self, ticket: Ticket, read: Read) {
        if let Read::Page { conv, next } = read {
            match self.pages.want(conv, Waiting { ticket, next }) {
                Want::Here(looked) => {
                    self.metrics.pages_cached += 1;
                    return self.follow.push_back(Input::Found {
                        ticket,
                        result: Ok(looked),
                    });
                }
                Want::Wait => return,
                Want::Read => {}
            }
        }
        if self.backend.fetch(ticket, read) == Taken::Full {
            for waiting in self.waiting(ticket) {
                let result = Err(busy());
                self.follow.push_back(Input::Found {
                    ticket: waiting.ticket,
                    result,
                });
            }
        }
    }

    /// A page is here: for its asker in any case, and for those of the others whom it helps. The
    /// rest ask again, each for what it needs.
    pub(super) fn page_answered(
        &mut self,
        ticket: Ticket,
        conv: ConvId,
        looked: &Result<Looked, Refusal>,
        now: Now,
    ) {
        for waiting in self.waiting(ticket) {
            let helps = match looked {
                Ok(Looked::Page { first, last, .. }) => (*first..=*last).contains(&waiting.next),
                _ => true,
            };
            if helps || waiting.ticket == ticket {
                self.follow.push_back(Input::Found {
                    ticket: waiting.ticket,
                    result: looked.clone(),
                });
            } else {
                self.fetch(
                    waiting.ticket,
                    Read::Page {
                        conv,
                        next: waiting.next,
                    },
                );
            }
        }
        self.drain(now);
    }

    pub(super) fn read_failed(&mut self, ticket: Ticket, refusal: Refusal, now: Now) {
        for waiting in self.waiting(ticket) {
            let result = Err(refusal.clone());
            self.follow.push_back(Input::Found {
                ticket: waiting.ticket,
                result,
            });
        }
        self.drain(now);
    }

    /// Who waits for the answer to this ticket: for a page perhaps many, otherwise its asker.
    fn waiting(&mut self, ticket: Ticket) -> Vec<Waiting> {
        let waiting = self.pages.answered(ticket);
        if waiting.is_empty() {
            vec![Waiting {
                ticket,
                next: Seq::ZERO,
            }]
        } else {
            waiting
        }
    }

    /// One line for each message, for the operator: who, where, how much. The words only if asked.
    fn log_entry(&self, entry: &Entry) {
        let Body::Message { text } = &entry.body;
        let (app, conversation) = (AppId::DEFAULT_NAME, self.hub.address(entry.conv));
        let (seq, who, bytes) = (entry.seq, &entry.from.name, text.len());
        if self.log_text {
            log::info!(target: "kith::talk", "app={app} conversation={conversation} seq={seq} who={who:?} bytes={bytes} text={text:?}");
        } else {
            log::info!(target: "kith::talk", "app={app} conversation={conversation} seq={seq} who={who:?} bytes={bytes}");
        }
    }
}

/// Queues one frame for one peer and marks it to be flushed.
fn push<S: Socket>(
    peer: &mut Peer<S>,
    id: ConnId,
    frame: &Frame<'_>,
    class: Dirty,
    shared: &mut Shared,
    lists: &mut Lists,
) -> Push {
    let pushed = peer.conn.push(frame, shared);
    mark(peer, id, class, lists);
    pushed
}

fn busy() -> Refusal {
    Refusal::new(ErrorCode::Busy).retry(BUSY_RETRY)
}
