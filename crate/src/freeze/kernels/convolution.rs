//! Convolutions over all channels with a kernel of any shape, directly: no copies of the input are laid out for them.
//!
//! A tile of output pixels by output channels stays in registers while every tap of every input channel is added to
//! it. That is as fast as a product of matrices, as long as the pixels of a tile lie in one row.

use super::simd::{Simd, Window};
use super::{Block, Kernels, LANES, at_level};
use crate::freeze::CpuLevel;

/// Input that one pass over the output channels may read: about what stays in a common L2 cache.
const STRIPE_BYTES: usize = 512 << 10;

/// Weights of a convolution, in the order in which a tile reads them.
#[derive(Clone, Debug)]
pub(in crate::freeze) struct PackedWindow {
    /// For each panel of `panel` blocks of outputs (the last may be narrower), for each block of inputs, each row and
    /// each column of the kernel, for each of the 16 inputs, the outputs' weights.
    pub weights: Vec<Block>,
    /// One for each output.
    pub bias: Vec<Block>,
    /// Blocks of inputs.
    pub planes: usize,
    /// Rows and columns of the kernel.
    pub kernel: (usize, usize),
    pub stride: usize,
    /// Blocks of outputs that a tile is wide: [`Kernels::panel`].
    pub panel: usize,
    /// What results are clamped to.
    pub clamp: (f32, f32),
}

/// Some rows of some planes. Lengths count blocks.
#[derive(Clone, Copy)]
pub(in crate::freeze) struct Area<'a> {
    pub data: &'a [Block],
    /// The first pixel.
    pub first: usize,
    /// From one row to the next.
    pub row: usize,
    /// From one plane to the next.
    pub plane: usize,
}

/// As [`Area`], to write.
pub(in crate::freeze) struct AreaMut<'a> {
    pub data: &'a mut [Block],
    pub first: usize,
    pub row: usize,
    pub plane: usize,
}

impl Area<'_> {
    /// Whether `planes` planes of as many rows and columns all lie within.
    pub(super) fn reaches(&self, planes: usize, rows: usize, columns: usize) -> bool {
        reaches(self.data.len(), self.first, [(planes, self.plane), (rows, self.row), (columns, 1)])
    }
}

impl AreaMut<'_> {
    /// As [`Area::reaches`].
    pub(super) fn reaches(&self, planes: usize, rows: usize, columns: usize) -> bool {
        reaches(self.data.len(), self.first, [(planes, self.plane), (rows, self.row), (columns, 1)])
    }
}

/// Whether what lies `first` in, as often and as far apart along three axes as `axes` says, is within `len`.
fn reaches(len: usize, first: usize, axes: [(usize, usize); 3]) -> bool {
    let last = |at: usize, (count, apart): (usize, usize)| at.checked_add(count.checked_sub(1)?.checked_mul(apart)?);
    let end = axes.into_iter().try_fold(first, last);
    axes.iter().any(|axis| axis.0 == 0) || end.is_some_and(|end| end < len)
}

impl Kernels {
    /// The convolution to `height` x `width` pixels of all output channels. Zeros around the input, where the kernel
    /// needs them, are part of `input`.
    pub fn convolution(
        self,
        by: &PackedWindow,
        input: Area<'_>,
        mut output: AreaMut<'_>,
        (height, width): (usize, usize),
    ) {
        let ((rows, columns), stride) = (by.kernel, by.stride);
        assert!(height > 0 && width > 0 && rows > 0 && columns > 0 && matches!(stride, 1 | 2));
        assert!(input.reaches(by.planes, (height - 1) * stride + rows, (width - 1) * stride + columns));
        assert!(output.reaches(by.bias.len(), height, width));
        assert_eq!(by.weights.len(), by.bias.len() * by.planes * rows * columns * LANES);
        assert_eq!(by.panel, self.panel());
        let row_bytes = (stride * input.row * by.planes * size_of::<Block>()).max(1);
        let stripe = (STRIPE_BYTES / row_bytes).max(1);
        for first_row in (0..height).step_by(stripe) {
            for first in (0..by.bias.len()).step_by(by.panel) {
                let blocks = by.panel.min(by.bias.len() - first);
                for y in first_row..(first_row + stripe).min(height) {
                    // SAFETY: the asserts above: this panel's weights and this row of input and output are there, up to
                    // the last pixel of the last tile.
                    unsafe {
                        let job = by.row(first, y, input, &mut output);
                        at_level!(self.level, S => match stride {
                            1 => row_of_tiles::<S, LANES>(blocks, width, job),
                            _ => row_of_tiles::<S, { 2 * LANES }>(blocks, width, job),
                        });
                    }
                }
            }
        }
    }
}

impl PackedWindow {
    /// What all tiles of output row `y` share, in the panel that begins at block `first`.
    ///
    /// # Safety
    /// The panel's weights and the row's input and output must be there.
    unsafe fn row(&self, first: usize, y: usize, input: Area<'_>, output: &mut AreaMut<'_>) -> Window {
        let (rows, columns) = self.kernel;
        // SAFETY: the caller's promise. Wider panels before this one have as many weights in all as narrower ones would.
        unsafe {
            Window {
                input: input.data.as_ptr().add(input.first + y * self.stride * input.row).cast(),
                planes: self.planes,
                plane: input.plane * LANES,
                rows,
                row: input.row * LANES,
                columns,
                weights: self.weights.as_ptr().add(first * self.planes * rows * columns * LANES).cast(),
                bias: self.bias.as_ptr().add(first).cast(),
                output: output.data.as_mut_ptr().add(output.first + first * output.plane + y * output.row).cast(),
                output_plane: output.plane * LANES,
                clamp: self.clamp,
            }
        }
    }
}

/// `pixels` pixels of a row in tiles of nearly equal size, none above the level's.
///
/// # Safety
/// As for [`window`](super::simd::window), for all the pixels.
pub(super) unsafe fn row_of_tiles<S: Simd, const PIXEL: usize>(blocks: usize, pixels: usize, mut job: Window) {
    let count = pixels.div_ceil(S::ROWS);
    for i in 0..count {
        let tile = pixels / count + usize::from(i < pixels % count);
        // SAFETY: the tiles' pixels add up to `pixels`; past the last the pointers are not used.
        unsafe { window_of::<S, PIXEL>(tile, blocks, &job) };
        job.input = job.input.wrapping_add(tile * PIXEL);
        job.output = job.output.wrapping_add(tile * LANES);
    }
}

/// # Safety
/// As for [`window`](super::simd::window), for `pixels` pixels.
#[inline(always)]
unsafe fn window_of<S: Simd, const PIXEL: usize>(pixels: usize, blocks: usize, job: &Window) {
    macro_rules! arms {
        ($($r:literal)*) => {
            match pixels {
                // SAFETY: the caller's promise, passed on.
                $($r => unsafe { S::window::<$r, PIXEL>(blocks, job) },)*
                other => unreachable!("a tile of {other} pixels"),
            }
        };
    }
    arms!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
}
