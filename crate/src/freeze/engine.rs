//! What runs behind [`Frozen`](super::Frozen), whatever the backbone's type.
//!
//! Not generic, so that it is compiled once, here, and not again in every notebook cell that uses it.

#[cfg(feature = "cuda")]
use super::Launches;
use super::photo::Photo;
use super::program::Compiled;
use super::{CpuLevel, FreezeOptions, LaunchTiming};
#[cfg(feature = "cuda")]
use crate::cuda::OnGpu;
use crate::images::Pixels;
use crate::models::{Backbone, BackboneSpec};
use crate::notebook::Progress;
use crate::{Error, Result};
use candle_core::{DType, Device, Storage, Tensor};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A folded backbone with the plan that was made of it.
pub(crate) struct Engine {
    backbone: Arc<dyn Backbone>,
    /// Weights `(classes, F)` and bias `(classes,)` of the backbone's own head, to run behind the plan.
    classifier: Option<(Tensor, Tensor)>,
    plan: Option<Box<dyn Compiled>>,
    /// The plan of a GPU.
    #[cfg(feature = "cuda")]
    launches: Option<OnGpu>,
    /// Where it does not run on the CPU by a plan.
    options: Option<FreezeOptions>,
    /// What its numbers depend on beside photo and backbone: `plan 1 of` a digest of what it computes with.
    arithmetic: String,
    pub(super) cpu: CpuLevel,
}

/// Photos computed between two looks at what should be saved: long enough to keep all cores busy, or a GPU.
const CHUNK: usize = 256;
const CHUNK_OF_GPU: usize = 4096;

impl Engine {
    /// A backbone as it is, without a plan.
    pub(super) fn plain(backbone: Arc<dyn Backbone>) -> Result<Self> {
        let cpu = CpuLevel::detect()?;
        let arithmetic = "candle".to_owned();
        #[cfg(feature = "cuda")]
        return Ok(Self { backbone, classifier: None, plan: None, launches: None, options: None, arithmetic, cpu });
        #[cfg(not(feature = "cuda"))]
        Ok(Self { backbone, classifier: None, plan: None, options: None, arithmetic, cpu })
    }

    /// A backbone that has been brought to the device and into the numbers that `options` ask for; `digest` tells its
    /// numbers, as they were before that, from others.
    pub(super) fn on_device(
        backbone: Arc<dyn Backbone>,
        device: &Device,
        digest: &str,
        options: FreezeOptions,
    ) -> Result<Self> {
        let tf32 = options.tf32 && !device.is_cpu();
        let kind = if device.is_cpu() { "rounded" } else { "cuda" };
        let arithmetic = format!("{kind} 1 of {digest}, {}{}", options.precision, if tf32 { ", TF32" } else { "" });
        let options = Some(FreezeOptions { tf32, ..options });
        Ok(Self { options, arithmetic, ..Self::plain(backbone)? })
    }

    /// The same with a plan of launches, where it is on a GPU.
    #[cfg(feature = "cuda")]
    pub(super) fn launching(self, plan: impl FnOnce() -> Result<Launches>) -> Result<Self> {
        let (device, options) = (self.device(), self.options.unwrap_or_default());
        if !device.is_cuda() {
            return Ok(self);
        }
        let launches = Some(OnGpu::new(plan()?, device, options.precision.dtype(), options.tf32)?);
        Ok(Self { launches, ..self })
    }

    /// A backbone with a plan that was made of it for `cpu`; `digest` tells the plan's numbers from others.
    pub(super) fn compiled(
        backbone: Arc<dyn Backbone>,
        classifier: Option<(Tensor, Tensor)>,
        plan: Box<dyn Compiled>,
        digest: String,
        cpu: CpuLevel,
    ) -> Result<Self> {
        let features = backbone.spec().features;
        if plan.features() != features {
            return Err(Error::shape("the frozen plan", format!("(N, {features})"), &[plan.features()]));
        }
        let arithmetic = format!("plan 1 of {digest}");
        Ok(Self { classifier, plan: Some(plan), arithmetic, cpu, ..Self::plain(backbone)? })
    }

    /// As `Frozen::identity`.
    pub(crate) fn identity(&self) -> String {
        let spec = self.backbone.spec();
        format!("{}, {}, {:?}, {}", spec.name, spec.weights, spec.preprocess, self.arithmetic)
    }

    /// As `Frozen::place`.
    pub(crate) fn place(&self) -> String {
        match &self.options {
            None => self.cpu.to_string(),
            Some(options) => format!("{} in {}", crate::device::name(self.device()), options.precision),
        }
    }

    fn device(&self) -> &Device {
        self.backbone.device()
    }

    /// How many photos are worth a pass of [`features_of_all`](Self::features_of_all).
    pub(crate) fn chunk(&self) -> usize {
        if self.device().is_cpu() { CHUNK } else { CHUNK_OF_GPU }
    }

