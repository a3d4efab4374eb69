//! Every bound of the server, by name, with the reason for its size.
//!
//! Floor 0. A number that bounds a buffer, a queue, a table or a wait stands here and nowhere else;
//! the assertions at the end say how they must relate. Bounds that an operator may move are the
//! defaults of settings (`cli/settings.rs`) and stand here as well.

use std::time::Duration;

/// The words of one message, in bytes of UTF-8 (Centrifugo's limit; Tinode allows twice as much).
pub const TEXT_BYTES: usize = 64 * 1024;
/// One frame, and one message of several frames, from a client: the longest text and its envelope.
pub const FRAME_BYTES: usize = 80 * 1024;
/// Fragments of one message. Zero-byte continuations cost us time without ever reaching
/// `FRAME_BYTES` (ws issue 2331).
pub const FRAGMENTS: u32 = 1024;

/// The request head: line and headers together. What Node takes; uWebSockets takes a quarter of it.
pub const HEAD_BYTES: usize = 16 * 1024;
/// Header lines in one head (CVE-2024-37890 is what happens without).
pub const HEAD_COUNT: usize = 100;
/// The body of one HTTP request; nothing that is served over HTTP yet takes more than a command.
pub const BODY_BYTES: usize = FRAME_BYTES;

/// From accept to a complete request head. Byte by byte is fine within it.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// From the upgrade to a name.
pub const SIGN_IN_WAIT: Duration = Duration::from_secs(10);
/// Between two requests on one HTTP connection.
pub const KEEP_ALIVE_WAIT: Duration = Duration::from_secs(30);
/// Silence after which we ping. Below the 30 s at which many home routers forget an idle mapping.
pub const PING_AFTER: Duration = Duration::from_secs(25);
/// Silence after which a connection counts as gone: two pings went unanswered.
pub const GONE_AFTER: Duration = Duration::from_secs(60);
/// How long the peer may take to answer our close frame, or to read what is queued before it.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// Queued bytes, and not one taken by the peer for this long: it reads no more, and is told to come
/// back.
pub const STALL_WAIT: Duration = Duration::from_secs(10);
/// From SIGTERM to the end of the process, whatever is still open.
pub const DRAIN_WAIT: Duration = Duration::from_secs(10);
/// From the failure of the store to the end of the process: what everybody is told last needs a moment
/// to be read.
pub const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);
/// How long the store may take to leave its files as the next start wants to find them.
pub const STORE_CLOSE_WAIT: Duration = Duration::from_secs(5);
/// When everybody who was told 1012 may come back, before each client's own jitter.
pub const DRAIN_RETRY: Duration = Duration::from_millis(1000);

