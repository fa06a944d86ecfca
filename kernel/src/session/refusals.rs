//! What the compiler and cargo have against the code that evcxr made of a cell, in words about the cell.

use super::Diagnostic;
use super::cell::{Cell, Moved};
use super::worker::Refusal;

/// What evcxr hands on, where asking the compiler about the cell itself has not told more.
pub(super) fn as_evcxr_says(cell: &Cell, refusal: &Refusal) -> Diagnostic {
    let line = refusal.line.and_then(|line| cell.line_of(line));
    let rendered = match snippet(cell, line) {
        Some(snippet) => format!("{}{snippet}", headline(refusal.code.as_deref(), &refusal.message)),
        None => without_ours(&refusal.rendered),
    };
    Diagnostic { code: refusal.code.clone(), message: refusal.message.clone(), line, column: None, rendered }
}

/// What cargo has against a dependency: its error, without what it did before.
pub(super) fn as_cargo_says(refusal: &Refusal) -> Diagnostic {
    let error = refusal.message.find("error:").map_or(refusal.message.as_str(), |start| &refusal.message[start..]);
    let message = error.trim_start_matches("error:").trim().to_owned();
    Diagnostic { code: refusal.code.clone(), message, line: None, column: None, rendered: error.to_owned() }
}

/// The first line of a refusal, as Rust writes it.
fn headline(code: Option<&str>, message: &str) -> String {
    let code = code.map_or_else(String::new, |code| format!("[{code}]"));
    format!("error{code}: {message}\n")
}

/// A line of the cell, as Rust shows one.
fn snippet(cell: &Cell, line: Option<usize>) -> Option<String> {
    let line = line?;
    let text = cell.text.lines().nth(line - 1)?;
    let number = line.to_string();
    let space = " ".repeat(number.len());
    Some(format!("{space}--> line {number}\n{space} |\n{number} | {text}\n{space} |\n"))
}

/// Without the lines of code that nobody has written.
fn without_ours(rendered: &str) -> String {
    let is_ours = |line: &str| line.contains("candlewick_value") || line.contains("::candlewick::cell");
    rendered.split_inclusive('\n').filter(|line| !is_ours(line)).collect()
}

/// What to say where evcxr's own part of the code is refused because a variable cannot outlive the cell.
pub(super) fn borrowed(cell: &Cell, refusals: &[Refusal]) -> Option<Diagnostic> {
    const CODES: [&str; 7] = ["E0310", "E0499", "E0502", "E0505", "E0521", "E0597", "E0716"];
    let refusal = refusals.iter().find(|refusal| refusal.code.as_deref().is_some_and(|code| CODES.contains(&code)))?;
    let message = "a variable of this cell borrows from another value, so that no later cell could use it";
    let line = refusal.line.and_then(|line| cell.line_of(line));
    let code = refusal.code.as_deref();
    let rendered = format!(
        "{}{}note: in Rust's words: {}\nhelp: `.clone()` what is borrowed, as in `let first = items[0].clone();` (a whole list: \
         `.to_vec()`), or put the cell into `{{ … }}`\n",
        headline(code, message),
        snippet(cell, line).unwrap_or_default(),
        refusal.message
    );
    Some(Diagnostic { code: refusal.code.clone(), message: message.to_owned(), line, column: None, rendered })
}

/// Notes the variables that the compiler says are used up where they should be kept; whether there were any new ones.
pub(super) fn note_moved(refusals: &[Refusal], (new, old): (usize, usize), moved: &mut Moved) -> bool {
    let mut found = false;
    for refusal in refusals.iter().filter(|refusal| refusal.code.as_deref() == Some("E0382")) {
        let Some(name) = refusal.message.split('`').nth(1).and_then(|place| place.split('.').next()) else { continue };
        let set = match refusal.line {
            Some(line) if line == new => &mut moved.new,
            Some(line) if line == old => &mut moved.old,
            _ => continue,
        };
        found |= set.insert(name.to_owned());
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_evcxr_says_is_told_of_the_cells_own_lines() {
        let cell = Cell::parse("let a = 1;\nfn f() {\n  2 / 0\n}\na").unwrap();
        let rendered =
            "error: it\n 2 | match &(a) { candlewick_value => }\n 3 | ; ::candlewick::cell::put(a)\n".to_owned();
        let refusal = |line| Refusal { code: None, message: "it".into(), line, rendered: rendered.clone() };
        let told = as_evcxr_says(&cell, &refusal(Some(10)));
        assert_eq!((told.line, told.rendered.as_str()), (Some(3), "error: it\n --> line 3\n  |\n3 |   2 / 0\n  |\n"));
        let told = as_evcxr_says(&cell, &refusal(Some(7)));
        assert_eq!((told.line, told.rendered.as_str()), (None, "error: it\n"));
    }

    #[test]
    fn a_borrow_is_told_in_a_sentence_with_its_line_and_what_to_do() {
        let cell = Cell::parse("let a = 1;\nlet r = &n;\n*r").unwrap();
        let refusal = Refusal {
            code: Some("E0597".into()),
            message: "`n` does not live long enough".into(),
            line: Some(3),
            rendered: String::new(),
        };
        let told = borrowed(&cell, &[refusal]).unwrap();
        assert!(told.line == Some(2) && told.message.len() < 100, "{}", told.message);
        for part in ["--> line 2\n", "\n2 | let r = &n;\n", "\nhelp: `.clone()`", "`n` does not live"] {
            assert!(told.rendered.contains(part), "{}", told.rendered);
        }
    }

    #[test]
    fn a_variable_that_is_used_up_is_told_from_a_mistake() {
        let refusal = |message: &str, line| Refusal {
            code: Some("E0382".into()),
            message: message.into(),
            line: Some(line),
            rendered: String::new(),
        };
        let mut moved = Moved::default();
        assert!(!note_moved(&[refusal("use of moved value: `a`", 2)], (5, 6), &mut moved), "in the cell itself");
        assert!(note_moved(&[refusal("use of moved value: `a`", 5)], (5, 6), &mut moved));
        assert!(note_moved(&[refusal("use of partially moved value: `b.c`", 6)], (5, 6), &mut moved));
        assert!(!note_moved(&[refusal("use of moved value: `b`", 6)], (5, 6), &mut moved), "known already");
        assert!(moved.new.contains("a") && moved.old.contains("b") && moved.old.len() == 1);
    }
}
