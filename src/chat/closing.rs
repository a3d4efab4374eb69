//! The table of close codes: with what a connection ends, and whether to come back.
//!
//! Floor 1. The codes of RFC 6455 section 7.4.1 where it has one; ours otherwise, in two ranges
//! that carry the verdict: 3000 to 3499 come back, 3500 to 3999 do not. A number is never used for
//! anything else afterwards. The README prints this table, and a test holds it to that.

macro_rules! closings {
    ($( $code:literal $name:literal $variant:ident $back:ident, $help:literal; )+) => {
        /// Why a connection was closed by the server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CloseCode {
            $( #[doc = $help] $variant = $code, )+
        }

        impl CloseCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The reason that goes into the close frame.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// One sentence for a person.
            pub const fn help(self) -> &'static str {
                match self { $( Self::$variant => $help, )+ }
            }

            /// Whether the client should connect again by itself.
            pub const fn come_back(self) -> bool {
                match self { $( Self::$variant => closings!(@ $back), )+ }
            }
        }
    };
    (@ back) => { true };
    (@ stay) => { false };
}

closings! {
    1000 "bye" Normal stay, "You said exit.";
    1002 "protocol error" Protocol stay, "A frame broke RFC 6455.";
    1003 "unsupported data" Unsupported stay, "Reserved: a frame of a kind that this endpoint does not take. No version sends it yet.";
    1007 "invalid UTF-8" InvalidData stay, "A text frame was not UTF-8.";
    1009 "message too big" TooBig stay, "A message over 80 KiB, or in more than 1,024 fragments.";
    1012 "restart" Restart back, "The server stops or restarts; the `closing` event before it says when to come back.";
    3000 "slow" Slow back, "You did not read for 10 seconds, or more than 1 MiB was waiting for you.";
    3001 "no pong" Silent back, "Nothing was heard of you for 60 seconds.";
    3002 "overloaded" Overloaded back, "The server had to shed load.";
    3500 "no name" NoName stay, "You did not say who you are within 10 seconds.";
}

impl CloseCode {
    /// The number that goes over the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_says_whether_to_come_back() {
        for code in CloseCode::ALL {
            match code.number() {
                3000..=3499 => assert!(code.come_back(), "{code:?}"),
                3500..=3999 => assert!(!code.come_back(), "{code:?}"),
                number => assert!((1000..1015).contains(&number), "{code:?}"),
            }
            // RFC 6455 section 5.5: 125 bytes, two of them the number.
            assert!(code.name().len() <= 123);
        }
    }
}
