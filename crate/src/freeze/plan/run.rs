//! One photo through a plan.

use super::{Inverted, Plan, Size, Source, Step};
use crate::freeze::kernels::{Block, Framed, Kernels, LANES, Packed, Ring, View, ViewMut};
use crate::freeze::photo::Photo;
use crate::freeze::program::Program;

/// Memory for one photo at a time, as much as a plan needs.
pub(in crate::freeze) struct Scratch {
    /// The normalised photo with one pixel of zeros around, three floats a pixel.
    photo: Vec<f32>,
    /// What the step before made, and what this one makes.
    activations: [Vec<Block>; 2],
    /// The rows of a block's middle that are still needed.
    ring: Vec<Block>,
    /// A stripe of what the depthwise convolution makes.
    stripe: Vec<Block>,
    zeros: Vec<Block>,
    features: Vec<Block>,
}

impl Program for Plan {
    type Scratch = Scratch;

    fn features(&self) -> usize {
        self.features
    }

    fn side(&self) -> (usize, usize) {
        (self.photo.height, self.photo.width)
    }

    fn scratch(&self) -> Scratch {
        let blocks = |n| vec![Block::ZERO; n];
        Scratch {
            photo: self.photo.memory(),
            activations: [blocks(self.sizes.activation), blocks(self.sizes.activation)],
            ring: blocks(self.sizes.ring),
            stripe: blocks(self.sizes.stripe),
            zeros: blocks(self.sizes.row),
            features: blocks(self.last.bias.len()),
        }
    }

    fn run(&self, photo: Photo<'_>, scratch: &mut Scratch, out: &mut [f32], after: &mut dyn FnMut(usize)) {
        let size = self.walk(photo, scratch, self.steps.len(), after);
        let Scratch { activations, features, .. } = scratch;
        let view = View { data: &activations[self.steps.len() % 2], plane: size.pixels(), first: 0 };
        self.kernels.pooled(&self.last, size.pixels(), view, features);
        for (out, block) in out.chunks_mut(LANES).zip(features.iter()) {
            out.copy_from_slice(&block.0[..out.len()]);
        }
        after(self.steps.len() + 1);
    }

    fn run_to_block(
        &self,
        photo: Photo<'_>,
        scratch: &mut Scratch,
        block: usize,
        (channels, height, width): (usize, usize, usize),
        out: &mut [f32],
    ) -> bool {
        // A stem may have a step of its own, before the blocks.
        let lone_stem = usize::from(matches!(self.steps.first(), Some(Step::Stem { .. })));
        let Some(Step::Residual(Inverted { output, .. })) = self.steps.get(block + lone_stem) else { return false };
        let alike = (output.height, output.width, output.blocks) == (height, width, channels.div_ceil(LANES));
        if !alike || out.len() != channels * height * width {
            return false;
        }
        let count = block + lone_stem + 1;
        let size = self.walk(photo, scratch, count, &mut |_| ());
        let made = &scratch.activations[count % 2];
        for (channel, plane) in out.chunks_exact_mut(size.pixels()).enumerate() {
            let blocks = &made[channel / LANES * size.pixels()..][..size.pixels()];
            for (out, block) in plane.iter_mut().zip(blocks) {
                *out = block.0[channel % LANES];
            }
        }
        true
    }
}

impl Plan {
    /// Runs the first `count` steps, and gives the size of what the last of them made; that lies in the scratch memory's
    /// activations number `count % 2`.
    fn walk(&self, photo: Photo<'_>, scratch: &mut Scratch, count: usize, after: &mut dyn FnMut(usize)) -> Size {
        self.photo.fill(photo, &mut scratch.photo);
        after(0);
        let Scratch { photo, activations: [from, to], ring, stripe, zeros, .. } = scratch;
        let photo = self.photo.of(photo);
        let (mut from, mut to) = (from, to);
        let mut size = Size { height: 0, width: 0, blocks: 0 };
        for (i, step) in self.steps.iter().take(count).enumerate() {
            match step {
                Step::Stem { stem, output } => {
                    stem_rows(self.kernels, stem, photo, 0..output.height, *output, output.height, to);
                    size = *output;
                }
                Step::Residual(step) => {
                    step.run(self.kernels, photo, from, to, Buffers { ring, stripe, zeros });
                    size = step.output;
                }
            }
            std::mem::swap(&mut from, &mut to);
            after(i + 1);
        }
        size
    }
}

