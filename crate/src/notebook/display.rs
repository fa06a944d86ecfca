//! What a cell shows: pictures, tables and texts, in the media types a notebook knows.
//!
//! On the candlewick kernel each display is a marked [line](super::lines) and appears at once; on the stock evcxr kernel
//! it is one of evcxr's content blocks, of which the last one of a type in each cell is shown when the cell has ended.

use super::{Picture, lines::Line, on_candlewick_kernel, send};
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write as _};
use std::io::Write as _;

impl Picture {
    /// Shows the picture below a notebook cell, with its words for those who cannot see it.
    ///
    /// JupyterLab puts SVG and PNG into an image element without words of its own, and prefers HTML; so the HTML form
    /// is an image element that has them, and the bare form is for everything else that reads notebooks.
    pub fn evcxr_display(&self) {
        show(self.media());
    }

    /// Shows the picture with `text` in place of its words where only text is shown.
    pub(crate) fn show_beside(&self, text: &str) {
        let mut media = self.media();
        media.retain(|(media_type, _)| *media_type != "text/plain");
        media.insert(0, ("text/plain", text.to_owned()));
        show(media);
    }

    /// What it shows, in words.
    pub fn alt(&self) -> &str {
        match self {
            Self::Svg { alt, .. } | Self::Png { alt, .. } => alt,
        }
    }

    fn media(&self) -> Media {
        let (media_type, content) = match self {
            Self::Svg { svg, .. } => ("image/svg+xml", svg.clone()),
            Self::Png { png, .. } => ("image/png", base64(png)),
        };
        vec![("text/plain", self.alt().to_owned()), ("text/html", self.html()), (media_type, content)]
    }

    /// An image element that holds the picture.
    fn html(&self) -> String {
        let address = match self {
            Self::Svg { svg, .. } => svg_address(svg),
            Self::Png { png, .. } => format!("data:image/png;base64,{}", base64(png)),
        };
        format!("<img alt=\"{}\" src=\"{address}\"/>", escape(self.alt()))
    }
}

/// Names the picture by its words and its size; the whole document would drown what it is printed among.
impl Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Self::Svg { svg, .. } => ("SVG", svg.len()),
            Self::Png { png, .. } => ("PNG", png.len()),
        };
        write!(f, "Picture ({kind}, {bytes} bytes: {})", self.alt())
    }
}

/// The same content in several media types.
type Media = Vec<(&'static str, String)>;

/// Shows a table or other HTML, with the same content as plain text for where HTML is not shown.
pub fn html(html: &str, text: &str) {
    show(vec![("text/plain", text.to_owned()), ("text/html", html.to_owned())]);
}

/// Shows one picture below the other.
///
/// The stock kernel keeps one of a kind in each cell: there they are one piece of HTML.
pub(crate) fn pictures(pictures: &[Picture]) {
    if on_candlewick_kernel() || pictures.len() < 2 {
        return pictures.iter().for_each(Picture::evcxr_display);
    }
    let (tags, words): (Vec<_>, Vec<_>) = pictures.iter().map(|one| (one.html(), one.alt())).unzip();
    html(&tags.join("<br/>"), &words.join("\n"));
}

/// Shows text, set in a fixed width as it is.
pub fn text(text: &str) {
    show(vec![("text/plain", text.to_owned())]);
}

/// Shows text that takes the place of what was shown under the same `id` before.
///
/// Only the candlewick kernel can replace; elsewhere the last text of a cell is what remains.
pub fn update(id: &str, text: &str) {
    display(vec![("text/plain", text.to_owned())], Some(id.to_owned()));
}

/// As [`update`], with a picture below the text where a front end shows pictures.
pub fn update_with_picture(id: &str, text: &str, picture: &Picture) {
    let html = format!("<pre>{}</pre>{}", escape(text), picture.html());
    display(vec![("text/plain", text.to_owned()), ("text/html", html)], Some(id.to_owned()));
}

fn show(media: Media) {
    display(media, None);
}

fn display(media: Media, id: Option<String>) {
    if on_candlewick_kernel() {
        let media: BTreeMap<String, String> =
            media.into_iter().map(|(media_type, content)| (media_type.to_owned(), content)).collect();
        let ends = crate::cell::takes_end();
        return send(&if ends && id.is_none() { Line::Result { media } } else { Line::Display { media, id } });
    }
    let mut out = std::io::stdout().lock();
    // Where nobody listens any more, there is nobody to show it to.
    let _ = out.write_all(evcxr_blocks(&media).as_bytes()).and_then(|()| out.flush());
}

/// The blocks by which evcxr is shown content, one a media type.
fn evcxr_blocks(media: &Media) -> String {
    let mut blocks = String::new();
    for (media_type, content) in media {
        // evcxr ends a block at a line that is exactly this; a blank behind it changes nothing to the eye.
        let content = content.replace("EVCXR_END_CONTENT\n", "EVCXR_END_CONTENT \n");
        let content = content
            .strip_suffix("EVCXR_END_CONTENT")
            .map_or(content.clone(), |rest| format!("{rest}EVCXR_END_CONTENT "));
        // Writing to a string cannot fail.
        let _ = write!(blocks, "EVCXR_BEGIN_CONTENT {media_type}\n{content}\nEVCXR_END_CONTENT\n");
    }
    blocks
}

/// Shows a plain value below a notebook cell, by its `Debug`. `()` is not worth showing.
pub fn show_debug<T: Debug>(value: &T) {
    if let Some(shown) = debug_text(value) {
        text(&shown);
    }
}

/// What there is to show of a plain value; nothing for `()`.
fn debug_text<T: Debug>(value: &T) -> Option<String> {
    (std::any::type_name::<T>() != std::any::type_name::<()>()).then(|| format!("{value:?}"))
}

/// Text as it must be written in HTML and XML, quotes included. Characters that XML does not know are replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// An SVG document as an address: only what would end the attribute or the address is escaped, so that it hardly grows.
fn svg_address(svg: &str) -> String {
    let mut address = String::with_capacity(svg.len() + svg.len() / 16);
    address.push_str("data:image/svg+xml,");
    for character in svg.chars() {
        match character {
            '%' | '#' | '"' | '\'' | '<' | '>' | '&' | '\0'..='\u{1f}' | '\u{7f}'.. => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(address, "%{byte:02X}");
                }
            }
            _ => address.push(character),
        }
    }
    address
}

