//! Every kernel at every level of this machine against sums in f64, one number at a time.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::freeze::plan::{Conv, pack};
use crate::freeze::tests::{noise, relative};
use crate::models::Activation;

fn every_level() -> impl Iterator<Item = Kernels> {
    CpuLevel::available().into_iter().map(|level| Kernels::new(level).unwrap())
}

/// Planes of blocks from one number per channel and pixel; the channels that fill up the last block are NaN, as no
/// kernel may look at them.
fn planes(channels: usize, pixels: usize, at: impl Fn(usize, usize) -> f32) -> Vec<Block> {
    let mut blocks = vec![Block([f32::NAN; LANES]); channels.div_ceil(LANES) * pixels];
    for channel in 0..channels {
        for pixel in 0..pixels {
            blocks[channel / LANES * pixels + pixel].0[channel % LANES] = at(channel, pixel);
        }
    }
    blocks
}

fn conv(outputs: usize, inputs: usize, side: usize, stride: usize, groups: usize, relu6: bool) -> Conv {
    Conv {
        shape: [outputs, inputs, side, side],
        weight: noise(outputs as u64, outputs * inputs * side * side),
        bias: noise(inputs as u64 + 99, outputs).into_iter().map(|x| 3.0 * x).collect(),
        stride,
        padding: (side / 2, side / 2),
        groups,
        activation: if relu6 { Activation::Relu6 } else { Activation::Linear },
    }
}

fn clamped(x: f64, relu6: bool) -> f64 {
    if relu6 { x.clamp(0.0, 6.0) } else { x }
}

#[track_caller]
fn assert_close(got: f32, want: f64, where_: impl FnOnce() -> String) {
    assert!((f64::from(got) - want).abs() <= 1e-4 * want.abs().max(1.0), "{}: {got}, not {want}", where_());
}

