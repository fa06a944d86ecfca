//! A run notebook as one HTML page that needs nothing else, to be read anywhere and printed.
//!
//! Who is trusted: the text of a notebook, not at all: whoever wrote it shows text, never markup that runs. Its outputs,
//! as much as its code, which has just run on this machine with all its owner's rights: `text/html` is put in as it is.
//! But labels and file names from elsewhere find their way into outputs, so the page's policy forbids every script, form
//! and foreign address, and drawings come as pictures, in which nothing runs. Make pages of notebooks that were run here:
//! the runner takes all older outputs away.

mod markdown;
mod rust;
pub(crate) mod text;

use crate::notebook::json::Json;
use crate::notebook::{Cell, CellKind, Notebook};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use text::{escaped, printed};

const STYLE: &str = include_str!("style.css");

/// Nothing is fetched, nothing runs, nothing is sent.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page; `name` is its title where the notebook has no heading.
pub fn page(notebook: &Notebook, name: &str) -> String {
    let markdown = notebook.cells().filter(|cell| cell.kind() == CellKind::Markdown);
    let title = markdown.map(|cell| cell.source()).find_map(|text| markdown::first_heading(&text));
    let title = escaped(title.as_deref().unwrap_or(name));
    let cells: String = notebook.cells().map(section).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{cells}</main>\n</body>\n</html>\n"
    )
}

fn section(cell: Cell<'_>) -> String {
    let source = cell.source();
    match cell.kind() {
        CellKind::Markdown => {
            format!("<section class=\"md\">\n{}</section>\n", markdown::rendered(&source, Some(cell)))
        }
        CellKind::Raw => format!("<section class=\"raw\"><pre>{}</pre></section>\n", escaped(&source)),
        CellKind::Code if source.trim().is_empty() => String::new(),
        CellKind::Code => {
            let count = cell.execution_count().map(|n| format!("<span class=\"count\">[{n}]</span>\n"));
            let outputs: String = cell.outputs().iter().map(output).collect();
            let outputs = if outputs.is_empty() { outputs } else { format!("<div class=\"out\">\n{outputs}</div>\n") };
            format!(
                "<section class=\"code\">\n{}<pre class=\"in\"><code>{}</code></pre>\n{outputs}</section>\n",
                count.unwrap_or_default(),
                rust::highlighted(source.trim_end())
            )
        }
    }
}

