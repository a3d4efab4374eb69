//! Who somebody is: proofs of identity, made and checked.
//!
//! Floor 2. It knows keys, and nothing of connections, conversations or disks: the caller brings the
//! key and says what a proof is for. So far there is one kind of proof, a guest's resume secret.

mod guest;

pub use guest::GuestKey;
