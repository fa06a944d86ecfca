//! InceptionV3 (Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>), layers named as in torchvision.

mod keras;
mod table;

use super::layers::{head_on, like};
use super::names::no_such_layer;
use super::random::Random;
use super::tap::{Names, Run, Tap, alone, under};
use super::{Activation, Backbone, BackboneSpec, BatchNorm, Convolution, Layers, Trail};
use crate::freeze::Normalise;
use crate::images::Preprocess;
use crate::weights::Weights;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
pub(crate) use table::{Block, Step};
use table::{FEATURES, Unit};

/// Of every batch norm, in torchvision and in Keras.
const EPS: f64 = 1e-3;
/// The identity of the weights that [`InceptionV3::pretrained`] loads.
const PRETRAINED: &str = "inception_v3.keras_in1k";
/// Rows and columns of the smallest photo that leaves a pixel for the last layer.
const LEAST_SIDE: usize = 75;

/// A convolution with its name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// `Mixed_5b.branch1x1`.
    pub name: String,
    /// With batch norm and ReLU.
    pub convolution: Convolution,
}

/// InceptionV3 for photos of 299x299: 2048 features and, with a head, the 1000 classes of ImageNet.
///
/// In plain candle: differentiable, every layer within reach by its name: `Conv2d_1a_3x3`, `Mixed_5b`, a branch
/// `Mixed_5b.branch1x1` and its parts `.conv` and `.bn`. For speed, freeze it.
///
/// Weights come from two families that differ at the edges: at a photo's edge torchvision's (and timm's) average pools
/// count the zeros outside, Keras' do not; and Keras' batch norms have no scale. The model follows whatever weights it
/// is given. Both take values from -1 to 1.
///
/// ```
/// use candlewick::candle_core::{DType, Device, Tensor};
/// use candlewick::models::{Backbone, InceptionV3};
///
/// let backbone = InceptionV3::random(42)?; // `InceptionV3::pretrained()?` for the trained weights
/// let photos = Tensor::zeros((1, 3, 75, 75), DType::F32, &Device::Cpu)?;
/// assert_eq!(backbone.layer(&photos, "Mixed_5b.branch1x1")?.dims(), [1, 64, 7, 7]);
///
/// // Layers can be looked at in photos of any size from 75x75 on; features are those of the size it has learnt from.
/// let small = backbone.features(&photos).unwrap_err().to_string();
/// assert!(small.contains("(N, 3, 299, 299)"), "{small}");
/// # Ok::<(), candlewick::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InceptionV3 {
    pub(crate) spec: BackboneSpec,
    /// `Conv2d_1a_3x3` to `Mixed_7c`.
    pub(crate) blocks: Vec<Block<Named>>,
    /// Whether average pools count zeros beyond the edge.
    pub(crate) counts_padding: bool,
    /// `fc`: weight `(classes, 2048)` and bias `(classes,)`.
    pub(crate) classifier: Option<(Tensor, Tensor)>,
}

impl InceptionV3 {
    /// The ImageNet weights of Keras, fetched once and kept in the cache (see [`weights::fetch`](crate::weights::fetch)).
    ///
    /// They have no head: `features` and `layer` work, `logits` says so.
    ///
    /// # Errors
    /// Where they can be had from no source.
    pub fn pretrained() -> Result<Self> {
        Self::load(PRETRAINED)
    }

    /// Weights by identity (`inception_v3.keras_in1k`, `timm/inception_v3.tv_in1k`) or from a file: safetensors or
    /// either of PyTorch's formats with torchvision's names (`inception_v3_google-0cc3c7bd.pth`), or Keras' HDF5.
    ///
    /// # Errors
    /// As for [`Weights::open`] and [`from_weights`](Self::from_weights).
    pub fn load(identity: &str) -> Result<Self> {
        Self::from_weights(&Weights::open(identity)?)
    }