/// What an inverted residual needs besides input and output.
struct Buffers<'a> {
    ring: &'a mut [Block],
    stripe: &'a mut [Block],
    zeros: &'a [Block],
}

impl Inverted {
    fn run(&self, kernels: Kernels, photo: Framed<'_>, from: &[Block], to: &mut [Block], buffers: Buffers<'_>) {
        let Buffers { ring, stripe, zeros } = buffers;
        let (stride, out) = (self.depthwise.stride, self.output);
        let mut made = 0;
        for first in (0..out.height).step_by(self.stripe) {
            let end = (first + self.stripe).min(out.height);
            let needed = ((end - 1) * stride + 2).min(self.middle.height);
            if let Source::Stem(stem) = &self.source {
                stem_rows(kernels, stem, photo, made..needed, self.middle, self.ring, ring);
            }
            let pixels = (end - first) * out.width;
            // A panel of channels at a time, so that the depthwise finds it in the nearest cache.
            for panel in (0..self.middle.blocks).step_by(kernels.panel()) {
                let panel = panel..(panel + kernels.panel()).min(self.middle.blocks);
                if let Source::Expand(expand) = &self.source {
                    self.expand(kernels, expand, panel.clone(), made..needed, from, ring);
                }
                for block in panel {
                    let rows = self.rows(block, from, ring);
                    let to = &mut stripe[block * pixels..][..pixels];
                    kernels.depthwise(&self.depthwise, block, rows, zeros, first..end, to);
                }
            }
            made = needed;
            let view = |data| View { data, plane: out.pixels(), first: first * out.width };
            kernels.pointwise(
                &self.project,
                0..out.blocks,
                pixels,
                View { data: stripe, plane: pixels, first: 0 },
                ViewMut { data: to, plane: out.pixels(), first: first * out.width },
                self.residual.then(|| view(from)),
            );
        }
    }

    /// The rows that the depthwise convolution reads, of one block of channels.
    fn rows<'a>(&self, block: usize, from: &'a [Block], ring: &'a [Block]) -> Ring<'a> {
        let Size { height, width, .. } = self.middle;
        let (data, rows) = match self.source {
            Source::Input => (from, height),
            _ => (ring, self.ring),
        };
        Ring { data: &data[block * rows * width..][..rows * width], rows, width, height }
    }

    /// Expands the rows `rows` to the channel blocks `panel`, into their places in the ring.
    fn expand(
        &self,
        kernels: Kernels,
        expand: &Packed,
        panel: std::ops::Range<usize>,
        rows: std::ops::Range<usize>,
        from: &[Block],
        ring: &mut [Block],
    ) {
        let width = self.middle.width;
        let mut y = rows.start;
        while y < rows.end {
            // As far as the ring goes without a turn.
            let count = (self.ring - y % self.ring).min(rows.end - y);
            let input = View { data: from, plane: self.input.pixels(), first: y * width };
            let output = ViewMut { data: ring, plane: self.ring * width, first: y % self.ring * width };
            kernels.pointwise(expand, panel.clone(), count * width, input, output, None);
            y += count;
        }
    }
}

/// Rows of the stem, each into its place in a ring of `ring` rows.
fn stem_rows(
    kernels: Kernels,
    stem: &Packed,
    photo: Framed<'_>,
    rows: std::ops::Range<usize>,
    size: Size,
    ring: usize,
    to: &mut [Block],
) {
    for y in rows {
        let output = ViewMut { data: to, plane: ring * size.width, first: y % ring * size.width };
        kernels.stem_row(stem, photo, y, size.width, output);
    }
}
