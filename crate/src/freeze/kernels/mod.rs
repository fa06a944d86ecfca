//! The arithmetic of the plan: safe to call from outside, vector instructions inside.
//!
//! Activations lie in planes of [`Block`]s: all pixels of channels 0 to 15, then all of channels 16 to 31, and so on.
//! A pixel's block is one AVX-512 register, and both what a pointwise convolution reads and what a depthwise one
//! walks along lie side by side.

#![allow(unsafe_code)]

mod convolution;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pool;
mod portable;
mod simd;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

pub(super) use convolution::{Area, AreaMut, PackedWindow};
pub(super) use winograd::{POINTS, PackedWinograd, TILE};

use super::cpu::CpuLevel;
use simd::{Rows, Simd, Tile};
use std::ops::Range;

/// Channels in a [`Block`].
pub(super) const LANES: usize = 16;

/// Sixteen channels of one pixel; channels that a layer has not are zero in the weights and never read elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Block(pub [f32; LANES]);

impl Block {
    pub const ZERO: Self = Self([0.0; LANES]);
}

/// Weights of a convolution over all channels, in the order in which a tile reads them.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// For each panel of `panel` blocks of outputs (the last may be narrower), for each input, the outputs' weights.
    pub weights: Vec<Block>,
    /// One for each output.
    pub bias: Vec<Block>,
    /// Inputs of one output: channels, times the taps of the stem.
    pub inputs: usize,
    /// Blocks of outputs that a tile is wide: [`Kernels::panel`].
    pub panel: usize,
    /// What results are clamped to.
    pub clamp: (f32, f32),
}

/// Weights of a 3x3 depthwise convolution: for each block of channels nine taps, row by row, then the bias.
#[derive(Clone, Debug)]
pub(super) struct PackedDepthwise {
    pub weights: Vec<Block>,
    pub stride: usize,
    /// What results are clamped to.
    pub clamp: (f32, f32),
}

/// Pixels `first..` of some planes that lie `plane` blocks apart.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub data: &'a [Block],
    pub plane: usize,
    pub first: usize,
}

/// As [`View`], to write.
pub(super) struct ViewMut<'a> {
    pub data: &'a mut [Block],
    pub plane: usize,
    pub first: usize,
}

/// Rows of which only the last few are in memory: row `y` lies at `y % rows`, `width` pixels long.
#[derive(Clone, Copy)]
pub(super) struct Ring<'a> {
    pub data: &'a [Block],
    pub rows: usize,
    pub width: usize,
    /// Rows of the whole.
    pub height: usize,
}

/// A photo for the stem: rows of `row` floats, three a pixel, with one pixel of zeros around.
#[derive(Clone, Copy)]
pub(super) struct Framed<'a> {
    pub data: &'a [f32],
    pub row: usize,
}

/// The kernels of one level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    /// Available on this machine: `new` has asked.
    level: CpuLevel,
}

/// Whether pixels `first..first + pixels` of the planes `0..planes` all lie within `len` blocks.
fn fits(len: usize, plane: usize, planes: usize, first: usize, pixels: usize) -> bool {
    let last = || (planes - 1).checked_mul(plane)?.checked_add(first)?.checked_add(pixels);
    planes == 0 || last().is_some_and(|end| end <= len)
}

/// Calls `$call` with `$simd` as the level's vectors.
macro_rules! at_level {
    ($level:expr, $simd:ident => $call:expr) => {
        match $level {
            #[cfg(target_arch = "x86_64")]
            CpuLevel::Avx512 => {
                type $simd = $crate::freeze::kernels::x86::Avx512;
                $call
            }
            #[cfg(target_arch = "x86_64")]
            CpuLevel::Avx2 => {
                type $simd = $crate::freeze::kernels::x86::Avx2;
                $call
            }
            #[cfg(target_arch = "aarch64")]
            CpuLevel::Neon => {
                type $simd = $crate::freeze::kernels::neon::Neon;
                $call
            }
            _ => {
                type $simd = $crate::freeze::kernels::portable::Portable;
                $call
            }
        }
    };
}
use at_level;

impl Kernels {
    /// None where the machine has not the level's instructions.
    pub fn new(level: CpuLevel) -> Option<Self> {
        level.is_available().then_some(Self { level })
    }

