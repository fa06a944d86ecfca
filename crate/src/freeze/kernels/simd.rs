//! The kernels, written once for vectors of any width.
//!
//! Everything here is `inline(always)` into a function that has the level's `target_feature`: only there do the
//! vector operations become single instructions.

/// A level's vectors and the shape of its tiles.
///
/// # Safety
/// The functions may run only on a machine that has the level's instructions. Pointers must be good for what the
/// function reads or writes: `WIDTH` floats from `load` and `store`.
pub(super) trait Simd: Copy {
    /// `WIDTH` floats.
    type V: Copy;
    /// Floats in a vector; 16 is a multiple of it.
    const WIDTH: usize;
    /// The most pixels a tile has, so that its sums stay in registers.
    const ROWS: usize;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, x: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `x` between `low` and `high`; NaN stays NaN.
    unsafe fn clamp(x: Self::V, low: Self::V, high: Self::V) -> Self::V;

    /// [`tile`] with the level's instructions, `blocks` (1 or 2) blocks of 16 channels wide.
    unsafe fn tile<const R: usize, const PIXEL: usize>(blocks: usize, job: &Tile);
    /// [`window`] with the level's instructions, `blocks` (1 or 2) blocks of 16 channels wide.
    unsafe fn window<const R: usize, const PIXEL: usize>(blocks: usize, job: &Window);
    /// [`depthwise`] with the level's instructions.
    unsafe fn depthwise<const STRIDE: usize>(job: &Rows);
    /// [`see`](super::winograd::see) with the level's instructions.
    unsafe fn see(from: *const f32, row: usize, to: *mut f32, point: usize);
    /// [`finish`](super::winograd::finish) with the level's instructions.
    unsafe fn finish<const M: usize>(
        from: *const f32,
        point: usize,
        bias: *const f32,
        clamp: (f32, f32),
        to: *mut f32,
        row: usize,
    );
    /// Safe code, compiled for the level's instructions.
    unsafe fn run(work: impl FnOnce());
}

/// Sums of products for some pixels by some channels: what one call of [`tile`] does. Lengths count floats.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// The first pixel's first input. Pixels lie `PIXEL` apart.
    pub input: *const f32,
    /// Inputs that lie side by side.
    pub run: usize,
    /// From the beginning of one run to that of the next.
    pub next_run: usize,
    /// Inputs in all, of one pixel.
    pub inputs: usize,
    /// For each input, the weights of the tile's channels.
    pub weights: *const f32,
    /// One for each channel.
    pub bias: *const f32,
    /// The first pixel's first block of 16 channels; pixels lie 16 apart. Where `pool`, sums over the pixels.
    pub output: *mut f32,
    /// From one block of 16 channels to the next.
    pub output_plane: usize,
    /// Laid out as `output`, added to the sums; null for none.
    pub residual: *const f32,
    /// From one block of 16 channels to the next.
    pub residual_plane: usize,
    /// Results are clamped to this.
    pub clamp: (f32, f32),
    /// Whether the clamped results are added to `output`, over all pixels, in place of stored there.
    pub pool: bool,
}

/// `R` pixels by `V` vectors of channels: the sums stay in registers from the first input to the last.
///
/// # Safety
/// As for [`Simd`]; `job`'s pointers reach as far as its fields say, for `R` pixels and `V` vectors.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, const R: usize, const V: usize, const PIXEL: usize>(job: &Tile) {
    // SAFETY: offsets stay within what the caller vouches for: `inputs` inputs of pixels `0..R`, `V` vectors each.
    unsafe {
        let mut sums = [[S::splat(0.0); V]; R];
        for v in 0..V {
            let bias = S::load(job.bias.add(v * S::WIDTH));
            for row in &mut sums {
                row[v] = bias;
            }
        }
        let (mut input, mut weights, mut left) = (job.input, job.weights, job.inputs);
        while left > 0 {
            let run = left.min(job.run);
            for i in 0..run {
                let mut w = [S::splat(0.0); V];
                for (v, w) in w.iter_mut().enumerate() {
                    *w = S::load(weights.add(v * S::WIDTH));
                }
                for (r, row) in sums.iter_mut().enumerate() {
                    let x = S::splat(*input.add(r * PIXEL + i));
                    for (sum, &w) in row.iter_mut().zip(&w) {
                        *sum = S::fma(x, w, *sum);
                    }
                }
                weights = weights.add(V * S::WIDTH);
            }
            left -= run;
            // Wrapping: past the last run it is not used.
            input = input.wrapping_add(job.next_run);
        }
        finish::<S, R, V>(job, &mut sums);
    }
}

