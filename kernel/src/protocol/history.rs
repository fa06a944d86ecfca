//! The cells that were run, for `history_request`: this kernel's, and those of the kernels before it.

use super::history_file::{HistoryFile, Stored};
use super::log::Log;
use super::wire::Request;
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The most cells of this kernel that are kept in memory, and the most bytes of them.
const MOST_CELLS: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;

/// The cells that were run, oldest first.
#[derive(Debug)]
pub(super) struct History {
    cells: VecDeque<Cell>,
    bytes: usize,
    /// None where nothing is kept beyond this kernel.
    file: Option<HistoryFile>,
    log: Rc<Log>,
}

#[derive(Debug)]
struct Cell {
    line: u64,
    input: String,
    output: Option<String>,
}

/// A cell of any kernel.
struct Entry<'a> {
    session: i64,
    line: u64,
    input: &'a str,
    output: Option<&'a str>,
}

impl Cell {
    fn bytes(&self) -> usize {
        self.input.len() + self.output.as_ref().map_or(0, String::len)
    }
}

impl Entry<'_> {
    fn reply(&self, with_output: bool) -> Value {
        if with_output {
            json!([self.session, self.line, [self.input, self.output]])
        } else {
            json!([self.session, self.line, self.input])
        }
    }
}

impl History {
    /// With what earlier kernels left in `file`.
    pub(super) fn new(file: Option<HistoryFile>, log: Rc<Log>) -> Self {
        Self { cells: VecDeque::new(), bytes: 0, file, log }
    }

    /// Keeps a cell, and the text of its value where it had one.
    pub(super) fn add(&mut self, line: u64, input: String, output: Option<String>) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.add(line, &input)
        {
            self.log.line(&format!("a cell is in this kernel's own history only: {error:#}"));
        }
        let cell = Cell { line, input, output };
        self.bytes += cell.bytes();
        self.cells.push_back(cell);
        while (self.cells.len() > MOST_CELLS || self.bytes > MOST_BYTES)
            && let Some(oldest) = self.cells.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// The entries that a `history_request` asks for. Values are known of this kernel's cells only.
    ///
    /// # Errors
    /// Where it asks for none of `tail`, `range` and `search`.
    pub(super) fn answer(&self, request: &Request) -> Result<Vec<Value>> {
        let most = request.get("n").as_u64().map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let (others, this) = self.file.as_ref().map_or_else(|| (Vec::new(), 1), HistoryFile::others);
        let entries = self.entries(&others, this);
        let entries = match request.text("hist_access_type")? {
            "tail" => last(entries, most),
            "range" => range(entries, this, request),
            "search" => {
                let pattern = request.get("pattern").as_str().unwrap_or("*");
                last(search(entries, pattern, request.flag("unique", false))?, most)
            }
            other => bail!("hist_access_type is {other:?}; there are \"tail\", \"range\" and \"search\""),
        };
        Ok(entries.iter().map(|entry| entry.reply(request.flag("output", false))).collect())
    }

    /// The cells of other kernels, then this one's own, which is number `this`.
    fn entries<'a>(&'a self, others: &'a [Stored], this: i64) -> Vec<Entry<'a>> {
        let of_others =
            |cell: &'a Stored| Entry { session: cell.session, line: cell.line, input: &cell.input, output: None };
        let own = |cell: &'a Cell| Entry {
            session: this,
            line: cell.line,
            input: &cell.input,
            output: cell.output.as_deref(),
        };
        others.iter().map(of_others).chain(self.cells.iter().map(own)).collect()
    }
}

/// From `start` up to, and not with, `stop`. Session 0 is the one that runs, -1 the one before.
fn range<'a>(mut entries: Vec<Entry<'a>>, this: i64, request: &Request) -> Vec<Entry<'a>> {
    let session = request.get("session").as_i64().unwrap_or(0);
    let session = if session > 0 { session } else { this.saturating_add(session) };
    let start = request.get("start").as_u64().unwrap_or(0);
    let stop = request.get("stop").as_u64().unwrap_or(u64::MAX);
    entries.retain(|entry| entry.session == session && (start..stop).contains(&entry.line));
    entries
}

