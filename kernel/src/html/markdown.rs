//! Markdown of a notebook as HTML that no notebook can turn against its reader.
//!
//! Raw HTML is shown as text; links lead to the web, a mail address or a place in reach, never to a script; pictures are
//! shown where the notebook holds them, and are links where they would have to be fetched.

use super::rust::highlighted;
use super::text::escaped;
use crate::notebook::Cell;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// The HTML of a markdown text; the cell, where there is one, holds its attached pictures.
pub fn rendered(text: &str, cell: Option<Cell<'_>>) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        // Recognised so that `_` and `*` in formulas stay; shown as they are written.
        | Options::ENABLE_MATH;
    let mut tamer = Tamer { cell, ..Tamer::default() };
    for event in Parser::new_ext(text, options) {
        tamer.take(event);
    }
    let mut out = String::new();
    html::push_html(&mut out, tamer.events.into_iter());
    out
}

/// The text of the first heading.
pub fn first_heading(text: &str) -> Option<String> {
    let mut heading = None;
    for event in Parser::new_ext(text, Options::empty()) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(text) | Event::Code(text) | Event::InlineHtml(text), Some(heading)) => heading.push_str(&text),
            (Event::End(TagEnd::Heading(_)), Some(heading)) if !heading.trim().is_empty() => {
                return Some(heading.trim().to_owned());
            }
            _ => {}
        }
    }
    None
}

/// Takes the parser's events one by one and leaves harmless ones.
#[derive(Default)]
struct Tamer<'a, 'c> {
    cell: Option<Cell<'c>>,
    events: Vec<Event<'a>>,
    /// A code block: its language, and its text so far.
    code: Option<(String, String)>,
    /// A block of raw HTML so far.
    raw: Option<String>,
    /// For each open link, whether it is kept.
    links: Vec<bool>,
    /// Open pictures that cannot be shown: whether they are links.
    pictures: Vec<Picture>,
    /// Where the open heading began.
    heading: Option<usize>,
}

/// How an open picture ends.
#[derive(Clone, Copy)]
enum Picture {
    Shown,
    Named,
    Linked,
}

impl<'a> Tamer<'a, '_> {
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match &kind {
                    CodeBlockKind::Fenced(info) => info.split([',', ' ']).next().unwrap_or_default().to_lowercase(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => self.end_code(),
            Event::Text(text) if let Some((_, code)) = &mut self.code => code.push_str(&text),
            Event::Start(Tag::HtmlBlock) => self.raw = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => self.end_raw(),
            Event::Html(html) if let Some(raw) = &mut self.raw => raw.push_str(&html),
            Event::InlineHtml(html) | Event::Html(html) => self.inline_html(html),
            Event::Start(Tag::Link { ref dest_url, .. }) => {
                let kept = leads_somewhere_safe(dest_url);
                self.links.push(kept);
                if kept {
                    self.events.push(event);
                }
            }
            Event::End(TagEnd::Link) => {
                if self.links.pop() == Some(true) {
                    self.events.push(event);
                }
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                self.begin_picture(dest_url, |dest_url| Tag::Image { link_type, dest_url, title, id });
            }
            Event::End(TagEnd::Image) => self.end_picture(),
            Event::Start(Tag::Heading { .. }) => {
                self.heading = Some(self.events.len());
                self.events.push(event);
            }
            Event::End(TagEnd::Heading(_)) => {
                self.name_heading();
                self.events.push(event);
            }
            event => self.events.push(event),
        }
    }

    fn html(&mut self, html: String) {
        self.events.push(Event::Html(html.into()));
    }

    fn end_code(&mut self) {
        let Some((language, code)) = self.code.take() else { return };
        let is_rust = matches!(language.as_str(), "rust" | "rs");
        let code = if is_rust { highlighted(&code) } else { escaped(&code) };
        self.html(format!("<pre><code>{code}</code></pre>\n"));
    }

    fn end_raw(&mut self) {
        let raw = self.raw.take().unwrap_or_default();
        if !is_comment(raw.trim()) {
            self.html(format!("<p>{}</p>\n", escaped(raw.trim())));
        }
    }

    fn inline_html(&mut self, html: CowStr<'a>) {
        if matches!(&*html, "<br>" | "<br/>" | "<br />") {
            self.events.push(Event::HardBreak);
        } else if !is_comment(&html) {
            self.events.push(Event::Text(html));
        }
    }

    fn begin_picture(&mut self, url: CowStr<'a>, tag: impl FnOnce(CowStr<'a>) -> Tag<'a>) {
        let attached = url.strip_prefix("attachment:").and_then(|name| self.cell?.attachment(name));
        let data = match attached {
            Some((media, base64)) => super::data_url(media, &base64),
            None => data_url_parts(&url).and_then(|(media, base64)| super::data_url(media, base64)),
        };
        if let Some(data) = data {
            self.events.push(Event::Start(tag(data.into())));
            self.pictures.push(Picture::Shown);
        } else if url.contains("://") && leads_somewhere_safe(&url) {
            self.html(format!("<a href=\"{}\">‹picture: ", escaped(&url)));
            self.pictures.push(Picture::Linked);
        } else {
            self.html("‹picture: ".to_owned());
            self.pictures.push(Picture::Named);
        }
    }

    fn end_picture(&mut self) {
        match self.pictures.pop() {
            Some(Picture::Shown) => self.events.push(Event::End(TagEnd::Image)),
            Some(Picture::Linked) => self.html("›</a>".to_owned()),
            Some(Picture::Named) | None => self.html("›".to_owned()),
        }
    }

    /// Gives the heading a name to link to, as JupyterLab does: its text, with `-` for spaces.
    fn name_heading(&mut self) {
        let Some(start) = self.heading.take() else { return };
        let text = self.events[start..].iter().filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(&**text),
            _ => None,
        });
        let name = text.collect::<String>().trim().replace(' ', "-");
        if let Some(Event::Start(Tag::Heading { id, .. })) = self.events.get_mut(start) {
            *id = Some(name.into());
        }
    }
}

