//! Many small pictures in rows: what a layer's channels answer to a photo, or what its filters look for.
//!
//! Channels are one PNG for all, enlarged by whole factors, with the gaps, crosses and texts drawn over it; filters are
//! pictures of their own.

mod layout;
mod legend;
mod planes;

pub use planes::Planes;

use super::{ColourMap, document, draw};
use crate::Result;
use crate::images::Pixels;
use crate::notebook::Picture;
use layout::Layout;
use legend::{Cross, Legend, counted, crossed, describe};
use planes::Plane;
use std::fmt::Write;

/// How tiles are laid out and what they are called.
#[derive(Clone, Copy, Debug)]
pub struct Tiling<'a> {
    /// What stands above them all. Behind it stands what is shown: for channels, how many there are, and how large.
    pub heading: &'a str,
    /// Tiles in a row, 1 to 64. The more, the smaller: a row is as wide as a notebook's column.
    pub columns: usize,
    /// A line under each tile, cut where the tile is narrower; none at all means no such lines.
    pub labels: &'a [String],
}

impl<'a> Tiling<'a> {
    /// For the `count` channels of a layer: 16 a row, and 32 where more than 512 would make a very long picture.
    pub fn activations(heading: &'a str, count: usize) -> Self {
        Self { heading, columns: if count > 512 { 32 } else { 16 }, labels: &[] }
    }

    /// For `count` filters: 4 a row up to 16 of them, 8 a row beyond.
    pub fn filters(heading: &'a str, count: usize) -> Self {
        Self { heading, columns: if count > 16 { 8 } else { 4 }, labels: &[] }
    }
}

/// What each channel of a layer answers to a photo, in the colours of `colours`, with a legend below.
///
/// A channel is drawn less its mean, over its standard deviation, times 64, plus 128, cut to a byte: each has a scale of
/// its own, so that a faint one is seen too. One that says the same everywhere is crossed, and the legend counts those; one
/// that holds a NaN or an infinity is crossed in red. Small channels are enlarged place by place, large ones shrunk.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) where the values are not `(C, height, width)`; [`Error::Plot`](crate::Error::Plot) for more than 4096 channels, a picture of
/// more than 16 million pixels, a number of columns out of range, or another number of labels than of channels.
pub fn activation_tiles(planes: &Planes<'_>, colours: ColourMap, tiling: &Tiling<'_>) -> Result<Picture> {
    let tiles = planes.scaled()?;
    let layout = Layout::new(tiles.len(), (planes.height, planes.width), tiling, true)?;
    let mut body = String::new();
    let (heading, channels) = (tiling.heading, if tiles.len() == 1 { "channel" } else { "channels" });
    let begins = if heading.is_empty() { String::new() } else { format!("{heading}: ") };
    let heading = format!("{begins}{} {channels} of {} x {}", tiles.len(), planes.height, planes.width);
    let top = draw::heading(&mut body, &heading, layout.page);
    layout.channels(&mut body, &tiles, planes, colours, top)?;
    layout.labels(&mut body, tiling.labels, top);
    let which = |kind: &Plane| -> Vec<usize> { (0..tiles.len()).filter(|index| tiles[*index] == *kind).collect() };
    let (silent, broken) = (which(&Plane::Silent), which(&Plane::NotANumber));
    cross(&mut body, &layout, &silent, top, Cross::Silent);
    cross(&mut body, &layout, &broken, top, Cross::NotANumber);
    let whose = if planes.height * planes.width == 1 { "all channels" } else { "each channel" };
    let mut legend = Legend::new(layout.page, top + layout.height());
    legend.scale(&mut body, colours, whose)?;
    let counted = counted(tiles.len(), "channels", &silent, &broken);
    legend.crosses(&mut body, &counted);
    let (low, high) = colours.ends();
    let mut alt = format!(
        "{heading}, {} a row, from {low} (two standard deviations below the mean of {whose}) to {high} (two above)",
        layout.columns
    );
    describe(&mut alt, &counted, &silent);
    Ok(Picture::Svg { svg: document(layout.page, legend.bottom(), &alt, &body), alt })
}

