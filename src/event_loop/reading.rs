//! From sockets to the hub: what was read becomes requests, upgrades and commands.
//!
//! Floor 3, a part of the exchange. One buffer serves all sockets. A peer is read within its share of
//! the tick; what it sent beyond that is held by its connection and comes first in the next tick, as
//! it does for a session that the hub has paused.

use std::sync::atomic::Ordering;

use super::backend::Backend;
use super::exchange::{Exchange, live};
use super::peer::{Socket, Took};
use super::routes::{self, SOCKET_PATH, Site};
use crate::chat::bucket::Address;
use crate::chat::command::Command;
use crate::chat::hub::Input;
use crate::chat::name::Name;
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::Now;
use crate::conn::response::Response;
use crate::conn::{Event, Upgrade};
use crate::ids::{AppId, ConnId, PublicId};
use crate::limits::{READ_BUDGET, READ_BUFFER, READ_LEAST_BYTES, READ_LEAST_MESSAGES};
use crate::limits::{READ_TICK_BYTES, READ_TICK_MESSAGES};
use crate::wire::{self, Claim, Format, Payload, Request};

/// Why reading a peer ended, for now.
enum Fed {
    /// It sent no more.
    Dry,
    /// It has had its share of this tick.
    Enough,
    /// The hub wants no more of it, or it is gone.
    Stopped,
}

/// What one peer may take of a tick.
///
/// The tick is what everybody waits for who has something to say, so it is the tick that is bounded,
/// and shared out. A fixed share for each made it 70 ms long when fifty clients sent pings as fast as
/// they could, and a message, which takes three ticks to its listeners, late by 900 ms at worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    bytes: usize,
    messages: usize,
}

impl Share {
    fn of(peers: usize) -> Self {
        let peers = peers.max(1);
        Self {
            bytes: (READ_TICK_BYTES / peers).clamp(READ_LEAST_BYTES, READ_BUFFER),
            messages: (READ_TICK_MESSAGES / peers).clamp(READ_LEAST_MESSAGES, READ_BUDGET),
        }
    }
}

