//! Class activation maps: which channels of a layer speak for a class, and where these are active.
//!
//! With `A_k` the activations of channel k, `g_k` the gradient of the class's logit with respect to them, and `w_k` the
//! head's weight of the class for feature k, each map is the positive part of `sum_k c_k A_k`, with
//!
//! - CAM (Zhou et al. 2016, <https://arxiv.org/abs/1512.04150>): `c_k = w_k`;
//! - Grad-CAM (Selvaraju et al. 2017, <https://arxiv.org/abs/1610.02391>): `c_k` the mean of `g_k` over places;
//! - Grad-CAM++ (Chattopadhay et al. 2018, <https://arxiv.org/abs/1710.11063>, equation 19): `c_k` the sum over places
//!   of `alpha * relu(g_k)`, `alpha = 1 / (2 + g_k * sum(A_k))`.
//!
//! Behind global average pooling and one dense layer `g_k` is `w_k` over the number of places, so that Grad-CAM is CAM
//! up to scale.

use super::activations::numbers;
use super::{Method, Relevance, Subject};
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};

/// One run of a photo, from a layer's activations on with gradients.
struct Seen {
    /// `(1, C, h, w)`.
    activations: Var,
    /// `(1, K)`.
    logits: Tensor,
}

impl Seen {
    /// Gradients end at the layer: what is before it is run as if it were not to learn.
    fn new(subject: &Subject<'_>, photo: &Tensor, layer: &str) -> Result<Self> {
        subject.check_layers(&[layer])?;
        let mut seen = None;
        let features = subject.backbone.tapped(&photo.detach(), &mut |met, x| {
            if met != layer {
                return Ok(Some(x));
            }
            check(layer, &x, subject)?;
            let variable = Var::from_tensor(&x.detach())?;
            let goes_on = variable.as_tensor().clone();
            seen = Some(variable);
            Ok(Some(goes_on))
        })?;
        match (seen, features) {
            (Some(activations), Some(features)) => Ok(Self { activations, logits: subject.logits(&features)? }),
            _ => Err(Error::Data(format!("the run did not come to the layer `{layer}`"))),
        }
    }

    /// The gradient of a class's logit with respect to the activations, `(C, h, w)`, on the host.
    fn gradient(&self, class: usize, layer: &str) -> Result<Tensor> {
        let gradients = self.logits.get(0)?.get(class)?.backward()?;
        let none = || Error::Data(format!("no logit depends on `{layer}`, so it has no heat map"));
        Ok(gradients.get(&self.activations).ok_or_else(none)?.squeeze(0)?.to_device(&Device::Cpu)?)
    }
}

/// [`Error`] unless these activations can have a heat map.
fn check(layer: &str, x: &Tensor, subject: &Subject<'_>) -> Result<()> {
    let last = subject.backbone.spec().last_convolution;
    if !matches!(x.dims(), &[1, _, height, width] if height * width > 1) {
        let got = format!("`{layer}`, whose activations are {:?}", x.dims());
        let want = format!("it must have rows and columns left, as `{last}` has");
        return Err(Error::Setting { setting: "the layer of a heat map", got, want });
    }
    if numbers(x)?.iter().any(|value| !value.is_finite()) {
        return Err(Error::Data(format!(
            "the activations of `{layer}` are not all numbers: are the weights, or the photo's values?"
        )));
    }
    Ok(())
}

pub(super) fn relevance(
    subject: &Subject<'_>,
    photo: &Tensor,
    classes: &[usize],
    layer: Option<&str>,
    method: Method,
) -> Result<Vec<Relevance>> {
    let last = subject.backbone.spec().last_convolution;
    let layer = layer.unwrap_or(last);
    subject.check_layers(&[layer])?;
    if method == Method::Cam && layer != last {
        return Err(Error::Setting {
            setting: "the layer of a CAM",
            got: format!("`{layer}`"),
            want: format!(
                "only at `{last}` do the head's weights say what a channel counts: leave it out, or take Grad-CAM"
            ),
        });
    }
    let seen = Seen::new(subject, photo, layer)?;
    // Small from here on: a few thousand numbers, computed with on the host.
    let activations = seen.activations.squeeze(0)?.detach().to_device(&Device::Cpu)?;
    let (channels, height, width) = activations.dims3()?;
    let places = activations.reshape((channels, height * width))?;
    let map = |class: &usize| {
        let counts = match method {
            Method::Cam => subject.head()?.0.get(*class)?.to_device(&Device::Cpu)?,
            Method::GradCamPlusPlus => plus_plus(&places, &seen.gradient(*class, layer)?.reshape(places.dims())?)?,
            Method::GradCam | Method::Occlusion { .. } => seen.gradient(*class, layer)?.flatten_from(1)?.mean(1)?,
        };
        if counts.dims() != [channels] {
            return Err(Error::shape(format!("a head behind `{layer}`"), format!("(K, {channels})"), counts.dims()));
        }
        let values = counts.detach().unsqueeze(0)?.matmul(&places)?.relu()?.reshape((height, width))?;
        Relevance::new(values, &seen.logits, *class)
    };
    classes.iter().map(map).collect()
}

/// What each channel counts in Grad-CAM++, from activations and gradients `(C, places)`.
///
/// Derived for activations behind a ReLU. Of a layer that goes below zero the sum takes what is above: otherwise alpha's
/// denominator could come near zero, and one channel would be the whole map.
fn plus_plus(activations: &Tensor, gradients: &Tensor) -> Result<Tensor> {
    let (channels, places) = activations.dims2()?;
    let (activations, gradients) = (numbers(activations)?, numbers(gradients)?);
    let count = |(activations, gradients): (&[f32], &[f32])| {
        let sum: f64 = activations.iter().map(|value| f64::from(value.max(0.0))).sum();
        let count = |gradient: &f32| {
            let gradient = f64::from(gradient.max(0.0));
            gradient / (2.0 + gradient * sum)
        };
        gradients.iter().map(count).sum::<f64>() as f32
    };
    let counts: Vec<f32> = activations.chunks_exact(places).zip(gradients.chunks_exact(places)).map(count).collect();
    Ok(Tensor::from_vec(counts, channels, &Device::Cpu)?)
}