    /// Blocks of outputs that a tile is wide.
    pub fn panel(self) -> usize {
        if self.level == CpuLevel::Avx512 { 2 } else { 1 }
    }

    /// A 1x1 convolution of `pixels` pixels to the output blocks `blocks`, which begin a panel.
    ///
    /// `residual`, if any, is added before the clamp.
    pub fn pointwise(
        self,
        by: &Packed,
        blocks: Range<usize>,
        pixels: usize,
        input: View<'_>,
        output: ViewMut<'_>,
        residual: Option<View<'_>>,
    ) {
        assert!(fits(input.data.len(), input.plane, by.inputs.div_ceil(LANES), input.first, pixels));
        assert!(fits(output.data.len(), output.plane, blocks.end, output.first, pixels));
        assert!(residual.is_none_or(|from| fits(from.data.len(), from.plane, blocks.end, from.first, pixels)));
        for (first, width) in by.panels(blocks, self) {
            // SAFETY: the asserts above; `panels` has checked weights and bias.
            unsafe {
                let residual_at = |from: View<'_>| from.data.as_ptr().add(first * from.plane + from.first).cast();
                let job = Tile {
                    input: input.data.as_ptr().add(input.first).cast(),
                    next_run: input.plane * LANES,
                    output: output.data.as_mut_ptr().add(first * output.plane + output.first).cast(),
                    output_plane: output.plane * LANES,
                    residual: residual.map_or(std::ptr::null(), residual_at),
                    residual_plane: residual.map_or(0, |from| from.plane * LANES),
                    ..by.tile(first)
                };
                at_level!(self.level, S => tiles::<S, LANES>(width, pixels, job));
            }
        }
    }

    /// A 1x1 convolution, clamped, of which only the mean over `pixels` pixels is kept.
    pub fn pooled(self, by: &Packed, pixels: usize, input: View<'_>, output: &mut [Block]) {
        assert!(fits(input.data.len(), input.plane, by.inputs.div_ceil(LANES), input.first, pixels));
        assert_eq!(output.len(), by.bias.len());
        output.fill(Block::ZERO);
        for (first, width) in by.panels(0..by.bias.len(), self) {
            // SAFETY: the asserts above; `panels` has checked weights and bias. A plane of the sums is one block.
            unsafe {
                let job = Tile {
                    input: input.data.as_ptr().add(input.first).cast(),
                    next_run: input.plane * LANES,
                    output: output.as_mut_ptr().add(first).cast(),
                    output_plane: LANES,
                    pool: true,
                    ..by.tile(first)
                };
                at_level!(self.level, S => tiles::<S, LANES>(width, pixels, job));
            }
        }
        for Block(sums) in output {
            sums.iter_mut().for_each(|sum| *sum /= pixels as f32);
        }
    }

    /// Row `y` of a 3x3 convolution of stride 2 over three channels: `width` pixels of all output blocks.
    pub fn stem_row(self, by: &Packed, photo: Framed<'_>, y: usize, width: usize, output: ViewMut<'_>) {
        assert_eq!(by.inputs, 27);
        assert!(width > 0 && (2 * width + 1) * 3 <= photo.row);
        assert!((2 * y + 3).checked_mul(photo.row).is_some_and(|end| end <= photo.data.len()));
        assert!(fits(output.data.len(), output.plane, by.bias.len(), output.first, width));
        for (first, panel) in by.panels(0..by.bias.len(), self) {
            // SAFETY: the asserts above; `panels` has checked weights and bias. The runs are three rows of three
            // pixels: the last pixel's end at column `2 * (width - 1) + 3` of row `2 * y + 2`.
            unsafe {
                let job = Tile {
                    input: photo.data.as_ptr().add(2 * y * photo.row),
                    run: 9,
                    next_run: photo.row,
                    output: output.data.as_mut_ptr().add(first * output.plane + output.first).cast(),
                    output_plane: output.plane * LANES,
                    ..by.tile(first)
                };
                at_level!(self.level, S => tiles::<S, 6>(panel, width, job));
            }
        }
    }