/// Queued bytes at which a listener is put behind: from here on it is refilled from the store as it
/// reads.
pub const OUTBOX_SOFT: usize = 256 * 1024;
/// Queued bytes at which a connection is cut; what fills it past the soft limit are answers to its
/// own requests.
pub const OUTBOX_HARD: usize = 1024 * 1024;
/// Queued bytes at which a listener that is behind gets its next page.
pub const OUTBOX_LOW: usize = 64 * 1024;
/// Bytes of one connection that the kernel takes before it has sent them. Left alone it took 2.6 MiB
/// of somebody who had stopped reading, ten times `OUTBOX_SOFT`, and 500 of them held up everybody
/// until they were full; what is in an outbox is counted.
pub const KERNEL_UNSENT: i32 = 128 * 1024;
/// Frames up to this size are copied into each outbox, larger ones are queued by reference.
pub const SHARE_ABOVE: usize = 4 * 1024;
/// Pieces handed to one `writev`.
pub const WRITE_PIECES: usize = 16;
/// The first buffer of an outbox: one or two frames of 100 bytes.
pub const OUTBOX_FIRST: usize = 256;
/// Copied frames are queued in buffers of this size; 16 of them are one `writev`.
pub const OUTBOX_CHUNK: usize = 16 * 1024;
/// Segments of `OUTBOX_CHUNK` in which frames for many stand, 256 MiB; when slow listeners hold them
/// all, frames are copied into each outbox.
pub const SEGMENTS: usize = 16 * 1024;
/// Empty ones that a loop keeps, 2 MiB: what everybody is sent within a tenth
/// of a second at 100,000 small messages per second.
pub const SEGMENTS_KEPT: usize = 128;
/// Empty outbox buffers that a loop keeps while they are in use again and again: answers to 8,192
/// peers in one turn. What goes to many is in segments.
pub const OUTBOX_POOL: usize = 2 * 1024 * 1024;
/// Queued bytes from which on a pong replaces the one before it; Autobahn wants to see ten in a row.
pub const PONG_ROOM: usize = 4 * 1024;
/// How often, at most, what the allocator keeps is given back to the system; it costs some 5 ms. More
/// than `OFFLINE_AFTER`, so that those who left are forgotten by then.
pub const TRIM_EVERY: Duration = Duration::from_secs(12);
/// As many connections are a crowd: once half of one has left, tables are shrunk.
pub const CROWD: usize = 1024;
/// Empty tungstenite contexts that a loop keeps. One is enough as long as messages arrive whole.
pub const CONTEXTS_KEPT: usize = 256;
/// The read buffer of one context. tungstenite fills it with zeros before every read: a message of
/// 100 bytes took 130 ns with 4 KiB, 60 ns with 1 KiB and no less with 512 bytes.
pub const CONTEXT_BYTES: usize = 1024;
/// A context that took a larger frame is not kept.
pub const CONTEXT_GROWN: usize = 8 * 1024;
/// A larger buffer is not kept for the next message that comes whole.
pub const WHOLE_BUFFER: usize = 16 * 1024;
/// What is read and thrown away of a peer that goes on sending after our last word. Closing with
/// unread bytes would reset the connection, and the last word with it.
pub const LINGER_BYTES: usize = 256 * 1024;

/// Entries of one aligned page of a log.
pub const PAGE_ENTRIES: u64 = 64;
/// Bytes of text after which a page ends early. As JSON of control characters this is 768 KiB,
/// still below `OUTBOX_HARD`.
pub const PAGE_BYTES: usize = 128 * 1024;
/// Bytes of pages, as entries and encoded, that are kept for the next listener who is behind.
pub const PAGE_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Entries in one answer to `History`.
pub const HISTORY_ENTRIES: u32 = 100;
/// Names in one answer to `UserList`.
pub const USERS_PAGE: u32 = 500;
/// Cursors in one `Hello`.
pub const HELLO_CURSORS: usize = 64;

/// What a refusal says at most, in bytes: it may quote the client, and a client may send 80 KiB to
/// be quoted.
pub const REFUSAL_BYTES: usize = 256;

/// A name, in characters after normalisation.
pub const NAME_CHARS: usize = 32;
/// A name as it arrives, in bytes; NFKC makes no name of 32 characters out of more than this.
pub const NAME_BYTES: usize = 1024;

/// Commands of one session that wait for the store.
pub const IN_FLIGHT: u32 = 64;
/// Jobs that wait for the writer; more get "busy, retry after".
pub const WRITER_QUEUE: usize = 8 * 1024;
/// Bytes of text in them: as many long messages would be half a gigabyte.
pub const WRITER_QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Jobs that wait for a reader lane.
pub const READER_QUEUE: usize = 16 * 1024;
/// Answers of the reader lanes that wait for the loop; a page may hold `PAGE_BYTES`.
pub const READ_AHEAD: usize = 64;
/// Commands in one commit.
pub const GROUP_COMMANDS: usize = 256;
/// Bytes of text after which a commit takes no further command, so that those behind it do not wait
/// for a hundred long ones.
pub const GROUP_BYTES: usize = 1024 * 1024;
/// When a client may try again after "busy".
pub const BUSY_RETRY: Duration = Duration::from_millis(250);
/// How long somebody without a name waits for the answer to what is no command.
pub const STRANGER_WAIT: Duration = BUSY_RETRY;
/// How long an answer is kept under its key.
pub const KEY_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Keys remembered by a lobby without history, which has no store to keep them.
pub const LIVE_KEYS: usize = 4096;
/// How long a transaction waits for another process that has locked the database.
pub const LOCK_WAIT: Duration = Duration::from_secs(2);
/// Pages of 4 KiB in the write-ahead log after which it is copied into the database even if
/// commands wait: 16 MiB, with which a start after kill -9 takes some 15 ms.
pub const CHECKPOINT_BUSY: i64 = 4096;
/// The same while nobody waits: 4 MiB. Not after every lone message, it costs two more flushes.
pub const CHECKPOINT_IDLE: i64 = 1024;
/// Pages that the writer's connection keeps in memory, in KiB.
pub const WRITER_CACHE_KIB: i64 = 2048;
/// Pages that each reader's connection keeps in memory, in KiB.
pub const READER_CACHE_KIB: i64 = 512;
/// People whose row the writer remembers, so that talking does not look it up each time.
pub const PEOPLE_CACHE: usize = 4096;
/// Expired keys and entries beyond the retention that one commit sweeps away.
pub const SWEEP_ROWS: usize = 1024;

