//! The compiled form of a network for a GPU: launches and products of matrices, one after the other, in memory of its own.
//!
//! - Batch norm is folded in. What follows the convolution that widens channels, its bias and ReLU6, is applied where the
//!   depthwise one reads, and what follows the last where the mean does: neither is written once more for that.
//! - Activations lie channels last: a convolution is one product for all pixels of all photos, and joining branches costs
//!   nothing, since each writes into its own channels of what comes out.
//! - Larger kernels are unrolled, a few photos at a time, so that what is unrolled may still be in the GPU's cache when it
//!   is multiplied (`UNROLLED`).
//! - The memory is as large as the largest batch so far asked for, and used again by the next.
//!
//! What is said here needs no GPU: a [`Machine`] does it. A test's machine does so on the host.
//!
//! # Why unrolled, and not an implicit product
//! A kernel of our own could gather what a window meets while it multiplies. By InceptionV3's shapes, at 32 photos, its 54
//! larger kernels are 285 of 366 Gflop and unroll to 1.22 billion numbers. On an H100 of 67 Tflop/s in f32 and 3.35 TB/s, by
//! its data sheet, with products at 0.8 of that:
//!
//! - in f32 these products take 5.3 ms, writing and reading what is unrolled 2.9 ms where none of it stays in the cache. A
//!   gathering kernel would have to reach half of the peak to be as fast, more where the cache holds something; written
//!   without a GPU to try it on it would hardly do so.
//! - in bf16, at 0.6 of 989 Tflop/s, the products take 0.5 ms and the unrolling 1.5 ms. There gathering saves most of the
//!   time, but only on tensor cores: without them it takes 8.5 ms at half of the f32 peak. Such kernels are what cuDNN has.
//!
//! So: cuBLAS here; and in bf16 cuDNN by the feature `cudnn`, with which InceptionV3 has no plan of this kind. These are sums
//! over shapes, and no measurements.

mod sizes;
mod write;

#[cfg(test)]
mod tests;

use crate::cuda::Launch;
use candle_core::Result;

/// Numbers that are unrolled at a time, at most, where one photo does not take more: 64 MiB of f32, 32 MiB of halves. Fewer
/// stay in a cache more surely; more make products that keep all of a GPU busy.
const UNROLLED: usize = 1 << 24;

/// Pieces of memory: what blocks read and write in turn, and what goes on inside a block, in turn, too.
pub(crate) const SLOTS: usize = 4;

/// A network as launches, for photos of one size.
#[derive(Debug)]
pub(crate) struct Launches {
    pub side: (usize, usize),
    /// Numbers that come out.
    pub features: usize,
    /// Kernels of convolutions as rows, which the GPU keeps in the precision asked for.
    pub weights: Vec<f32>,
    /// What is the same for a channel, which it keeps in f32.
    pub constants: Vec<f32>,
    /// Numbers a photo that each slot needs.
    pub slots: [usize; SLOTS],
    /// From bytes or planes to the first slot that is read.
    begin: [Step; 2],
    steps: Vec<Step>,
}

/// Of what photos are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Photos {
    /// Bytes `(N, H, W, 3)`.
    Bytes,
    /// Planes `(N, 3, H, W)` in f32, preprocessed.
    Planes,
}

/// Where numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Region {
    /// The photos.
    Photos,
    /// What is kept between steps, in the precision asked for.
    Slot(usize),
    /// What is unrolled.
    Unrolled,
    /// What comes out, in f32.
    Features,
}

/// So many numbers behind a region's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub region: Region,
    pub first: usize,
}

/// A product of matrices: rows of `depth` numbers with `outputs` rows of weights, each pair to a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub depth: usize,
    pub outputs: usize,
    /// Numbers from one row of what comes out to the next.
    pub row: usize,
    /// The first of its weights.
    pub weights: usize,
}

/// What does the work: a GPU, or a test's stand-in.
pub(crate) trait Machine {
    /// Starts a kernel: input, constants from a number on, another input, output.
    fn launch(&mut self, launch: &Launch, from: At, constants: Option<usize>, with: Option<At>, to: At) -> Result<()>;

    /// Multiplies so many rows.
    fn multiply(&mut self, rows: usize, product: &Product, from: At, to: At) -> Result<()>;
}

/// One thing to do, for one photo: in a batch as often.
#[derive(Debug)]
enum Step {
    Launch {
        launch: Launch,
        from: Region,
        constants: Option<usize>,
        with: Option<Region>,
        to: At,
    },
    Product {
        pixels: usize,
        product: Product,
        from: Region,
        to: At,
    },
    /// A product of what a launch unrolls.
    Unrolled {
        launch: Launch,
        pixels: usize,
        product: Product,
        from: Region,
        to: At,
    },
}

