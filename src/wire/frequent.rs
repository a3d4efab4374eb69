//! What nearly all traffic is made of, without a detour: `ping` and `talk`, and their answers.
//!
//! Floor 2. The generated code builds a message of all possible fields and copies each text on the
//! way; for a `ping` and its `pong` in protobuf that was 500 of 1,900 instructions, for a `talk` and
//! its answer 1,900 of 6,700. So these are read and written straight, as entries are. Whatever is not
//! as plain as clients write it (a field that we do not know, one that comes twice, bad UTF-8) is left
//! to the generated code, to which tests hold this file in both directions.

use serde::Serialize;

use crate::chat::command::{Command, Talk};
use crate::ids::Key;
use crate::wire::decode::Request;
use crate::wire::fields::{
    Count, Value, bytes, bytes_len, is_zero, nested, nested_len, number, number_len, take,
};
use crate::wire::format::Format;
use crate::wire::time::Timestamp;

/// Field numbers of `client.proto`.
mod field {
    pub const ID: u64 = 1;
    pub const KEY: u64 = 2;
    pub const TALK: u64 = 11;
    pub const PING: u64 = 16;
    pub const TO: u64 = 1;
    pub const TEXT: u64 = 2;

    pub const FRAME_ID: u32 = 1;
    pub const TALKED: u32 = 11;
    pub const PONG: u32 = 14;
    pub const DONE: u32 = 15;
    pub const CONVERSATION: u32 = 1;
    pub const SEQ: u32 = 2;
    pub const TAG: u32 = 3;
    pub const AT: u32 = 4;
    pub const DUPLICATE: u32 = 5;
    pub const AT_SECONDS: u32 = 1;
    pub const AT_NANOS: u32 = 2;
}

/// A `ping` or a `talk` in protobuf; `None` leaves it to the generated code.
pub(super) fn decode(mut frame: &[u8]) -> Option<Request> {
    let (mut id, mut key, mut command) = (0, None, None);
    while !frame.is_empty() {
        match take(&mut frame)? {
            (field::ID, Value::Number(number)) => id = u32::try_from(number).ok()?,
            (field::KEY, Value::Bytes([])) => key = None,
            (field::KEY, Value::Bytes(bytes)) => key = Some(Key(bytes.try_into().ok()?)),
            (field::PING, Value::Bytes([])) if command.is_none() => command = Some(Command::Ping),
            (field::TALK, Value::Bytes(words)) if command.is_none() => {
                command = Some(Command::Talk(talk(words)?));
            }
            _ => return None,
        }
    }
    Some(Request {
        id,
        key,
        command: command?,
        claim: None,
    })
}

fn talk(mut words: &[u8]) -> Option<Talk> {
    let (mut to, mut text) = ("", "");
    while !words.is_empty() {
        match take(&mut words)? {
            (field::TO, Value::Bytes(bytes)) => to = std::str::from_utf8(bytes).ok()?,
            (field::TEXT, Value::Bytes(bytes)) => text = std::str::from_utf8(bytes).ok()?,
            _ => return None,
        }
    }
    Some(Talk {
        to: to.to_owned(),
        text: text.to_owned(),
    })
}

/// Appends the answer to the command of this id.
pub(super) fn encode(format: Format, id: u32, answer: Answer<'_>, out: &mut Vec<u8>) {
    match format {
        Format::Proto => protobuf(id, &answer, out),
        Format::Json => serde_json::to_writer(out, &JsonFrame { id, answer })
            .expect("a Vec takes everything, and a Timestamp made of UnixMillis is in range"),
    }
}

#[derive(Serialize)]
struct JsonFrame<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    id: u32,
    #[serde(flatten)]
    answer: Answer<'a>,
}

/// By their names in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Answer<'a> {
    Pong(Nothing),
    Done(Nothing),
    Talked(Talked<'a>),
}

#[derive(Serialize)]
pub(super) struct Nothing {}

#[derive(Serialize)]
pub(super) struct Talked<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) conversation: &'a str,
    #[serde(skip_serializing_if = "Count::is_zero")]
    pub(super) seq: Count,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) tag: u32,
    pub(super) at: Timestamp,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) duplicate: bool,
}

