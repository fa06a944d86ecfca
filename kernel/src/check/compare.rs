//! A cell's outputs against the saved ones.
//!
//! As in nbval: what was printed is joined by stream; outputs are compared media type by media type, those of one type in
//! their order; metadata, tracebacks and numbers of execution are not looked at.

use super::picture;
use super::sanitize::Sanitizer;
use crate::ansi;
use crate::notebook::json::Json;
use similar::{Algorithm, TextDiff};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long two texts may be compared before a coarser difference will do.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many lines of a difference are shown.
const MOST_LINES: usize = 60;

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: `stdout`, `image/png 2`.
    pub what: String,
    /// How: a unified diff, or a sentence.
    pub how: String,
}

/// All differences between saved outputs and new ones; both as the notebook format writes them.
pub fn compare(saved: &[Json], new: &[Json], sanitizer: &Sanitizer) -> Vec<Difference> {
    let (saved, new) = (contents(saved, sanitizer), contents(new, sanitizer));
    let kinds: BTreeSet<&String> = saved.keys().chain(new.keys()).collect();
    let mut differences = Vec::new();
    for kind in kinds {
        let (before, after) =
            (saved.get(kind).map_or(&[][..], Vec::as_slice), new.get(kind).map_or(&[][..], Vec::as_slice));
        for (index, (before, after)) in before.iter().zip(after).enumerate() {
            if let Some(how) = differs(kind, before, after, sanitizer) {
                let what = if index == 0 { kind.clone() } else { format!("{kind} {}", index + 1) };
                differences.push(Difference { what, how });
            }
        }
        if before.len() != after.len() {
            differences.push(Difference { what: kind.clone(), how: counts(before, after, sanitizer) });
        }
    }
    differences
}

/// What is there too little, or too much.
fn counts(before: &[String], after: &[String], sanitizer: &Sanitizer) -> String {
    let more = before.get(after.len()..).or_else(|| after.get(before.len()..)).unwrap_or_default();
    let first = more.first().map(|text| sanitizer.clean(&ansi::plain(text))).unwrap_or_default();
    let first: String =
        first.lines().take(5).map(|line| format!("\n{}", line.chars().take(200).collect::<String>())).collect();
    match (before.len(), after.len()) {
        (0, 1) => format!("there was none, and now there is one:{first}"),
        (1, 0) => format!("there was one, and now there is none:{first}"),
        (was, is) => format!("there were {was}, and now there are {is}; the first of the others:{first}"),
    }
}

/// All that counts, by kind.
fn contents(outputs: &[Json], sanitizer: &Sanitizer) -> BTreeMap<String, Vec<String>> {
    let mut contents: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for output in outputs {
        let text = |field: &str| output.get(field).and_then(Json::text).unwrap_or_default();
        match output.get("output_type").and_then(Json::as_str) {
            Some("stream") => {
                let texts = contents.entry(text("name")).or_default();
                match texts.first_mut() {
                    Some(whole) => whole.push_str(&text("text")),
                    None => texts.push(text("text")),
                }
            }
            Some("error") => {
                contents.entry("error".to_owned()).or_default().push(format!("{}: {}", text("ename"), text("evalue")));
            }
            _ => {
                for (kind, content) in media(output) {
                    contents.entry(kind).or_default().push(content);
                }
            }
        }
    }
    for stream in ["stdout", "stderr"] {
        for text in contents.get_mut(stream).into_iter().flatten() {
            *text = as_seen(text);
        }
    }
    // What sanitizing leaves nothing of may as well not have been printed.
    let is_printed = |text: &String| !sanitizer.clean(&ansi::plain(text)).is_empty();
    contents.retain(|kind, texts| !matches!(kind.as_str(), "stdout" | "stderr") || texts.iter().any(is_printed));
    contents
}

/// The media of one output that are compared.
fn media(output: &Json) -> Vec<(String, String)> {
    let Some(Json::Object(media)) = output.get("data") else { return Vec::new() };
    let has_picture = media.iter().any(|(kind, _)| kind.starts_with("image/"));
    let counts = |kind: &str| match kind {
        // It names a model by a random number.
        "application/vnd.jupyter.widget-view+json" => false,
        // It holds the picture once more.
        "text/html" => !has_picture,
        _ => true,
    };
    let content = |json: &Json| json.text().unwrap_or_else(|| json.to_string());
    media.iter().filter(|(kind, _)| counts(kind)).map(|(kind, json)| (kind.clone(), content(json))).collect()
}

/// Printed text as a terminal leaves it: what a carriage return or a backspace overwrites is gone.
fn as_seen(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    let mut line = String::new();
    let mut returned = false;
    for c in text.chars() {
        match c {
            '\n' => {
                seen.push_str(&line);
                seen.push('\n');
                line.clear();
                returned = false;
            }
            '\r' => returned = true,
            '\u{8}' => drop(line.pop()),
            c => {
                if std::mem::take(&mut returned) {
                    line.clear();
                }
                line.push(c);
            }
        }
    }
    seen + &line
}

fn differs(kind: &str, saved: &str, new: &str, sanitizer: &Sanitizer) -> Option<String> {
    match kind {
        "image/png" => return picture::png(saved, new),
        // That there is one has been compared.
        kind if kind.starts_with("image/") && kind != "image/svg+xml" => return None,
        _ => {}
    }
    let (saved, new) = (sanitizer.clean(saved), sanitizer.clean(new));
    match kind {
        "image/svg+xml" => picture::svg(&saved, &new),
        _ if saved == new => None,
        _ => Some(unified(&ansi::plain(&saved), &ansi::plain(&new))),
    }
}

