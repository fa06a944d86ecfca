//! What README and course lead to is there.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::path::Path;

const DOCUMENTS: [(&str, &str); 2] =
    [("README.md", include_str!("../README.md")), ("course.md", include_str!("../course.md"))];

/// Where a page's links and pictures lead: `[text](target)` and `[name]: target`.
fn targets(text: &str) -> Vec<&str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let named = text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    inline.chain(named.map(|(_, target)| target.trim())).collect()
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn files_and_headings_that_are_linked_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut seen = 0;
    for (name, text) in DOCUMENTS {
        let anchors: Vec<String> = text.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
        for target in targets(text).into_iter().filter(|target| !target.starts_with("http")) {
            match target.strip_prefix('#') {
                Some(heading) => assert!(anchors.iter().any(|known| known == heading), "{name}: no heading {target}"),
                None => assert!(root.join(target).exists(), "{name}: no file {target}"),
            }
            seen += 1;
        }
        for target in targets(text).into_iter().filter(|target| target.starts_with("http")) {
            assert!(target.starts_with("https://") && !target.contains(' '), "{name}: {target}");
        }
    }
    assert!(seen > 15, "only {seen} links were found");
}
