//! Where reports go: looked at before a run that may take hours, written after it.
//!
//! Knows of a report only that it is JSON and a page.

use std::fs::{self, OpenOptions};
use std::path::Path;

use crate::args::Options;
use crate::failure::Failure;
use crate::page;
use crate::report::Report;

/// Whether the files can be written; leaves everything as it was.
///
/// # Errors
/// One cannot.
pub fn check(options: &Options) -> Result<(), Failure> {
    let mut all = options.json.iter().chain(&options.html);
    all.try_for_each(|path| check_one(path))
}

/// Writes those that are asked for.
///
/// # Errors
/// One cannot be written.
pub fn save(options: &Options, report: &Report) -> Result<(), Failure> {
    let write = |path: &Path, text: &str| {
        fs::write(path, text).map_err(|error| Failure::Report(path.to_owned(), error))
    };
    if let Some(path) = &options.json {
        let mut json = serde_json::to_string_pretty(report)
            .map_err(|error| Failure::Report(path.clone(), error.into()))?;
        json.push('\n');
        write(path, &json)?;
    }
    if let Some(path) = &options.html {
        write(path, &page::page(report))?;
    }
    Ok(())
}

fn check_one(path: &Path) -> Result<(), Failure> {
    let failure = |error| Failure::Report(path.to_owned(), error);
    let there = path.metadata();
    // Whoever reads from a pipe would take the end of this for the end of the report.
    if there
        .as_ref()
        .is_ok_and(|one| !one.is_file() && !one.is_dir())
    {
        return Ok(());
    }
    let mut open = OpenOptions::new();
    open.create(true).append(true).open(path).map_err(failure)?;
    match there {
        Ok(_) => Ok(()),
        Err(_) => fs::remove_file(path).map_err(failure),
    }
}
