//! The plan of a frozen network on a GPU: its weights, its memory, and the launches in it.

#![allow(unsafe_code)]

use super::gpu::{self, Pinned};
use super::{BLOCK, Launch};
use crate::freeze::{At, LaunchTiming, Launches, Machine, Photos, Product, Region, SLOTS, Work};
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::cublas::{result::gemm_ex, sys};
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, DevicePtrMut, HostSlice, LaunchConfig, PushKernelArg, result,
};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Device, Result, Storage, Tensor, bail};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A network's launches with all that they need, on one GPU.
pub(crate) struct OnGpu {
    launches: Launches,
    device: CudaDevice,
    dtype: DType,
    /// Whether products of f32 may be rounded to TF32.
    tf32: bool,
    weights: Tensor,
    constants: Tensor,
    functions: HashMap<&'static str, CudaFunction>,
    /// One batch at a time works in it: what the GPU has not done yet of one is in front of the next in its stream.
    memory: Mutex<Option<Memory>>,
}

/// Memory for so many photos.
struct Memory {
    photos: usize,
    bytes: CudaSlice<u8>,
}

/// Where each region begins, in bytes; and how many bytes that are in all.
struct Places {
    photos: usize,
    slots: [usize; SLOTS],
    unrolled: usize,
    features: usize,
    all: usize,
}

impl OnGpu {
    /// Brings weights and kernels to the GPU. Memory is taken when the first batch comes.
    pub fn new(launches: Launches, device: &Device, dtype: DType, tf32: bool) -> Result<Self> {
        let gpu = device.as_cuda_device()?.clone();
        let there = |numbers: &[f32]| Tensor::from_slice(numbers, numbers.len(), &Device::Cpu);
        let weights = there(&launches.weights)?.to_dtype(dtype)?.to_device(device)?;
        let constants = there(&launches.constants)?.to_device(device)?;
        let mut functions = HashMap::new();
        for kernel in launches.kernels() {
            if !functions.contains_key(kernel) {
                functions.insert(kernel, gpu::function(&gpu, kernel, dtype)?);
            }
        }
        Ok(Self { launches, device: gpu, dtype, tf32, weights, constants, functions, memory: Mutex::default() })
    }

    /// Rows and columns of the photos it takes.
    pub fn side(&self) -> (usize, usize) {
        self.launches.side
    }

    /// How many photos there is memory for already, and how many bytes another one takes.
    pub fn room(&self) -> (usize, usize) {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        (memory.as_ref().map_or(0, |memory| memory.photos), self.launches.bytes_of_photo(self.dtype.size_in_bytes()))
    }

    /// The features of the photos of this range in host memory, one behind the other. Waits for them.
    pub fn of_bytes(&self, photos: &Pinned, range: Range<usize>) -> Result<Vec<f32>> {
        let stream = self.device.cuda_stream();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (base, places, _used) = self.ready(&mut memory, range.len(), &stream)?;
        let (height, width) = self.launches.side;
        let one = 3 * height * width;
        // SAFETY: read only; the guard keeps whoever writes next waiting until the copy is done.
        let (all, _read) = unsafe { photos.0.stream_synced_slice(&stream) };
        let Some(bytes) = all.get(range.start * one..range.end * one) else {
            bail!("{} photos are wanted of {} bytes", range.end, all.len())
        };
        // SAFETY: there is room for as many photos behind `base`, and the host's memory is kept until the stream is waited for
        // below, or longer.
        unsafe { result::memcpy_htod_async(base + places.photos as u64, bytes, stream.cu_stream()) }.w()?;
        let features = base + places.features as u64;
        self.start(Photos::Bytes, range.len(), (base, &places), base + places.photos as u64, features)?;
        let mut rows = vec![0f32; range.len() * self.launches.features];
        // SAFETY: there are so many behind `features`; `rows` lives until the stream has been waited for.
        unsafe { result::memcpy_dtoh_async(&mut rows, features, stream.cu_stream()) }.w()?;
        stream.synchronize().w()?;
        Ok(rows)
    }