fn is_comment(html: &str) -> bool {
    html.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")).is_some_and(|body| !body.contains("-->"))
}

/// Whether a link has no scheme (a place in reach) or a harmless one. A scheme with odd characters is none of these.
fn leads_somewhere_safe(url: &str) -> bool {
    match url.find([':', '/', '?', '#']) {
        Some(end) if url[end..].starts_with(':') => {
            matches!(url[..end].to_ascii_lowercase().as_str(), "http" | "https" | "mailto")
        }
        _ => true,
    }
}

/// Media type and content of `data:image/png;base64,…`.
fn data_url_parts(url: &str) -> Option<(&str, &str)> {
    let (media, base64) = url.strip_prefix("data:")?.split_once(',')?;
    Some((media.strip_suffix(";base64")?, base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_markdown_stays_text() {
        let attempts = [
            "<script>alert(1)</script>",
            "text <img src=x onerror=alert(1)> text",
            "<div onclick='alert(1)'>\n\n# x\n\n</div>",
            "[a](javascript:alert(1))",
            "[a](JaVaScRiPt:alert(1))",
            "[a](java&#x09;script:alert(1))",
            "[a](&#106;avascript:alert(1))",
            "[a](vbscript:x) [b](data:text/html,<script>) [c](file:///etc/passwd)",
            "<javascript:alert(1)>",
            "![a](javascript:alert(1))",
            "![a](javascript://x%0Aalert(1))",
            "![a](data:text/html;base64,PHNjcmlwdD4=)",
            "![a](data:image/png;base64,\"onerror=alert(1))",
            "![\"onerror=\"alert(1)](data:image/png;base64,aGk=)",
            "[a](https://x \"\\\" onclick=\\\"alert(1)\")",
            "```x\"><script>\n<script>\n```",
            "```rust\n\"<script>\n```",
            "$<script>$ and $$<img onerror=x>$$",
            "# <script> \" onclick=x",
            "| a |\n|---|\n| <script> |",
            "<!-- a --> <script> -->",
            "<!--\n--><script>\n-->",
            "[a]: javascript:alert(1)\n\n[a]",
            "![a](https://tracker.example/x.png)",
        ];
        for attempt in attempts {
            let html = rendered(attempt, None);
            let lower = html.to_lowercase();
            for bad in [
                "<script",
                "<img src=x",
                "<div",
                "href=\"javascript",
                "href=\"java",
                "href=\"vb",
                "href=\"data",
                "href=\"file",
                "src=\"java",
                "src=\"data:text",
                "src=\"http",
            ] {
                assert!(!lower.contains(bad), "{attempt:?} became {html:?}");
            }
            // Inside a tag, `onX=` may only stand within a quoted value, where every quote is escaped.
            for tag in lower.split('<').skip(1).filter_map(|tag| tag.split('>').next()) {
                let outside: String = tag.split('"').step_by(2).collect();
                assert!(!outside.contains("on"), "{attempt:?} became {html:?}");
            }
        }
    }

    #[test]
    fn endless_nesting_ends() {
        for opening in [">", "[", "![", "*a ", "- ", "<a ", "`", "$", "<!--", "| a |\n|-|\n", "![a](", "#"] {
            let html = rendered(&opening.repeat(20_000), None);
            assert!(!html.is_empty(), "{opening}");
        }
    }

    #[test]
    fn what_notebooks_are_written_in_is_shown() {
        let cases = [
            ("~~a~~ **b**", "<p><del>a</del> <strong>b</strong></p>\n"),
            ("a<br>b <!-- note -->", "<p>a<br />\nb </p>\n"),
            ("$a_1 * b_2 * c$", "<p><span class=\"math math-inline\">a_1 * b_2 * c</span></p>\n"),
            ("## Two `x` <b>", "<h2 id=\"Two-x-&lt;b&gt;\">Two <code>x</code> &lt;b&gt;</h2>\n"),
            ("```rust\nlet a;\n```", "<pre><code><span class=\"k\">let</span> a;\n</code></pre>\n"),
            ("```\na<b\n```", "<pre><code>a&lt;b\n</code></pre>\n"),
            ("[a](#Two-x) [b](other.ipynb)", "<p><a href=\"#Two-x\">a</a> <a href=\"other.ipynb\">b</a></p>\n"),
            ("![alt](data:image/png;base64,aGk=)", "<p><img src=\"data:image/png;base64,aGk=\" alt=\"alt\" /></p>\n"),
            ("![alt](https://x.example/y)", "<p><a href=\"https://x.example/y\">‹picture: alt›</a></p>\n"),
            ("![alt](near.png)", "<p>‹picture: alt›</p>\n"),
            ("<b>raw</b>", "<p>&lt;b&gt;raw&lt;/b&gt;</p>\n"),
        ];
        for (text, want) in cases {
            assert_eq!(rendered(text, None), want);
        }
        let table = rendered("| a | b |\n|---|--:|\n| 1 | 2 |", None);
        assert!(table.starts_with("<table>") && table.contains("text-align: right"), "{table}");
        assert_eq!(first_heading("text\n\n# A `b` c\n\n# d").as_deref(), Some("A b c"));
    }
}
