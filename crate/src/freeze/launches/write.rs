//! Writes down the launches of a network.

use super::sizes::{GraphStep, after, after_step, along, refused, wrong};
use super::{At, Launches, Product, Region, SLOTS, Step};
use crate::cuda::{Launch, Size, channelwise, mean, pixels, pool_largest, pool_mean, settle, turned, window};
use crate::freeze::graph::GraphSpec;
use crate::freeze::plan::{Conv, PlanSpec};
use crate::images::Preprocess;
use crate::models::{self, Activation};
use crate::{Error, Result};

/// Rows of weights begin at multiples of so many numbers: where tensor cores want them, in each precision.
const ALIGNED: usize = 8;
/// Where photos begin, once they are numbers.
const PHOTO: usize = 2;

/// Where an activation lies, all of a slot.
#[derive(Clone, Copy)]
struct Area {
    slot: usize,
    size: Size,
}

impl Launches {
    /// A network of inverted residuals, for photos preprocessed so.
    ///
    /// # Errors
    /// Where it is not of the kind that [`PlanSpec`] describes.
    pub(in crate::freeze) fn of_blocks(spec: &PlanSpec, preprocess: &Preprocess) -> Result<Self> {
        let mut writer = Writer::default();
        let photo = writer.photo(preprocess);
        let mut x = writer.convolve(&spec.stem, photo, 0)?;
        let mut pending = Some(&spec.stem);
        for block in &spec.blocks {
            let (wide, before) = match &block.expand {
                Some(expand) => {
                    // Nothing is pending where a block has been.
                    if let Some(stem) = pending.take() {
                        writer.settle(&stem.bias, stem.activation, x, None)?;
                    }
                    (writer.convolve(expand, x, 2)?, Some(expand))
                }
                None => (x, pending.take()),
            };
            let narrow = writer.channelwise(&block.depthwise, wide, before, 3)?;
            let out = writer.convolve(&block.project, narrow, 1 - x.slot)?;
            let added = block.residual.then_some(x).filter(|x| x.size == out.size);
            if block.residual && added.is_none() {
                return Err(refused("a block's input is added to what has its shape", &block.project));
            }
            writer.settle(&block.project.bias, block.project.activation, out, added)?;
            x = out;
        }
        let last = writer.convolve(&spec.last, x, 2)?;
        writer.done(preprocess, last, Some(&spec.last))
    }

    /// A network of layers with branches, likewise.
    ///
    /// # Errors
    /// Where it is not of the kind that [`GraphSpec`] describes.
    pub(in crate::freeze) fn of_graph(spec: &GraphSpec, preprocess: &Preprocess) -> Result<Self> {
        let mut writer = Writer { counts_padding: spec.counts_padding, ..Writer::default() };
        let mut x = writer.photo(preprocess);
        // A longer branch would write over the photo.
        if spec.blocks.first().is_none_or(|first| first.branches.iter().any(|steps| steps.len() > 1)) {
            return Err(wrong("networks that begin with a single convolution"));
        }
        for block in &spec.blocks {
            x = writer.block(block, x)?;
        }
        writer.done(preprocess, x, None)
    }
}

#[derive(Default)]
struct Writer {
    counts_padding: bool,
    weights: Vec<f32>,
    constants: Vec<f32>,
    slots: [usize; SLOTS],
    steps: Vec<Step>,
}

impl Writer {
    fn photo(&mut self, preprocess: &Preprocess) -> Area {
        self.area(PHOTO, (3, preprocess.side, preprocess.side))
    }

    /// All of a slot for this.
    fn area(&mut self, slot: usize, size: Size) -> Area {
        if let Some(most) = self.slots.get_mut(slot) {
            *most = (*most).max(size.0 * size.1 * size.2);
        }
        Area { slot, size }
    }

    /// A dense convolution into all of a slot, without what follows it.
    fn convolve(&mut self, conv: &Conv, from: Area, slot: usize) -> Result<Area> {
        let size = after(conv, from.size)?;
        let to = self.area(slot, size);
        self.convolve_into(conv, from, to, 0)?;
        Ok(to)
    }

