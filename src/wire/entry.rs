//! The entry frame, the one that goes to everybody.
//!
//! Floor 2. An entry is encoded once per format, however many hear it; but where few do, this is
//! most of what a message costs, so its protobuf is written here field by field from what the
//! domain holds, without the copies that the generated struct would need. A test holds it to the
//! generated code, byte for byte.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::chat::event::{Addresses, Body, Entry};
use crate::wire::encode;
use crate::wire::format::Format;
use crate::wire::pb::server_frame::Body as Told;
use crate::wire::time::Timestamp;

/// Appends the entry as a push; the same bytes serve every listener of this format.
pub fn encode_entry(format: Format, entry: &Entry, addresses: &dyn Addresses, out: &mut Vec<u8>) {
    match format {
        Format::Json => encode::frame(format, 0, Told::Entry(encode::entry(entry, addresses)), out),
        Format::Proto => protobuf(entry, addresses.address(entry.conv), out),
    }
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
    let id = hex(&entry.from.id.0);

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
    bytes(field::FROM_ID, &id, out);
    nested(field::AT, at, out);
    number(field::AT_SECONDS, seconds, out);
    number(field::AT_NANOS, nanos, out);
    nested(field::MESSAGE, message, out);
    bytes(field::MESSAGE_TEXT, text.as_bytes(), out);
}

/// A public id as text.
fn hex(id: &[u8; 16]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

// Fields that have their default value are left out, nested messages are not (proto3).

fn number_len(field: u32, value: u64) -> usize {
    if value == 0 {
        0
    } else {
        key_len(field) + encoded_len_varint(value)
    }
}

fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(value, out);
    }
}

fn bytes_len(field: u32, len: usize) -> usize {
    if len == 0 { 0 } else { nested_len(field, len) }
}

fn bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        nested(field, value.len(), out);
        out.extend_from_slice(value);
    }
}

fn nested_len(field: u32, len: usize) -> usize {
    key_len(field) + encoded_len_varint(len as u64) + len
}

/// The head of a nested message; its `len` bytes follow.
fn nested(field: u32, len: usize, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}