/// Online users up to which everybody is told of everybody, in batches.
pub const PRESENCE_ALL: usize = 200;
/// How long changes of presence are gathered before they are told.
pub const PRESENCE_BATCH: Duration = Duration::from_millis(500);
/// How often the number online is told above `PRESENCE_ALL`.
pub const PRESENCE_COUNT_EVERY: Duration = Duration::from_secs(2);
/// From the loss of the last connection to the announcement, so that a change of network disturbs
/// nobody.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(10);
/// Names that one session may watch.
pub const WATCHED_NAMES: usize = 100;
/// Users online up to which typing is passed on.
pub const TYPING_UP_TO: usize = 500;
/// The least time between two typing notices of one session; those in between are dropped.
pub const TYPING_EVERY: Duration = Duration::from_secs(2);

/// Default of `listen`: the port; only this machine reaches it until told otherwise.
pub const PORT: u16 = 9091;
/// Default of `limits.talk_rate`: messages per second of one session in the long run (Discord
/// allows 2 events a second).
pub const TALK_RATE: u32 = 5;
/// Default of `limits.talk_burst`: what a paste of several lines needs.
pub const TALK_BURST: u32 = 30;
/// Default of `limits.command_rate`: commands of any kind per second of one session.
pub const COMMAND_RATE: u32 = 50;
/// Default of `limits.command_burst`.
pub const COMMAND_BURST: u32 = 200;
/// Default of `limits.address_talk_rate`: messages per second of all sessions from one address; a
/// school behind one router still fits.
pub const ADDRESS_TALK_RATE: u32 = 100;
/// Default of `limits.address_talk_burst`.
pub const ADDRESS_TALK_BURST: u32 = 600;
/// Default of `lobby.keep`: entries of the lobby's log that are kept; about 30 MiB of small talk.
pub const LOBBY_KEEP: u32 = 100_000;

/// Connections in all, when the process may open that many files.
pub const CONNECTIONS: usize = 100_000;
/// Files kept back from connections: the database, its log, the log file, the listener, the poller.
pub const FILES_KEPT: usize = 64;
/// What the kernel may hold of accepted connections that we did not take yet; mio asks for 128
/// only.
pub const BACKLOG: i32 = 4096;
/// Connections accepted in one tick.
pub const ACCEPT_BUDGET: usize = 128;
/// When accepting is tried again after the process ran out of files.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(250);
/// Readiness events taken from the kernel in one tick.
pub const EVENTS: usize = 1024;
/// The loop's one read buffer.
pub const READ_BUFFER: usize = 64 * 1024;
/// Messages of one connection in one tick; the rest waits for the next.
pub const READ_BUDGET: usize = 256;
/// Messages of all connections in one tick, shared among those that sent something: about 4 ms.
pub const READ_TICK_MESSAGES: usize = 2048;
/// Bytes of all connections in one tick, shared likewise. Pings and pongs are no messages, and of the
/// smallest there are 37,000 in this: about 6 ms.
pub const READ_TICK_BYTES: usize = 512 * 1024;
/// What each gets all the same, however many they are.
pub const READ_LEAST_MESSAGES: usize = 8;
/// See `READ_LEAST_MESSAGES`.
pub const READ_LEAST_BYTES: usize = 4 * 1024;
/// Answers taken from other threads in one tick.
pub const MAILBOX_BUDGET: usize = 1024;
/// What flushing may cost in one tick, in units of one small `send` (about 4 µs): roughly 3 ms.
pub const FLUSH_BUDGET: usize = 768;
/// What of `FLUSH_BUDGET` is kept for shares of big fan-outs: without it, enough clients that ask all
/// the time would keep everybody else from hearing anything.
pub const FLUSH_BULK: usize = FLUSH_BUDGET / 4;
/// Bytes that cost as much to send as a small frame does.
pub const FLUSH_UNIT: usize = 16 * 1024;
/// A fan-out to at most this many listeners is flushed with the replies, before the big ones.
pub const SMALL_FAN_OUT: usize = 32;