fn output(output: &Json) -> String {
    let field = |name| output.get(name).and_then(Json::text).unwrap_or_default();
    match output.get("output_type").and_then(Json::as_str) {
        Some("stream") => {
            let class = if field("name") == "stderr" { " class=\"stderr\"" } else { "" };
            format!("<pre{class}>{}</pre>\n", printed(&field("text")))
        }
        Some("error") => {
            let traceback = output.get("traceback").and_then(Json::as_array).unwrap_or_default();
            let traceback: Vec<&str> = traceback.iter().filter_map(Json::as_str).collect();
            let (kind, message) = (escaped(&field("ename")), escaped(&field("evalue")));
            format!(
                "<div class=\"error\">\n<p>{kind}: {message}</p>\n<pre>{}</pre>\n</div>\n",
                printed(&traceback.join("\n"))
            )
        }
        Some("display_data" | "execute_result") => output.get("data").map(bundle).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The richest of the media that a page can show: pictures first, since nothing in them runs.
fn bundle(data: &Json) -> String {
    let of = |kind: &str| data.get(kind).and_then(Json::text);
    let words = of("text/plain");
    for kind in ["image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/gif"] {
        let base64 = of(kind).map(|content| if kind == "image/svg+xml" { STANDARD.encode(content) } else { content });
        if let Some(url) = base64.and_then(|base64| data_url(kind, &base64)) {
            let words = words.as_deref().unwrap_or_default().trim();
            let alt: String = words.chars().take(1000).collect();
            return format!("<figure><img src=\"{url}\" alt=\"{}\"></figure>\n", escaped(&alt));
        }
    }
    if let Some(html) = of("text/html") {
        return format!("<div class=\"html\">{html}</div>\n");
    }
    if let Some(markdown) = of("text/markdown") {
        return format!("<div class=\"md\">{}</div>\n", markdown::rendered(&markdown, None));
    }
    if let Some(text) = words.or_else(|| of("text/latex")) {
        return format!("<pre>{}</pre>\n", printed(&text));
    }
    match data {
        Json::Object(media) => {
            let shown = |(kind, content): &(String, Json)| match content.text() {
                Some(_) => format!("<pre>‹{}›</pre>\n", escaped(kind)),
                None => format!("<pre>{}</pre>\n", escaped(&content.to_string())),
            };
            media.first().map(shown).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// A picture as part of the page; none where it is no picture, or its content is not base64.
fn data_url(media: &str, base64: &str) -> Option<String> {
    const PICTURES: [&str; 5] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"];
    // Some writers leave the padding out, most break lines.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    );
    let compact: String = base64.split_ascii_whitespace().collect();
    let bytes = LENIENT.decode(compact).ok()?;
    PICTURES.contains(&media).then(|| format!("data:{media};base64,{}", STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;
    use serde_json::json;

    fn page_of(cells: serde_json::Value) -> String {
        let text = json!({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).to_string();
        let mut notebook = Notebook::parse(&text).unwrap();
        crate::runner::run(&mut notebook, &mut Echo::default(), &mut |_| {});
        page(&notebook, "file")
    }

    #[test]
    fn every_kind_of_output_is_shown() {
        let html = page_of(json!([
            {"cell_type": "markdown", "source": "text\n# A <b> & title\n![p](attachment:p.png)",
             "attachments": {"p.png": {"image/png": "aG\nk"}}},
            {"cell_type": "raw", "source": "<raw>"},
            {"cell_type": "code", "source": "print <one>\nwarn two\nshow <svg onload='alert(1)'/>\nvalue (1, 2)"},
            {"cell_type": "code", "source": "html <table><tr><td>3</td></tr></table>"},
            {"cell_type": "code", "source": ""},
            {"cell_type": "code", "source": "panic <four>"},
        ]));
        let svg = STANDARD.encode("<svg onload='alert(1)'/>");
        for wanted in [
            "<title>A &lt;b&gt; &amp; title</title>",
            "<img src=\"data:image/png;base64,aGk=\" alt=\"p\" />",
            "<pre>&lt;raw&gt;</pre>",
            "<span class=\"count\">[1]</span>",
            "<pre>&lt;one&gt;\n</pre>",
            "<pre class=\"stderr\">two\n</pre>",
            &format!("<img src=\"data:image/svg+xml;base64,{svg}\" alt=\"a drawing\">"),
            "<pre>(1, 2)</pre>",
            "<div class=\"html\"><table><tr><td>3</td></tr></table></div>",
            "<p>panic: &lt;four&gt; (line 1)</p>",
            "<span class=\"c1\">backtrace</span>",
        ] {
            assert!(html.contains(wanted), "{wanted} is not in {html}");
        }
        assert!(!html.contains("<svg") && !html.contains("<raw>") && !html.contains("<four>"));
        assert_eq!(html.matches("<section class=\"code\">").count(), 3, "an empty cell is not shown");
    }

    #[test]
    fn the_page_forbids_scripts_and_fetches_nothing() {
        let html = page_of(json!([{"cell_type": "markdown", "source": "![x](https://x.example/x.png)"}]));
        assert!(
            html.contains("content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'")
        );
        let policy = html.find("Content-Security-Policy").unwrap();
        assert!(policy < html.find("<style").unwrap(), "the policy comes before all that it governs");
        for outside in ["src=\"http", "<link", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn what_is_not_base64_is_no_picture() {
        for (media, content) in [("image/png", "a\"b"), ("text/html", "aGk="), ("image/png", "<b>")] {
            assert_eq!(data_url(media, content), None, "{media} {content}");
        }
        let broken = json!([{"data": {"image/png": "\"><script>", "text/plain": "<words>"}}]).to_string();
        let output = Json::parse(&broken).unwrap();
        let shown = bundle(output.as_array().unwrap()[0].get("data").unwrap());
        assert_eq!(shown, "<pre>&lt;words&gt;</pre>\n");
    }

    #[test]
    fn other_media_are_named_or_written_out() {
        let cases = [
            (r#"{"application/json": {"a": [1]}}"#, "<pre>{\n &quot;a&quot;: [\n  1\n ]\n}</pre>\n"),
            (r#"{"application/x-<b>": "data"}"#, "<pre>‹application/x-&lt;b&gt;›</pre>\n"),
            (r#"{"text/markdown": ["*a*\n", "<b>"]}"#, "<div class=\"md\"><p><em>a</em>\n&lt;b&gt;</p>\n</div>\n"),
            ("{}", ""),
            ("3", ""),
        ];
        for (data, want) in cases {
            assert_eq!(bundle(&Json::parse(data).unwrap()), want);
        }
    }
}
