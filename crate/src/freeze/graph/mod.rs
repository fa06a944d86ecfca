//! The compiled form of a network with branches: dense convolutions and pools, one after the other.
//!
//! - Batch norm is folded in; bias and ReLU are applied while sums are still in registers.
//! - Kernels of 3x3 and 5x5 with many pixels take Winograd's detour, which has fewer multiplications.
//! - Joining branches costs nothing: each writes into its own channels of what comes out.
//! - Padding costs nothing but memory: what a padded convolution reads has a border of zeros.
//! - One photo, one thread, nothing allocated.

mod run;
mod spec;

#[cfg(test)]
mod tests;

pub(super) use spec::GraphSpec;

use super::kernels::{Area, AreaMut, Block, Kernels, LANES, Packed, PackedWindow, PackedWinograd};
use super::photo::PhotoFrame;
use super::plan::{Conv, pack};
use crate::models::{self, Step};
use crate::{Error, Result};
use spec::Size;

/// A network compiled for one machine and one size of photo.
#[derive(Debug)]
pub(super) struct Graph {
    kernels: Kernels,
    photo: PhotoFrame,
    /// The first convolution, which reads the photo, and where it writes.
    stem: (Packed, Frame),
    operations: Vec<Operation>,
    /// What comes out at the end; its mean is the features.
    last: Frame,
    features: usize,
    /// Blocks that each slot needs.
    slots: [usize; SLOTS],
    /// Blocks in which Winograd's convolutions work.
    work: usize,
}

/// Pieces of memory: what blocks read and write in turn, and what goes on inside a branch, in turn, too.
const SLOTS: usize = 4;

/// Output pixels from which on Winograd's detour is the shorter way: its weights are four times as many, and with few
/// tiles reading them takes longer than the multiplications that are saved.
const ENOUGH_PIXELS: usize = 400;

/// One kernel's work.
#[derive(Debug)]
struct Operation {
    kind: Kind,
    from: Frame,
    to: Frame,
    /// Which of the network's layers it belongs to.
    block: usize,
}

#[derive(Debug)]
enum Kind {
    Convolution { by: PackedWindow, padding: (usize, usize) },
    Winograd { by: PackedWinograd, padding: (usize, usize) },
    MaxPool,
    AveragePool { counts_padding: bool },
}

/// Where an activation lies: some planes of a slot, in a border of zeros.
#[derive(Clone, Copy, Debug)]
struct Frame {
    slot: usize,
    /// The first plane that is meant.
    first: usize,
    planes: usize,
    height: usize,
    width: usize,
    /// Zeros above and below, left and right, of every plane of the slot.
    border: (usize, usize),
}

impl Frame {
    fn new(slot: usize, size: Size, border: (usize, usize)) -> Self {
        Self { slot, first: 0, planes: size.channels.div_ceil(LANES), height: size.height, width: size.width, border }
    }

    /// From one row to the next.
    fn row(self) -> usize {
        self.width + 2 * self.border.1
    }

    /// From one plane to the next.
    fn plane(self) -> usize {
        (self.height + 2 * self.border.0) * self.row()
    }

    /// Some of its planes.
    fn part(self, first: usize, planes: usize) -> Self {
        Self { first: self.first + first, planes, ..self }
    }

    /// To read, from as many rows and columns outside as `outside` says.
    fn area(self, data: &[Block], outside: (usize, usize)) -> Area<'_> {
        let (row, plane) = (self.row(), self.plane());
        let first = self.first * plane + (self.border.0 - outside.0) * row + self.border.1 - outside.1;
        Area { data, first, row, plane }
    }

    /// To write, without the border.
    fn area_mut(self, data: &mut [Block]) -> AreaMut<'_> {
        let (row, plane) = (self.row(), self.plane());
        AreaMut { data, first: self.first * plane + self.border.0 * row + self.border.1, row, plane }
    }
}

impl Graph {
    /// Compiles `spec` for photos of `height` x `width`.
    ///
    /// # Errors
    /// Where the network is not of the kind that [`GraphSpec`] describes, or the photos are too small for it.
    pub fn new(spec: &GraphSpec, (height, width): (usize, usize), kernels: Kernels) -> Result<Self> {
        let mut writer = Writer { kernels, counts_padding: spec.counts_padding, operations: Vec::new() };
        let stem = stem(spec, (height, width), kernels)?;
        let mut last = stem.1;
        for (index, block) in spec.blocks.iter().enumerate().skip(1) {
            let border = spec.blocks.get(index + 1).map_or((0, 0), padding);
            last = writer.block(index, block, last, border)?;
        }
        let operations = writer.operations;
        let mut slots = [0; SLOTS];
        for frame in operations.iter().map(|operation| operation.to).chain([stem.1]) {
            slots[frame.slot] = slots[frame.slot].max((frame.first + frame.planes) * frame.plane());
        }
        let work = operations.iter().map(|operation| match &operation.kind {
            Kind::Winograd { by, .. } => by.work((operation.to.height, operation.to.width)),
            _ => 0,
        });
        let work = work.max().unwrap_or(0);
        let photo = PhotoFrame { height, width, border: 0 };
        Ok(Self { kernels, photo, stem, operations, last, features: last.planes * LANES, slots, work })
    }
}

