//! What the connections of one loop share: the rules, and what is empty and waits for use.
//!
//! Floor 2, part of `conn`. One thread, so one pool of each kind, passed as `&mut`.

use tungstenite::protocol::Role;

use crate::conn::buffers::Buffers;
use crate::conn::upgrade::OriginPolicy;
use crate::conn::websocket::Contexts;
use crate::limits::{BODY_BYTES, FRAGMENTS, FRAME_BYTES, OUTBOX_HARD, OUTBOX_SOFT};

/// What all connections of one loop share.
#[derive(Debug)]
pub struct Shared {
    pub(super) config: ConnConfig,
    pub(super) contexts: Contexts,
    pub(super) buffers: Buffers,
}

/// The bounds that an operator may move, and whose pages may connect.
#[derive(Clone, Debug)]
pub struct ConnConfig {
    /// One message from a client, and one frame of it, in bytes.
    pub message_bytes: usize,
    /// Frames of one message.
    pub fragments: u32,
    /// The body of one HTTP request, in bytes.
    pub body_bytes: usize,
    /// Queued bytes at which `Push::Soft` is said.
    pub outbox_soft: usize,
    /// Queued bytes beyond which nothing is queued.
    pub outbox_hard: usize,
    /// Which pages may open a WebSocket.
    pub origins: OriginPolicy,
}

impl Default for ConnConfig {
    fn default() -> Self {
        Self {
            message_bytes: FRAME_BYTES,
            fragments: FRAGMENTS,
            body_bytes: BODY_BYTES,
            outbox_soft: OUTBOX_SOFT,
            outbox_hard: OUTBOX_HARD,
            origins: OriginPolicy::default(),
        }
    }
}

impl Shared {
    /// An empty pool, and the rules.
    pub fn new(config: ConnConfig) -> Self {
        Self {
            contexts: Contexts::new(&config),
            buffers: Buffers::default(),
            config,
        }
    }

    /// The same for [`Client`](crate::conn::client::Client)s.
    pub fn for_clients(config: ConnConfig) -> Self {
        Self {
            contexts: Contexts::of(Role::Client, &config),
            buffers: Buffers::default(),
            config,
        }
    }

    /// Takes back the buffer of a message that was looked at; the next one is put there.
    #[inline]
    pub fn reuse(&mut self, words: Vec<u8>) {
        self.contexts.reuse(words);
    }

    /// Frees buffers that were not needed since the last call. Call it about once a second.
    pub fn trim(&mut self) {
        self.buffers.trim();
    }

    /// The rules.
    pub const fn config(&self) -> &ConnConfig {
        &self.config
    }
}
