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
/// Of words below the names.
const LINE: usize = 18;
/// Of what is silent for every photo.
const SHADE: &str = "#c8c8c8";
/// More layers make a picture that nobody can read.
const MOST: usize = 400;

/// How many of a layer's channels are silent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SilentShare<'a> {
    /// The layer's name.
    pub layer: &'a str,
    /// The share of its channels that are silent for a photo, 0 to 1.
    pub silent: f64,
    /// The share that are silent for every photo, 0 to 1.
    pub always: f64,
}

/// The share of silent channels of each layer from the first to the last: a dot a layer, a line through them. What is silent
/// for every photo is shaded, where anything is.
///
/// The axis begins at 0 and ends at 10, 20, 50 or 100 %, whatever holds them all. Where layers stand too close, every
/// second name is left out, or more; a line below says so.
///
/// # Errors
/// [`Error::Plot`] for no layers, more than 400, or a share that is not in 0..=1.
pub fn silent_by_depth(layers: &[SilentShare<'_>], heading: &str) -> Result<Picture> {
    if layers.is_empty() || layers.len() > MOST {
        return Err(Error::Plot(format!("1 to {MOST} layers can be shown, and got {}", layers.len())));
    }
    let shares = layers.iter().flat_map(|layer| [(layer.layer, layer.silent), (layer.layer, layer.always)]);
    if let Some((name, share)) = shares.clone().find(|(_, share)| !(0.0..=1.0).contains(share)) {
        return Err(Error::Plot(format!("the share of silent channels in {name} is {share}: it must be in 0..=1")));
    }
    let most = shares.map(|(_, share)| share).fold(0.0, f64::max);
    let top = [0.1, 0.2, 0.5].into_iter().find(|top| most <= *top).unwrap_or(1.0);
    let mut body = String::new();
    let above = draw::heading(&mut body, heading, PAGE) + FONT;
    axis(&mut body, above, top);
    let width = (PAGE - MARGIN - LEFT) as f64 / layers.len() as f64;
    let x = |index: usize| LEFT as f64 + width * (index as f64 + 0.5);
    let y = |share: f64| above as f64 + HEIGHT as f64 * (1.0 - share / top);
    let points = |share: fn(&SilentShare<'_>) -> f64| -> Vec<(f64, f64)> {
        layers.iter().enumerate().map(|(index, layer)| (x(index), y(share(layer)))).collect()
    };
    let has_shade = layers.iter().any(|layer| layer.always > 0.0);
    if has_shade {
        shade(&mut body, &points(|layer| layer.always), y(0.0));
    }
    curve(&mut body, layers, &points(|layer| layer.silent));
    let every = ((APART as f64 / width).ceil() as usize).max(1);
    let below = names(&mut body, layers.iter().enumerate().step_by(every), x, above + HEIGHT + 8);
    let below = legend(&mut body, below, has_shade, (every, layers.len()));
    let alt = alt(layers, heading);
    Ok(Picture::Svg { svg: document(PAGE, below + MARGIN, &alt, &body), alt })
}

/// Layers' names from below to above, each where its dot stands. Gives the height at which the longest begins.
fn names<'a>(
    body: &mut String,
    layers: impl Iterator<Item = (usize, &'a SilentShare<'a>)>,
    x: impl Fn(usize) -> f64,
    top: usize,
) -> usize {
    let cut = |(index, layer): (usize, &SilentShare<'_>)| Some((index, text::wrap(layer.layer, NAME, 1).pop()?));
    let named: Vec<(usize, String)> = layers.filter_map(cut).collect();
    let longest = named.iter().map(|(_, name)| text::width(name) * FONT as f64).fold(0.0, f64::max).ceil() as usize;
    for (index, name) in &named {
        turned(body, name, (x(*index) as usize + 5, top), "end", longest);
    }
    top + longest
}

/// What the shade means, and how many layers are named; nothing where neither needs words. Gives the height at which it ends.
fn legend(body: &mut String, top: usize, has_shade: bool, (every, layers): (usize, usize)) -> usize {
    let mut y = top;
    if has_shade {
        y += LINE;
        let side = FONT;
        let _ = writeln!(
            body,
            "<rect x=\"{LEFT}\" y=\"{}\" width=\"{side}\" height=\"{side}\" fill=\"{SHADE}\"/>",
            y - side + 2
        );
        let words = "shaded: silent for every photo; the line: silent for a photo, on average";
        aligned(body, words, (LEFT + side + 8, y), "start", PAGE - MARGIN - LEFT - side - 8);
    }
    if every > 1 {
        y += LINE;
        aligned(
            body,
            &format!("{} of {layers} layers are named", layers.div_ceil(every)),
            (LEFT, y),
            "start",
            PAGE - LEFT,
        );
    }
    y
}

/// What is silent for every photo, down to the height of 0.
fn shade(body: &mut String, points: &[(f64, f64)], zero: f64) {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let ground = [(last.0, zero), (first.0, zero)];
    let outline: Vec<String> = points.iter().chain(&ground).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(body, "<polygon points=\"{}\" fill=\"{SHADE}\"/>", outline.join(" "));
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
fn curve(body: &mut String, layers: &[SilentShare<'_>], points: &[(f64, f64)]) {
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let tone = hex(BLUE);
    let _ =
        writeln!(body, "<polyline points=\"{}\" fill=\"none\" stroke=\"{tone}\" stroke-width=\"2\"/>", line.join(" "));
    for ((x, y), SilentShare { layer, silent, .. }) in points.iter().zip(layers) {
        let words = escape(&format!("{layer}: {:.1} %", 100.0 * silent));
        let _ = writeln!(
            body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{tone}\"><title>{words}</title></circle>"
        );
    }
}

/// The shares in words: all of them, or the ends and the largest where there are many.
fn alt(layers: &[SilentShare<'_>], heading: &str) -> String {
    const ALL: usize = 30;
    let words = |(name, share): (&str, f64)| format!("{name} {:.1} %", 100.0 * share);
    let silent = |layer: &SilentShare<'_>| words((layer.layer, layer.silent));
    let mut shares = match layers {
        [first, .., last] if layers.len() > ALL => {
            let most = layers.iter().max_by(|a, b| a.silent.total_cmp(&b.silent)).unwrap_or(last);
            format!("{} layers, from {} to {}, most in {}", layers.len(), silent(first), silent(last), silent(most))
        }
        _ => layers.iter().map(silent).collect::<Vec<_>>().join(", "),
    };
    let always = layers.iter().filter(|layer| layer.always > 0.0);
    if let Some(most) = always.clone().reduce(|most, layer| if layer.always > most.always { layer } else { most }) {
        let most = words((most.layer, most.always));
        let _ = write!(shares, ". Shaded, silent for every photo: in {} of them, most in {most}", always.count());
    }
    format!("{heading}, by depth: {shares}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::apart::{attribute, svg};
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("features.{index}")).collect()
    }

    fn layers(names: &[String], share: impl Fn(usize) -> f64) -> Vec<SilentShare<'_>> {
        let layer = |(index, layer)| SilentShare { layer, silent: share(index), always: 0.0 };
        names.iter().map(String::as_str).enumerate().map(layer).collect()
    }

    #[test]
    fn every_layer_has_its_dot_at_its_height() {
        let names = names(4);
        let picture =
            silent_by_depth(&layers(&names, |index| [0.0, 0.1, 0.2, 0.05][index]), "MobileNetV2 & one photo").unwrap();
        assert_eq!(
            picture.alt(),
            "MobileNetV2 & one photo, by depth: features.0 0.0 %, features.1 10.0 %, features.2 20.0 %, \
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
        assert!(!svg.contains("<polygon") && !svg.contains("shaded") && !svg.contains("are named"));
    }

    /// The shade's outline goes through each layer's share and back along 0.
    #[test]
    fn what_is_silent_for_every_photo_is_shaded() {
        let names = names(3);
        let mut layers = layers(&names, |_| 0.2);
        layers[0].always = 0.1;
        layers[2].always = 0.2;
        let picture = silent_by_depth(&layers, "net").unwrap();
        let words = ". Shaded, silent for every photo: in 2 of them, most in features.2 20.0 %";
        assert!(picture.alt().ends_with(words), "{}", picture.alt());
        let svg = svg(picture);
        let outline = svg.lines().find(|line| line.starts_with("<polygon")).unwrap().split('"').nth(1).unwrap();
        let heights: Vec<f64> =
            outline.split(' ').map(|point| point.split_once(',').unwrap().1.parse().unwrap()).collect();
        let up: Vec<f64> = heights.iter().map(|y| heights[3] - y).collect();
        assert_eq!(up, [HEIGHT as f64 / 2.0, 0.0, HEIGHT as f64, 0.0, 0.0]);
        assert!(svg.contains(">shaded: silent for every photo; "));
    }

    #[test]
    fn names_stand_apart_and_are_text_and_what_has_none_is_said() {
        for (count, named) in [(1, 1), (19, 19), (56, 56), (57, 29), (94, 47), (400, 50)] {
            let mut names = names(count);
            names[0] = format!("<b>{}", "W".repeat(100));
            let mut layers = layers(&names, |index| index as f64 / 400.0);
            layers[0].always = 0.001;
            let svg = svg(silent_by_depth(&layers, "").unwrap());
            let places: Vec<usize> =
                (svg.lines().filter(|line| line.contains("rotate(-90)") && line.contains("\"end\"")))
                    .map(|line| line.split("translate(").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap())
                    .collect();
            assert_eq!(places.len(), named, "{count}");
            assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= FONT), "{count}: {places:?}");
            assert!(places.iter().all(|x| *x < PAGE) && svg.matches("<circle").count() == count);
            assert!(!svg.contains("<b>") && svg.contains("&lt;b&gt;"));
            assert_eq!(svg.contains(&format!(">{named} of {count} layers are named</text>")), named < count, "{count}");
            // The last line of words stands above the picture's end.
            let lowest = svg.lines().filter(|line| line.starts_with("<text")).filter_map(|line| attribute(line, "y"));
            assert!(lowest.fold(0.0, f64::max) < attribute(&svg, "height").unwrap(), "{count}");
        }
    }

    #[test]
    fn what_is_no_share_is_an_error() {
        let (three, many) = (names(3), names(401));
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let mut layers = layers(&three, |_| share);
            assert!(silent_by_depth(&layers, "").is_err(), "{share}");
            layers.iter_mut().for_each(|layer| (layer.silent, layer.always) = (0.1, share));
            assert!(silent_by_depth(&layers, "").is_err(), "{share}");
        }
        assert!(silent_by_depth(&[], "").is_err() && silent_by_depth(&layers(&many, |_| 0.0), "").is_err());
    }
}
