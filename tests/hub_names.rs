//! Names at the hub: which are welcomed, and when one is too much like another.

#![allow(clippy::unwrap_used)]

#[path = "common/hub.rs"]
mod hub;
#[path = "common/naughty.rs"]
mod naughty;

use hub::{Room, durable};

/// Strings that break other programs, after the Big List of Naughty Strings, and a few that make
/// trouble for names in particular. Whatever comes of one, it is welcomed or refused by name, and
/// who is welcomed is found under it again.
#[test]
fn whatever_is_given_as_a_name_is_welcomed_or_refused() {
    for name in naughty::STRINGS {
        let mut room = Room::new(durable(0));
        let mut story = |line: String| room.run(&line).join("\n");
        story("ann opens as Ann".to_owned());
        let answer = story(format!("bob opens as {name}"));
        if answer == "bob < 0 refused bad_name in username" {
            continue;
        }
        let shown = answer
            .strip_prefix("bob signed in\nbob < 0 welcome ")
            .and_then(|rest| rest.strip_suffix(" (id 2), 2 online, lobby 1-0"))
            .unwrap_or_else(|| panic!("{name:?}: {answer}"));
        assert!((1..=32).contains(&shown.chars().count()), "{shown:?}");
        let again = story(format!("cat opens as {shown}"));
        assert_eq!(again, "cat < 0 refused name_taken in username", "{name:?}");
        let same = story(format!("bob asks 1 hello {shown}"));
        assert!(same.starts_with("bob < 1 welcome"), "{name:?}: {same}");
        let list = story("ann asks 1 list".to_owned());
        assert!(list.contains(shown), "{name:?}: {list}");
        let after = story(format!("ann asks 2 list limit 1 after {shown}"));
        assert!(!after.contains(shown), "{name:?}: {after}");
        story(format!("ann asks 3 watch {}", shown.replace(' ', "\u{a0}")));
    }
}

#[test]
fn a_name_that_looks_like_that_of_somebody_online_is_refused() {
    let mut room = Room::new(durable(0));
    room.run("ann opens as alice");
    room.run("eve opens");
    for typed in ["\u{430}lice", "ALIC\u{435}", "al\u{456}ce"] {
        let lines = room.run(&format!("eve asks 1 hello {typed}"));
        assert!(lines[0].contains("name_taken"), "{typed}: {lines:?}");
    }
    // Its look is free again with the name itself, and then it is the other one that is refused.
    room.run("ann closes");
    let lines = room.run("eve asks 2 hello \u{430}lice");
    assert!(
        lines[0].contains("name_taken"),
        "she may be back: {lines:?}"
    );
    room.run("wait 11000 ms");
    let lines = room.run("eve asks 3 hello \u{430}lice");
    assert!(lines[0].contains("signed in"), "{lines:?}");
    room.run("bob opens");
    let lines = room.run("bob asks 1 hello alice");
    assert!(lines[0].contains("name_taken"), "{lines:?}");
    room.run("eve asks 4 exit");
    let lines = room.run("bob asks 2 hello alice");
    assert!(lines[0].contains("signed in"), "{lines:?}");
}
