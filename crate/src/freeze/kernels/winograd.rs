//! Convolutions of 3x3 and 5x5 with fewer multiplications, after Winograd (Lavin and Gray 2015, arXiv 1509.09308).
//!
//! Tiles of 6x6 input pixels give 4x4 output pixels of a 3x3 kernel, 2x2 of a 5x5 one. Seen at 36 points in place of
//! 36 pixels, input and kernel are multiplied point by point: 36 products where the definition has 144 or 100. Both
//! sums over channels are the tiles of pixels by channels of any convolution. In f32 the detour costs a few units of
//! the sixth digit; larger tiles would cost more.

use super::convolution::{Area, AreaMut, row_of_tiles};
use super::simd::{Simd, Window};
use super::{Block, Kernels, LANES, at_level};
use crate::freeze::CpuLevel;

/// Rows and columns of a tile of input.
pub(in crate::freeze) const TILE: usize = 6;
/// Points at which a tile is seen.
pub(in crate::freeze) const POINTS: usize = TILE * TILE;
/// What tiles at work may fill: they and a panel of weights stay in a common L2 cache.
const WORK_BYTES: usize = 512 << 10;

/// Weights seen at 36 points.
#[derive(Clone, Debug)]
pub(in crate::freeze) struct PackedWinograd {
    /// For each panel of `panel` blocks of outputs (the last may be narrower), for each point, for each block of
    /// inputs, for each of the 16 inputs, the outputs' weights.
    pub weights: Vec<Block>,
    /// One for each output.
    pub bias: Vec<Block>,
    /// Blocks of inputs.
    pub planes: usize,
    /// Rows and columns of the kernel: 3 or 5.
    pub side: usize,
    /// Blocks of outputs that a tile of the product is wide: [`Kernels::panel`].
    pub panel: usize,
    /// What results are clamped to.
    pub clamp: (f32, f32),
}

impl PackedWinograd {
    /// Rows and columns of output that a tile gives.
    fn step(&self) -> usize {
        TILE + 1 - self.side
    }

    /// Tiles along both sides of the output, and rows of tiles that are worked on at once.
    fn tiles(&self, (height, width): (usize, usize)) -> (usize, usize, usize) {
        let (down, across) = (height.div_ceil(self.step()), width.div_ceil(self.step()));
        let row = POINTS * (self.planes + self.panel) * across * size_of::<Block>();
        let most = (WORK_BYTES / row.max(1)).clamp(1, down);
        // As even as they come.
        (down, across, down.div_ceil(down.div_ceil(most)))
    }

    /// Blocks of memory that [`Kernels::winograd`] works in for an output of this size.
    pub fn work(&self, size: (usize, usize)) -> usize {
        let (_, across, rows) = self.tiles(size);
        POINTS * (self.planes + self.panel) * across * rows
    }

    /// A kernel of `side` taps along one axis, seen at each of the six points: 0, 1, -1, 2, -2 and infinity.
    pub fn seen(taps: &[f64]) -> [f64; TILE] {
        let at = |point: f64, scale: f64| scale * taps.iter().rev().fold(0.0, |sum, tap| sum * point + tap);
        let infinity = taps.last().copied().unwrap_or_default();
        [at(0.0, 0.25), at(1.0, -1.0 / 6.0), at(-1.0, -1.0 / 6.0), at(2.0, 1.0 / 24.0), at(-2.0, 1.0 / 24.0), infinity]
    }
}

/// What some tiles and what they make have to do with memory. Lengths count floats.
#[derive(Clone, Copy)]
struct Tiles {
    /// Tiles in all.
    count: usize,
    /// From one point to the next, of what is seen of the input, and of the products.
    seen_point: usize,
    made_point: usize,
}

