//! Medians, and tables that a person can read.

// Each bench uses a part of this.
#![allow(dead_code)]

use std::fmt::Display;

/// The middle of several rounds. An even number of them gives the lower of the two.
pub fn median(rounds: &mut [f64]) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[(rounds.len() - 1) / 2]
}

/// Rows under a head, each column as wide as its widest cell, the first one to the left.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these heads.
    pub fn new(heads: &[&str]) -> Self {
        let heads = heads.iter().map(|&head| head.to_owned()).collect();
        Self { rows: vec![heads] }
    }

    /// One more row.
    pub fn row(&mut self, cells: &[&dyn Display]) {
        let cells = cells.iter().map(|cell| cell.to_string()).collect();
        self.rows.push(cells);
    }

    /// To standard output.
    pub fn print(&self) {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let wide = widths[column];
                match column {
                    0 => line.push_str(&format!("{cell:<wide$}")),
                    _ => line.push_str(&format!("  {cell:>wide$}")),
                }
            }
            println!("{line}");
        }
        println!();
    }
}

/// With one digit behind the point.
pub fn tenths(number: f64) -> String {
    format!("{number:.1}")
}

/// With three digits behind the point.
pub fn thousandths(number: f64) -> String {
    format!("{number:.3}")
}