/// What each filter of a layer looks for. `None` is a filter that nothing excites: it is crossed, and a legend counts those.
///
/// All are shown at one size; small ones of up to 32 pixels, as a first layer's weights,
/// are enlarged place by place, larger ones smoothly.
///
/// # Errors
/// [`Error::Plot`](crate::Error::Plot) for no filters or one without pixels, more than 4096, a picture of more than 16 million pixels, a number of
/// columns out of range, or another number of labels than of filters.
pub fn filter_tiles(filters: &[Option<Pixels>], tiling: &Tiling<'_>) -> Result<Picture> {
    let size = filters.iter().flatten().map(|filter| (filter.height, filter.width)).max().unwrap_or((1, 1));
    let layout = Layout::new(filters.len(), size, tiling, false)?;
    let mut body = String::new();
    let top = draw::heading(&mut body, tiling.heading, layout.page);
    let mut silent = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        match filter {
            Some(filter) => layout.filter(&mut body, filter, layout.at(index, top))?,
            None => silent.push(index),
        }
    }
    layout.labels(&mut body, tiling.labels, top);
    cross(&mut body, &layout, &silent, top, Cross::Silent);
    let counted = counted(filters.len(), "filters", &silent, &[]);
    let mut legend = Legend::new(layout.page, top + layout.height());
    legend.crosses(&mut body, &counted);
    let pictures = if filters.len() == 1 { "picture" } else { "pictures" };
    let mut alt = format!("{}: {} {pictures}, {} a row", tiling.heading, filters.len(), layout.columns);
    describe(&mut alt, &counted, &silent);
    if !tiling.labels.is_empty() {
        let _ = write!(alt, ". {}", tiling.labels.join(", "));
    }
    Ok(Picture::Svg { svg: document(layout.page, legend.bottom(), &alt, &body), alt })
}

