//! Plain Rust: the readable truth, and what machines without the others use.

use super::simd::{Rows, Simd, Tile, Window, depthwise, tile, window};
use super::winograd::{finish, see};

/// Four floats, which compilers turn into one vector on most machines.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Simd for Portable {
    type V = [f32; 4];
    const WIDTH: usize = 4;
    const ROWS: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: good for four floats, as the trait asks.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: [f32; 4]) {
        // SAFETY: good for four floats, as the trait asks.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        // Not `mul_add`: without the instruction it is a slow function call.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn clamp(x: [f32; 4], low: [f32; 4], high: [f32; 4]) -> [f32; 4] {
        // Not `f32::min` and `max`: they would turn NaN into a number.
        std::array::from_fn(|i| {
            let x = if x[i] > high[i] { high[i] } else { x[i] };
            if x < low[i] { low[i] } else { x }
        })
    }
    #[inline(always)]
    unsafe fn tile<const R: usize, const PIXEL: usize>(_blocks: usize, job: &Tile) {
        // Rows that no tile has need no code.
        if R <= Self::ROWS {
            // SAFETY: the caller's promise, passed on.
            unsafe { tile::<Self, R, 4, PIXEL>(job) }
        }
    }
    #[inline(always)]
    unsafe fn window<const R: usize, const PIXEL: usize>(_blocks: usize, job: &Window) {
        // Rows that no tile has need no code.
        if R <= Self::ROWS {
            // SAFETY: the caller's promise, passed on.
            unsafe { window::<Self, R, 4, PIXEL>(job) }
        }
    }
    #[inline(always)]
    unsafe fn see(from: *const f32, row: usize, to: *mut f32, point: usize) {
        // SAFETY: the caller's promise, passed on.
        unsafe { see::<Self>(from, row, to, point) }
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
        // SAFETY: the caller's promise, passed on.
        unsafe { finish::<Self, M>(from, point, bias, clamp, to, row) }
    }
    #[inline(always)]
    unsafe fn run(work: impl FnOnce()) {
        work();
    }
    #[inline(always)]
    unsafe fn depthwise<const STRIDE: usize>(job: &Rows) {
        // SAFETY: the caller's promise, passed on.
        unsafe { depthwise::<Self, STRIDE>(job) }
    }
}
