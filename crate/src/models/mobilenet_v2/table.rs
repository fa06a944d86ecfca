//! MobileNetV2 as a table: every convolution with its names, its shape and where it stands.

use crate::models::LayerInfo;
use crate::models::tap::Names;

/// One row of table 2 in Sandler et al. 2018: blocks of the same width, the first of which may halve the sides.
struct Stage {
    expand: usize,
    channels: usize,
    repeats: usize,
    stride: usize,
}

const fn stage(expand: usize, channels: usize, repeats: usize, stride: usize) -> Stage {
    Stage { expand, channels, repeats, stride }
}

const STAGES: [Stage; 7] = [
    stage(1, 16, 1, 1),
    stage(6, 24, 2, 2),
    stage(6, 32, 3, 2),
    stage(6, 64, 4, 2),
    stage(6, 96, 3, 1),
    stage(6, 160, 3, 2),
    stage(6, 320, 1, 1),
];
/// Channels of the first convolution.
const STEM: usize = 32;
/// Channels of the last convolution, which are the features.
pub(super) const FEATURES: usize = 1280;

/// One convolution with its batch norm, and the names torchvision gives its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// The bare convolution: `features.3.conv.0.0`.
    pub kernel: String,
    /// The batch norm: `features.3.conv.0.1`.
    pub norm: String,
    /// ReLU6 and, by a shorter name, all three together: `features.3.conv.0.2`, `features.3.conv.0`.
    pub activation: Option<[String; 2]>,
    /// Channels that come in, over all groups.
    pub input: usize,
    /// Channels that come out.
    pub output: usize,
    /// Side of the kernel.
    pub side: usize,
    pub stride: usize,
    pub groups: usize,
}

impl Unit {
    /// With ReLU6, named `name.0` to `name.2`.
    fn activated(name: String, input: usize, output: usize, side: usize, stride: usize, groups: usize) -> Self {
        let (kernel, norm) = (format!("{name}.0"), format!("{name}.1"));
        Self { kernel, norm, activation: Some([format!("{name}.2"), name]), input, output, side, stride, groups }
    }

    /// The names of its parts, in the layer `block`, whose own name comes behind them.
    pub fn names(&self, block: &str) -> Names {
        let activation = self.activation.iter().flatten().filter(|name| *name != block);
        Names { kernel: self.kernel.clone(), norm: self.norm.clone(), activation: activation.cloned().collect() }
    }

    /// Shape of the kernel `(O, I / groups, h, w)`.
    pub fn shape(&self) -> [usize; 4] {
        [self.output, self.input / self.groups, self.side, self.side]
    }

    /// The tensors it is made of, with their shapes, kernel first.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let norm = ["weight", "bias", "running_mean", "running_var"];
        let norm = norm.map(|part| (format!("{}.{part}", self.norm), vec![self.output]));
        let kernel = (format!("{}.weight", self.kernel), self.shape().to_vec());
        std::iter::once(kernel).chain(norm).collect()
    }
}

/// One layer of `features`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// `features.3`.
    pub name: String,
    /// Its convolutions in order: one at both ends, two or three in between.
    pub units: Vec<Unit>,
    /// Whether the input is added to the output.
    pub residual: bool,
}

/// All layers of `features`, in order.
pub(super) fn blocks() -> Vec<Block> {
    let stem = Unit::activated("features.0".into(), 3, STEM, 3, 2, 1);
    let mut blocks = vec![Block { name: "features.0".into(), units: vec![stem], residual: false }];
    let mut channels = STEM;
    for stage in STAGES {
        for repeat in 0..stage.repeats {
            let stride = if repeat == 0 { stage.stride } else { 1 };
            blocks.push(inverted_residual(blocks.len(), channels, &stage, stride));
            channels = stage.channels;
        }
    }
    let name = format!("features.{}", blocks.len());
    let last = Unit::activated(name.clone(), channels, FEATURES, 1, 1, 1);
    blocks.push(Block { name, units: vec![last], residual: false });
    blocks
}

fn inverted_residual(index: usize, input: usize, stage: &Stage, stride: usize) -> Block {
    let name = format!("features.{index}");
    let hidden = input * stage.expand;
    let mut units = Vec::with_capacity(3);
    if stage.expand != 1 {
        units.push(Unit::activated(format!("{name}.conv.0"), input, hidden, 1, 1, 1));
    }
    units.push(Unit::activated(format!("{name}.conv.{}", units.len()), hidden, hidden, 3, stride, hidden));
    units.push(Unit {
        kernel: format!("{name}.conv.{}", units.len()),
        norm: format!("{name}.conv.{}", units.len() + 1),
        activation: None,
        input: hidden,
        output: stage.channels,
        side: 1,
        stride: 1,
        groups: 1,
    });
    Block { name, units, residual: stride == 1 && input == stage.channels }
}

/// The layers as [`Backbone::layers`](crate::models::Backbone::layers) tells them, for photos of `side`.
pub(super) fn layers(side: usize) -> Vec<LayerInfo> {
    let mut side = side;
    let layer = |block: Block| {
        let (mut parameters, mut statistics, mut channels) = (0, 0, 0);
        for unit in &block.units {
            // Kernels of side 3 are padded by 1, those of side 1 not at all: only strides change the side.
            side = (side - 1) / unit.stride + 1;
            parameters += unit.shape().iter().product::<usize>() + 2 * unit.output;
            statistics += 2 * unit.output;
            channels = unit.output;
        }
        let kind = if block.units.len() == 1 { "Conv2dNormActivation" } else { "InvertedResidual" };
        LayerInfo { name: block.name, kind, output: (channels, side, side), parameters, statistics }
    };
    blocks().into_iter().map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_as_torchvision_and_keras_do() {
        let layers = layers(224);
        assert_eq!(layers.len(), 19);
        let parameters: usize = layers.iter().map(|layer| layer.parameters).sum();
        let statistics: usize = layers.iter().map(|layer| layer.statistics).sum();
        // torchvision: 3,504,872 with a head of 1280 * 1000 + 1000. Keras counts the statistics too: 2,257,984.
        assert_eq!(parameters, 3_504_872 - 1_281_000);
        assert_eq!((parameters, statistics, parameters + statistics), (2_223_872, 34_112, 2_257_984));
        // Sandler et al., table 2: the input sides of the stages, and what comes out at the end.
        let sides: Vec<_> = [0, 1, 3, 6, 10, 13, 16, 17, 18].map(|i: usize| layers[i].output).into();
        let wanted = [(32, 112), (16, 112), (24, 56), (32, 28), (64, 14), (96, 14), (160, 7), (320, 7), (1280, 7)];
        assert_eq!(sides, wanted.map(|(channels, side)| (channels, side, side)));
    }

    #[test]
    fn residual_connections_are_where_shapes_allow_them() {
        let residual: Vec<_> = (0..).zip(blocks()).filter(|(_, block)| block.residual).map(|(i, _)| i).collect();
        assert_eq!(residual, [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]);
    }
}