    /// A network from named tensors. The head, `fc`, may be missing or have another number of classes; an auxiliary head
    /// (`AuxLogits`) is left out, and so are layers of other kinds in a Keras model.
    ///
    /// Weights under Keras' names, and those whose batch norms have no scale, are Keras'.
    ///
    /// # Errors
    /// [`Error::Weights`] with the names of tensors that are missing, superfluous or of another shape.
    pub fn from_weights(weights: &Weights) -> Result<Self> {
        let torch = weights.get("Conv2d_1a_3x3.conv.weight").is_some();
        let weights = if torch { weights.without("AuxLogits.") } else { keras::renamed(weights)? };
        let scaled = weights.get("Conv2d_1a_3x3.bn.weight").is_some();
        let mut wanted: Vec<_> =
            table::blocks().iter().flat_map(Block::units).flat_map(|unit| unit.tensors(scaled)).collect();
        let classes = weights.get("fc.weight").and_then(|weight| weight.dims().first().copied());
        if let Some(classes) = classes {
            wanted.push(("fc.weight".into(), vec![classes, FEATURES]));
            wanted.push(("fc.bias".into(), vec![classes]));
        }
        weights.expect(&wanted)?;
        let classifier = match classes {
            Some(_) => Some((weights.f32("fc.weight")?, weights.f32("fc.bias")?)),
            None => None,
        };
        Self::assemble(weights.identity(), torch && scaled, classifier, |unit| {
            let norm = |part: &str| weights.f32(&format!("{}.bn.{part}", unit.name));
            let bias = norm("bias")?;
            let batch_norm = BatchNorm {
                weight: if scaled { norm("weight")? } else { bias.ones_like()? },
                bias,
                running_mean: norm("running_mean")?,
                running_var: norm("running_var")?,
                eps: EPS,
            };
            Ok((weights.f32(&format!("{}.conv.weight", unit.name))?, batch_norm))
        })
    }

    /// A network of the same shape with random weights, the same for the same seed on every machine, and torchvision's
    /// conventions.
    ///
    /// It has learnt nothing. Its activations keep the size that those of a trained network have, so that tests and
    /// benchmarks without a weights file are about the same numbers.
    ///
    /// # Errors
    /// None that is known; candle may fail to allocate.
    pub fn random(seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        let classifier = random.classifier(FEATURES)?;
        // The mean square of what flows: 1/3 in photos between -1 and 1, half of a batch norm's 1 after ReLU.
        let mut flow = 1. / 3.;
        Self::assemble(&format!("random, seed {seed}"), true, Some(classifier), |unit| {
            let made = random.unit(&unit.shape(), flow, EPS);
            flow = 0.5;
            made
        })
    }

    /// Makes the network from its kernels and batch norms, asked for in order.
    fn assemble(
        identity: &str,
        counts_padding: bool,
        classifier: Option<(Tensor, Tensor)>,
        mut tensors: impl FnMut(&Unit) -> Result<(Tensor, BatchNorm)>,
    ) -> Result<Self> {
        let mut named = |unit: &Unit| -> Result<Named> {
            let (weight, batch_norm) = tensors(unit)?;
            let convolution = Convolution {
                weight,
                bias: None,
                batch_norm: Some(batch_norm),
                stride: unit.stride,
                padding: unit.padding,
                groups: 1,
                activation: Activation::Relu,
            };
            Ok(Named { name: unit.name.clone(), convolution })
        };
        let blocks = table::blocks().iter().map(|block| block.map(&mut named)).collect::<Result<_>>()?;
        let classes = match &classifier {
            Some((weight, _)) => weight.dim(0)?,
            None => 0,
        };
        let spec = BackboneSpec {
            name: "inception_v3",
            preprocess: Preprocess::INCEPTION,
            features: FEATURES,
            classes,
            last_convolution: "Mixed_7c",
            weights: identity.to_owned(),
        };
        Ok(Self { spec, blocks, counts_padding, classifier })
    }

