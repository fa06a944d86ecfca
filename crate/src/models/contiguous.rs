//! What our own operations take: one number behind the other, on the CPU in f32.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, Error, Layout, Result, Tensor, bail};

/// Numbers that one thread takes at a time where each is worked on by itself: enough to be worth a thread.
pub(super) const PIECE: usize = 1 << 14;

/// Whether a tensor is on the CPU, in f32.
pub(super) fn is_ours(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The same, or on a GPU in f32 or a half: for operations that have a kernel there.
pub(super) fn is_ours_anywhere(x: &Tensor) -> bool {
    let gpu = cfg!(feature = "cuda") && x.device().is_cuda();
    is_ours(x) || gpu && matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16)
}

/// The values of a contiguous tensor on the CPU, for the operation of that name.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout, operation: &'static str) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else {
        return Err(Error::UnsupportedDTypeForOp(storage.dtype(), operation).bt());
    };
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&values[from..to]),
        None => bail!("{operation} wants contiguous tensors"),
    }
}
