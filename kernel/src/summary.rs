//! What a run comes to: one line of JSON for programs, a few lines for people.

use crate::runner::Run;
use crate::terminal::progress::{amount, duration};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a run's results were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The notebook with its outputs.
    pub notebook: PathBuf,
    /// The page beside it.
    pub html: PathBuf,
}

/// What cells reported, by what it is about; of several reports about one thing the last counts.
#[derive(Debug, Default)]
struct Facts<'a> {
    data: Option<&'a Value>,
    fit: Option<&'a Value>,
    /// Stages in order; a stage that comes again adds its time.
    stages: Vec<(&'a str, f64)>,
}

impl<'a> Facts<'a> {
    fn of(run: &'a Run) -> Self {
        let mut facts = Self::default();
        for (about, reported) in &run.reports {
            match about.as_str() {
                "data" => facts.data = Some(reported),
                "fit" => facts.fit = Some(reported),
                "stage" => facts.stage(reported),
                _ => {}
            }
        }
        facts
    }

    fn stage(&mut self, reported: &'a Value) {
        let (Some(name), Some(seconds)) = (reported["name"].as_str(), reported["seconds"].as_f64()) else { return };
        match self.stages.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += seconds,
            None => self.stages.push((name, seconds)),
        }
    }

    /// Each stage's time, and that of all, which no stage can hide.
    fn seconds(&self, run: &Run) -> Map<String, Value> {
        let stages = self.stages.iter().map(|(name, seconds)| ((*name).to_owned(), json!(seconds)));
        stages.chain([("total".to_owned(), json!(run.seconds))]).collect()
    }

    /// A fact, null where nobody reported it.
    fn data(&self, name: &str) -> Value {
        self.data.map(|data| data[name].clone()).unwrap_or_default()
    }

    fn fit(&self, name: &str) -> Value {
        self.fit.map(|fit| fit[name].clone()).unwrap_or_default()
    }

    /// A figure after the last epoch: the cell reports one for each.
    fn last(&self, name: &str) -> Value {
        match self.fit(name) {
            Value::Array(epochs) => epochs.last().cloned().unwrap_or_default(),
            figure => figure,
        }
    }
}

/// The one line of `lesson --json`. Every key is always there; what no cell reported is null.
pub fn lesson(run: &Run, written: &Written) -> Value {
    let facts = Facts::of(run);
    let mut line = json!({
        "source": facts.data("source"),
        "photos": facts.data("photos"),
        "skipped": facts.data("skipped"),
        "epochs": facts.fit("epochs"),
        "training_accuracy": facts.last("training_accuracy"),
        "validation_accuracy": facts.last("validation_accuracy"),
        "accuracy_by_epoch": {
            "training_running": facts.fit("training_accuracy_running"),
            "training": facts.fit("training_accuracy"),
            "validation": facts.fit("validation_accuracy"),
        },
        "seconds": facts.seconds(run),
    });
    add_ending(&mut line, run, written);
    line
}

/// The one line of `run --json`.
pub fn run(run: &Run, written: &Written) -> Value {
    let mut line = json!({ "cells": run.cells, "ran": run.ran, "seconds": Facts::of(run).seconds(run) });
    add_ending(&mut line, run, written);
    line
}

/// The one line where nothing ran at all.
pub fn set_up_error(error: &anyhow::Error) -> Value {
    json!({ "error": { "cell": null, "kind": "set-up", "message": format!("{error:#}") } })
}

