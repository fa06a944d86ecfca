//! Frozen means compiled: what will not learn any more is folded, fused, and run once per photo.
//!
//! [`MobileNetV2::freeze`] and [`InceptionV3::freeze`] take a model and give a [`Frozen`] one. On the CPU that is a plan
//! of our own: batch norm folded into the convolutions, bias and activation applied while sums are still in registers,
//! nothing allocated once it runs, vector instructions chosen when it is compiled ([`CpuLevel`]), one photo a thread. Of
//! MobileNetV2 each inverted residual is fused so that its wide middle stays in the cache; InceptionV3's larger kernels
//! take a way with fewer multiplications. For photos of another size where a network takes them, it is the folded network
//! in plain candle. Both give the features of the unfrozen model within 1e-4 of their largest, and neither lets a
//! gradient through.
//!
//! Where [`device::pick`](crate::device::pick) finds a GPU, it is a plan of launches there, batch after batch, in f32 or in
//! halves ([`FreezeOptions`]), in memory that the first batch takes and the next ones use again.

mod cpu;
mod engine;
#[cfg(feature = "cuda")]
mod gpu;
mod graph;
mod kernels;
#[cfg(any(feature = "cuda", test))]
mod launches;
mod options;
mod photo;
mod plan;
mod program;
#[cfg(any(feature = "cuda", test))]
mod stream;
mod unfreeze;

#[cfg(test)]
mod tests;

pub use cpu::CpuLevel;
pub(crate) use engine::Engine;
#[cfg(feature = "cuda")]
pub(crate) use launches::{At, Launches, Machine, Photos, Product, Region, SLOTS, Work};
pub use options::{FreezeOptions, Precision};
pub use unfreeze::{Normalise, Unfreeze};
pub(crate) use unfreeze::{compile, digest, unknown};

use crate::device::pick;
use crate::images::Pixels;
use crate::models::{Backbone, BackboneSpec, InceptionV3, Layers, MobileNetV2, Tap};
use crate::notebook::Progress;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use graph::{Graph, GraphSpec};
use kernels::Kernels;
use plan::{BlockSpec, Conv, Plan, PlanSpec, digest as digest_of};
use program::{Program, WithScratch};
use std::sync::Arc;
use std::time::Duration;

/// A backbone that will not learn any more. Photos may be anywhere, and its features, logits and layers are where the
/// photos are, also where a GPU computes them.
///
/// ```no_run
/// use candlewick::prelude::*;
/// let frozen = MobileNetV2::pretrained()?.freeze()?;
/// println!("{} features by {}", frozen.spec().features, frozen.cpu());
/// # Ok::<(), Error>(())
/// ```
pub struct Frozen<B: Backbone = MobileNetV2> {
    backbone: Arc<B>,
    /// As it was before its batch norms were folded in: what can be saved, and can learn again.
    unfolded: Arc<B>,
    engine: Arc<Engine>,
    /// What it was told when it was frozen.
    options: FreezeOptions,
}

impl MobileNetV2 {
    /// Folds and compiles the model. To make its last layers learn again, see
    /// [`TransferModel::fine_tune`](crate::train::TransferModel::fine_tune).
    ///
    /// # Errors
    /// [`Error::Setting`] where `CANDLEWICK_CPU` names no level of this machine or `CANDLEWICK_DEVICE` no device of it; or
    /// the weights' shapes do not fit.
    pub fn freeze(self) -> Result<Frozen<Self>> {
        self.freeze_with(FreezeOptions::default())
    }

    /// As [`freeze`](Self::freeze), on the device and in the numbers that `options` ask for.
    ///
    /// # Errors
    /// As for `freeze`.
    pub fn freeze_with(self, options: FreezeOptions) -> Result<Frozen<Self>> {
        let frozen = with_room(&self.spec, || self.frozen_on(&pick(options.device)?.device, options))?;
        Ok(Frozen { unfolded: Arc::new(self), options, ..frozen })
    }

