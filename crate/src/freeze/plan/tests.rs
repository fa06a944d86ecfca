//! The whole plan against the same network worked out in f64, one number at a time, by other code.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::freeze::cpu::CpuLevel;
use crate::freeze::photo::Photo;
use crate::freeze::program::Program;
use crate::freeze::tests::{noise, relative};
use crate::images::Preprocess;
use crate::models::Activation;

/// Channels, rows and columns; numbers in that order.
struct Map {
    channels: usize,
    height: usize,
    width: usize,
    numbers: Vec<f64>,
}

impl Map {
    fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let inside = (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x);
        if inside { self.numbers[(c * self.height + y as usize) * self.width + x as usize] } else { 0.0 }
    }

    fn convolved(&self, by: &Conv) -> Self {
        let [channels, inputs, side, _] = by.shape;
        let out = |n: usize| (n + 2 * by.padding.0 - side) / by.stride + 1;
        let (height, width) = (out(self.height), out(self.width));
        let mut numbers = Vec::new();
        for (c, y, x) in (0..channels * height * width).map(|i| (i / (height * width), i / width % height, i % width)) {
            let mut sum = f64::from(by.bias[c]);
            for (i, dy, dx) in (0..inputs * side * side).map(|i| (i / (side * side), i / side % side, i % side)) {
                let from = c / (channels / by.groups) * inputs + i;
                let place = |out: usize, d: usize| (out * by.stride + d) as isize - by.padding.0 as isize;
                let weight = f64::from(by.weight[((c * inputs + i) * side + dy) * side + dx]);
                sum += weight * self.at(from, place(y, dy), place(x, dx));
            }
            numbers.push(if by.activation == Activation::Relu6 { sum.clamp(0.0, 6.0) } else { sum });
        }
        Self { channels, height, width, numbers }
    }
}

fn features(spec: &PlanSpec, photo: Map) -> Vec<f32> {
    let mut map = photo.convolved(&spec.stem);
    for block in &spec.blocks {
        let wide = block.expand.as_ref().map(|expand| map.convolved(expand));
        let mut out = wide.as_ref().unwrap_or(&map).convolved(&block.depthwise).convolved(&block.project);
        if block.residual {
            out.numbers.iter_mut().zip(&map.numbers).for_each(|(out, x)| *out += x);
        }
        map = out;
    }
    let map = map.convolved(&spec.last);
    let pixels = map.height * map.width;
    (0..map.channels)
        .map(|c| (map.numbers[c * pixels..][..pixels].iter().sum::<f64>() / pixels as f64) as f32)
        .collect()
}

fn conv(seed: u64, outputs: usize, inputs: usize, side: usize, stride: usize, relu6: bool) -> Conv {
    let groups = if side == 3 && inputs == 1 { outputs } else { 1 };
    let scale = 2.5 / ((inputs * side * side) as f32).sqrt();
    Conv {
        shape: [outputs, inputs, side, side],
        weight: noise(seed, outputs * inputs * side * side).into_iter().map(|x| x * scale).collect(),
        bias: noise(seed + 1000, outputs).into_iter().map(|x| 0.3 * x).collect(),
        stride,
        padding: (side / 2, side / 2),
        groups,
        activation: if relu6 { Activation::Relu6 } else { Activation::Linear },
    }
}

/// A stem, blocks of (expanded channels or 0, channels out, stride), and a last layer of 40 features.
fn network(stem: usize, blocks: &[(usize, usize, usize)]) -> PlanSpec {
    let (mut channels, mut seed) = (stem, 10);
    let mut spec = PlanSpec { stem: conv(1, stem, 3, 3, 2, true), blocks: Vec::new(), last: conv(2, 1, 1, 1, 1, true) };
    for &(wide, out, stride) in blocks {
        seed += 10;
        let middle = if wide == 0 { channels } else { wide };
        spec.blocks.push(BlockSpec {
            expand: (wide > 0).then(|| conv(seed, wide, channels, 1, 1, true)),
            depthwise: conv(seed + 1, middle, 1, 3, stride, true),
            project: conv(seed + 2, out, middle, 1, 1, false),
            residual: stride == 1 && channels == out,
        });
        channels = out;
    }
    spec.last = conv(2, 40, channels, 1, 1, true);
    spec
}

