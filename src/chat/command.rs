//! Everything that a client may ask, and the one table that lists it.
//!
//! Floor 1. Three doors lead here (frames now; HTTP and gRPC later), and none has logic of its own:
//! a door turns what it received into a [`Command`], and the table says what a command's name is
//! and what it needs before it may run.

use crate::ids::{Epoch, PublicId, Seq, Tag};

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who I am, and where I stopped reading. Boxed, as it is the largest and comes once.
    Hello(Box<Hello>),
    /// A message.
    Talk(Talk),
    /// Who is online, a page of it.
    UserList(UserList),
    /// I am typing.
    Typing(Typing),
    /// A page of the past.
    History(History),
    /// Tell me of these people whenever they come or go.
    Watch(Watch),
    /// Are you there?
    Ping,
    /// I leave.
    Exit,
}

/// See [`Command::Hello`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// As typed; empty if the upgrade already carried it.
    pub name: String,
    /// Proof of having been this guest before. Already verified where it is `Some`: the hub sees no
    /// secret.
    pub resumed: Option<PublicId>,
    /// One for each log that the client holds a part of.
    pub cursors: Vec<Cursor>,
}

/// A position in a log that cannot be mistaken for the same number in another life of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Address.
    pub conversation: String,
    /// From `welcome`.
    pub epoch: Epoch,
    /// The last entry that the client has.
    pub seq: Seq,
    /// That entry's tag; meaningless where `seq` is 0.
    pub tag: Tag,
}

/// See [`Command::Talk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// Address; empty means the lobby.
    pub to: String,
    /// What is said.
    pub text: String,
}

/// See [`Command::UserList`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserList {
    /// The last name of the page before; empty for the first.
    pub after: String,
    /// 0 means as many as a page holds.
    pub limit: u32,
}

/// See [`Command::Typing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typing {
    /// Address; empty means the lobby.
    pub conversation: String,
}

/// See [`Command::History`]. Either bound may be 0; with both 0 the newest entries come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Address; empty means the lobby.
    pub conversation: String,
    /// Only entries before this one, the newest of them first chosen.
    pub before: Seq,
    /// Only entries after this one, the oldest of them first chosen.
    pub after: Seq,
    /// 0 means as many as a page holds.
    pub limit: u32,
}

/// See [`Command::Watch`]. Replaces what was watched before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// As typed.
    pub names: Vec<String>,
}

/// One row of the table of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verb {
    /// As in JSON, and as in `POST /api/v1/<name>`.
    pub name: &'static str,
    /// Whether somebody must be signed in.
    pub signed_in: bool,
    /// Whether a key makes it happen once.
    pub once: bool,
}

impl Command {
    /// The table.
    pub const VERBS: &'static [Verb] = &[
        Verb {
            name: "hello",
            signed_in: false,
            once: false,
        },
        Verb {
            name: "talk",
            signed_in: true,
            once: true,
        },
        Verb {
            name: "userList",
            signed_in: true,
            once: false,
        },
        Verb {
            name: "typing",
            signed_in: true,
            once: false,
        },
        Verb {
            name: "history",
            signed_in: true,
            once: false,
        },
        Verb {
            name: "watch",
            signed_in: true,
            once: false,
        },
        Verb {
            name: "ping",
            signed_in: false,
            once: false,
        },
        Verb {
            name: "exit",
            signed_in: false,
            once: false,
        },
    ];

    /// Its row.
    pub const fn verb(&self) -> &'static Verb {
        &Self::VERBS[match self {
            Self::Hello(_) => 0,
            Self::Talk(_) => 1,
            Self::UserList(_) => 2,
            Self::Typing(_) => 3,
            Self::History(_) => 4,
            Self::Watch(_) => 5,
            Self::Ping => 6,
            Self::Exit => 7,
        }]
    }
}
