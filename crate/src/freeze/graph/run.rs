//! One photo through a graph.

use super::{Frame, Graph, Kind, Operation, SLOTS};
use crate::freeze::kernels::{AreaMut, Block, Framed, Kernels, ViewMut};
use crate::freeze::photo::Photo;
use crate::freeze::program::Program;

/// Memory for one photo at a time.
pub(in crate::freeze) struct Scratch {
    photo: Vec<f32>,
    slots: [Vec<Block>; SLOTS],
    work: Vec<Block>,
}

impl Program for Graph {
    type Scratch = Scratch;

    fn features(&self) -> usize {
        self.features
    }

    fn side(&self) -> (usize, usize) {
        (self.photo.height, self.photo.width)
    }

    fn scratch(&self) -> Scratch {
        let blocks = |n| vec![Block::ZERO; n];
        Scratch { photo: self.photo.memory(), slots: self.slots.map(blocks), work: blocks(self.work) }
    }

    fn run(&self, photo: Photo<'_>, scratch: &mut Scratch, out: &mut [f32], after: &mut dyn FnMut(usize)) {
        let Scratch { photo: pixels, slots, work } = scratch;
        self.photo.fill(photo, pixels);
        after(0);
        self.stem(self.photo.of(pixels), slots);
        let mut block = 0;
        for operation in &self.operations {
            if operation.block != block {
                block = operation.block;
                after(block);
            }
            operation.run(self.kernels, slots, work);
        }
        let size = (self.last.height, self.last.width);
        self.kernels.mean(self.last.area(&slots[self.last.slot], (0, 0)), size, out);
        after(block + 1);
    }
}

impl Graph {
    fn stem(&self, photo: Framed<'_>, slots: &mut [Vec<Block>; SLOTS]) {
        let (by, to) = &self.stem;
        let data = &mut slots[to.slot];
        to.clear_border(data);
        let AreaMut { data, first, row, plane } = to.area_mut(data);
        for y in 0..to.height {
            let output = ViewMut { data, plane, first: first + y * row };
            self.kernels.stem_row(by, photo, y, to.width, output);
        }
    }
}

impl Operation {
    fn run(&self, kernels: Kernels, slots: &mut [Vec<Block>; SLOTS], work: &mut [Block]) {
        let (from, to) = (self.from, self.to);
        let Ok([input, output]) = slots.get_disjoint_mut([from.slot, to.slot]) else {
            unreachable!("an operation reads and writes different slots");
        };
        to.clear_border(output);
        let output = to.area_mut(output);
        let size = (to.height, to.width);
        match &self.kind {
            Kind::Convolution { by, padding } => {
                let input = from.area(input, *padding);
                match flat(from, to, by.kernel, by.stride) {
                    Some(pixels) => kernels.convolution(by, input, output, (1, pixels)),
                    None => kernels.convolution(by, input, output, size),
                }
            }
            Kind::Winograd { by, padding } => kernels.winograd(by, from.area(input, *padding), output, size, work),
            Kind::MaxPool => kernels.max_pool(to.planes, from.area(input, (0, 0)), output, size),
            Kind::AveragePool { counts_padding } => {
                kernels.average_pool(to.planes, *counts_padding, from.area(input, (0, 0)), output, size);
            }
        }
    }
}

/// How many pixels there are, where a convolution may take them all for one row: tiles are fuller then.
fn flat(from: Frame, to: Frame, kernel: (usize, usize), stride: usize) -> Option<usize> {
    let plain = (kernel, stride, from.border, to.border) == ((1, 1), 1, (0, 0), (0, 0));
    plain.then_some(to.height * to.width)
}

impl Frame {
    /// Makes the border zero: the memory was something else's before.
    fn clear_border(self, data: &mut [Block]) {
        let ((above, left), row, plane) = (self.border, self.row(), self.plane());
        if (above, left) == (0, 0) {
            return;
        }
        for plane in data[self.first * plane..][..self.planes * plane].chunks_exact_mut(plane) {
            plane[..above * row].fill(Block::ZERO);
            plane[(above + self.height) * row..].fill(Block::ZERO);
            for row in plane[above * row..][..self.height * row].chunks_exact_mut(row) {
                row[..left].fill(Block::ZERO);
                row[left + self.width..].fill(Block::ZERO);
            }
        }
    }
}