impl Kernels {
    /// The convolution of stride 1 to `height` x `width` pixels of all output channels, as
    /// [`convolution`](Self::convolution) gives it up to rounding. `work` is as long as
    /// [`PackedWinograd::work`] says.
    pub fn winograd(
        self,
        by: &PackedWinograd,
        input: Area<'_>,
        output: AreaMut<'_>,
        (height, width): (usize, usize),
        work: &mut [Block],
    ) {
        assert!(height > 0 && width > 0 && matches!(by.side, 3 | 5) && by.panel == self.panel());
        let (in_rows, in_columns) = (height + by.side - 1, width + by.side - 1);
        assert!(input.reaches(by.planes, in_rows, in_columns) && output.reaches(by.bias.len(), height, width));
        assert_eq!(by.weights.len(), by.bias.len() * by.planes * POINTS * LANES);
        let (down, across, rows) = by.tiles((height, width));
        assert!(work.len() >= by.work((height, width)));
        for top in (0..down).step_by(rows) {
            let rows = rows.min(down - top);
            let count = rows * across;
            let tiles = Tiles { count, seen_point: by.planes * count * LANES, made_point: by.panel * count * LANES };
            let (seen, made) = work.split_at_mut(POINTS * by.planes * count);
            for plane in 0..by.planes {
                for tile in 0..count {
                    let (y, x) = ((top + tile / across) * by.step(), tile % across * by.step());
                    let inside = ((in_rows - y).min(TILE), (in_columns - x).min(TILE));
                    let from = &input.data[input.first + plane * input.plane + y * input.row + x..];
                    self.see(from, input.row, inside, &mut seen[plane * count + tile..], tiles);
                }
            }
            for first in (0..by.bias.len()).step_by(by.panel) {
                let blocks = by.panel.min(by.bias.len() - first);
                self.multiply(by, first, blocks, seen, made, tiles);
                for (block, tile) in (0..blocks).flat_map(|block| (0..count).map(move |tile| (block, tile))) {
                    let (y, x) = ((top + tile / across) * by.step(), tile % across * by.step());
                    let inside = ((height - y).min(by.step()), (width - x).min(by.step()));
                    let at = output.first + (first + block) * output.plane + y * output.row + x;
                    let to = &mut output.data[at..];
                    self.finish(by, first + block, &made[block * count + tile..], tiles, to, output.row, inside);
                }
            }
        }
    }

    /// One tile, of which `inside` rows and columns exist, as seen at the 36 points.
    fn see(self, from: &[Block], row: usize, inside: (usize, usize), to: &mut [Block], tiles: Tiles) {
        let mut edge = [Block::ZERO; POINTS];
        let (from, row) = if inside == (TILE, TILE) {
            (from, row)
        } else {
            for y in 0..inside.0 {
                edge[y * TILE..][..inside.1].copy_from_slice(&from[y * row..][..inside.1]);
            }
            (&edge[..], TILE)
        };
        assert!((TILE - 1) * row + TILE <= from.len() && (POINTS - 1) * tiles.seen_point / LANES < to.len());
        // SAFETY: the asserts: six rows of six blocks to read, and a block at each of the points to write.
        unsafe {
            let (from, to) = (from.as_ptr().cast(), to.as_mut_ptr().cast());
            at_level!(self.level, S => S::see(from, row * LANES, to, tiles.seen_point));
        }
    }

    /// The products at every point, for all tiles and the output blocks from `first` on.
    fn multiply(
        self,
        by: &PackedWinograd,
        first: usize,
        blocks: usize,
        seen: &[Block],
        made: &mut [Block],
        tiles: Tiles,
    ) {
        let Tiles { count, seen_point, made_point } = tiles;
        assert!(seen.len() >= POINTS * by.planes * count && made.len() >= POINTS * by.panel * count);
        let zeros = [Block::ZERO; 2];
        assert!(blocks <= zeros.len() && blocks <= by.panel);
        // Wider panels before this one have as many weights in all as narrower ones would.
        let weights = &by.weights[first * POINTS * by.planes * LANES..][..blocks * POINTS * by.planes * LANES];
        for (point, weights) in weights.chunks_exact(blocks * by.planes * LANES).enumerate() {
            // SAFETY: the asserts: `planes` planes of `count` blocks at every point to read, `blocks` to write, as many
            // weights, and a bias of zeros.
            unsafe {
                let job = Window {
                    input: seen.as_ptr().cast::<f32>().add(point * seen_point),
                    planes: by.planes,
                    plane: count * LANES,
                    rows: 1,
                    row: 0,
                    columns: 1,
                    weights: weights.as_ptr().cast(),
                    bias: zeros.as_ptr().cast(),
                    output: made.as_mut_ptr().cast::<f32>().add(point * made_point),
                    output_plane: count * LANES,
                    clamp: (f32::NEG_INFINITY, f32::INFINITY),
                };
                at_level!(self.level, S => row_of_tiles::<S, LANES>(blocks, count, job));
            }
        }
    }

