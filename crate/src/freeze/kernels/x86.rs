//! AVX-512 and AVX2, for x86-64.

use super::simd::{Rows, Simd, Tile, Window, depthwise, tile, window};
use super::winograd::{finish, see};
use core::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(super) struct Avx512;

#[derive(Clone, Copy)]
pub(super) struct Avx2;

// SAFETY, of each function below: a `Simd` is used only behind `Kernels::new`, which has asked the machine for the
// instructions; pointers are the caller's care, as the trait says.
impl Simd for Avx512 {
    type V = __m512;
    const WIDTH: usize = 16;
    // 28 sums, 2 weights and an input: 31 of the 32 registers.
    const ROWS: usize = 14;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: __m512) {
        unsafe { _mm512_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn clamp(x: __m512, low: __m512, high: __m512) -> __m512 {
        // Of two operands with a NaN, these give the second.
        unsafe { _mm512_max_ps(low, _mm512_min_ps(high, x)) }
    }
    #[inline(always)]
    unsafe fn tile<const R: usize, const PIXEL: usize>(blocks: usize, job: &Tile) {
        unsafe { if blocks == 2 { avx512_tile::<R, 2, PIXEL>(job) } else { avx512_tile::<R, 1, PIXEL>(job) } }
    }
    #[inline(always)]
    unsafe fn window<const R: usize, const PIXEL: usize>(blocks: usize, job: &Window) {
        unsafe { if blocks == 2 { avx512_window::<R, 2, PIXEL>(job) } else { avx512_window::<R, 1, PIXEL>(job) } }
    }
    #[inline(always)]
    unsafe fn depthwise<const STRIDE: usize>(job: &Rows) {
        unsafe { avx512_depthwise::<STRIDE>(job) }
    }
    #[inline(always)]
    unsafe fn see(from: *const f32, row: usize, to: *mut f32, point: usize) {
        unsafe { avx512_see(from, row, to, point) }
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
        unsafe { avx512_finish::<M>(from, point, bias, clamp, to, row) }
    }
    #[inline(always)]
    unsafe fn run(work: impl FnOnce()) {
        unsafe { avx512_run(work) }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512_tile<const R: usize, const V: usize, const PIXEL: usize>(job: &Tile) {
    unsafe { tile::<Avx512, R, V, PIXEL>(job) }
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512_window<const R: usize, const V: usize, const PIXEL: usize>(job: &Window) {
    unsafe { window::<Avx512, R, V, PIXEL>(job) }
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512_see(from: *const f32, row: usize, to: *mut f32, point: usize) {
    unsafe { see::<Avx512>(from, row, to, point) }
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512_finish<const M: usize>(
    from: *const f32,
    point: usize,
    bias: *const f32,
    clamp: (f32, f32),
    to: *mut f32,
    row: usize,
) {
    unsafe { finish::<Avx512, M>(from, point, bias, clamp, to, row) }
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512_run(work: impl FnOnce()) {
    work();
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512_depthwise<const STRIDE: usize>(job: &Rows) {
    unsafe { depthwise::<Avx512, STRIDE>(job) }
}

// SAFETY: as above.
impl Simd for Avx2 {
    type V = __m256;
    const WIDTH: usize = 8;
    // 12 sums, 2 weights and an input: 15 of the 16 registers.
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: __m256) {
        unsafe { _mm256_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn clamp(x: __m256, low: __m256, high: __m256) -> __m256 {
        // Of two operands with a NaN, these give the second.
        unsafe { _mm256_max_ps(low, _mm256_min_ps(high, x)) }
    }
    #[inline(always)]
    unsafe fn tile<const R: usize, const PIXEL: usize>(_blocks: usize, job: &Tile) {
        unsafe { avx2_tile::<R, PIXEL>(job) }
    }
    #[inline(always)]
    unsafe fn window<const R: usize, const PIXEL: usize>(_blocks: usize, job: &Window) {
        unsafe { avx2_window::<R, PIXEL>(job) }
    }
    #[inline(always)]
    unsafe fn depthwise<const STRIDE: usize>(job: &Rows) {
        unsafe { avx2_depthwise::<STRIDE>(job) }
    }
    #[inline(always)]
    unsafe fn see(from: *const f32, row: usize, to: *mut f32, point: usize) {
        unsafe { avx2_see(from, row, to, point) }
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
        unsafe { avx2_finish::<M>(from, point, bias, clamp, to, row) }
    }
    #[inline(always)]
    unsafe fn run(work: impl FnOnce()) {
        unsafe { avx2_run(work) }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_tile<const R: usize, const PIXEL: usize>(job: &Tile) {
    // Rows that no tile has need no code.
    if R <= Avx2::ROWS {
        unsafe { tile::<Avx2, R, 2, PIXEL>(job) }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_window<const R: usize, const PIXEL: usize>(job: &Window) {
    // Rows that no tile has need no code.
    if R <= Avx2::ROWS {
        unsafe { window::<Avx2, R, 2, PIXEL>(job) }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_see(from: *const f32, row: usize, to: *mut f32, point: usize) {
    unsafe { see::<Avx2>(from, row, to, point) }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_finish<const M: usize>(
    from: *const f32,
    point: usize,
    bias: *const f32,
    clamp: (f32, f32),
    to: *mut f32,
    row: usize,
) {
    unsafe { finish::<Avx2, M>(from, point, bias, clamp, to, row) }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_run(work: impl FnOnce()) {
    work();
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_depthwise<const STRIDE: usize>(job: &Rows) {
    unsafe { depthwise::<Avx2, STRIDE>(job) }
}
