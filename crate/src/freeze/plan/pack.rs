//! Weights in the order in which the kernels read them.

use super::spec::Conv;
use crate::freeze::kernels::{
    Block, Kernels, LANES, POINTS, Packed, PackedDepthwise, PackedWindow, PackedWinograd, TILE,
};
use crate::models::Activation;

fn clamp(conv: &Conv) -> (f32, f32) {
    match conv.activation {
        Activation::Linear => (f32::NEG_INFINITY, f32::INFINITY),
        Activation::Relu => (0.0, f32::INFINITY),
        Activation::Relu6 => (0.0, 6.0),
    }
}

fn bias(conv: &Conv) -> Vec<Block> {
    let mut blocks = vec![Block::ZERO; conv.outputs().div_ceil(LANES)];
    for (channel, &value) in conv.bias.iter().enumerate() {
        blocks[channel / LANES].0[channel % LANES] = value;
    }
    blocks
}

/// A convolution over all channels. Its inputs come row by row, column by column, channel by channel: for a 1x1 one
/// simply the channels.
pub(in crate::freeze) fn dense(conv: &Conv, kernels: Kernels) -> Packed {
    let [outputs, channels, rows, columns] = conv.shape;
    let inputs = channels * rows * columns;
    let panel = kernels.panel();
    let bias = bias(conv);
    let mut weights = vec![Block::ZERO; bias.len() * inputs];
    for output in 0..outputs {
        let block = output / LANES;
        let first = block - block % panel;
        let width = panel.min(bias.len() - first);
        for input in 0..inputs {
            let (tap, channel) = (input / channels, input % channels);
            let value = conv.weight[(output * channels + channel) * rows * columns + tap];
            weights[first * inputs + input * width + block - first].0[output % LANES] = value;
        }
    }
    Packed { weights, bias, inputs, panel, clamp: clamp(conv) }
}

/// A convolution over all channels, which come in sixteens.
pub(in crate::freeze) fn window(conv: &Conv, kernels: Kernels) -> PackedWindow {
    let [outputs, channels, rows, columns] = conv.shape;
    let (taps, panel, bias) = (rows * columns, kernels.panel(), bias(conv));
    let mut weights = vec![Block::ZERO; bias.len() * channels * taps];
    for (output, values) in conv.weight.chunks_exact((channels * taps).max(1)).take(outputs).enumerate() {
        let block = output / LANES;
        let first = block - block % panel;
        let width = panel.min(bias.len() - first);
        for (i, &value) in values.iter().enumerate() {
            let (channel, tap) = (i / taps, i % taps);
            let input = (channel / LANES * taps + tap) * LANES + channel % LANES;
            weights[first * channels * taps + input * width + block - first].0[output % LANES] = value;
        }
    }
    let (planes, stride, kernel) = (channels / LANES, conv.stride, (rows, columns));
    PackedWindow { weights, bias, planes, kernel, stride, panel, clamp: clamp(conv) }
}

/// A convolution of stride 1 with a kernel of 3x3 or 5x5 over all channels, which come in sixteens.
pub(in crate::freeze) fn winograd(conv: &Conv, kernels: Kernels) -> PackedWinograd {
    let [outputs, channels, side, _] = conv.shape;
    let (taps, panel, bias) = (side * side, kernels.panel(), bias(conv));
    let mut weights = vec![Block::ZERO; bias.len() * channels * POINTS];
    for (i, kernel) in conv.weight.chunks_exact(taps.max(1)).take(outputs * channels).enumerate() {
        let (output, channel) = (i / channels, i % channels);
        let block = output / LANES;
        let first = block - block % panel;
        let width = panel.min(bias.len() - first);
        for (point, value) in seen(kernel, side).into_iter().enumerate() {
            let input = point * channels + channel;
            weights[first * channels * POINTS + input * width + block - first].0[output % LANES] = value as f32;
        }
    }
    PackedWinograd { weights, bias, planes: channels / LANES, side, panel, clamp: clamp(conv) }
}

/// A kernel at the points at which tiles are seen: its rows, then its columns.
fn seen(kernel: &[f32], side: usize) -> [f64; POINTS] {
    let mut rows = [[0.0; TILE]; TILE];
    for (to, taps) in rows.iter_mut().zip(kernel.chunks_exact(side)) {
        *to = PackedWinograd::seen(&taps.iter().map(|&tap| tap.into()).collect::<Vec<_>>());
    }
    let columns: [[f64; TILE]; TILE] =
        std::array::from_fn(|x| PackedWinograd::seen(&rows[..side].iter().map(|row| row[x]).collect::<Vec<_>>()));
    std::array::from_fn(|point| columns[point % TILE][point / TILE])
}

/// A 3x3 depthwise convolution.
pub(in crate::freeze) fn depthwise(conv: &Conv) -> PackedDepthwise {
    let bias = bias(conv);
    let mut weights = vec![Block::ZERO; bias.len() * 10];
    for (channel, taps) in conv.weight.chunks_exact(9).enumerate() {
        for (tap, &value) in taps.iter().enumerate() {
            weights[channel / LANES * 10 + tap].0[channel % LANES] = value;
        }
    }
    for (block, bias) in bias.into_iter().enumerate() {
        weights[block * 10 + 9] = bias;
    }
    PackedDepthwise { weights, stride: conv.stride, clamp: clamp(conv) }
}
