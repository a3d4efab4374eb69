//! What a client's payload asks.
//!
//! Floor 2. Turns bytes into a [`Request`], or into a [`BadFrame`] that says what is wrong and
//! where. It checks what can be checked without knowing anybody: the shape, the key, numbers and
//! counts. Whether the sender may do it, and whether a name, a text or a secret is good, is asked
//! further up. Nothing is allocated by a length that the client merely declares.

use std::borrow::Cow;

use bytes::Buf as _;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::chat::command::{self, Command};
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::ids::{Epoch, Key, PublicId, Seq, Tag};
use crate::limits::{HELLO_CURSORS, HISTORY_ENTRIES, REFUSAL_BYTES, USERS_PAGE, WATCHED_NAMES};
use crate::wire::format::Payload;
use crate::wire::{frequent, json, pb};

/// One command, as one client asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Comes back with the answer; 0 wants none to a success.
    pub id: u32,
    /// Under which it is to happen once.
    pub key: Option<Key>,
    /// What is asked. A `Hello` is not marked as resumed yet: that takes the verdict on `claim`.
    pub command: Command,
    /// Of a `Hello` that says who its sender was before.
    pub claim: Option<Box<Claim>>,
}

/// "I am the guest of this id, and here is the proof." Not verified yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub guest: PublicId,
    /// As the client sent it: any text, up to the size of a frame.
    pub secret: String,
}

impl std::fmt::Debug for Claim {
    /// Without the secret: requests end up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim")
            .field("guest", &self.guest)
            .finish_non_exhaustive()
    }
}

/// A payload that asks nothing. Whose fault: the client's. The connection stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFrame {
    /// The frame's id as far as one can be read, so that the client learns which of its commands
    /// this answers; otherwise 0.
    pub id: u32,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// Reads the payload of one message; text is JSON, binary is protobuf.
///
/// # Errors
/// One of the 1xx, [`ErrorCode::BadResume`], [`ErrorCode::BadRequest`] or [`ErrorCode::TooMany`].
/// The field is a path of JSON names, in both formats: `history.before`, `hello.cursors[3].seq`.
pub fn decode(payload: Payload<'_>) -> Result<Request, BadFrame> {
    match payload {
        Payload::Text(text) => numbered(json::parse(text)?),
        Payload::Binary(bytes) => match frequent::decode(bytes) {
            Some(request) => Ok(request),
            None => generated(bytes),
        },
    }
}

/// By the generated code, which takes every frame.
pub(super) fn generated(bytes: &[u8]) -> Result<Request, BadFrame> {
    let frame = pb::ClientFrame::decode(bytes).map_err(|error| BadFrame {
        id: id_of(bytes),
        refusal: Refusal::new(ErrorCode::Malformed).because(quote(error.to_string())),
    })?;
    numbered(frame)
}

fn numbered(frame: pb::ClientFrame) -> Result<Request, BadFrame> {
    let id = frame.id;
    request(frame).map_err(|refusal| BadFrame { id, refusal })
}

/// Cuts what may repeat a client's own words to `REFUSAL_BYTES`.
pub(super) fn quote(mut words: String) -> Cow<'static, str> {
    if words.len() > REFUSAL_BYTES {
        let mut end = REFUSAL_BYTES - "…".len();
        while !words.is_char_boundary(end) {
            end -= 1;
        }
        words.truncate(end);
        words.push('…');
        words.shrink_to_fit();
    }
    Cow::Owned(words)
}

/// The id of a frame that is no good as a whole: the last field 1 before the first byte that makes
/// no sense.
fn id_of(mut bytes: &[u8]) -> u32 {
    let mut id = 0;
    while bytes.has_remaining() {
        let Ok((field, kind)) = decode_key(&mut bytes) else {
            break;
        };
        if (field, kind) == (1, WireType::Varint) {
            let Ok(number) = decode_varint(&mut bytes) else {
                break;
            };
            // As protobuf does it: what does not fit is cut off.
            id = number as u32;
        } else if skip_field(kind, field, &mut bytes, DecodeContext::default()).is_err() {
            break;
        }
    }
    id
}

