//! The exercise over a session that runs no Rust.

mod grading;
mod merged;
mod notebooks;
mod progress;
mod release;

use super::grade::grade;
use super::source::Exercise;
use crate::notebook::Notebook;
use crate::session::{Completeness, Completions, Control, Host, Outcome, Output, Report, Session};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Stands in for Rust: a cell is a list of words. `make NAME` makes a variable, `use-up NAME` takes one away, `need NAME`
/// fails without it, `blow` ends the session where there is a `bomb`, `spoil NAME` makes one that no check likes; `loop`
/// and `die` lose the session. A check cell `good NAME` passes where the variable is there and not spoilt; after `say WORDS`
/// these are its diagnosis. `ruin NAME` spoils as well, and is not undone where its cell fails; after `hush` checks that do
/// not pass end well. `tick` answers as a check would, without the word; `forge` does so in every check that follows,
/// as a thread could. Comments and all else do nothing.
#[derive(Default)]
struct Words {
    there: BTreeSet<String>,
    spoilt: BTreeSet<String>,
    asked: Option<String>,
    says: Option<String>,
    ruined: BTreeSet<String>,
}

impl Words {
    fn line(&mut self, line: &str, host: &mut dyn Host) -> Option<Outcome> {
        let (command, name) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let error = |text: String| Some(Outcome::ReturnedError(Report::new(text)));
        if let Some(word) = line.strip_prefix("::candlewick::lesson::ask(\"") {
            self.asked = Some(word.trim_end_matches("\");").to_owned());
        }
        if let Some(todo) = line.strip_prefix("candlewick::lesson::todo(") {
            let todo = &todo[..todo.find(')')?];
            return error(format!("TODO {todo}, Title {todo}: write your code"));
        }
        match command {
            "make" | "spoil" => {
                self.there.insert(name.to_owned());
                if command == "spoil" {
                    self.spoilt.insert(name.to_owned())
                } else {
                    self.spoilt.remove(name)
                };
            }
            "blow" if self.there.contains("bomb") => return Some(Outcome::Died(Report::new("exit status 0"))),
            "use-up" => {
                self.there.remove(name);
            }
            "need" if !self.there.contains(name) => return error(format!("cannot find value `{name}`")),
            "loop" => return Some(Outcome::Interrupted(Report::new("it took longer than 1 s"))),
            "die" => return Some(Outcome::Died(Report::new("signal 6"))),
            "tick" => host.send(report(1, true, Some("guessed"), "")),
            "forge" | "hush" => drop(self.there.insert(command.to_owned())),
            "ruin" => drop(self.ruined.insert(name.to_owned())),
            "say" => self.says = Some(name.to_owned()),
            "good" => return self.good(name, host),
            _ => {}
        }
        None
    }

    fn good(&mut self, name: &str, host: &mut dyn Host) -> Option<Outcome> {
        let todo = name.trim_start_matches('v').parse().unwrap();
        let word = self.asked.take();
        if !self.there.contains(name) {
            return Some(Outcome::ReturnedError(Report::new(format!("cannot find value `{name}`"))));
        }
        let passed = !self.spoilt.contains(name) && !self.ruined.contains(name);
        host.send(report(todo, passed, word.as_deref(), self.says.as_deref().unwrap_or("it is spoilt")));
        if self.there.contains("forge") {
            host.send(report(todo, true, Some("guessed"), ""));
        }
        (!passed && !self.there.contains("hush")).then(|| Outcome::ReturnedError(Report::new("spoilt")))
    }
}

fn report(todo: usize, passed: bool, word: Option<&str>, text: &str) -> Output {
    let facts =
        json!({"todo": todo, "passed": passed, "mistake": (!passed).then_some("spoilt"), "text": text, "word": word});
    Output::Report { about: "exercise".to_owned(), facts }
}

struct Nobody;

impl Control for Nobody {
    fn interrupt(&self) {}
    fn kill(&self) {}
}

impl Session for Words {
    fn execute(&mut self, code: &str, host: &mut dyn Host) -> Outcome {
        // A cell that fails leaves no variables behind.
        let before = (self.there.clone(), self.spoilt.clone());
        for line in code.lines() {
            if let Some(outcome) = self.line(line, host) {
                (self.there, self.spoilt) = before;
                if matches!(outcome, Outcome::Died(_) | Outcome::Interrupted(_)) {
                    self.there.clear();
                }
                return outcome;
            }
        }
        Outcome::Done
    }

    fn control(&self) -> Arc<dyn Control> {
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

fn code(id: &str, ours: Value, source: &str) -> Value {
    json!({"cell_type": "code", "id": id, "metadata": {"candlewick": ours}, "outputs": [], "execution_count": null,
        "source": source})
}

fn notebook(cells: &[Value], release: u64) -> Notebook {
    let metadata = json!({"candlewick": {"exercise": "flowers", "release": release}});
    Notebook::parse(&json!({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}).to_string())
        .unwrap()
}

/// Three TODOs; the second's answer uses up what the first has made, the third's needs what the second has.
fn source() -> Vec<Value> {
    let answers = ["make v1", "need v1\nuse-up v1\nmake v2", "need v2\nmake v3"];
    let mut cells = vec![code("setup", json!({"role": "given"}), "nothing")];
    for (number, answer) in (1..).zip(answers) {
        let text = format!("// Make v{number}.\n// BEGIN SOLUTION\n{answer}\n// END SOLUTION");
        cells.push(json!({"cell_type": "markdown", "id": format!("h{number}"), "metadata": {},
            "source": format!("## TODO {number}: Title {number}")}));
        cells.push(code(&format!("a{number}"), json!({"role": "answer", "todo": number}), &text));
        cells.push(code(&format!("c{number}"), json!({"role": "check", "todo": number}), &format!("good v{number}")));
    }
    cells.push(code("end", json!({"role": "given"}), "need v3"));
    cells
}

fn exercise() -> Exercise {
    Exercise::read(notebook(&source(), 2)).unwrap()
}

/// The exercise as a learner has filled it in.
fn filled(answers: [&str; 3]) -> Vec<Value> {
    let mut cells: Vec<Value> =
        serde_json::from_str::<Value>(&exercise().notebook().to_string()).unwrap()["cells"].as_array().unwrap().clone();
    for (cell, answer) in [2, 5, 8].into_iter().zip(answers) {
        cells[cell]["source"] = json!(answer);
    }
    cells
}

fn opened() -> anyhow::Result<Box<dyn Session>> {
    Ok(Box::new(Words::default()))
}

fn verdicts(cells: &[Value]) -> Vec<&'static str> {
    let graded = grade(&exercise(), &notebook(cells, 2), &opened, &mut |_| {}).unwrap();
    graded.verdicts.iter().map(|(_, verdict)| verdict.word()).collect()
}

const RIGHT: [&str; 3] = ["make v1", "need v1\nuse-up v1\nmake v2", "need v2\nmake v3"];
