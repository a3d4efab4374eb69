//! The table of refusals: what a command may be answered with instead of its reply.
//!
//! Floor 1. One table, numbered by whose fault it is, and a number is never used for anything else
//! afterwards. A refusal leaves the connection open; what ends it stands in `closing.rs`. The
//! README prints this table, and a test holds it to that.

use std::borrow::Cow;
use std::time::Duration;

/// Whether the thing that was asked for happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It did not, and will not.
    NotDone,
    /// It may have. The same command under the same key tells.
    Unknown,
}

macro_rules! refusals {
    ($( $code:literal $name:literal $variant:ident $temporary:ident, $help:literal; )+) => {
        /// Why a command was refused. 1xx protocol, 2xx sign-in, 3xx permission, 4xx request, 5xx
        /// limits, 6xx server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $( #[doc = $help] $variant = $code, )+
        }

        impl ErrorCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The name that goes over the wire beside the number.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// One sentence for a person, used where there is nothing more precise to say.
            pub const fn help(self) -> &'static str {
                match self { $( Self::$variant => $help, )+ }
            }

            /// Whether the same command may succeed later without any change.
            pub const fn temporary(self) -> bool {
                match self { $( Self::$variant => refusals!(@ $temporary), )+ }
            }
        }
    };
    (@ temporary) => { true };
    (@ lasting) => { false };
}

refusals! {
    100 "malformed" Malformed lasting, "The frame is neither the protobuf nor the JSON of a ClientFrame.";
    101 "unknown_command" UnknownCommand lasting, "The frame holds no command that this server knows.";
    102 "unknown_field" UnknownField lasting, "The JSON names a field that does not exist.";
    103 "bad_key" BadKey lasting, "A key has exactly 16 bytes.";
    200 "sign_in_first" SignInFirst lasting, "Say who you are first: `hello` with a name, or a `username` header.";
    201 "name_taken" NameTaken lasting, "Somebody of this name, or of one that looks like it, is online; resume with the secret from `welcome`, or choose another name.";
    202 "bad_name" BadName lasting, "A name has 1 to 32 characters, none of them invisible, and no colon.";
    203 "bad_resume" BadResume lasting, "The guest id and the resume secret do not belong to this name.";
    204 "already_signed_in" AlreadySignedIn lasting, "This connection is signed in under another name; open a new one.";
    300 "not_found" NotFound lasting, "There is no such conversation, or you are not in it.";
    400 "bad_request" BadRequest lasting, "A field has a value that it cannot have.";
    401 "text_empty" TextEmpty lasting, "A message needs at least one character that is not white space.";
    402 "text_too_long" TextTooLong lasting, "A message is at most 64 KiB long.";
    403 "key_reused" KeyReused lasting, "This key was used for another command.";
    500 "too_fast" TooFast temporary, "Too many commands; wait as long as retry_after_ms says.";
    501 "too_many" TooMany lasting, "More items than one command may hold.";
    600 "busy" Busy temporary, "The server has more work than it can take; try again after retry_after_ms.";
    601 "stopping" Stopping temporary, "The server is about to stop; come back after retry_after_ms.";
    602 "store_failed" StoreFailed temporary, "The disk did not take it; nothing was stored.";
    603 "store_unknown" StoreUnknown temporary, "The disk failed while it was stored; ask again under the same key.";
}

impl ErrorCode {
    /// The number that goes over the wire.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// One refusal, ready to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: ErrorCode,
    /// The same for a person, with what is particular to this case.
    pub message: Cow<'static, str>,
    /// The field at fault, as a path in the command (`talk.text`); empty if no single one is.
    pub field: Cow<'static, str>,
    /// Whether it happened all the same.
    pub fate: Fate,
    /// When it makes sense to ask again.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with the table's own words.
    pub const fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.help()),
            field: Cow::Borrowed(""),
            fate: if matches!(code, ErrorCode::StoreUnknown) {
                Fate::Unknown
            } else {
                Fate::NotDone
            },
            retry_after: None,
        }
    }

    /// Names the field at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = field.into();
        self
    }

    /// Says what is particular to this case.
    #[must_use]
    pub fn because(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Says when to ask again.
    #[must_use]
    pub const fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_used_once_and_stand_in_order() {
        for pair in ErrorCode::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{pair:?}");
        }
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
