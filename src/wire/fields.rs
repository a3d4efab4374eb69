//! Fields of protobuf and of proto3 JSON, one at a time.
//!
//! Floor 2, part of `wire`: what `entry` and `frequent` write by hand with. Knows no message. Fields
//! that have their default value are left out, nested messages are not (proto3).

use prost::encoding::{WireType, encoded_len_varint, key_len};
use serde::{Serialize, Serializer};

/// A 64-bit number, which is text in JSON.
pub(super) struct Count(pub(super) u64);

impl Count {
    pub(super) const fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(itoa::Buffer::new().format(self.0))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) const fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Bytes that [`number`] appends.
pub(super) fn number_len(field: u32, value: u64) -> usize {
    if value == 0 {
        0
    } else {
        key_len(field) + encoded_len_varint(value)
    }
}

/// A number, unless it is 0.
pub(super) fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        key(field, WireType::Varint, out);
        varint(value, out);
    }
}

/// Bytes that [`bytes`] appends.
pub(super) fn bytes_len(field: u32, len: usize) -> usize {
    if len == 0 { 0 } else { nested_len(field, len) }
}

/// Text or bytes, unless there are none.
pub(super) fn bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        nested(field, value.len(), out);
        out.extend_from_slice(value);
    }
}

/// Bytes of a nested message that holds so many, with its head.
pub(super) fn nested_len(field: u32, len: usize) -> usize {
    key_len(field) + encoded_len_varint(len as u64) + len
}

/// The head of a nested message; its `len` bytes follow.
pub(super) fn nested(field: u32, len: usize, out: &mut Vec<u8>) {
    key(field, WireType::LengthDelimited, out);
    varint(len as u64, out);
}

fn key(field: u32, kind: WireType, out: &mut Vec<u8>) {
    varint(u64::from(field << 3 | kind as u32), out);
}

/// prost's own writes through `BufMut` byte by byte; a whole entry then takes 240 ns instead of 70.
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What a field holds, of the two kinds that commands are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes the first field and its number. `None` if it is of another kind, cut short, or a number of
/// more than 35 bits, which no field needs.
#[inline]
pub(super) fn take<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = take_varint(message)?;
    let number = take_varint(message)?;
    let value = match key & 7 {
        0 => Value::Number(number),
        2 => {
            let (bytes, rest) = message.split_at_checked(usize::try_from(number).ok()?)?;
            *message = rest;
            Value::Bytes(bytes)
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

#[inline]
fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
