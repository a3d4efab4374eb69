//! The resume secret of a guest: proof that a name and a guest id belong together.
//!
//! Floor 2. The secret is an HMAC-SHA256 (RFC 2104) of app, id and name under a key that stays with
//! the store. So a guest is recognised after a restart, and a million guests who never come back cost
//! nothing: nothing is kept for any of them.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::chat::name::Name;
use crate::ids::{AppId, PublicId, hex};

/// Separates these proofs from whatever else may be made with the same key one day.
const PURPOSE: &[u8] = b"kith guest resume v1\0";

/// What the secrets of guests are made with.
#[derive(Clone)]
pub struct GuestKey {
    /// With the key and the purpose taken in, which is half of the work and the same for everybody.
    begun: Hmac<Sha256>,
}

impl GuestKey {
    /// Over 32 random bytes that outlive the process.
    pub fn new(bytes: [u8; 32]) -> Self {
        let mut begun = Hmac::new_from_slice(&bytes).expect("HMAC takes any key length");
        begun.update(PURPOSE);
        Self { begun }
    }

    /// The secret of this guest: 64 hexadecimal digits.
    pub fn secret(&self, app: AppId, id: PublicId, name: &Name) -> String {
        hex(&self.sign(app, id, name), &mut [0; 64]).to_owned()
    }

    /// Whether `secret` is that of this guest, in a time that does not depend on how much of it is.
    pub fn proves(&self, app: AppId, id: PublicId, name: &Name, secret: &str) -> bool {
        self.secret(app, id, name)
            .as_bytes()
            .ct_eq(secret.as_bytes())
            .into()
    }

    fn sign(&self, app: AppId, id: PublicId, name: &Name) -> [u8; 32] {
        let mut mac = self.begun.clone();
        mac.update(&app.0.to_be_bytes());
        mac.update(&id.0);
        // Last, because it alone has no fixed length.
        mac.update(name.folded().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// A key is never shown.
impl fmt::Debug for GuestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_proves_its_own_guest_and_no_other() {
        let key = GuestKey::new([7; 32]);
        let name = |typed| Name::parse(typed).unwrap();
        let (app, id) = (AppId::DEFAULT, PublicId([1; 16]));
        let secret = key.secret(app, id, &name("Alice"));
        assert!(key.proves(app, id, &name("alice"), &secret), "names fold");
        assert!(!key.proves(app, id, &name("bob"), &secret));
        assert!(!key.proves(app, PublicId([2; 16]), &name("Alice"), &secret));
        assert!(!key.proves(AppId(2), id, &name("Alice"), &secret));
        assert!(!GuestKey::new([8; 32]).proves(app, id, &name("Alice"), &secret));
        for forged in [
            "",
            &secret[1..],
            &secret.to_uppercase(),
            &format!("{secret} "),
        ] {
            assert!(!key.proves(app, id, &name("Alice"), forged), "{forged}");
        }
    }

    #[test]
    fn a_key_does_not_reach_a_log() {
        assert_eq!(format!("{:?}", GuestKey::new([7; 32])), "GuestKey(…)");
    }
}