    fn frozen_on(&self, device: &Device, options: FreezeOptions) -> Result<Frozen<Self>> {
        let folded = self.folded()?.to_device(device)?;
        Ok(if planned(device, options) {
            folded.compiled(CpuLevel::detect()?)?
        } else {
            let spec = folded.plan_spec()?;
            let narrow = folded.converted(&|tensor| Ok(tensor.to_dtype(options.precision.dtype())?))?;
            let engine = Engine::on_device(Arc::new(narrow), device, &digest_of(spec.convolutions()), options)?;
            #[cfg(feature = "cuda")]
            let engine = engine.launching(|| Launches::of_blocks(&spec, &folded.spec.preprocess))?;
            Frozen::on_device(folded, engine, options)
        })
    }

    /// The folded network compiled for `cpu`.
    fn compiled(self, cpu: CpuLevel) -> Result<Frozen<Self>> {
        let (spec, side) = (self.plan_spec()?, self.spec.preprocess.side);
        let plan = Plan::new(&spec, (side, side), kernels(cpu)?)?;
        let classifier = self.classifier.clone();
        Frozen::compiled(self, classifier, plan, digest_of(spec.convolutions()), cpu)
    }

    /// What the plan needs to know of the folded network.
    fn plan_spec(&self) -> Result<PlanSpec> {
        let block = |block: &crate::models::InvertedResidual| {
            Ok(BlockSpec {
                expand: block.expand.as_ref().map(Conv::of).transpose()?,
                depthwise: Conv::of(&block.depthwise)?,
                project: Conv::of(&block.project)?,
                residual: block.residual,
            })
        };
        Ok(PlanSpec {
            stem: Conv::of(&self.stem)?,
            blocks: self.blocks.iter().map(block).collect::<Result<_>>()?,
            last: Conv::of(&self.last)?,
        })
    }
}

impl InceptionV3 {
    /// Folds and compiles the model. To make its weights learn again, read them again.
    ///
    /// # Errors
    /// [`Error::Setting`] where `CANDLEWICK_CPU` names no level of this machine or `CANDLEWICK_DEVICE` no device of it; or
    /// the weights' shapes do not fit.
    pub fn freeze(self) -> Result<Frozen<Self>> {
        self.freeze_with(FreezeOptions::default())
    }

    /// As [`freeze`](Self::freeze), on the device and in the numbers that `options` ask for.
    ///
    /// # Errors
    /// As for `freeze`.
    pub fn freeze_with(self, options: FreezeOptions) -> Result<Frozen<Self>> {
        let frozen = with_room(&self.spec, || self.frozen_on(&pick(options.device)?.device, options))?;
        Ok(Frozen { unfolded: Arc::new(self), options, ..frozen })
    }

    fn frozen_on(&self, device: &Device, options: FreezeOptions) -> Result<Frozen<Self>> {
        let folded = self.folded()?.to_device(device)?;
        Ok(if planned(device, options) {
            folded.compiled(CpuLevel::detect()?)?
        } else {
            let spec = folded.graph_spec()?;
            let narrow = folded.converted(&|tensor| Ok(tensor.to_dtype(options.precision.dtype())?))?;
            let engine = Engine::on_device(Arc::new(narrow), device, &graph_digest(&spec), options)?;
            #[cfg(feature = "cuda")]
            let engine = match for_cudnn(options.precision) {
                true => engine,
                false => engine.launching(|| Launches::of_graph(&spec, &folded.spec.preprocess))?,
            };
            Frozen::on_device(folded, engine, options)
        })
    }

    /// What the graph needs to know of the folded network.
    fn graph_spec(&self) -> Result<GraphSpec> {
        let conv = |named: &crate::models::Named| Conv::of(&named.convolution);
        let blocks = self.blocks.iter().map(|block| block.map(conv)).collect::<Result<_>>()?;
        Ok(GraphSpec { blocks, counts_padding: self.counts_padding })
    }

    /// The folded network compiled for `cpu`.
    fn compiled(self, cpu: CpuLevel) -> Result<Frozen<Self>> {
        let spec = self.graph_spec()?;
        let side = self.spec.preprocess.side;
        let graph = Graph::new(&spec, (side, side), kernels(cpu)?)?;
        let digest = graph_digest(&spec);
        let classifier = self.classifier.clone();
        Frozen::compiled(self, classifier, graph, digest, cpu)
    }
}

