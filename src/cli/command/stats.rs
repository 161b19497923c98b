//! `ccsync stats`: how much was pushed, by machine, project and day.

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::domain::history_point::{HistoryPoint, InvalidHistoryPoint};
use crate::history::stats::{Counts, DayCounts, NamedCounts, Stats, stats};
use crate::sys::{Clock, clock::to_local};
use crate::ui::{
    Cell, HEADING, QUIET, Table, format::bytes, format::count, format::project, sanitize::one_line,
    style::paint,
};

/// Days in the chart.
const DAYS: u64 = 28;

/// Heights of a column of the chart.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Count sessions, turns and pushes by machine and project
///
/// Counts what the store has, as of the last fetch. Times are those of the pushes, by the clock
/// of the machine that pushed.
#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// Only pushes since then: a date, a time, or a phrase such as "2 weeks ago"
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &StatsArgs, app: &mut App) -> Result<Exit, CliError> {
    let since = args.since.as_deref().map(|text| time(text, app));
    let stats = stats(&app.context()?, since.transpose()?)?;
    if args.json.json {
        // JSON document: the fields of `Stats`.
        app.print_json("stats", &stats)?;
    } else if stats.total == Counts::default() {
        app.out.note("stats: nothing was pushed");
    } else {
        let today = to_local(app.clock.now()).date_naive();
        app.print(&lines(&stats, today, app.out.width()))?;
    }
    Ok(Exit::Done)
}

fn time(text: &str, app: &App) -> Result<DateTime<Utc>, CliError> {
    match HistoryPoint::parse(text, &to_local(app.clock.now()))? {
        HistoryPoint::Time(time) => Ok(time),
        HistoryPoint::Commit(_) => Err(InvalidHistoryPoint::Unknown(text.to_owned()).into()),
    }
}

fn lines(stats: &Stats, today: NaiveDate, width: usize) -> Vec<String> {
    let name = |row: &NamedCounts| {
        row.name
            .as_deref()
            .map(one_line)
            .unwrap_or_default()
            .into_owned()
    };
    let place = |row: &NamedCounts| row.name.as_deref().map(project).unwrap_or_default();
    let mut table = Table::new(0, 0);
    table.row(heading("machine"));
    stats
        .machines
        .iter()
        .for_each(|row| table.row(cells(&name(row), &row.counts)));
    table.row(heading("project"));
    stats
        .projects
        .iter()
        .for_each(|row| table.row(cells(&place(row), &row.counts)));
    let mut lines = table.lines(width);
    lines.push(String::new());
    lines.push(format!("turns by day  {}", chart(&stats.days, today)));
    let total = &stats.total;
    lines.push(format!(
        "stats: {}, {}, {}, {}, {}",
        count(total.sessions, "session"),
        count(total.turns, "turn"),
        bytes(total.bytes),
        count_pushes(total.pushes),
        count(total.forks, "fork"),
    ));
    lines
}

fn count_pushes(pushes: u64) -> String {
    match pushes {
        1 => "1 push".to_owned(),
        pushes => format!("{pushes} pushes"),
    }
}

fn heading(of: &str) -> Vec<Cell> {
    let numbers = ["sessions", "turns", "size", "pushes", "forks"];
    let numbers = numbers
        .into_iter()
        .map(|text| Cell::right(text).style(HEADING));
    std::iter::once(Cell::new(of).style(HEADING))
        .chain(numbers)
        .collect()
}

fn cells(name: &str, counts: &Counts) -> Vec<Cell> {
    let name = if name.is_empty() { "(unknown)" } else { name };
    vec![
        Cell::new(name),
        Cell::right(counts.sessions.to_string()),
        Cell::right(counts.turns.to_string()),
        Cell::right(bytes(counts.bytes)),
        Cell::right(counts.pushes.to_string()),
        Cell::right(counts.forks.to_string()),
    ]
}

/// Draws one column for each of the last days, and says how high the highest one is.
fn chart(days: &[DayCounts], today: NaiveDate) -> String {
    let first = today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today);
    let turns: Vec<u64> = first
        .iter_days()
        .take(DAYS as usize)
        .map(|day| days.iter().find(|d| d.day == day).map_or(0, |d| d.turns))
        .collect();
    let highest = turns.iter().copied().max().unwrap_or_default();
    let column = |turns: &u64| match turns {
        0 => ' ',
        turns => {
            BARS[usize::try_from((turns * 8).div_ceil(highest) - 1)
                .unwrap_or(0)
                .min(7)]
        }
    };
    let columns: String = turns.iter().map(column).collect();
    let scale = format!("{DAYS} days, at most {highest} a day");
    format!("{columns}  {}", paint(QUIET, &scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_chart_has_one_column_a_day() {
        let today = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap();
        let day = |day: u32, turns: u64| DayCounts {
            day: NaiveDate::from_ymd_opt(2026, 3, day).unwrap(),
            turns,
            pushes: 1,
        };
        let chart = chart(&[day(1, 1), day(2, 800)], today);
        assert!(
            chart.starts_with(&format!("{}▁█  ", " ".repeat(26))),
            "{chart}"
        );
        assert!(chart.contains("at most 800 a day"), "{chart}");
    }
}
