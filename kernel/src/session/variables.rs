//! Which variables there are before a cell and after it.

use super::cell::{Cell, Moved, Variable, Variables, words};
use super::evcxr_session::EvcxrSession;
use super::reins::GRACE;
use super::{Host, Outcome, Output, Report};
use anyhow::Result;

impl EvcxrSession {
    /// Variables whose type may not be what it was.
    ///
    /// Every cell compiles all items anew, and the compiler takes a type of the same name for the same type, whatever its
    /// fields are now. So where a cell defines a name anew, and differently, nothing of a type of the notebook's own stays.
    pub(super) fn outdated(&self, definitions: &[(String, String)]) -> Vec<String> {
        let changed = definitions.iter().any(|(name, text)| self.items.get(name).is_some_and(|before| before != text));
        let is_new = |word: &String| definitions.iter().any(|(name, _)| name == word);
        let own = |variable: &Variable| {
            words(&variable.type_name).iter().any(|word| self.items.contains_key(word) || is_new(word))
        };
        let outdated = self.kept.iter().filter(|(_, variable)| changed && own(variable));
        outdated.map(|(name, _)| name.clone()).collect()
    }

    /// Drops them, for as long as evcxr does not refuse the cell.
    pub(super) fn drop_outdated(&mut self, outdated: &[String], host: &mut dyn Host) {
        if !outdated.is_empty() {
            let names = outdated.join("`, `");
            host.send(Output::Stdout(format!("`{names}` went: a type of the notebook's own has been defined anew.\n")));
        }
        let (dropped, kept) = std::mem::take(&mut self.kept).into_iter().partition(|(name, _)| outdated.contains(name));
        (self.kept, self.dropped) = (kept, dropped);
    }

    /// Drops the variables that would keep every cell with their names in it from being compiled; whether there are any.
    ///
    /// A type may have a name that the compiler knows and no cell can write: one in a private module, say.
    pub(super) fn drop_unusable(&mut self, cell: &Cell, host: &mut dyn Host) -> Result<bool> {
        let unusable = self.compiler.unusable(&cell.used(&self.kept))?;
        for name in &unusable {
            if let Some(variable) = self.kept.remove(name) {
                host.send(Output::Stdout(format!(
                    "`{name}` went: no cell can name its type, `{}`.\n",
                    variable.type_name
                )));
            }
        }
        Ok(!unusable.is_empty())
    }

    /// All variables went with their process.
    pub(super) fn lose_variables(&mut self) {
        self.kept.clear();
        self.dropped.clear();
    }

    /// The variables in the words of a loss: "`x` is gone", "`x` and `y` are gone"; empty where there are none.
    pub(super) fn kept_is_gone(&self) -> String {
        let names: Vec<String> = self.kept.keys().map(|name| format!("`{name}`")).collect();
        match names.split_last() {
            None => String::new(),
            Some((only, [])) => format!("{only} is gone"),
            Some((last, others)) => format!("{} and {last} are gone", others.join(", ")),
        }
    }

    /// What to say where a cell's process has ended, with the variables `lost`.
    pub(super) fn died(&self, lost: &str, report: Report) -> Outcome {
        if !self.reins.is_interrupted() {
            return Outcome::Died(match lost.is_empty() {
                true => report,
                false => Report { message: format!("{}: {lost}", report.message), ..report },
            });
        }
        let mut message = match self.reins.has_ended_child() {
            true => format!("it did not stop within {} s, so its process was ended", GRACE.as_secs()),
            false => format!("its process ended by itself ({})", report.message),
        };
        if !lost.is_empty() {
            message += &format!(": {lost}. What the cells have defined is still there");
        }
        Outcome::Interrupted(Report { message, ..report })
    }

    /// Which variables there are after a cell.
    pub(super) fn keep(&mut self, made: Variables, moved: &Moved, outcome: &Outcome) {
        match outcome {
            Outcome::Died(_) => return self.lose_variables(),
            // It has not run.
            Outcome::Failed(_) if !self.taken_over => return,
            _ => self.kept.retain(|name, _| !moved.old.contains(name)),
        }
        // The helper crate's own words: with that variable, no other cell could run either.
        if let Outcome::ReturnedError(report) = outcome
            && let Some(rest) = report.message.strip_prefix("the variable `")
            && let Some(name) = rest.strip_suffix("` is gone")
        {
            self.kept.remove(name);
        }
        if *outcome == Outcome::Done {
            self.kept.retain(|name, _| !moved.new.contains(name));
            self.kept.extend(made.into_iter().filter(|(name, _)| !moved.new.contains(name)));
        }
    }
}
