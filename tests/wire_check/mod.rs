//! What every answer of `wire::decode` must be, whatever was decoded.

use kith::chat::command::Command;
use kith::ids::Seq;
use kith::limits::{HELLO_CURSORS, HISTORY_ENTRIES, REFUSAL_BYTES, USERS_PAGE, WATCHED_NAMES};
use kith::wire::{BadFrame, Format, Payload, Request, decode, encode_refusal, pb};
use prost::Message as _;

/// Decodes, and holds the answer to what every answer must be.
pub fn check(payload: Payload<'_>) -> Result<Request, BadFrame> {
    let answer = decode(payload);
    match &answer {
        Ok(request) => within_bounds(&request.command, payload),
        Err(bad) => tellable(bad, payload),
    }
    answer
}

fn within_bounds(command: &Command, payload: Payload<'_>) {
    let fine = match command {
        Command::Hello(hello) => {
            hello.resumed.is_none()
                && hello.cursors.len() <= HELLO_CURSORS
                && hello.cursors.iter().all(|cursor| cursor.seq <= Seq::MAX)
        }
        Command::History(history) => {
            history.before.max(history.after) <= Seq::MAX && history.limit <= HISTORY_ENTRIES
        }
        Command::UserList(list) => list.limit <= USERS_PAGE,
        Command::Watch(watch) => watch.names.len() <= WATCHED_NAMES,
        Command::Talk(_) | Command::Typing(_) | Command::Ping | Command::Exit => true,
    };
    assert!(fine, "{payload:?} asks {command:?}");
}

fn tellable(bad: &BadFrame, payload: Payload<'_>) {
    let refusal = &bad.refusal;
    let ours = matches!(refusal.code.number(), 100..=199 | 203 | 400 | 501);
    assert!(ours, "{payload:?}: {bad:?}");
    assert!(!refusal.message.is_empty(), "{payload:?}: {bad:?}");
    let longest = refusal.message.len().max(refusal.field.len());
    assert!(longest <= REFUSAL_BYTES, "{payload:?}: {bad:?}");
    let mut out = Vec::new();
    encode_refusal(Format::Json, bad.id, refusal, &mut out);
    let from_json: pb::ServerFrame = serde_json::from_slice(&out).unwrap();
    out.clear();
    encode_refusal(Format::Proto, bad.id, refusal, &mut out);
    assert_eq!(pb::ServerFrame::decode(&*out).unwrap(), from_json);
}
