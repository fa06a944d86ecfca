//! A network's launches, done on the host, against the same network in plain candle.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::cuda::{Host, host};
use crate::freeze::tests::{noise, relative};
use crate::images::Preprocess;
use crate::models::{Backbone, InceptionV3, MobileNetV2};
use candle_core::{Device, Tensor};
use std::collections::HashMap;

/// Memory and arithmetic of the host, for so many photos.
struct OnHost<'a> {
    host: &'static Host,
    launches: &'a Launches,
    memory: HashMap<Region, Vec<f32>>,
    /// Rows that were multiplied at a time.
    rows: Vec<usize>,
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

impl<'a> OnHost<'a> {
    fn new(host: &'static Host, launches: &'a Launches, photos: usize) -> Self {
        let mut memory: HashMap<Region, Vec<f32>> = HashMap::new();
        // What is not written is seen.
        let mut add = |region, numbers| memory.insert(region, vec![f32::NAN; numbers]);
        (0..SLOTS).for_each(|slot| drop(add(Region::Slot(slot), photos * launches.slots[slot])));
        add(Region::Unrolled, launches.unrolled(photos));
        add(Region::Features, photos * launches.features);
        Self { host, launches, memory, rows: Vec::new() }
    }

    /// The features of these photos `(N, 3, H, W)`.
    fn features(host: &'static Host, launches: &'a Launches, photos: &Tensor) -> (Vec<f32>, Vec<usize>) {
        let count = photos.dims()[0];
        let mut machine = Self::new(host, launches, count);
        machine.memory.insert(Region::Photos, photos.flatten_all().unwrap().to_vec1().unwrap());
        launches.run(Photos::Planes, count, &mut machine).unwrap();
        (machine.memory.remove(&Region::Features).unwrap(), machine.rows)
    }
}

impl Machine for OnHost<'_> {
    fn launch(&mut self, launch: &Launch, from: At, constants: Option<usize>, with: Option<At>, to: At) -> Result<()> {
        let [height, width, row] = launch.out[..] else { panic!("{launch:?}") };
        let photos = launch.photos();
        let channels = launch.channels();
        // As long as it must be, so that a sanitizer sees what reads beyond.
        let input = &self.memory[&from.region][from.first..][..photos * launch.input()];
        let constants = constants.map_or(&[][..], |first| {
            let rows = if launch.kernel == "channelwise" { 11 } else { 1 };
            &self.launches.constants[first..][..rows * channels]
        });
        let with = with.map_or(&[][..], |at| &self.memory[&at.region][at.first..][..photos * height * width * row]);
        let length = photos * height * width * row - to.first;
        let inputs = [bytes(input), bytes(constants), bytes(with)];
        let out = self.host.launch(&format!("{}_f32", launch.kernel), &launch.plan, &inputs, 4 * length);
        let out: Vec<f32> = out.as_chunks().0.iter().map(|number| f32::from_ne_bytes(*number)).collect();
        let to_all = &mut self.memory.get_mut(&to.region).unwrap()[to.first..][..length];
        // A pool's channels may be some of a row's.
        let written = if launch.kernel == "pool_largest" { channels } else { row };
        for (to, made) in to_all.chunks_mut(row).zip(out.chunks(row)) {
            to[..written].copy_from_slice(&made[..written]);
        }
        Ok(())
    }

    fn multiply(&mut self, rows: usize, product: &Product, from: At, to: At) -> Result<()> {
        let Product { depth, outputs, row, weights } = *product;
        self.rows.push(rows);
        let weights = &self.launches.weights[weights..][..outputs * depth];
        let weights = Tensor::from_slice(weights, (outputs, depth), &Device::Cpu)?;
        let x = &self.memory[&from.region][from.first..][..rows * depth];
        let y = Tensor::from_slice(x, (rows, depth), &Device::Cpu)?.matmul(&weights.t()?)?.to_vec2::<f32>()?;
        let to = &mut self.memory.get_mut(&to.region).unwrap()[to.first..];
        y.iter().zip(to.chunks_mut(row)).for_each(|(y, to)| to[..outputs].copy_from_slice(y));
        Ok(())
    }
}

