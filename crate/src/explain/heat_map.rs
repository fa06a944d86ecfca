//! Where a network looks: a map of what speaks for a class, over the photo.

use super::activations::numbers;
use super::{Faithfulness, HeatMapOptions, Method, Relevance, Subject};
use crate::data::Photo;
use crate::images::Pixels;
use crate::notebook::{Picture, display};
use crate::plot::{self, ColourMap, HeatPanel, HeatScale, Mark, heat_panels};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::fmt;

/// Where a network looks for a class in one photo. It shows itself over the photo when it ends a cell.
#[derive(Clone)]
pub struct HeatMap {
    /// The photo's name.
    pub name: String,
    /// The photo, at most 512 pixels a side.
    pub photo: Pixels,
    /// The class.
    pub class: String,
    /// The class's logit for this photo.
    pub logit: f32,
    /// The class's probability for this photo, 0 to 1.
    pub probability: f32,
    /// How the map was found.
    pub method: Method,
    /// The layer it was found at; none for occlusion.
    pub layer: Option<String>,
    /// `(h, w)`, 0 to 1: how much each place speaks for the class, over the most that any does.
    pub map: Tensor,
    /// What the map was divided by. 0 where nothing speaks for the class; then the map is 0 as well.
    pub peak: f32,
    /// How faithful it is, where that was asked for and anything speaks for the class.
    pub faithfulness: Option<Faithfulness>,
    /// The class by number.
    pub(super) index: usize,
    /// The photo as the network saw it, side by side.
    pub(super) seen: Pixels,
}

/// What the colours mean.
pub(super) const MEANING: &str = "how much a place speaks for the class, over the most that any does";
/// The longest side that a photo is kept at.
const KEPT: usize = 512;

impl HeatMap {
    pub(super) fn of(subject: &Subject<'_>, photo: &Photo, options: &HeatMapOptions) -> Result<Self> {
        let class = match &options.class {
            Some(name) => subject.class(name)?,
            None => predicted(subject, &photo.pixels()?)?,
        };
        let mut maps = Self::of_classes(subject, photo, &[class], options)?;
        maps.pop().ok_or_else(|| Error::Data("no heat map was made".to_owned()))
    }

    /// One map for each of `classes`, by number, in one run as far as the layer.
    pub(super) fn of_classes(
        subject: &Subject<'_>,
        photo: &Photo,
        classes: &[usize],
        options: &HeatMapOptions,
    ) -> Result<Vec<Self>> {
        let pixels = photo.pixels()?;
        let (side, layer) = (subject.preprocess().side, options.layer.as_deref());
        let relevance = subject.relevance(&subject.input(&pixels)?, classes, layer, options.method)?;
        let longest = pixels.height.max(pixels.width).max(KEPT);
        let kept = |length: usize| (length * KEPT / longest).max(1);
        let shown = pixels.resized(kept(pixels.height), kept(pixels.width))?;
        let seen = pixels.resized(side, side)?;
        let layer = match options.method {
            Method::Occlusion { .. } => None,
            _ => Some(layer.unwrap_or(subject.backbone.spec().last_convolution).to_owned()),
        };
        let map = |(class, found): (&usize, Relevance)| {
            let mut values = numbers(&found.values)?;
            let peak = values.iter().copied().fold(0.0, f32::max);
            if peak > 0.0 {
                // Not candle's quotient, which multiplies by the reciprocal: the largest need not become 1.
                values.iter_mut().for_each(|value| *value /= peak);
            }
            let mut map = Self {
                name: photo.name.clone(),
                photo: shown.clone(),
                class: subject.class_name(*class),
                logit: found.logit,
                probability: found.probability,
                method: options.method,
                layer: layer.clone(),
                map: Tensor::from_vec(values, found.values.dims(), &Device::Cpu)?,
                peak,
                faithfulness: None,
                index: *class,
                seen: seen.clone(),
            };
            if options.faithfulness && peak > 0.0 {
                map.faithfulness = Some(Faithfulness::of(subject, &map)?);
            }
            Ok(map)
        };
        classes.iter().zip(relevance).map(map).collect()
    }

    /// The map's values, row by row, with its rows and columns.
    pub(super) fn values(&self) -> Result<(Vec<f32>, usize, usize)> {
        let (height, width) = self.map.dims2()?;
        Ok((numbers(&self.map)?, height, width))
    }