    /// As `Frozen::features_of_pixels`.
    pub(crate) fn features_of_pixels(&self, photo: &Pixels) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.backbone.spec().features];
        self.row(photo, &mut out)?;
        Ok(out)
    }

    /// As `Frozen::features_of_all`.
    pub(crate) fn features_of_all(
        &self,
        photos: usize,
        photo: &(dyn Fn(usize) -> Result<Pixels> + Sync),
        progress: &Progress,
    ) -> Result<Tensor> {
        let features = self.backbone.spec().features;
        #[cfg(feature = "cuda")]
        if self.device().is_cuda() {
            let by = (&*self.backbone, self.launches.as_ref());
            let precision = self.options.unwrap_or_default().precision;
            let rows = super::gpu::features_of_all(by, precision, photos, photo, progress)?;
            return Ok(Tensor::from_vec(rows, (photos, features), &Device::Cpu)?);
        }
        let mut rows = vec![0.0; photos * features];
        rows.par_chunks_mut(features.max(1)).with_max_len(1).enumerate().try_for_each(|(i, row)| {
            self.row(&photo(i)?, row)?;
            progress.advance(1);
            Ok::<_, Error>(())
        })?;
        Ok(Tensor::from_vec(rows, (photos, features), &Device::Cpu)?)
    }

    /// What goes into the layer number `layer` of [`Backbone::layers`] for each of some photos, `(photos, C·H·W)`, on the
    /// CPU: what the layer before makes, or for the first one the photos themselves.
    pub(crate) fn inputs_of_all(
        &self,
        layer: usize,
        photos: usize,
        photo: &(dyn Fn(usize) -> Result<Pixels> + Sync),
        progress: &Progress,
    ) -> Result<Tensor> {
        let size = self.input_shape(layer).map_or(0, |(channels, height, width)| channels * height * width);
        let mut rows = vec![0.0; photos * size];
        rows.par_chunks_mut(size.max(1)).with_max_len(1).enumerate().try_for_each(|(i, row)| {
            self.input_row(layer, &photo(i)?, row)?;
            progress.advance(1);
            Ok::<_, Error>(())
        })?;
        Ok(Tensor::from_vec(rows, (photos, size), &Device::Cpu)?)
    }

    /// The folded network in plain candle.
    pub(crate) fn backbone(&self) -> &dyn Backbone {
        &*self.backbone
    }

    /// The names of the backbone's layers, in order.
    pub(crate) fn layer_names(&self) -> Vec<String> {
        self.backbone.layers().into_iter().map(|layer| layer.name).collect()
    }

    /// The shape `(C, H, W)` of what goes into the layer number `layer`.
    pub(crate) fn input_shape(&self, layer: usize) -> Option<(usize, usize, usize)> {
        let side = self.backbone.spec().preprocess.side;
        match layer.checked_sub(1) {
            None => Some((3, side, side)),
            Some(before) => self.backbone.layers().get(before).map(|layer| layer.output),
        }
    }

    fn input_row(&self, layer: usize, photo: &Pixels, out: &mut [f32]) -> Result<()> {
        let preprocess = &self.backbone.spec().preprocess;
        let photo = self.fitted(photo)?;
        let shape = self.input_shape(layer).unwrap_or_default();
        // A plan's blocks are the layers behind the stem.
        if let (Some(plan), Some(block)) = (&self.plan, layer.checked_sub(2)) {
            let photo = Photo::Rgb(&photo.rgb, preprocess);
            if plan.run_to_block(photo, block, shape, out) {
                return Ok(());
            }
        }
        let photo = photo.to_tensor(preprocess)?;
        let layers = self.backbone.layers();
        let made = match layer.checked_sub(1).and_then(|before| layers.get(before)) {
            None => photo,
            Some(before) => self.backbone.layer(&photo, &before.name)?,
        };
        let made = made.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        if made.len() != out.len() {
            return Err(Error::shape("a layer's input", format!("({},)", out.len()), &[made.len()]));
        }
        out.copy_from_slice(&made);
        Ok(())
    }

    /// A photo at the size that the backbone takes.
    fn fitted<'a>(&self, photo: &'a Pixels) -> Result<Cow<'a, Pixels>> {
        let side = self.backbone.spec().preprocess.side;
        let photo = match (photo.height, photo.width) == (side, side) {
            true => Cow::Borrowed(photo),
            false => Cow::Owned(photo.resized(side, side)?),
        };
        let want = side * side * 3;
        if photo.rgb.len() != want {
            return Err(Error::shape("a photo", format!("({want},) bytes"), &[photo.rgb.len()]));
        }
        Ok(photo)
    }

    /// The features of one photo into `out`, whose length is right.
    fn row(&self, photo: &Pixels, out: &mut [f32]) -> Result<()> {
        let preprocess = &self.backbone.spec().preprocess;
        let photo = self.fitted(photo)?;
        match &self.plan {
            Some(plan) => {
                plan.run(Photo::Rgb(&photo.rgb, preprocess), out, &mut |_| ());
            }
            None => {
                let features = self.features(&photo.to_tensor(preprocess)?)?;
                let features = features.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
                if features.len() != out.len() {
                    return Err(Error::shape("the features", format!("(1, {})", out.len()), &[features.len()]));
                }
                out.copy_from_slice(&features);
            }
        }
        Ok(())
    }

    /// The plan's features of `(N, 3, side, side)`, preprocessed; none where candle has to do it.
    fn planned(&self, photos: &Tensor) -> Result<Option<Tensor>> {
        let Some(plan) = &self.plan else { return Ok(None) };
        let (height, width) = plan.side();
        let fits = matches!(photos.dims(), [_, 3, h, w] if (*h, *w) == (height, width));
        if !fits || !photos.device().is_cpu() || photos.dtype() != DType::F32 {
            return Ok(None);
        }
        let (photos, features) = (photos.contiguous()?, plan.features());
        let count = photos.dims().first().copied().unwrap_or(0);
        let (storage, layout) = photos.storage_and_layout();
        let Storage::Cpu(numbers) = &*storage else { return Ok(None) };
        let numbers = numbers.as_slice::<f32>()?.get(layout.start_offset()..).unwrap_or_default();
        let mut rows = vec![0.0; count * features];
        let one = |(photo, row): (&[f32], &mut [f32])| plan.run(Photo::Planes(photo), row, &mut |_| ());
        numbers.par_chunks_exact(3 * height * width).zip(rows.par_chunks_mut(features)).for_each(one);
        Ok(Some(Tensor::from_vec(rows, (count, features), &Device::Cpu)?))
    }

    /// As `Frozen::timings`.
    pub(crate) fn timings(&self, photo: &Pixels, repeats: usize) -> Result<Vec<Duration>> {
        let Some(plan) = &self.plan else { return Ok(Vec::new()) };
        let (height, width) = plan.side();
        if (photo.height, photo.width, photo.rgb.len()) != (height, width, height * width * 3) {
            return Err(Error::shape("timings", format!("({height}, {width}, 3)"), &[photo.height, photo.width, 3]));
        }
        let mut best: Vec<Duration> = Vec::new();
        let mut out = vec![0.0; plan.features()];
        for _ in 0..repeats {
            let mut before = Instant::now();
            let photo = Photo::Rgb(&photo.rgb, &self.backbone.spec().preprocess);
            plan.run(photo, &mut out, &mut |part| {
                let now = Instant::now();
                best.resize(best.len().max(part + 1), Duration::MAX);
                best[part] = best[part].min(now - before);
                before = now;
            });
        }
        Ok(best)
    }

    /// As `Frozen::launch_timings`.
    pub(super) fn launch_timings(&self, photos: usize, repeats: usize) -> Result<Vec<LaunchTiming>> {
        #[cfg(feature = "cuda")]
        if let Some(plan) = &self.launches {
            return Ok(plan.timings(photos, repeats)?);
        }
        let _ = (photos, repeats);
        Ok(Vec::new())
    }

    /// What the backbone is.
    pub(crate) fn spec(&self) -> &BackboneSpec {
        self.backbone.spec()
    }

    /// As [`Backbone::features`], by the plan where it fits.
    pub(crate) fn features(&self, photos: &Tensor) -> Result<Tensor> {
        if let Some(features) = self.planned(photos)? {
            return Ok(features);
        }
        #[cfg(feature = "cuda")]
        return super::gpu::explained(self.features_there(photos), || format!("photos {:?} at a time", photos.dims()));
        #[cfg(not(feature = "cuda"))]
        self.features_there(photos)
    }

    /// The features by whatever is on the device.
    fn features_there(&self, photos: &Tensor) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(features) = self.launched(photos)? {
            return Ok(features.to_device(photos.device())?);
        }
        let features = self.backbone.features(&photos.detach())?;
        Ok(features.to_device(photos.device())?.detach())
    }

    /// The features by the plan of a GPU, on that GPU; none where candle has to do it.
    #[cfg(feature = "cuda")]
    fn launched(&self, photos: &Tensor) -> Result<Option<Tensor>> {
        let Some(plan) = &self.launches else { return Ok(None) };
        let (height, width) = plan.side();
        if !matches!(photos.dims(), [_, 3, rows, columns] if (*rows, *columns) == (height, width)) {
            return Ok(None);
        }
        Ok(plan.of_planes(&photos.detach().to_device(self.device())?)?)
    }

    /// As [`Backbone::logits`], by the plan where it fits.
    pub(super) fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        if let (Some((weight, bias)), Some(features)) = (&self.classifier, self.planned(photos)?) {
            let features = features.to_device(weight.device())?.to_dtype(weight.dtype())?;
            return Ok(features.matmul(&weight.t()?)?.broadcast_add(bias)?.detach());
        }
        #[cfg(feature = "cuda")]
        if let (Some((weight, bias)), Some(features)) = (self.backbone.classifier(), self.launched(photos)?) {
            let logits = features.matmul(&weight.t()?)?.broadcast_add(bias)?;
            return Ok(logits.to_device(photos.device())?.detach());
        }
        let logits = self.backbone.logits(&photos.detach())?;
        Ok(logits.to_device(photos.device())?.detach())
    }
}
