//! What the server tells, as bytes.
//!
//! Floor 2. Each function appends the payload of exactly one frame to a buffer and keeps nothing.
//! What goes to many is encoded once per format by whoever calls; nothing here differs between
//! listeners except a reply's id and what `Welcome` says to one client.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;

use crate::chat::event::{
    Addresses, Body, Entry, Event, HistoryPage, HoleReason, Presence, Reply, Standing, Welcome,
};
use crate::chat::refusal::{Fate, Refusal};
use crate::limits;
use crate::wire::entry::encode_entry;
use crate::wire::fields::Count;
use crate::wire::format::Format;
use crate::wire::frequent::{self, Answer, Nothing, Talked};
use crate::wire::pb;
use crate::wire::pb::server_frame::Body as Told;

/// What `Welcome` says to everybody alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Words and frames, in bytes.
    pub text_bytes: u32,
    /// See `text_bytes`.
    pub frame_bytes: u32,
    /// Characters of a name.
    pub name_chars: u32,
    /// Commands without an answer yet.
    pub in_flight: u32,
    /// Silence after which the server pings.
    pub ping_after: Duration,
    /// Silence after which it gives up.
    pub gone_after: Duration,
    /// Messages per second in the long run; 0 for no limit.
    pub talk_rate: u32,
    /// Messages at once; 0 for no limit.
    pub talk_burst: u32,
    /// What this server can do that not every server can.
    pub features: Vec<String>,
    /// For people who look into problems, like `kith/0.1.0`.
    pub server: String,
}

impl Default for Greeting {
    /// The bounds of `limits.rs`, no limit on talking, no features and no name.
    fn default() -> Self {
        Self {
            text_bytes: limits::TEXT_BYTES as u32,
            frame_bytes: limits::FRAME_BYTES as u32,
            name_chars: limits::NAME_CHARS as u32,
            in_flight: limits::IN_FLIGHT,
            ping_after: limits::PING_AFTER,
            gone_after: limits::GONE_AFTER,
            talk_rate: 0,
            talk_burst: 0,
            features: Vec::new(),
            server: String::new(),
        }
    }
}

/// What a reply needs that the domain does not say.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// What conversations are called.
    pub addresses: &'a dyn Addresses,
    /// For `Welcome`.
    pub greeting: &'a Greeting,
    /// For `Welcome`: the proof with which this guest may come back. Empty elsewhere.
    pub resume_secret: &'a str,
}

/// Appends the answer to the command of this id; with id 0 it is a push.
pub fn encode_reply(
    format: Format,
    id: u32,
    reply: &Reply,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) {
    let addresses = context.addresses;
    let told = match reply {
        Reply::Pong => return frequent::encode(format, id, Answer::Pong(Nothing {}), out),
        Reply::Done => return frequent::encode(format, id, Answer::Done(Nothing {}), out),
        Reply::Talked {
            conv,
            seq,
            tag,
            at,
            duplicate,
        } => {
            let talked = Talked {
                conversation: addresses.address(*conv),
                seq: Count(seq.0),
                tag: tag.0,
                at: (*at).into(),
                duplicate: *duplicate,
            };
            return frequent::encode(format, id, Answer::Talked(talked), out);
        }
        Reply::Welcome(told) => Told::Welcome(welcome(told, context)),
        Reply::Users { names, total, more } => Told::Users(pb::Users {
            names: words(names),
            total: *total,
            more: *more,
        }),
        Reply::History(told) => Told::Page(page(told, addresses)),
    };
    frame(format, id, told, out);
}

/// Appends the refusal of the command of this id.
pub fn encode_refusal(format: Format, id: u32, refusal: &Refusal, out: &mut Vec<u8>) {
    let outcome = match refusal.fate {
        Fate::NotDone => pb::Outcome::NotDone,
        Fate::Unknown => pb::Outcome::Unknown,
    };
    let told = pb::Error {
        code: refusal.code.number(),
        name: refusal.code.name().to_owned(),
        message: refusal.message.to_string(),
        field: refusal.field.to_string(),
        outcome: outcome.into(),
        temporary: refusal.code.temporary(),
        retry_after_ms: refusal.retry_after.map_or(0, millis),
    };
    frame(format, id, Told::Error(told), out);
}

