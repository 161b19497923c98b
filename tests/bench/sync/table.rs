//! What was measured, as a table for `docs/dev/performance.md`.

use super::measure::Cost;
use super::memory::{Memory, Usage};

/// One row: the same work done by plain git and by this program.
pub(crate) struct Row {
    pub(crate) workspace: String,
    pub(crate) plain: Option<Cost>,
    pub(crate) ccsync: Cost,
    /// The most that this program may take, as a multiple of plain git.
    pub(crate) bound: Option<f64>,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        Some(self.ccsync.seconds / self.plain?.seconds)
    }

    fn misses(&self) -> bool {
        matches!((self.ratio(), self.bound), (Some(ratio), Some(bound)) if ratio > bound)
    }
}

/// Something that must hold beside the times.
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) found: String,
    pub(crate) holds: bool,
}

pub(crate) struct Results {
    bounded: bool,
    rows: Vec<Row>,
    checks: Vec<Check>,
}

impl Results {
    /// Nothing yet. The bounds are meant for work of a certain size; `bounded` says
    /// whether this is of it.
    pub(crate) fn new(bounded: bool) -> Self {
        Self {
            bounded,
            rows: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Adds a row, and says so: the whole takes minutes.
    pub(crate) fn row(
        &mut self,
        workspace: impl Into<String>,
        plain: impl Into<Option<Cost>>,
        ccsync: Cost,
        bound: impl Into<Option<f64>>,
    ) {
        let row = Row {
            workspace: workspace.into(),
            plain: plain.into(),
            ccsync,
            bound: bound.into().filter(|_| self.bounded),
        };
        let against = row.plain.map_or_else(String::new, |plain| {
            format!(", plain git {} s", seconds(plain.seconds))
        });
        println!(
            "measured: {}: {} s{against}",
            row.workspace,
            seconds(ccsync.seconds)
        );
        self.rows.push(row);
    }

    pub(crate) fn check(&mut self, what: impl Into<String>, found: impl Into<String>, holds: bool) {
        self.checks.push(Check {
            what: what.into(),
            found: found.into(),
            holds,
        });
    }

    /// The most memory that any row needed.
    pub(crate) fn memory(&self) -> Usage {
        self.rows.iter().fold(Usage::default(), |usage, row| {
            usage.or_more(row.ccsync.usage)
        })
    }

    /// What misses its bound.
    pub(crate) fn missed(&self) -> Vec<&str> {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.misses())
            .map(|row| row.workspace.as_str());
        rows.chain(
            self.checks
                .iter()
                .filter(|check| !check.holds)
                .map(|check| check.what.as_str()),
        )
        .collect()
    }

    pub(crate) fn print(&self) {
        if !self.rows.is_empty() {
            println!(
                "\n| work | plain git s | ccsync s | ratio | bound | ccsync MB | its git MB |\n|---|---|---|---|---|---|---|"
            );
        }
        for row in &self.rows {
            let plain = row.plain.map_or_else(dash, |plain| seconds(plain.seconds));
            let ratio = row.ratio().map_or_else(dash, |ratio| {
                format!("{ratio:.2}{}", if row.misses() { " (missed)" } else { "" })
            });
            let bound = row.bound.map_or_else(dash, |bound| format!("{bound}"));
            let (time, Usage { own, git }) = (seconds(row.ccsync.seconds), row.ccsync.usage);
            println!(
                "| {} | {plain} | {time} | {ratio} | {bound} | {} | {} |",
                row.workspace,
                memory(own),
                memory(git)
            );
        }
        if !self.checks.is_empty() {
            println!("\n| check | found | |\n|---|---|---|");
        }
        for Check { what, found, holds } in &self.checks {
            println!(
                "| {what} | {found} | {} |",
                if *holds { "holds" } else { "missed" }
            );
        }
        println!();
    }
}

fn dash() -> String {
    "–".to_owned()
}

pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        10.0.. => format!("{seconds:.1}"),
        1.0.. => format!("{seconds:.2}"),
        _ => format!("{seconds:.3}"),
    }
}

/// Resident, and in brackets without what is mapped from files.
fn memory(memory: Memory) -> String {
    if memory.resident == 0 {
        dash()
    } else {
        format!(
            "{} ({})",
            megabytes(memory.resident),
            megabytes(memory.anonymous)
        )
    }
}

pub(crate) fn megabytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 10.0 {
        format!("{megabytes:.1}")
    } else {
        format!("{megabytes:.0}")
    }
}
