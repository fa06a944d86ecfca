//! MobileNetV2 (Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>), layers and numbers as in torchvision.

mod table;

use super::layers::{head_on, like};
use super::names::no_such_layer;
use super::random::Random;
use super::tap::{Run, Tap, alone, under};
use super::{Activation, Backbone, BackboneSpec, BatchNorm, Convolution, Layers, Trail};
use crate::freeze::Normalise;
use crate::images::Preprocess;
use crate::weights::Weights;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use table::{Block, FEATURES, Unit};

/// torchvision's batch norms everywhere.
const EPS: f64 = 1e-5;

/// The identity of the weights that [`MobileNetV2::pretrained`] loads.
const PRETRAINED: &str = "mobilenet_v2.tv_in1k";

/// One of the blocks in the middle: widen by a pointwise convolution, convolve each channel, narrow again.
///
/// The narrow ends carry no activation, and where their shapes agree the input is added to the output.
#[derive(Clone, Debug)]
pub struct InvertedResidual {
    /// Pointwise, with ReLU6; the first block does without.
    pub expand: Option<Convolution>,
    /// 3x3, a kernel for each channel, with ReLU6.
    pub depthwise: Convolution,
    /// Pointwise, linear: the bottleneck.
    pub project: Convolution,
    /// Whether the input is added to the output.
    pub residual: bool,
}

impl InvertedResidual {
    /// `(N, C, H, W)` to `(N, C', H', W')`; differentiable.
    ///
    /// # Errors
    /// Where the input's channels do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = x.clone();
        for unit in self.units() {
            y = unit.forward(&y)?;
        }
        if self.residual { Ok((x + y)?) } else { Ok(y) }
    }

    fn units(&self) -> Vec<&Convolution> {
        self.expand.iter().chain([&self.depthwise, &self.project]).collect()
    }
}

/// MobileNetV2 of width 1.0 for photos of 224x224: 1280 features, and with a head the 1000 classes of ImageNet.
///
/// In plain candle: differentiable, every layer within reach by its name in the weights file. For speed, freeze it.
///
/// ```
/// use candlewick::candle_core::{DType, Device, Tensor};
/// use candlewick::models::{Backbone, MobileNetV2};
///
/// let backbone = MobileNetV2::random(42)?; // `MobileNetV2::pretrained()?` for the trained weights
/// let photos = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
/// assert_eq!(backbone.features(&photos)?.dims(), [1, 1280]);
/// assert_eq!(backbone.layer(&photos, "features.18")?.dims(), [1, 1280, 2, 2]);
///
/// let mistyped = backbone.layer(&photos, "feature.18").unwrap_err();
/// assert!(mistyped.to_string().contains("the nearest is `features.18`"));
/// # Ok::<(), candlewick::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MobileNetV2 {
    pub(crate) spec: BackboneSpec,
    /// `features.0`.
    pub(crate) stem: Convolution,
    /// `features.1` to `features.17`.
    pub(crate) blocks: Vec<InvertedResidual>,
    /// `features.18`.
    pub(crate) last: Convolution,
    /// `classifier.1`: weight `(classes, 1280)` and bias `(classes,)`.
    pub(crate) classifier: Option<(Tensor, Tensor)>,
}

impl MobileNetV2 {
    /// torchvision's IMAGENET1K_V1 weights, fetched once and kept in the cache (see [`weights::fetch`](crate::weights::fetch)).
    ///
    /// # Errors
    /// Where they can be had from no source.
    pub fn pretrained() -> Result<Self> {
        Self::load(PRETRAINED)
    }

    /// Weights by identity (`mobilenet_v2.tv_in1k`, `timm/mobilenetv2_100.ra_in1k`) or from a file: safetensors or
    /// either of PyTorch's formats, with torchvision's or timm's names.
    ///
    /// # Errors
    /// As for [`Weights::open`] and [`from_weights`](Self::from_weights).
    pub fn load(identity: &str) -> Result<Self> {
        Self::from_weights(&Weights::open(identity)?)
    }

