//! What happened to a run, and when: the lines across its plots.

use kith::clock::Moment;
use serde::Serialize;

use crate::bounds::MARKS;

macro_rules! marks {
    ($( $variant:ident $name:literal $help:literal; )+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mark {
            $( #[doc = $help] $variant, )+
        }

        impl Mark {
            /// All of them.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// What it means.
            pub const fn help(self) -> &'static str {
                match self { $( Self::$variant => $help, )+ }
            }
        }
    };
}

marks! {
    Talking "talking" "Everybody is in, and messages begin to be due.";
    Said "said" "The last message was due.";
    Wave "wave" "Many clients are cut, or come, at once.";
    Drained "drained" "The server was asked to end in good order.";
    Killed "killed" "The server was killed.";
    Restarted "restarted" "Another process has taken the server's place.";
}

/// Marks, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    list: Vec<(Moment, Mark)>,
    left_out: u64,
}

/// A mark as a report has it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MarkTold {
    /// In seconds since the first connection.
    pub at_s: f64,
    /// Its name.
    pub what: &'static str,
}

impl Marks {
    /// Makes one. Of too many only the number is kept.
    pub fn push(&mut self, now: Moment, mark: Mark) {
        if self.list.len() < MARKS {
            self.list.push((now, mark));
        } else {
            self.left_out += 1;
        }
    }

    /// The last one that was kept.
    pub fn last(&self) -> Option<(Moment, Mark)> {
        self.list.last().copied()
    }

    /// How many were too many.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// These and others, in order of time.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut list = [&self.list[..], &other.list[..]].concat();
        list.sort_by_key(|(at, _)| *at);
        Self {
            list,
            left_out: self.left_out + other.left_out,
        }
    }

    /// As a report has them.
    pub fn told(&self) -> Vec<MarkTold> {
        let told = |(at, mark): &(Moment, Mark)| MarkTold {
            at_s: at.since(Moment(0)).as_secs_f64(),
            what: mark.name(),
        };
        self.list.iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_kept_in_order_of_time_and_bounded() {
        let (mut some, mut others) = (Marks::default(), Marks::default());
        some.push(Moment(1_000_000_000), Mark::Talking);
        some.push(Moment(3_000_000_000), Mark::Said);
        others.push(Moment(2_000_000_000), Mark::Killed);
        let both = some.with(&others);
        let told: Vec<_> = both.told().iter().map(|m| (m.at_s, m.what)).collect();
        assert_eq!(told, [(1.0, "talking"), (2.0, "killed"), (3.0, "said")]);
        assert_eq!(both.last(), Some((Moment(3_000_000_000), Mark::Said)));
        (0..MARKS).for_each(|_| some.push(Moment(4), Mark::Wave));
        assert_eq!((some.told().len(), some.left_out()), (MARKS, 2));
    }
}
