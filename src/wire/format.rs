//! The two formats, and how a session's is chosen.
//!
//! Floor 2. A session that negotiated a subprotocol has its format; one that did not speaks JSON
//! until its first binary frame. This file only names and picks, it does not remember.

/// How the messages of one session are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text frames of proto3 JSON; what a session speaks that said nothing.
    #[default]
    Json,
    /// Binary frames of protobuf.
    Proto,
}

impl Format {
    /// Both, in the order of [`Format::index`].
    pub const ALL: [Self; 2] = [Self::Json, Self::Proto];

    /// Place in a table with one column per format.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in `Sec-WebSocket-Protocol`.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "kith.v1.json",
            Self::Proto => "kith.v1.proto",
        }
    }

    /// The first format that the client offers and that we speak, in the client's order of
    /// preference; `None` if there is none, and then the answer names no subprotocol at all.
    ///
    /// `headers` are the values of all `Sec-WebSocket-Protocol` lines, each of them a list (RFC
    /// 6455 section 11.3.4). RFC 6455 says where case is ignored, and does not say so of
    /// subprotocols: the client compares our answer with what it sent, byte for byte, and so do we.
    pub fn negotiate<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        headers
            .into_iter()
            .flat_map(|line| line.split(','))
            .map(|offer| offer.trim_matches([' ', '\t']))
            .find_map(|offer| {
                Self::ALL
                    .into_iter()
                    .find(|format| format.subprotocol() == offer)
            })
    }
}

/// The payload of one whole message, as the frame layer hands it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Of text frames, already known to be UTF-8.
    Text(&'a str),
    /// Of binary frames.
    Binary(&'a [u8]),
}

impl Payload<'_> {
    /// What it is written in: text is JSON, binary is protobuf, whatever was negotiated.
    pub const fn format(self) -> Format {
        match self {
            Self::Text(_) => Format::Json,
            Self::Binary(_) => Format::Proto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_first_choice_that_we_speak_wins() {
        use Format::{Json, Proto};
        let table: [(&[&str], Option<Format>); 10] = [
            (&[], None),
            (&[""], None),
            (&["chat, superchat"], None),
            (&["kith.v1.json"], Some(Json)),
            (&["kith.v1.proto, kith.v1.json"], Some(Proto)),
            (&["kith.v1.json,kith.v1.proto"], Some(Json)),
            (&["kith.v9.proto,\tkith.v1.proto ,"], Some(Proto)),
            (
                &["kith.v9.proto", "kith.v1.json", "kith.v1.proto"],
                Some(Json),
            ),
            (&["Kith.v1.json"], None),
            (&["kith.v1.json; q=1"], None),
        ];
        for (headers, expected) in table {
            assert_eq!(
                Format::negotiate(headers.iter().copied()),
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn the_index_is_the_place_in_the_list() {
        for format in Format::ALL {
            assert_eq!(Format::ALL[format.index()], format);
        }
    }
}
