//! Which sessions are listed, apart from the filter. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::row::PickerRow;

/// Ages that a list can be limited to, in days.
const AGES: [i64; 3] = [1, 7, 30];

/// A choice that one key changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toggle {
    Projects,
    Branch,
    Machine,
    Age,
    Forks,
    Headless,
    Archived,
}

/// Directory and machine in which the picker runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The branch that is checked out.
    pub(crate) branch: Option<String>,
    /// Name of this machine.
    pub(crate) machine: String,
}

/// The sessions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ListView {
    /// Only those of the project of the current directory.
    only_project: bool,
    branch: Option<String>,
    machine: Option<String>,
    max_days: Option<i64>,
    without_forks: bool,
    /// Sessions without a terminal; Claude Code does not list them either.
    with_headless: bool,
    without_archived: bool,
}

impl ListView {
    /// Returns the first view of `rows`: those of this project, if there are any, and headless ones
    /// only if there are no others.
    pub(super) fn first(rows: &[PickerRow], all_projects: bool) -> Self {
        let with_headless = !rows.is_empty() && rows.iter().all(|row| row.is_headless);
        let is_here =
            |row: &PickerRow| row.is_of_this_project && (with_headless || !row.is_headless);
        Self {
            only_project: !all_projects && rows.iter().any(is_here),
            with_headless,
            ..Self::default()
        }
    }

    /// Returns true if the list contains the row.
    pub(super) fn accepts(&self, row: &PickerRow, now: DateTime<Utc>) -> bool {
        let is_recent = |days| {
            row.last_activity
                .is_some_and(|then| now - then < TimeDelta::days(days))
        };
        (!self.only_project || row.is_of_this_project)
            && self.branch.as_ref().is_none_or(|name| *name == row.branch)
            && self
                .machine
                .as_ref()
                .is_none_or(|name| *name == row.machine)
            && self.max_days.is_none_or(is_recent)
            && !(self.without_forks && row.is_fork)
            && (self.with_headless || !row.is_headless)
            && !(self.without_archived && row.is_archived)
    }

    /// Changes one choice. `machines`: the names in the list.
    ///
    /// # Errors
    /// The reason why there is nothing to choose.
    pub(super) fn toggle(
        &mut self,
        toggle: Toggle,
        here: &Surroundings,
        machines: &[String],
    ) -> Result<(), &'static str> {
        match toggle {
            Toggle::Projects => self.only_project = !self.only_project,
            Toggle::Branch if here.branch.is_none() => {
                return Err("the current directory is on no branch");
            }
            Toggle::Branch => {
                self.branch = match self.branch {
                    Some(_) => None,
                    None => here.branch.clone(),
                }
            }
            Toggle::Machine => self.machine = next_machine(self.machine.as_deref(), machines),
            Toggle::Age => {
                self.max_days = match self.max_days {
                    None => AGES.first().copied(),
                    Some(days) => AGES.into_iter().find(|age| *age > days),
                }
            }
            Toggle::Forks => self.without_forks = !self.without_forks,
            Toggle::Headless => self.with_headless = !self.with_headless,
            Toggle::Archived => self.without_archived = !self.without_archived,
        }
        Ok(())
    }

    /// Returns the choices that differ from a list of everything, in words. `has_other_projects`:
    /// there are sessions of other projects.
    pub(super) fn summary(&self, has_other_projects: bool) -> String {
        let days = self.max_days.map(|days| match days {
            1 => "last day".to_owned(),
            days => format!("last {days} days"),
        });
        let flag = |is_set: bool, word: &str| is_set.then(|| word.to_owned());
        let words = [
            flag(self.only_project && has_other_projects, "this project"),
            self.branch.as_ref().map(|name| format!("on {name}")),
            self.machine.as_ref().map(|name| format!("from {name}")),
            days,
            flag(self.without_forks, "no forks"),
            flag(self.with_headless, "with headless"),
            flag(self.without_archived, "no archived"),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Returns the machine after `current`, in the order of the list; after the last one, none.
fn next_machine(current: Option<&str>, machines: &[String]) -> Option<String> {
    let next = match current {
        None => 0,
        Some(name) => 1 + machines.iter().position(|machine| machine == name)?,
    };
    machines.get(next).cloned()
}
