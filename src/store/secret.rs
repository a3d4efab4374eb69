//! The keyed hash by which a command is recognised when it comes again under its key.
//!
//! Floor 2. HMAC-SHA256 (RFC 2104, RFC 6234) over a canonical form, under a secret that never
//! leaves the database. Keyed, so that the table of keys is no dictionary in which to look up what
//! was said after it has been recalled; and over who says it where as well, so that two rows do not
//! show that two people said the same.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::chat::durable::Write;

/// Bytes that are kept of a hash: half of it, which RFC 2104 section 5 allows.
pub(super) const DIGEST: usize = 16;

/// The store's secret, ready for use: the two key blocks are hashed once, not per command.
#[derive(Clone, Debug)]
pub(super) struct Secret(Hmac<Sha256>);

impl Secret {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        // A key shorter than a block is filled up with zeros (RFC 2104 section 2).
        let mut block = [0; 64];
        block[..secret.len()].copy_from_slice(secret);
        Self(Hmac::new(&block.into()))
    }

    /// The digest of a command. Equal for equal commands, and only for those: every field has a
    /// fixed length or stands last.
    pub(super) fn digest(&self, write: &Write) -> [u8; DIGEST] {
        let mac = match write {
            Write::Talk {
                app,
                conv,
                from,
                text,
                key: _,
            } => self
                .0
                .clone()
                .chain_update(b"talk")
                .chain_update(app.0.to_be_bytes())
                .chain_update(conv.0.to_be_bytes())
                .chain_update(from.id.0)
                .chain_update(text),
        };
        let whole = mac.finalize().into_bytes();
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(&whole[..DIGEST]);
        digest
    }
}