/// What `freeze` makes of a network; where a GPU has not the memory for it, that is said.
fn with_room<T>(spec: &BackboneSpec, freeze: impl FnOnce() -> Result<T>) -> Result<T> {
    #[cfg(feature = "cuda")]
    return gpu::explained(freeze(), || format!("{} with its weights", spec.name));
    #[cfg(not(feature = "cuda"))]
    {
        let _ = spec;
        freeze()
    }
}

/// Whether a plan of our own computes so: on the CPU, in f32.
fn planned(device: &Device, options: FreezeOptions) -> bool {
    device.is_cpu() && options.precision == Precision::F32
}

/// Whether kernels larger than 1x1 are cuDNN's, by way of candle 0.11: of bf16 alone. Of f32 it lets cuDNN round factors to
/// TF32, asked for or not, and sums f16 in f16.
#[cfg(feature = "cuda")]
pub(crate) fn for_cudnn(precision: Precision) -> bool {
    cfg!(feature = "cudnn") && precision == Precision::Bf16
}

/// A digest of all that InceptionV3's numbers depend on.
fn graph_digest(spec: &GraphSpec) -> String {
    let pools = if spec.counts_padding { "padding counted" } else { "padding left out" };
    format!("{}, {pools}", digest_of(spec.convolutions()))
}

/// The kernels of a level.
fn kernels(cpu: CpuLevel) -> Result<Kernels> {
    Kernels::new(cpu).ok_or_else(|| Error::Setting {
        setting: "CPU level",
        got: cpu.to_string(),
        want: "this machine does not have it".into(),
    })
}

impl<B: Backbone> Frozen<B> {
    /// Freezes a backbone as it is: no plan, plain candle on any device. For architectures that have no plan.
    ///
    /// Its weights are known by `spec().weights` alone, also in the cache of features on disk: whoever changes the
    /// weights must change that name (a digest of the weights file is a good one), or is given the old features.
    ///
    /// # Errors
    /// [`Error::Setting`] where `CANDLEWICK_CPU` names no level of this machine.
    pub fn plain(backbone: B) -> Result<Self> {
        let backbone = Arc::new(backbone);
        let (engine, options) = (Arc::new(Engine::plain(backbone.clone())?), FreezeOptions::default());
        Ok(Self { engine, unfolded: Arc::clone(&backbone), backbone, options })
    }

    /// `classifier`: weight `(classes, F)` and bias `(classes,)` of the backbone's own head, to run behind the plan.
    fn compiled<P: Program>(
        backbone: B,
        classifier: Option<(Tensor, Tensor)>,
        plan: P,
        digest: String,
        cpu: CpuLevel,
    ) -> Result<Self> {
        let backbone = Arc::new(backbone);
        let classifier = classifier.map(|(weight, bias)| (weight.detach(), bias.detach()));
        let plan = Box::new(WithScratch::new(plan));
        let engine = Arc::new(Engine::compiled(backbone.clone(), classifier, plan, digest, cpu)?);
        Ok(Self { engine, unfolded: Arc::clone(&backbone), backbone, options: FreezeOptions::default() })
    }

    /// With an engine that was made of the backbone for a device.
    fn on_device(backbone: B, engine: Engine, options: FreezeOptions) -> Self {
        let backbone = Arc::new(backbone);
        Self { engine: Arc::new(engine), unfolded: Arc::clone(&backbone), backbone, options }
    }

    /// The folded network in plain candle and f32, through which gradients can flow: for heat maps and filters. It is where
    /// the frozen one computes, takes photos from any device, and answers on its own.
    pub fn backbone(&self) -> &B {
        &self.backbone
    }

    /// The network as it was before its batch norms were folded in.
    pub(crate) fn unfolded(&self) -> &Arc<B> {
        &self.unfolded
    }

    /// What it was told when it was frozen.
    pub(crate) fn options(&self) -> FreezeOptions {
        self.options
    }

