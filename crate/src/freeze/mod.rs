//! Frozen means compiled: what will not learn any more is folded, fused, and run once per photo.
//!
//! [`MobileNetV2::freeze`] takes a model and gives a [`Frozen`] one. On the CPU that is a plan of our own: batch norm
//! folded into the convolutions, each inverted residual fused so that its wide middle stays in the cache, vector
//! instructions chosen when it is compiled ([`CpuLevel`]), one photo a thread. Elsewhere, and for photos of another
//! size, it is the folded network in plain candle. Both give the features of the unfrozen model within 1e-4 of their
//! largest, and neither lets a gradient through.

mod cpu;
mod kernels;
mod plan;

#[cfg(test)]
mod tests;

pub use cpu::CpuLevel;

use crate::images::Pixels;
use crate::models::{Backbone, BackboneSpec, LayerInfo, MobileNetV2};
use crate::notebook::Progress;
use crate::{Error, Result};
use candle_core::{DType, Device, Storage, Tensor};
use kernels::Kernels;
use plan::{BlockSpec, Conv, Photo, Plan, PlanSpec, Scratch};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A backbone that will not learn any more.
///
/// ```no_run
/// use candlewick::prelude::*;
/// let frozen = MobileNetV2::pretrained()?.freeze()?;
/// println!("{} features by {}", frozen.spec().features, frozen.cpu());
/// # Ok::<(), Error>(())
/// ```
pub struct Frozen<B: Backbone = MobileNetV2> {
    backbone: B,
    /// Weights `(classes, F)` and bias `(classes,)` of the backbone's own head, to run behind the plan.
    classifier: Option<(Tensor, Tensor)>,
    plan: Option<Plan>,
    cpu: CpuLevel,
    /// Memory of photos that are done, for the next ones: no more of it than there are threads.
    scratch: Mutex<Vec<Scratch>>,
}

impl MobileNetV2 {
    /// Folds and compiles the model. To make its weights learn again, read them again.
    ///
    /// # Errors
    /// [`Error::Setting`] where `CANDLEWICK_CPU` names no level of this machine; or the weights' shapes do not fit.
    pub fn freeze(self) -> Result<Frozen<Self>> {
        let folded = self.folded()?;
        let spec = folded.plan_spec()?;
        let classifier = folded.classifier.as_ref().map(|(weight, bias)| (weight.detach(), bias.detach()));
        Frozen::compiled(folded, classifier, &spec, CpuLevel::detect()?)
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

impl<B: Backbone> Frozen<B> {
    /// Freezes a backbone as it is: no plan, plain candle on any device. For architectures that have no plan.
    ///
    /// # Errors
    /// [`Error::Setting`] where `CANDLEWICK_CPU` names no level of this machine.
    pub fn plain(backbone: B) -> Result<Self> {
        let (classifier, plan, scratch) = (None, None, Mutex::default());
        Ok(Self { backbone, classifier, plan, cpu: CpuLevel::detect()?, scratch })
    }

    fn compiled(backbone: B, classifier: Option<(Tensor, Tensor)>, spec: &PlanSpec, cpu: CpuLevel) -> Result<Self> {
        let side = backbone.spec().preprocess.side;
        let kernels = Kernels::new(cpu).ok_or_else(|| Error::Setting {
            setting: "CPU level",
            got: cpu.to_string(),
            want: "this machine does not have it".into(),
        })?;
        let plan = Plan::new(spec, (side, side), kernels)?;
        if plan.features() != backbone.spec().features {
            return Err(Error::shape(
                "the frozen plan",
                format!("(N, {})", backbone.spec().features),
                &[plan.features()],
            ));
        }
        Ok(Self { backbone, classifier, plan: Some(plan), cpu, scratch: Mutex::default() })
    }

    /// The folded network in plain candle, through which gradients can flow: for heat maps and filters.
    pub fn backbone(&self) -> &B {
        &self.backbone
    }

    /// The vector instructions that the plan was compiled for.
    pub fn cpu(&self) -> CpuLevel {
        self.cpu
    }

    /// A name for the features it gives: for keys of caches.
    ///
    /// It holds the architecture, the weights' identity, the preprocessing, and the arithmetic (plan or candle). The
    /// [`CpuLevel`] is left out: it moves features by rounding only.
    pub fn identity(&self) -> String {
        let spec = self.backbone.spec();
        let arithmetic = if self.plan.is_some() { "plan 1" } else { "candle" };
        format!("{}, {}, {:?}, {arithmetic}", spec.name, spec.weights, spec.preprocess)
    }

    /// The features of one photo, `spec().features` of them. A photo of another size is resized as usual.
    ///
    /// # Errors
    /// Where the photo has no pixels, or fewer than its height and width say.
    pub fn features_of_pixels(&self, photo: &Pixels) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.spec().features];
        self.row(photo, &mut out)?;
        Ok(out)
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
        let features = self.spec().features;
        let mut rows = vec![0.0; photos * features];
        rows.par_chunks_mut(features.max(1)).with_max_len(1).enumerate().try_for_each(|(i, row)| {
            self.row(&photo(i)?, row)?;
            progress.advance(1);
            Ok::<_, Error>(())
        })?;
        Ok(Tensor::from_vec(rows, (photos, features), &Device::Cpu)?)
    }