    /// The same network with every batch norm folded into its convolution.
    ///
    /// # Errors
    /// Where the tensors' shapes do not fit each other.
    pub fn folded(&self) -> Result<Self> {
        let folded = |named: &Named| {
            Ok::<_, Error>(Named { name: named.name.clone(), convolution: named.convolution.folded()? })
        };
        let blocks = self.blocks.iter().map(|block| block.map(folded)).collect::<Result<_>>()?;
        Ok(Self { blocks, ..self.clone() })
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
        let named = |named: &Named| {
            Ok::<_, Error>(Named { name: named.name.clone(), convolution: named.convolution.converted(convert)? })
        };
        let blocks = self.blocks.iter().map(|block| block.map(named)).collect::<Result<_>>()?;
        Ok(Self { blocks, ..self.clone() })
    }

    /// Its first kernel.
    fn first(&self) -> Option<&Tensor> {
        self.blocks.first().and_then(|block| block.units().next()).map(|named| &named.convolution.weight)
    }

    /// Photos, or what goes into a layer, where the weights are and of their type.
    fn like(&self, x: &Tensor) -> Result<Tensor> {
        self.first().map_or_else(|| Ok(x.clone()), |first| like(x, first))
    }

    /// The device its weights are on.
    pub fn device(&self) -> &Device {
        self.first().map_or(&Device::Cpu, Tensor::device)
    }

    /// From what goes into the block number `first` to features.
    fn run(&self, x: &Tensor, first: usize, run: &mut Run<'_>) -> Result<Option<Tensor>> {
        let mut x = x.clone();
        for block in self.blocks.iter().skip(first) {
            match self.run_block(block, &x, run)? {
                Some(y) => x = y,
                None => return Ok(None),
            }
        }
        Ok(Some(run.mean_of_places(&x)?))
    }

    fn run_block(&self, block: &Block<Named>, x: &Tensor, run: &mut Run<'_>) -> Result<Option<Tensor>> {
        let mut outputs = Vec::with_capacity(block.branches.len());
        for steps in &block.branches {
            let mut y = x.clone();
            for step in steps {
                match self.run_step(step, &block.name, &y, run)? {
                    Some(made) => y = made,
                    None => return Ok(None),
                }
            }
            outputs.push(y);
        }
        let y = run.side_by_side(&outputs)?;
        run.meet(&block.name, y)
    }

    fn run_step(&self, step: &Step<Named>, block: &str, x: &Tensor, run: &mut Run<'_>) -> Result<Option<Tensor>> {
        match step {
            Step::Convolution(named) => named.convolution.run(x, &named.names(block), run),
            Step::MaxPool => run.largest(x).map(Some),
            Step::AveragePool => run.average(x, self.counts_padding).map(Some),
            Step::Split([left, right]) => {
                let Some(a) = left.convolution.run(x, &left.names(block), run)? else { return Ok(None) };
                let Some(b) = right.convolution.run(x, &right.names(block), run)? else { return Ok(None) };
                Ok(Some(run.side_by_side(&[a, b])?))
            }
        }
    }

    /// From what goes into a layer, one of [`layers`](Backbone::layers), to features.
    pub(crate) fn run_from(&self, x: &Tensor, layer: &str, normalise: &Normalise<'_>) -> Result<Tensor> {
        let Some(first) = self.blocks.iter().position(|block| block.name == layer) else {
            let names: Vec<_> = self.blocks.iter().map(|block| block.name.clone()).collect();
            return Err(no_such_layer("InceptionV3", layer, &names));
        };
        under(normalise, |run| self.run(&self.like(x)?, first, run), "InceptionV3")
    }

