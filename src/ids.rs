//! The words by which everything else is named: connections, people, conversations, positions in a
//! log.
//!
//! Floor 0. These are plain values; this file refuses to know what any of them is used for. The one
//! thing that it does besides naming is [`Entropy`], the only place in the tree where random
//! numbers come from, so that a simulation can replace it by a seed.

use std::fmt;
use std::str::FromStr;

/// One connection of the event loop: an index into its slab, and a serial that is never reused.
///
/// The slab hands the index out again as soon as a connection is reaped; the serial is what keeps a
/// late answer from reaching the connection that moved in (the ABA guard of h2's stream store). A
/// stale `ConnId` resolves to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Slot in the slab.
    pub index: u32,
    /// Counts accepted connections, wrapping after four billion.
    pub serial: u32,
}

/// A business on this server. Everything that somebody outside can name is looked up under one of
/// these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub u32);

impl AppId {
    /// The app that exists from the first start; a host with one business never notices that there
    /// could be more.
    pub const DEFAULT: Self = Self(1);
    /// Its name in logs, settings and commands.
    pub const DEFAULT_NAME: &'static str = "default";
}

/// A conversation, inside the server only. Addresses (`lobby`, `g:…`) are what clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConvId(pub i64);

/// Position of an entry in its conversation's log: dense from 1; 0 stands before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);
    /// SQLite's integers are signed, and so is the largest position that a client may name.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The position after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The position before this one; before the first entry there is only [`Seq::ZERO`].
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A few random bits that every entry carries. A cursor names them again: a database that was
/// restored or copied gives the same positions to other entries, and the tag is what notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(pub u32);

/// Which life of a log the positions belong to. The store's changes with a restore; a lobby without
/// history has one per boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The life of no log: what a client's text that is no epoch counts as. Nobody draws it (one
    /// chance in 2^64), so a cursor that carries it cannot match and is answered by a reset.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is no epoch or no public id. Whose fault: whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadId;

impl FromStr for Epoch {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadId);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| BadId)
    }
}

/// The public name of a person: 128 random bits, 32 hexadecimal digits as text, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicId(pub [u8; 16]);

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex(&self.0, &mut [0; 32]))
    }
}

/// Two hexadecimal digits for each byte, as many as `text` has room for. Formatting each byte by itself
/// takes 250 instructions; everybody who comes in is told 48 of them.
pub fn hex<'a>(bytes: &[u8], text: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(text).unwrap_or_default()
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadId);
        }
        u128::from_str_radix(text, 16)
            .map(|n| Self(n.to_be_bytes()))
            .map_err(|_| BadId)
    }
}

/// What a client sends along with a command that must be done once: the same key again gets the
/// first answer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 16]);

/// Names one job that left the hub for the store, until its answer is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Where random numbers come from: the operating system, or a seed when a run must be repeatable.
#[derive(Debug)]
pub enum Entropy {
    /// `getrandom(2)`.
    System,
    /// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) over the given state. For simulation; never
    /// for a secret.
    Seeded(u64),
}

impl Entropy {
    /// Fills `bytes`.
    ///
    /// # Panics
    /// When the operating system has no random numbers to give: nothing that follows could be trusted.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        match self {
            Self::System => {
                getrandom::fill(bytes).expect("the operating system gives random numbers")
            }
            Self::Seeded(state) => {
                for chunk in bytes.chunks_mut(8) {
                    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let mut z = *state;
                    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                    chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
                }
            }
        }
    }

    /// 64 random bits.
    pub fn u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// 32 random bits.
    pub fn u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// A new public id.
    pub fn public_id(&mut self) -> PublicId {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        PublicId(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_way_through_text() {
        let mut entropy = Entropy::Seeded(7);
        let id = entropy.public_id();
        assert_eq!(id.to_string().parse(), Ok(id));
        let epoch = Epoch(entropy.u64());
        assert_eq!(epoch.to_string().parse(), Ok(epoch));
    }

    #[test]
    fn a_sign_or_a_missing_digit_is_no_id() {
        for text in [
            "",
            "+123456789abcdef",
            "0123456789abcde",
            "0123456789abcdeg",
        ] {
            assert_eq!(text.parse::<Epoch>(), Err(BadId), "{text}");
        }
        assert_eq!(
            "+0123456789abcdef0123456789abcde".parse::<PublicId>(),
            Err(BadId)
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        assert_eq!(Entropy::Seeded(3).u64(), Entropy::Seeded(3).u64());
        assert_ne!(Entropy::Seeded(3).u64(), Entropy::Seeded(4).u64());
    }
}
