//! One share for each layer, in the order of the network.

use super::draw::{self, FONT, MARGIN, aligned, turned};
use super::{BLUE, document, hex, text};
use crate::notebook::Picture;
use crate::notebook::display::escape;
use crate::{Error, Result};
use std::fmt::Write;

const PAGE: usize = 932 + 2 * MARGIN;
/// Of the axes' field.
const HEIGHT: usize = 240;
/// Room for the vertical axis' name and numbers.
const LEFT: usize = MARGIN + 78;
/// Layers' names are cut beyond this, in font sizes.
const NAME: f64 = 16.0;
/// Names stand at least so far apart: the rest goes without.
const APART: usize = 15;
/// More layers make a picture that nobody can read.
const MOST: usize = 400;

/// The share of silent channels, 0 to 1, of each layer from the first to the last: a dot a layer, a line through them.
///
/// The axis begins at 0 and ends at 10, 20, 50 or 100 %, whatever holds them all. Where layers stand too close, every
/// second name is left out, or more.
///
/// # Errors
/// [`Error::Plot`] for no layers, more than 400, or a share that is not in 0..=1.
pub fn silent_by_depth(layers: &[(String, f64)], heading: &str) -> Result<Picture> {
    if layers.is_empty() || layers.len() > MOST {
        return Err(Error::Plot(format!("1 to {MOST} layers can be shown, and got {}", layers.len())));
    }
    if let Some((name, share)) = layers.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
        return Err(Error::Plot(format!("the share of silent channels in {name} is {share}: it must be in 0..=1")));
    }
    let most = layers.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    let top = [0.1, 0.2, 0.5].into_iter().find(|top| most <= *top).unwrap_or(1.0);
    let mut body = String::new();
    let above = draw::heading(&mut body, heading, PAGE) + FONT;
    axis(&mut body, above, top);
    let width = (PAGE - MARGIN - LEFT) as f64 / layers.len() as f64;
    let x = |index: usize| LEFT as f64 + width * (index as f64 + 0.5);
    let points: Vec<(f64, f64)> = (layers.iter().enumerate())
        .map(|(index, (_, share))| (x(index), above as f64 + HEIGHT as f64 * (1.0 - share / top)))
        .collect();
    curve(&mut body, layers, &points);
    let every = (APART as f64 / width).ceil() as usize;
    let named: Vec<(usize, String)> = (layers.iter().enumerate().step_by(every.max(1)))
        .flat_map(|(index, (name, _))| text::wrap(name, NAME, 1).into_iter().map(move |name| (index, name)))
        .collect();
    let longest = named.iter().map(|(_, name)| text::width(name) * FONT as f64).fold(0.0, f64::max).ceil() as usize;
    for (index, name) in &named {
        turned(&mut body, name, (x(*index) as usize + 5, above + HEIGHT + 8), "end", longest);
    }
    let alt = alt(layers, heading);
    Ok(Picture::Svg { svg: document(PAGE, above + HEIGHT + 8 + longest + MARGIN, &alt, &body), alt })
}

/// Level lines with their percentages, from 0 to `top`, and what they are.
fn axis(body: &mut String, above: usize, top: f64) {
    const STEPS: usize = 5;
    for step in 0..=STEPS {
        let y = above + HEIGHT - HEIGHT * step / STEPS;
        let tone = if step == 0 { "#787878" } else { "#e1e1e1" };
        // Writing to a string cannot fail.
        let _ = writeln!(body, "<path d=\"M{LEFT} {y}H{}\" stroke=\"{tone}\"/>", PAGE - MARGIN);
        let percent = format!("{:.0} %", 100.0 * top * step as f64 / STEPS as f64);
        aligned(body, &percent, (LEFT - 8, y + 5), "end", LEFT);
    }
    turned(body, "silent channels", (MARGIN + FONT, above + HEIGHT / 2), "middle", HEIGHT);
}