    /// A network from named tensors. The head, `classifier.1`, may be missing or have another number of classes.
    ///
    /// # Errors
    /// [`Error::Weights`] with the names of tensors that are missing, superfluous or of another shape.
    pub fn from_weights(weights: &Weights) -> Result<Self> {
        let mut wanted: Vec<_> =
            table::blocks().iter().flat_map(|block| &block.units).flat_map(Unit::tensors).collect();
        let classes = weights.get("classifier.1.weight").and_then(|weight| weight.dims().first().copied());
        if let Some(classes) = classes {
            wanted.push(("classifier.1.weight".into(), vec![classes, FEATURES]));
            wanted.push(("classifier.1.bias".into(), vec![classes]));
        }
        weights.expect(&wanted)?;
        let classifier = match classes {
            Some(_) => Some((weights.f32("classifier.1.weight")?, weights.f32("classifier.1.bias")?)),
            None => None,
        };
        Self::assemble(weights.identity(), classifier, |unit| {
            let norm = |part: &str| weights.f32(&format!("{}.{part}", unit.norm));
            let batch_norm = BatchNorm {
                weight: norm("weight")?,
                bias: norm("bias")?,
                running_mean: norm("running_mean")?,
                running_var: norm("running_var")?,
                eps: EPS,
            };
            Ok((weights.f32(&format!("{}.weight", unit.kernel))?, batch_norm))
        })
    }

    /// A network of the same shape with random weights, the same for the same seed on every machine.
    ///
    /// It has learnt nothing. Its activations keep the size that those of a trained network have, so that tests and
    /// benchmarks without a weights file are about the same numbers.
    ///
    /// # Errors
    /// None that is known; candle may fail to allocate.
    pub fn random(seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        let mut units = Vec::new();
        // The mean square of what flows: 1 for preprocessed photos, 1 after a batch norm, half of it after ReLU6.
        let mut flow = 1.;
        for block in table::blocks() {
            let mut inside = flow;
            for unit in &block.units {
                units.push(random.unit(&unit.shape(), inside, EPS)?);
                inside = if unit.activation.is_some() { 0.5 } else { 1. };
            }
            flow = if block.residual { flow + inside } else { inside };
        }
        let classifier = Some(random.classifier(FEATURES)?);
        let mut units = units.into_iter();
        let missing = || Error::Weights { file: "random weights".into(), why: "fewer than the table has".into() };
        Self::assemble(&format!("random, seed {seed}"), classifier, |_| units.next().ok_or_else(missing))
    }

    /// Makes the network from its kernels and batch norms, asked for in order.
    fn assemble(
        identity: &str,
        classifier: Option<(Tensor, Tensor)>,
        mut tensors: impl FnMut(&Unit) -> Result<(Tensor, BatchNorm)>,
    ) -> Result<Self> {
        let mut convolution = |unit: &Unit| -> Result<Convolution> {
            let (weight, batch_norm) = tensors(unit)?;
            let (stride, padding, groups) = (unit.stride, (unit.side / 2, unit.side / 2), unit.groups);
            let (batch_norm, relu6) = (Some(batch_norm), unit.activation.is_some());
            let activation = if relu6 { Activation::Relu6 } else { Activation::Linear };
            Ok(Convolution { weight, bias: None, batch_norm, stride, padding, groups, activation })
        };
        let (mut ends, mut blocks) = (Vec::new(), Vec::new());
        for Block { units, residual, .. } in table::blocks() {
            match units.as_slice() {
                [only] => ends.push(convolution(only)?),
                [expand @ .., depthwise, project] => blocks.push(InvertedResidual {
                    expand: expand.first().map(&mut convolution).transpose()?,
                    depthwise: convolution(depthwise)?,
                    project: convolution(project)?,
                    residual,
                }),
                [] => {}
            }
        }
        let classes = match &classifier {
            Some((weight, _)) => weight.dim(0)?,
            None => 0,
        };
        let spec = BackboneSpec {
            name: "mobilenet_v2",
            preprocess: Preprocess::IMAGENET,
            features: FEATURES,
            classes,
            last_convolution: "features.18",
            weights: identity.to_owned(),
        };
        match <[Convolution; 2]>::try_from(ends) {
            Ok([stem, last]) => Ok(Self { spec, stem, blocks, last, classifier }),
            Err(_) => Err(Error::Weights { file: identity.to_owned(), why: "the table has no two ends".into() }),
        }
    }

