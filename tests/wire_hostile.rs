//! What a hostile client can put into a frame: every such frame gets a refusal that names what is
//! wrong, or is a command within its bounds. Rows 27 and 28 of the list of attacks; JSON has
//! `wire_json.rs`.

#![allow(clippy::unwrap_used)]

mod wire_check;

use std::collections::BTreeMap;

use kith::chat::command::Command;
use kith::chat::refusal::ErrorCode;
use kith::ids::{Entropy, Seq};
use kith::wire::Payload;
use prost::encoding::encode_varint;
use wire_check::check;

fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_varint(number << 3 | 2, &mut out);
    encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

#[test]
fn protobuf_groups_and_messages_of_any_depth_need_no_stack() {
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        nested = field(11, &nested[..nested.len().min(60_000)]);
    }
    // Field 29 as a group within a group, never closed, and closed; a command within itself.
    let open = [0xeb, 0x01].repeat(40_000);
    let closed = [[0xeb, 0x01].repeat(10_000), [0xec, 0x01].repeat(10_000)].concat();
    let shallow = [[0xeb, 0x01].repeat(50), [0xec, 0x01].repeat(50)].concat();
    let in_talk = [field(11, &closed), b"\x08\x05".to_vec()].concat();
    for frame in [open, closed, in_talk] {
        let bad = check(Payload::Binary(&frame)).unwrap_err();
        assert_eq!(bad.refusal.code, ErrorCode::Malformed);
    }
    // The outermost is a talk; what is in it is a field that a talk does not have.
    assert!(check(Payload::Binary(&nested)).is_ok());
    // Skipped, like any other unknown field.
    let bad = check(Payload::Binary(&[shallow, b"\x08\x05".to_vec()].concat())).unwrap_err();
    assert_eq!((bad.id, bad.refusal.code), (5, ErrorCode::UnknownCommand));
}

#[test]
fn protobuf_fields_of_the_future_are_skipped_everywhere() {
    let future = [field(1000, b"later"), vec![0xf8, 0x3e, 0x01]].concat();
    let talk = [field(2, b"hi"), future.clone()].concat();
    let frame = [future.clone(), field(11, &talk), future].concat();
    let request = check(Payload::Binary(&frame)).unwrap();
    assert!(matches!(request.command, Command::Talk(talk) if talk.text == "hi"));
}

#[test]
fn a_number_in_protobuf_is_cut_to_its_width_and_held_to_its_bound() {
    let edges = [
        0,
        1,
        1 << 31,
        (1 << 32) - 1,
        1 << 32,
        1 << 53,
        Seq::MAX.0,
        1 << 63,
        u64::MAX,
    ];
    for edge in edges {
        for (number, tag) in [(2, 0x10), (3, 0x18), (4, 0x20)] {
            let mut history = vec![tag];
            encode_varint(edge, &mut history);
            let mut frame = vec![0x08];
            encode_varint(edge, &mut frame);
            frame.extend(field(14, &history));
            let answer = check(Payload::Binary(&frame));
            let id = answer
                .as_ref()
                .map_or_else(|bad| bad.id, |request| request.id);
            assert_eq!(id, edge as u32, "{frame:02x?}");
            // The limit has 32 bits, the bounds are positions.
            let fits = number == 4 || edge <= Seq::MAX.0;
            assert_eq!(answer.is_ok(), fits, "{frame:02x?}: {answer:?}");
        }
    }
}

struct Seeds {
    texts: Vec<Vec<u8>>,
    binaries: Vec<Vec<u8>>,
}

/// Every client frame of the golden vectors, the bad ones too.
fn seeds() -> Seeds {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/client.json");
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut seeds = Seeds {
        texts: Vec::new(),
        binaries: Vec::new(),
    };
    for row in &rows {
        if let Some(text) = row["text"].as_str() {
            seeds.texts.push(text.into());
        }
        if !row["json"].is_null() {
            seeds.texts.push(row["json"].to_string().into());
        }
        if let Some(hex) = row["protobuf"].as_str() {
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            seeds
                .binaries
                .push((0..hex.len()).step_by(2).map(byte).collect());
        }
    }
    seeds
}

// A frame that is cut may be a good one: in protobuf where a field ends, in JSON where only what
// was wrong came after the cut.
#[test]
fn a_frame_cut_anywhere_is_answered() {
    let seeds = seeds();
    for text in &seeds.texts {
        let text = std::str::from_utf8(text).unwrap();
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            let _ = check(Payload::Text(&text[..end]));
        }
    }
    for bytes in &seeds.binaries {
        for end in 0..bytes.len() {
            let _ = check(Payload::Binary(&bytes[..end]));
        }
    }
}

/// What a mutation likes to put in.
const SALT: [&[u8]; 12] = [
    b"\"",
    b"{}",
    b"[[[[",
    b"\\u",
    b"1e999",
    b"-",
    b"\xff",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\x07",
    b"\0",
    b"null",
    b"\xed\xa0\x80",
];

/// One change to `frame`, drawn from `entropy`.
fn mutate(frame: &mut Vec<u8>, other: &[u8], entropy: &mut Entropy) {
    let mut below = |bound: usize| (entropy.u64() % (bound as u64 + 1)) as usize;
    let at = below(frame.len());
    let end = at + below(frame.len() - at);
    match below(6) {
        0 if at < frame.len() => frame[at] ^= 1 << below(7),
        1 if at < frame.len() => frame[at] = below(255) as u8,
        2 => drop(frame.drain(at..end)),
        3 => {
            let again = frame[at..end].to_vec();
            frame.splice(at..at, again);
        }
        4 => {
            let from = below(other.len());
            frame.splice(at..end, other[from..].iter().copied());
        }
        _ => {
            let salt = SALT[below(SALT.len() - 1)];
            frame.splice(at..at, salt.iter().copied());
        }
    }
}

#[test]
fn a_hundred_thousand_mutations_of_real_frames_are_each_answered() {
    let mut entropy = Entropy::Seeded(20_261_120);
    let seeds = seeds();
    let mut answers = BTreeMap::new();
    for round in 0..100_000 {
        let pool = if round % 2 == 0 {
            &seeds.texts
        } else {
            &seeds.binaries
        };
        let mut pick = || &pool[(entropy.u64() % pool.len() as u64) as usize];
        let (mut frame, other) = (pick().clone(), pick());
        for _ in 0..=entropy.u64() % 4 {
            mutate(&mut frame, other, &mut entropy);
        }
        let answer = if round % 2 == 0 {
            // The frame layer refuses what is not UTF-8 before it comes here.
            check(Payload::Text(&String::from_utf8_lossy(&frame)))
        } else {
            check(Payload::Binary(&frame))
        };
        *answers
            .entry(answer.err().map(|bad| bad.refusal.code))
            .or_insert(0) += 1;
    }
    // Mutations that all end alike would test little.
    use ErrorCode::{
        BadKey, BadRequest, BadResume, Malformed, TooMany, UnknownCommand, UnknownField,
    };
    for code in [
        BadKey,
        BadRequest,
        BadResume,
        Malformed,
        TooMany,
        UnknownCommand,
        UnknownField,
    ] {
        assert!(
            answers.contains_key(&Some(code)),
            "{code:?} is not in {answers:?}"
        );
    }
    assert!(answers.get(&None) > Some(&1000), "{answers:?}");
}
