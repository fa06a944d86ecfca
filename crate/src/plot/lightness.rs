//! What colour maps are worth: how light their colours are, beside the colours themselves.

use super::draw::{self, MARGIN, aligned, colour_bar, raster};
use super::{ColourMap, INK, document, hex, indexed};
use crate::notebook::Picture;
use crate::{Error, Result};
use std::fmt::Write;

impl ColourMap {
    /// How light each of the 256 colours looks, in order: CIE 1976 L*, from 0 (black) to 100 (white).
    ///
    /// In a map that shows numbers as they are it rises, or falls, from end to end by equal steps.
    pub fn lightness(self) -> Vec<f64> {
        (0..=255).map(|step| lightness(self.step(step))).collect()
    }

    /// Its name, as matplotlib has it where it has the map.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viridis => "viridis",
            Self::Plasma => "plasma",
            Self::Grey => "grey",
            Self::Diverging => "blue to red",
            Self::Jet => "jet",
        }
    }
}

/// CIE 1976 L* of an sRGB colour (IEC 61966-2-1), against its own white.
pub(super) fn lightness(colour: [u8; 3]) -> f64 {
    let linear = colour.map(|byte| {
        let share = f64::from(byte) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    });
    let luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    if luminance > (6.0_f64 / 29.0).powi(3) {
        116.0 * luminance.cbrt() - 16.0
    } else {
        luminance * (29.0_f64 / 3.0).powi(3)
    }
}

const NAME: usize = 96;
const BAR: (usize, usize) = (380, 26);
const GREY: usize = 12;
/// Of the field that lightness is drawn in.
const CURVE: (usize, usize) = (130, BAR.1 + GREY);
const GAP: usize = 16;
const WORDS: usize = 250;

/// Colour maps one below the other: the colours, below them greys that are as light, and beside them their lightness from
/// the first colour to the last, as a curve and in words.
///
/// # Errors
/// [`Error::Plot`] for no maps, or more than 20.
pub fn colour_maps(maps: &[ColourMap], heading: &str) -> Result<Picture> {
    const MOST: usize = 20;
    if maps.is_empty() || maps.len() > MOST {
        return Err(Error::Plot(format!("1 to {MOST} colour maps can be shown, and got {}", maps.len())));
    }
    let page = 2 * MARGIN + NAME + BAR.0 + GAP + CURVE.0 + GAP + WORDS;
    let mut body = String::new();
    let mut y = draw::heading(&mut body, heading, page);
    let mut words = Vec::new();
    for map in maps {
        let light = map.lightness();
        let said = in_words(&light);
        aligned(&mut body, map.name(), (MARGIN, y + CURVE.1 / 2 + 5), "start", NAME);
        colour_bar(&mut body, *map, (MARGIN + NAME, y), BAR)?;
        let greys: Vec<u8> = light.iter().map(|light| grey(*light)).collect();
        raster(&mut body, &indexed::png(256, 1, &greys, ColourMap::Grey)?, (MARGIN + NAME, y + BAR.1), (BAR.0, GREY));
        let right = MARGIN + NAME + BAR.0 + GAP;
        curve(&mut body, &light, (right, y));
        aligned(&mut body, &said, (right + CURVE.0 + GAP, y + CURVE.1 / 2 + 5), "start", WORDS);
        words.push(format!("{}: {said}", map.name()));
        y += CURVE.1 + GAP;
    }
    let alt = format!("{heading}. {}", words.join("; "));
    Ok(Picture::Svg { svg: document(page, y, &alt, &body), alt })
}

fn curve(body: &mut String, light: &[f64], (x, y): (usize, usize)) {
    let (width, height) = (CURVE.0 as f64, CURVE.1 as f64);
    let point = |(step, light): (usize, &f64)| {
        let (right, up) = (step as f64 / 255.0 * width, light / 100.0 * height);
        format!("{:.1},{:.1}", x as f64 + right, y as f64 + height - up)
    };
    let points: Vec<String> = light.iter().enumerate().map(point).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        body,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"#f6f6f6\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
        points.join(" "),
        hex(INK)
    );
}

fn in_words(light: &[f64]) -> String {
    let (first, last) = (light.first().unwrap_or(&0.0), light.last().unwrap_or(&0.0));
    if turns(light) == 0 {
        return format!("lightness {first:.0} to {last:.0}, one way");
    }
    let most = light.iter().copied().fold(0.0, f64::max);
    format!("lightness {first:.0} to {most:.0} and back to {last:.0}")
}

/// How often lightness turns, by more than the eye would miss.
fn turns(light: &[f64]) -> usize {
    const SEEN: f64 = 1.0;
    let (mut turns, mut rising, mut extreme) = (0, None, light.first().copied().unwrap_or(0.0));
    for &light in light {
        let on = rising.is_none_or(|rising| (light > extreme) == rising);
        if on && rising.is_some() {
            extreme = light;
        } else if (light - extreme).abs() > SEEN {
            turns += usize::from(rising.is_some());
            rising = Some(light > extreme);
            extreme = light;
        }
    }
    turns
}

/// The grey of a lightness.
fn grey(light: f64) -> u8 {
    (0..=255)
        .min_by(|a, b| {
            let off = |step: u8| (lightness([step; 3]) - light).abs();
            off(*a).total_cmp(&off(*b))
        })
        .unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::apart::{assert_apart, svg};
    use super::*;

    #[test]
    fn black_is_0_white_100_and_middle_grey_50() {
        assert_eq!((lightness([0; 3]), lightness([119; 3]).round()), (0.0, 50.0));
        assert!((lightness([255; 3]) - 100.0).abs() < 1e-9);
        assert_eq!([0.0, 50.03, 100.0].map(grey), [0, 119, 255]);
    }

    #[test]
    fn turns_are_counted_where_they_can_be_seen() {
        let cases: [(&[f64], usize); 6] = [
            (&[0.0, 10.0, 20.0], 0),
            (&[20.0, 10.0, 10.5, 0.0], 0),
            (&[0.0, 10.0, 0.0], 1),
            (&[0.0, 0.6, 1.2, 0.6, 0.0], 1),
            (&[50.0, 20.0, 40.0, 30.0], 2),
            (&[], 0),
        ];
        for (light, want) in cases {
            assert_eq!(turns(light), want, "{light:?}");
        }
        let turns = |map: ColourMap| turns(&map.lightness());
        assert_eq!([ColourMap::Viridis, ColourMap::Plasma, ColourMap::Grey].map(turns), [0, 0, 0]);
        assert_eq!([ColourMap::Diverging, ColourMap::Jet].map(turns), [1, 1]);
    }

    #[test]
    fn every_map_is_shown_with_its_lightness() {
        let maps = [ColourMap::Viridis, ColourMap::Diverging, ColourMap::Jet];
        let picture = colour_maps(&maps, "Maps").unwrap();
        assert!(
            picture.alt().starts_with("Maps. viridis: lightness 15 to 91, one way; blue to red: "),
            "{}",
            picture.alt()
        );
        let svg = svg(picture);
        assert_eq!(svg.matches("data:image/png").count(), 6);
        assert_eq!(assert_apart(&svg), 1 + 2 * 3);
        assert!(colour_maps(&[], "").is_err() && colour_maps(&[ColourMap::Grey; 21], "").is_err());
    }
}
