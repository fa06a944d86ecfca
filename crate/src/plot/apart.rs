//! For tests: whether the texts of a picture stand apart, measured with a real font.

use crate::notebook::Picture;
use std::collections::BTreeMap;

/// Where a text may reach: left, right, baseline, in pixels of the page.
#[derive(Debug)]
struct Extent {
    left: f64,
    right: f64,
    baseline: f64,
    size: f64,
    text: String,
}

/// The document of a picture that must be one.
pub(super) fn svg(picture: Picture) -> String {
    match picture {
        Picture::Svg { svg, .. } => svg,
        Picture::Png { .. } => panic!("not a document"),
    }
}

pub(super) fn attribute(tag: &str, name: &str) -> Option<f64> {
    words(tag, name)?.parse().ok()
}

fn words<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[start..].split('"').next()
}

fn plain(escaped: &str) -> String {
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    marks.iter().fold(escaped.to_owned(), |text, (mark, letter)| text.replace(mark, letter))
}

/// Every text of the document, measured with DejaVu Sans' real advances, and not with the bounds it was laid out by.
fn extents(svg: &str) -> Vec<Extent> {
    let advances: BTreeMap<char, f64> =
        serde_json::from_str(include_str!("../../tests/golden/dejavu_sans_advances.json")).unwrap();
    let mut offset = (0.0, 0.0);
    let mut extents = Vec::new();
    for line in svg.lines() {
        if line.starts_with("<svg x=") {
            offset = (attribute(line, "x").unwrap(), attribute(line, "y").unwrap());
        } else if line == "</svg>" {
            offset = (0.0, 0.0);
        } else if line.starts_with("<text ") {
            let text = plain(line.split_once('>').unwrap().1.strip_suffix("</text>").unwrap());
            let size = attribute(line, "font-size").unwrap();
            let natural = || text.chars().map(|letter| advances[&letter] * size).sum();
            let width: f64 = attribute(line, "textLength").unwrap_or_else(natural);
            let left = offset.0 + attribute(line, "x").unwrap()
                - match words(line, "text-anchor") {
                    Some("middle") => width / 2.0,
                    Some("end") => width,
                    _ => 0.0,
                };
            let baseline = offset.1 + attribute(line, "y").unwrap();
            extents.push(Extent { left, right: left + width, baseline, size, text });
        }
    }
    extents
}

/// No two texts on the same height touch, lines stand a font size apart, and nothing leaves the page. How many there are.
pub(super) fn assert_apart(svg: &str) -> usize {
    let extents = extents(svg);
    let (page, height) = (attribute(svg, "width").unwrap(), attribute(svg, "height").unwrap());
    for (index, a) in extents.iter().enumerate() {
        assert!(a.left >= 0.0 && a.right <= page && a.baseline < height, "{} leaves the page: {a:?}", a.text);
        for b in extents.iter().skip(index + 1) {
            let level = (a.baseline - b.baseline).abs() < a.size.min(b.size);
            assert!(!level || a.right < b.left || b.right < a.left, "{} and {} collide: {a:?}, {b:?}", a.text, b.text);
        }
    }
    extents.len()
}