fn add_ending(line: &mut Value, run: &Run, written: &Written) {
    let milliseconds = |seconds: &f64| (seconds * 1000.0).round() / 1000.0;
    line["cell_seconds"] = run.cell_seconds.iter().map(milliseconds).collect();
    line["peak_memory_bytes"] = json!(run.peak_memory);
    line["notebook"] = json!(absolute(&written.notebook));
    line["html"] = json!(absolute(&written.html));
    if let Some(stop) = &run.stopped {
        line["error"] = json!({ "cell": stop.cell, "kind": stop.failure.kind, "message": stop.failure.message });
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The end of a run, in lines for people.
pub fn lines(run: &Run) -> Vec<String> {
    let facts = Facts::of(run);
    let mut lines = vec![String::new()];
    if let (Value::String(source), Some(photos)) = (facts.data("source"), facts.data("photos").as_u64()) {
        let skipped = facts.data("skipped").as_u64().filter(|&n| n > 0).map(|n| format!(", {n} skipped"));
        lines.push(format!("{}{}: {source}", amount(photos, "photos"), skipped.unwrap_or_default()));
    }
    if let (Some(epochs), Some(validation)) =
        (facts.fit("epochs").as_u64(), percent(&facts.last("validation_accuracy")))
    {
        let training =
            percent(&facts.last("training_accuracy")).map(|training| format!(", on training photos {training}"));
        let training = training.unwrap_or_default();
        lines.push(format!("{}: {validation} right on validation photos{training}", amount(epochs, "epochs")));
    }
    let mut times: Vec<String> = facts.stages.iter().map(|(name, s)| format!("{name} {}", time(*s))).collect();
    times.push(format!("in all {}", time(run.seconds)));
    let memory = run.peak_memory.map(|bytes| format!("; at most {} of memory", amount(bytes, "bytes")));
    lines.push(format!("{}{}", times.join(", "), memory.unwrap_or_default()));
    if let Some(stop) = &run.stopped {
        lines.push(format!("Stopped at cell {} of {}, `{}`", stop.cell, run.cells, stop.source));
        lines.push(format!("{}: {}", stop.failure.kind, stop.failure.message));
    }
    lines
}

fn percent(share: &Value) -> Option<String> {
    share.as_f64().map(|share| format!("{:.1} %", share * 100.0))
}

fn time(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::Failure;
    use crate::runner::Stop;

    fn a_run(stopped: Option<Stop>) -> Run {
        let reports = [
            ("stage", json!({"name": "data", "seconds": 1.5})),
            ("data", json!({"source": "old", "photos": 1, "skipped": 0})),
            ("data", json!({"source": "folder x", "photos": 2002, "skipped": 3, "classes": ["cat", "dog"]})),
            ("stage", json!({"name": "data", "seconds": 0.5})),
            ("stage", json!({"seconds": "nameless"})),
            (
                "fit",
                json!({
                    "epochs": 2, "training_accuracy": [0.98, 0.991], "training_accuracy_running": [0.9, 0.98],
                    "validation_accuracy": [0.97, 0.985],
                }),
            ),
            ("weather", json!("fine")),
        ];
        let reports = reports.map(|(about, facts)| (about.to_owned(), facts)).to_vec();
        Run {
            cells: 9,
            ran: 9,
            stopped,
            reports,
            seconds: 61.5,
            cell_seconds: vec![1.0, 60.5],
            peak_memory: Some(900_000_000),
        }
    }

    fn written() -> Written {
        Written { notebook: "/out/a.ipynb".into(), html: "/out/a.html".into() }
    }

    #[test]
    fn the_line_holds_what_cells_reported_last() {
        let want = json!({
            "source": "folder x", "photos": 2002, "skipped": 3, "epochs": 2,
            "training_accuracy": 0.991, "validation_accuracy": 0.985,
            "accuracy_by_epoch": {"training_running": [0.9, 0.98], "training": [0.98, 0.991], "validation": [0.97, 0.985]}, "seconds": {"data": 2.0, "total": 61.5},
            "cell_seconds": [1.0, 60.5],
            "peak_memory_bytes": 900_000_000, "notebook": "/out/a.ipynb", "html": "/out/a.html",
        });
        assert_eq!(lesson(&a_run(None), &written()), want);
    }

    #[test]
    fn a_failure_is_on_the_same_line_and_unknown_facts_are_null() {
        let failure = Failure { kind: "panic".into(), message: "too bad (line 2)".into(), text: String::new() };
        let stop = Stop { cell: 4, source: "let x = 1;".into(), failure, session_failed: false };
        let mut run = a_run(Some(stop));
        run.reports.clear();
        let line = lesson(&run, &written());
        assert_eq!(line["error"], json!({"cell": 4, "kind": "panic", "message": "too bad (line 2)"}));
        assert_eq!(line["validation_accuracy"], Value::Null);
        assert!(line.as_object().unwrap().contains_key("source"));
        let lines = lines(&run);
        assert!(lines.contains(&"Stopped at cell 4 of 9, `let x = 1;`".to_owned()), "{lines:?}");
    }

    #[test]
    fn people_read_the_same_in_words() {
        let want = [
            "",
            "2002 photos, 3 skipped: folder x",
            "2 epochs: 98.5 % right on validation photos, on training photos 99.1 %",
            "data 2.0 s, in all 1 min 2 s; at most 900.0 MB of memory",
        ];
        assert_eq!(lines(&a_run(None)), want);
    }
}
