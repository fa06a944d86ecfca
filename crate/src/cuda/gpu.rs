//! Launches, on the GPU.

#![allow(unsafe_code)]

use super::{BLOCK, Launch, Plan, SOURCE};
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, DeviceRepr, LaunchConfig, PinnedHostSlice,
    PushKernelArg, SyncOnDrop,
};
use candle_core::cuda_backend::cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Device, Error, Layout, Result, Shape, Storage, Tensor, bail};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

// SAFETY: a `repr(C)` struct of 32-bit integers, passed by value; `kernels.cu` declares the same.
unsafe impl DeviceRepr for Plan {}

/// What a launch makes of up to three inputs of one type, in that type.
pub(crate) fn run(launch: &Launch, inputs: &[(&CudaStorage, &Layout)]) -> Result<(CudaStorage, Shape)> {
    let Some((first, _)) = inputs.first() else { bail!("{} has no input", launch.kernel) };
    if let Some((other, _)) = inputs.iter().find(|(input, _)| input.dtype() != first.dtype()) {
        bail!("{} wants one type of numbers, not {:?} and {:?}", launch.kernel, first.dtype(), other.dtype());
    }
    run_into(launch, first.dtype(), inputs)
}

/// As [`run`], with an output of type `dtype`.
pub(crate) fn run_into(
    launch: &Launch,
    dtype: DType,
    inputs: &[(&CudaStorage, &Layout)],
) -> Result<(CudaStorage, Shape)> {
    let Some((first, _)) = inputs.first() else { bail!("{} has no input", launch.kernel) };
    let device = &first.device;
    let shape = Shape::from(launch.out.clone());
    // A sum's slices are f32, whatever the sum is.
    let finish = launch.finish();
    let (made, of) = if finish.is_some() { (DType::F32, launch.writes()) } else { (dtype, shape.elem_count()) };
    // SAFETY: the kernel writes each number of it.
    let mut out = unsafe { device.alloc_uninit(&Shape::from(of), made) }?;
    start(launch, dtype, inputs, &mut out)?;
    let Some(finish) = finish else { return Ok((out, shape)) };
    // SAFETY: as above.
    let mut sums = unsafe { device.alloc_uninit(&shape, dtype) }?;
    start(&finish, dtype, &[(&out, &Layout::contiguous(of))], &mut sums)?;
    Ok((sums, shape))
}

/// A launch whose output takes the first input's place, each number from the one before it.
pub(crate) fn in_place(
    launch: &Launch,
    x: (&mut CudaStorage, &Layout),
    others: &[Option<(&CudaStorage, &Layout)>; 2],
) -> Result<()> {
    let (storage, layout) = x;
    let (device, dtype) = (storage.device.clone(), storage.dtype());
    let stream = device.cuda_stream();
    let at = address_mut(storage, layout, &stream)?;
    let (b, c) = (optional(others[0], &stream)?, optional(others[1], &stream)?);
    launch_at(launch, dtype, &device, [at.0, b.0, c.0], at.0)
}

fn start(launch: &Launch, dtype: DType, inputs: &[(&CudaStorage, &Layout)], out: &mut CudaStorage) -> Result<()> {
    let device = out.device.clone();
    let stream = device.cuda_stream();
    let input = |number: usize| optional(inputs.get(number).copied(), &stream);
    let (a, b, c) = (input(0)?, input(1)?, input(2)?);
    let whole = Layout::contiguous(launch.writes());
    let to = address_mut(out, &whole, &stream)?;
    launch_at(launch, dtype, &device, [a.0, b.0, c.0], to.0)
}

/// Starts the kernel; the memory at these addresses is the caller's to keep until it has been scheduled.
fn launch_at(launch: &Launch, dtype: DType, device: &CudaDevice, inputs: [u64; 3], out: u64) -> Result<()> {
    if launch.writes() == 0 {
        return Ok(());
    }
    let function = function(device, launch.kernel, dtype)?;
    let blocks = u32::try_from(launch.writes().div_ceil(BLOCK)).unwrap_or(u32::MAX);
    let config = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (BLOCK as u32, 1, 1), shared_mem_bytes: 0 };
    let stream = device.cuda_stream();
    let mut builder = stream.launch_builder(&function);
    builder.arg(&launch.plan);
    inputs.iter().for_each(|input| {
        builder.arg(input);
    });
    builder.arg(&out);
    // SAFETY: the kernel takes a plan and four addresses. `Launch` makes plans that read within inputs of the shapes it was
    // given and write within `out`, which the tests on the host hold it to, by a sanitizer; an address that a kernel may
    // find missing is null. `count` keeps every index within 32 bits.
    unsafe { builder.launch(config) }.w()?;
    Ok(())
}

/// A kernel of ours for numbers of this type.
pub(super) fn function(device: &CudaDevice, kernel: &str, dtype: DType) -> Result<CudaFunction> {
    let name = format!("{kernel}_{}", dtype.as_str());
    Ok(device.get_or_load_custom_func(&name, "candlewick", &kernels(device)?)?.into_cuda_function())
}

