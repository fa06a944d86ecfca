//! What a session knows of names: for completion and inspection.

use super::analyst::Analyst;
use super::cell::{Variable, words};
use super::evcxr_session::EvcxrSession;
use super::{Completion, Completions};
use crate::html::text::escaped;
use std::collections::BTreeMap;

/// Media type to content.
type Media = BTreeMap<String, String>;

/// In a text shorter than this, in bytes, any variable may be meant.
const SHORT: usize = 4000;

impl EvcxrSession {
    /// The analyst, started where there is none yet; none where it cannot be.
    pub(super) fn analyst(&mut self) -> Option<&mut Analyst> {
        if self.analyst.as_ref().is_none_or(Analyst::has_ended) {
            self.analyst = Analyst::start(&self.options.runtime, &self.template).ok();
        }
        self.analyst.as_mut()
    }

    /// All that a cell may refer to, as code to stand before it.
    pub(super) fn before(&self, code: &str) -> String {
        let mut before = self.compiler.items_so_far();
        for (name, variable) in &self.kept {
            if code.contains(name.as_str()) || code.len() < SHORT {
                let mutable = if variable.mutable { "mut " } else { "" };
                before += &format!("let {mutable}{name}: {} = todo!();\n", variable.type_name);
            }
        }
        before
    }

    /// Completion by the names that are known here, while the analyst is still reading.
    pub(super) fn names(&self, code: &str, cursor: usize) -> Completions {
        let word = word_at(code, cursor);
        let start = code.get(word.start..cursor).unwrap_or_default();
        let mut known: BTreeMap<String, (&'static str, String)> = BTreeMap::new();
        known.extend(words(&code[..word.start]).into_iter().map(|name| (name, ("text", String::new()))));
        if !is_member(code, word.start) {
            known.extend(self.items.keys().map(|name| (name.clone(), ("type", String::new()))));
            let typed =
                |(name, variable): (&String, &Variable)| (name.clone(), ("variable", variable.type_name.clone()));
            known.extend(self.kept.iter().map(typed));
        }
        let matches = known.into_iter().filter(|(name, _)| !start.is_empty() && name.starts_with(start));
        let matches = matches.map(|(text, (kind, signature))| Completion { text, kind, signature });
        Completions { matches: matches.collect(), replaces: word.start..cursor }
    }
}

/// What is known of a name, and below it the code that defines it.
pub(super) fn with_source(known: Option<Media>, source: Option<&str>) -> Option<Media> {
    let Some(source) = source else { return known };
    let mut known = known.unwrap_or_default();
    let text = known.entry("text/plain".to_owned()).or_default();
    *text = format!("{text}\n\n{source}").trim_start().to_owned();
    if let Some(html) = known.get_mut("text/html") {
        *html += &format!("<pre><code>{}</code></pre>", escaped(source));
    }
    Some(known)
}

/// The bytes of the name that stands at `cursor`, or ends there.
pub(super) fn word_at(code: &str, cursor: usize) -> std::ops::Range<usize> {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let (before, behind) = code.split_at_checked(cursor).unwrap_or((code, ""));
    let start =
        before.rfind(|c| !in_name(c)).map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
    let end = before.len() + behind.find(|c| !in_name(c)).unwrap_or(behind.len());
    start..end
}

/// Whether a name that starts there is one of a value's or a module's own, as behind `.` and `::`: what the notebook calls so
/// is something else.
pub(super) fn is_member(code: &str, start: usize) -> bool {
    let before = code.get(..start).unwrap_or_default().trim_end();
    before.ends_with("::") || (before.ends_with('.') && !before.ends_with(".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_name_stands_below_what_is_known_of_it() {
        let media = |text: &str, html: Option<&str>| -> Media {
            let html = html.map(|html| ("text/html".to_owned(), html.to_owned()));
            [("text/plain".to_owned(), text.to_owned())].into_iter().chain(html).collect()
        };
        let source = "fn f() -> Vec<u8> { vec![] }";
        assert_eq!(with_source(None, None), None);
        assert_eq!(with_source(Some(media("f", None)), None), Some(media("f", None)));
        assert_eq!(with_source(None, Some(source)), Some(media(source, None)));
        let html = "<p>f</p><pre><code>fn f() -&gt; Vec&lt;u8&gt; { vec![] }</code></pre>";
        let want = media(&format!("f\n\n{source}"), Some(html));
        assert_eq!(with_source(Some(media("f", Some("<p>f</p>"))), Some(source)), Some(want));
    }

    #[test]
    fn a_member_is_told_from_a_variable_of_its_name() {
        for (code, member) in [
            ("v.len", true),
            ("v\n    .len", true),
            ("m::len", true),
            ("len", false),
            ("0..len", false),
            ("0. + len", false),
            ("let x: len", false),
        ] {
            assert_eq!(is_member(code, code.len() - 3), member, "{code}");
        }
    }

    #[test]
    fn the_name_at_the_cursor_is_found() {
        let code = "é.map(t_1)";
        let name = |cursor| &code[word_at(code, cursor)];
        assert_eq!((name(0), name(2), name(3), name(5), name(6), name(7)), ("é", "é", "map", "map", "map", "t_1"));
        assert_eq!((word_at("", 0), word_at("a ", 2), word_at("a", 9)), (0..0, 2..2, 0..1));
    }
}
