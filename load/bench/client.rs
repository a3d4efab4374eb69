//! What clients send and get, as bytes, for benches.

// Each bench uses a part of this.
#![allow(dead_code)]

use kith::wire::Format;
use kith::wire::pb::{ClientFrame, ServerFrame, Talk, client_frame, entry, server_frame};
use prost::Message as _;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// The head of an upgrade that brings a name.
pub fn upgrade(format: Format, name: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {}\r\nusername: {name}\r\n\r\n",
        format.subprotocol()
    )
}

/// A talk of so many bytes to the lobby, with a number, so that its reply stands for the entry.
pub fn talk(format: Format, bytes: usize) -> Vec<u8> {
    let talk = Talk {
        to: String::new(),
        text: "kith ".repeat(bytes / 5 + 1)[..bytes].to_owned(),
    };
    client_frame(format, 1, client_frame::Command::Talk(talk))
}

/// The bytes of a client's frame, masked as a client has to.
pub fn client_frame(format: Format, id: u32, command: client_frame::Command) -> Vec<u8> {
    let frame = ClientFrame {
        id,
        key: Vec::new(),
        command: Some(command),
    };
    let (payload, kind) = match format {
        Format::Proto => (frame.encode_to_vec(), Data::Binary),
        Format::Json => (
            serde_json::to_vec(&frame).expect("a command is JSON"),
            Data::Text,
        ),
    };
    let mut masked = Frame::message(payload, OpCode::Data(kind), true);
    masked.header_mut().mask = Some([0x37, 0xfa, 0x21, 0x3d]);
    let mut bytes = Vec::new();
    masked.format(&mut bytes).expect("a Vec takes everything");
    bytes
}

/// The length of a server's frame header, from its second byte.
pub const fn header_len(second: u8) -> usize {
    match second & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

/// The words of the entry in a server's frame; `None` if it is another frame.
pub fn entry_text(format: Format, frame: &[u8]) -> Option<String> {
    let payload = frame.get(header_len(*frame.get(1)?)..)?;
    let told: ServerFrame = match format {
        Format::Proto => ServerFrame::decode(payload).ok()?,
        Format::Json => serde_json::from_slice(payload).ok()?,
    };
    match told.body? {
        server_frame::Body::Entry(told) => match told.body? {
            entry::Body::Message(message) => Some(message.text),
        },
        _ => None,
    }
}

/// How many entries a hole tells of, in protobuf; `None` if it is another frame.
pub fn hole(frame: &[u8]) -> Option<u64> {
    let payload = frame.get(header_len(*frame.get(1)?)..)?;
    match ServerFrame::decode(payload).ok()?.body? {
        server_frame::Body::Hole(hole) => Some(hole.to - hole.from + 1),
        _ => None,
    }
}