/// Bytes as base64 (RFC 4648, section 4), padded, on one line.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, at| number << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let sextet = (number >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The seven vectors of RFC 4648, section 10.
    #[test]
    fn base64_is_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, want) in vectors {
            assert_eq!(base64(bytes.as_bytes()), want);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn a_block_is_what_evcxr_reads() {
        let media = vec![("text/plain", "a\nb".to_owned()), ("image/svg+xml", "<svg/>".to_owned())];
        let want = "EVCXR_BEGIN_CONTENT text/plain\na\nb\nEVCXR_END_CONTENT\n\
                    EVCXR_BEGIN_CONTENT image/svg+xml\n<svg/>\nEVCXR_END_CONTENT\n";
        assert_eq!(evcxr_blocks(&media), want);
    }

    #[test]
    fn content_cannot_end_its_own_block() {
        for content in ["EVCXR_END_CONTENT", "a\nEVCXR_END_CONTENT\nb", "EVCXR_END_CONTENT\n"] {
            let blocks = evcxr_blocks(&vec![("text/plain", content.to_owned())]);
            assert_eq!(blocks.lines().filter(|line| *line == "EVCXR_END_CONTENT").count(), 1, "{content:?}");
            assert!(blocks.ends_with("\nEVCXR_END_CONTENT\n"), "{content:?}");
        }
    }

    #[test]
    fn a_picture_brings_its_words_in_every_form() {
        let alt = "a \"photo\" of <cats> & dogs";
        let svg = Picture::Svg { svg: "<svg width=\"10%\" fill='#fff'>é</svg>\n".to_owned(), alt: alt.to_owned() };
        let media: BTreeMap<_, _> = svg.media().into_iter().collect();
        assert_eq!(media["text/plain"], alt);
        assert_eq!(media["image/svg+xml"], "<svg width=\"10%\" fill='#fff'>é</svg>\n");
        assert_eq!(
            media["text/html"],
            "<img alt=\"a &quot;photo&quot; of &lt;cats&gt; &amp; dogs\" src=\"data:image/svg+xml,\
             %3Csvg width=%2210%25%22 fill=%27%23fff%27%3E%C3%A9%3C/svg%3E%0A\"/>"
        );
        let png = Picture::Png { png: b"foobar".to_vec(), alt: alt.to_owned() };
        let media: BTreeMap<_, _> = png.media().into_iter().collect();
        assert_eq!(media["image/png"], "Zm9vYmFy");
        assert!(media["text/html"].contains("src=\"data:image/png;base64,Zm9vYmFy\""));
        assert_eq!(format!("{png:?}"), format!("Picture (PNG, 6 bytes: {alt})"));
    }

    #[test]
    fn plain_values_show_their_debug_and_nothing_shows_nothing() {
        assert_eq!(debug_text(&vec![Some("a"), None]).unwrap(), "[Some(\"a\"), None]");
        assert_eq!(debug_text(&"()").unwrap(), "\"()\"", "a text is not ()");
        assert_eq!(debug_text(&()), None);
    }

    #[test]
    fn what_xml_does_not_know_is_replaced() {
        assert_eq!(escape("a\u{0}b\u{1b}[31m<'\n"), "a\u{fffd}b\u{fffd}[31m&lt;&#39;\n");
    }
}
