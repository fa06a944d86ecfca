//! Which variables there are before a cell and after it.

use super::cell::{Cell, Moved, Variables, first_words, is_plain_function, words};
use super::evcxr_session::EvcxrSession;
use super::reins::GRACE;
use super::{Diagnostic, Host, Outcome, Output, Report};
use anyhow::Result;
use std::collections::BTreeSet;

impl EvcxrSession {
    /// The names that a cell defines anew, and differently.
    pub(super) fn redefined(&self, definitions: &[(String, String)]) -> BTreeSet<String> {
        let differs = |(name, text): &&(String, String)| self.items.get(name).is_some_and(|before| before != text);
        definitions.iter().filter(differs).map(|(name, _)| name.clone()).collect()
    }

    /// Variables whose type may not be what it was.
    ///
    /// Every cell compiles all items anew, and the compiler takes a type of the same name for the same type, whatever its
    /// fields are now. So where a cell defines a name anew, and differently, nothing stays whose type may have to do with it.
    pub(super) fn outdated(&self, definitions: &[(String, String)], redefined: &BTreeSet<String>) -> Vec<String> {
        let is_function = |name: &String, text: &str| {
            self.items.get(name).is_some_and(|before| is_plain_function(before)) && is_plain_function(text)
        };
        let may_be_in_types = |(name, text): &&(String, String)| redefined.contains(name) && !is_function(name, text);
        let changed: BTreeSet<&str> =
            definitions.iter().filter(may_be_in_types).map(|(name, _)| name.as_str()).collect();
        let outdated = self.kept.iter().filter(|(_, variable)| self.reaches(&variable.type_name, &changed));
        outdated.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a type names one of these, or an item that does, and so on.
    fn reaches(&self, type_name: &str, names: &BTreeSet<&str>) -> bool {
        let (mut seen, mut to_see) = (BTreeSet::new(), first_words(type_name));
        while let Some(word) = to_see.pop() {
            if names.contains(word.as_str()) {
                return true;
            }
            if let Some(text) = self.items.get(&word)
                && seen.insert(word)
            {
                to_see.extend(words(text));
            }
        }
        false
    }

    /// Drops them, for as long as evcxr does not refuse the cell.
    pub(super) fn drop_outdated(&mut self, outdated: &[String]) {
        let (dropped, kept) = std::mem::take(&mut self.kept).into_iter().partition(|(name, _)| outdated.contains(name));
        (self.kept, self.dropped) = (kept, dropped);
    }

    /// Takes note of what a cell defines that evcxr has taken over, and says what went with what it takes the place of.
    pub(super) fn define(&mut self, cell: &Cell, outdated: &[String], host: &mut dyn Host) {
        let mut say = |text: String| host.send(Output::Stdout(text));
        if !outdated.is_empty() {
            let names = outdated.join("`, `");
            say(format!("`{names}` went: what its type is made of has been defined anew.\n"));
        }
        for (name, _) in &cell.definitions {
            let now: BTreeSet<&String> =
                cell.impls.iter().filter(|one| one.behind.as_ref() == Some(name)).map(|one| &one.header).collect();
            for header in self.behind.remove(name).unwrap_or_default().iter().filter(|header| !now.contains(header)) {
                say(format!(
                    "`{header}` went with the `{name}` before, behind which it stood: define it again for this one.\n"
                ));
            }
        }
        for one in &cell.impls {
            match &one.behind {
                Some(name) => drop(self.behind.entry(name.clone()).or_default().insert(one.header.clone())),
                None => drop(self.impls.insert(one.name.clone())),
            }
        }
        self.items.extend(cell.definitions.iter().cloned());
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

    /// Takes note of what a cell has used up; where the cell did not come to its end, that is told at once.
    pub(super) fn note_used_up(&mut self, cell: &Cell, moved: &Moved, outcome: &mut Outcome) {
        let line = cell.text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        self.used_up.retain(|name, _| !cell.bound.contains_key(name));
        let used: Vec<&String> = moved.old.iter().chain(&moved.new).collect();
        self.used_up.extend(used.iter().map(|name| ((*name).clone(), line.to_owned())));
        let names: Vec<String> = moved.old.iter().map(|name| format!("`{name}`")).collect();
        if let Outcome::Panicked(report) | Outcome::ReturnedError(report) = outcome
            && !names.is_empty()
        {
            let verb = if names.len() == 1 { "is" } else { "are" };
            report.message += &format!("; {} {verb} used up by the cell, and gone", names.join(" and "));
        }
    }

    /// Says of names that are not there where an earlier cell has used them up.
    pub(super) fn tell_used_up(&self, diagnostics: &mut [Diagnostic]) {
        for diagnostic in diagnostics.iter_mut().filter(|one| one.code.as_deref() == Some("E0425")) {
            let Some(name) = diagnostic.message.split('`').nth(1) else { continue };
            if let Some(line) = self.used_up.get(name).filter(|_| !self.kept.contains_key(name)) {
                diagnostic.rendered += &format!(
                    "help: an earlier cell has used `{name}` up, the one that begins with `{line}`: take `{name}.clone()` \
                     there, or make it again\n"
                );
            }
        }
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