/// The difference in lines; where only colours differ, that.
fn unified(saved: &str, new: &str) -> String {
    if saved == new {
        return "the same text in other colours".to_owned();
    }
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).timeout(PATIENCE).diff_lines(saved, new);
    let text = diff.unified_diff().context_radius(2).header("saved", "new").to_string();
    let lines: Vec<&str> = text.lines().collect();
    match lines.len().checked_sub(MOST_LINES) {
        None | Some(0) => lines.join("\n"),
        Some(more) => format!("{}\n… and {more} lines more", lines.get(..MOST_LINES).unwrap_or_default().join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(text: &str) -> Vec<Json> {
        Json::parse(text).unwrap().as_array().unwrap().to_vec()
    }

    fn differences(saved: &str, new: &str, sanitize: &str) -> Vec<Difference> {
        compare(&outputs(saved), &outputs(new), &Sanitizer::parse(sanitize).unwrap())
    }

    fn stream(name: &str, text: &str) -> String {
        format!(r#"{{"output_type": "stream", "name": "{name}", "text": {}}}"#, serde_json::json!(text))
    }

    #[test]
    fn what_is_sanitized_away_need_not_be_there() {
        let progress = format!("[{}]", stream("stdout", "Photos: 50% of 4 photos\nPhotos: 100% of 4 photos\n"));
        assert_eq!(differences("[]", &progress, "regex: Photos: \\d+% of .*\\n\nreplace:\n"), []);
        assert_eq!(differences("[]", &progress, "").len(), 1);
    }

    #[test]
    fn streams_are_joined_by_their_name_and_read_as_a_terminal_shows_them() {
        let saved = format!("[{}, {}]", stream("stdout", "a\nc\n"), stream("stderr", "b\n"));
        let new = format!(
            "[{}, {}, {}]",
            stream("stdout", "a\n"),
            stream("stderr", "12 %\r100 %\rb\n"),
            stream("stdout", "xyz\u{8}\u{8}\u{8}c\r\n")
        );
        assert_eq!(differences(&saved, &new, ""), []);
        assert_eq!(as_seen("half\rwhole\r"), "whole");
    }

    #[test]
    fn a_difference_shows_both_sides() {
        let saved = format!("[{}]", stream("stdout", "one\ntwo\nthree\n"));
        let new = format!("[{}]", stream("stdout", "one\n\u{1b}[1m2\u{1b}[0m\nthree\n"));
        let [difference] = &differences(&saved, &new, "")[..] else { panic!("one difference") };
        let want = "--- saved\n+++ new\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three";
        assert_eq!((difference.what.as_str(), difference.how.as_str()), ("stdout", want));
        assert_eq!(differences(&saved, &new, "regex: two\nreplace: NUMBER\nregex: .\\[1m2.\\[0m\nreplace: NUMBER"), []);
    }

    #[test]
    fn what_comes_or_goes_is_named() {
        let one = format!("[{}]", stream("stderr", "warning: late\n"));
        assert_eq!(differences(&one, "[]", "")[0].how, "there was one, and now there is none:\nwarning: late");
        assert_eq!(differences("[]", &one, "")[0].how, "there was none, and now there is one:\nwarning: late");
        let plain = |text: &str| format!(r#"{{"output_type": "display_data", "data": {{"text/plain": "{text}"}}}}"#);
        let (two, three) = (format!("[{}, {}]", plain("a"), plain("b")), format!("[{0}, {0}, {0}]", plain("a")));
        let found = differences(&two, &three, "");
        assert_eq!(found.iter().map(|found| found.what.as_str()).collect::<Vec<_>>(), ["text/plain 2", "text/plain"]);
        assert!(found[1].how.starts_with("there were 2, and now there are 3"), "{}", found[1].how);
    }

    #[test]
    fn what_differs_from_run_to_run_is_not_looked_at() {
        let saved = r#"[{"output_type": "execute_result", "execution_count": 3, "metadata": {"a": 1}, "data": {
            "text/plain": ["x\n", "y"], "application/vnd.jupyter.widget-view+json": {"model_id": "1"}}},
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["line 1"]}]"#;
        let new = r#"[{"output_type": "display_data", "metadata": {}, "data": {"text/plain": "x\ny"}},
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": []}]"#;
        assert_eq!(differences(saved, new, ""), []);
        let other = new.replace("\"v\"", "\"w\"");
        assert_eq!(differences(saved, &other, "")[0].what, "error");
    }

    #[test]
    fn a_page_that_repeats_a_picture_is_not_compared_and_json_is() {
        let saved = r#"[{"data": {"image/svg+xml": "<svg x=\"20\"/>", "text/html": "<img a>"}}, {"data": {"text/html": "<b>"}}]"#;
        let new = r#"[{"data": {"image/svg+xml": ["<svg x=\"20.5\"/>"], "text/html": "<img b>"}}, {"data": {"text/html": "<i>"}}]"#;
        let found = differences(saved, new, "");
        assert_eq!(found.iter().map(|found| found.what.as_str()).collect::<Vec<_>>(), ["text/html"]);
        let json = |number: u32| format!(r#"[{{"data": {{"application/json": {{"a": [{number}]}}}}}}]"#);
        assert_eq!(differences(&json(1), &json(1), ""), []);
        assert_eq!(differences(&json(1), &json(2), "")[0].what, "application/json");
    }

    #[test]
    fn a_long_difference_is_cut() {
        let lines = |word: &str| (0..500).map(|i| format!("{word}{i}\n")).collect::<String>();
        let text = unified(&lines("a"), &lines("b"));
        assert_eq!(text.lines().count(), MOST_LINES + 1);
        assert!(text.ends_with("lines more"), "{text}");
    }
}
