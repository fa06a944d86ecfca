//! The whole graph against the same network worked out in f64, one number at a time, by other code.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::freeze::cpu::CpuLevel;
use crate::freeze::photo::Photo;
use crate::freeze::program::Program;
use crate::freeze::tests::{noise, relative};
use crate::images::Preprocess;
use crate::models::Activation;

/// Channels, rows and columns; numbers in that order.
#[derive(Clone)]
struct Map {
    channels: usize,
    height: usize,
    width: usize,
    numbers: Vec<f64>,
}

impl Map {
    fn at(&self, c: usize, y: isize, x: isize) -> Option<f64> {
        let inside = (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x);
        inside.then(|| self.numbers[(c * self.height + y as usize) * self.width + x as usize])
    }

    fn made(channels: usize, height: usize, width: usize, at: impl Fn(usize, usize, usize) -> f64) -> Self {
        let place = |i: usize| (i / (height * width), i / width % height, i % width);
        let numbers = (0..channels * height * width).map(place).map(|(c, y, x)| at(c, y, x)).collect();
        Self { channels, height, width, numbers }
    }

    fn convolved(&self, by: &Conv) -> Self {
        let [channels, inputs, rows, columns] = by.shape;
        let height = (self.height + 2 * by.padding.0 - rows) / by.stride + 1;
        let width = (self.width + 2 * by.padding.1 - columns) / by.stride + 1;
        Self::made(channels, height, width, |c, y, x| {
            let mut sum = f64::from(by.bias[c]);
            for tap in 0..inputs * rows * columns {
                let (i, dy, dx) = (tap / (rows * columns), tap / columns % rows, tap % columns);
                let (y, x) = (y * by.stride + dy, x * by.stride + dx);
                let from = self.at(i, y as isize - by.padding.0 as isize, x as isize - by.padding.1 as isize);
                sum += from.unwrap_or(0.0) * f64::from(by.weight[c * inputs * rows * columns + tap]);
            }
            if by.activation == Activation::Relu { sum.max(0.0) } else { sum }
        })
    }

    /// What lies in the 3x3 window whose upper left corner is at row and column.
    fn window(&self, c: usize, y: isize, x: isize) -> impl Iterator<Item = f64> {
        (0..9).filter_map(move |i| self.at(c, y + i / 3, x + i % 3))
    }

    fn stepped(&self, step: &Step<Conv>, counts_padding: bool) -> Self {
        let Self { channels, height, width, .. } = *self;
        match step {
            Step::Convolution(conv) => self.convolved(conv),
            Step::Split([left, right]) => Self::joined(&[self.convolved(left), self.convolved(right)]),
            Step::MaxPool => Self::made(channels, (height - 1) / 2, (width - 1) / 2, |c, y, x| {
                self.window(c, 2 * y as isize, 2 * x as isize).fold(f64::MIN, f64::max)
            }),
            Step::AveragePool => Self::made(channels, height, width, |c, y, x| {
                let inside: Vec<f64> = self.window(c, y as isize - 1, x as isize - 1).collect();
                inside.iter().sum::<f64>() / if counts_padding { 9.0 } else { inside.len() as f64 }
            }),
        }
    }

    fn joined(maps: &[Self]) -> Self {
        let numbers = maps.iter().flat_map(|map| map.numbers.clone()).collect();
        Self { channels: maps.iter().map(|map| map.channels).sum(), numbers, ..maps[0] }
    }
}

fn features(spec: &GraphSpec, photo: Map) -> Vec<f32> {
    let map = spec.blocks.iter().fold(photo, |map, block| {
        let branch = |steps: &Vec<Step<Conv>>| {
            steps.iter().fold(map.clone(), |map, step| map.stepped(step, spec.counts_padding))
        };
        Map::joined(&block.branches.iter().map(branch).collect::<Vec<_>>())
    });
    let pixels = map.height * map.width;
    map.numbers.chunks(pixels).map(|plane| (plane.iter().sum::<f64>() / pixels as f64) as f32).collect()
}

