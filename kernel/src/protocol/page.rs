//! `?name` and `??name`, as in IPython: what is known of a name, in the front end's pager.

/// What a cell asks about, if that is all it does, and whether with its code. In Rust no cell begins with a question mark;
/// IPython's `name?` would be an early return.
pub(super) fn asked(code: &str) -> Option<(&str, bool)> {
    let name = code.trim().strip_prefix('?')?;
    let (name, source) = name.strip_prefix('?').map_or((name, false), |name| (name, true));
    let name = name.trim();
    let of_a_name = |c: char| c.is_alphanumeric() || "_:.!#".contains(c);
    (!name.is_empty() && name.chars().all(of_a_name)).then_some((name, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_name_behind_question_marks() {
        assert_eq!(asked("?x"), Some(("x", false)));
        assert_eq!(asked(" ?? candlewick::prelude::Dataset\n"), Some(("candlewick::prelude::Dataset", true)));
        for code in ["", "?", "??", "x?", "???x", "?x + 1", "?f()", "?x\ny"] {
            assert_eq!(asked(code), None, "{code}");
        }
    }
}