    /// The same function with every batch norm folded into its convolution: about half the operations of a forward
    /// pass that are not multiplications of matrices fall away.
    ///
    /// Its [`layers`](Backbone::layers) still count as published. Names of bare convolutions, before their batch norm,
    /// are gone.
    ///
    /// # Errors
    /// As for [`Convolution::folded`].
    pub fn folded(&self) -> Result<Self> {
        let folded = |block: &InvertedResidual| {
            Ok(InvertedResidual {
                expand: block.expand.as_ref().map(Convolution::folded).transpose()?,
                depthwise: block.depthwise.folded()?,
                project: block.project.folded()?,
                residual: block.residual,
            })
        };
        Ok(Self {
            stem: self.stem.folded()?,
            blocks: self.blocks.iter().map(folded).collect::<Result<_>>()?,
            last: self.last.folded()?,
            ..self.clone()
        })
    }

    /// The same network with its weights on another device. It takes photos from any, and answers on its own.
    ///
    /// # Errors
    /// Where candle cannot copy.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let classifier = head_on(device, self.classifier.as_ref())?;
        Ok(Self { classifier, ..self.converted(&|tensor| Ok(tensor.to_device(device)?))? })
    }

    /// With each tensor of its convolutions as `convert` makes it.
    pub(crate) fn converted(&self, convert: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let block = |block: &InvertedResidual| {
            Ok::<_, Error>(InvertedResidual {
                expand: block.expand.as_ref().map(|expand| expand.converted(convert)).transpose()?,
                depthwise: block.depthwise.converted(convert)?,
                project: block.project.converted(convert)?,
                residual: block.residual,
            })
        };
        Ok(Self {
            stem: self.stem.converted(convert)?,
            blocks: self.blocks.iter().map(block).collect::<Result<_>>()?,
            last: self.last.converted(convert)?,
            ..self.clone()
        })
    }

    /// The device its weights are on.
    pub fn device(&self) -> &Device {
        self.stem.weight.device()
    }

    /// The convolutions of `features.<block>`, in order.
    fn units(&self, block: usize) -> Vec<&Convolution> {
        match block.checked_sub(1).map(|middle| self.blocks.get(middle)) {
            None => vec![&self.stem],
            Some(Some(middle)) => middle.units(),
            Some(None) => vec![&self.last],
        }
    }

    /// [`Error::Shape`] for what are no photos.
    fn check(photos: &Tensor) -> Result<()> {
        match photos.dims() {
            &[n, 3, h, w] if n > 0 && h > 0 && w > 0 => Ok(()),
            dims => Err(Error::shape("MobileNetV2", "(N, 3, 224, 224)", dims)),
        }
    }

    /// From what goes into the layer number `first` of `features` to features.
    fn run(&self, x: &Tensor, first: usize, run: &mut Run<'_>) -> Result<Option<Tensor>> {
        let mut x = x.clone();
        for (index, block) in table::blocks().into_iter().enumerate().skip(first) {
            match self.run_block(index, block, &x, run)? {
                Some(y) => x = y,
                None => return Ok(None),
            }
        }
        Ok(Some(run.mean_of_places(&x)?))
    }

    fn run_block(&self, index: usize, block: Block, x: &Tensor, run: &mut Run<'_>) -> Result<Option<Tensor>> {
        let mut y = x.clone();
        for (unit, convolution) in block.units.into_iter().zip(self.units(index)) {
            match convolution.run(&y, &unit.names(&block.name), run)? {
                Some(made) => y = made,
                None => return Ok(None),
            }
        }
        let y = if block.residual { run.added(x, &y)? } else { y };
        run.meet(&block.name, y)
    }

    /// From what goes into the layer `features.<k>` to features.
    pub(crate) fn run_from(&self, x: &Tensor, layer: &str, normalise: &Normalise<'_>) -> Result<Tensor> {
        let names: Vec<String> = table::blocks().into_iter().map(|block| block.name).collect();
        let Some(first) = names.iter().position(|name| name == layer) else {
            return Err(no_such_layer("MobileNetV2", layer, &names));
        };
        under(normalise, |run| self.run(&like(x, &self.stem.weight)?, first, run), "MobileNetV2")
    }

    /// All that its features depend on, under torchvision's names.
    pub(crate) fn named_tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = HashMap::new();
        for (index, block) in table::blocks().into_iter().enumerate() {
            for (unit, convolution) in block.units.into_iter().zip(self.units(index)) {
                let Some(norm) = &convolution.batch_norm else {
                    return Err(Error::Setting {
                        setting: "batch norm",
                        got: "folded".into(),
                        want: "its tensors are no more: take them of the network before it was folded".into(),
                    });
                };
                tensors.insert(format!("{}.weight", unit.kernel), convolution.weight.clone());
                let parts = [
                    ("weight", &norm.weight),
                    ("bias", &norm.bias),
                    ("running_mean", &norm.running_mean),
                    ("running_var", &norm.running_var),
                ];
                tensors.extend(parts.map(|(part, tensor)| (format!("{}.{part}", unit.norm), tensor.clone())));
            }
        }
        Ok(tensors)
    }
}

