//! How much of a network says nothing of a photo, layer by layer.

mod depth;

pub use depth::Pairs;

use super::Subject;
use super::activations::silence;
use crate::data::Photo;
use crate::notebook::{Picture, Progress, display, interrupted};
use crate::plot::{self, SilentShare};
use crate::{Error, Result};
use candle_core::Tensor;

/// One layer behind a ReLU, over some photos.
#[derive(Clone, Debug, PartialEq)]
pub struct SilentLayer {
    /// Its name.
    pub layer: String,
    /// How many channels it has.
    pub channels: usize,
    /// The share of channels, 0 to 1, that are zero everywhere for a photo: the mean over the photos.
    pub silent: f64,
    /// How many channels are zero everywhere for every one of the photos.
    pub always: usize,
    /// The share of all its numbers, 0 to 1, that are zero: the mean over the photos.
    pub zeros: f64,
}

impl SilentLayer {
    /// The share of channels, 0 to 1, that are zero everywhere for every one of the photos.
    pub fn always_silent(&self) -> f64 {
        self.always as f64 / self.channels.max(1) as f64
    }

    /// The share of channels, 0 to 1, that are zero everywhere for a photo and not for every other: the mean over the
    /// photos. Of a single photo it is 0.
    pub fn sometimes_silent(&self) -> f64 {
        (self.silent - self.always_silent()).max(0.0)
    }
}

/// How much of a network is silent, from its first ReLU to its last. It shows itself as a curve when it ends a cell.
///
/// A channel is silent for a photo where its ReLU lets nothing through: the filter found nowhere what it looks for. One that
/// is silent for every photo answers to none of them, whatever they show. So it is counted apart, and the words under the
/// curve ask of the rest alone whether deeper layers are sparser: see [`pairs`](Self::pairs).
#[derive(Clone, Debug, PartialEq)]
pub struct SilentChannels {
    /// The network's name.
    pub model: String,
    /// How many photos were looked at.
    pub photos: usize,
    /// The layers in order. The branches of a block, of which none is deeper than the other, stand as they are run.
    pub layers: Vec<SilentLayer>,
}

impl SilentChannels {
    pub(super) fn of(subject: &Subject<'_>, photos: &[Photo]) -> Result<Self> {
        let model = subject.backbone.spec().name;
        if photos.is_empty() {
            return Err(Error::Data(format!("there are no photos by which to count the silent channels of {model}")));
        }
        let progress = Progress::new("Counting silent channels", Some(photos.len() as u64), "photos");
        let mut inputs = photos.iter().map(|photo| {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            let input = subject.input(&photo.pixels()?);
            progress.advance(1);
            input
        });
        let layers = counted(subject, photos.len(), &mut inputs)?;
        Ok(Self { model: model.to_owned(), photos: photos.len(), layers })
    }

    /// The share of silent channels from the first layer to the last; shaded, those that are silent for every photo.
    ///
    /// # Errors
    /// [`Error::Plot`] for more than 400 layers.
    pub fn curve(&self) -> Result<Picture> {
        // Of one photo all would be.
        let always = |layer: &SilentLayer| if self.photos > 1 { layer.always_silent() } else { 0.0 };
        let shares: Vec<SilentShare<'_>> = (self.layers.iter())
            .map(|layer| SilentShare {
                layer: &layer.layer,
                silent: layer.silent.clamp(0.0, 1.0),
                always: always(layer),
            })
            .collect();
        plot::silent_by_depth(&shares, &format!("Silent channels of {}, {}", self.model, photos(self.photos)))
    }

    /// Shows the curve below a notebook cell, with what it says in words.
    pub fn evcxr_display(&self) {
        match self.curve() {
            Ok(picture) => {
                picture.evcxr_display();
                println!("{self}");
            }
            Err(error) => display::text(&format!("{self}\n{error}")),
        }
    }
}

/// The layers behind a ReLU, counted over `photos` inputs `(1, 3, side, side)`.
pub(super) fn counted(
    subject: &Subject<'_>,
    photos: usize,
    inputs: &mut dyn Iterator<Item = Result<Tensor>>,
) -> Result<Vec<SilentLayer>> {
    let names = subject.backbone.rectified();
    if names.is_empty() {
        let why = format!("{} does not say which of its layers end in a ReLU", subject.backbone.spec().name);
        return Err(Error::Data(why));
    }
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut counts: Vec<Count> = names.iter().map(|_| Count::default()).collect();
    for input in inputs {
        for (count, layer) in counts.iter_mut().zip(subject.activations(&input?, &wanted)?) {
            let (_, silent, zeros) = silence(&layer.squeeze(0)?)?;
            count.add(&silent, zeros);
        }
    }
    Ok(names.iter().zip(counts).map(|(layer, count)| count.over(layer.clone(), photos)).collect())
}

/// What has been counted of one layer.
#[derive(Default)]
struct Count {
    silent: f64,
    zeros: f64,
    always: Vec<bool>,
}

impl Count {
    fn add(&mut self, silent: &[bool], zeros: f64) {
        self.silent += silent.iter().filter(|silent| **silent).count() as f64 / silent.len().max(1) as f64;
        self.zeros += zeros;
        self.always.resize(silent.len(), true);
        self.always.iter_mut().zip(silent).for_each(|(always, silent)| *always &= silent);
    }

    fn over(self, layer: String, photos: usize) -> SilentLayer {
        let photos = photos as f64;
        let always = self.always.iter().filter(|always| **always).count();
        let (silent, zeros) = (self.silent / photos, self.zeros / photos);
        SilentLayer { layer, channels: self.always.len(), silent, always, zeros }
    }
}

fn photos(count: usize) -> String {
    if count == 1 { "one photo".to_owned() } else { format!("{count} photos") }
}
