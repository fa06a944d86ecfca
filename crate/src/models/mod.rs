//! Backbones: one file an architecture, layers named as torchvision names them.

mod average;
mod channels;
mod columns;
mod contiguous;
mod depthwise;
mod inception_v3;
mod largest;
mod layer_table;
mod layers;
mod mobilenet_v2;
mod names;
mod pooling;
mod random;
mod relu6;
mod sum;
mod tap;
mod taps;
mod trail;
#[cfg(feature = "cuda")]
mod unrolled;

pub mod imagenet;

pub use inception_v3::InceptionV3;
pub(crate) use inception_v3::{Block, Named, Step};
pub use layer_table::Layers;
pub(crate) use layer_table::thousands;
pub use layers::{Activation, BatchNorm, Convolution, LayerInfo};
pub use mobilenet_v2::{InvertedResidual, MobileNetV2};
pub(crate) use names::{nearest, no_such_layer};
pub use tap::Tap;
pub use trail::Trail;

use crate::Result;
use crate::images::Preprocess;
use candle_core::{Device, Tensor};

/// What a backbone is, without its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct BackboneSpec {
    /// The architecture's name, as torchvision writes it: `mobilenet_v2`.
    pub name: &'static str,
    /// How photos become its input: side, value range, mean and deviation.
    pub preprocess: Preprocess,
    /// How many features it gives a photo: 1280 for MobileNetV2.
    pub features: usize,
    /// How many classes its own head knows: 1000 for ImageNet.
    pub classes: usize,
    /// The last layer that still has rows and columns, `features.18` for MobileNetV2: where heat maps look.
    pub last_convolution: &'static str,
    /// Where its weights came from, by identity: part of every cache key.
    pub weights: String,
}

/// A pretrained network that turns photos into features.
///
/// Every layer can be reached by its name in the weights file.
pub trait Backbone: Send + Sync + 'static {
    /// What it is: name, input, number of features.
    fn spec(&self) -> &BackboneSpec;

    /// `(N, 3, H, W)`, preprocessed as [`BackboneSpec::preprocess`] says, to features `(N, F)`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for any other shape.
    fn features(&self, photos: &Tensor) -> Result<Tensor>;

    /// Photos as in [`features`](Self::features) to logits of the backbone's own classes `(N, classes)`.
    ///
    /// # Errors
    /// As for `features`; and where the weights have no head.
    fn logits(&self, photos: &Tensor) -> Result<Tensor>;

    /// As [`features`](Self::features), with `tap` looking on: it meets every layer of
    /// [`layer_names`](Self::layer_names), in that order. None where it ended the run.
    ///
    /// Photos may have another size, where the architecture takes any.
    ///
    /// # Errors
    /// As for `features`, and whatever `tap` gives.
    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>>;

    /// As [`tapped`](Self::tapped), and leaves the way back, on which a gradient gets to the photos sooner than through
    /// candle's graph. One that leaves none is slower, and no less right.
    ///
    /// # Errors
    /// As for `tapped`.
    fn trailed(&self, photos: &Tensor, tap: &mut Tap<'_>, trail: &mut Trail) -> Result<Option<Tensor>> {
        let _ = trail;
        self.tapped(photos, tap)
    }

    /// Every name that [`layer`](Self::layer) knows, in the order of their making: whole layers and their parts.
    fn layer_names(&self) -> Vec<String>;

    /// The activations `(N, C, h, w)` of the layer `name`.
    ///
    /// # Errors
    /// [`Error::Layer`](crate::Error::Layer), with the nearest name, where there is no such layer.
    fn layer(&self, photos: &Tensor, name: &str) -> Result<Tensor> {
        let names = self.layer_names();
        let unknown = || no_such_layer(self.spec().name, name, &names);
        if !names.iter().any(|known| known == name) {
            return Err(unknown());
        }
        let mut found = None;
        self.tapped(photos, &mut |met, x| {
            if met != name {
                return Ok(Some(x));
            }
            found = Some(x);
            Ok(None)
        })?;
        found.ok_or_else(unknown)
    }

    /// Weight `(classes, F)` and bias `(classes,)` of the backbone's own head; none where the weights have none.
    fn classifier(&self) -> Option<(&Tensor, &Tensor)>;

    /// Its layers in order: name, kind, shape and number of parameters.
    fn layers(&self) -> Layers;

    /// The names of its ReLUs and ReLU6s in order, of whose channels some say nothing of a photo: one name each, that of
    /// the convolution which ends in it. None where it is not known.
    fn rectified(&self) -> Vec<String> {
        Vec::new()
    }

    /// The same function with fewer operations, as the batch norms are folded into the convolutions; through it gradients
    /// flow faster. None where it is not known, or there is nothing to fold.
    ///
    /// # Errors
    /// Where candle fails.
    fn compact(&self) -> Result<Option<Box<dyn Backbone>>> {
        Ok(None)
    }

    /// Where its weights are: photos may come from any device, and what it makes of them is there.
    fn device(&self) -> &Device {
        &Device::Cpu
    }
}

/// One architecture of this crate.
#[derive(Clone, Copy, Debug)]
pub struct BackboneRow {
    /// Its name, as in [`BackboneSpec::name`].
    pub name: &'static str,
    /// The identity of its usual weights, a row of [`WEIGHTS`](crate::weights::WEIGHTS).
    pub weights: &'static str,
    /// Makes one with random weights, by seed.
    pub random: fn(u64) -> Result<Box<dyn Backbone>>,
    /// Makes one with the weights of an identity or a file.
    pub load: fn(&str) -> Result<Box<dyn Backbone>>,
}

/// Every architecture: a new one is one file and one row here, and every test that walks the rows tests it.
pub const BACKBONES: &[BackboneRow] = &[
    BackboneRow {
        name: "mobilenet_v2",
        weights: "mobilenet_v2.tv_in1k",
        random: |seed| Ok(Box::new(MobileNetV2::random(seed)?)),
        load: |identity| Ok(Box::new(MobileNetV2::load(identity)?)),
    },
    BackboneRow {
        name: "inception_v3",
        weights: "inception_v3.keras_in1k",
        random: |seed| Ok(Box::new(InceptionV3::random(seed)?)),
        load: |identity| Ok(Box::new(InceptionV3::load(identity)?)),
    },
];

#[cfg(test)]
pub(crate) mod differences;
#[cfg(test)]
mod tests;
