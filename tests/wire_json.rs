//! What a client can write as JSON, and what we make of it: row 26 of the list of attacks. Cases
//! follow the naming of JSONTestSuite: y_ must be taken, n_ must not, i_ is ours to decide.

#![allow(clippy::unwrap_used)]

mod wire_check;

use kith::chat::command::Command;
use kith::chat::refusal::ErrorCode;
use kith::ids::Seq;
use kith::limits::TEXT_BYTES;
use kith::wire::Payload;
use wire_check::check;

fn code(text: &str) -> Option<ErrorCode> {
    check(Payload::Text(text)).err().map(|bad| bad.refusal.code)
}

/// Values that RFC 8259 does not know.
const NO_JSON: &[&str] = &[
    "[1 true]",
    "[a]",
    "[\"\": 1]",
    "[\"\"],",
    "[,1]",
    "[1,,2]",
    "[1,]",
    "[\"x\"",
    "[x",
    "[3[4]]",
    "[\"a\",\n4\n,1,",
    "[*]",
    "[1:2]",
    "]",
    "[",
    "[]]",
    "[nul]",
    "nul",
    "True",
    "tru",
    "FALSE",
    "+1",
    "01",
    "-01",
    "-",
    "-.5",
    ".5",
    "2.",
    "2.e3",
    "1e",
    "1e+",
    "1E-",
    "1eE2",
    "0x1F",
    "1_000",
    "1 000",
    "Infinity",
    "-Infinity",
    "NaN",
    "１",
    "1e999",
    "-1e999",
    "0e",
    "1.2.3",
    "- 1",
    "++1",
    "\"",
    "\"\\\"",
    "\"\\x00\"",
    "\"\\u\"",
    "\"\\u00\"",
    "\"\\u00G0\"",
    "\"\\U0041\"",
    "\"\\a\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800\\u0041\"",
    "\"\\ud800\\ud800\"",
    "\"\\ud800x\"",
    "\"\\uD800\\\"",
    "\"a\nb\"",
    "\"a\tb\"",
    "\"a\u{0}b\"",
    "\"\u{1f}\"",
    "'a'",
    "a",
    "\\u0022a\"",
    "{",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\",1}",
    "{\"a\":1,}",
    "{\"a\":1,,}",
    "{a:1}",
    "{1:1}",
    "{'a':1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":/*1*/1}",
    "{\"a\":1}}",
    "{\"a\":1}#",
    "{:1}",
    "{\"a\":\"b\"}/**/",
    "{\"a\":1//\n}",
    "<null>",
    "\u{a0}1",
    "\u{feff}1",
    "\u{2028}1",
    "\u{c}1",
    "\u{0}",
    "",
    "undefined",
    "=",
    "@",
    "#",
    "1\u{0}",
];

#[test]
fn n_what_is_no_json_is_malformed_wherever_it_stands() {
    for value in NO_JSON {
        // As the frame, as a member that nothing else is wrong with, and where the first reading
        // stops before it.
        let whole = code(value);
        let named_first = value.starts_with('{') && whole == Some(ErrorCode::UnknownCommand);
        assert!(
            named_first || whole == Some(ErrorCode::Malformed),
            "{value:?}: {whole:?}"
        );
        let member = code(&format!("{{\"ping\":{{}},\"id\":{value}}}"));
        assert!(
            matches!(member, Some(ErrorCode::Malformed | ErrorCode::BadRequest)),
            "{value:?} as an id: {member:?}"
        );
        let text = code(&format!("{{\"talk\":{{\"text\":{value}}}}}"));
        assert!(
            matches!(text, Some(ErrorCode::Malformed | ErrorCode::BadRequest)),
            "{value:?} as a text: {text:?}"
        );
        let after = code(&format!("{{\"what\":1,\"ping\":{{}},\"id\":{value}}}"));
        assert_eq!(after, Some(ErrorCode::UnknownField), "{value:?}");
    }
}