/// Channels in and out, kernel, stride; padding that keeps the sides where the stride is 1.
fn conv(inputs: usize, outputs: usize, kernel: (usize, usize), stride: usize) -> Conv {
    let taps = inputs * kernel.0 * kernel.1;
    let seed = (outputs * 31 + taps) as u64;
    let scale = 1.7 / (taps as f32).sqrt();
    Conv {
        shape: [outputs, inputs, kernel.0, kernel.1],
        weight: noise(seed, outputs * taps).into_iter().map(|x| x * scale).collect(),
        bias: noise(seed + 1000, outputs).into_iter().map(|x| 0.3 * x).collect(),
        stride,
        padding: if stride == 1 { (kernel.0 / 2, kernel.1 / 2) } else { (0, 0) },
        groups: 1,
        activation: Activation::Relu,
    }
}

fn step(inputs: usize, outputs: usize, kernel: (usize, usize)) -> Step<Conv> {
    Step::Convolution(conv(inputs, outputs, kernel, 1))
}

fn block(branches: Vec<Vec<Step<Conv>>>) -> models::Block<Conv> {
    models::Block { name: "a block".into(), kind: "block", branches }
}

/// A stem of 16 channels, then `blocks`.
fn network(counts_padding: bool, blocks: Vec<models::Block<Conv>>) -> GraphSpec {
    let stem = block(vec![vec![Step::Convolution(conv(3, 16, (3, 3), 2))]]);
    GraphSpec { blocks: [vec![stem], blocks].concat(), counts_padding }
}

/// Every kind of step that InceptionV3 has, in small.
fn every_step() -> Vec<models::Block<Conv>> {
    let valid = Conv { padding: (0, 0), ..conv(16, 32, (3, 3), 1) };
    let halving = |inputs, outputs| Step::Convolution(conv(inputs, outputs, (3, 3), 2));
    vec![
        block(vec![vec![Step::Convolution(valid)]]),
        block(vec![vec![step(32, 48, (3, 3))]]),
        block(vec![
            vec![step(48, 16, (1, 1))],
            vec![step(48, 32, (1, 1)), step(32, 16, (5, 5))],
            vec![step(48, 16, (1, 1)), step(16, 48, (3, 3)), step(48, 80, (3, 3))],
            vec![Step::AveragePool, step(48, 16, (1, 1))],
        ]),
        block(vec![
            vec![step(128, 32, (1, 1)), step(32, 16, (7, 1)), step(16, 32, (1, 7)), step(32, 16, (7, 1))],
            vec![step(128, 16, (1, 1)), Step::Split([conv(16, 32, (1, 3), 1), conv(16, 48, (3, 1), 1)])],
            vec![Step::AveragePool],
        ]),
        block(vec![vec![halving(224, 16)], vec![step(224, 16, (1, 7)), halving(16, 64)], vec![Step::MaxPool]]),
        block(vec![vec![step(304, 48, (1, 1))]]),
    ]
}