#[test]
fn plans_give_what_the_definition_gives() {
    let networks = [
        ("no blocks", network(8, &[])),
        ("as MobileNetV2 begins", network(32, &[(0, 16, 1), (96, 24, 2), (144, 24, 1), (144, 32, 2), (33, 32, 1)])),
        ("an expansion at once", network(16, &[(20, 16, 1), (24, 8, 2)])),
        ("a residual on the stem", network(24, &[(0, 24, 1), (0, 24, 1), (0, 3, 2)])),
    ];
    let mut seen = 0;
    for (name, spec) in &networks {
        for (height, width) in [(1, 1), (6, 5), (23, 30)] {
            let numbers = noise(77, 3 * height * width);
            let map = Map { channels: 3, height, width, numbers: numbers.iter().map(|&x| x.into()).collect() };
            let want = features(spec, map);
            for level in CpuLevel::available() {
                // One row a stripe, a few, and all at once.
                for bytes in [0, 20 << 10, STRIPE_BYTES] {
                    let kernels = Kernels::new(level).unwrap();
                    let plan = Plan::in_stripes(spec, (height, width), kernels, bytes).unwrap();
                    let (mut scratch, mut out) = (plan.scratch(), vec![0.0; plan.features()]);
                    for round in ["first", "second, in used memory"] {
                        plan.run(Photo::Planes(&numbers), &mut scratch, &mut out, &mut |_| ());
                        let off = relative(&out, &want);
                        assert!(off < 1e-5, "{name}, {height}x{width}, {level}, {bytes} bytes, {round}: {off}");
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen >= 72);
}

#[test]
fn bytes_are_normalised_as_pixels_are() {
    let preprocess = Preprocess { side: 0, ..Preprocess::IMAGENET };
    let (height, width) = (9, 12);
    let rgb: Vec<u8> = noise(4, height * width * 3).iter().map(|x| (x * 127.0 + 128.0) as u8).collect();
    let mut planes = vec![0.0; rgb.len()];
    for (i, &byte) in rgb.iter().enumerate() {
        let (pixel, c) = (i / 3, i % 3);
        planes[c * height * width + pixel] = (f32::from(byte) / 255.0 - preprocess.mean[c]) / preprocess.std[c];
    }
    let spec = network(16, &[(0, 16, 1)]);
    let plan = Plan::new(&spec, (height, width), Kernels::new(CpuLevel::Portable).unwrap()).unwrap();
    let (mut a, mut b) = (vec![0.0; 40], vec![0.0; 40]);
    let mut scratch = plan.scratch();
    plan.run(Photo::Rgb(&rgb, &preprocess), &mut scratch, &mut a, &mut |_| ());
    plan.run(Photo::Planes(&planes), &mut scratch, &mut b, &mut |_| ());
    assert_eq!(a, b);
    assert!(a.iter().any(|&x| x != 0.0));
}

#[test]
fn nan_comes_out_as_nan_and_leaves_no_trace() {
    let spec = network(16, &[(0, 16, 1), (32, 16, 1)]);
    for level in CpuLevel::available() {
        let plan = Plan::new(&spec, (8, 8), Kernels::new(level).unwrap()).unwrap();
        let mut scratch = plan.scratch();
        let mut run = |photo: &[f32]| {
            let mut out = vec![0.0; 40];
            plan.run(Photo::Planes(photo), &mut scratch, &mut out, &mut |_| ());
            out
        };
        let mut photo = noise(1, 3 * 64);
        let before = run(&photo);
        photo[30] = f32::NAN;
        assert!(run(&photo).iter().all(|x| x.is_nan()), "{level}");
        photo[30] = noise(1, 31)[30];
        assert_eq!(run(&photo), before, "{level}: a NaN stayed in the scratch memory");
    }
}

#[test]
fn networks_of_another_kind_are_refused() {
    let good = || network(16, &[(32, 16, 1)]);
    let kernels = Kernels::new(CpuLevel::Portable).unwrap();
    let refused = |why: &str, change: &dyn Fn(&mut PlanSpec)| {
        let mut spec = good();
        change(&mut spec);
        let error = Plan::new(&spec, (8, 8), kernels).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    };
    assert!(Plan::new(&good(), (8, 8), kernels).is_ok());
    assert!(Plan::new(&good(), (0, 8), kernels).is_err());
    refused("stem", &|spec| spec.stem.stride = 1);
    refused("stem", &|spec| spec.stem.weight.truncate(5));
    refused("expand", &|spec| spec.blocks[0].expand = Some(conv(1, 32, 8, 1, 1, true)));
    refused("depthwise", &|spec| spec.blocks[0].depthwise.stride = 3);
    refused("depthwise", &|spec| spec.blocks[0].depthwise.padding = (0, 0));
    refused("project", &|spec| spec.blocks[0].project.groups = 2);
    refused("residual", &|spec| spec.blocks[0].depthwise.stride = 2);
    refused("last", &|spec| spec.last = conv(1, 40, 17, 1, 1, true));
}