/// Log lines that wait for the terminal or the pipe; more are dropped and counted.
pub const LOG_QUEUE: usize = 16 * 1024;
/// Bytes of one log line; what is longer is cut, and says so. The queue is bounded in lines, this
/// bounds it in bytes (32 MiB).
pub const LOG_LINE: usize = 2048;
/// How late a line may be printed because its printer gathers lines: at most 200 times a second it has
/// to be woken.
pub const LOG_NAP: Duration = Duration::from_millis(5);
/// How long the end of the process waits for the log to be written out; a pipe that nobody reads
/// may hold it up for ever.
pub const LOG_FLUSH_WAIT: Duration = Duration::from_secs(1);
/// Addresses whose rates are remembered. At the bound, those that rested are forgotten, and failing
/// that just somebody.
pub const ADDRESSES: usize = 65_536;

const _: () = {
    assert!(TEXT_BYTES < FRAME_BYTES);
    assert!(FRAME_BYTES < OUTBOX_SOFT);
    assert!(OUTBOX_LOW < OUTBOX_SOFT && OUTBOX_SOFT < OUTBOX_HARD);
    assert!(OUTBOX_FIRST < SHARE_ABOVE && SHARE_ABOVE < OUTBOX_CHUNK);
    assert!(OUTBOX_CHUNK < OUTBOX_LOW && OUTBOX_CHUNK < OUTBOX_POOL);
    assert!(CONTEXT_BYTES < CONTEXT_GROWN && CONTEXT_GROWN < FRAME_BYTES);
    assert!(CONTEXT_GROWN <= WHOLE_BUFFER);
    assert!(PONG_ROOM < OUTBOX_LOW && KERNEL_UNSENT as usize <= OUTBOX_SOFT);
    // A segment's number, and a place in it, are 16 bits long.
    assert!(SEGMENTS <= u16::MAX as usize && OUTBOX_CHUNK <= u16::MAX as usize);
    // A page that follows what may still be queued stays below the cut, also when JSON writes every
    // byte as \u0000.
    assert!(OUTBOX_LOW + 6 * PAGE_BYTES + PAGE_ENTRIES as usize * 512 < OUTBOX_HARD);
    assert!(PAGE_BYTES >= TEXT_BYTES);
    assert!(PAGE_CACHE_BYTES >= 8 * (PAGE_BYTES + TEXT_BYTES));
    assert!(PING_AFTER.as_secs() * 2 < GONE_AFTER.as_secs());
    assert!(CLOSE_WAIT.as_secs() < DRAIN_WAIT.as_secs());
    assert!(HEAD_BYTES < READ_BUFFER && FRAME_BYTES > READ_BUFFER);
    assert!(READ_BUFFER <= READ_TICK_BYTES && READ_BUDGET <= READ_TICK_MESSAGES);
    assert!(IN_FLIGHT as usize * 8 <= WRITER_QUEUE);
    assert!(GROUP_BYTES + TEXT_BYTES < WRITER_QUEUE_BYTES);
    // A sweep keeps up with what its own commit appends.
    assert!(GROUP_COMMANDS < SWEEP_ROWS);
    assert!(OFFLINE_AFTER.as_secs() < TRIM_EVERY.as_secs());
    assert!(PRESENCE_ALL <= TYPING_UP_TO);
    assert!(TALK_RATE <= TALK_BURST && COMMAND_RATE <= COMMAND_BURST);
    assert!(ADDRESS_TALK_RATE <= ADDRESS_TALK_BURST);
    assert!(TALK_BURST <= COMMAND_BURST && TALK_BURST <= ADDRESS_TALK_BURST);
    assert!(LOG_FLUSH_WAIT.as_secs() < DRAIN_WAIT.as_secs());
    assert!(LOG_NAP.as_millis() < LOG_FLUSH_WAIT.as_millis());
};
