//! The result of checks as JUnit XML, which test servers read: a suite a notebook, a case a cell.

use super::{Checked, CheckedCell, Verdict};
use crate::ansi;
use std::fmt::Write;
use std::time::Duration;

/// A notebook's name, and what came of it: an error where it could not be checked.
pub type Suite<'a> = (&'a str, Result<&'a Checked, &'a str>);

/// How many cases there are, by their end.
#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    time: Duration,
}

/// The whole file.
pub fn xml(suites: &[Suite<'_>]) -> String {
    let mut all = Counts::default();
    let mut body = String::new();
    for (name, checked) in suites {
        let mut counts = Counts::default();
        let cases = match checked {
            Ok(checked) => checked.cells.iter().map(|cell| case(name, cell, &mut counts)).collect(),
            Err(why) => unchecked(name, why, &mut counts),
        };
        // Writing to a string does not fail.
        let _ =
            write!(body, "  <testsuite name=\"{}\" {}>\n{cases}  </testsuite>\n", escaped(name), counts.attributes());
        all.add(&counts);
    }
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {}>\n{body}</testsuites>\n", all.attributes())
}

impl Counts {
    fn attributes(&self) -> String {
        let Self { tests, failures, errors, skipped, time } = self;
        let time = time.as_secs_f64();
        format!(
            "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time:.3}\""
        )
    }

    fn add(&mut self, more: &Self) {
        self.tests += more.tests;
        self.failures += more.failures;
        self.errors += more.errors;
        self.skipped += more.skipped;
        self.time += more.time;
    }
}

fn case(suite: &str, cell: &CheckedCell, counts: &mut Counts) -> String {
    counts.tests += 1;
    counts.time += cell.took;
    let end = match &cell.verdict {
        Verdict::Same | Verdict::Ran => String::new(),
        Verdict::Skipped => {
            counts.skipped += 1;
            "<skipped/>".to_owned()
        }
        Verdict::NotRun => {
            counts.skipped += 1;
            "<skipped message=\"the session was lost before\"/>".to_owned()
        }
        Verdict::Different(differences) => {
            counts.failures += 1;
            let what: Vec<_> = differences.iter().map(|difference| difference.what.as_str()).collect();
            let text: Vec<_> = differences.iter().map(|each| format!("{}:\n{}", each.what, each.how)).collect();
            element("failure", "different", &format!("not as saved: {}", what.join(", ")), &text.join("\n\n"))
        }
        Verdict::Failed(failure) => {
            counts.failures += 1;
            element("failure", &failure.kind, &failure.message, &failure.text)
        }
    };
    let name = format!("cell {}: {}", cell.number, cell.source);
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        escaped(suite),
        escaped(&name),
        cell.took.as_secs_f64()
    );
    if end.is_empty() { format!("{head}/>\n") } else { format!("{head}>{end}</testcase>\n") }
}

fn unchecked(suite: &str, why: &str, counts: &mut Counts) -> String {
    counts.tests += 1;
    counts.errors += 1;
    let error = element("error", "set-up", why.lines().next().unwrap_or_default(), why);
    format!("    <testcase classname=\"{}\" name=\"set-up\" time=\"0.000\">{error}</testcase>\n", escaped(suite))
}

fn element(name: &str, kind: &str, message: &str, text: &str) -> String {
    format!("<{name} type=\"{}\" message=\"{}\">{}</{name}>", escaped(kind), escaped(message), escaped(text))
}

/// Text for XML 1.0, which has no way to say most control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in ansi::plain(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            '\t' | '\n' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Difference;
    use crate::outputs::Failure;

    fn cell(number: usize, source: &str, verdict: Verdict) -> CheckedCell {
        CheckedCell { number, source: source.into(), verdict, took: Duration::from_millis(250), fresh: None }
    }

    #[test]
    fn every_end_has_its_element() {
        let difference = Difference { what: "stdout".into(), how: "-1 < 2\n+\u{1b}[31m\"é\"\u{0}\u{ffff}".into() };
        let failure = Failure { kind: "panic".into(), message: "a & b".into(), text: "at ]]> line".into() };
        let cells = vec![
            cell(1, "let x = \"<a>\";", Verdict::Same),
            cell(2, "b", Verdict::Skipped),
            cell(3, "c", Verdict::Different(vec![difference])),
            cell(4, "d", Verdict::Failed(failure)),
            cell(5, "e", Verdict::NotRun),
        ];
        let checked = Checked { cells, session_failed: false };
        let want = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="6" failures="2" errors="1" skipped="2" time="1.250">
  <testsuite name="a&amp;b.ipynb" tests="5" failures="2" errors="0" skipped="2" time="1.250">
    <testcase classname="a&amp;b.ipynb" name="cell 1: let x = &quot;&lt;a&gt;&quot;;" time="0.250"/>
    <testcase classname="a&amp;b.ipynb" name="cell 2: b" time="0.250"><skipped/></testcase>
    <testcase classname="a&amp;b.ipynb" name="cell 3: c" time="0.250"><failure type="different" message="not as saved: stdout">stdout:
-1 &lt; 2
+&quot;é&quot;�</failure></testcase>
    <testcase classname="a&amp;b.ipynb" name="cell 4: d" time="0.250"><failure type="panic" message="a &amp; b">at ]]&gt; line</failure></testcase>
    <testcase classname="a&amp;b.ipynb" name="cell 5: e" time="0.250"><skipped message="the session was lost before"/></testcase>
  </testsuite>
  <testsuite name="gone.ipynb" tests="1" failures="0" errors="1" skipped="0" time="0.000">
    <testcase classname="gone.ipynb" name="set-up" time="0.000"><error type="set-up" message="no kernel">no kernel
there</error></testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(xml(&[("a&b.ipynb", Ok(&checked)), ("gone.ipynb", Err("no kernel\nthere"))]), want);
    }
}
