//! A class graded by the command, over a session that runs no Rust.

use crate::cli::{Args, End, Surroundings};
use crate::exercise::built_in;
use crate::exercise::source::Role;
use crate::session::{Completeness, Completions, Control, Host, Options, Outcome, Output, Report, Session};
use crate::terminal::Terminal;
use clap::Parser;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stands in for Rust: every check passes, unless the cell before it was `wrong`, which it calls a mistake, or `panic`.
#[derive(Default)]
struct Lenient {
    last: String,
}

impl Session for Lenient {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        let Some((_, asked)) = code.split_once("::candlewick::lesson::ask(\"") else {
            self.last = code.to_owned();
            return if code == "panic" { Outcome::Panicked(Report::new("no idea")) } else { Outcome::Done };
        };
        let word = asked.split('"').next().unwrap();
        let exercise = built_in().unwrap();
        let is_asked = |(role, text): &(Role, String)| matches!(role, Role::Check(_)) && code.contains(text);
        let checks = exercise.steps.iter().map(|step| (step.role.clone(), step.code.clone()));
        let Some((Role::Check(todo), _)) = checks.clone().find(is_asked) else { panic!("no check: {code}") };
        let passed = self.last != "wrong" && self.last != "panic";
        let facts =
            json!({"todo": todo, "passed": passed, "mistake": "swapped-split", "text": "swapped", "word": word});
        host.send(Output::Report { about: "exercise".to_owned(), facts });
        if passed { Outcome::Done } else { Outcome::ReturnedError(Report::new("swapped")) }
    }

    fn control(&self) -> Arc<dyn Control> {
        struct Nobody;
        impl Control for Nobody {
            fn interrupt(&self) {}
            fn kill(&self) {}
        }
        Arc::new(Nobody)
    }
    fn completeness(&self, _: &str) -> Completeness {
        Completeness::Complete
    }
    fn complete(&mut self, _: &str, _: usize) -> Completions {
        Completions::default()
    }
    fn inspect(&mut self, _: &str, _: usize, _: bool) -> Option<BTreeMap<String, String>> {
        None
    }
    fn peak_memory(&self) -> Option<u64> {
        None
    }
}

/// The exercise with this text for every answer.
fn filled(answer: &str) -> String {
    let mut notebook: Value = serde_json::from_str(&built_in().unwrap().notebook().to_string()).unwrap();
    for cell in notebook["cells"].as_array_mut().unwrap() {
        if cell["metadata"]["candlewick"]["role"] == "answer" {
            cell["source"] = json!(answer);
        }
    }
    notebook.to_string()
}

#[test]
fn a_class_of_forty_is_graded_though_three_notebooks_are_broken() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for number in 1..=40 {
        let path = folder.path().join(format!("{number}.ipynb"));
        match number {
            7 => std::fs::write(&path, "{\"nbformat\": 4,").unwrap(),
            20 => std::fs::write(&path, json!({"nbformat": 4, "metadata": {}, "cells": []}).to_string()).unwrap(),
            33 => {}
            12 => std::fs::write(&path, filled("wrong")).unwrap(),
            13 => std::fs::write(&path, filled("panic")).unwrap(),
            _ => std::fs::write(&path, filled("right")).unwrap(),
        }
        paths.push(path.to_str().unwrap().to_owned());
    }
    let report = folder.path().join("grades.json");
    let flags = ["candlewick", "exercise", "grade", "--jobs", "3", "--json", report.to_str().unwrap()];
    let args = Args::try_parse_from(flags.into_iter().chain(paths.iter().map(String::as_str))).unwrap();
    let open = |_: Options, _: &mut dyn FnMut(Output)| Ok(Box::<Lenient>::default() as Box<dyn Session>);
    let mut terminal = Terminal::new(Box::new(std::io::sink()), None, false);
    let mut table = Vec::new();
    let end = args.execute(&mut Surroundings { open: &open, terminal: &mut terminal, out: &mut table }).unwrap();
    assert_eq!(end, End::SessionFailed, "who was not graded is no success");

    let table = String::from_utf8(table).unwrap();
    let rows: Vec<&str> = table.lines().skip(1).take(40).collect();
    assert!(paths.iter().zip(&rows).all(|(path, row)| row.starts_with(path.as_str())), "{table}");
    assert_eq!(rows.iter().filter(|row| row.ends_with("12 of 12")).count(), 35, "{table}");
    assert_eq!(rows.iter().filter(|row| row.contains("could not be graded")).count(), 3, "{table}");
    assert!(rows[11].ends_with(" 0 of 12") && rows[12].ends_with(" 0 of 12"), "{table}");

    let grades: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let of = |number: usize| &grades["notebooks"][number - 1];
    assert_eq!(grades["notebooks"].as_array().map(Vec::len), Some(40));
    assert_eq!((&of(1)["passed"], &of(40)["passed"], &of(12)["passed"]), (&json!(12), &json!(12), &json!(0)));
    assert_eq!(of(12)["todos"][11]["mistake"], "swapped-split");
    for (number, why) in [(7, "not JSON"), (20, "no cell of the flowers exercise"), (33, "cannot read")] {
        assert!(of(number)["error"].as_str().unwrap().contains(why), "{}", of(number));
    }
}
