//! The GPU's numbers against the CPU's, and against torchvision's saved ones.

use super::Table;
use candlewick::candle_core::{Device, Tensor, Var};
use candlewick::device::DeviceChoice;
use candlewick::freeze::{FreezeOptions, Precision, Unfreeze};
use candlewick::models::{Backbone, InceptionV3, MobileNetV2};
use candlewick::prelude::{Dataset, FitOptions, Frozen, TransferModel};
use candlewick::weights::Weights;
use candlewick_tests::{shared, weights_of};
use serde_json::Value;

/// What a freeze makes of a network: on a device, in a precision.
type Freeze<B> = fn(B, FreezeOptions) -> candlewick::Result<Frozen<B>>;
/// A network brought to a device.
type Move<B> = fn(&B, &Device) -> candlewick::Result<B>;

pub fn check(table: &mut Table, gpu: &Device, choice: DeviceChoice, data: Option<&str>) {
    for trained in [false, true] {
        let (mobilenet, inception) = ("mobilenet_v2.tv_in1k", "inception_v3.keras_in1k");
        if trained && (weights_of(mobilenet).is_none() || weights_of(inception).is_none()) {
            continue;
        }
        let net = if trained { MobileNetV2::load(mobilenet) } else { MobileNetV2::random(1) }.unwrap();
        network(table, net, gpu, choice, (MobileNetV2::freeze_with, MobileNetV2::to_device));
        let net = if trained { InceptionV3::load(inception) } else { InceptionV3::random(1) }.unwrap();
        network(table, net, gpu, choice, (InceptionV3::freeze_with, InceptionV3::to_device));
    }
    reference(table, choice);
    if let Some(data) = data {
        accuracy(table, choice, data);
    }
}

/// Layers, gradients, frozen features and halves of one network.
fn network<B: Unfreeze + Clone>(
    table: &mut Table,
    net: B,
    gpu: &Device,
    choice: DeviceChoice,
    (freeze, to_device): (Freeze<B>, Move<B>),
) {
    let spec = net.spec().clone();
    table.head(&format!("{}, {}: the GPU against the CPU", spec.name, spec.weights));
    // Small photos for what any size will do for.
    let x = photos(2, 107);
    let there = to_device(&net, gpu).unwrap();
    let mut worst = ("no layer".to_owned(), 0.);
    for layer in net.layers() {
        let off = furthest(&there.layer(&x, &layer.name).unwrap(), &net.layer(&x, &layer.name).unwrap());
        if off > worst.1 {
            worst = (layer.name, off);
        }
    }
    table.at_most(&format!("plain, the layer furthest off ({})", worst.0), worst.1, 1e-3);
    let gradient = |net: &B| {
        let x = Var::from_tensor(&x).unwrap();
        let last = net.layer(&x, spec.last_convolution).unwrap().to_device(&Device::Cpu).unwrap();
        let weights = Tensor::arange(0f32, last.elem_count() as f32, &Device::Cpu).unwrap().sin().unwrap();
        let weights = weights.reshape(last.shape()).unwrap();
        let sum = (last * weights).unwrap().sum_all().unwrap();
        sum.backward().unwrap().get(&x).unwrap().clone()
    };
    // Not by the furthest number: a ReLU that one rounding opens and another leaves shut moves some of them. The test
    // `on_gpu` compares number by number where there are few layers.
    let (got, want) = (gradient(&there).flatten_from(1).unwrap(), gradient(&net).flatten_from(1).unwrap());
    table.at_least("gradient of the last convolution to the photos, cosine", cosine(&got, &want), 0.999);

    let x = photos(2, spec.preprocess.side);
    let frozen = |device, precision, tf32| freeze(net.clone(), FreezeOptions { device, precision, tf32 }).unwrap();
    let cpu = frozen(DeviceChoice::Cpu, Precision::F32, false);
    let want = cpu.features(&x).unwrap();
    for (precision, tf32, least) in [
        (Precision::F32, false, 0.999999),
        (Precision::F32, true, 0.9999),
        (Precision::F16, false, 0.9999),
        (Precision::Bf16, false, 0.999),
    ] {
        let made = frozen(choice, precision, tf32);
        let got = made.features(&x).unwrap();
        let name = format!("frozen in {precision}{}", if tf32 { " with TF32" } else { "" });
        if precision == Precision::F32 && !tf32 {
            table.at_most(&format!("{name}, features"), furthest(&got, &want), 1e-4);
            // By bytes, pinned memory and batches, as training reads them.
            let pixels = candlewick::data::sketches(candlewick::data::Sketches::Flowers, 5, 1);
            let of = |frozen: &Frozen<B>| {
                let progress = candlewick::notebook::Progress::new("photos", Some(5), "photos");
                frozen.features_of_all(5, |photo| pixels.photos()[photo].pixels(), &progress).unwrap()
            };
            table.at_most(&format!("{name}, features of photos in a stream"), furthest(&of(&made), &of(&cpu)), 1e-4);
        }
        table.at_least(&format!("{name}, cosine of features"), cosine(&got, &want), least);
    }
}