fn search<'a>(mut entries: Vec<Entry<'a>>, pattern: &str, unique: bool) -> Result<Vec<Entry<'a>>> {
    let glob = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
    let glob = regex::RegexBuilder::new(&format!("^{glob}$")).dot_matches_new_line(true).build()?;
    entries.retain(|entry| glob.is_match(entry.input));
    if unique {
        let newest: BTreeMap<&str, (i64, u64)> =
            entries.iter().map(|entry| (entry.input, (entry.session, entry.line))).collect();
        entries.retain(|entry| newest.get(entry.input) == Some(&(entry.session, entry.line)));
    }
    Ok(entries)
}

fn last(mut entries: Vec<Entry>, most: usize) -> Vec<Entry> {
    entries.drain(..entries.len().saturating_sub(most));
    entries
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
        let mut history = History::new(None, Rc::new(Log::new()));
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
    fn the_cells_of_earlier_kernels_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let open = || History::new(Some(HistoryFile::new(folder.path().join("history.jsonl"))), Rc::new(Log::new()));
        let (mut first, mut second) = (open(), open());
        first.add(1, "let a = 1;".to_owned(), None);
        first.add(2, "a".to_owned(), Some("1".to_owned()));
        second.add(1, "a".to_owned(), Some("2".to_owned()));
        first.add(3, "both run".to_owned(), None);
        let third = open();
        let cases = [
            (&second, json!({"hist_access_type": "tail", "n": 2}), json!([[1, 3, "both run"], [2, 1, "a"]])),
            (&second, json!({"hist_access_type": "range", "output": true}), json!([[2, 1, ["a", "2"]]])),
            (&second, json!({"hist_access_type": "range", "session": -1, "stop": 2}), json!([[1, 1, "let a = 1;"]])),
            (&third, json!({"hist_access_type": "range", "session": -1}), json!([[2, 1, "a"]])),
            (&third, json!({"hist_access_type": "range", "session": 1, "start": 2, "stop": 3}), json!([[1, 2, "a"]])),
            (&third, json!({"hist_access_type": "range", "session": i64::MIN}), json!([])),
            (&third, json!({"hist_access_type": "search", "pattern": "a", "unique": true}), json!([[2, 1, "a"]])),
            (&first, json!({"hist_access_type": "tail", "n": 1, "output": true}), json!([[1, 3, ["both run", null]]])),
        ];
        for (history, question, want) in cases {
            assert_eq!(ask(history, question.clone()).unwrap(), want, "{question}");
        }
    }

    #[test]
    fn a_disk_that_fails_costs_no_more_than_a_cell_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        std::fs::write(&file, "").unwrap();
        let mut history = History::new(Some(HistoryFile::new(file.join("history.jsonl"))), Rc::new(Log::new()));
        history.add(1, "a".to_owned(), None);
        assert_eq!(ask(&history, json!({"hist_access_type": "tail"})).unwrap(), json!([[1, 1, "a"]]));
        std::fs::remove_file(&file).unwrap();
        history.add(2, "b".to_owned(), None);
        assert_eq!(ask(&history, json!({"hist_access_type": "tail"})).unwrap(), json!([[1, 1, "a"], [1, 2, "b"]]));
        assert!(std::fs::read_to_string(file.join("history.jsonl")).unwrap().contains("\"b\""));
    }

    #[test]
    fn history_is_bounded() {
        let mut history = History::new(None, Rc::new(Log::new()));
        for line in 0..MOST_CELLS as u64 + 5 {
            history.add(line, String::new(), None);
        }
        assert_eq!((history.cells.len(), history.cells[0].line), (MOST_CELLS, 5));
        history.add(0, "x".repeat(MOST_BYTES + 1), None);
        assert_eq!((history.cells.len(), history.bytes), (0, 0));
    }
}
