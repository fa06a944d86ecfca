//! Pools over 3x3 windows, and the mean over a whole plane. Safe code, compiled once for each level's vectors.

use super::convolution::{Area, AreaMut};
use super::simd::Simd;
use super::{Block, Kernels, LANES, at_level};
use crate::freeze::CpuLevel;

impl Kernels {
    /// The largest of each 3x3 window, two pixels apart, to `planes` planes of `height` x `width` pixels. NaN stays NaN.
    pub fn max_pool(self, planes: usize, input: Area<'_>, output: AreaMut<'_>, (height, width): (usize, usize)) {
        // SAFETY: `new` has asked the machine for the instructions.
        unsafe {
            at_level!(self.level, S => S::run(|| each_row(planes, output, height, |plane, y, to| {
                let rows: [&[Block]; 3] = std::array::from_fn(|d| row(input, plane, 2 * y + d, 2 * width + 1));
                for (x, to) in to[..width].iter_mut().enumerate() {
                    let mut largest = rows[0][2 * x];
                    for block in rows.iter().flat_map(|row| &row[2 * x..2 * x + 3]) {
                        for (largest, value) in largest.0.iter_mut().zip(block.0) {
                            // Not `f32::max`, which would turn NaN into a number.
                            *largest = if *largest > value || largest.is_nan() { *largest } else { value };
                        }
                    }
                    *to = largest;
                }
            })))
        }
    }

    /// The mean of the 3x3 window around each pixel, to `planes` planes of the same `height` x `width` pixels. What lies
    /// outside is zero and counted where `counts_padding`, else left out.
    pub fn average_pool(
        self,
        planes: usize,
        counts_padding: bool,
        input: Area<'_>,
        output: AreaMut<'_>,
        (height, width): (usize, usize),
    ) {
        // SAFETY: `new` has asked the machine for the instructions.
        unsafe {
            at_level!(self.level, S => S::run(|| each_row(planes, output, height, |plane, y, to| {
                let (top, bottom) = (y.saturating_sub(1), (y + 2).min(height));
                for (x, to) in to[..width].iter_mut().enumerate() {
                    let (left, right) = (x.saturating_sub(1), (x + 2).min(width));
                    let mut sums = Block::ZERO;
                    for y in top..bottom {
                        for block in &row(input, plane, y, width)[left..right] {
                            sums.0.iter_mut().zip(block.0).for_each(|(sum, value)| *sum += value);
                        }
                    }
                    let count = if counts_padding { 9 } else { (bottom - top) * (right - left) };
                    sums.0.iter_mut().for_each(|sum| *sum *= 1.0 / count as f32);
                    *to = sums;
                }
            })))
        }
    }

    /// The mean over `height` x `width` pixels of each channel; `to` has as many as are wanted.
    pub fn mean(self, input: Area<'_>, (height, width): (usize, usize), to: &mut [f32]) {
        for (plane, to) in to.chunks_mut(LANES).enumerate() {
            let mut sums = Block::ZERO;
            for y in 0..height {
                for block in row(input, plane, y, width) {
                    sums.0.iter_mut().zip(block.0).for_each(|(sum, value)| *sum += value);
                }
            }
            to.iter_mut().zip(sums.0).for_each(|(to, sum)| *to = sum / (height * width) as f32);
        }
    }
}

#[inline(always)]
fn row(input: Area<'_>, plane: usize, y: usize, pixels: usize) -> &[Block] {
    &input.data[input.first + plane * input.plane + y * input.row..][..pixels]
}

/// Calls `work` with each plane, each row, and the output from there on.
#[inline(always)]
fn each_row(planes: usize, output: AreaMut<'_>, height: usize, mut work: impl FnMut(usize, usize, &mut [Block])) {
    for plane in 0..planes {
        for y in 0..height {
            work(plane, y, &mut output.data[output.first + plane * output.plane + y * output.row..]);
        }
    }
}
