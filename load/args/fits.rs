//! Whether what was typed makes sense together.
//!
//! Each value alone was looked at when it was read.

use kith::limits::TEXT_BYTES;

use super::raw::RawArgs;
use crate::bounds::{MESSAGE_LEAST, PAIRS, RAW_LEAST};
use crate::raw::Expect;
use crate::scenario::{Plan, Restart, Speech};
use crate::verdict::Limits;

/// Looks at it.
///
/// # Errors
/// What does not fit, and what would.
pub fn fits(plan: &Plan, raw: &RawArgs, limits: &Limits, serves: bool) -> Result<(), String> {
    let restarts = plan.restart != Restart::Never;
    let breaks = restarts || plan.cut > 0.0 || plan.waves > 0;
    let hampers = plan.slow.share > 0.0 || plan.flap > 0.0;
    let expect = match plan.speech {
        Speech::Raw => raw.expect(),
        _ if raw.any() => {
            return Err("--expect, --header and --subprotocol are for raw".to_owned());
        }
        _ => Expect::Broadcast,
    };
    let least = match plan.speech {
        Speech::Raw => RAW_LEAST,
        Speech::Kith | Speech::Pings => MESSAGE_LEAST,
    };
    let (listeners, talkers) = (u64::from(plan.clients), u64::from(plan.talkers()));
    let pairs = match (plan.speech, plan.count, expect) {
        (Speech::Raw, false, Expect::Broadcast | Expect::Others) => listeners * talkers,
        (Speech::Raw, true, Expect::Broadcast | Expect::Others) => talkers * talkers,
        _ => 0,
    };
    let nobody = plan.speech == Speech::Pings || expect == Expect::Echo;
    let why = if plan.size < least {
        format!("a message has {least} to {TEXT_BYTES} bytes")
    } else if restarts && !serves {
        "to restart the server the swarm has to start it: name a command with --serve".to_owned()
    } else if (breaks || hampers) && plan.speech != Speech::Kith {
        "to break something on purpose is for what can be resumed; raw and ping cannot".to_owned()
    } else if breaks && plan.count {
        "--count knows no place to resume from; leave out --cut and the like".to_owned()
    } else if breaks && plan.flood {
        "--flood is for connections that stay; leave out --cut and the like".to_owned()
    } else if plan.count && nobody {
        "--count is for those who hear others, and here nobody does".to_owned()
    } else if plan.flood && expect == Expect::Others {
        "--flood needs to know what has come, and --expect others brings nothing back".to_owned()
    } else if plan.flood && !limits.latency.is_empty() {
        "--max-p50 and the like are about the corrected latency, and a flood has none".to_owned()
    } else if pairs > PAIRS {
        format!(
            "to verify it, {pairs} pairs of listener and talker have to be remembered, and \
             at most {PAIRS} can be; take fewer --talkers, or --count"
        )
    } else {
        return Ok(());
    };
    Err(why)
}