/// A convolution of some pixels of a row to some channels: what one call of [`window`] does. Lengths count floats.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// What the kernel's first tap meets for the first pixel. Pixels lie `PIXEL` apart.
    pub input: *const f32,
    /// Blocks of 16 input channels, and how far apart they lie.
    pub planes: usize,
    pub plane: usize,
    /// Rows of the kernel, and how far apart those of the input lie.
    pub rows: usize,
    pub row: usize,
    /// Columns of the kernel; those of the input lie 16 apart.
    pub columns: usize,
    /// For each plane, row, column and input channel, the weights of the tile's channels.
    pub weights: *const f32,
    /// One for each channel.
    pub bias: *const f32,
    /// The first pixel's first block of 16 channels; pixels lie 16 apart.
    pub output: *mut f32,
    /// From one block of 16 channels to the next.
    pub output_plane: usize,
    /// Results are clamped to this.
    pub clamp: (f32, f32),
}

/// `R` pixels by `V` vectors of channels: the sums stay in registers from the first tap to the last.
///
/// # Safety
/// As for [`Simd`]; `job`'s pointers reach as far as its fields say, for `R` pixels and `V` vectors.
#[inline(always)]
pub(super) unsafe fn window<S: Simd, const R: usize, const V: usize, const PIXEL: usize>(job: &Window) {
    // SAFETY: offsets stay within what the caller vouches for: every tap of pixels `0..R`, `V` vectors of each.
    unsafe {
        let mut sums = [[S::splat(0.0); V]; R];
        for v in 0..V {
            let bias = S::load(job.bias.add(v * S::WIDTH));
            for row in &mut sums {
                row[v] = bias;
            }
        }
        let mut weights = job.weights;
        for (plane, y) in (0..job.planes).flat_map(|plane| (0..job.rows).map(move |y| (plane, y))) {
            let input = job.input.add(plane * job.plane + y * job.row);
            for i in 0..job.columns * 16 {
                let mut w = [S::splat(0.0); V];
                for (v, w) in w.iter_mut().enumerate() {
                    *w = S::load(weights.add(v * S::WIDTH));
                }
                for (r, row) in sums.iter_mut().enumerate() {
                    let x = S::splat(*input.add(r * PIXEL + i));
                    for (sum, &w) in row.iter_mut().zip(&w) {
                        *sum = S::fma(x, w, *sum);
                    }
                }
                weights = weights.add(V * S::WIDTH);
            }
        }
        let (low, high) = (S::splat(job.clamp.0), S::splat(job.clamp.1));
        for v in 0..V {
            let to = job.output.add(v * S::WIDTH / 16 * job.output_plane + v * S::WIDTH % 16);
            for (r, row) in sums.iter().enumerate() {
                S::store(to.add(r * 16), S::clamp(row[v], low, high));
            }
        }
    }
}

/// Residual, clamp, and away with the sums.
#[inline(always)]
unsafe fn finish<S: Simd, const R: usize, const V: usize>(job: &Tile, sums: &mut [[S::V; V]; R]) {
    // SAFETY: as for `tile`, whose output and residual these are.
    unsafe {
        let (low, high) = (S::splat(job.clamp.0), S::splat(job.clamp.1));
        for v in 0..V {
            let (block, lane) = (v * S::WIDTH / 16, v * S::WIDTH % 16);
            if job.pool {
                let to = job.output.add(block * job.output_plane + lane);
                let mut sum = S::load(to);
                for row in sums.iter() {
                    sum = S::add(sum, S::clamp(row[v], low, high));
                }
                S::store(to, sum);
                continue;
            }
            if !job.residual.is_null() {
                let from = job.residual.add(block * job.residual_plane + lane);
                for (r, row) in sums.iter_mut().enumerate() {
                    row[v] = S::add(row[v], S::load(from.add(r * 16)));
                }
            }
            let to = job.output.add(block * job.output_plane + lane);
            for (r, row) in sums.iter().enumerate() {
                S::store(to.add(r * 16), S::clamp(row[v], low, high));
            }
        }
    }
}

/// Some rows of a 3x3 depthwise convolution with one zero of padding, of one block of 16 channels.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// Where row `y` of the input lies: the `y % ring`-th of `width * 16` floats.
    pub input: *const f32,
    /// How many rows the input's memory holds; row `y` takes the place of row `y - ring`.
    pub ring: usize,
    /// A row of zeros, for above and below.
    pub zeros: *const f32,
    /// Rows of the whole input.
    pub height: usize,
    /// Pixels of an input row.
    pub width: usize,
    /// Nine taps, then the bias, of 16 floats each.
    pub weights: *const f32,
    /// The first row's first pixel; rows follow each other without a gap.
    pub output: *mut f32,
    /// The first output row, and the one after the last.
    pub rows: (usize, usize),
    /// Results are clamped to this.
    pub clamp: (f32, f32),
}

