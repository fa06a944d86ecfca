//! How much of a network says nothing of a photo, layer by layer.

use super::Subject;
use super::activations::silence;
use crate::data::Photo;
use crate::notebook::{Picture, Progress, display, interrupted};
use crate::plot;
use crate::{Error, Result};
use candle_core::Tensor;
use std::fmt;

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

/// How much of a network is silent, from its first ReLU to its last. It shows itself as a curve when it ends a cell.
///
/// A channel is silent for a photo where its ReLU lets nothing through: the filter found nowhere what it looks for.
#[derive(Clone, Debug, PartialEq)]
pub struct SilentChannels {
    /// The network's name.
    pub model: String,
    /// How many photos were looked at.
    pub photos: usize,
    /// The layers in order.
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

    /// Of all pairs of layers, the share, 0 to 1, whose deeper one has the larger share of silent channels; equal ones
    /// count half. Without any order it would be a half.
    pub fn deeper_is_sparser(&self) -> f64 {
        let shares: Vec<f64> = self.layers.iter().map(|layer| layer.silent).collect();
        let (mut ordered, mut pairs) = (0.0, 0.0);
        for (index, early) in shares.iter().enumerate() {
            for late in shares.iter().skip(index + 1) {
                pairs += 1.0;
                ordered += match late.total_cmp(early) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        if pairs > 0.0 { ordered / pairs } else { 0.5 }
    }

    /// Whether that share is further from a half than shuffled layers would be in 19 of 20 cases, by the normal
    /// approximation of Kendall's tau: 1 above, -1 below, 0 neither.
    fn order(&self) -> i32 {
        let layers = self.layers.len() as f64;
        let spread = (2.0 * (2.0 * layers + 5.0) / (9.0 * layers * (layers - 1.0).max(1.0))).sqrt();
        let tau = 2.0 * self.deeper_is_sparser() - 1.0;
        if tau.abs() < 1.96 * spread {
            return 0;
        }
        if tau > 0.0 { 1 } else { -1 }
    }

    /// The share of silent channels from the first layer to the last.
    ///
    /// # Errors
    /// [`Error::Plot`] for more than 400 layers.
    pub fn curve(&self) -> Result<Picture> {
        let shares: Vec<(String, f64)> =
            self.layers.iter().map(|layer| (layer.layer.clone(), layer.silent.clamp(0.0, 1.0))).collect();
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

/// What the numbers say, and no more.
impl fmt::Display for SilentChannels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(first), Some(last)) = (self.layers.first(), self.layers.last()) else {
            return f.write_str("No layers were looked at.");
        };
        let share = |layer: &SilentLayer| format!("{:.1} % in {}", 100.0 * layer.silent, layer.layer);
        writeln!(
            f,
            "Silent channels of {}, {}, {} ReLUs: {} at the beginning, {} at the end.",
            self.model,
            photos(self.photos),
            self.layers.len(),
            share(first),
            share(last)
        )?;
        let pairs =
            format!("In {:.0} % of all pairs of layers the deeper one has more", 100.0 * self.deeper_is_sparser());
        match self.order() {
            1 => write!(f, "{pairs}; shuffled layers would give 50 %. So on the whole deeper is sparser here."),
            -1 => write!(
                f,
                "{pairs}; shuffled layers would give 50 %. So on the whole deeper is not sparser here, but fuller."
            ),
            _ => write!(f, "{pairs}; shuffled layers could well give that. So these photos show no order by depth."),
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
