//! However the bytes of a peer are cut into pieces, and whatever they are: the same comes of them.

#![allow(clippy::unwrap_used)]

#[path = "common/script.rs"]
mod script;

use kith::conn::ConnConfig;
use proptest::prelude::*;
use proptest::sample::Index;
use script::{GET, Player, UPGRADE, frame};

/// What was told, and what was written. A 400 is the end, and its words are about what was seen first
/// of several things that are wrong, which may depend on the pieces.
fn outcome<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<u8>) {
    let mut player = Player::new(ConnConfig::default());
    let mut written = Vec::new();
    for piece in pieces {
        player.feed(piece);
        written.extend(player.take_all());
    }
    const BAD: &[u8] = b"HTTP/1.1 400 ";
    if let Some(at) = written.windows(BAD.len()).position(|some| some == BAD) {
        written.truncate(at + BAD.len());
    }
    (player.transcript, written)
}

fn cut<'a>(mut bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let (piece, rest) = bytes.split_at(bytes.len().min(*sizes.next()?));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        GET.as_bytes().to_vec(),
        b"POST /p?q HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789".to_vec(),
        b"HEAD / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n\r\n".to_vec(),
        b"GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        UPGRADE.as_bytes().to_vec(),
        frame(0x81, b"hello"),
        frame(0x01, b"hel"),
        frame(0x80, b"lo"),
        frame(0x89, b"ping"),
        frame(0x82, &[7; 300]),
        frame(0x88, &[3, 232]),
    ];
    prop::sample::select(parts.to_vec())
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let before = prop::collection::vec(part(), 0..3);
    let after = prop::collection::vec(part(), 0..6);
    (before, any::<bool>(), after).prop_map(|(before, upgrade, after)| {
        let upgrade = if upgrade { UPGRADE } else { "" };
        [before.concat(), upgrade.into(), after.concat()].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pieces_change_nothing(
        mut bytes in input(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..3),
        sizes in prop::collection::vec(prop_oneof![Just(1_usize), 1..40_usize, 1..600_usize], 1..9),
    ) {
        for (at, value) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        let whole = outcome(std::iter::once(&bytes[..]));
        prop_assert_eq!(outcome(cut(&bytes, &sizes)), whole);
    }
}