    /// The features `(N, F)` of photos `(N, 3, H, W)` on this GPU, preprocessed and in f32; none where they are others.
    pub fn of_planes(&self, photos: &Tensor) -> Result<Option<Tensor>> {
        let (height, width) = self.launches.side;
        let &[count, 3, rows, columns] = photos.dims() else { return Ok(None) };
        let here = photos.device().same_device(&Device::Cuda(self.device.clone()));
        if (rows, columns) != (height, width) || count == 0 || photos.dtype() != DType::F32 || !here {
            return Ok(None);
        }
        let photos = photos.contiguous()?;
        let (storage, layout) = photos.storage_and_layout();
        let Storage::Cuda(numbers) = &*storage else { return Ok(None) };
        let stream = self.device.cuda_stream();
        let (input, _read) = gpu::optional(Some((numbers, layout)), &stream)?;
        let features = count * self.launches.features;
        // SAFETY: the last launch writes each number of it.
        let mut out: CudaSlice<f32> = unsafe { self.device.alloc(features) }?;
        {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let (base, places, _used) = self.ready(&mut memory, count, &stream)?;
            let (address, _written) = out.device_ptr_mut(&stream);
            self.start(Photos::Planes, count, (base, &places), input, address)?;
        }
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(out, self.device.clone()));
        Ok(Some(Tensor::from_storage(storage, (count, self.launches.features), BackpropOp::none(), false)))
    }

    /// How long each step takes for so many photos, the mean of `repeats` in a row, in the plan's order.
    pub fn timings(&self, photos: usize, repeats: usize) -> Result<Vec<LaunchTiming>> {
        let stream = self.device.cuda_stream();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (base, places, _used) = self.ready(&mut memory, photos, &stream)?;
        let mut timings = Vec::new();
        let mut measure = |work: Work, step: &mut dyn FnMut() -> Result<()>| {
            step()?;
            stream.synchronize().w()?;
            let began = Instant::now();
            (0..repeats).try_for_each(|_| step())?;
            stream.synchronize().w()?;
            let seconds = began.elapsed().as_secs_f64() / repeats.max(1) as f64;
            let bytes = (work.numbers * self.dtype.size_in_bytes()) as f64;
            timings.push(LaunchTiming { what: work.what, seconds, bytes, operations: work.operations as f64 });
            Ok(())
        };
        let input = base + places.photos as u64;
        self.with_running((base, &places), input, base + places.features as u64, |running| {
            self.launches.each(Photos::Bytes, photos, running, &mut measure)
        })?;
        Ok(timings)
    }

    /// Memory for so many photos: what is there, where that is enough.
    fn ready<'a>(
        &self,
        memory: &'a mut Option<Memory>,
        photos: usize,
        stream: &'a CudaStream,
    ) -> Result<(u64, Places, impl Drop + use<'a>)> {
        if memory.as_ref().is_none_or(|memory| memory.photos < photos) {
            // First the old away: there may not be room for both.
            *memory = None;
            let bytes = self.places(photos).all;
            // SAFETY: no number is read before a launch or a copy has written it, as the tests on the host show, where memory
            // begins as NaN.
            *memory = Some(Memory { photos, bytes: unsafe { self.device.alloc(bytes) }? });
        }
        let Some(Memory { photos, bytes }) = memory else { bail!("there is no memory for a batch") };
        let places = self.places(*photos);
        let (base, used) = bytes.device_ptr_mut(stream);
        Ok((base, places, used))
    }

    fn places(&self, photos: usize) -> Places {
        let size = self.dtype.size_in_bytes();
        let mut all = 0;
        let mut next = |bytes: usize| {
            let first = all;
            // As far apart as the driver's own allocations.
            all += bytes.next_multiple_of(256);
            first
        };
        let (height, width) = self.launches.side;
        let at = next(3 * height * width * photos);
        let slots = self.launches.slots.map(|numbers| next(numbers * photos * size));
        let unrolled = next(self.launches.unrolled(photos) * size);
        let features = next(4 * self.launches.features * photos);
        Places { photos: at, slots, unrolled, features, all }
    }

    fn start(&self, kind: Photos, photos: usize, memory: (u64, &Places), input: u64, features: u64) -> Result<()> {
        self.with_running(memory, input, features, |running| self.launches.run(kind, photos, running))
    }

    /// Has `work` start launches in this memory.
    fn with_running(
        &self,
        (base, places): (u64, &Places),
        input: u64,
        features: u64,
        work: impl FnOnce(&mut Running<'_>) -> Result<()>,
    ) -> Result<()> {
        let stream = self.device.cuda_stream();
        let (weights, weights_layout) = self.weights.storage_and_layout();
        let (constants, constants_layout) = self.constants.storage_and_layout();
        let (Storage::Cuda(weights), Storage::Cuda(constants)) = (&*weights, &*constants) else {
            bail!("a plan's weights are on its GPU")
        };
        let (weights, _weights) = gpu::optional(Some((weights, weights_layout)), &stream)?;
        let (constants, _constants) = gpu::optional(Some((constants, constants_layout)), &stream)?;
        work(&mut Running { plan: self, base, places, input, features, weights, constants })
    }
}