    /// The same into the channels from `first` on of what may have more.
    fn convolve_into(&mut self, conv: &Conv, from: Area, to: Area, first: usize) -> Result<()> {
        let [outputs, channels, rows, columns] = conv.shape;
        let (output, taps) = ((to.size.1, to.size.2), rows * columns);
        let pointwise = taps == 1 && conv.stride == 1;
        let used = channels * taps;
        let depth = if pointwise { used } else { used.next_multiple_of(ALIGNED) };
        let product = Product { depth, outputs, row: to.size.0, weights: self.weights.len() };
        for of_output in conv.weight.chunks_exact(used) {
            // Tap by tap all channels, as pixels lie.
            let turned = (0..used).map(|i| of_output.get(i % channels * taps + i / channels).copied().unwrap_or(0.0));
            self.weights.extend(turned.chain(std::iter::repeat_n(0.0, depth - used)));
        }
        let pixels = output.0 * output.1;
        let (from_region, to) = (Region::Slot(from.slot), At { region: Region::Slot(to.slot), first });
        self.steps.push(if pointwise {
            Step::Product { pixels, product, from: from_region, to }
        } else {
            let step = (conv.stride, conv.padding);
            let launch = window(from.size, output, (rows, columns), step, depth)?;
            Step::Unrolled { launch, pixels, product, from: from_region, to }
        });
        Ok(())
    }

    fn channelwise(&mut self, conv: &Conv, from: Area, before: Option<&Conv>, slot: usize) -> Result<Area> {
        let (channels, ..) = from.size;
        if conv.shape != [channels, 1, 3, 3] || conv.groups != channels || !matches!(conv.stride, 1 | 2) {
            return Err(refused("a kernel of 3x3 for each channel", conv));
        }
        let output = along(conv, from.size)?;
        let to = self.area(slot, (channels, output.0, output.1));
        let first = self.constants.len();
        let taps = (0..9 * channels).map(|i| conv.weight.get(i % channels * 9 + i / channels).copied().unwrap_or(0.0));
        self.constants.extend(taps);
        self.constants.extend(&conv.bias);
        match &before {
            Some(before) => self.constants.extend(&before.bias),
            None => self.constants.extend(std::iter::repeat_n(0.0, channels)),
        }
        let activations = (before.map_or(Activation::Linear, |before| before.activation), conv.activation);
        let launch = channelwise(from.size, output, (conv.stride, conv.padding), activations)?;
        self.launch(launch, from, Some(first), None, to, 0);
        Ok(to)
    }

    /// Bias and activation over what has been written, and what is added behind them.
    fn settle(&mut self, bias: &[f32], activation: Activation, x: Area, added: Option<Area>) -> Result<()> {
        let first = self.constants.len();
        self.constants.extend(bias);
        self.launch(settle(x.size, activation)?, x, Some(first), added, x, 0);
        Ok(())
    }

    /// All branches of a block, each into its own channels of what is returned; one settles them all.
    fn block(&mut self, block: &models::Block<Conv>, from: Area) -> Result<Area> {
        let ends =
            block.branches.iter().map(|steps| steps.iter().try_fold(from.size, |size, step| after_step(step, size)));
        let ends = ends.collect::<Result<Vec<Size>>>()?;
        let Some(&(_, height, width)) = ends.first() else { return Ok(from) };
        if let Some(other) = ends.iter().find(|end| (end.1, end.2) != (height, width)) {
            let want = format!("branches that end alike, with {height}x{width}");
            return Err(Error::shape(format!("the frozen plan, {}", block.name), want, &[other.1, other.2]));
        }
        // What blocks read and write is in the first two slots, in turn; a photo is in neither.
        let to = self.area(if from.slot == 0 { 1 } else { 0 }, (ends.iter().map(|end| end.0).sum(), height, width));
        let mut bias = Vec::with_capacity(to.size.0);
        for steps in &block.branches {
            self.branch(steps, from, to, &mut bias)?;
        }
        if let Some(other) = block.units().find(|conv| conv.activation != Activation::Relu) {
            return Err(refused("a ReLU behind each convolution", other));
        }
        if block.units().next().is_some() {
            self.settle(&bias, Activation::Relu, to, None)?;
        }
        Ok(to)
    }

