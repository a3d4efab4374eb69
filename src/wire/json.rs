//! JSON from clients, and what is wrong with it.
//!
//! Floor 2. serde_json and the generated code do the reading. Their errors are one text for
//! everything, so a frame that failed is read a second time for its id, for the path of the field
//! at fault, and to tell an unknown command from an unknown field. The second reading costs nobody
//! who speaks the protocol.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use crate::chat::command::Command;
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::wire::decode::{BadFrame, quote};
use crate::wire::pb;

/// Reads one frame. Duplicate members, unknown members and anything after the frame are errors.
pub(super) fn parse(text: &str) -> Result<pb::ClientFrame, BadFrame> {
    serde_json::from_str(text).map_err(|error| BadFrame {
        id: Outline::of(text).id,
        refusal: refusal(text, &error),
    })
}

fn refusal(text: &str, error: &serde_json::Error) -> Refusal {
    let words = error.to_string();
    if error.classify() != Category::Data {
        return Refusal::new(ErrorCode::Malformed).because(quote(words));
    }
    let path = path_of_error(text);
    // serde's own words (`de::Error::unknown_field` and its neighbours), which no other error
    // begins with; the golden vectors hold them to it.
    if words.starts_with("unknown field") {
        if Outline::of(text).command || path.contains('.') {
            return naming(ErrorCode::UnknownField, path, words);
        }
        let words = format!("There is no command `{path}`.");
        return naming(ErrorCode::UnknownCommand, path, words);
    }
    if path == "key" {
        return naming(ErrorCode::BadKey, path, words);
    }
    if path.is_empty() || words.starts_with("duplicate field") {
        return naming(ErrorCode::Malformed, path, words);
    }
    let words = match words.strip_prefix(NEITHER) {
        Some(place) => format!("not a whole number of this field's range{place}"),
        None => words,
    };
    naming(ErrorCode::BadRequest, path, words)
}

/// pbjson reads a number, or a string of one, and says no more than that it was neither.
const NEITHER: &str = "data did not match any variant of untagged enum Content";

fn naming(code: ErrorCode, field: String, words: String) -> Refusal {
    Refusal::new(code).field(quote(field)).because(quote(words))
}

/// Where the generated code stopped: `talk.text`, `hello.cursors[3].seq`; empty for the frame.
fn path_of_error(text: &str) -> String {
    let mut json = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, pb::ClientFrame>(&mut json) {
        Ok(_) => String::new(),
        Err(error) if error.path().iter().next().is_none() => String::new(),
        Err(error) => error.path().to_string(),
    }
}

/// What can be made out of a frame that does not fit, up to where it stops being JSON.
#[derive(Default)]
struct Outline {
    id: u32,
    /// Whether a member is named like a command.
    command: bool,
}

impl Outline {
    fn of(text: &str) -> Self {
        let mut outline = Self::default();
        // Reading ends at the first thing that is no JSON; what was seen before it counts.
        let _ = outline.deserialize(&mut serde_json::Deserializer::from_str(text));
        outline
    }
}

impl<'de> DeserializeSeed<'de> for &mut Outline {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Outline {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == "id" {
                self.id = match map.next_value()? {
                    Number::Plain(id) => id,
                    Number::Text(id) => id.parse().unwrap_or(0),
                };
                continue;
            }
            self.command |= Command::VERBS.iter().any(|verb| verb.name == name);
            // Skips without recursion and without keeping anything.
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number<'a> {
    Plain(u32),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}