/// Does nothing.
struct Nothing;

impl Machine for Nothing {
    fn launch(&mut self, _: &Launch, _: At, _: Option<usize>, _: Option<At>, _: At) -> Result<()> {
        Ok(())
    }

    fn multiply(&mut self, _: usize, _: &Product, _: At, _: At) -> Result<()> {
        Ok(())
    }
}

fn photos(count: usize, side: usize) -> Tensor {
    Tensor::from_vec(noise(5, count * 3 * side * side), (count, 3, side, side), &Device::Cpu).unwrap()
}

#[test]
fn mobilenets_launches_give_its_features() {
    let Some(host) = host() else { return };
    let net = MobileNetV2::random(3).unwrap().folded().unwrap();
    // Widths of 20, 10, 5, 3 and 2: threads of four pixels have fewer to do.
    let preprocess = Preprocess { side: 40, ..Preprocess::IMAGENET };
    let launches = Launches::of_blocks(&net.plan_spec().unwrap(), &preprocess).unwrap();
    let photos = photos(2, 40);
    let (got, rows) = OnHost::features(host, &launches, &photos);
    let want: Vec<f32> = net.features(&photos).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert!(relative(&got, &want) < 1e-5, "{}", relative(&got, &want));
    // The stem, two or three products a block, the last: all pixels of both photos at once.
    assert_eq!((rows.len(), rows[0]), (35, 2 * 20 * 20));
    let settled = launches.kernels().iter().filter(|kernel| **kernel == "settle").count();
    assert_eq!(settled, 17, "once a block, and no more");
}

#[test]
fn inceptions_launches_give_its_features() {
    let Some(host) = host() else { return };
    for counts_padding in [true, false] {
        let net = InceptionV3 { counts_padding, ..InceptionV3::random(3).unwrap().folded().unwrap() };
        let preprocess = Preprocess { side: 75, ..Preprocess::INCEPTION };
        let launches = Launches::of_graph(&net.graph_spec().unwrap(), &preprocess).unwrap();
        let photos = photos(1, 75);
        let (got, rows) = OnHost::features(host, &launches, &photos);
        let last = net.layer(&photos, "Mixed_7c").unwrap();
        let want: Vec<f32> = last.mean((2, 3)).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert!(relative(&got, &want) < 1e-5, "{counts_padding}: {}", relative(&got, &want));
        assert_eq!(rows.len(), 94, "each convolution is one product");
    }
}

#[test]
fn bytes_are_normalised_as_on_the_cpu() {
    let Some(host) = host() else { return };
    for (preprocess, side) in [(Preprocess::IMAGENET, 9), (Preprocess::INCEPTION, 7)] {
        let preprocess = Preprocess { side, ..preprocess };
        let (factor, summand) = preprocess.factor_and_summand();
        let rgb: Vec<u8> = (0..2 * side * side * 3).map(|i| (i * 37) as u8).collect();
        let launch = crate::cuda::pixels((side, side)).unwrap().of(2).unwrap();
        let constants = bytes(&[factor, summand].concat());
        let got = host.launch("pixels_f32", &launch.plan, &[rgb.clone(), constants, Vec::new()], 4 * rgb.len());
        let of_channel =
            |(i, byte): (usize, &u8)| (f32::from(*byte) / 255. - preprocess.mean[i % 3]) / preprocess.std[i % 3];
        let want: Vec<f32> = rgb.iter().enumerate().map(of_channel).collect();
        let got: Vec<f32> = got.as_chunks().0.iter().map(|number| f32::from_ne_bytes(*number)).collect();
        assert!(got.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-6), "{preprocess:?}");
    }
}

