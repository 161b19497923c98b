//! The measurements as tables for `docs/dev/performance.md`.

use super::measure::Pairs;
use super::memory::{Memory, Usage};
use super::servers::trace::Started;
use super::transport::Kind;

/// The same work done by plain git and by this program, over one transport.
struct Row {
    work: String,
    transport: Kind,
    pairs: Pairs,
    /// Maximum time of ccsync, as a multiple of plain git.
    bound: Option<f64>,
}

impl Row {
    fn misses(&self) -> bool {
        self.bound.is_some_and(|bound| self.pairs.ratio() > bound)
    }
}

/// A condition besides the times.
struct Check {
    what: String,
    found: String,
    holds: bool,
}

/// Processes and connections of a command.
struct Count {
    what: String,
    transport: Kind,
    plain: Started,
    ccsync: Started,
}

pub(crate) struct Results {
    bounded: bool,
    transport: Kind,
    rows: Vec<Row>,
    checks: Vec<Check>,
    counts: Vec<Count>,
}

impl Results {
    /// Creates empty results. The bounds are meant for work of a certain size; `bounded`
    /// is true if this is of that size.
    pub(crate) fn new(bounded: bool) -> Self {
        Self {
            bounded,
            transport: Kind::Disk,
            rows: Vec::new(),
            checks: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// Sets the transport of the measurements that follow.
    pub(crate) fn over(&mut self, transport: Kind) {
        self.transport = transport;
    }

    /// Adds a row, and prints it: the whole takes minutes.
    pub(crate) fn row(
        &mut self,
        work: impl Into<String>,
        pairs: Pairs,
        bound: impl Into<Option<f64>>,
    ) {
        let row = Row {
            work: work.into(),
            transport: self.transport,
            pairs,
            bound: bound.into().filter(|_| self.bounded),
        };
        println!(
            "measured over {}: {}: {} s, plain git {} s, ratio {:.2}",
            row.transport.name(),
            row.work,
            seconds(row.pairs.ccsync().seconds),
            seconds(row.pairs.plain().seconds),
            row.pairs.ratio(),
        );
        self.rows.push(row);
    }

    pub(crate) fn check(&mut self, what: impl Into<String>, found: impl Into<String>, holds: bool) {
        self.checks.push(Check {
            what: format!("{}: {}", self.transport.name(), what.into()),
            found: found.into(),
            holds,
        });
    }

    /// Adds the processes and connections of a command.
    pub(crate) fn count(&mut self, what: impl Into<String>, plain: Started, ccsync: Started) {
        self.counts.push(Count {
            what: what.into(),
            transport: self.transport,
            plain,
            ccsync,
        });
    }

    /// Returns the highest memory of all rows.
    pub(crate) fn memory(&self) -> Usage {
        self.rows.iter().fold(Usage::default(), |usage, row| {
            usage.or_more(row.pairs.ccsync().usage)
        })
    }

    /// Names the rows and checks that miss their bound.
    pub(crate) fn missed(&self) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.misses());
        let rows = rows.map(|row| format!("{}: {}", row.transport.name(), row.work));
        let checks = self.checks.iter().filter(|check| !check.holds);
        rows.chain(checks.map(|check| check.what.clone())).collect()
    }

    pub(crate) fn print(&self) {
        self.print_rows();
        if !self.checks.is_empty() {
            println!("\n| check | found | |\n|---|---|---|");
        }
        for Check { what, found, holds } in &self.checks {
            println!(
                "| {what} | {found} | {} |",
                if *holds { "holds" } else { "missed" }
            );
        }
        if !self.counts.is_empty() {
            println!(
                "\n| command | transport | connections: plain git, ccsync | \
                 git processes: plain git, ccsync | started by ccsync |\n|---|---|---|---|---|"
            );
        }
        for Count {
            what,
            transport,
            plain,
            ccsync,
        } in &self.counts
        {
            println!(
                "| {what} | {} | {}, {} | {}, {} | {} |",
                transport.name(),
                plain.connections,
                ccsync.connections,
                plain.processes,
                ccsync.processes,
                commands(ccsync)
            );
        }
        println!();
    }

    /// Prints one line for each work, with a group of columns for each transport.
    fn print_rows(&self) {
        let (mut transports, mut works) = (Vec::new(), Vec::new());
        for row in &self.rows {
            if !transports.contains(&row.transport) {
                transports.push(row.transport);
            }
            if !works.contains(&&row.work) {
                works.push(&row.work);
            }
        }
        if works.is_empty() {
            return;
        }
        let heads = transports.iter().map(|transport| {
            let name = transport.name();
            format!(" {name}: plain git s | ccsync s | ratio |")
        });
        println!(
            "\n| work | bound |{} ccsync MB | its git MB |",
            heads.collect::<String>()
        );
        println!(
            "|---|---|{}---|---|",
            "---|---|---|".repeat(transports.len())
        );
        for work in works {
            self.print_work(work, &transports);
        }
    }

    fn print_work(&self, work: &str, transports: &[Kind]) {
        let rows = self.rows.iter().filter(|row| row.work == work);
        let bound = rows.clone().find_map(|row| row.bound);
        let (mut line, mut usage) = (String::new(), Usage::default());
        for transport in transports {
            match rows.clone().find(|row| row.transport == *transport) {
                None => line += " – | – | – |",
                Some(row) => {
                    let missed = if row.misses() { " (missed)" } else { "" };
                    let ccsync = row.pairs.ccsync();
                    line += &format!(
                        " {} | {} | {:.2}{missed} |",
                        seconds(row.pairs.plain().seconds),
                        seconds(ccsync.seconds),
                        row.pairs.ratio()
                    );
                    usage = usage.or_more(ccsync.usage);
                }
            }
        }
        println!(
            "| {work} | {} |{line} {} | {} |",
            bound.map_or_else(dash, |bound| bound.to_string()),
            memory(usage.own),
            memory(usage.git)
        );
    }
}

/// Names the git commands that a command started itself.
pub(crate) fn commands(started: &Started) -> String {
    if started.commands.is_empty() {
        "nothing".to_owned()
    } else {
        format!("`git {}`", started.commands.join("`, `git "))
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

/// Returns a time in milliseconds, with one digit.
#[cfg(unix)]
pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.1}", seconds * 1e3)
}

/// Returns the resident memory, and in brackets the part without mapped files.
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
