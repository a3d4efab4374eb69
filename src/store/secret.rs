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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::event::Person;
    use crate::ids::{AppId, ConvId, Key, PublicId};

    fn talk(app: u32, conv: i64, from: u8, text: &str, key: Option<Key>) -> Write {
        Write::Talk {
            app: AppId(app),
            conv: ConvId(conv),
            from: Person {
                id: PublicId([from; 16]),
                name: text.into(),
            },
            text: text.to_owned(),
            key,
        }
    }

    #[test]
    fn the_same_command_has_the_same_digest_and_no_other_has() {
        let digest = |write: &Write| Secret::new(&[1; 32]).digest(write);
        let one = digest(&talk(1, 2, 3, "a", None));
        assert_eq!(digest(&talk(1, 2, 3, "a", Some(Key([9; 16])))), one);
        for other in [
            talk(9, 2, 3, "a", None),
            talk(1, 9, 3, "a", None),
            talk(1, 2, 9, "a", None),
            talk(1, 2, 3, "b", None),
            talk(1, 2, 3, "", None),
        ] {
            assert_ne!(digest(&other), one, "{other:?}");
        }
        assert_ne!(Secret::new(&[2; 32]).digest(&talk(1, 2, 3, "a", None)), one);
    }
}
