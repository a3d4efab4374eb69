//! How many files this process may have open.

use std::io;

use crate::failure::Failure;

/// As many as `need`.
///
/// # Errors
/// The system does not let this user have so many.
pub fn at_least(need: u64) -> Result<(), Failure> {
    let limit = limit()?;
    if limit.rlim_cur >= need {
        return Ok(());
    }
    if limit.rlim_max < need {
        let have = limit.rlim_max;
        return Err(Failure::Files { have, need });
    }
    set(need, limit)
}

/// As many as there may be.
///
/// # Errors
/// The system's.
pub fn all() -> Result<(), Failure> {
    let limit = limit()?;
    set(limit.rlim_max, limit)
}

fn limit() -> Result<libc::rlimit, Failure> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // It takes a pointer to a struct that lives until it returns.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(system()),
    }
}

fn set(count: u64, limit: libc::rlimit) -> Result<(), Failure> {
    let limit = libc::rlimit {
        rlim_cur: count,
        ..limit
    };
    // The same holds.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
        0 => Ok(()),
        _ => Err(system()),
    }
}

fn system() -> Failure {
    Failure::System(
        "asking how many files may be open",
        io::Error::last_os_error(),
    )
}
