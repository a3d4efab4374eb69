//! What the hub wants done, as the lines of a story.

use std::fmt::Write as _;
use std::time::Duration;

use kith::chat::durable::Read;
use kith::chat::event::{Body, Event, HoleReason, Presence, Reply};
use kith::chat::refusal::{Fate, Refusal};

/// A refusal.
pub fn refused(refusal: &Refusal) -> String {
    let field = match &*refusal.field {
        "" => String::new(),
        field => format!(" in {field}"),
    };
    let fate = match refusal.fate {
        Fate::NotDone => "",
        Fate::Unknown => ", perhaps done",
    };
    let wait = wait(refusal.retry_after);
    format!("refused {}{field}{fate}{wait}", refusal.code.name())
}

/// When to come back.
pub fn wait(after: Option<Duration>) -> String {
    after.map_or(String::new(), |after| format!(", again in {after:?}"))
}

/// An answer.
pub fn told(reply: &Reply) -> String {
    match reply {
        Reply::Welcome(welcome) => {
            let lobby = &welcome.conversations[0];
            let (name, online) = (&welcome.you.name, welcome.online);
            let serial = welcome.you.id.0[0];
            let (floor, head) = (lobby.floor, lobby.head);
            format!("welcome {name} (id {serial}), {online} online, lobby {floor}-{head}")
        }
        Reply::Talked { seq, duplicate, .. } => {
            let again = if *duplicate { " before" } else { "" };
            format!("talked {seq}{again}")
        }
        Reply::Users { names, total, more } => {
            let more = if *more { " and more" } else { "" };
            format!("users {}{more}, {total} in all", names.join(" "))
        }
        Reply::History(page) => {
            let range = page.entries.first().zip(page.entries.last());
            let range = range.map_or("nothing".to_owned(), |(first, last)| {
                format!("{}-{}", first.seq, last.seq)
            });
            format!("history {range} of {}-{}", page.floor, page.head)
        }
        Reply::Pong => "pong".to_owned(),
        Reply::Done => "done".to_owned(),
    }
}

/// An event.
pub fn happened(event: &Event) -> String {
    match event {
        Event::Entry(entry) => {
            let Body::Message { text } = &entry.body;
            format!("entry {} {}: {text}", entry.seq, entry.from.name)
        }
        Event::Presence(presence) => present(presence),
        Event::Typing { from, .. } => format!("typing {}", from.name),
        Event::Hole {
            from,
            to,
            reason,
            tag,
            ..
        } => {
            let reason = match reason {
                HoleReason::Retention => "retention",
                HoleReason::NoHistory => "no history",
            };
            let known = match tag.0 {
                0 => String::new(),
                tag => format!(" tag {tag}"),
            };
            format!("hole {from}-{to} {reason}{known}")
        }
        Event::Reset(standing) => format!("reset to {}-{}", standing.floor, standing.head),
        Event::Closing { .. } => panic!("the hub leaves that to those who close"),
    }
}

fn present(presence: &Presence) -> String {
    let mut line = "presence".to_owned();
    for name in &presence.online {
        let _ = write!(line, " +{name}");
    }
    for name in &presence.offline {
        let _ = write!(line, " -{name}");
    }
    if presence.refresh {
        line.push_str(" ask again");
    }
    let _ = write!(line, ", {} in all", presence.total);
    line
}

/// A question to the store.
pub fn lookup(read: &Read) -> String {
    match read {
        Read::Page { next, .. } => format!("page with {next}"),
        Read::Cursor { seq, tag, .. } => format!("tag {} of {seq}", tag.0),
        Read::History {
            before,
            after,
            limit,
            head,
            ..
        } => format!("history before {before} after {after} limit {limit} upto {head}"),
    }
}
