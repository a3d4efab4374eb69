//! One look at a process: CPU time by thread, memory, files, from `/proc` (`proc(5)`).
//!
//! Linux only, like everything that is read here. Knows one process at one moment; what became of
//! it since is added up in `mod.rs`.

use std::fs;
use std::io;
use std::time::Duration;

/// A process at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// When it began, in ticks since the machine did. With its number this names a process.
    pub began: u64,
    /// Its threads, by number.
    pub threads: Vec<Thread>,
    /// Resident memory, in bytes.
    pub resident: u64,
}

/// A thread at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub id: u32,
    /// Its name, of at most 15 bytes; that of the first one is the program's.
    pub name: String,
    /// Since it began.
    pub spent: Spent,
}

/// What threads have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Time on a core.
    pub cpu: Cpu,
    /// How often they had to wait for something.
    pub voluntary: u64,
    /// How often somebody else was put on their core.
    pub involuntary: u64,
}

/// Time on a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In the program.
    pub user: Duration,
    /// In the kernel, on the program's behalf.
    pub kernel: Duration,
}

/// What costs more than a look each second: the kernel walks all pages for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Resident memory, in bytes.
    pub resident: u64,
    /// Memory, where each page counts as a share among all who map it; `None` where this process
    /// may not know, as with somebody else's.
    pub proportional: Option<u64>,
    /// Open files; `None` where this process may not know.
    pub files: Option<u64>,
}

/// What the machine counts in.
#[derive(Clone, Copy, Debug)]
struct Units {
    ticks_per_second: u64,
    page: u64,
}

/// What stands in a `stat` file, of a process or of a thread.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    alive: bool,
    cpu: Cpu,
    began: u64,
}

/// Looks at a process.
///
/// # Errors
/// There is none of this number (or it has ended, and only its parent has not noticed), or it may
/// not be looked at.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let units = Units::of_this_machine();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let unreadable = || io::Error::other("its /proc entry cannot be read");
    let stat = parse_stat(&stat, units).ok_or_else(unreadable)?;
    if !stat.alive {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has ended"));
    }
    let pages: Option<u64> = statm.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))?;
    let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    // A thread that ends meanwhile is counted with the process.
    let mut threads: Vec<Thread> = ids.filter_map(|id| thread(pid, id, units)).collect();
    threads.sort_by_key(|thread| thread.id);
    Ok(Usage {
        began: stat.began,
        threads,
        resident: pages.ok_or_else(unreadable)? * units.page,
    })
}

/// Looks at what a process holds.
///
/// # Errors
/// As [`usage`].
pub fn holdings(pid: u32) -> io::Result<Holdings> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let rollup = rollup.ok();
    let proportional = rollup.as_deref().and_then(|text| field(text, "Pss:"));
    Ok(Holdings {
        resident: usage(pid)?.resident,
        proportional: proportional.map(|kibibytes| kibibytes * 1024),
        files: files(pid).ok(),
    })
}

impl Usage {
    /// How long ago it began, to a hundredth of a second.
    pub fn age(&self) -> Option<Duration> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let began = self.began as f64 / Units::of_this_machine().ticks_per_second as f64;
        Duration::try_from_secs_f64(uptime - began).ok()
    }
}

impl Spent {
    /// These and those.
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu: Cpu {
                user: self.cpu.user + other.cpu.user,
                kernel: self.cpu.kernel + other.cpu.kernel,
            },
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
        }
    }

    /// These without those of an earlier moment.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.since(earlier.cpu),
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }
}

impl Cpu {
    /// Both together.
    pub fn total(self) -> Duration {
        self.user + self.kernel
    }

    /// This without that of an earlier moment.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }

    /// Ticks tell the two apart, and are a hundredth of a second; the scheduler's clock tells
    /// nanoseconds, and not which. So the second is divided as the first is.
    fn precise(self, total: Duration) -> Self {
        let ticks = self.total().as_secs_f64();
        if ticks <= 0.0 {
            let (user, kernel) = (total, Duration::ZERO);
            return Self { user, kernel };
        }
        let user = total.mul_f64(self.user.as_secs_f64() / ticks).min(total);
        let kernel = total - user;
        Self { user, kernel }
    }
}

