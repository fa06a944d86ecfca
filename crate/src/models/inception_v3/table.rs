//! InceptionV3 as a table: every convolution with its name, its shape and where it stands.

use crate::models::LayerInfo;

/// Channels that come out at the end, which are the features.
pub(super) const FEATURES: usize = 2048;

/// One convolution with batch norm and ReLU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// `Mixed_5b.branch1x1`; its parts are `.conv` and `.bn`.
    pub name: String,
    /// Channels that come in and go out.
    pub channels: (usize, usize),
    /// Rows and columns of the kernel.
    pub kernel: (usize, usize),
    pub stride: usize,
    /// Zeros above and below, left and right.
    pub padding: (usize, usize),
}

/// One step of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// A convolution.
    Convolution(T),
    /// 3x3, stride 2, none beyond the edge.
    MaxPool,
    /// 3x3, stride 1.
    AveragePool,
    /// Two convolutions of the same input, joined along channels.
    Split([T; 2]),
}

/// One named layer of the network: branches side by side over the same input, joined along channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block<T> {
    /// `Mixed_5b`.
    pub name: String,
    /// torchvision's word for it: `InceptionA`.
    pub kind: &'static str,
    /// The steps of each branch, in order.
    pub branches: Vec<Vec<Step<T>>>,
}

impl<T> Block<T> {
    /// The convolutions in torchvision's order, which is the order in which Keras makes them, too.
    pub fn units(&self) -> impl Iterator<Item = &T> {
        self.branches.iter().flatten().flat_map(|step| match step {
            Step::Convolution(unit) => std::slice::from_ref(unit),
            Step::Split(units) => units,
            Step::MaxPool | Step::AveragePool => &[],
        })
    }

    /// The same block of other things, made in order.
    pub fn map<U, E>(&self, mut make: impl FnMut(&T) -> Result<U, E>) -> Result<Block<U>, E> {
        let mut step = |step: &Step<T>| {
            Ok(match step {
                Step::Convolution(unit) => Step::Convolution(make(unit)?),
                Step::MaxPool => Step::MaxPool,
                Step::AveragePool => Step::AveragePool,
                Step::Split([left, right]) => Step::Split([make(left)?, make(right)?]),
            })
        };
        let branches =
            self.branches.iter().map(|steps| steps.iter().map(&mut step).collect()).collect::<Result<_, E>>()?;
        Ok(Block { name: self.name.clone(), kind: self.kind, branches })
    }
}

impl Unit {
    /// Shape of the kernel `(O, I, h, w)`.
    pub fn shape(&self) -> [usize; 4] {
        [self.channels.1, self.channels.0, self.kernel.0, self.kernel.1]
    }

    /// The tensors it is made of, with their shapes, kernel first; Keras' batch norms have no scale.
    pub fn tensors(&self, with_scale: bool) -> Vec<(String, Vec<usize>)> {
        let norm = ["weight", "bias", "running_mean", "running_var"].into_iter().skip(usize::from(!with_scale));
        let norm = norm.map(|part| (format!("{}.bn.{part}", self.name), vec![self.channels.1]));
        std::iter::once((format!("{}.conv.weight", self.name), self.shape().to_vec())).chain(norm).collect()
    }
}