/// torchvision's numbers for trained MobileNetV2, where the project's `shared/` folder is.
fn reference(table: &mut Table, choice: DeviceChoice) {
    let (Some(golden), Some(weights)) = (shared("reference/mobilenet_v2.json"), weights_of("mobilenet_v2.tv_in1k"))
    else {
        return;
    };
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let net = MobileNetV2::from_weights(&Weights::open(&weights.to_string_lossy()).unwrap()).unwrap();
    let frozen = net.freeze_with(FreezeOptions { device: choice, ..FreezeOptions::default() }).unwrap();
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 * 2f32.powi(-22) - 2.;
    let x =
        Tensor::from_iter((0..2 * 3 * 224 * 224).map(value), &Device::Cpu).unwrap().reshape((2, 3, 224, 224)).unwrap();
    table.head("mobilenet_v2 frozen on the GPU against torchvision's saved numbers");
    for (what, got) in [("pooled", frozen.features(&x).unwrap()), ("logits", frozen.logits(&x).unwrap())] {
        for (photo, row) in got.to_vec2::<f32>().unwrap().into_iter().enumerate() {
            let want = golden["real"][what][photo]["first16"].as_array().expect("16 numbers");
            let largest = row.iter().fold(0f64, |most, x| most.max(f64::from(x.abs())));
            let off = row.iter().zip(want).map(|(got, want)| (f64::from(*got) - want.as_f64().unwrap()).abs());
            table.at_most(&format!("{what} of photo {photo}"), off.fold(0., f64::max) / largest, 1e-4);
        }
    }
}

/// Validation accuracy after six epochs in each precision, over five seeds.
fn accuracy(table: &mut Table, choice: DeviceChoice, data: &str) {
    let data = Dataset::from_folder(data).expect("--data is a folder with a folder of photos a class");
    table.head(&format!("validation accuracy on {} photos, mean of five seeds", data.len()));
    let mean = |precision| {
        let options = FreezeOptions { device: choice, precision, ..FreezeOptions::default() };
        let network = MobileNetV2::pretrained().unwrap().freeze_with(options).unwrap();
        let mut model = TransferModel::new(network, data.classes()).unwrap().keep_features_in(None);
        let sum: f64 = (0..5)
            .map(|seed| {
                let (training, validation) = data.split(0.8, seed).unwrap();
                model.forget().unwrap();
                let history = model.fit(&training, &validation, FitOptions { seed, ..FitOptions::default() }).unwrap();
                history.last().unwrap().validation_accuracy
            })
            .sum();
        sum / 5.
    };
    let f32 = mean(Precision::F32);
    table.at_least("f32", f32, 0.);
    for precision in [Precision::F16, Precision::Bf16] {
        let half = mean(precision);
        table.at_most(&format!("{precision}: {half:.4}, off f32 by"), (half - f32).abs(), 0.002);
    }
}

/// Smooth pictures with some noise, `(n, 3, side, side)`.
pub fn photos(count: usize, side: usize) -> Tensor {
    let value = |i: usize| {
        let (x, y, noise) = (i % side, i / side % side, (i as u32).wrapping_mul(2_654_435_761) >> 8);
        (x as f32 / 30.).sin() + (y as f32 / 17. + (i / (side * side)) as f32).cos() + noise as f32 / (1 << 25) as f32
            - 0.25
    };
    let values = (0..count * 3 * side * side).map(value);
    Tensor::from_iter(values, &Device::Cpu).unwrap().reshape((count, 3, side, side)).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_device(&Device::Cpu).unwrap().flatten_all().unwrap();
    tensor.to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// The largest difference, over the largest number wanted; what is no number is infinitely far off.
fn furthest(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.dims(), want.dims());
    let (got, want) = (numbers(got), numbers(want));
    let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs());
    let off = off.fold(0., |most: f64, x| if x.is_nan() { f64::INFINITY } else { most.max(x) });
    off / want.iter().fold(0., |most: f64, x| most.max(x.abs()))
}

/// The least cosine of a photo's features.
fn cosine(got: &Tensor, want: &Tensor) -> f64 {
    let (width, got, want) = (want.dims()[1], numbers(got), numbers(want));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let rows = got.chunks_exact(width).zip(want.chunks_exact(width));
    rows.map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).fold(1., f64::min)
}