impl Units {
    fn of_this_machine() -> Self {
        // Neither call has a precondition.
        let (ticks, page) = unsafe {
            (
                libc::sysconf(libc::_SC_CLK_TCK),
                libc::sysconf(libc::_SC_PAGESIZE),
            )
        };
        Self {
            ticks_per_second: ticks.max(1) as u64,
            page: page.max(1) as u64,
        }
    }
}

fn thread(pid: u32, id: u32, units: Units) -> Option<Thread> {
    let read = |what| fs::read_to_string(format!("/proc/{pid}/task/{id}/{what}"));
    let stat = parse_stat(&read("stat").ok()?, units)?;
    let status = read("status").ok()?;
    // Not in every kernel.
    let schedule = read("schedstat").ok();
    let nanos = schedule.and_then(|text| text.split_whitespace().next()?.parse().ok());
    Some(Thread {
        id,
        name: read("comm").ok()?.trim_end().to_owned(),
        spent: Spent {
            cpu: match nanos {
                Some(nanos) => stat.cpu.precise(Duration::from_nanos(nanos)),
                None => stat.cpu,
            },
            voluntary: field(&status, "voluntary_ctxt_switches:").unwrap_or(0),
            involuntary: field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0),
        },
    })
}

/// The number behind a name that begins a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn parse_stat(stat: &str, units: Units) -> Option<Stat> {
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    // `proc_pid_stat(5)` counts from 1, and two fields stand before these.
    let number = |field: usize| words.get(field - 3)?.parse::<u64>().ok();
    let time = |ticks| Duration::from_nanos(ticks * 1_000_000_000 / units.ticks_per_second);
    Some(Stat {
        alive: !matches!(*words.first()?, "Z" | "X"),
        cpu: Cpu {
            user: time(number(14)?),
            kernel: time(number(15)?),
        },
        began: number(22)?,
    })
}

/// How many files a process has open.
fn files(pid: u32) -> io::Result<u64> {
    let folder = format!("/proc/{pid}/fd");
    // Since Linux 6.2 the folder's size says it; before, it was 0.
    match fs::metadata(&folder)?.len() {
        0 => Ok(fs::read_dir(folder)?.count() as u64),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: Units = Units {
        ticks_per_second: 100,
        page: 4096,
    };

    #[test]
    fn the_fields_are_where_the_manual_says() {
        let stat = "7 (a) b)) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 5 0 99 1000 300";
        let cpu = Cpu {
            user: Duration::from_millis(1500),
            kernel: Duration::from_millis(500),
        };
        let (alive, began) = (true, 99);
        let expected = Stat { alive, cpu, began };
        assert_eq!(parse_stat(stat, UNITS), Some(expected));
        let zombie = stat.replace(" S ", " Z ");
        assert!(!parse_stat(&zombie, UNITS).unwrap().alive);
        assert_eq!(parse_stat("7 (a) S", UNITS), None);
        let status = "Pss:\t  12 kB\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n";
        assert_eq!(field(status, "Pss:"), Some(12));
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(3));
        assert_eq!(field(status, "Rss:"), None);
        // Three quarters in the program, whatever the whole is.
        let precise = cpu.precise(Duration::from_millis(2008));
        assert_eq!(precise.user, Duration::from_millis(1506));
        assert_eq!(precise.total(), Duration::from_millis(2008));
        let short = Cpu::default().precise(Duration::from_millis(3));
        assert_eq!(short.total(), Duration::from_millis(3));
    }

    #[test]
    fn this_very_process_can_be_looked_at() {
        let this = std::process::id();
        let named = std::thread::Builder::new().name("looked-at".to_owned());
        let (tell, wait) = std::sync::mpsc::channel::<()>();
        let thread = named.spawn(move || wait.recv()).unwrap();
        // The name is the thread's own doing, so it may not have one yet.
        let found = loop {
            let found = usage(this).unwrap();
            if found
                .threads
                .iter()
                .any(|thread| thread.name == "looked-at")
            {
                break found;
            }
            std::thread::yield_now();
        };
        drop(tell);
        assert!(thread.join().unwrap().is_err());
        assert!(found.resident > 0);
        // Nobody began before the machine did, or will have begun later than now.
        assert!(found.age().is_some());
        assert!(
            found
                .threads
                .iter()
                .any(|t| t.spent.cpu.total() > Duration::ZERO)
        );
        let holdings = holdings(this).unwrap();
        assert!(holdings.resident > 0 && holdings.files > Some(2));
        assert!(usage(u32::MAX).is_err());
    }
}
