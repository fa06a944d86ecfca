//! How a heat map is found, and the numbers that are found.

use super::activations::numbers;
use crate::{Error, Result};
use candle_core::Tensor;
use std::fmt;

/// How a heat map is found: by the head's weights (`Cam`), by gradients (`GradCam`, `GradCamPlusPlus`), or without either
/// (`OCCLUSION`, and `Occlusion` with squares of your own). There is no Score-CAM: what asks no gradient here is occlusion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Class activation map (Zhou et al. 2016): the last convolution's channels, weighted by the head's own weights.
    /// Exact for a network that ends in global average pooling and one dense layer, and for no other layer.
    Cam,
    /// Grad-CAM (Selvaraju et al. 2017): any layer's channels, weighted by the mean gradient of the logit.
    #[default]
    GradCam,
    /// Grad-CAM++ (Chattopadhay et al. 2018): places with a positive gradient count, the less the more active a channel
    /// is. Meant for photos with several things of one class, and for layers behind a ReLU. At MobileNetV2's last layer it
    /// hardly separates classes: what speaks against one does not count, so the maps of different classes look alike.
    GradCamPlusPlus,
    /// Occlusion (Zeiler and Fergus 2014): what the logit loses as squares of the photo are covered. It needs no gradient
    /// and looks at no layer, and runs the network once a square.
    ///
    /// What covers is a 0 of the preprocessed photo, in each colour: for MobileNetV2 the mean colour of ImageNet's photos (red
    /// 124, green 116, blue 104 of 255), for InceptionV3 a middle grey. Where the photo has that colour itself, nothing is
    /// covered, and nothing found.
    Occlusion {
        /// Side of the squares, in pixels of the network's input.
        patch: usize,
        /// How far apart they are, at most `patch`.
        stride: usize,
    },
}

impl Method {
    /// [`Method::Occlusion`] with squares of 48 pixels, 16 apart: 144 of them on MobileNetV2's 224 pixels.
    #[doc(alias = "ScoreCam")]
    pub const OCCLUSION: Self = Self::Occlusion { patch: 48, stride: 16 };
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cam => f.write_str("CAM"),
            Self::GradCam => f.write_str("Grad-CAM"),
            Self::GradCamPlusPlus => f.write_str("Grad-CAM++"),
            Self::Occlusion { patch, stride } => write!(f, "occlusion by squares of {patch} pixels, {stride} apart"),
        }
    }
}

/// What a heat map is to show. The default is Grad-CAM for the predicted class at the last convolution.
///
/// ```
/// use candlewick::prelude::*;
/// let net = MobileNetV2::random(42)?;
/// let photo = Pixels::new(1, 2, vec![200, 30, 30, 30, 200, 30])?;
/// let options = HeatMapOptions { layer: Some("features.13".into()), ..HeatMapOptions::default() };
/// let map = net.heat_map_with(&photo, options)?;
/// assert_eq!(map.map.dims(), [14, 14]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeatMapOptions {
    /// The class, by name or number; none is the one that the network predicts. What names its classes by itself
    /// ([`heat_maps_with`](super::Explain::heat_maps_with), [`explain_losses_with`](super::Explain::explain_losses_with))
    /// refuses one here.
    pub class: Option<String>,
    /// The layer, by name; none is the last convolution. Earlier layers see finer and understand less.
    pub layer: Option<String>,
    /// How it is found.
    pub method: Method,
    /// Whether its [`Faithfulness`](super::Faithfulness) is measured and shown under it, beside 9 random maps: 624 runs of the
    /// network more.
    pub faithfulness: bool,
}

/// How much each place speaks for a class, and what the network says of it: the numbers behind a
/// [`HeatMap`](super::HeatMap).
#[derive(Clone, Debug)]
pub struct Relevance {
    /// `(h, w)`, nothing below 0, on the host.
    pub values: Tensor,
    /// The class's logit.
    pub logit: f32,
    /// The class's probability, 0 to 1.
    pub probability: f32,
}

impl HeatMapOptions {
    /// Refuses a class where `what` names them.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(super) fn without_class(&self, what: &str) -> Result<()> {
        match &self.class {
            Some(class) => Err(Error::Setting {
                setting: "the class in these options",
                got: format!("`{class}`"),
                want: format!("the classes are those of {what}: leave it out"),
            }),
            None => Ok(()),
        }
    }
}

impl Relevance {
    /// Of logits `(1, K)`.
    ///
    /// # Errors
    /// [`Error::Data`] where something is no number.
    pub(super) fn new(values: Tensor, logits: &Tensor, class: usize) -> Result<Self> {
        let logits = numbers(logits)?;
        let logit = logits.get(class).copied().unwrap_or(f32::NAN);
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let probability = (logit - most).exp() / logits.iter().map(|logit| (logit - most).exp()).sum::<f32>();
        if !probability.is_finite() || numbers(&values)?.iter().any(|value| !value.is_finite()) {
            return Err(Error::Data("the heat map is not all numbers: are the weights, or the photo's values?".into()));
        }
        Ok(Self { values, logit, probability })
    }
}
