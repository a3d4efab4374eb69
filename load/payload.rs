//! What the swarm's messages say: which run, who, the how many'th, when it was due.
//!
//! Text, so that it passes everything that a person's words would pass, and is readable in a
//! server's log: `swarm 00c0ffee00c0ffee 17 3 1250000000 xxxxx`, filled up to the wanted size.
//! Knows nothing of connections and judges nothing but the text.

use std::fmt::Write;

use kith::clock::Moment;
use kith::ids::Key;

use crate::bounds::MESSAGE_LEAST;

/// One run of the swarm, drawn at random: what tells its messages from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run(pub u64);

/// Which message: the `number`'th (from 0) of the client with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Which {
    /// Index of the client who said it.
    pub sender: u32,
    /// Counts what this client said.
    pub number: u32,
}

/// What a text is to this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A message of this run.
    Ours(Which, Moment),
    /// It begins like one, and the rest is not as it was sent.
    Altered,
    /// A message of another run.
    Foreign,
    /// Somebody's words.
    Stranger,
}

impl Run {
    /// The name of a client: the run's last digits keep two runs on one server apart.
    pub fn name(self, client: u32) -> String {
        format!("swarm-{:08x}-{client}", self.0 as u32)
    }

    /// The text of a message, of exactly `size` bytes from [`MESSAGE_LEAST`] on.
    pub fn text(self, which: Which, due: Moment, size: usize) -> String {
        let Which { sender, number } = which;
        let mut text = String::with_capacity(size);
        // Writing to a String cannot fail.
        let _ = write!(text, "swarm {:016x} {sender} {number} {} ", self.0, due.0);
        text.extend(std::iter::repeat_n('x', size.saturating_sub(text.len())));
        text
    }

    /// The key under which a message is sent, however often.
    pub fn key(self, which: Which) -> Key {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.0.to_be_bytes());
        key[8..12].copy_from_slice(&which.sender.to_be_bytes());
        key[12..].copy_from_slice(&which.number.to_be_bytes());
        Key(key)
    }

    /// What this text is, if messages of this run have `size` bytes.
    pub fn read(self, text: &str, size: usize) -> Reading {
        let Some(rest) = text.strip_prefix("swarm ") else {
            return Reading::Stranger;
        };
        let Some((run, rest)) = rest.split_at_checked(16) else {
            return Reading::Stranger;
        };
        match u64::from_str_radix(run, 16) {
            Ok(run) if run == self.0 => {}
            Ok(_) => return Reading::Foreign,
            Err(_) => return Reading::Stranger,
        }
        let mut words = rest.strip_prefix(' ').unwrap_or(rest).splitn(4, ' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(sender), Some(nth), Some(due)) = (number(), number(), number()) else {
            return Reading::Altered;
        };
        let filled = words.next().is_some_and(|x| x.bytes().all(|b| b == b'x'));
        match (u32::try_from(sender), u32::try_from(nth)) {
            (Ok(sender), Ok(number)) if filled && text.len() == size => {
                Reading::Ours(Which { sender, number }, Moment(due))
            }
            _ => Reading::Altered,
        }
    }
}

// "swarm ", the run, three numbers at their longest, and a space behind each.
const _: () = assert!(MESSAGE_LEAST >= 6 + 17 + 11 + 11 + 21);

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run(0xc0ffee);

    #[test]
    fn a_text_is_read_as_it_was_written() {
        let most = Which {
            sender: u32::MAX,
            number: u32::MAX,
        };
        let least = Which {
            sender: 0,
            number: 0,
        };
        for (which, due) in [(least, Moment(0)), (most, Moment(u64::MAX))] {
            for size in [MESSAGE_LEAST, 65_536] {
                let text = RUN.text(which, due, size);
                assert_eq!(text.len(), size);
                assert_eq!(RUN.read(&text, size), Reading::Ours(which, due));
            }
        }
    }

    #[test]
    fn what_is_not_as_it_was_sent_is_noticed() {
        let which = Which {
            sender: 1,
            number: 2,
        };
        let text = RUN.text(which, Moment(3), 100);
        for (text, expected) in [
            (Run(1).text(which, Moment(3), 100), Reading::Foreign),
            (text[..99].to_owned(), Reading::Altered),
            (text.replace("xx", "xy"), Reading::Altered),
            (text.replace(" 1 2 3 ", " 1 2 a "), Reading::Altered),
            ("hello".to_owned(), Reading::Stranger),
            ("swarm of bees".to_owned(), Reading::Stranger),
            (
                "swarm \u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}".to_owned(),
                Reading::Stranger,
            ),
        ] {
            assert_eq!(RUN.read(&text, 100), expected, "{text}");
        }
    }
}