#[test]
fn pointwise_and_pooled() {
    // Channels in and out, pixels, first pixel: fewer than a tile, one more than one, no multiple of anything.
    let cases = [(1, 1, 1, 0), (3, 8, 5, 2), (24, 144, 49, 0), (144, 24, 15, 3), (16, 40, 29, 1), (960, 17, 13, 0)];
    let mut seen = 0;
    for kernels in every_level() {
        for (inputs, outputs, pixels, first) in cases {
            for (relu6, with_residual) in [(true, false), (false, false), (false, true), (true, true)] {
                let conv = conv(outputs, inputs, 1, 1, 1, relu6);
                let by = pack::dense(&conv, kernels);
                let all = first + pixels + 1;
                let numbers = noise(7, inputs.max(outputs) * all);
                let at = |channel: usize, pixel: usize| numbers[channel * all + pixel];
                let input = planes(inputs, all, at);
                let extra = planes(outputs, all, at);
                let view = |data| View { data, plane: all, first };
                let want = |output: usize, pixel: usize, residual: bool| {
                    let products =
                        (0..inputs).map(|i| f64::from(conv.weight[output * inputs + i]) * f64::from(at(i, pixel)));
                    let sum = products.sum::<f64>() + f64::from(conv.bias[output]);
                    clamped(sum + if residual { f64::from(at(output, pixel)) } else { 0.0 }, relu6)
                };

                let untouched = Block([-7.0; LANES]);
                let mut output = vec![untouched; outputs.div_ceil(LANES) * all];
                let to = ViewMut { data: &mut output, plane: all, first };
                let residual = with_residual.then(|| view(&extra));
                kernels.pointwise(&by, 0..by.bias.len(), pixels, view(&input), to, residual);
                for (i, block) in output.iter().enumerate() {
                    let (plane, pixel) = (i / all, i % all);
                    if pixel < first || pixel >= first + pixels {
                        assert_eq!(*block, untouched, "{kernels:?} wrote outside its pixels");
                        continue;
                    }
                    for lane in 0..LANES.min(outputs - plane * LANES) {
                        let output = plane * LANES + lane;
                        assert_close(block.0[lane], want(output, pixel, with_residual), || {
                            format!("{kernels:?}, {inputs} to {outputs}, channel {output}, pixel {pixel}")
                        });
                    }
                }

                let mut means = vec![untouched; by.bias.len()];
                kernels.pooled(&by, pixels, view(&input), &mut means);
                for output in 0..outputs {
                    let sum: f64 = (first..first + pixels).map(|pixel| want(output, pixel, false)).sum();
                    assert_close(means[output / LANES].0[output % LANES], sum / pixels as f64, || {
                        format!("{kernels:?}, mean, {inputs} to {outputs}, channel {output}")
                    });
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 24);
}

#[test]
fn pointwise_of_some_panels_leaves_the_others() {
    for kernels in every_level() {
        let by = pack::dense(&conv(80, 16, 1, 1, 1, false), kernels);
        let input = planes(16, 3, |_, _| 1.0);
        let mut output = vec![Block::ZERO; 5 * 3];
        let to = ViewMut { data: &mut output, plane: 3, first: 0 };
        kernels.pointwise(&by, 2..4, 3, View { data: &input, plane: 3, first: 0 }, to, None);
        for (i, block) in output.iter().enumerate() {
            assert_eq!(*block != Block::ZERO, (2..4).contains(&(i / 3)), "{kernels:?}, block {i}");
        }
    }
}

#[test]
fn stem() {
    for kernels in every_level() {
        for (height, width, outputs) in [(1, 1, 32), (2, 3, 8), (7, 30, 24), (5, 31, 33)] {
            let conv = conv(outputs, 3, 3, 2, 1, true);
            let by = pack::dense(&conv, kernels);
            let row = (width + 2) * 3;
            let numbers = noise(3, height * width * 3);
            let mut photo = vec![0.0; (height + 2) * row];
            for (y, from) in numbers.chunks(width * 3).enumerate() {
                photo[(y + 1) * row + 3..][..width * 3].copy_from_slice(from);
            }
            let out_width = width.div_ceil(2);
            for y in 0..height.div_ceil(2) {
                let mut output = vec![Block::ZERO; by.bias.len() * out_width];
                let to = ViewMut { data: &mut output, plane: out_width, first: 0 };
                kernels.stem_row(&by, Framed { data: &photo, row }, y, out_width, to);
                for (channel, x) in (0..outputs).flat_map(|channel| (0..out_width).map(move |x| (channel, x))) {
                    let mut want = f64::from(conv.bias[channel]);
                    for (dy, dx, c) in (0..27).map(|i| (i / 9, i / 3 % 3, i % 3)) {
                        let (from_y, from_x) = (2 * y + dy, 2 * x + dx);
                        if (1..=height).contains(&from_y) && (1..=width).contains(&from_x) {
                            let value = numbers[((from_y - 1) * width + from_x - 1) * 3 + c];
                            let weight = conv.weight[((channel * 3 + c) * 3 + dy) * 3 + dx];
                            want += f64::from(value) * f64::from(weight);
                        }
                    }
                    let got = output[channel / LANES * out_width + x].0[channel % LANES];
                    assert_close(got, clamped(want, true), || format!("{kernels:?}, {height}x{width}, ({y}, {x})"));
                }
            }
        }
    }
}

#[test]
fn depthwise() {
    for kernels in every_level() {
        for (height, width, channels) in [(1, 1, 3), (1, 2, 16), (2, 1, 8), (3, 3, 24), (5, 7, 144), (14, 13, 17)] {
            for (stride, relu6) in [(1, true), (2, false), (2, true)] {
                let conv = conv(channels, 1, 3, stride, channels, relu6);
                let by = pack::depthwise(&conv);
                let pixels = height * width;
                let numbers = noise(5, channels * pixels);
                let input = planes(channels, pixels, |channel, pixel| numbers[channel * pixels + pixel]);
                let (out_height, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
                let zeros = vec![Block::ZERO; width];
                for block in 0..channels.div_ceil(LANES) {
                    let data = &input[block * pixels..][..pixels];
                    let ring = Ring { data, rows: height, width, height };
                    let mut output = vec![Block::ZERO; out_height * out_width];
                    kernels.depthwise(&by, block, ring, &zeros, 0..out_height, &mut output);
                    for (i, got) in output.iter().enumerate() {
                        let (y, x) = (i / out_width, i % out_width);
                        for lane in 0..LANES.min(channels - block * LANES) {
                            let channel = block * LANES + lane;
                            let mut want = f64::from(conv.bias[channel]);
                            for (dy, dx) in (0..9).map(|tap| (tap / 3, tap % 3)) {
                                let (from_y, from_x) = (y * stride + dy, x * stride + dx);
                                if (1..=height).contains(&from_y) && (1..=width).contains(&from_x) {
                                    let at = channel * pixels + (from_y - 1) * width + from_x - 1;
                                    want += f64::from(numbers[at]) * f64::from(conv.weight[channel * 9 + dy * 3 + dx]);
                                }
                            }
                            assert_close(got.0[lane], clamped(want, relu6), || {
                                format!("{kernels:?}, {height}x{width}, stride {stride}, channel {channel}, ({y}, {x})")
                            });
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn convolution() {
    let mut seen = 0;
    // Channels in and out, kernel, stride, output rows and columns.
    let cases = [
        (16, 16, (1, 1), 1, (1, 1)),
        (32, 48, (3, 3), 1, (4, 15)),
        (16, 80, (3, 3), 2, (3, 7)),
        (48, 32, (1, 7), 1, (2, 29)),
        (16, 16, (7, 1), 1, (5, 3)),
        (32, 16, (5, 5), 1, (2, 14)),
    ];
    for kernels in every_level() {
        for (inputs, outputs, side, stride, (height, width)) in cases {
            let shape = [outputs, inputs, side.0, side.1];
            let weight = noise(outputs as u64, shape.iter().product());
            let conv = Conv { shape, weight, stride, activation: Activation::Relu, ..conv(outputs, 1, 1, 1, 1, false) };
            let by = pack::window(&conv, kernels);
            let (rows, columns) = ((height - 1) * stride + side.0, (width - 1) * stride + side.1);
            // One pixel more on every side than is read: those are NaN.
            let (row, plane) = (columns + 2, (rows + 2) * (columns + 2));
            let numbers = noise(11, inputs * plane);
            let edge = |i: usize| i < row || i >= plane - row || i.is_multiple_of(row) || i % row == row - 1;
            let at = |channel: usize, i: usize| if edge(i) { f32::NAN } else { numbers[channel * plane + i] };
            let input = planes(inputs, plane, at);
            let untouched = Block([-7.0; LANES]);
            let (out_row, out_plane) = (width + 3, height * (width + 3) + 2);
            let mut output = vec![untouched; by.bias.len() * out_plane];
            let from = Area { data: &input, first: row + 1, row, plane };
            let to = AreaMut { data: &mut output, first: 1, row: out_row, plane: out_plane };
            kernels.convolution(&by, from, to, (height, width));
            for (i, block) in output.iter().enumerate() {
                let (block_of, pixel) = (i / out_plane, (i % out_plane).wrapping_sub(1));
                let (y, x) = (pixel / out_row, pixel % out_row);
                if y >= height || x >= width {
                    assert_eq!(*block, untouched, "{kernels:?} wrote outside its pixels");
                    continue;
                }
                for lane in 0..LANES {
                    let channel = block_of * LANES + lane;
                    let mut want = f64::from(conv.bias[channel]);
                    for tap in 0..inputs * side.0 * side.1 {
                        let (c, dy, dx) = (tap / (side.0 * side.1), tap / side.1 % side.0, tap % side.1);
                        let value = at(c, (1 + y * stride + dy) * row + 1 + x * stride + dx);
                        want += f64::from(value) * f64::from(conv.weight[channel * inputs * side.0 * side.1 + tap]);
                    }
                    assert_close(block.0[lane], want.max(0.0), || {
                        format!(
                            "{kernels:?}, {inputs} to {outputs} by {side:?}/{stride}, channel {channel}, ({y}, {x})"
                        )
                    });
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 500);
}

/// The detour against the direct way, which the test above holds to its definition.
#[test]
fn winograd() {
    let mut seen = 0;
    for kernels in every_level() {
        // Channels in and out, side of the kernel, output rows and columns: whole tiles, and every kind of rest.
        for (inputs, outputs, side, size) in [
            (16, 16, 3, (4, 4)),
            (32, 48, 3, (9, 14)),
            (16, 32, 3, (1, 3)),
            (48, 16, 3, (70, 131)),
            (16, 16, 5, (2, 2)),
            (32, 48, 5, (7, 5)),
            (16, 80, 5, (40, 39)),
        ] {
            let weight = noise(outputs as u64, outputs * inputs * side * side);
            let shape = [outputs, inputs, side, side];
            let conv = Conv { shape, weight, activation: Activation::Relu, ..conv(outputs, 1, 1, 1, 1, false) };
            let (rows, row) = (size.0 + side + 1, size.1 + side + 1);
            // One pixel more on every side than is read: those are NaN.
            let numbers = noise(11, inputs * rows * row);
            let edge = |i: usize| i < row || i >= (rows - 1) * row || i.is_multiple_of(row) || i % row == row - 1;
            let at = |c: usize, i: usize| if edge(i) { f32::NAN } else { numbers[c * rows * row + i] };
            let input = planes(inputs, rows * row, at);
            let from = Area { data: &input, first: row + 1, row, plane: rows * row };
            let untouched = Block([-7.0; LANES]);
            let (out_row, out_plane) = (size.1 + 2, size.0 * (size.1 + 2) + 3);
            let memory = || vec![untouched; outputs.div_ceil(LANES) * out_plane];
            let (mut direct, mut detour) = (memory(), memory());
            let to = |data| AreaMut { data, first: 1, row: out_row, plane: out_plane };
            kernels.convolution(&pack::window(&conv, kernels), from, to(&mut direct), size);
            let by = pack::winograd(&conv, kernels);
            let mut work = vec![Block([f32::NAN; LANES]); by.work(size)];
            kernels.winograd(&by, from, to(&mut detour), size, &mut work);
            let numbers = |blocks: &[Block]| blocks.iter().flat_map(|block| block.0).collect::<Vec<f32>>();
            let off = relative(&numbers(&detour), &numbers(&direct));
            assert!(off < 1e-5, "{kernels:?}, {inputs} to {outputs} by {side}, {size:?}: {off}");
            seen += 1;
        }
    }
    assert!(seen >= 14);
}

#[test]
#[should_panic(expected = "reaches")]
fn an_area_that_ends_too_early_is_refused() {
    let kernels = Kernels::new(CpuLevel::Portable).unwrap();
    let conv = Conv { shape: [16, 16, 3, 3], weight: vec![0.0; 16 * 16 * 9], ..conv(16, 1, 1, 1, 1, false) };
    let input = vec![Block::ZERO; 5 * 5 - 1];
    let mut output = vec![Block::ZERO; 9];
    let from = Area { data: &input, first: 0, row: 5, plane: 25 };
    let to = AreaMut { data: &mut output, first: 0, row: 3, plane: 9 };
    kernels.convolution(&pack::window(&conv, kernels), from, to, (3, 3));
}

#[test]
fn nan_stays_nan_and_infinity_is_clamped() {
    for kernels in every_level() {
        let one = Conv {
            shape: [16, 1, 1, 1],
            weight: vec![1.0; 16],
            bias: vec![0.0; 16],
            stride: 1,
            padding: (0, 0),
            groups: 1,
            activation: Activation::Relu6,
        };
        let by = pack::dense(&one, kernels);
        let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -0.5, 7.0, 2.5];
        let input = planes(1, values.len(), |_, pixel| values[pixel]);
        let mut output = vec![Block::ZERO; values.len()];
        let to = ViewMut { data: &mut output, plane: values.len(), first: 0 };
        let from = View { data: &input, plane: values.len(), first: 0 };
        kernels.pointwise(&by, 0..1, values.len(), from, to, None);
        let got: Vec<f32> = output.iter().map(|block| block.0[15]).collect();
        assert!(got[0].is_nan(), "{kernels:?}: {got:?}");
        assert_eq!(got[1..], [6.0, 0.0, 1e-40, 0.0, 6.0, 2.5], "{kernels:?}");
    }
}

#[test]
#[should_panic(expected = "fits")]
fn a_view_that_ends_too_early_is_refused() {
    let kernels = Kernels::new(CpuLevel::Portable).unwrap();
    let by = pack::dense(&conv(16, 32, 1, 1, 1, false), kernels);
    let input = planes(32, 4, |_, _| 0.0);
    let mut output = vec![Block::ZERO; 4];
    let to = ViewMut { data: &mut output, plane: 4, first: 0 };
    kernels.pointwise(&by, 0..1, 4, View { data: &input, plane: 4, first: 1 }, to, None);
}
