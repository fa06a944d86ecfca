//! NVIDIA's GPUs, through candle.

use super::{Missing, Picked};
use crate::models::{Activation, Convolution};
use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The GPU of this number. The same one each time: candle takes two for strangers, and refuses to mix their tensors.
pub(super) fn open(number: usize) -> Result<Picked, Missing> {
    static OPEN: OnceLock<Mutex<HashMap<usize, Picked>>> = OnceLock::new();
    let mut open = OPEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(picked) = open.get(&number) {
        return Ok(picked.clone());
    }
    let picked = make(number)?;
    open.insert(number, picked.clone());
    Ok(picked)
}

fn make(number: usize) -> Result<Picked, Missing> {
    let count = CudaContext::device_count().map_err(|error| Missing::Driver(words(error)))?;
    match usize::try_from(count).unwrap_or(0) {
        0 => return Err(Missing::Driver("it knows of none".to_owned())),
        count if number >= count => return Err(Missing::Number(count)),
        _ => {}
    }
    // A stream of its own: the default one is another for each thread, and tensors go from thread to thread.
    let device = Device::new_cuda_with_stream(number).map_err(|error| failed(&error))?;
    let why = about(&device).map_err(|error| failed(&error))?;
    match computes(&device) {
        Ok(true) => Ok(Picked { device, why }),
        Ok(false) => Err(Missing::Failed("it computes other numbers than the CPU".to_owned())),
        Err(error) => Err(failed(&error)),
    }
}

/// Why it cannot be used. What is usual is said in words, the rest as the driver says it.
fn failed(error: &impl std::fmt::Display) -> Missing {
    let words = error.to_string();
    // Kernels come in the toolkit's language, which a driver translates that knows this version of it.
    let old = ["UNSUPPORTED_PTX_VERSION", "SYSTEM_DRIVER_MISMATCH", "COMPAT_NOT_SUPPORTED"];
    match old.iter().find(|name| words.contains(*name)) {
        Some(name) => Missing::Failed(format!(
            "its driver is older than the CUDA toolkit of this build, CUDA_ERROR_{name}: install a newer driver, or build with \
             the toolkit that `nvidia-smi` names"
        )),
        // Behind the first line there may be a backtrace.
        None => Missing::Failed(words.lines().next().unwrap_or_default().to_owned()),
    }
}

/// Whether a small layer gives the CPU's numbers: a driver, a library or a kernel that does not fit the others is found here,
/// where the CPU can still take its place.
fn computes(gpu: &Device) -> crate::Result<bool> {
    let run = |device: &Device| -> crate::Result<Vec<f32>> {
        let numbers = |count: u8, shape: (usize, usize, usize, usize)| {
            let value = |i: u8| f32::from(i * 7 % 11) - 5.0;
            Tensor::from_iter((0..count).map(value), device)?.reshape(shape)
        };
        let layer = Convolution {
            weight: numbers(18, (2, 1, 3, 3))?,
            bias: Some(Tensor::new(&[0.5f32, -1.5], device)?),
            batch_norm: None,
            stride: 2,
            padding: (1, 1),
            groups: 2,
            activation: Activation::Relu6,
        };
        let y = layer.forward(&numbers(30, (1, 2, 3, 5))?)?;
        let products = y.flatten_from(2)?.squeeze(0)?;
        Ok(products.matmul(&products.t()?)?.flatten_all()?.to_vec1()?)
    };
    // Small whole numbers and halves: their sums are exact in any order.
    Ok(run(gpu)? == run(&Device::Cpu)?)
}

/// `NVIDIA L4, compute capability 8.9, 22.3 of 22.5 GiB free`.
fn about(device: &Device) -> candle_core::Result<String> {
    let stream = device.as_cuda_device()?.cuda_stream();
    let context = stream.context();
    let all = || {
        let (major, minor) = context.compute_capability()?;
        let (free, total) = context.mem_get_info()?;
        let gibibytes = |bytes: usize| bytes as f64 / f64::from(1 << 30);
        let (name, free, total) = (context.name()?, gibibytes(free), gibibytes(total));
        Ok(format!("{name}, compute capability {major}.{minor}, {free:.1} of {total:.1} GiB free"))
    };
    all().map_err(|error: DriverError| candle_core::Error::Msg(words(error)))
}

/// Bytes of the GPU's memory that nobody uses.
pub(crate) fn free_memory(device: &Device) -> candle_core::Result<usize> {
    let free = device.as_cuda_device()?.cuda_stream().context().mem_get_info();
    free.map(|(free, _)| free).map_err(|error| candle_core::Error::Msg(words(error)))
}

/// What the driver says, without the backtrace that its `Debug` may hold.
fn words(error: DriverError) -> String {
    let name = error.error_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|_| format!("{:?}", error.0))
}
