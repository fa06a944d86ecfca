//! What candlewick needs on a machine, checked one by one, each failure with its cure.

mod disk;
mod jupyter;
mod machine;
mod rust;

use serde_json::{Value, json};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// Worth knowing; candlewick works without.
    Poor,
    /// Candlewick, or a part of it, does not work.
    Bad,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub about: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found, in a line.
    pub text: String,
    /// What to do, where something is to be done.
    pub cure: Option<String>,
}

impl Finding {
    fn good(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, state: State::Good, text: text.into(), cure: None }
    }

    fn poor(about: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { about, state: State::Poor, text: text.into(), cure: Some(cure.into()) }
    }

    fn bad(about: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { about, state: State::Bad, text: text.into(), cure: Some(cure.into()) }
    }
}

/// The checks, in the order of what stands on what.
const CHECKS: [fn() -> Finding; 15] = [
    rust::compiler,
    rust::cargo,
    rust::linker,
    rust::helper_crate,
    rust::template,
    rust::library_sources,
    disk::cache,
    disk::space,
    disk::sessions,
    disk::weights,
    machine::processor,
    machine::graphics,
    jupyter::python,
    jupyter::lab,
    jupyter::kernelspec,
];

/// Makes all checks; `found` hears of each as it is done.
pub fn examine(found: &mut dyn FnMut(&Finding)) -> Vec<Finding> {
    CHECKS.iter().map(|check| check()).inspect(|finding| found(finding)).collect()
}

/// Whether nothing that is needed is missing.
pub fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.state != State::Bad)
}

/// A finding in lines for people.
pub fn lines(finding: &Finding) -> Vec<String> {
    let mark = match finding.state {
        State::Good => '✓',
        State::Poor => '!',
        State::Bad => '✗',
    };
    let mut lines = vec![format!("{mark} {}: {}", finding.about, one_line(&finding.text))];
    lines.extend(finding.cure.as_ref().map(|cure| format!("    {cure}")));
    lines
}

/// All findings, for programs.
pub fn json(findings: &[Finding]) -> Value {
    let word = |state| match state {
        State::Good => "good",
        State::Poor => "poor",
        State::Bad => "bad",
    };
    let each = |f: &Finding| json!({"about": f.about, "state": word(f.state), "text": f.text, "cure": f.cure});
    json!({"well": is_well(findings), "checks": findings.iter().map(each).collect::<Vec<_>>()})
}

/// What a program answers, on one of its two outputs; none where it is not there or fails.
fn answer(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Option<String> {
    let output =
        std::process::Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_read_as_a_mark_a_line_and_a_cure() {
        let findings = [
            Finding::good("Cargo", "1.95.0"),
            Finding::poor("GPU", "none", "nothing to do"),
            Finding::bad("Linker", "no\n  cc\n", "apt install gcc"),
        ];
        let text: Vec<_> = findings.iter().flat_map(lines).collect();
        let want = ["✓ Cargo: 1.95.0", "! GPU: none", "    nothing to do", "✗ Linker: no; cc", "    apt install gcc"];
        assert_eq!(text, want);
        assert!(!is_well(&findings) && is_well(&findings[..2]));
        assert_eq!(
            json(&findings[..1]),
            json!({"well": true, "checks": [
            {"about": "Cargo", "state": "good", "text": "1.95.0", "cure": null}]})
        );
    }
}
