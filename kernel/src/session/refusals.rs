//! What the compiler and cargo have against the code that evcxr made of a cell, in words about the cell.

use super::Diagnostic;
use super::cell::Moved;
use super::worker::Refusal;

pub(super) fn as_evcxr_says(refusal: &Refusal) -> Diagnostic {
    Diagnostic {
        code: refusal.code.clone(),
        message: refusal.message.clone(),
        line: refusal.line.and_then(|line| line.checked_sub(1)).filter(|line| *line > 0),
        column: None,
        rendered: refusal.rendered.clone(),
    }
}

/// What cargo has against a dependency: its error, without what it did before.
pub(super) fn as_cargo_says(refusal: &Refusal) -> Diagnostic {
    let error = refusal.message.find("error:").map_or(refusal.message.as_str(), |start| &refusal.message[start..]);
    let message = error.trim_start_matches("error:").trim().to_owned();
    Diagnostic { rendered: error.to_owned(), message, ..as_evcxr_says(refusal) }
}

/// What to say where evcxr's own part of the code is refused because a variable cannot outlive the cell.
pub(super) fn borrowed(refusals: &[Refusal]) -> Option<Diagnostic> {
    const CODES: [&str; 7] = ["E0310", "E0499", "E0502", "E0505", "E0521", "E0597", "E0716"];
    let refusal = refusals.iter().find(|refusal| refusal.code.as_deref().is_some_and(|code| CODES.contains(&code)))?;
    let message = "a variable of this cell borrows from another value, and what is kept for later cells may not borrow: \
                   `.clone()` it, as in `let first = items[0].clone();`, or put the cell into `{ … }`";
    let line = refusal.line.and_then(|line| line.checked_sub(1)).filter(|line| *line > 0);
    let rendered = format!("error[{}]: {message}\n({})\n", refusal.code.as_deref()?, refusal.message);
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
mod tests {
    use super::*;

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