/// # Safety
/// As for [`Simd`]; `job`'s pointers reach as far as its fields say.
#[inline(always)]
pub(super) unsafe fn depthwise<S: Simd, const STRIDE: usize>(job: &Rows) {
    let out_width = (job.width - 1) / STRIDE + 1;
    // Outputs from 1 up to here have all three columns.
    let inner = (job.width.max(2) - 2) / STRIDE + 1;
    for lane in (0..16).step_by(S::WIDTH) {
        // SAFETY: taps and rows as the caller vouches; columns are checked in `edge`, and bounded by `inner` here:
        // the last column that `x < inner` needs is `x * STRIDE + 1 <= width - 1`.
        unsafe {
            let mut taps = [S::splat(0.0); 9];
            for (tap, to) in taps.iter_mut().enumerate() {
                *to = S::load(job.weights.add(tap * 16 + lane));
            }
            let bias = S::load(job.weights.add(9 * 16 + lane));
            let clamp = (S::splat(job.clamp.0), S::splat(job.clamp.1));
            for y in job.rows.0..job.rows.1 {
                let mut rows = [job.zeros; 3];
                for (d, row) in rows.iter_mut().enumerate() {
                    let above = y * STRIDE + d;
                    if above > 0 && above <= job.height {
                        *row = job.input.add((above - 1) % job.ring * job.width * 16);
                    }
                    *row = row.add(lane);
                }
                let out = job.output.add((y - job.rows.0) * out_width * 16 + lane);
                edge::<S, STRIDE>(rows, 0, job.width, &taps, bias, clamp, out);
                let mut x = 1;
                while x + 4 <= inner {
                    group::<S, STRIDE, 4>(rows, x, &taps, bias, clamp, out);
                    x += 4;
                }
                while x < inner {
                    group::<S, STRIDE, 1>(rows, x, &taps, bias, clamp, out);
                    x += 1;
                }
                while x < out_width {
                    edge::<S, STRIDE>(rows, x, job.width, &taps, bias, clamp, out);
                    x += 1;
                }
            }
        }
    }
}

/// `G` output pixels from `x` on, all of whose columns exist; each input is read once.
#[inline(always)]
unsafe fn group<S: Simd, const STRIDE: usize, const G: usize>(
    rows: [*const f32; 3],
    x: usize,
    taps: &[S::V; 9],
    bias: S::V,
    clamp: (S::V, S::V),
    out: *mut f32,
) {
    // SAFETY: the caller has checked that columns `x * STRIDE - 1` to `(x + G - 1) * STRIDE + 1` exist.
    unsafe {
        let mut sums = [bias; G];
        for (d, row) in rows.into_iter().enumerate() {
            let from = row.add((x * STRIDE - 1) * 16);
            for column in 0..(G - 1) * STRIDE + 3 {
                let value = S::load(from.add(column * 16));
                for (g, sum) in sums.iter_mut().enumerate() {
                    if column >= g * STRIDE && column < g * STRIDE + 3 {
                        *sum = S::fma(value, taps[d * 3 + column - g * STRIDE], *sum);
                    }
                }
            }
        }
        for (g, sum) in sums.into_iter().enumerate() {
            S::store(out.add((x + g) * 16), S::clamp(sum, clamp.0, clamp.1));
        }
    }
}

/// One output pixel at the left or right edge: columns outside the photo are zero, so they are left out.
#[inline(always)]
unsafe fn edge<S: Simd, const STRIDE: usize>(
    rows: [*const f32; 3],
    x: usize,
    width: usize,
    taps: &[S::V; 9],
    bias: S::V,
    clamp: (S::V, S::V),
    out: *mut f32,
) {
    // SAFETY: columns are checked before they are read; `x` is an output pixel by the caller's loop.
    unsafe {
        let mut sum = bias;
        for column in 0..3 {
            let right = x * STRIDE + column;
            if right > 0 && right <= width {
                for (d, row) in rows.into_iter().enumerate() {
                    sum = S::fma(S::load(row.add((right - 1) * 16)), taps[d * 3 + column], sum);
                }
            }
        }
        S::store(out.add(x * 16), S::clamp(sum, clamp.0, clamp.1));
    }
}
