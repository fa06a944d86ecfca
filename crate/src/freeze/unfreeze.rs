//! The way back from frozen: a backbone's weights by name, to be saved or learnt again, and the backbone made of them.

use super::{Engine, FreezeOptions, Frozen};
use crate::fetch::Hasher;
use crate::models::{BACKBONES, Backbone, BatchNorm, InceptionV3, MobileNetV2};
use crate::weights::Weights;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How a batch norm is applied to what comes out of its convolution: with its stored statistics, or in training mode.
pub type Normalise<'a> = dyn Fn(&BatchNorm, &Tensor) -> Result<Tensor> + 'a;

/// A backbone that can be taken apart into named tensors and put together again: one that can be saved, and fine-tuned.
pub trait Unfreeze: Backbone {
    /// Its tensors under torchvision's names, the head for ImageNet left out: all that its features depend on.
    ///
    /// # Errors
    /// [`Error::Setting`] where its batch norms have been folded in, so that they are no more.
    fn tensors(&self) -> Result<HashMap<String, Tensor>>;

    /// The same architecture with these weights. What is a variable there is one here: gradients reach it.
    ///
    /// # Errors
    /// [`Error::Weights`] where tensors are missing, superfluous or of another shape.
    fn rebuilt(&self, weights: &Weights) -> Result<Box<dyn Unfreeze>>;

    /// From what goes into the layer `layer`, one of [`layers`](Backbone::layers), to features `(N, F)`; differentiable.
    ///
    /// # Errors
    /// [`Error::Layer`] where there is no such layer, and [`Error::Shape`] for what does not fit it.
    fn resume(&self, x: &Tensor, layer: &str, normalise: &Normalise<'_>) -> Result<Tensor>;

    /// The same architecture with these weights, as a type of its own.
    ///
    /// # Errors
    /// As for [`rebuilt`](Self::rebuilt).
    fn with_weights(&self, weights: &Weights) -> Result<Self>
    where
        Self: Sized;

    /// Freezes it, by a compiled plan where there is one for the architecture.
    ///
    /// # Errors
    /// As for [`Frozen::plain`].
    fn frozen(self) -> Result<Frozen<Self>>
    where
        Self: Sized;

    /// As [`frozen`](Self::frozen), on the device and in the numbers that `options` ask for, where the architecture can.
    ///
    /// # Errors
    /// As for `frozen`, and where there is no such device.
    fn frozen_with(self, options: FreezeOptions) -> Result<Frozen<Self>>
    where
        Self: Sized,
    {
        let _ = options;
        self.frozen()
    }
}

impl Unfreeze for MobileNetV2 {
    fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        self.named_tensors()
    }

    fn rebuilt(&self, weights: &Weights) -> Result<Box<dyn Unfreeze>> {
        Ok(Box::new(Self::from_weights(weights)?))
    }

    fn resume(&self, x: &Tensor, layer: &str, normalise: &Normalise<'_>) -> Result<Tensor> {
        self.run_from(x, layer, normalise)
    }

    fn with_weights(&self, weights: &Weights) -> Result<Self> {
        Self::from_weights(weights)
    }

    fn frozen(self) -> Result<Frozen<Self>> {
        self.freeze()
    }

    fn frozen_with(self, options: FreezeOptions) -> Result<Frozen<Self>> {
        self.freeze_with(options)
    }
}

impl Unfreeze for InceptionV3 {
    fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        self.named_tensors()
    }

    fn rebuilt(&self, weights: &Weights) -> Result<Box<dyn Unfreeze>> {
        Ok(Box::new(Self::from_weights(weights)?))
    }

    fn resume(&self, x: &Tensor, layer: &str, normalise: &Normalise<'_>) -> Result<Tensor> {
        self.run_from(x, layer, normalise)
    }

    fn frozen(self) -> Result<Frozen<Self>> {
        self.freeze()
    }

    fn frozen_with(self, options: FreezeOptions) -> Result<Frozen<Self>> {
        self.freeze_with(options)
    }

    fn with_weights(&self, weights: &Weights) -> Result<Self> {
        Self::from_weights(weights)
    }
}