    /// The steps of a branch, the last into the channels behind those that have a bias, and its bias behind theirs.
    fn branch(&mut self, steps: &[GraphStep], from: Area, to: Area, bias: &mut Vec<f32>) -> Result<()> {
        let Some((last, before)) = steps.split_last() else { return Ok(()) };
        let mut x = from;
        for (number, step) in before.iter().enumerate() {
            x = self.between(step, x, 2 + number % 2)?;
        }
        let (channels, ..) = after_step(last, x.size)?;
        match last {
            models::Step::MaxPool => {
                // No bias, and the ReLU changes nothing: what is pooled has been through one.
                let launch = pool_largest(x.size, (to.size.1, to.size.2), to.size.0)?;
                self.launch(launch, x, None, None, to, bias.len());
                bias.resize(bias.len() + channels, 0.0);
            }
            models::Step::AveragePool => return Err(wrong("a convolution behind each average pool")),
            models::Step::Convolution(conv) => self.last(conv, x, to, bias)?,
            models::Step::Split(both) => both.iter().try_for_each(|conv| self.last(conv, x, to, bias))?,
        }
        Ok(())
    }

    fn last(&mut self, conv: &Conv, from: Area, to: Area, bias: &mut Vec<f32>) -> Result<()> {
        self.convolve_into(conv, from, to, bias.len())?;
        bias.extend(&conv.bias);
        Ok(())
    }

    /// A step that is not the last of its branch.
    fn between(&mut self, step: &GraphStep, x: Area, slot: usize) -> Result<Area> {
        match step {
            models::Step::Convolution(conv) => {
                let y = self.convolve(conv, x, slot)?;
                self.settle(&conv.bias, conv.activation, y, None)?;
                Ok(y)
            }
            models::Step::AveragePool => {
                let y = self.area(slot, x.size);
                self.launch(pool_mean(x.size, self.counts_padding)?, x, None, None, y, 0);
                Ok(y)
            }
            models::Step::MaxPool | models::Step::Split(_) => Err(wrong("max pools and splits at ends of branches")),
        }
    }

    fn launch(
        &mut self,
        launch: Launch,
        from: Area,
        constants: Option<usize>,
        with: Option<Area>,
        to: Area,
        first: usize,
    ) {
        let (from, with) = (Region::Slot(from.slot), with.map(|area| Region::Slot(area.slot)));
        let to = At { region: Region::Slot(to.slot), first };
        self.steps.push(Step::Launch { launch, from, constants, with, to });
    }

    /// Ends in the mean of all pixels.
    fn done(mut self, preprocess: &Preprocess, x: Area, pending: Option<&Conv>) -> Result<Launches> {
        let side = (preprocess.side, preprocess.side);
        let (channels, ..) = x.size;
        let mut constant = |values: &mut dyn Iterator<Item = f32>| {
            let first = self.constants.len();
            self.constants.extend(values);
            first
        };
        let (factor, summand) = preprocess.factor_and_summand();
        let factors = constant(&mut factor.into_iter().chain(summand));
        let (bias, activation) = match pending {
            Some(conv) => (constant(&mut conv.bias.iter().copied()), conv.activation),
            None => (constant(&mut std::iter::repeat_n(0.0, channels)), Activation::Linear),
        };
        let from = Region::Slot(x.slot);
        let to = At { region: Region::Features, first: 0 };
        let launch = mean(x.size, activation)?;
        self.steps.push(Step::Launch { launch, from, constants: Some(bias), with: None, to });
        let to = At { region: Region::Slot(PHOTO), first: 0 };
        let begin = |launch, constants| Step::Launch { launch, from: Region::Photos, constants, with: None, to };
        Ok(Launches {
            side,
            features: channels,
            weights: self.weights,
            constants: self.constants,
            slots: self.slots,
            begin: [begin(pixels(side)?, Some(factors)), begin(turned(side)?, None)],
            steps: self.steps,
        })
    }
}