/// The first convolution, and where it writes.
fn stem(spec: &GraphSpec, side: (usize, usize), kernels: Kernels) -> Result<(Packed, Frame)> {
    let only = spec.blocks.first().and_then(|block| match block.branches.as_slice() {
        [steps] => Some((block, steps.as_slice())),
        _ => None,
    });
    let Some((block, [Step::Convolution(conv)])) = only else {
        let want = "it begins with a single convolution".into();
        return Err(Error::Setting { setting: "the frozen plan", got: "another network".into(), want });
    };
    let size = spec::after_stem(&block.name, conv, side)?;
    Ok((pack::dense(conv, kernels), Frame::new(0, size, spec.blocks.get(1).map_or((0, 0), padding))))
}

/// The zeros that a block's first steps need around what they read.
fn padding(block: &models::Block<Conv>) -> (usize, usize) {
    block.branches.iter().filter_map(|steps| steps.first()).map(step_padding).fold((0, 0), larger)
}

fn step_padding(step: &Step<Conv>) -> (usize, usize) {
    match step {
        Step::Convolution(conv) => conv.padding,
        Step::Split([left, right]) => larger(left.padding, right.padding),
        // Pools look to their edges themselves.
        Step::MaxPool | Step::AveragePool => (0, 0),
    }
}

fn larger(a: (usize, usize), b: (usize, usize)) -> (usize, usize) {
    (a.0.max(b.0), a.1.max(b.1))
}

/// Writes down the operations.
struct Writer {
    kernels: Kernels,
    counts_padding: bool,
    operations: Vec<Operation>,
}

impl Writer {
    /// All branches of a block, each into its own channels of what is returned.
    fn block(
        &mut self,
        index: usize,
        block: &models::Block<Conv>,
        from: Frame,
        border: (usize, usize),
    ) -> Result<Frame> {
        let name = &block.name;
        let input = Size { channels: from.planes * LANES, height: from.height, width: from.width };
        let mut ends = Vec::with_capacity(block.branches.len());
        for steps in &block.branches {
            ends.push(steps.iter().try_fold(input, |size, step| spec::after_step(name, step, size))?);
        }
        let Some(whole) = ends.iter().copied().map(Ok).reduce(|a, b| spec::joined(name, a?, b?)) else {
            return Ok(from);
        };
        // What blocks read and write is in the first two slots, in turn.
        let to = Frame::new(1 - from.slot, whole?, border);
        let mut first = 0;
        for (steps, end) in block.branches.iter().zip(ends) {
            self.branch(index, name, steps, from, to.part(first, end.channels / LANES))?;
            first += end.channels / LANES;
        }
        Ok(to)
    }

    fn branch(&mut self, block: usize, name: &str, steps: &[Step<Conv>], from: Frame, end: Frame) -> Result<()> {
        let mut from = from;
        for (i, step) in steps.iter().enumerate() {
            let input = Size { channels: from.planes * LANES, height: from.height, width: from.width };
            let to = match steps.get(i + 1) {
                None => end,
                Some(next) => Frame::new(2 + i % 2, spec::after_step(name, step, input)?, step_padding(next)),
            };
            match step {
                Step::Convolution(conv) => self.convolution(block, conv, from, to),
                Step::Split([left, right]) => {
                    let half = left.outputs() / LANES;
                    self.convolution(block, left, from, to.part(0, half));
                    self.convolution(block, right, from, to.part(half, right.outputs() / LANES));
                }
                Step::MaxPool => self.operations.push(Operation { kind: Kind::MaxPool, from, to, block }),
                Step::AveragePool => {
                    let kind = Kind::AveragePool { counts_padding: self.counts_padding };
                    self.operations.push(Operation { kind, from, to, block });
                }
            }
            from = to;
        }
        Ok(())
    }

    fn convolution(&mut self, block: usize, conv: &Conv, from: Frame, to: Frame) {
        let [_, _, rows, columns] = conv.shape;
        let square = rows == columns && matches!(rows, 3 | 5) && conv.stride == 1;
        let padding = conv.padding;
        let kind = if square && to.height * to.width >= ENOUGH_PIXELS {
            Kind::Winograd { by: pack::winograd(conv, self.kernels), padding }
        } else {
            Kind::Convolution { by: pack::window(conv, self.kernels), padding }
        };
        self.operations.push(Operation { kind, from, to, block });
    }
}