    /// The pixels of one tile of output from its products, of which `inside` rows and columns are wanted.
    #[allow(clippy::too_many_arguments)]
    fn finish(
        self,
        by: &PackedWinograd,
        block: usize,
        from: &[Block],
        tiles: Tiles,
        to: &mut [Block],
        row: usize,
        inside: (usize, usize),
    ) {
        let step = by.step();
        assert!((POINTS - 1) * tiles.made_point / LANES < from.len());
        let bias = &by.bias[block];
        let mut edge = [Block::ZERO; 16];
        let whole = inside == (step, step);
        let (target, target_row) = if whole { (&mut *to, row) } else { (&mut edge[..], 4) };
        assert!((step - 1) * target_row + step <= target.len());
        // SAFETY: the asserts: a block at each of the points to read, and `step` rows of as many blocks to write.
        unsafe {
            let (from, bias) = (from.as_ptr().cast(), bias.0.as_ptr());
            let (target, target_row) = (target.as_mut_ptr().cast(), target_row * LANES);
            at_level!(self.level, S => match step {
                4 => S::finish::<4>(from, tiles.made_point, bias, by.clamp, target, target_row),
                _ => S::finish::<2>(from, tiles.made_point, bias, by.clamp, target, target_row),
            });
        }
        if !whole {
            for y in 0..inside.0 {
                to[y * row..][..inside.1].copy_from_slice(&edge[y * 4..][..inside.1]);
            }
        }
    }
}

/// Six pixels in a row, seen at the points 0, 1, -1, 2, -2 and infinity.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
unsafe fn seen<S: Simd>(d: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        let times = |a: f32, x, plus| S::fma(S::splat(a), x, plus);
        let (even, odd) = (times(-4.0, d[2], d[4]), times(-4.0, d[1], d[3]));
        let (near, far) = (times(-1.0, d[2], d[4]), times(-1.0, d[1], d[3]));
        [
            times(4.0, d[0], times(-5.0, d[2], d[4])),
            S::add(even, odd),
            times(-1.0, odd, even),
            times(2.0, far, near),
            times(-2.0, far, near),
            times(4.0, d[1], times(-5.0, d[3], d[5])),
        ]
    }
}

/// The first `M` (4 or 2) pixels in a row from their products at the six points.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
unsafe fn made<S: Simd, const M: usize>(m: [S::V; 6]) -> [S::V; M] {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        let times = |a: f32, x, plus| S::fma(S::splat(a), x, plus);
        let (one, one_odd) = (S::add(m[1], m[2]), times(-1.0, m[2], m[1]));
        let (two, two_odd) = (S::add(m[3], m[4]), times(-1.0, m[4], m[3]));
        // Powers of the points: of 2 for the third and fourth, 1 for the first two.
        let mut out = [S::add(m[0], S::add(one, two)); M];
        for (power, out) in out.iter_mut().enumerate().skip(1) {
            let scale = (1 << power) as f32;
            *out = if power % 2 == 1 { times(scale, two_odd, one_odd) } else { times(scale, two, one) };
            if power + 1 == M {
                *out = S::add(*out, m[5]);
            }
        }
        out
    }
}

/// A tile of 6x6 pixels, rows `row` floats apart, seen at 36 points, which are written `point` floats apart.
///
/// # Safety
/// As for [`Simd`]; the pointers are good for 16 floats at each of the places.
#[inline(always)]
pub(super) unsafe fn see<S: Simd>(from: *const f32, row: usize, to: *mut f32, point: usize) {
    for lane in (0..LANES).step_by(S::WIDTH) {
        // SAFETY: the caller's promise: six rows of six blocks, 36 points.
        unsafe {
            let mut rows = [[S::splat(0.0); 6]; 6];
            for (y, seen_row) in rows.iter_mut().enumerate() {
                let from = from.add(y * row + lane);
                *seen_row = seen::<S>(std::array::from_fn(|x| S::load(from.add(x * LANES))));
            }
            for x in 0..6 {
                let column = seen::<S>(rows.map(|row| row[x]));
                for (y, value) in column.into_iter().enumerate() {
                    S::store(to.add((y * 6 + x) * point + lane), value);
                }
            }
        }
    }
}

/// A tile of `M` x `M` pixels, clamped, from its products at 36 points.
///
/// # Safety
/// As for [`Simd`]; the pointers are good for 16 floats at each of the places.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd, const M: usize>(
    from: *const f32,
    point: usize,
    bias: *const f32,
    clamp: (f32, f32),
    to: *mut f32,
    row: usize,
) {
    for lane in (0..LANES).step_by(S::WIDTH) {
        // SAFETY: the caller's promise: 36 points, `M` rows of `M` blocks.
        unsafe {
            let mut columns = [[S::splat(0.0); M]; 6];
            for (x, column) in columns.iter_mut().enumerate() {
                let from = from.add(x * point + lane);
                *column = made::<S, M>(std::array::from_fn(|y| S::load(from.add(y * 6 * point))));
            }
            let bias = S::load(bias.add(lane));
            let (low, high) = (S::splat(clamp.0), S::splat(clamp.1));
            for y in 0..M {
                let pixels = made::<S, M>(columns.map(|column| column[y]));
                for (x, pixel) in pixels.into_iter().enumerate() {
                    S::store(to.add(y * row + x * LANES + lane), S::clamp(S::add(pixel, bias), low, high));
                }
            }
        }
    }
}