    /// What computes the features, without the backbone's type.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The vector instructions that the plan was compiled for.
    pub fn cpu(&self) -> CpuLevel {
        self.engine.cpu
    }

    /// Where and how it computes: `avx512`, the vector instructions of the plan, or `GPU 0 in f16`.
    pub fn place(&self) -> String {
        self.engine.place()
    }

    /// A name for the features it gives: for keys of caches.
    ///
    /// It holds the architecture, the weights' identity, the preprocessing, and the arithmetic: candle, or the plan
    /// with a digest of all its numbers, so that other tensors under the same identity are other weights; on a GPU also the
    /// precision. The [`CpuLevel`] and the kind of GPU are left out: they move features by rounding only.
    pub fn identity(&self) -> String {
        self.engine.identity()
    }

    /// The features of one photo, `spec().features` of them. A photo of another size is resized as usual.
    ///
    /// # Errors
    /// Where the photo has no pixels, or fewer than its height and width say.
    pub fn features_of_pixels(&self, photo: &Pixels) -> Result<Vec<f32>> {
        self.engine.features_of_pixels(photo)
    }

    /// The features `(photos, F)` of the photos that `photo` gives for `0..photos`, on the CPU.
    ///
    /// Each thread reads a photo and runs it at once, so that no more photos are in memory than there are threads.
    /// `progress` counts photos.
    ///
    /// # Errors
    /// The first that `photo` gives, or that a photo causes; then the rest is not read.
    pub fn features_of_all(
        &self,
        photos: usize,
        photo: impl Fn(usize) -> Result<Pixels> + Sync,
        progress: &Progress,
    ) -> Result<Tensor> {
        self.engine.features_of_all(photos, &photo, progress)
    }

    /// How long each part of the plan takes for `photo`, the best of `repeats` runs on this thread; empty without a
    /// plan. The parts are the photo's normalising, the stem and each block, and the last convolution with the mean.
    ///
    /// # Errors
    /// Where the photo is not of the backbone's side.
    pub fn timings(&self, photo: &Pixels, repeats: usize) -> Result<Vec<Duration>> {
        self.engine.timings(photo, repeats)
    }

    /// As [`timings`](Self::timings) for the plan of a GPU: each of its steps, for a batch of so many photos, the mean of
    /// `repeats` in a row. Empty where there is none.
    ///
    /// # Errors
    /// Where the GPU has no memory for so many.
    pub fn launch_timings(&self, photos: usize, repeats: usize) -> Result<Vec<LaunchTiming>> {
        self.engine.launch_timings(photos, repeats)
    }
}

/// How long one step of a GPU's plan takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaunchTiming {
    /// The kernel; `product` is cuBLAS', `window, product` a convolution that is unrolled for it.
    pub what: &'static str,
    /// For all photos of the batch.
    pub seconds: f64,
    /// Bytes that it reads and writes, each once.
    pub bytes: f64,
    /// Multiplications and additions of products.
    pub operations: f64,
}

impl<B: Backbone> Backbone for Frozen<B> {
    fn spec(&self) -> &BackboneSpec {
        self.backbone.spec()
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        self.engine.features(photos)
    }

    fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        self.engine.logits(photos)
    }

    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        let features = self.backbone.tapped(&photos.detach(), &mut |name, x| tap(name, x.detach()))?;
        features.map(|features| Ok(features.to_device(photos.device())?.detach())).transpose()
    }

    fn layer(&self, photos: &Tensor, name: &str) -> Result<Tensor> {
        Ok(self.backbone.layer(&photos.detach(), name)?.to_device(photos.device())?.detach())
    }

    fn layer_names(&self) -> Vec<String> {
        self.backbone.layer_names()
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        self.backbone.classifier()
    }

    fn layers(&self) -> Layers {
        self.backbone.layers()
    }

    fn rectified(&self) -> Vec<String> {
        self.backbone.rectified()
    }

    fn device(&self) -> &Device {
        self.backbone.device()
    }
}

impl<B: Backbone> std::fmt::Debug for Frozen<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frozen({}, {})", self.identity(), self.place())
    }
}