/// How wide one convolution is, and its kernel; stride 1 and as much padding as keeps the sides.
type Row = (&'static str, usize, (usize, usize));

/// Names, channels and shapes while the table is written down.
struct Writer {
    block: &'static str,
    input: usize,
}

impl Writer {
    fn unit(&self, (part, output, kernel): Row, input: usize) -> Unit {
        let padding = (kernel.0 / 2, kernel.1 / 2);
        Unit { name: format!("{}.{part}", self.block), channels: (input, output), kernel, stride: 1, padding }
    }

    /// Convolutions one after the other.
    fn branch(&self, rows: &[Row]) -> Vec<Step<Unit>> {
        let mut input = self.input;
        let unit = |row: &Row| Step::Convolution(self.unit(*row, std::mem::replace(&mut input, row.1)));
        rows.iter().map(unit).collect()
    }

    /// As [`branch`](Self::branch), where the last one halves the sides and pads nothing.
    fn halving(&self, rows: &[Row]) -> Vec<Step<Unit>> {
        let mut steps = self.branch(rows);
        if let Some(Step::Convolution(last)) = steps.last_mut() {
            (last.stride, last.padding) = (2, (0, 0));
        }
        steps
    }

    /// As [`branch`](Self::branch), with two convolutions of 1x3 and 3x1 side by side at its end.
    fn split(&self, rows: &[Row], ends: [&'static str; 2]) -> Vec<Step<Unit>> {
        let mut steps = self.branch(rows);
        let input = rows.last().map_or(self.input, |row| row.1);
        let [left, right] = ends;
        steps.push(Step::Split([self.unit((left, 384, (1, 3)), input), self.unit((right, 384, (3, 1)), input)]));
        steps
    }

    fn average_pool(&self, output: usize) -> Vec<Step<Unit>> {
        let convolution = Step::Convolution(self.unit(("branch_pool", output, ONE), self.input));
        vec![Step::AveragePool, convolution]
    }

    fn block(self, kind: &'static str, branches: Vec<Vec<Step<Unit>>>) -> Block<Unit> {
        Block { name: self.block.into(), kind, branches }
    }
}

const ONE: (usize, usize) = (1, 1);
const THREE: (usize, usize) = (3, 3);
const FIVE: (usize, usize) = (5, 5);
/// One row of seven, and one column.
const WIDE: (usize, usize) = (1, 7);
const TALL: (usize, usize) = (7, 1);

/// All layers in order.
pub(super) fn blocks() -> Vec<Block<Unit>> {
    let pool = |name: &str| Block { name: name.into(), kind: "MaxPool2d", branches: vec![vec![Step::MaxPool]] };
    let mut blocks = vec![
        stem("Conv2d_1a_3x3", (3, 32), THREE, 2, (0, 0)),
        stem("Conv2d_2a_3x3", (32, 32), THREE, 1, (0, 0)),
        stem("Conv2d_2b_3x3", (32, 64), THREE, 1, (1, 1)),
        pool("maxpool1"),
        stem("Conv2d_3b_1x1", (64, 80), ONE, 1, (0, 0)),
        stem("Conv2d_4a_3x3", (80, 192), THREE, 1, (0, 0)),
        pool("maxpool2"),
    ];
    blocks.extend([("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)].map(block_a));
    blocks.push(block_b());
    blocks.extend([("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)].map(block_c));
    blocks.push(block_d());
    blocks.extend([("Mixed_7b", 1280), ("Mixed_7c", 2048)].map(block_e));
    blocks
}

fn stem(
    name: &str,
    channels: (usize, usize),
    kernel: (usize, usize),
    stride: usize,
    padding: (usize, usize),
) -> Block<Unit> {
    let unit = Unit { name: name.into(), channels, kernel, stride, padding };
    Block { name: name.into(), kind: "BasicConv2d", branches: vec![vec![Step::Convolution(unit)]] }
}

/// 35x35: 1x1, 5x5, twice 3x3, pool.
fn block_a((name, input, pool): (&'static str, usize, usize)) -> Block<Unit> {
    let w = Writer { block: name, input };
    let branches = vec![
        w.branch(&[("branch1x1", 64, ONE)]),
        w.branch(&[("branch5x5_1", 48, ONE), ("branch5x5_2", 64, FIVE)]),
        w.branch(&[("branch3x3dbl_1", 64, ONE), ("branch3x3dbl_2", 96, THREE), ("branch3x3dbl_3", 96, THREE)]),
        w.average_pool(pool),
    ];
    w.block("InceptionA", branches)
}

/// 35x35 to 17x17.
fn block_b() -> Block<Unit> {
    let w = Writer { block: "Mixed_6a", input: 288 };
    let branches = vec![
        w.halving(&[("branch3x3", 384, THREE)]),
        w.halving(&[("branch3x3dbl_1", 64, ONE), ("branch3x3dbl_2", 96, THREE), ("branch3x3dbl_3", 96, THREE)]),
        vec![Step::MaxPool],
    ];
    w.block("InceptionB", branches)
}

/// 17x17: 7x7 as a row and a column.
fn block_c((name, middle): (&'static str, usize)) -> Block<Unit> {
    let w = Writer { block: name, input: 768 };
    let branches = vec![
        w.branch(&[("branch1x1", 192, ONE)]),
        w.branch(&[("branch7x7_1", middle, ONE), ("branch7x7_2", middle, WIDE), ("branch7x7_3", 192, TALL)]),
        w.branch(&[
            ("branch7x7dbl_1", middle, ONE),
            ("branch7x7dbl_2", middle, TALL),
            ("branch7x7dbl_3", middle, WIDE),
            ("branch7x7dbl_4", middle, TALL),
            ("branch7x7dbl_5", 192, WIDE),
        ]),
        w.average_pool(192),
    ];
    w.block("InceptionC", branches)
}

/// 17x17 to 8x8.
fn block_d() -> Block<Unit> {
    let w = Writer { block: "Mixed_7a", input: 768 };
    let branches = vec![
        w.halving(&[("branch3x3_1", 192, ONE), ("branch3x3_2", 320, THREE)]),
        w.halving(&[
            ("branch7x7x3_1", 192, ONE),
            ("branch7x7x3_2", 192, WIDE),
            ("branch7x7x3_3", 192, TALL),
            ("branch7x7x3_4", 192, THREE),
        ]),
        vec![Step::MaxPool],
    ];
    w.block("InceptionD", branches)
}

/// 8x8: 3x3 as a row and a column side by side.
fn block_e((name, input): (&'static str, usize)) -> Block<Unit> {
    let w = Writer { block: name, input };
    let branches = vec![
        w.branch(&[("branch1x1", 320, ONE)]),
        w.split(&[("branch3x3_1", 384, ONE)], ["branch3x3_2a", "branch3x3_2b"]),
        w.split(
            &[("branch3x3dbl_1", 448, ONE), ("branch3x3dbl_2", 384, THREE)],
            ["branch3x3dbl_3a", "branch3x3dbl_3b"],
        ),
        w.average_pool(192),
    ];
    w.block("InceptionE", branches)
}

/// The layers as [`Backbone::layers`](crate::models::Backbone::layers) tells them, for photos of `side`.
pub(super) fn layers(side: usize) -> Vec<LayerInfo> {
    let (mut channels, mut side) = (3, side);
    let layer = |block: Block<Unit>| {
        let (mut parameters, mut statistics, mut output, mut after) = (0, 0, 0, side);
        for unit in block.units() {
            parameters += unit.shape().iter().product::<usize>() + 2 * unit.channels.1;
            statistics += 2 * unit.channels.1;
        }
        for steps in &block.branches {
            let (width, end) = steps.iter().fold((channels, side), passed);
            output += width;
            after = end;
        }
        (channels, side) = (output, after);
        LayerInfo { name: block.name, kind: block.kind, output: (channels, side, side), parameters, statistics }
    };
    blocks().into_iter().map(layer).collect()
}

/// Channels and side after a step.
fn passed((channels, side): (usize, usize), step: &Step<Unit>) -> (usize, usize) {
    match step {
        // Rows and columns end alike, whichever of them is padded for a longer kernel.
        Step::Convolution(unit) => (unit.channels.1, (side + 2 * unit.padding.0 - unit.kernel.0) / unit.stride + 1),
        Step::MaxPool => (channels, (side - 1) / 2),
        Step::AveragePool => (channels, side),
        Step::Split([left, right]) => (left.channels.1 + right.channels.1, side),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_as_torchvision_and_keras_do() {
        let layers = layers(299);
        let parameters: usize = layers.iter().map(|layer| layer.parameters).sum();
        let statistics: usize = layers.iter().map(|layer| layer.statistics).sum();
        // torchvision 0.29: 23,834,568 without the auxiliary head, 2,049,000 of them in the head.
        assert_eq!(parameters, 23_834_568 - 2_049_000);
        // Keras counts the statistics, and has no scales: 21,802,784.
        let scales = statistics / 2;
        assert_eq!(parameters + statistics - scales, 21_802_784);
        assert_eq!(blocks().iter().flat_map(Block::units).count(), 94);
        // Szegedy et al. 2015, table 1, as torchvision has it.
        let at = |name: &str| layers.iter().find(|layer| layer.name == name).map(|layer| layer.output);
        for (name, channels, side) in [
            ("Conv2d_1a_3x3", 32, 149),
            ("Conv2d_2a_3x3", 32, 147),
            ("Conv2d_2b_3x3", 64, 147),
            ("maxpool1", 64, 73),
            ("Conv2d_4a_3x3", 192, 71),
            ("maxpool2", 192, 35),
            ("Mixed_5b", 256, 35),
            ("Mixed_5d", 288, 35),
            ("Mixed_6a", 768, 17),
            ("Mixed_6e", 768, 17),
            ("Mixed_7a", 1280, 8),
            ("Mixed_7c", FEATURES, 8),
        ] {
            assert_eq!(at(name), Some((channels, side, side)), "{name}");
        }
    }
}