#[test]
fn y_every_way_to_write_a_string_gives_the_string() {
    let longest = "x".repeat(TEXT_BYTES);
    let table = [
        ("", ""),
        ("a", "a"),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0060\u012a\u12AB", "`\u{12a}\u{12ab}"),
        (r"\u0000", "\0"),
        (r"\uD801\udc37", "\u{10437}"),
        (r"\ud83d\ude39\ud83d\udc8d", "\u{1f639}\u{1f48d}"),
        (r"\uDBFF\uDFFF", "\u{10ffff}"),
        (r"\uFFFF\uFDD0\uFEFF", "\u{ffff}\u{fdd0}\u{feff}"),
        (r"\\u0000", "\\u0000"),
        (r"\u005C\u0022", "\\\""),
        ("\u{7f}\u{80}", "\u{7f}\u{80}"),
        ("\u{2028}\u{2029}\u{202e}", "\u{2028}\u{2029}\u{202e}"),
        ("⍂㈴⍂€𝄞", "⍂㈴⍂€𝄞"),
        ("/*a*/ // #", "/*a*/ // #"),
        (&longest, &longest),
    ];
    for (written, meant) in table {
        let frame = format!("\t{{ \"talk\"\r\n:{{\"text\" : \"{written}\"}} }}\n ");
        let request = check(Payload::Text(&frame)).unwrap();
        let Command::Talk(talk) = request.command else {
            panic!("{frame} is a talk");
        };
        assert_eq!(talk.text, meant);
    }
}

#[test]
fn y_names_of_fields_may_be_escaped_and_written_as_in_the_proto_file() {
    for frame in [
        r#"{"\u0070ing":{}}"#,
        r#"{"id":"7","ping":{}}"#,
        r#"{"id":7,"key":"","ping":{}}"#,
        r#"{"key":"_-_-_-_-_-_-_-_-_-_-_A","ping":{}}"#,
        r#"{"key":"/+/+/+/+/+/+/+/+/+/+/A==","ping":{}}"#,
        r#"{"user_list":{"limit":"3"}}"#,
        r#"{"hello":{"guest_id":"","resume_secret":"","cursors":[]}}"#,
        r#"{"ping":null,"exit":null,"talk":{"text":"a"}}"#,
    ] {
        assert_eq!(code(frame), None, "{frame}");
    }
}

#[test]
fn i_what_a_reader_may_take_or_leave_we_refuse_by_name() {
    use ErrorCode::{BadKey, BadRequest, Malformed, UnknownCommand, UnknownField};
    for (frame, expected) in [
        (r#"{"id":1.0,"ping":{}}"#, BadRequest),
        (r#"{"id":1e0,"ping":{}}"#, BadRequest),
        (r#"{"id":-0,"ping":{}}"#, BadRequest),
        (r#"{"id":null,"ping":{}}"#, BadRequest),
        (r#"{"id":" 1","ping":{}}"#, BadRequest),
        (r#"{"id":"0x1","ping":{}}"#, BadRequest),
        (r#"{"talk":{"text":null}}"#, BadRequest),
        (r#"{"watch":{"names":[null]}}"#, BadRequest),
        (r#"{"watch":{"names":[["a"]]}}"#, BadRequest),
        (r#"{"hello":{"cursors":[[]]}}"#, BadRequest),
        (r#"{"hello":{"cursors":[null]}}"#, BadRequest),
        (r#"{"ping":[]}"#, BadRequest),
        (r#"{"ping":true}"#, BadRequest),
        (r#"{"key":"AAECAwQFBgcICQoLDA0ODx==","ping":{}}"#, BadKey),
        (r#"{"key":null,"ping":{}}"#, BadKey),
        (r#"{"ping":{},"ping":{}}"#, Malformed),
        (r#"{"ping":{},"id":1,"id":1}"#, Malformed),
        (r#"{"userList":{},"user_list":{}}"#, Malformed),
        (r#"{"talk":{"text":"a"},"exit":null}"#, Malformed),
        (r#"{"talk":{"to":"","\u0074o":""}}"#, Malformed),
        (r#"{"":{}}"#, UnknownCommand),
        (r#"{"PING":{}}"#, UnknownCommand),
        (r#"{"ping\u0000":{}}"#, UnknownCommand),
        (r#"{"__proto__":{},"ping":{}}"#, UnknownField),
        (r#"{"hello":{"cursors":[{"constructor":1}]}}"#, UnknownField),
        ("{}", UnknownCommand),
        ("null", Malformed),
        ("\"ping\"", Malformed),
    ] {
        assert_eq!(code(frame), Some(expected), "{frame}");
    }
}

#[test]
fn a_hundred_thousand_brackets_need_no_stack() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    let work = move || {
        for value in [
            deep("[", ""),
            deep("[", "]"),
            deep("{\"a\":", ""),
            deep("[{\"a\":", ""),
            deep("{\"talk\":", "}"),
            deep("{\"hello\":{\"cursors\":[", ""),
        ] {
            for frame in [
                value.clone(),
                format!("{{\"id\":{value}"),
                format!("{{\"key\":{value}"),
                format!("{{\"what\":{value}"),
                format!("{{\"what\":1,\"is\":{value},\"id\":5}}"),
                format!("{{\"talk\":{{\"text\":{value}"),
                format!("{{\"ping\":{value}"),
                format!("{{\"hello\":{{\"cursors\":{value}"),
            ] {
                assert!(code(&frame).is_some());
            }
        }
    };
    // Half of what a thread has. serde_json goes 128 deep at most, which a debug build feels; a
    // hundred thousand would need hundreds of times as much.
    let thread = std::thread::Builder::new().stack_size(1024 * 1024);
    thread.spawn(work).unwrap().join().unwrap();
}

/// Numbers at which something overflows, as text.
const EDGES: [&str; 12] = [
    "-9223372036854775809",
    "-1",
    "0",
    "1",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
];

#[test]
fn a_number_in_json_is_taken_up_to_its_bound_and_refused_beyond() {
    let table = [
        ("id", u128::from(u32::MAX), r#"{"id":#,"ping":{}}"#),
        (
            "userList.limit",
            u128::from(u32::MAX),
            r#"{"userList":{"limit":#}}"#,
        ),
        (
            "history.limit",
            u128::from(u32::MAX),
            r#"{"history":{"limit":#}}"#,
        ),
        (
            "history.before",
            u128::from(Seq::MAX.0),
            r#"{"history":{"before":#}}"#,
        ),
        (
            "history.after",
            u128::from(Seq::MAX.0),
            r#"{"history":{"after":#}}"#,
        ),
        (
            "hello.cursors[0].seq",
            u128::from(Seq::MAX.0),
            r#"{"hello":{"cursors":[{"seq":#}]}}"#,
        ),
        (
            "hello.cursors[0].tag",
            u128::from(u32::MAX),
            r#"{"hello":{"cursors":[{"tag":#}]}}"#,
        ),
    ];
    for (path, bound, frame) in table {
        for edge in EDGES {
            let fits = edge.parse::<u128>().is_ok_and(|number| number <= bound);
            for written in [edge.to_owned(), format!("\"{edge}\"")] {
                let frame = frame.replace('#', &written);
                let refusal = check(Payload::Text(&frame)).err().map(|bad| bad.refusal);
                let told = refusal
                    .as_ref()
                    .map(|refusal| (refusal.code, &*refusal.field));
                let expected = (!fits).then_some((ErrorCode::BadRequest, path));
                assert_eq!(told, expected, "{frame}: {refusal:?}");
            }
        }
    }
}