    /// Output rows `rows` of a 3x3 depthwise convolution of the channels of `block`, one zero of padding around.
    ///
    /// `zeros` is a row of them; the rows that are needed must be in the ring.
    pub fn depthwise(
        self,
        by: &PackedDepthwise,
        block: usize,
        input: Ring<'_>,
        zeros: &[Block],
        rows: Range<usize>,
        output: &mut [Block],
    ) {
        let Ring { data, rows: ring, width, height } = input;
        assert!(width > 0 && height > 0 && ring > 0 && rows.start <= rows.end);
        assert!(ring.checked_mul(width).is_some_and(|len| len <= data.len()) && width <= zeros.len());
        let out_width = (width - 1) / by.stride + 1;
        assert!(rows.len().checked_mul(out_width).is_some_and(|len| len <= output.len()));
        let job = Rows {
            input: data.as_ptr().cast(),
            ring,
            zeros: zeros.as_ptr().cast(),
            height,
            width,
            weights: by.weights[block * 10..][..10].as_ptr().cast(),
            output: output.as_mut_ptr().cast(),
            rows: (rows.start, rows.end),
            clamp: by.clamp,
        };
        // SAFETY: the asserts above: `ring` rows of `width` blocks to read, a row of zeros, ten blocks of weights,
        // and room for the output rows.
        unsafe {
            match by.stride {
                1 => at_level!(self.level, S => S::depthwise::<1>(&job)),
                2 => at_level!(self.level, S => S::depthwise::<2>(&job)),
                other => unreachable!("the plan has strides 1 and 2, not {other}"),
            }
        }
    }
}

impl Packed {
    /// The panels that make up the output blocks `blocks`: first block and width of each.
    fn panels(&self, blocks: Range<usize>, kernels: Kernels) -> impl Iterator<Item = (usize, usize)> {
        let (Range { start, end }, panel) = (blocks, self.panel);
        assert!(panel == kernels.panel() && start.is_multiple_of(panel) && end <= self.bias.len());
        assert!(end == self.bias.len() || end.is_multiple_of(panel));
        assert_eq!(self.weights.len(), self.bias.len() * self.inputs);
        (start..end).step_by(panel).map(move |first| (first, panel.min(end - first)))
    }

    /// What all tiles of the panel that begins at block `first` share; input and output are still to be set.
    fn tile(&self, first: usize) -> Tile {
        Tile {
            input: std::ptr::null(),
            run: LANES,
            next_run: 0,
            inputs: self.inputs,
            // Wider panels before it have as many blocks in all as narrower ones would.
            weights: self.weights[first * self.inputs..].as_ptr().cast(),
            bias: self.bias[first..].as_ptr().cast(),
            output: std::ptr::null_mut(),
            output_plane: 0,
            residual: std::ptr::null(),
            residual_plane: 0,
            clamp: self.clamp,
            pool: false,
        }
    }
}

/// `pixels` pixels in tiles of nearly equal size, none above the level's.
///
/// # Safety
/// As for [`simd::tile`], for all the pixels.
unsafe fn tiles<S: Simd, const PIXEL: usize>(blocks: usize, pixels: usize, mut job: Tile) {
    let count = pixels.div_ceil(S::ROWS);
    for i in 0..count {
        let rows = pixels / count + usize::from(i < pixels % count);
        // SAFETY: the tiles' rows add up to `pixels`; past the last the pointers are not used.
        unsafe { tile_of::<S, PIXEL>(rows, blocks, &job) };
        job.input = job.input.wrapping_add(rows * PIXEL);
        if !job.pool {
            job.output = job.output.wrapping_add(rows * LANES);
        }
        if !job.residual.is_null() {
            job.residual = job.residual.wrapping_add(rows * LANES);
        }
    }
}

/// # Safety
/// As for [`simd::tile`], for `rows` pixels.
#[inline(always)]
unsafe fn tile_of<S: Simd, const PIXEL: usize>(rows: usize, blocks: usize, job: &Tile) {
    macro_rules! arms {
        ($($r:literal)*) => {
            match rows {
                // SAFETY: the caller's promise, passed on.
                $($r => unsafe { S::tile::<$r, PIXEL>(blocks, job) },)*
                other => unreachable!("a tile of {other} pixels"),
            }
        };
    }
    arms!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
}
