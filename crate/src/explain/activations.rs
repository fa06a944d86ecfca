//! What layers answer to a photo, channel by channel.

use super::Subject;
use super::names::listed;
use crate::data::Photo;
use crate::notebook::{Picture, display};
use crate::plot::{ColourMap, Planes, Tiling, activation_tiles};
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use std::fmt;

/// What some layers of a network answer to one photo. It shows itself as a grid of channels a layer when it ends a
/// cell.
///
/// Early layers answer to edges and colours, and their channels look like the photo; later ones to parts of things, and
/// most of their places say nothing.
#[derive(Clone)]
pub struct Activations {
    /// The photo's name.
    pub photo: String,
    model: &'static str,
    layers: Vec<(String, Tensor)>,
}

impl Activations {
    pub(super) fn of(subject: &Subject<'_>, photo: &Photo, layers: &[&str]) -> Result<Self> {
        if layers.is_empty() {
            let want = "no layer was named, so nothing is looked at; `layers()` lists them".to_owned();
            return Err(Error::Setting { setting: "the number of layers", got: "0".to_owned(), want });
        }
        subject.check_layers(layers)?;
        let found = subject.activations(&subject.input(&photo.pixels()?)?, layers)?;
        let named = |(name, x): (&&str, Tensor)| Ok(((*name).to_owned(), x.squeeze(0)?));
        let layers = layers.iter().zip(found).map(named).collect::<Result<_>>()?;
        Ok(Self { photo: photo.name.clone(), model: subject.backbone.spec().name, layers })
    }

    /// The layers' names, in the order asked for.
    pub fn names(&self) -> Vec<&str> {
        self.layers.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// What a layer answers, `(C, h, w)`.
    ///
    /// # Errors
    /// [`Error::Setting`], with the layers that there are, for one that was not asked for.
    pub fn get(&self, layer: &str) -> Result<&Tensor> {
        let found = self.layers.iter().find(|(name, _)| name == layer);
        found.map(|(_, tensor)| tensor).ok_or_else(|| {
            let (got, held) = (format!("`{layer}`"), listed(&self.names()));
            let want = format!("these activations hold {held}; name it in `activations(…)` to have it as well");
            Error::Setting { setting: "the layer", got, want }
        })
    }

    /// The share of a layer's channels, 0 to 1, in which nothing is above 0.
    ///
    /// Behind a ReLU such a channel is zero everywhere: it is silent, and says nothing of this photo. A layer that ends
    /// without one, as MobileNetV2's `features.1` to `features.17` do, goes below zero as well; there such a channel is
    /// not silent, only negative.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn silent(&self, layer: &str) -> Result<f64> {
        let (channels, silent, _) = silence(self.get(layer)?)?;
        Ok(silent.iter().filter(|silent| **silent).count() as f64 / channels.max(1) as f64)
    }

    /// Every channel of a layer as a small picture, 16 a row; those that are the same everywhere are crossed.
    ///
    /// # Errors
    /// As for [`get`](Self::get), and [`Error::Plot`] for a layer of more than 4096 channels.
    pub fn grid(&self, layer: &str) -> Result<Picture> {
        let tensor = self.get(layer)?;
        let values = numbers(tensor)?;
        let [channels, height, width] = sizes(tensor)?;
        let heading = format!("{layer} of {}", self.photo);
        let planes = Planes { values: &values, height, width };
        activation_tiles(&planes, ColourMap::Plasma, &Tiling::activations(&heading, channels))
    }

    /// Shows a grid for each layer below a notebook cell.
    pub fn evcxr_display(&self) {
        let grids: Result<Vec<Picture>> = self.layers.iter().map(|(name, _)| self.grid(name)).collect();
        match grids {
            Ok(grids) => display::pictures(&grids),
            Err(error) => display::text(&format!("{self}\n{error}")),
        }
    }
}

/// A line for each layer: `features.18: (1280, 7, 7), 412 of 1280 channels have nothing above 0`.
impl fmt::Display for Activations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "What {} answers to {}", self.model, self.photo)?;
        for (name, tensor) in &self.layers {
            write!(f, "\n{name}: {:?}", tensor.dims())?;
            if let Ok((channels, silent, _)) = silence(tensor) {
                let silent = silent.iter().filter(|silent| **silent).count();
                write!(f, ", {silent} of {channels} channels have nothing above 0")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Activations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Of the activations `(C, h, w)` of one photo: how many channels there are, which of them have nothing above 0, and
/// the share of all numbers that are not above 0.
pub(super) fn silence(activations: &Tensor) -> Result<(usize, Vec<bool>, f64)> {
    let values = numbers(activations)?;
    let [channels, height, width] = sizes(activations)?;
    let silent: Vec<bool> =
        values.chunks((height * width).max(1)).map(|channel| channel.iter().all(|value| *value <= 0.0)).collect();
    let zeros = values.iter().filter(|value| **value <= 0.0).count();
    Ok((channels, silent, zeros as f64 / values.len().max(1) as f64))
}

fn sizes(activations: &Tensor) -> Result<[usize; 3]> {
    let (channels, height, width) =
        activations.dims3().map_err(|_| Error::shape("a layer's activations", "(C, h, w)", activations.dims()))?;
    Ok([channels, height, width])
}

/// All values of a tensor, in order.
pub(super) fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}