/// What has been compiled, by compute capability.
type ByCapability = HashMap<(i32, i32), Arc<str>>;

/// Our kernels, compiled for this GPU at the first call.
fn kernels(device: &CudaDevice) -> Result<Arc<str>> {
    static COMPILED: Mutex<Option<ByCapability>> = Mutex::new(None);
    let stream = device.cuda_stream();
    let capability = stream.context().compute_capability().w()?;
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = compiled.get_or_insert_default();
    if let Some(ptx) = known.get(&capability) {
        return Ok(Arc::clone(ptx));
    }
    let ptx: Arc<str> = compile(capability)?.into();
    known.insert(capability, Arc::clone(&ptx));
    Ok(ptx)
}

/// `kernels.cu` and `frozen.cu` in the GPU's intermediate language.
pub(super) fn compile((major, minor): (i32, i32)) -> Result<String> {
    let options = vec![format!("--gpu-architecture=compute_{major}{minor}"), "--std=c++17".to_owned()];
    let options = CompileOptions { options, name: Some("kernels.cu".to_owned()), ..CompileOptions::default() };
    let ptx = compile_ptx_with_opts(SOURCE, options)
        .map_err(|error| Error::Msg(format!("NVRTC cannot compile candlewick's kernels: {error:?}")))?;
    Ok(ptx.to_src())
}

/// Where a tensor's first number lies, or null; and what must live until the kernel has been scheduled.
pub(super) fn optional<'a>(
    input: Option<(&'a CudaStorage, &Layout)>,
    stream: &'a CudaStream,
) -> Result<(u64, Option<SyncOnDrop<'a>>)> {
    let Some((storage, layout)) = input else { return Ok((0, None)) };
    let (address, guard) = match &storage.slice {
        CudaStorageSlice::U8(slice) => slice.device_ptr(stream),
        CudaStorageSlice::F16(slice) => slice.device_ptr(stream),
        CudaStorageSlice::BF16(slice) => slice.device_ptr(stream),
        CudaStorageSlice::F32(slice) => slice.device_ptr(stream),
        _ => return Err(no_kernel(storage.dtype())),
    };
    Ok((address + offset(layout, storage.dtype())?, Some(guard)))
}

/// As [`optional`], to be written to.
fn address_mut<'a>(
    storage: &'a mut CudaStorage,
    layout: &Layout,
    stream: &'a CudaStream,
) -> Result<(u64, SyncOnDrop<'a>)> {
    let dtype = storage.dtype();
    let (address, guard) = match &mut storage.slice {
        CudaStorageSlice::F16(slice) => slice.device_ptr_mut(stream),
        CudaStorageSlice::BF16(slice) => slice.device_ptr_mut(stream),
        CudaStorageSlice::F32(slice) => slice.device_ptr_mut(stream),
        _ => return Err(no_kernel(dtype)),
    };
    Ok((address + offset(layout, dtype)?, guard))
}

/// Bytes from a storage's beginning to a contiguous tensor in it.
fn offset(layout: &Layout, dtype: DType) -> Result<u64> {
    match layout.contiguous_offsets() {
        Some((from, _)) => Ok((from * dtype.size_in_bytes()) as u64),
        None => bail!("candlewick's kernels want contiguous tensors"),
    }
}

fn no_kernel(dtype: DType) -> Error {
    Error::UnsupportedDTypeForOp(dtype, "candlewick's kernels").bt()
}

/// Memory of the host that the GPU reads by itself, while the processor does something else.
pub(crate) struct Pinned(pub(super) PinnedHostSlice<u8>);

impl Pinned {
    pub fn new(device: &Device, bytes: usize) -> Result<Self> {
        let stream = device.as_cuda_device()?.cuda_stream();
        // SAFETY: bytes of any value are bytes, and photos are written before they are read.
        Ok(Self(unsafe { stream.context().alloc_pinned::<u8>(bytes) }.w()?))
    }

    /// The bytes, once the GPU has read what was there before.
    pub fn bytes(&mut self) -> Result<&mut [u8]> {
        self.0.as_mut_slice().w()
    }
}

/// The memory's first bytes as a tensor of this shape on the GPU.
pub(crate) fn upload(device: &Device, from: &Pinned, shape: &[usize]) -> Result<Tensor> {
    let gpu = device.as_cuda_device()?;
    let bytes: usize = shape.iter().product();
    if bytes > from.0.len() {
        bail!("{bytes} bytes are wanted of {}", from.0.len());
    }
    // SAFETY: the copy writes each byte of it; it is as long as the memory it is copied from.
    let mut slice: CudaSlice<u8> = unsafe { gpu.alloc(from.0.len()) }?;
    gpu.memcpy_htod(&from.0, &mut slice)?;
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(slice, gpu.clone()));
    let whole = Tensor::from_storage(storage, from.0.len(), BackpropOp::none(), false);
    whole.narrow(0, 0, bytes)?.reshape(shape)
}