impl Launches {
    /// Has the machine compute the features of so many photos.
    pub fn run(&self, kind: Photos, photos: usize, machine: &mut impl Machine) -> Result<()> {
        let begin = self.begin.get(kind as usize);
        begin.into_iter().chain(&self.steps).try_for_each(|step| self.step(step, photos, machine))
    }

    fn step(&self, step: &Step, photos: usize, machine: &mut impl Machine) -> Result<()> {
        let start = |region: Region| At { region, first: 0 };
        match step {
            Step::Launch { launch, from, constants, with, to } => {
                machine.launch(&launch.of(photos)?, start(*from), *constants, with.map(start), *to)
            }
            Step::Product { pixels, product, from, to } => {
                machine.multiply(photos * pixels, product, start(*from), *to)
            }
            Step::Unrolled { launch, pixels, product, from, to } => {
                let input = launch.input();
                let together = together(launch, photos);
                for first in (0..photos).step_by(together) {
                    let count = together.min(photos - first);
                    let from = At { region: *from, first: first * input };
                    let to = At { first: to.first + first * pixels * product.row, ..*to };
                    machine.launch(&launch.of(count)?, from, None, None, start(Region::Unrolled))?;
                    machine.multiply(count * pixels, product, start(Region::Unrolled), to)?;
                }
                Ok(())
            }
        }
    }

    /// Hands each step, for so many photos, to `measure`: what it does, and a way to have it done once more.
    pub fn each<M: Machine>(
        &self,
        kind: Photos,
        photos: usize,
        machine: &mut M,
        measure: &mut Measure<'_>,
    ) -> Result<()> {
        let begin = self.begin.get(kind as usize);
        begin
            .into_iter()
            .chain(&self.steps)
            .try_for_each(|step| measure(step.work(photos), &mut || self.step(step, photos, machine)))
    }

    /// Numbers that [`Region::Unrolled`] must have room for, with so many photos.
    pub fn unrolled(&self, photos: usize) -> usize {
        let of_step = |step: &Step| match step {
            Step::Unrolled { launch, .. } => together(launch, photos) * launch.writes(),
            _ => 0,
        };
        self.steps.iter().map(of_step).max().unwrap_or(0)
    }

    /// Bytes that a photo more takes, in numbers of so many bytes.
    pub fn bytes_of_photo(&self, size: usize) -> usize {
        let (height, width) = self.side;
        3 * height * width + size * self.slots.iter().sum::<usize>() + 4 * self.features
    }

    /// The kernels that are launched.
    pub fn kernels(&self) -> Vec<&'static str> {
        let kernel = |step: &Step| match step {
            Step::Launch { launch, .. } | Step::Unrolled { launch, .. } => Some(launch.kernel),
            Step::Product { .. } => None,
        };
        self.begin.iter().chain(&self.steps).filter_map(kernel).collect()
    }
}

/// Is handed what a step does, and a way to have it done.
pub(crate) type Measure<'a> = dyn FnMut(Work, &mut dyn FnMut() -> Result<()>) -> Result<()> + 'a;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub what: &'static str,
    /// Numbers that go in and come out, each once; what is unrolled in between is both.
    pub numbers: usize,
    /// Multiplications and additions of products.
    pub operations: usize,
}

impl Step {
    fn work(&self, photos: usize) -> Work {
        let of_product = |product: &Product, pixels: usize| {
            let (inputs, outputs) = (pixels * product.depth, pixels * product.outputs);
            (photos * (inputs + outputs), 2 * photos * inputs * product.outputs)
        };
        match self {
            Self::Launch { launch, with, .. } => {
                let out = launch.out.iter().product::<usize>();
                let numbers = photos * (launch.input() + out * if with.is_some() { 2 } else { 1 });
                Work { what: launch.kernel, numbers, operations: 0 }
            }
            Self::Product { pixels, product, .. } => {
                let (numbers, operations) = of_product(product, *pixels);
                Work { what: "product", numbers, operations }
            }
            Self::Unrolled { launch, pixels, product, .. } => {
                let (numbers, operations) = of_product(product, *pixels);
                let unrolled = photos * (launch.input() + launch.writes());
                Work { what: "window, product", numbers: numbers + unrolled, operations }
            }
        }
    }
}

/// How many photos are unrolled at a time.
fn together(launch: &Launch, photos: usize) -> usize {
    (UNROLLED / launch.writes().max(1)).clamp(1, photos.max(1))
}