impl<S: Socket, B: Backend> Exchange<S, B> {
    /// Reads everybody who may have sent something, each within its share.
    pub fn read(&mut self, now: Now) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let ready = std::mem::take(&mut self.lists.ready);
        let share = Share::of(ready.len());
        for id in ready {
            self.read_one(id, &mut buffer[..share.bytes], share, now);
        }
        self.buffer = buffer;
    }

    fn read_one(&mut self, id: ConnId, buffer: &mut [u8], share: Share, now: Now) {
        let Self { peers, shared, .. } = self;
        let Some(peer) = live(peers, id) else { return };
        peer.flags.in_ready = false;
        if peer.flags.paused {
            return; // `Output::Resume` queues it again.
        }
        // What came earlier goes first, and only when that is done is there room for more.
        let mut fed = Fed::Dry;
        if peer.conn.wants_poll(shared) {
            fed = self.feed(id, &[], share, now);
        }
        let Self { peers, shared, .. } = self;
        let Some(peer) = live(peers, id) else { return };
        if matches!(fed, Fed::Dry) && peer.flags.readable && peer.conn.wants_input() {
            match peer.read(buffer) {
                Took::Bytes(count) => {
                    self.metrics.bytes_in += count as u64;
                    fed = self.feed(id, &buffer[..count], share, now);
                }
                Took::Nothing => {}
                Took::End => {
                    peer.conn.handle_eof();
                    fed = self.feed(id, &[], share, now);
                }
                Took::Broken => {
                    peer.conn.handle_failure(shared);
                    fed = self.feed(id, &[], share, now);
                }
            }
        }
        let Some(peer) = self.peer(id) else { return };
        let more = matches!(fed, Fed::Enough) || (peer.flags.readable && peer.conn.wants_input());
        if more && !peer.flags.paused {
            self.queue_read(id);
        }
        self.after(id);
    }

    /// Takes a peer's bytes apart, event by event.
    fn feed(&mut self, id: ConnId, bytes: &[u8], share: Share, now: Now) -> Fed {
        let mut input = bytes;
        for _ in 0..share.messages {
            let Self { peers, shared, .. } = self;
            let Some(peer) = live(peers, id) else {
                return Fed::Stopped;
            };
            if peer.flags.paused {
                peer.conn.hold(input);
                return Fed::Stopped;
            }
            match peer.conn.poll_event(&mut input, shared, now) {
                Some(event) => self.event(id, event, now),
                None => {
                    peer.conn.hold(input);
                    return Fed::Dry;
                }
            }
        }
        let Some(peer) = self.peer(id) else {
            return Fed::Stopped;
        };
        peer.conn.hold(input);
        Fed::Enough
    }

    fn event(&mut self, id: ConnId, event: Event, now: Now) {
        match event {
            Event::Text(text) => {
                self.message(id, Payload::Text(&text), now);
                self.shared.reuse(text.into_bytes());
            }
            Event::Binary(bytes) => {
                self.message(id, Payload::Binary(&bytes), now);
                self.shared.reuse(bytes);
            }
            Event::Request(request) => {
                self.metrics.http_requests += 1;
                self.metrics.log_dropped = self.log_dropped.load(Ordering::Relaxed);
                let Self {
                    peers,
                    shared,
                    metrics,
                    metrics_public,
                    stopping,
                    ..
                } = self;
                let Some(peer) = live(peers, id) else { return };
                let site = Site {
                    metrics,
                    metrics_public: *metrics_public,
                    stopping: *stopping,
                    address: peer.address,
                };
                let response = routes::answer(&request.head, &site);
                peer.conn.respond(&response, shared, now);
            }
            Event::Upgrade(upgrade) => self.upgrade(id, *upgrade, now),
            // What the peer has read; the cursors that the server keeps will want to know.
            Event::Pong(_) => {}
            Event::Closed(_) => self.gone(id, now),
        }
    }

    fn upgrade(&mut self, id: ConnId, upgrade: Upgrade, now: Now) {
        let Self {
            peers,
            shared,
            stopping,
            ..
        } = self;
        let Some(peer) = live(peers, id) else { return };
        let refusal = if upgrade.head.path() != SOCKET_PATH {
            Some((http::StatusCode::NOT_FOUND, "WebSocket clients go to /ws"))
        } else if *stopping {
            Some((
                http::StatusCode::SERVICE_UNAVAILABLE,
                "the server is about to stop",
            ))
        } else {
            None
        };
        if let Some((status, why)) = refusal {
            return peer.conn.refuse(&Response::error(status, why), shared, now);
        }
        let format = Format::negotiate(upgrade.subprotocols());
        peer.conn
            .accept(format.map(Format::subprotocol), shared, now);
        peer.flags.upgraded = true;
        peer.flags.settled = format.is_some();
        peer.format = format.unwrap_or_default();
        let address = network(peer.address);
        self.metrics.upgrades += 1;
        let fresh = self.entropy.public_id();
        let name = upgrade.username;
        self.input(
            Input::Opened {
                conn: id,
                address,
                fresh,
                name,
            },
            now,
        );
    }

    fn message(&mut self, id: ConnId, payload: Payload<'_>, now: Now) {
        let Some(peer) = self.peer(id) else { return };
        if !peer.flags.settled && payload.format() == Format::Proto {
            peer.flags.settled = true;
            peer.format = Format::Proto;
        }
        self.metrics.commands += 1;
        let input = match wire::decode(payload) {
            Ok(request) => self.claimed(id, request),
            Err(bad) => Input::Unfit {
                conn: id,
                request: bad.id,
                refusal: bad.refusal,
            },
        };
        self.input(input, now);
    }

    /// Checks the proof that a `hello` may bring. The hub learns who it proves, and no secret.
    fn claimed(&self, id: ConnId, request: Request) -> Input {
        let Request {
            id: number,
            key,
            mut command,
            claim,
        } = request;
        if let (Command::Hello(hello), Some(claim)) = (&mut command, claim) {
            match self.proved(&hello.name, &claim) {
                Ok(guest) => hello.resumed = Some(guest),
                Err(refusal) => {
                    return Input::Unfit {
                        conn: id,
                        request: number,
                        refusal,
                    };
                }
            }
        }
        Input::Asked {
            conn: id,
            request: number,
            key,
            command,
        }
    }

    fn proved(&self, typed: &str, claim: &Claim) -> Result<PublicId, Refusal> {
        let name = Name::parse(typed)?;
        if self
            .guests
            .proves(AppId::DEFAULT, claim.guest, &name, &claim.secret)
        {
            Ok(claim.guest)
        } else {
            Err(Refusal::new(ErrorCode::BadResume).field("hello.resumeSecret"))
        }
    }
}

/// The part of an address whose rate is limited as one: all of an IPv4 address, the network half of
/// an IPv6 address, since a host usually owns the whole other half.
fn network(address: Address) -> Address {
    let mut network = address;
    if std::net::Ipv6Addr::from(address).to_ipv4_mapped().is_none() {
        network[8..].fill(0);
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_shared_out_but_everybody_gets_something() {
        for (peers, bytes, messages) in [
            (0, READ_BUFFER, READ_BUDGET),
            (1, READ_BUFFER, READ_BUDGET),
            (16, 32 * 1024, 128),
            (50, 10_485, 40),
            (20_000, READ_LEAST_BYTES, READ_LEAST_MESSAGES),
        ] {
            assert_eq!(Share::of(peers), Share { bytes, messages }, "{peers}");
        }
    }
}
