//! Holds the hottest paths of the wire to allocating nothing: what a pipelined ping costs, and what
//! an entry costs that few people hear.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kith::chat::command::Command;
use kith::chat::event::{Addresses, Body, Entry, Person, Reply};
use kith::clock::UnixMillis;
use kith::ids::{ConvId, PublicId, Seq, Tag};
use kith::wire::{Context, Format, Greeting, Payload, decode, encode_entry, encode_reply};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator; counting touches no heap.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

struct Lobby;

impl Addresses for Lobby {
    fn address(&self, _: ConvId) -> &str {
        "lobby"
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(vec![0_u8; 10])), 1);
}

#[test]
fn a_ping_is_answered_without_allocating() {
    let greeting = Greeting::default();
    let context = Context {
        addresses: &Lobby,
        greeting: &greeting,
        resume_secret: "",
    };
    let mut out = Vec::with_capacity(256);
    let count = allocations(|| {
        let request = decode(Payload::Binary(b"\x08\x05\x82\x01\x00")).unwrap();
        assert_eq!(request.command, Command::Ping);
        encode_reply(Format::Proto, request.id, &Reply::Pong, &context, &mut out);
    });
    assert_eq!(count, 0);
}

#[test]
fn an_entry_is_encoded_without_allocating() {
    let entry = Entry {
        conv: ConvId(1),
        seq: Seq(7),
        n: 6,
        tag: Tag(5),
        at: UnixMillis(1_795_168_800_123),
        from: Person {
            id: PublicId([7; 16]),
            name: "alice".into(),
        },
        body: Body::Message {
            text: "hello \"you\" 小明".into(),
        },
    };
    let mut out = Vec::with_capacity(1024);
    for format in Format::ALL {
        let count = allocations(|| encode_entry(format, &entry, &Lobby, &mut out));
        assert_eq!(count, 0, "{format:?}");
    }
}

#[test]
fn a_declared_length_sets_nothing_aside() {
    // key, hello.name, hello.cursors, talk.text, watch.names, and a field that nobody knows.
    let fields: [&[u8]; 6] = [
        b"\x12",
        b"\x52\x10\x0a",
        b"\x52\x10\x22",
        b"\x5a\x10\x12",
        b"\x7a\x10\x0a",
        b"\xea\x01",
    ];
    for field in fields {
        for length in [1 << 17, 1 << 31, 1 << 32, u64::MAX >> 1, u64::MAX] {
            let mut frame = field.to_vec();
            prost::encoding::encode_varint(length, &mut frame);
            frame.extend([b'x'; 20]);
            LARGEST.set(0);
            decode(Payload::Binary(&frame)).unwrap_err();
            assert!(LARGEST.get() <= 1024, "{frame:02x?}: {}", LARGEST.get());
        }
    }
}
