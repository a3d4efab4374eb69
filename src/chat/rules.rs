//! The rules of conversations, as pure functions.
//!
//! Floor 1. The hub asks them before it sends a command on its way, the store asks them again
//! inside the transaction, where alone they are decided.

use crate::chat::refusal::{ErrorCode, Refusal};
use crate::limits::TEXT_BYTES;

/// Whether somebody may say this.
///
/// # Errors
/// [`ErrorCode::TextEmpty`] or [`ErrorCode::TextTooLong`], with the field.
pub fn text(text: &str) -> Result<(), Refusal> {
    if text.len() > TEXT_BYTES {
        return Err(Refusal::new(ErrorCode::TextTooLong).field("talk.text"));
    }
    if text.trim().is_empty() {
        return Err(Refusal::new(ErrorCode::TextEmpty).field("talk.text"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_something_in_it_and_an_end() {
        assert_eq!(text(" \n").unwrap_err().code, ErrorCode::TextEmpty);
        assert_eq!(
            text(&"x".repeat(TEXT_BYTES + 1)).unwrap_err().code,
            ErrorCode::TextTooLong
        );
        assert_eq!(text(&"x".repeat(TEXT_BYTES)), Ok(()));
    }
}
