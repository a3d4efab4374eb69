//! Names of people: what may be one, and when two are the same.
//!
//! Floor 1. A name is what remains after NFKC (Unicode Annex 15): 1 to 32 characters, no control or
//! formatting character, no colon (addresses have those), no white space but single spaces inside.
//! Two names are the same when they fold alike (Unicode 3.13, toCasefold of NFKC). Two names look
//! alike when their skeletons are the same (Unicode Technical Standard 39, section 4).

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use unicode_normalization::UnicodeNormalization;

use crate::chat::refusal::{ErrorCode, Refusal};
use crate::limits::{NAME_BYTES, NAME_CHARS};

/// A name that may be shown, and what it is looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    shown: Arc<str>,
    folded: Arc<str>,
}

impl Name {
    /// Takes what somebody typed. White space around it is forgiven, everything else is named in
    /// the refusal.
    ///
    /// # Errors
    /// [`ErrorCode::BadName`], with the field `name`.
    pub fn parse(typed: &str) -> Result<Self, Refusal> {
        if typed.len() > NAME_BYTES {
            return Err(bad("The name is too long: 32 characters at most."));
        }
        // ASCII is its own NFKC; nearly all names are that.
        let plain = typed.is_ascii();
        let shown = match plain {
            true => Cow::Borrowed(typed),
            false => Cow::Owned(typed.trim().nfkc().collect()),
        };
        let shown = shown.trim();
        if shown.is_empty() {
            return Err(bad("The name is empty."));
        }
        if shown.chars().count() > NAME_CHARS {
            return Err(bad("The name is too long: 32 characters at most."));
        }
        if shown.contains(':') {
            return Err(bad("A name has no colon; addresses have."));
        }
        if shown.chars().any(unfit) || shown.contains("  ") {
            return Err(bad(
                "The name has a character that cannot be seen or that changes the direction of writing.",
            ));
        }
        let folded: Arc<str> = match plain {
            true => shown.to_ascii_lowercase().into(),
            false => fold(shown).into(),
        };
        // Most names are their own folding, and then one copy serves both.
        let shown = if *folded == *shown {
            folded.clone()
        } else {
            shown.into()
        };
        Ok(Self { shown, folded })
    }

    /// As it is shown.
    pub const fn shown(&self) -> &Arc<str> {
        &self.shown
    }

    /// What it looks like: the same for names that an eye would take for each other, such as one with
    /// a Cyrillic `а` for an `a`. For comparing only; it may not even look like the name.
    pub fn skeleton(&self) -> Arc<str> {
        skeleton(&self.folded)
    }

    /// As it is looked up and sorted.
    pub const fn folded(&self) -> &Arc<str> {
        &self.folded
    }
}

/// See [`Name::skeleton`], for a folding that was kept.
pub fn skeleton(folded: &str) -> Arc<str> {
    if !folded.is_ascii() {
        return unicode_security::skeleton(folded)
            .collect::<String>()
            .into();
    }
    let mut looks = String::with_capacity(folded.len() + 4);
    for byte in folded.bytes() {
        looks.push_str(&ASCII_LOOKS[usize::from(byte)]);
    }
    looks.into()
}

/// What each ASCII character looks like. None of them joins with its neighbours, so the skeleton of an
/// ASCII text is made of these; to ask the library cost 6,000 instructions for each who comes in.
static ASCII_LOOKS: LazyLock<[String; 128]> = LazyLock::new(|| {
    std::array::from_fn(|code| {
        let text = char::from(code as u8).to_string();
        unicode_security::skeleton(&text).collect()
    })
});

fn fold(shown: &str) -> String {
    caseless::default_case_fold_str(shown).nfkc().collect()
}

fn bad(message: &'static str) -> Refusal {
    Refusal::new(ErrorCode::BadName)
        .field("name")
        .because(message)
}

/// Characters that a name cannot hold: control (Cc), white space other than the space itself, and
/// what is drawn as nothing or turns the text around (the default-ignorable and bidirectional
/// formatting characters of Unicode 17, tag characters, variation selectors), private use and
/// non-characters.
fn unfit(c: char) -> bool {
    if c.is_control() || (c.is_whitespace() && c != ' ') {
        return true;
    }
    matches!(u32::from(c),
        0x00ad | 0x034f | 0x061c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x3164
        | 0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
        | 0x1d173..=0x1d17a | 0x1bca0..=0x1bca3 | 0xe0000..=0xe0fff | 0xf0000..=0x10ffff)
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_normalised_and_trimmed() {
        for (typed, shown) in [
            ("alice", "alice"),
            (" Bob ", "Bob"),
            ("Ｋｉｔｈ", "Kith"),
            ("ﬁ", "fi"),
            ("小明", "小明"),
            ("a b", "a b"),
        ] {
            assert_eq!(&**Name::parse(typed).unwrap().shown(), shown);
        }
    }

    #[test]
    fn names_that_fold_alike_are_the_same() {
        let folded = |typed| Name::parse(typed).unwrap().folded().clone();
        assert_eq!(folded("ALICE"), folded("alice"));
        assert_eq!(folded("STRASSE"), folded("straße"));
        assert_eq!(folded("Ｂｏｂ"), folded("bob"));
        assert_ne!(folded("bob"), folded("b0b"));
    }

    #[test]
    fn names_that_an_eye_would_take_for_each_other_have_one_skeleton() {
        let looks = |typed| Name::parse(typed).unwrap().skeleton();
        assert_eq!(looks("alice"), looks("\u{430}lice"));
        assert_eq!(looks("paypal"), looks("p\u{430}yp\u{430}1"));
        assert_ne!(looks("alice"), looks("bob"));
        assert_eq!(looks("Alice"), looks("alice"));
    }

    #[test]
    fn the_short_way_of_ascii_leads_where_the_long_one_does() {
        let printable = (' '..='~').collect::<String>();
        let every_pair = printable
            .chars()
            .flat_map(|a| printable.chars().map(move |b| format!("{a}{b}")));
        for text in every_pair.chain([printable.clone()]) {
            assert_eq!(text.nfkc().collect::<String>(), text);
            assert_eq!(text.to_ascii_lowercase(), fold(&text));
            let looks: String = unicode_security::skeleton(&text).collect();
            assert_eq!(&*skeleton(&text), looks, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_or_turns_the_text_is_no_name() {
        let long = "x".repeat(33);
        let huge = "x".repeat(2000);
        for typed in [
            "",
            "   ",
            "a:b",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}",
            "\u{3164}",
            "a\0",
            "a  b",
            "\u{feff}x",
            "\u{e0041}",
            &long,
            &huge,
        ] {
            let refusal = Name::parse(typed).unwrap_err();
            assert_eq!(
                (refusal.code, &*refusal.field),
                (ErrorCode::BadName, "name"),
                "{typed:?}"
            );
        }
        assert!(Name::parse(&"界".repeat(32)).is_ok());
    }
}