    /// The features of one photo into `out`, whose length is right.
    fn row(&self, photo: &Pixels, out: &mut [f32]) -> Result<()> {
        let preprocess = &self.backbone.spec().preprocess;
        let resized;
        let photo = if (photo.height, photo.width) == (preprocess.side, preprocess.side) {
            photo
        } else {
            resized = photo.resized(preprocess.side, preprocess.side)?;
            &resized
        };
        let want = preprocess.side * preprocess.side * 3;
        if photo.rgb.len() != want {
            return Err(Error::shape("a photo", format!("({want},) bytes"), &[photo.rgb.len()]));
        }
        match &self.plan {
            Some(plan) => {
                self.with_scratch(plan, |scratch| plan.run(Photo::Rgb(&photo.rgb, preprocess), scratch, out));
            }
            None => {
                let features = self.backbone.features(&photo.to_tensor(preprocess)?)?;
                let features =
                    features.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
                if features.len() != out.len() {
                    return Err(Error::shape("the features", format!("(1, {})", out.len()), &[features.len()]));
                }
                out.copy_from_slice(&features);
            }
        }
        Ok(())
    }

    fn with_scratch<T>(&self, plan: &Plan, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let pool = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = pool().pop();
        let mut scratch = kept.unwrap_or_else(|| plan.scratch());
        let done = work(&mut scratch);
        pool().push(scratch);
        done
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
        let one = |(photo, row): (&[f32], &mut [f32])| {
            self.with_scratch(plan, |scratch| plan.run(Photo::Planes(photo), scratch, row));
        };
        numbers.par_chunks_exact(3 * height * width).zip(rows.par_chunks_mut(features)).for_each(one);
        Ok(Some(Tensor::from_vec(rows, (count, features), &Device::Cpu)?))
    }

    /// How long each part of the plan takes for `photo`, the best of `repeats` runs on this thread; empty without a
    /// plan. The parts are the photo's normalising, the stem and each block, and the last convolution with the mean.
    ///
    /// # Errors
    /// Where the photo is not of the backbone's side.
    pub fn timings(&self, photo: &Pixels, repeats: usize) -> Result<Vec<Duration>> {
        let Some(plan) = &self.plan else { return Ok(Vec::new()) };
        let (height, width) = plan.side();
        if (photo.height, photo.width, photo.rgb.len()) != (height, width, height * width * 3) {
            return Err(Error::shape("timings", format!("({height}, {width}, 3)"), &[photo.height, photo.width, 3]));
        }
        let mut best: Vec<Duration> = Vec::new();
        let mut out = vec![0.0; plan.features()];
        for _ in 0..repeats {
            self.with_scratch(plan, |scratch| {
                let mut before = Instant::now();
                let photo = Photo::Rgb(&photo.rgb, &self.backbone.spec().preprocess);
                plan.run_timed(photo, scratch, &mut out, &mut |part| {
                    let now = Instant::now();
                    best.resize(best.len().max(part + 1), Duration::MAX);
                    best[part] = best[part].min(now - before);
                    before = now;
                });
            });
        }
        Ok(best)
    }
}

impl<B: Backbone> Backbone for Frozen<B> {
    fn spec(&self) -> &BackboneSpec {
        self.backbone.spec()
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        match self.planned(photos)? {
            Some(features) => Ok(features),
            None => Ok(self.backbone.features(&photos.detach())?.detach()),
        }
    }

    fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        if let (Some((weight, bias)), Some(features)) = (&self.classifier, self.planned(photos)?) {
            let features = features.to_device(weight.device())?.to_dtype(weight.dtype())?;
            return Ok(features.matmul(&weight.t()?)?.broadcast_add(bias)?.detach());
        }
        Ok(self.backbone.logits(&photos.detach())?.detach())
    }

    fn layer(&self, photos: &Tensor, name: &str) -> Result<Tensor> {
        Ok(self.backbone.layer(&photos.detach(), name)?.detach())
    }

    fn layers(&self) -> Vec<LayerInfo> {
        self.backbone.layers()
    }
}

impl<B: Backbone> std::fmt::Debug for Frozen<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frozen({}, {})", self.identity(), self.cpu)
    }
}