fn request(frame: pb::ClientFrame) -> Result<Request, Refusal> {
    use pb::client_frame::Command as Asked;

    let key = match frame.key.len() {
        0 => None,
        _ => Some(Key(frame
            .key
            .as_slice()
            .try_into()
            .map_err(|_| Refusal::new(ErrorCode::BadKey).field("key"))?)),
    };
    let mut claim = None;
    let command = match frame.command {
        None => return Err(Refusal::new(ErrorCode::UnknownCommand)),
        Some(Asked::Ping(pb::Ping {})) => Command::Ping,
        Some(Asked::Exit(pb::Exit {})) => Command::Exit,
        Some(Asked::Talk(pb::Talk { to, text })) => Command::Talk(command::Talk { to, text }),
        Some(Asked::Typing(pb::Typing { conversation })) => {
            Command::Typing(command::Typing { conversation })
        }
        Some(Asked::UserList(pb::UserList { after, limit })) => {
            Command::UserList(command::UserList {
                after,
                limit: limit.min(USERS_PAGE),
            })
        }
        Some(Asked::History(asked)) => Command::History(history(asked)?),
        Some(Asked::Watch(pb::Watch { names })) => {
            at_most(WATCHED_NAMES, names.len(), "watch.names")?;
            Command::Watch(command::Watch { names })
        }
        Some(Asked::Hello(asked)) => {
            let (hello, claimed) = hello(asked)?;
            claim = claimed.map(Box::new);
            Command::Hello(Box::new(hello))
        }
    };
    Ok(Request {
        id: frame.id,
        key,
        command,
        claim,
    })
}

fn history(asked: pb::History) -> Result<command::History, Refusal> {
    Ok(command::History {
        conversation: asked.conversation,
        before: seq(asked.before, || "history.before".into())?,
        after: seq(asked.after, || "history.after".into())?,
        limit: asked.limit.min(HISTORY_ENTRIES),
    })
}

fn hello(asked: pb::Hello) -> Result<(command::Hello, Option<Claim>), Refusal> {
    at_most(HELLO_CURSORS, asked.cursors.len(), "hello.cursors")?;
    let cursors = asked.cursors.into_iter().enumerate().map(cursor);
    let hello = command::Hello {
        name: asked.name,
        resumed: None,
        cursors: cursors.collect::<Result<_, Refusal>>()?,
    };
    Ok((hello, claim(&asked.guest_id, asked.resume_secret)?))
}

fn cursor((place, asked): (usize, pb::Cursor)) -> Result<command::Cursor, Refusal> {
    Ok(command::Cursor {
        conversation: asked.conversation,
        // Opaque to clients: one that kept another server's text holds another log, and is told so
        // by a reset. It did nothing wrong.
        epoch: asked.epoch.parse().unwrap_or(Epoch::NONE),
        seq: seq(asked.seq, || format!("hello.cursors[{place}].seq").into())?,
        tag: Tag(asked.tag),
    })
}

fn claim(guest: &str, secret: String) -> Result<Option<Claim>, Refusal> {
    let bad = |field, why| Refusal::new(ErrorCode::BadResume).field(field).because(why);
    match (guest.is_empty(), secret.is_empty()) {
        (true, true) => Ok(None),
        (true, false) => Err(bad(
            "hello.guestId",
            "A resume secret without its guest id.",
        )),
        (false, true) => Err(bad(
            "hello.resumeSecret",
            "A guest id without its resume secret.",
        )),
        (false, false) => match guest.parse() {
            Ok(guest) => Ok(Some(Claim { guest, secret })),
            Err(_) => Err(bad("hello.guestId", "A guest id is 32 hexadecimal digits.")),
        },
    }
}

fn at_most(bound: usize, count: usize, field: &'static str) -> Result<(), Refusal> {
    if count <= bound {
        return Ok(());
    }
    let why = format!("{count} items where one command may hold {bound}.");
    Err(Refusal::new(ErrorCode::TooMany).field(field).because(why))
}

fn seq(number: u64, field: impl FnOnce() -> Cow<'static, str>) -> Result<Seq, Refusal> {
    if number <= Seq::MAX.0 {
        return Ok(Seq(number));
    }
    let why = "No log is longer than 9223372036854775807 entries.";
    Err(Refusal::new(ErrorCode::BadRequest)
        .field(field())
        .because(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_cut_between_characters() {
        for (bytes, expected) in [(0, 0), (256, 256), (257, 256), (80_000, 256)] {
            assert_eq!(quote("x".repeat(bytes)).len(), expected, "{bytes}");
        }
        let cut = quote("界".repeat(200));
        assert!(cut.len() <= REFUSAL_BYTES && cut.ends_with("界…"));
    }

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let frame =
            r#"{"hello":{"guestId":"00000000000000000000000000000001","resumeSecret":"hush"}}"#;
        let request = decode(Payload::Text(frame)).unwrap();
        assert_eq!(request.claim.as_ref().unwrap().secret, "hush");
        assert!(!format!("{request:?}").contains("hush"));
    }
}
