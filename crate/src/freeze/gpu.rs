//! Frozen features by a GPU: photos as bytes through pinned memory, batches as large as the memory allows.

use super::Precision;
use super::stream::{Batches, Trouble, Work, batch_for, batch_of_plan, stream, too_small};
use crate::cuda::{OnGpu, Pinned, normalise, run_into, upload};
use crate::device::free_memory;
use crate::images::Pixels;
use crate::models::Backbone;
use crate::notebook::Progress;
use crate::{Error, Result};
use candle_core::{CpuStorage, CudaStorage, CustomOp3, DType, Device, Layout, Shape, Tensor, bail};
use std::ops::Range;

/// The features of all photos, one row behind the other.
pub(super) fn features_of_all(
    (backbone, plan): (&dyn Backbone, Option<&OnGpu>),
    precision: Precision,
    photos: usize,
    read: &(dyn Fn(usize) -> Result<Pixels> + Sync),
    progress: &Progress,
) -> Result<Vec<f32>> {
    let spec = backbone.spec();
    let (device, side) = (backbone.device(), spec.preprocess.side);
    let free = free_memory(device)?;
    let (by, batch) = match plan {
        Some(plan) => (By::Plan(plan), batch_of_plan(free, plan.room())),
        None => {
            let size = |(channels, height, width): (usize, usize, usize)| channels * height * width;
            let largest = backbone.layers().iter().map(|layer| size(layer.output)).max().unwrap_or(0);
            let dtype = precision.dtype();
            let (factor, summand) = spec.preprocess.factor_and_summand();
            let (factor, summand) = (Tensor::new(&factor, device)?, Tensor::new(&summand, device)?);
            let candle = Candle { backbone, planes: Planes(dtype), factor, summand };
            (By::Candle(candle), batch_for(free, largest, dtype.size_in_bytes()))
        }
    };
    stream(&Gpu { by, device, side }, &Work { photos, batch, side, width: spec.features, read }, progress)
}

/// A backbone on a GPU.
struct Gpu<'a> {
    by: By<'a>,
    device: &'a Device,
    side: usize,
}

/// What computes.
enum By<'a> {
    /// Our launches, in memory that is there.
    Plan(&'a OnGpu),
    /// Whatever the backbone does.
    Candle(Candle<'a>),
}

struct Candle<'a> {
    backbone: &'a dyn Backbone,
    planes: Planes,
    factor: Tensor,
    summand: Tensor,
}

impl Batches for Gpu<'_> {
    type Buffer = Pinned;

    fn buffer(&self, bytes: usize) -> Result<Pinned> {
        Ok(Pinned::new(self.device, bytes)?)
    }

    fn bytes<'a>(&self, buffer: &'a mut Pinned) -> Result<&'a mut [u8]> {
        Ok(buffer.bytes()?)
    }

    fn run(&self, photos: &Pinned, range: Range<usize>) -> std::result::Result<Vec<f32>, Trouble> {
        let features = || match &self.by {
            By::Plan(plan) => Ok(plan.of_bytes(photos, range)?),
            By::Candle(candle) => {
                let bytes = upload(self.device, photos, &[range.end, self.side, self.side, 3])?;
                candle.features(&bytes.narrow(0, range.start, range.len())?)
            }
        };
        features().map_err(
            |error: Error| if says_out_of_memory(&error) { Trouble::OutOfMemory } else { Trouble::Other(error) },
        )
    }
}

impl Candle<'_> {
    fn features(&self, bytes: &Tensor) -> Result<Vec<f32>> {
        let planes = bytes.apply_op3_no_bwd(&self.factor, &self.summand, &self.planes)?;
        let features = self.backbone.features(&planes)?;
        // Waits for the device, so that what it lacks is said here.
        Ok(features.flatten_all()?.to_vec1::<f32>()?)
    }
}

/// The same, where memory has run out with what it ran out for.
pub(super) fn explained<T>(result: Result<T>, what: impl FnOnce() -> String) -> Result<T> {
    result.map_err(|error| match says_out_of_memory(&error) {
        true => too_small(&what(), ""),
        false => error,
    })
}

/// Whether the driver or cuBLAS could not get memory. candle hands their words on, and not their codes.
fn says_out_of_memory(error: &Error) -> bool {
    let words = error.to_string();
    ["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory"].iter().any(|sign| words.contains(sign))
}

/// Bytes `(N, H, W, 3)`, factor and summand to planes `(N, 3, H, W)` of this type.
struct Planes(DType);

impl CustomOp3 for Planes {
    fn name(&self) -> &'static str {
        "photo-planes"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        bail!("photo-planes is for GPUs")
    }

    fn cuda_fwd(
        &self,
        rgb: &CudaStorage,
        rl: &Layout,
        factor: &CudaStorage,
        fl: &Layout,
        summand: &CudaStorage,
        sl: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (photos, height, width, _) = rl.shape().dims4()?;
        run_into(&normalise(photos, (height, width))?, self.0, &[(rgb, rl), (factor, fl), (summand, sl)])
    }
}