/// One batch, while its launches are started.
struct Running<'a> {
    plan: &'a OnGpu,
    base: u64,
    places: &'a Places,
    input: u64,
    features: u64,
    weights: u64,
    constants: u64,
}

impl Running<'_> {
    fn address(&self, at: At) -> u64 {
        let size = self.plan.dtype.size_in_bytes();
        let (base, size) = match at.region {
            Region::Photos => (self.input, 1),
            Region::Slot(slot) => (self.base + self.places.slots.get(slot).copied().unwrap_or(0) as u64, size),
            Region::Unrolled => (self.base + self.places.unrolled as u64, size),
            Region::Features => (self.features, 4),
        };
        base + (at.first * size) as u64
    }
}

impl Machine for Running<'_> {
    fn launch(&mut self, launch: &Launch, from: At, constants: Option<usize>, with: Option<At>, to: At) -> Result<()> {
        let Some(function) = self.plan.functions.get(launch.kernel) else {
            bail!("there is no kernel {}", launch.kernel)
        };
        let blocks = u32::try_from(launch.writes().div_ceil(BLOCK)).unwrap_or(u32::MAX);
        let config = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (BLOCK as u32, 1, 1), shared_mem_bytes: 0 };
        let constants = constants.map_or(0, |first| self.constants + 4 * first as u64);
        let (from, with, to) = (self.address(from), with.map_or(0, |at| self.address(at)), self.address(to));
        let stream = self.plan.device.cuda_stream();
        let mut builder = stream.launch_builder(function);
        builder.arg(&launch.plan).arg(&from).arg(&constants).arg(&with).arg(&to);
        // SAFETY: the kernel takes a plan and four addresses. The plan keeps what is read and written within regions of the
        // sizes that `Launches` asks for and `places` gives, as the tests on the host hold it to, by a sanitizer.
        unsafe { builder.launch(config) }.w()?;
        Ok(())
    }

    fn multiply(&mut self, rows: usize, product: &Product, from: At, to: At) -> Result<()> {
        let size = self.plan.dtype.size_in_bytes();
        let number = |count: usize| match i32::try_from(count) {
            Ok(count) => Ok(count),
            Err(_) => bail!("{count} rows are too many for one product: take fewer photos at a time"),
        };
        let (rows, depth, outputs) = (number(rows)?, number(product.depth)?, number(product.outputs)?);
        let row = number(product.row)?;
        let (weights, from, to) =
            (self.weights + (product.weights * size) as u64, self.address(from), self.address(to));
        let kind = match self.plan.dtype {
            DType::F16 => sys::cudaDataType_t::CUDA_R_16F,
            DType::BF16 => sys::cudaDataType_t::CUDA_R_16BF,
            _ => sys::cudaDataType_t::CUDA_R_32F,
        };
        // Sums in f32 whatever the factors are; only f32 factors are ever rounded, and only where that was asked for.
        let compute = match self.plan.tf32 && self.plan.dtype == DType::F32 {
            true => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            false => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
        };
        let (one, zero) = (1f32, 0f32);
        let blas = self.plan.device.cublas_handle();
        // SAFETY: cuBLAS counts column by column: `outputs` x `depth` turned, times `depth` x `rows`, to `outputs` x `rows`
        // whose columns are `row` apart. Each lies within its region, as in `launch`; both factors are of type `kind`.
        unsafe {
            gemm_ex(
                *blas.handle(),
                sys::cublasOperation_t::CUBLAS_OP_T,
                sys::cublasOperation_t::CUBLAS_OP_N,
                outputs,
                rows,
                depth,
                (&raw const one).cast(),
                weights as *const _,
                kind,
                depth,
                from as *const _,
                kind,
                depth,
                (&raw const zero).cast(),
                to as *mut _,
                kind,
                row,
                compute,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
            )
        }
        .w()?;
        Ok(())
    }
}