#[test]
fn few_photos_are_unrolled_at_a_time_and_all_are() {
    let window = crate::cuda::window((8, 64, 64), (64, 64), (3, 3), (1, (1, 1)), 72).unwrap();
    // 294,912 numbers a photo: 56 of them are just within 16 million.
    assert_eq!((together(&window, 200), together(&window, 20), together(&window, 0)), (56, 20, 1));
    struct Counts(Vec<(usize, usize)>);
    impl Machine for Counts {
        fn launch(&mut self, launch: &Launch, from: At, _: Option<usize>, _: Option<At>, _: At) -> Result<()> {
            self.0.push((launch.photos(), from.first));
            Ok(())
        }
        fn multiply(&mut self, rows: usize, _: &Product, _: At, to: At) -> Result<()> {
            self.0.push((rows, to.first));
            Ok(())
        }
    }
    let product = Product { depth: 72, outputs: 5, row: 7, weights: 0 };
    let to = At { region: Region::Slot(0), first: 2 };
    let step = Step::Unrolled { launch: window, pixels: 4096, product, from: Region::Slot(1), to };
    let net = MobileNetV2::random(0).unwrap().folded().unwrap();
    let launches = Launches::of_blocks(&net.plan_spec().unwrap(), &Preprocess::IMAGENET).unwrap();
    let mut counts = Counts(Vec::new());
    launches.step(&step, 60, &mut counts).unwrap();
    let (input, output) = (56 * 8 * 4096, 2 + 56 * 4096 * 7);
    assert_eq!(counts.0, [(56, 0), (56 * 4096, 2), (4, input), (4 * 4096, output)]);
}

#[test]
fn more_than_a_kernel_counts_is_refused_and_memory_is_added_up() {
    let net = MobileNetV2::random(0).unwrap().folded().unwrap();
    let launches = Launches::of_blocks(&net.plan_spec().unwrap(), &Preprocess::IMAGENET).unwrap();
    launches.run(Photos::Bytes, 256, &mut Nothing).unwrap();
    let error = launches.run(Photos::Bytes, 2000, &mut Nothing).unwrap_err().to_string();
    assert!(error.contains("fewer photos"), "{error}");
    // The stem; the first block; 96 channels before the second halves the sides; 144 in the third.
    let sides = [(32, 112), (16, 112), (96, 112), (144, 56)];
    assert_eq!(launches.slots, sides.map(|(channels, side)| channels * side * side));
    assert_eq!(launches.bytes_of_photo(4), 3 * 224 * 224 + 4 * launches.slots.iter().sum::<usize>() + 4 * 1280);
    // All kernels but the depthwise ones, and the stem's 27 numbers in rows of 32.
    let spec = net.plan_spec().unwrap();
    let dense = spec.convolutions().filter(|conv| conv.groups == 1);
    assert_eq!(launches.weights.len(), dense.map(|conv| conv.weight.len()).sum::<usize>() + 32 * 5);
}

/// Twice the multiplications of torchvision's layers, counted there, but for depthwise ones; and zeros where the stem's 27
/// numbers lie in rows of 32.
#[test]
fn steps_say_what_they_compute() {
    let mobilenet = MobileNetV2::random(0).unwrap().folded().unwrap();
    let mobilenet = Launches::of_blocks(&mobilenet.plan_spec().unwrap(), &Preprocess::IMAGENET).unwrap();
    let inception = InceptionV3::random(0).unwrap().folded().unwrap();
    let inception = Launches::of_graph(&inception.graph_spec().unwrap(), &Preprocess::INCEPTION).unwrap();
    for (launches, dense, side) in [(mobilenet, 557_555_712, 112), (inception, 11_422_336_192, 149)] {
        let (mut operations, mut steps) = (0, 0);
        let mut add = |work: Work, step: &mut dyn FnMut() -> Result<()>| {
            assert!(work.numbers > 0, "{work:?}");
            (operations, steps) = (operations + work.operations, steps + 1);
            step()
        };
        launches.each(Photos::Planes, 3, &mut Nothing, &mut add).unwrap();
        assert_eq!(operations, 3 * (dense + 2 * side * side * 32 * 5));
        assert_eq!(steps, launches.steps.len() + 1);
    }
}