/// Appends an event; the same bytes serve every listener of this format.
pub fn encode_event(format: Format, event: &Event, addresses: &dyn Addresses, out: &mut Vec<u8>) {
    let told = match event {
        Event::Entry(told) => return encode_entry(format, told, addresses, out),
        Event::Presence(Presence {
            online,
            offline,
            total,
            refresh,
        }) => Told::Presence(pb::Presence {
            online: words(online),
            offline: words(offline),
            total: *total,
            refresh: *refresh,
        }),
        Event::Typing { conv, from } => Told::Typed(pb::Typed {
            conversation: addresses.address(*conv).to_owned(),
            from: from.name.to_string(),
        }),
        Event::Hole {
            conv,
            from,
            to,
            reason,
        } => Told::Hole(pb::Hole {
            conversation: addresses.address(*conv).to_owned(),
            from: from.0,
            to: to.0,
            reason: match reason {
                HoleReason::Retention => pb::HoleReason::Retention,
                HoleReason::NoHistory => pb::HoleReason::NoHistory,
            }
            .into(),
        }),
        Event::Reset(told) => Told::Reset(pb::Reset {
            standing: Some(standing(told, addresses)),
        }),
        Event::Closing { code, retry_after } => Told::Closing(pb::Closing {
            code: code.number().into(),
            reason: code.name().to_owned(),
            retry_after_ms: retry_after.map_or(0, millis),
        }),
    };
    frame(format, 0, told, out);
}

/// Appends one frame.
pub(super) fn frame(format: Format, id: u32, body: Told, out: &mut Vec<u8>) {
    let frame = pb::ServerFrame {
        id,
        body: Some(body),
    };
    match format {
        Format::Proto => frame.encode(out).expect("a Vec grows as far as it must"),
        Format::Json => serde_json::to_writer(out, &frame)
            .expect("a Vec takes everything, and a Timestamp made of UnixMillis is in range"),
    }
}

/// An entry in the form that the generated code takes.
pub(super) fn entry(entry: &Entry, addresses: &dyn Addresses) -> pb::Entry {
    pb::Entry {
        conversation: addresses.address(entry.conv).to_owned(),
        seq: entry.seq.0,
        tag: entry.tag.0,
        n: entry.n,
        from: entry.from.name.to_string(),
        from_id: entry.from.id.to_string(),
        at: Some(entry.at.into()),
        body: Some(match &entry.body {
            Body::Message { text } => pb::entry::Body::Message(pb::Message {
                text: text.to_string(),
            }),
        }),
    }
}

fn welcome(told: &Welcome, context: &Context<'_>) -> pb::Welcome {
    let greeting = context.greeting;
    pb::Welcome {
        name: told.you.name.to_string(),
        guest_id: told.you.id.to_string(),
        resume_secret: context.resume_secret.to_owned(),
        conversations: told
            .conversations
            .iter()
            .map(|conversation| standing(conversation, context.addresses))
            .collect(),
        online: told.online,
        limits: Some(pb::Limits {
            text_bytes: greeting.text_bytes,
            frame_bytes: greeting.frame_bytes,
            name_chars: greeting.name_chars,
            in_flight: greeting.in_flight,
            ping_after_ms: millis(greeting.ping_after),
            gone_after_ms: millis(greeting.gone_after),
            talk_rate: greeting.talk_rate,
            talk_burst: greeting.talk_burst,
        }),
        features: greeting.features.clone(),
        server: greeting.server.clone(),
    }
}

fn standing(told: &Standing, addresses: &dyn Addresses) -> pb::Standing {
    pb::Standing {
        conversation: addresses.address(told.conv).to_owned(),
        epoch: told.epoch.to_string(),
        head: told.head.0,
        tag: told.tag.0,
        floor: told.floor.0,
        durable: told.durable,
    }
}

fn page(told: &HistoryPage, addresses: &dyn Addresses) -> pb::HistoryPage {
    pb::HistoryPage {
        conversation: addresses.address(told.conv).to_owned(),
        entries: told
            .entries
            .iter()
            .map(|one| entry(one, addresses))
            .collect(),
        floor: told.floor.0,
        head: told.head.0,
    }
}

fn words(names: &[Arc<str>]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Whole milliseconds, rounded up: who comes back a moment too early is refused again.
fn millis(wait: Duration) -> u32 {
    u32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
