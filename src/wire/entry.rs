//! The entry frame, the one that goes to everybody.
//!
//! Floor 2. An entry is encoded once per format, however many hear it; but where few do, this is
//! most of what a message costs. So both forms are written straight from what the domain holds,
//! without the copies that the generated structs would need: with 128 bytes of text 70 ns in
//! protobuf, and in JSON 540 ns instead of 1,100 (2-core virtual machine, no LTO, best of 20).
//! A test holds both to the generated code, byte for byte.

use serde::Serialize;

use crate::chat::event::{Addresses, Body, Entry};
use crate::ids::hex;
use crate::wire::fields::{
    Count, bytes, bytes_len, is_zero, nested, nested_len, number, number_len,
};
use crate::wire::format::Format;
use crate::wire::time::Timestamp;

/// Appends the entry as a push; the same bytes serve every listener of this format.
pub fn encode_entry(format: Format, entry: &Entry, addresses: &dyn Addresses, out: &mut Vec<u8>) {
    let address = addresses.address(entry.conv);
    match format {
        Format::Proto => protobuf(entry, address, out),
        Format::Json => json(entry, address, out),
    }
}

fn json(entry: &Entry, address: &str, out: &mut Vec<u8>) {
    let Body::Message { text } = &entry.body;
    let mut id = [0; 32];
    let frame = JsonFrame {
        entry: JsonEntry {
            conversation: address,
            seq: Count(entry.seq.0),
            tag: entry.tag.0,
            n: Count(entry.n),
            from: &entry.from.name,
            from_id: hex(&entry.from.id.0, &mut id),
            at: entry.at.into(),
            message: JsonMessage { text },
        },
    };
    serde_json::to_writer(out, &frame)
        .expect("a Vec takes everything, and a Timestamp made of UnixMillis is in range");
}

#[derive(Serialize)]
struct JsonFrame<'a> {
    entry: JsonEntry<'a>,
}

/// `Entry` of `client.proto` by proto3 JSON: default values are left out, 64-bit numbers are text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonEntry<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    conversation: &'a str,
    #[serde(skip_serializing_if = "Count::is_zero")]
    seq: Count,
    #[serde(skip_serializing_if = "is_zero")]
    tag: u32,
    #[serde(skip_serializing_if = "Count::is_zero")]
    n: Count,
    #[serde(skip_serializing_if = "str::is_empty")]
    from: &'a str,
    from_id: &'a str,
    at: Timestamp,
    message: JsonMessage<'a>,
}

#[derive(Serialize)]
struct JsonMessage<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
}

/// Field numbers of `client.proto`.
mod field {
    pub const FRAME_ENTRY: u32 = 30;
    pub const CONVERSATION: u32 = 1;
    pub const SEQ: u32 = 2;
    pub const TAG: u32 = 3;
    pub const N: u32 = 4;
    pub const FROM: u32 = 5;
    pub const FROM_ID: u32 = 6;
    pub const AT: u32 = 7;
    pub const MESSAGE: u32 = 10;
    pub const MESSAGE_TEXT: u32 = 1;
    pub const AT_SECONDS: u32 = 1;
    pub const AT_NANOS: u32 = 2;
}

fn protobuf(entry: &Entry, address: &str, out: &mut Vec<u8>) {
    let Body::Message { text } = &entry.body;
    let Timestamp { seconds, nanos } = entry.at.into();
    // Negative numbers go as their 64-bit two's complement, ten bytes long.
    let (seconds, nanos) = (seconds as u64, i64::from(nanos) as u64);
    let mut id = [0; 32];
    let id = hex(&entry.from.id.0, &mut id);

    let at = number_len(field::AT_SECONDS, seconds) + number_len(field::AT_NANOS, nanos);
    let message = bytes_len(field::MESSAGE_TEXT, text.len());
    let whole = bytes_len(field::CONVERSATION, address.len())
        + number_len(field::SEQ, entry.seq.0)
        + number_len(field::TAG, entry.tag.0.into())
        + number_len(field::N, entry.n)
        + bytes_len(field::FROM, entry.from.name.len())
        + bytes_len(field::FROM_ID, id.len())
        + nested_len(field::AT, at)
        + nested_len(field::MESSAGE, message);

    out.reserve(nested_len(field::FRAME_ENTRY, whole));
    nested(field::FRAME_ENTRY, whole, out);
    bytes(field::CONVERSATION, address.as_bytes(), out);
    number(field::SEQ, entry.seq.0, out);
    number(field::TAG, entry.tag.0.into(), out);
    number(field::N, entry.n, out);
    bytes(field::FROM, entry.from.name.as_bytes(), out);
    bytes(field::FROM_ID, id.as_bytes(), out);
    nested(field::AT, at, out);
    number(field::AT_SECONDS, seconds, out);
    number(field::AT_NANOS, nanos, out);
    nested(field::MESSAGE, message, out);
    bytes(field::MESSAGE_TEXT, text.as_bytes(), out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::event::Person;
    use crate::clock::UnixMillis;
    use crate::ids::{ConvId, PublicId, Seq, Tag};
    use crate::wire::encode;
    use crate::wire::pb::server_frame::Body as Told;

    struct Named(String);

    impl Addresses for Named {
        fn address(&self, _: ConvId) -> &str {
            &self.0
        }
    }

    prop_compose! {
        fn entries()(
            seq in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
            n in prop_oneof![Just(0), 1..300_u64],
            tag in prop_oneof![Just(0), any::<u32>()],
            at in prop_oneof![Just(0), Just(i64::MIN), -5000..5000_i64, any::<i64>()],
            id in any::<[u8; 16]>(),
            name in ".{0,40}",
            text in "(?s).{0,300}",
        ) -> Entry {
            Entry {
                conv: ConvId(1),
                seq: Seq(seq),
                n,
                tag: Tag(tag),
                at: UnixMillis(at),
                from: Person { id: PublicId(id), name: name.into() },
                body: Body::Message { text: text.into() },
            }
        }
    }

    proptest! {
        #[test]
        fn both_forms_are_what_the_generated_code_writes(entry in entries(), address in ".{0,9}") {
            let address = Named(address);
            for format in Format::ALL {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                encode_entry(format, &entry, &address, &mut ours);
                let told = Told::Entry(encode::entry(&entry, &address));
                encode::frame(format, 0, told, &mut theirs);
                prop_assert_eq!(ours, theirs, "{:?}", format);
            }
        }
    }
}