fn protobuf(id: u32, answer: &Answer<'_>, out: &mut Vec<u8>) {
    number(field::FRAME_ID, id.into(), out);
    let talked = match answer {
        Answer::Pong(Nothing {}) => return nested(field::PONG, 0, out),
        Answer::Done(Nothing {}) => return nested(field::DONE, 0, out),
        Answer::Talked(talked) => talked,
    };
    // Negative numbers go as their 64-bit two's complement, ten bytes long.
    let (seconds, nanos) = (talked.at.seconds as u64, i64::from(talked.at.nanos) as u64);
    let at = number_len(field::AT_SECONDS, seconds) + number_len(field::AT_NANOS, nanos);
    let whole = bytes_len(field::CONVERSATION, talked.conversation.len())
        + number_len(field::SEQ, talked.seq.0)
        + number_len(field::TAG, talked.tag.into())
        + nested_len(field::AT, at)
        + number_len(field::DUPLICATE, talked.duplicate.into());
    nested(field::TALKED, whole, out);
    bytes(field::CONVERSATION, talked.conversation.as_bytes(), out);
    number(field::SEQ, talked.seq.0, out);
    number(field::TAG, talked.tag.into(), out);
    nested(field::AT, at, out);
    number(field::AT_SECONDS, seconds, out);
    number(field::AT_NANOS, nanos, out);
    number(field::DUPLICATE, talked.duplicate.into(), out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::clock::UnixMillis;
    use crate::wire::pb::client_frame::Command as Asked;
    use crate::wire::pb::server_frame::Body as Told;
    use crate::wire::{decode as whole, encode as generated, pb};

    prop_compose! {
        fn talked()(
            conversation in ".{0,9}",
            seq in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
            tag in prop_oneof![Just(0), any::<u32>()],
            at in prop_oneof![Just(0), Just(i64::MIN), -5000..5000_i64, any::<i64>()],
            duplicate in any::<bool>(),
        ) -> pb::Talked {
            let at = Some(UnixMillis(at).into());
            pb::Talked { conversation, seq, tag, at, duplicate }
        }
    }

    fn answers() -> impl Strategy<Value = Told> {
        prop_oneof![
            Just(Told::Pong(pb::Pong {})),
            Just(Told::Done(pb::Done {})),
            talked().prop_map(Told::Talked),
        ]
    }

    /// The same for this file.
    fn ours(told: &Told) -> Option<Answer<'_>> {
        Some(match told {
            Told::Pong(_) => Answer::Pong(Nothing {}),
            Told::Done(_) => Answer::Done(Nothing {}),
            Told::Talked(told) => Answer::Talked(Talked {
                conversation: &told.conversation,
                seq: Count(told.seq),
                tag: told.tag,
                at: told.at?,
                duplicate: told.duplicate,
            }),
            _ => return None,
        })
    }

    fn asked() -> impl Strategy<Value = Asked> {
        let talk = (".{0,9}", "(?s).{0,300}");
        prop_oneof![
            1 => Just(Asked::Ping(pb::Ping {})),
            1 => Just(Asked::Exit(pb::Exit {})),
            3 => talk.prop_map(|(to, text)| Asked::Talk(pb::Talk { to, text })),
        ]
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        let most = prop_oneof![Just(0), Just(16), 0..20_usize];
        most.prop_flat_map(|len| prop::collection::vec(any::<u8>(), len))
    }

    proptest! {
        #[test]
        fn answers_are_what_the_generated_code_writes(
            told in answers(),
            id in prop_oneof![Just(0), any::<u32>()],
        ) {
            for format in Format::ALL {
                let (mut short, mut long) = (Vec::new(), Vec::new());
                encode(format, id, ours(&told).unwrap(), &mut short);
                generated::frame(format, id, told.clone(), &mut long);
                prop_assert_eq!(short, long, "{:?}", format);
            }
        }

        #[test]
        fn commands_are_what_the_generated_code_reads(
            id in prop_oneof![Just(0), any::<u32>()],
            key in key(),
            command in prop::option::weighted(0.9, asked()),
            damage in prop::option::weighted(0.5, (any::<prop::sample::Index>(), any::<u8>())),
            cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
            twice in prop::bool::weighted(0.1),
        ) {
            let mut bytes = pb::ClientFrame { id, key, command }.encode_to_vec();
            if twice {
                bytes.extend_from_within(..);
            }
            if let Some((at, value)) = damage && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            if let Some(read) = decode(&bytes) {
                prop_assert_eq!(whole::generated(&bytes), Ok(read));
            }
        }
    }

    #[test]
    fn plain_commands_take_the_short_way() {
        for command in [
            Asked::Ping(pb::Ping {}),
            Asked::Talk(pb::Talk {
                to: "lobby".into(),
                text: "hello".into(),
            }),
        ] {
            let (id, key) = (u32::MAX, vec![7; 16]);
            let command = Some(command);
            let bytes = pb::ClientFrame { id, key, command }.encode_to_vec();
            assert!(decode(&bytes).is_some());
        }
    }
}