    /// All that its features depend on, under torchvision's names. Those of Keras' conventions have no scales, which is
    /// how [`from_weights`](Self::from_weights) tells them.
    pub(crate) fn named_tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = HashMap::new();
        for Named { name, convolution } in self.blocks.iter().flat_map(Block::units) {
            let Some(norm) = &convolution.batch_norm else {
                return Err(Error::Setting {
                    setting: "batch norm",
                    got: "folded".into(),
                    want: "its tensors are no more: take them of the network before it was folded".into(),
                });
            };
            tensors.insert(format!("{name}.conv.weight"), convolution.weight.clone());
            let scale = self.counts_padding.then_some(("weight", &norm.weight));
            let others =
                [("bias", &norm.bias), ("running_mean", &norm.running_mean), ("running_var", &norm.running_var)];
            let parts = scale.into_iter().chain(others);
            tensors.extend(parts.map(|(part, tensor)| (format!("{name}.bn.{part}"), tensor.clone())));
        }
        Ok(tensors)
    }

    /// [`Error::Shape`] for photos too small to leave a pixel.
    fn check_least(photos: &Tensor) -> Result<()> {
        match photos.dims() {
            &[n, 3, h, w] if n > 0 && h >= LEAST_SIDE && w >= LEAST_SIDE => Ok(()),
            dims => Err(Error::shape("InceptionV3", format!("(N, 3, H, W), H and W at least {LEAST_SIDE}"), dims)),
        }
    }

    /// [`Error::Shape`] for photos of another size than it has learnt from.
    fn check(&self, photos: &Tensor) -> Result<()> {
        let side = self.spec.preprocess.side;
        match photos.dims() {
            &[n, 3, h, w] if n > 0 && (h, w) == (side, side) => Ok(()),
            dims => Err(Error::shape(
                "InceptionV3",
                format!("(N, 3, {side}, {side}), as `batches(32, &network.spec().preprocess)` makes them"),
                dims,
            )),
        }
    }
}

impl Named {
    /// The names of its parts, in the layer `block`, whose own name comes behind them.
    fn names(&self, block: &str) -> Names {
        let own = (self.name != block).then(|| self.name.clone());
        let (kernel, norm) = (format!("{}.conv", self.name), format!("{}.bn", self.name));
        Names { kernel, norm, activation: own.into_iter().collect() }
    }
}

impl Backbone for InceptionV3 {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        self.check(photos)?;
        alone(|run| self.run(&self.like(photos)?, 0, run), "InceptionV3")
    }

    /// Photos may have any size from 75x75 on.
    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        Self::check_least(photos)?;
        self.run(&self.like(photos)?, 0, &mut Run::tapped(tap))
    }

    fn trailed(&self, photos: &Tensor, tap: &mut Tap<'_>, trail: &mut Trail) -> Result<Option<Tensor>> {
        Self::check_least(photos)?;
        let photos = self.like(photos)?;
        self.run(&photos, 0, &mut Run::trailed(&photos, tap, trail))
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        self.classifier.as_ref().map(|(weight, bias)| (weight, bias))
    }

    fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        let Some((weight, bias)) = &self.classifier else {
            let why =
                "these weights have no head (fc): use `features`, or weights with one, as timm/inception_v3.tv_in1k";
            return Err(Error::Weights { file: self.spec.weights.clone(), why: why.into() });
        };
        Ok(self.features(photos)?.matmul(&weight.t()?)?.broadcast_add(bias)?)
    }

    /// Whole layers, `Conv2d_1a_3x3` to `Mixed_7c` with the pools `maxpool1` and `maxpool2`; the convolutions of a
    /// branch, `Mixed_5b.branch5x5_2`; and the parts of a convolution, `.conv` and `.bn`.
    fn layer_names(&self) -> Vec<String> {
        let of_block = |block: &Block<Named>| {
            let parts = block.units().flat_map(|named| named.convolution.names(named.names(&block.name)));
            parts.chain([block.name.clone()]).collect::<Vec<_>>()
        };
        self.blocks.iter().flat_map(of_block).collect()
    }

    fn layers(&self) -> Layers {
        table::layers(self.spec.preprocess.side).into()
    }

    fn rectified(&self) -> Vec<String> {
        self.blocks.iter().flat_map(Block::units).map(|named| named.name.clone()).collect()
    }

    fn compact(&self) -> Result<Option<Box<dyn Backbone>>> {
        match self.blocks.iter().flat_map(Block::units).any(|named| named.convolution.batch_norm.is_some()) {
            true => Ok(Some(Box::new(self.folded()?))),
            false => Ok(None),
        }
    }

    fn device(&self) -> &Device {
        self.device()
    }
}
