//! What lies in the repository: nothing that was not agreed on, and nothing that ties it to the
//! machine where it was written.

use std::fs;
use std::path::Path;

use crate::Finding;

/// What may lie at the top.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    "proto",
    "src",
    "load",
    "tests",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    ".gitignore",
    ".ci",
    ".git",
];

/// Every file below `root` that is not ignored, as a path with `/` and its bytes; in order.
pub fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let ignored: Vec<&str> = ignored
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let mut found = Vec::new();
    walk(root, "", &ignored, &mut found);
    found
}

fn walk(folder: &Path, prefix: &str, ignored: &[&str], found: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        // `/a` is that path, `a` is that name anywhere; no other patterns are used.
        let rooted = format!("/{path}");
        if path == ".git" || ignored.iter().any(|line| *line == rooted || *line == name) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{path}/"), ignored, found);
        } else {
            // A link that leads nowhere has no bytes.
            found.push((path, fs::read(entry.path()).unwrap_or_default()));
        }
    }
}

/// Nothing at the top but what belongs there.
pub fn top_level(files: &[(String, Vec<u8>)]) -> Vec<Finding> {
    let mut strangers: Vec<&str> = files
        .iter()
        .map(|(path, _)| path.split('/').next().unwrap_or(path))
        .filter(|name| !TOP.contains(name))
        .collect();
    strangers.dedup();
    let what = || "does not belong at the top".to_owned();
    strangers
        .into_iter()
        .map(|name| finding(name, 1, what()))
        .collect()
}

/// No path of somebody's machine, no address of a registry or of its mirror.
pub fn portable(path: &str, text: &str) -> Vec<Finding> {
    // In two pieces each, so that this file may be looked at as well.
    let homes = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/Use", "rs/"),
    ];
    let registries = [
        concat!("crates.io", "/api"),
        concat!("static.", "crates.io"),
        concat!("index.", "crates.io"),
        concat!("registry.", "npmjs"),
        concat!("registry.", "yarnpkg"),
        concat!("files.", "pythonhosted"),
        concat!("pypi.org", "/simple"),
        concat!("deb.", "debian.org"),
        concat!("proxy.", "golang.org"),
    ];
    let lock = path.ends_with("package-lock.json");
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for home in homes {
            if line
                .match_indices(home)
                .any(|(at, _)| begins_a_path(&line[..at]))
            {
                found.push(finding(
                    path,
                    at + 1,
                    format!("`{home}` is a place on one machine"),
                ));
            }
        }
        for registry in registries
            .into_iter()
            .filter(|registry| line.contains(registry))
        {
            found.push(finding(
                path,
                at + 1,
                format!("`{registry}`: clients know their registry"),
            ));
        }
        if lock && line.contains("\"resolved\"") {
            let what = "`resolved` ties a lock file to one registry".to_owned();
            found.push(finding(path, at + 1, what));
        }
    }
    found
}

/// `.ci/work/` and `https://a/home/` have something in front.
fn begins_a_path(before: &str) -> bool {
    let last = before.chars().next_back();
    !last.is_some_and(|c| c.is_alphanumeric() || "._-}$/*".contains(c))
}

fn finding(path: &str, line: usize, what: String) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        what,
    }
}