    /// The photo, and the map over it.
    ///
    /// # Errors
    /// [`Error::Plot`] where the map has been changed into no numbers.
    pub fn overlay(&self) -> Result<Picture> {
        self.overlay_in(ColourMap::Viridis)
    }

    /// The same in other colours: `ColourMap::Jet` shows edges that are none.
    ///
    /// # Errors
    /// As for [`overlay`](Self::overlay).
    pub fn overlay_in(&self, colours: ColourMap) -> Result<Picture> {
        let (values, height, width) = self.values()?;
        let map = plot::HeatMap { values: &values, height, width };
        let (title, note) = (self.title(), self.note());
        let over = HeatPanel { note: &note, ..HeatPanel::over(&self.photo, map, &title) };
        let heading = format!("{}: what speaks for {}", self.how(), self.class);
        let scale = HeatScale { colours, ..HeatScale::unit(MEANING) };
        heat_panels(&[vec![HeatPanel::photo(&self.photo, &self.name), over]], &scale, &heading)
    }

    /// The method and where it looked: `Grad-CAM at features.18`.
    pub(super) fn how(&self) -> String {
        match &self.layer {
            Some(layer) => format!("{} at {layer}", self.method),
            None => self.method.to_string(),
        }
    }

    /// The class, then its numbers on a line of their own.
    pub(super) fn title(&self) -> String {
        format!("{}\nlogit {:.2}, probability {}", self.class, self.logit, self.likely())
    }

    /// The probability in words that hold: one that is not zero is not called so.
    pub(super) fn likely(&self) -> String {
        if self.probability < 0.0005 { "below 0.001".to_owned() } else { format!("{:.3}", self.probability) }
    }

    /// What stands under the map.
    pub(super) fn note(&self) -> String {
        match &self.faithfulness {
            _ if self.peak <= 0.0 => "nothing here speaks for it".to_owned(),
            Some(faithfulness) => faithfulness.note(),
            None => String::new(),
        }
    }

    /// Shows photo and map below a notebook cell.
    pub fn evcxr_display(&self) {
        match self.overlay() {
            Ok(picture) => picture.show_beside(&self.to_string()),
            Err(error) => display::text(&format!("{self}\n{error}")),
        }
    }
}

/// A panel of one map over its photo, for pictures of several.
pub(super) struct Panel<'a> {
    map: &'a HeatMap,
    values: (Vec<f32>, usize, usize),
    title: String,
    mark: Mark,
    note: String,
}

impl<'a> Panel<'a> {
    /// As the map itself says it.
    pub(super) fn new(map: &'a HeatMap) -> Result<Self> {
        Self::marked(map, map.title(), Mark::Plain)
    }

    pub(super) fn marked(map: &'a HeatMap, title: String, mark: Mark) -> Result<Self> {
        Ok(Self { values: map.values()?, title, mark, note: map.note(), map })
    }

    pub(super) fn drawn(&self) -> HeatPanel<'_> {
        let (values, height, width) = &self.values;
        let map = plot::HeatMap { values, height: *height, width: *width };
        HeatPanel { mark: self.mark, note: &self.note, ..HeatPanel::over(&self.map.photo, map, &self.title) }
    }
}

/// `Grad-CAM at features.18 for dog in dog.7.jpg: logit 3.21, probability 0.960`.
impl fmt::Display for HeatMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = self.how();
        write!(f, "{how} for {} in {}: logit {:.2}, ", self.class, self.name, self.logit)?;
        write!(f, "probability {}", self.likely())?;
        match self.note() {
            note if note.is_empty() => Ok(()),
            note => write!(f, "; {note}"),
        }
    }
}

impl fmt::Debug for HeatMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The class that the network predicts.
pub(super) fn predicted(subject: &Subject<'_>, photo: &Pixels) -> Result<usize> {
    let logits = numbers(&subject.logits_of(&subject.input(photo)?)?)?;
    if logits.iter().any(|logit| !logit.is_finite()) {
        return Err(Error::Data("the photo's logits are not all numbers, so no class is predicted".to_owned()));
    }
    let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
    best.ok_or_else(|| Error::Data("the network has no classes".to_owned()))
}