/// The line, and a dot for each layer that says its name and share.
fn curve(body: &mut String, layers: &[(String, f64)], points: &[(f64, f64)]) {
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let tone = hex(BLUE);
    let _ =
        writeln!(body, "<polyline points=\"{}\" fill=\"none\" stroke=\"{tone}\" stroke-width=\"2\"/>", line.join(" "));
    for ((x, y), (name, share)) in points.iter().zip(layers) {
        let words = escape(&format!("{name}: {:.1} %", 100.0 * share));
        let _ = writeln!(
            body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{tone}\"><title>{words}</title></circle>"
        );
    }
}

/// The shares in words: all of them, or the ends and the largest where there are many.
fn alt(layers: &[(String, f64)], heading: &str) -> String {
    const ALL: usize = 30;
    let words = |(name, share): &(String, f64)| format!("{name} {:.1} %", 100.0 * share);
    let shares = match layers {
        [first, .., last] if layers.len() > ALL => {
            let most = layers.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(last);
            format!("{} layers, from {} to {}, most in {}", layers.len(), words(first), words(last), words(most))
        }
        _ => layers.iter().map(words).collect::<Vec<_>>().join(", "),
    };
    format!("{heading}. Silent channels by depth: {shares}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::apart::svg;
    use super::*;

    fn layers(count: usize, share: impl Fn(usize) -> f64) -> Vec<(String, f64)> {
        (0..count).map(|index| (format!("features.{index}"), share(index))).collect()
    }

    #[test]
    fn every_layer_has_its_dot_at_its_height() {
        let picture =
            silent_by_depth(&layers(4, |index| [0.0, 0.1, 0.2, 0.05][index]), "MobileNetV2 & one photo").unwrap();
        assert_eq!(
            picture.alt(),
            "MobileNetV2 & one photo. Silent channels by depth: features.0 0.0 %, features.1 10.0 %, features.2 20.0 %, \
             features.3 5.0 %"
        );
        let svg = svg(picture);
        let heights: Vec<f64> = (svg.lines().filter(|line| line.starts_with("<circle")))
            .map(|line| line.split("cy=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        let from_below: Vec<f64> = heights.iter().map(|y| heights[0] - y).collect();
        assert_eq!(from_below, [0.0, HEIGHT as f64 / 2.0, HEIGHT as f64, HEIGHT as f64 / 4.0], "20 % is the axis' end");
        for text in ["0 %", "4 %", "20 %", "features.3", "silent channels"] {
            assert_eq!(svg.matches(&format!(">{text}</text>")).count(), 1, "{text}");
        }
        assert!(svg.contains("MobileNetV2 &amp; one photo") && svg.contains("<title>features.1: 10.0 %</title>"));
    }

    #[test]
    fn names_stand_apart_and_are_text() {
        for (count, named) in [(1, 1), (19, 19), (56, 56), (57, 29), (400, 50)] {
            let mut layers = layers(count, |index| index as f64 / 400.0);
            layers[0].0 = format!("<b>{}", "W".repeat(100));
            let svg = svg(silent_by_depth(&layers, "").unwrap());
            let places: Vec<usize> =
                (svg.lines().filter(|line| line.contains("rotate(-90)") && line.contains("\"end\"")))
                    .map(|line| line.split("translate(").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap())
                    .collect();
            assert_eq!(places.len(), named, "{count}");
            assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= FONT), "{count}: {places:?}");
            assert!(places.iter().all(|x| *x < PAGE) && svg.matches("<circle").count() == count);
            assert!(!svg.contains("<b>") && svg.contains("&lt;b&gt;"));
        }
    }

    #[test]
    fn what_is_no_share_is_an_error() {
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(silent_by_depth(&layers(3, |_| share), "").is_err(), "{share}");
        }
        assert!(silent_by_depth(&[], "").is_err() && silent_by_depth(&layers(401, |_| 0.0), "").is_err());
    }
}