/// A backbone by the name of its architecture, frozen, and the [`digest`] of its tensors.
///
/// # Errors
/// [`Error::Setting`] for an architecture that is not known, and where the weights do not fit it.
pub(crate) fn compile(architecture: &str, weights: &Weights) -> Result<(Arc<Engine>, String)> {
    match architecture {
        "mobilenet_v2" => compiled(MobileNetV2::from_weights(weights)?),
        "inception_v3" => compiled(InceptionV3::from_weights(weights)?),
        _ => Err(unknown(architecture)),
    }
}

fn compiled<B: Unfreeze>(backbone: B) -> Result<(Arc<Engine>, String)> {
    let digest = digest(&backbone.tensors()?)?;
    Ok((Arc::clone(backbone.frozen()?.engine()), digest))
}

/// [`Error::Setting`] for an architecture that this version does not have.
pub(crate) fn unknown(architecture: &str) -> Error {
    let known: Vec<_> = BACKBONES.iter().map(|row| row.name).collect();
    Error::Setting {
        setting: "the backbone",
        got: architecture.to_owned(),
        want: format!("this version of candlewick knows {}", known.join(", ")),
    }
}

/// The sha256 of named tensors, whatever their order: names, shapes and numbers as f32.
pub(crate) fn digest(tensors: &HashMap<String, Tensor>) -> Result<String> {
    let mut hasher = Hasher::default();
    for (name, tensor) in tensors.iter().collect::<BTreeMap<_, _>>() {
        let numbers = tensor.to_device(&Device::Cpu)?.to_dtype(candle_core::DType::F32)?.flatten_all()?;
        // The name's length and the shape keep a number from moving from one tensor to the next unseen.
        hasher.update(format!("{} {name} {:?}\n", name.len(), tensor.dims()).as_bytes());
        let bytes = numbers.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes);
        hasher.update(&bytes.collect::<Vec<u8>>());
    }
    Ok(hasher.hex())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_can_be_compiled_by_its_name_and_taken_apart() {
        let mut seen = 0;
        for row in BACKBONES {
            let (random, other) =
                ((row.random)(1).unwrap(), compile("no_such_network", &Weights::new("", HashMap::new())));
            assert!(other.is_err_and(|error| error.to_string().contains(row.name)));
            // An architecture without an arm in `compile` is unknown; one with an arm lacks the tensors.
            let error = compile(random.spec().name, &Weights::new("none", HashMap::new())).err().unwrap();
            assert!(matches!(error, Error::Weights { .. }), "{}: {error}", row.name);
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn a_backbone_taken_apart_and_put_together_is_the_same() {
        let model = MobileNetV2::random(5).unwrap();
        let tensors = model.tensors().unwrap();
        assert_eq!(tensors.len(), 52 * 5, "kernel, scale, shift, mean and variance of 52 convolutions");
        let (engine, digest) = compile("mobilenet_v2", &Weights::new("apart", tensors.clone())).unwrap();
        assert_eq!(digest, super::digest(&tensors).unwrap());
        let photo = crate::data::sketches(crate::data::Sketches::Flowers, 1, 1).photos()[0].pixels().unwrap();
        let want = model.clone().freeze().unwrap().features_of_pixels(&photo).unwrap();
        assert_eq!(engine.features_of_pixels(&photo).unwrap(), want);
        let folded = model.folded().unwrap();
        assert!(folded.tensors().unwrap_err().to_string().contains("folded"));
    }

    #[test]
    fn a_digest_tells_names_shapes_and_numbers_apart() {
        let of = |name: &str, values: &[f32], shape: (usize, usize)| {
            let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
            digest(&HashMap::from([(name.to_owned(), tensor)])).unwrap()
        };
        let one = of("a", &[1.0, 2.0], (1, 2));
        assert_eq!(one, of("a", &[1.0, 2.0], (1, 2)));
        let others = [of("b", &[1.0, 2.0], (1, 2)), of("a", &[1.0, 2.0], (2, 1)), of("a", &[1.0, 2.5], (1, 2))];
        assert!(others.iter().all(|other| *other != one));
    }
}
