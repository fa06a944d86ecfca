//! NEON, for 64-bit ARM.

use super::simd::{Rows, Simd, Tile, Window, depthwise, tile, window};
use super::winograd::{finish, see};
use core::arch::aarch64::*;

#[derive(Clone, Copy)]
pub(super) struct Neon;

// SAFETY, of each function below: a `Simd` is used only behind `Kernels::new`, which has asked the machine for the
// instructions; pointers are the caller's care, as the trait says.
impl Simd for Neon {
    type V = float32x4_t;
    const WIDTH: usize = 4;
    // 24 sums, 4 weights and an input: 29 of the 32 registers.
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: float32x4_t) {
        unsafe { vst1q_f32(to, x) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn clamp(x: float32x4_t, low: float32x4_t, high: float32x4_t) -> float32x4_t {
        // Both give NaN where either operand is.
        unsafe { vmaxq_f32(low, vminq_f32(high, x)) }
    }
    #[inline(always)]
    unsafe fn tile<const R: usize, const PIXEL: usize>(_blocks: usize, job: &Tile) {
        unsafe { neon_tile::<R, PIXEL>(job) }
    }
    #[inline(always)]
    unsafe fn window<const R: usize, const PIXEL: usize>(_blocks: usize, job: &Window) {
        unsafe { neon_window::<R, PIXEL>(job) }
    }
    #[inline(always)]
    unsafe fn depthwise<const STRIDE: usize>(job: &Rows) {
        unsafe { neon_depthwise::<STRIDE>(job) }
    }
    #[inline(always)]
    unsafe fn see(from: *const f32, row: usize, to: *mut f32, point: usize) {
        unsafe { neon_see(from, row, to, point) }
    }
    #[inline(always)]
    unsafe fn finish<const M: usize>(
        from: *const f32,
        point: usize,
        bias: *const f32,
        clamp: (f32, f32),
        to: *mut f32,
        row: usize,
    ) {
        unsafe { neon_finish::<M>(from, point, bias, clamp, to, row) }
    }
    #[inline(always)]
    unsafe fn run(work: impl FnOnce()) {
        unsafe { neon_run(work) }
    }
}

#[target_feature(enable = "neon")]
unsafe fn neon_tile<const R: usize, const PIXEL: usize>(job: &Tile) {
    // Rows that no tile has need no code.
    if R <= Neon::ROWS {
        unsafe { tile::<Neon, R, 4, PIXEL>(job) }
    }
}

#[target_feature(enable = "neon")]
unsafe fn neon_window<const R: usize, const PIXEL: usize>(job: &Window) {
    // Rows that no tile has need no code.
    if R <= Neon::ROWS {
        unsafe { window::<Neon, R, 4, PIXEL>(job) }
    }
}

#[target_feature(enable = "neon")]
unsafe fn neon_see(from: *const f32, row: usize, to: *mut f32, point: usize) {
    unsafe { see::<Neon>(from, row, to, point) }
}

#[target_feature(enable = "neon")]
unsafe fn neon_finish<const M: usize>(
    from: *const f32,
    point: usize,
    bias: *const f32,
    clamp: (f32, f32),
    to: *mut f32,
    row: usize,
) {
    unsafe { finish::<Neon, M>(from, point, bias, clamp, to, row) }
}

#[target_feature(enable = "neon")]
unsafe fn neon_run(work: impl FnOnce()) {
    work();
}

#[target_feature(enable = "neon")]
unsafe fn neon_depthwise<const STRIDE: usize>(job: &Rows) {
    unsafe { depthwise::<Neon, STRIDE>(job) }
}
