//! The floors of the house, and the rule that imports go down only.

use crate::Finding;
use crate::source::Source;

/// Every module below the root, and its floor. A module may name those on floors below its own
/// and nothing beside it; on the top floor, where the parts are put together, also what is beside
/// it.
pub const FLOORS: &[(&str, u8)] = &[
    ("main", 5),
    ("cli", 5),
    ("app", 5),
    ("edge", 4),
    ("grpc", 4),
    ("cluster", 4),
    ("mail", 4),
    ("signals", 4),
    ("logging", 4),
    ("event_loop", 3),
    ("conn", 2),
    ("wire", 2),
    ("store", 2),
    ("auth", 2),
    ("page", 2),
    ("chat", 1),
    ("ids", 0),
    ("limits", 0),
    ("clock", 0),
    ("metrics", 0),
];

const TOP: u8 = 5;

/// What the swarm may use of the library. It is a client: what the server is made of is none of
/// its business, or it would judge the server by the server's own opinion. (The other direction
/// needs no rule; its modules are a program's, which nobody can import.)
const SWARM: &[&str] = &["conn", "wire", "clock", "ids", "limits", "metrics"];

/// The swarm is every file in `load/` but the benchmarks, which are about the server's parts.
pub fn the_swarm_is_a_client(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("load/") || source.path.starts_with("load/bench/") {
        return Vec::new();
    }
    let foreign = source.paths.iter().filter_map(|path| {
        let module = path.segments.get(1)?;
        let of_library = path.segments[0] == "kith" && !SWARM.contains(&module.as_str());
        of_library.then(|| source.finding(path.line, format!("the swarm knows no `{module}`")))
    });
    foreign.collect()
}

/// `use` in all its forms, paths inside expressions, `super::` up to the root.
pub fn imports_go_down(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("src/") || source.path == "src/lib.rs" {
        return Vec::new();
    }
    let Some(from) = source.module() else {
        return Vec::new();
    };
    let Some(floor) = floor(from) else {
        return vec![source.finding(1, no_floor(from))];
    };
    let mut found = Vec::new();
    for root in ["crate", "super"] {
        let renamed = source.sequences(&[root, "as"]);
        found.extend(renamed.into_iter().map(|(line, _)| {
            source.finding(line, format!("`{root} as`: the root under another name"))
        }));
    }
    for path in &source.paths {
        let Some(to) = below_root(source, &path.segments, path.nested) else {
            continue;
        };
        let what = match self::floor(&to) {
            _ if to == from => continue,
            Some(other) if other < floor || (floor == TOP && other == TOP) => continue,
            Some(other) if other == floor => format!("{from} looks sideways at {to}"),
            Some(_) => format!("{from} looks up at {to}"),
            None => no_floor(&to),
        };
        found.push(source.finding(path.line, what));
    }
    found
}

fn no_floor(module: &str) -> String {
    format!("`{module}` has no floor in tests/tidy/floors.rs")
}

fn floor(module: &str) -> Option<u8> {
    let row = FLOORS.iter().find(|(name, _)| *name == module);
    row.map(|(_, floor)| *floor)
}

/// The module below the root that this path goes through, if it goes by way of the root.
fn below_root(source: &Source, segments: &[String], nested: usize) -> Option<String> {
    let up = |segment: &&String| matches!(segment.as_str(), "super" | "self");
    let below = match segments.first()?.as_str() {
        // `$crate` in a macro is `crate` as well.
        "crate" | "kith" => 1,
        "super" | "self" => {
            let ups = segments
                .iter()
                .take_while(up)
                .filter(|s| *s == "super")
                .count();
            if ups < source.module_path().len() + nested {
                return None;
            }
            segments.iter().take_while(up).count()
        }
        _ => return None,
    };
    // A `*` here is everything in the root, and has no floor.
    segments.get(below).cloned()
}
