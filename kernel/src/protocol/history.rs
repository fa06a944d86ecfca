//! The cells of this kernel, kept for `history_request`.

use super::wire::Request;
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// The most cells that are kept, and the most bytes of them.
const MOST_CELLS: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;

/// This kernel's number among all sessions: it knows of no other.
const SESSION: i64 = 1;

/// The cells that were run, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    cells: VecDeque<Cell>,
    bytes: usize,
}

#[derive(Debug)]
struct Cell {
    line: u64,
    input: String,
    output: Option<String>,
}

impl Cell {
    fn bytes(&self) -> usize {
        self.input.len() + self.output.as_ref().map_or(0, String::len)
    }

    fn entry(&self, with_output: bool) -> Value {
        if with_output {
            json!([SESSION, self.line, [self.input, self.output]])
        } else {
            json!([SESSION, self.line, self.input])
        }
    }
}

impl History {
    /// Keeps a cell, and the text of its value where it had one.
    pub(super) fn add(&mut self, line: u64, input: String, output: Option<String>) {
        let cell = Cell { line, input, output };
        self.bytes += cell.bytes();
        self.cells.push_back(cell);
        while (self.cells.len() > MOST_CELLS || self.bytes > MOST_BYTES)
            && let Some(oldest) = self.cells.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// The entries that a `history_request` asks for.
    ///
    /// # Errors
    /// Where it asks for none of `tail`, `range` and `search`.
    pub(super) fn answer(&self, request: &Request) -> Result<Vec<Value>> {
        let most = request.get("n").as_u64().map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let cells: Vec<&Cell> = match request.text("hist_access_type")? {
            "tail" => last(self.cells.iter().collect(), most),
            "range" => self.range(request),
            "search" => {
                self.search(request.get("pattern").as_str().unwrap_or("*"), most, request.flag("unique", false))?
            }
            other => bail!("hist_access_type is {other:?}; there are \"tail\", \"range\" and \"search\""),
        };
        Ok(cells.into_iter().map(|cell| cell.entry(request.flag("output", false))).collect())
    }

    /// From `start` up to, and not with, `stop`; session 0 is the one that runs.
    fn range(&self, request: &Request) -> Vec<&Cell> {
        if ![0, SESSION].contains(&request.get("session").as_i64().unwrap_or(0)) {
            return Vec::new();
        }
        let start = request.get("start").as_u64().unwrap_or(0);
        let stop = request.get("stop").as_u64().unwrap_or(u64::MAX);
        self.cells.iter().filter(|cell| (start..stop).contains(&cell.line)).collect()
    }

    fn search(&self, pattern: &str, most: usize, unique: bool) -> Result<Vec<&Cell>> {
        let glob = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
        let glob = regex::RegexBuilder::new(&format!("^{glob}$")).dot_matches_new_line(true).build()?;
        let mut cells: Vec<&Cell> = self.cells.iter().filter(|cell| glob.is_match(&cell.input)).collect();
        if unique {
            let newest: BTreeMap<&str, u64> = cells.iter().map(|cell| (cell.input.as_str(), cell.line)).collect();
            cells.retain(|cell| newest.get(cell.input.as_str()) == Some(&cell.line));
        }
        Ok(last(cells, most))
    }
}

fn last(cells: Vec<&Cell>, most: usize) -> Vec<&Cell> {
    let skipped = cells.len().saturating_sub(most);
    cells.into_iter().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::wire::Wire;

    fn ask(history: &History, content: Value) -> Result<Value> {
        let wire = Wire::new("", "session");
        let frames = wire.sign("history_request", content, None, vec![])?;
        history.answer(&wire.check(bytes::Bytes::new(), frames)?).map(Value::Array)
    }

    fn filled() -> History {
        let mut history = History::default();
        for (line, input) in ["let a = 1;", "a*2", "let b = [a];\nb", "a*2"].into_iter().enumerate() {
            history.add(line as u64 + 1, input.to_owned(), (input == "a*2").then(|| "2".to_owned()));
        }
        history
    }

    #[test]
    fn history_is_found_by_tail_range_and_search() {
        let cases = [
            (json!({"hist_access_type": "tail", "n": 2}), vec![3, 4]),
            (json!({"hist_access_type": "tail"}), vec![1, 2, 3, 4]),
            (json!({"hist_access_type": "range", "session": 0, "start": 2, "stop": 4}), vec![2, 3]),
            (json!({"hist_access_type": "range", "session": 1, "start": 0, "stop": null}), vec![1, 2, 3, 4]),
            (json!({"hist_access_type": "range", "session": -1}), vec![]),
            (json!({"hist_access_type": "search", "pattern": "let*"}), vec![1, 3]),
            (json!({"hist_access_type": "search", "pattern": "a*2"}), vec![2, 4]),
            (json!({"hist_access_type": "search", "pattern": "a?2", "unique": true}), vec![4]),
            (json!({"hist_access_type": "search", "pattern": "*[a]*"}), vec![3]),
            (json!({"hist_access_type": "search", "pattern": "*", "n": 1}), vec![4]),
        ];
        for (question, lines) in cases {
            let answer = ask(&filled(), question.clone()).unwrap();
            let found: Vec<_> = answer.as_array().unwrap().iter().map(|entry| entry[1].as_u64().unwrap()).collect();
            assert_eq!(found, lines, "{question}");
        }
        let with_output = json!({"hist_access_type": "range", "start": 1, "stop": 3, "output": true});
        let want = json!([[1, 1, ["let a = 1;", null]], [1, 2, ["a*2", "2"]]]);
        assert_eq!(ask(&filled(), with_output).unwrap(), want);
        assert!(ask(&filled(), json!({"hist_access_type": "all"})).is_err());
    }

    #[test]
    fn history_is_bounded() {
        let mut history = History::default();
        for line in 0..MOST_CELLS as u64 + 5 {
            history.add(line, String::new(), None);
        }
        assert_eq!((history.cells.len(), history.cells[0].line), (MOST_CELLS, 5));
        history.add(0, "x".repeat(MOST_BYTES + 1), None);
        assert_eq!((history.cells.len(), history.bytes), (0, 0));
    }
}