#[test]
fn graphs_give_what_the_definition_gives() {
    let networks = [
        ("a stem", network(true, vec![])),
        ("every step, zeros counted", network(true, every_step())),
        ("every step, zeros left out", network(false, every_step())),
    ];
    let mut seen = 0;
    for (name, spec) in &networks {
        // The largest has enough pixels for Winograd's detour.
        for (height, width) in [(15, 17), (31, 22), (55, 50)] {
            let numbers = noise(77, 3 * height * width);
            let map = Map { channels: 3, height, width, numbers: numbers.iter().map(|&x| x.into()).collect() };
            let want = features(spec, map);
            for level in CpuLevel::available() {
                let graph = Graph::new(spec, (height, width), Kernels::new(level).unwrap()).unwrap();
                assert_eq!((graph.features(), graph.side()), (want.len(), (height, width)));
                let (mut scratch, mut out) = (graph.scratch(), vec![0.0; want.len()]);
                for round in ["first", "second, in used memory"] {
                    graph.run(Photo::Planes(&numbers), &mut scratch, &mut out, &mut |_| ());
                    let off = relative(&out, &want);
                    assert!(off < 1e-5, "{name}, {height}x{width}, {level}, {round}: {off}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 18);
}

#[test]
fn bytes_are_normalised_as_pixels_are() {
    let (height, width) = (9, 12);
    let rgb: Vec<u8> = noise(4, height * width * 3).iter().map(|x| (x * 127.0 + 128.0) as u8).collect();
    let mut planes = vec![0.0; rgb.len()];
    for (i, &byte) in rgb.iter().enumerate() {
        planes[i % 3 * height * width + i / 3] = (f32::from(byte) / 255.0 - 0.5) / 0.5;
    }
    let graph = Graph::new(&network(true, vec![]), (height, width), Kernels::new(CpuLevel::Portable).unwrap()).unwrap();
    let (mut a, mut b, mut scratch) = (vec![0.0; 16], vec![0.0; 16], graph.scratch());
    graph.run(Photo::Rgb(&rgb, &Preprocess::INCEPTION), &mut scratch, &mut a, &mut |_| ());
    graph.run(Photo::Planes(&planes), &mut scratch, &mut b, &mut |_| ());
    assert_eq!(a, b);
    assert!(a.iter().any(|&x| x != 0.0));
}

#[test]
fn nan_comes_out_as_nan_and_leaves_no_trace() {
    let spec = network(true, every_step());
    for level in CpuLevel::available() {
        let graph = Graph::new(&spec, (31, 22), Kernels::new(level).unwrap()).unwrap();
        let mut scratch = graph.scratch();
        let mut run = |photo: &[f32]| {
            let mut out = vec![0.0; 48];
            graph.run(Photo::Planes(photo), &mut scratch, &mut out, &mut |_| ());
            out
        };
        let mut photo = noise(1, 3 * 31 * 22);
        let before = run(&photo);
        photo[30] = f32::NAN;
        assert!(run(&photo).iter().all(|x| x.is_nan()), "{level}");
        photo[30] = noise(1, 31)[30];
        assert_eq!(run(&photo), before, "{level}: a NaN stayed in the scratch memory");
    }
}

#[test]
fn networks_of_another_kind_are_refused() {
    let kernels = Kernels::new(CpuLevel::Portable).unwrap();
    let refused = |why: &str, side: (usize, usize), blocks: Vec<models::Block<Conv>>| {
        let error = Graph::new(&network(true, blocks), side, kernels).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("a block"), "{why}: {error}");
    };
    let one = |conv: Conv| vec![block(vec![vec![Step::Convolution(conv)]])];
    refused("sixteens", (9, 9), one(conv(16, 20, (1, 1), 1)));
    refused("sixteens", (9, 9), one(Conv { weight: vec![0.0; 3], ..conv(16, 16, (1, 1), 1) }));
    refused("sixteens", (9, 9), one(Conv { bias: vec![], ..conv(16, 16, (1, 1), 1) }));
    refused("over all channels", (9, 9), one(conv(32, 16, (1, 1), 1)));
    refused("over all channels", (9, 9), one(Conv { groups: 16, ..conv(16, 16, (1, 1), 1) }));
    refused("stride 1 or 2", (9, 9), one(conv(16, 16, (1, 1), 3)));
    refused("fit into", (9, 9), one(Conv { padding: (0, 0), ..conv(16, 16, (5, 5), 1) }));
    refused("for a pool", (5, 9), vec![block(vec![vec![Step::MaxPool]])]);
    refused("end alike", (19, 19), vec![block(vec![vec![Step::MaxPool], vec![Step::AveragePool]])]);
    refused("fit into", (2, 9), vec![]);
    let mut spec = network(true, vec![]);
    spec.blocks[0].branches[0].push(Step::MaxPool);
    assert!(Graph::new(&spec, (99, 99), kernels).unwrap_err().to_string().contains("single convolution"));
    spec.blocks.clear();
    assert!(Graph::new(&spec, (99, 99), kernels).is_err());
}