impl Backbone for MobileNetV2 {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        Self::check(photos)?;
        alone(|run| self.run(&like(photos, &self.stem.weight)?, 0, run), "MobileNetV2")
    }

    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        Self::check(photos)?;
        self.run(&like(photos, &self.stem.weight)?, 0, &mut Run::tapped(tap))
    }

    fn trailed(&self, photos: &Tensor, tap: &mut Tap<'_>, trail: &mut Trail) -> Result<Option<Tensor>> {
        Self::check(photos)?;
        let photos = like(photos, &self.stem.weight)?;
        self.run(&photos, 0, &mut Run::trailed(&photos, tap, trail))
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        self.classifier.as_ref().map(|(weight, bias)| (weight, bias))
    }

    fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        let Some((weight, bias)) = &self.classifier else {
            let why = "these weights have no head (classifier.1): use `features`".into();
            return Err(Error::Weights { file: self.spec.weights.clone(), why });
        };
        Ok(self.features(photos)?.matmul(&weight.t()?)?.broadcast_add(bias)?)
    }

    /// Whole layers, `features.0` to `features.18`, and the parts of blocks as torchvision names them:
    /// `features.3.conv.0` is the first convolution with batch norm and ReLU6, `features.3.conv.0.0` the bare one.
    fn layer_names(&self) -> Vec<String> {
        let of_block = |(index, block): (usize, Block)| {
            let parts = block.units.into_iter().zip(self.units(index));
            let parts = parts.flat_map(|(unit, convolution)| convolution.names(unit.names(&block.name)));
            parts.chain([block.name.clone()]).collect::<Vec<_>>()
        };
        table::blocks().into_iter().enumerate().flat_map(of_block).collect()
    }

    fn layers(&self) -> Layers {
        table::layers(self.spec.preprocess.side).into()
    }

    fn rectified(&self) -> Vec<String> {
        let units = table::blocks().into_iter().flat_map(|block| block.units);
        units.filter_map(|unit| unit.activation.map(|[_, whole]| whole)).collect()
    }

    fn compact(&self) -> Result<Option<Box<dyn Backbone>>> {
        match self.stem.batch_norm {
            Some(_) => Ok(Some(Box::new(self.folded()?))),
            None => Ok(None),
        }
    }

    fn device(&self) -> &Device {
        self.device()
    }
}
