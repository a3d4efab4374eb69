//! The client's side of RFC 6455 and of the two formats, written against the books and not with
//! the server's code. What the server's code generator made of the protocol is used, as a client in
//! Rust would use it.

use prost::Message as _;

use kith::wire::pb;

use super::dice::Dice;

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// `Sec-WebSocket-Protocol: kith.v1.json`.
    Json,
    /// `Sec-WebSocket-Protocol: kith.v1.proto`.
    Proto,
    /// No subprotocol, and text.
    PlainJson,
    /// No subprotocol, and binary frames: the server changes over with the first.
    PlainProto,
}

impl Speech {
    pub const ALL: [Self; 4] = [Self::Json, Self::Proto, Self::PlainJson, Self::PlainProto];

    const fn is_binary(self) -> bool {
        matches!(self, Self::Proto | Self::PlainProto)
    }
}

/// What the server sent.
#[derive(Debug)]
pub enum Told {
    Frame(Box<pb::ServerFrame>),
    Ping(Vec<u8>),
    Close(u16),
}

/// The request that begins it all.
pub fn handshake(speech: Speech, username: Option<&str>, dice: &mut Dice) -> Vec<u8> {
    let mut path = "/ws".to_owned();
    let mut fields = String::new();
    match speech {
        Speech::Json => fields.push_str("Sec-WebSocket-Protocol: kith.v1.json\r\n"),
        Speech::Proto => fields.push_str("Sec-WebSocket-Protocol: none, kith.v1.proto\r\n"),
        Speech::PlainJson | Speech::PlainProto => {}
    }
    match username {
        Some(name) if dice.chance(500) => path = format!("/ws?username={name}"),
        Some(name) => fields.push_str(&format!("username: {name}\r\n")),
        None => {}
    }
    format!(
        "GET {path} HTTP/1.1\r\nHost: sim\r\n\
         Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
    .into_bytes()
}

/// The answer's status, and how long its head is; `None` until it is here.
pub fn status(bytes: &[u8]) -> Option<(u16, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, end))
}

/// One command as bytes, in one frame or in several, with a ping of our own between them.
pub fn command(frame: &pb::ClientFrame, speech: Speech, dice: &mut Dice) -> Vec<u8> {
    let payload = if speech.is_binary() {
        frame.encode_to_vec()
    } else {
        serde_json::to_vec(frame).expect("a frame is JSON")
    };
    let opcode = if speech.is_binary() { 2 } else { 1 };
    let mut out = Vec::with_capacity(payload.len() + 14);
    if payload.len() < 2 || !dice.chance(100) {
        masked(0x80 | opcode, &payload, dice, &mut out);
        return out;
    }
    let cut = dice.between(1, payload.len() - 1);
    masked(opcode, &payload[..cut], dice, &mut out);
    if dice.chance(500) {
        masked(0x89, b"between", dice, &mut out);
    }
    masked(0x80, &payload[cut..], dice, &mut out);
    out
}

pub fn pong(payload: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    masked(0x8a, payload, dice, &mut out);
    out
}

pub fn close(code: u16, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    masked(0x88, &code.to_be_bytes(), dice, &mut out);
    out
}

/// RFC 6455 section 5.2, with a mask as section 5.3 wants it of clients.
fn masked(first: u8, payload: &[u8], dice: &mut Dice, out: &mut Vec<u8>) {
    out.push(first);
    match payload.len() {
        len @ 0..126 => out.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    // Without optimisation it takes long, and a mask of zeros is one.
    if payload.len() > 2000 {
        out.extend_from_slice(&[0; 4]);
        return out.extend_from_slice(payload);
    }
    let mask: [u8; 4] = dice.bytes();
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
}

/// Takes the first frame out of what came, if all of it is here.
///
/// # Errors
/// The server broke the protocol.
pub fn take(inbox: &mut Vec<u8>) -> Result<Option<Told>, String> {
    let Some((opcode, head, len)) = head(inbox)? else {
        return Ok(None);
    };
    if inbox.len() < head + len {
        return Ok(None);
    }
    let payload = &inbox[head..head + len];
    let told = match opcode {
        1 => serde_json::from_slice(payload)
            .map(|frame| Told::Frame(Box::new(frame)))
            .map_err(|error| format!("no JSON of a frame: {error}"))?,
        2 => pb::ServerFrame::decode(payload)
            .map(|frame| Told::Frame(Box::new(frame)))
            .map_err(|error| format!("no protobuf of a frame: {error}"))?,
        8 => match payload {
            [high, low, ..] => Told::Close(u16::from_be_bytes([*high, *low])),
            _ => return Err("a close frame without a code".to_owned()),
        },
        9 => Told::Ping(payload.to_vec()),
        // The answer to a ping of ours.
        10 => {
            inbox.drain(..head + len);
            return take(inbox);
        }
        other => return Err(format!("a frame of opcode {other}")),
    };
    inbox.drain(..head + len);
    Ok(Some(told))
}

/// Opcode, bytes of the head, bytes of the payload.
fn head(inbox: &[u8]) -> Result<Option<(u8, usize, usize)>, String> {
    let [first, second, ..] = *inbox else {
        return Ok(None);
    };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Err(format!("a frame that begins {first:02x} {second:02x}"));
    }
    let (head, len) = match second {
        126 => match inbox.get(2..4) {
            Some(len) => (4, u64::from(u16::from_be_bytes([len[0], len[1]]))),
            None => return Ok(None),
        },
        127 => match inbox.get(2..10).and_then(|len| len.try_into().ok()) {
            Some(len) => (10, u64::from_be_bytes(len)),
            None => return Ok(None),
        },
        len => (2, u64::from(len)),
    };
    Ok(Some((first & 0x0f, head, len as usize)))
}