fn cross(body: &mut String, layout: &Layout, tiles: &[usize], top: usize, cross: Cross) {
    crossed(body, tiles.iter().map(|index| layout.at(*index, top)), (layout.width, layout.height), cross);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::apart::{assert_apart, attribute, svg};
    use super::*;

    /// `(count, side, side)`: waves, every third channel silent.
    fn waves(count: usize, side: usize) -> Vec<f32> {
        let wave = |channel: usize, place: usize| ((place * (channel + 3)) as f32 * 0.37).sin();
        (0..count * side * side)
            .map(|index| (index / (side * side), index % (side * side)))
            .map(|(channel, place)| if channel % 3 == 0 { 0.0 } else { wave(channel, place) })
            .collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("<{number}> {}", "W".repeat(number % 9))).collect()
    }

    #[test]
    fn silent_channels_are_crossed_and_counted() {
        let values = waves(20, 7);
        let planes = Planes { values: &values, height: 7, width: 7 };
        let picture = activation_tiles(&planes, ColourMap::Plasma, &Tiling::activations("features.18", 20)).unwrap();
        let words = "features.18: 20 channels of 7 x 7, 16 a row, from dark blue (two standard deviations below the mean of each channel) to \
                     yellow (two above); 7 of 20 channels silent (crossed); silent, counted from 0: 0, 3, 6, 9, 12, 15, 18";
        assert_eq!(picture.alt(), words);
        let svg = svg(picture);
        assert!(svg.contains(">features.18: 20 channels of 7 x 7</text>"));
        assert!(svg.contains(">7 of 20 channels silent (crossed)</text>") && !svg.contains("not a number"));
        let crosses = svg.lines().find(|line| line.contains("stroke=\"#9a9a9a\"")).unwrap();
        assert_eq!(crosses.matches("m0 -").count(), 7);
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn what_is_no_number_is_crossed_in_red() {
        let values = [f32::NAN, 1.0, 2.0, 3.0, 1.0, f32::INFINITY, 1.0, 2.0];
        let planes = Planes { values: &values, height: 2, width: 2 };
        let svg = svg(activation_tiles(&planes, ColourMap::Viridis, &Tiling::activations("", 2)).unwrap());
        assert!(svg.contains(">2 of 2 channels not a number (crossed in red)</text>"));
        assert!(!svg.contains("silent") && !svg.contains("NaN"));
    }

    /// The very pixels: the embedded PNG has each channel in its place, and its places enlarged by a whole factor.
    #[test]
    fn small_channels_are_enlarged_place_by_place() {
        let values = [0.0, 0.0, 0.0, 4.0, 4.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0];
        let planes = Planes { values: &values, height: 2, width: 2 };
        let tiling = Tiling { heading: "", columns: 2, labels: &[] };
        let layout = Layout::new(3, (2, 2), &tiling, true).unwrap();
        assert_eq!((layout.height, layout.width, layout.gap), (224, 224, 8));
        let mut body = String::new();
        layout.channels(&mut body, &planes.scaled().unwrap(), &planes, ColourMap::Grey, 0).unwrap();
        let photo = Pixels::decode("raster", &embedded(&body)).unwrap();
        let at = |x: usize, y: usize| photo.rgb[3 * (y * photo.width + x)];
        assert_eq!((photo.height, photo.width), (224 + 8 + 224, 224 + 8 + 224));
        assert_eq!(
            [at(0, 0), at(111, 111), at(112, 111), at(111, 112), at(112, 112), at(223, 223)],
            [91, 91, 91, 91, 238, 238]
        );
        assert_eq!([at(232, 0), at(343, 111), at(344, 111), at(343, 112), at(455, 223)], [238, 238, 91, 91, 91]);
        assert_eq!([at(0, 232), at(111, 343), at(112, 343), at(112, 344), at(223, 455)], [91, 91, 238, 91, 91]);
    }

    #[test]
    fn small_filters_are_enlarged_place_by_place() {
        let filter = Pixels::new(2, 1, vec![10, 20, 30, 40, 50, 60]).unwrap();
        let svg = svg(filter_tiles(&[Some(filter)], &Tiling::filters("", 1)).unwrap());
        let photo = Pixels::decode("raster", &embedded(&svg)).unwrap();
        assert_eq!((photo.height, photo.width), (224, 112));
        let (above, below) = photo.rgb.split_at(3 * 112 * 112);
        assert!(above.as_chunks().0.iter().all(|pixel| *pixel == [10, 20, 30]));
        assert!(below.as_chunks().0.iter().all(|pixel| *pixel == [40, 50, 60]));
        // What has climbed is a picture: it is kept at its own size, as a photo is.
        let climbed = Pixels::new(96, 96, vec![90; 3 * 96 * 96]).unwrap();
        let svg = self::svg(filter_tiles(&[Some(climbed)], &Tiling::filters("", 1)).unwrap());
        assert!(
            svg.contains("width=\"224\" height=\"224\"") && svg.contains("image/jpeg") && !svg.contains("pixelated")
        );
        let photo = Pixels::decode("photo", &embedded(&svg)).unwrap();
        assert_eq!((photo.height, photo.width), (96, 96));
    }

    /// The bytes behind the first base64 of a document.
    fn embedded(body: &str) -> Vec<u8> {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let text = body.split("base64,").nth(1).unwrap().split('"').next().unwrap();
        let mut bytes = Vec::new();
        for group in text.trim_end_matches('=').as_bytes().chunks(4) {
            let digit = |byte: &u8| ALPHABET.iter().position(|letter| letter == byte).unwrap();
            let number = group.iter().fold(0, |number, byte| number << 6 | digit(byte)) << (6 * (4 - group.len()));
            bytes.extend((0..group.len() - 1).map(|at| (number >> (16 - 8 * at)) as u8));
        }
        bytes
    }

    #[test]
    fn large_layers_make_pictures_of_sane_size() {
        for (count, side, columns, most) in
            [(64, 112, 16, 400), (1280, 7, 32, 400), (2048, 8, 32, 600), (32, 112, 16, 200)]
        {
            let values: Vec<f32> =
                (0..count * side * side).map(|index| ((index * index) as f32 * 0.61).sin()).collect();
            let planes = Planes { values: &values, height: side, width: side };
            let tiling = Tiling::activations("features.0", count);
            assert_eq!(tiling.columns, columns);
            let svg = svg(activation_tiles(&planes, ColourMap::Plasma, &tiling).unwrap());
            assert!(attribute(&svg, "width").unwrap() <= 960.0);
            assert!(svg.len() < most << 10, "{count} of {side}: {} KB", svg.len() >> 10);
        }
    }

    #[test]
    fn labels_stay_apart_and_are_text() {
        for (count, side, columns) in [(1, 1, 16), (5, 3, 4), (40, 30, 16), (70, 200, 64)] {
            let (values, labels) = (waves(count, side), names(count));
            let planes = Planes { values: &values, height: side, width: side };
            let heading = "A <long> heading ".repeat(20);
            let tiling = Tiling { heading: &heading, columns, labels: &labels };
            let picture = svg(activation_tiles(&planes, ColourMap::Viridis, &tiling).unwrap());
            assert!(assert_apart(&picture) > count && !picture.contains("<long>") && !picture.contains("<0>"));
            let filters: Vec<_> =
                (0..count).map(|_| Some(Pixels { height: side, width: side, rgb: vec![9; 3 * side * side] })).collect();
            assert!(assert_apart(&svg(filter_tiles(&filters, &tiling).unwrap())) > count);
        }
    }

    #[test]
    fn filters_are_pictures_and_silent_ones_crossed() {
        let filter = |side: usize| Some(Pixels { height: side, width: side, rgb: vec![200; 3 * side * side] });
        for (side, kind) in [(3, "png"), (150, "jpeg"), (500, "jpeg")] {
            let filters = [filter(side), None, filter(side)];
            let picture = filter_tiles(&filters, &Tiling::filters("features.0.0", 3)).unwrap();
            let words = "features.0.0: 3 pictures, 3 a row; 1 of 3 filters silent (crossed); silent, counted from 0: 1";
            assert_eq!(picture.alt(), words);
            let svg = svg(picture);
            assert_eq!(svg.matches(&format!("data:image/{kind}")).count(), 2, "{side}");
            assert!(svg.contains(">1 of 3 filters silent (crossed)</text>"));
        }
        assert!(filter_tiles(&[None, None], &Tiling::filters("all silent", 2)).is_ok());
    }

    #[test]
    fn a_narrow_tile_keeps_the_number_of_its_channel() {
        let labels = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("features.14.conv.0.1 #{number}")).collect();
            let filters = vec![Some(Pixels { height: 96, width: 96, rgb: vec![9; 3 * 96 * 96] }); count];
            svg(filter_tiles(&filters, &Tiling { labels: &names, ..Tiling::filters("", count) }).unwrap())
        };
        assert!(labels(4).contains(">features.14.conv.0.1 #3</text>"));
        let narrow = labels(24);
        assert!(narrow.contains(">#23</text>") && !narrow.contains("…"), "{narrow}");
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        let planes = Planes { values: &[1.0, 2.0, 3.0, 4.0], height: 1, width: 2 };
        let refused =
            |planes: &Planes<'_>, tiling: Tiling<'_>| activation_tiles(planes, ColourMap::Grey, &tiling).is_err();
        let tiling = Tiling::activations("", 2);
        assert!(!refused(&planes, tiling));
        assert!(refused(&Planes { height: 3, ..planes }, tiling), "values that do not fit");
        assert!(refused(&Planes { values: &[], ..planes }, tiling), "no channels");
        assert!(
            refused(&planes, Tiling { columns: 0, ..tiling }) && refused(&planes, Tiling { columns: 65, ..tiling })
        );
        assert!(refused(&planes, Tiling { labels: &names(3), ..tiling }), "a label too many");
        let many = vec![1.0; 4097];
        assert!(refused(&Planes { values: &many, height: 1, width: 1 }, tiling), "too many");
        assert!(
            refused(&Planes { values: &many[..1024], height: 1, width: 1 }, Tiling { columns: 1, ..tiling }),
            "too large"
        );
        assert!(filter_tiles(&[], &tiling).is_err());
        assert!(
            filter_tiles(&[Some(Pixels { height: 9, width: 9, rgb: vec![0; 5] })], &tiling).is_err(),
            "too few bytes"
        );
        assert!(filter_tiles(&[Some(Pixels { height: 0, width: 0, rgb: vec![] })], &tiling).is_err(), "no pixels");
        let lying = Pixels { height: usize::MAX, width: 1, rgb: vec![0; 3] };
        assert!(filter_tiles(&[Some(lying)], &tiling).is_err(), "not that many pixels");
    }
}
