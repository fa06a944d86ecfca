//! What runs behind [`Frozen`](super::Frozen), whatever the backbone's type.
//!
//! Not generic, so that it is compiled once, here, and not again in every notebook cell that uses it.

use super::CpuLevel;
use super::photo::Photo;
use super::program::Compiled;
use crate::images::Pixels;
use crate::models::{Backbone, BackboneSpec};
use crate::notebook::Progress;
use crate::{Error, Result};
use candle_core::{DType, Device, Storage, Tensor};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A folded backbone with the plan that was made of it.
pub(crate) struct Engine {
    backbone: Arc<dyn Backbone>,
    /// Weights `(classes, F)` and bias `(classes,)` of the backbone's own head, to run behind the plan.
    classifier: Option<(Tensor, Tensor)>,
    plan: Option<Box<dyn Compiled>>,
    /// The first 16 hexadecimal digits of the sha256 of what the plan computes with; none without a plan.
    digest: Option<String>,
    pub(super) cpu: CpuLevel,
}

impl Engine {
    /// A backbone as it is, without a plan.
    pub(super) fn plain(backbone: Arc<dyn Backbone>) -> Result<Self> {
        let cpu = CpuLevel::detect()?;
        Ok(Self { backbone, classifier: None, plan: None, digest: None, cpu })
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
        Ok(Self { backbone, classifier, plan: Some(plan), digest: Some(digest), cpu })
    }

    /// As `Frozen::identity`.
    pub(crate) fn identity(&self) -> String {
        let spec = self.backbone.spec();
        let arithmetic = match &self.digest {
            Some(digest) => format!("plan 1 of {digest}"),
            None => "candle".to_owned(),
        };
        format!("{}, {}, {:?}, {arithmetic}", spec.name, spec.weights, spec.preprocess)
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
                plan.run(Photo::Rgb(&photo.rgb, preprocess), out, &mut |_| ());
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

    /// What the backbone is.
    pub(crate) fn spec(&self) -> &BackboneSpec {
        self.backbone.spec()
    }

    /// As [`Backbone::features`], by the plan where it fits.
    pub(crate) fn features(&self, photos: &Tensor) -> Result<Tensor> {
        match self.planned(photos)? {
            Some(features) => Ok(features),
            None => Ok(self.backbone.features(&photos.detach())?.detach()),
        }
    }

    /// As [`Backbone::logits`], by the plan where it fits.
    pub(super) fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        if let (Some((weight, bias)), Some(features)) = (&self.classifier, self.planned(photos)?) {
            let features = features.to_device(weight.device())?.to_dtype(weight.dtype())?;
            return Ok(features.matmul(&weight.t()?)?.broadcast_add(bias)?.detach());
        }
        Ok(self.backbone.logits(&photos.detach())?.detach())
    }
}
