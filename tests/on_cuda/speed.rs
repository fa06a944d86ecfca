//! How fast, beside PyTorch on the same GPU in the same run.

use candlewick::candle_core::{DType, Device, Tensor};
use candlewick::device::DeviceChoice;
use candlewick::freeze::{FreezeOptions, Precision};
use candlewick::models::{Activation, Backbone, Convolution, InceptionV3, MobileNetV2};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Instant;

const BATCHES: [usize; 3] = [1, 32, 256];
const REPEATS: usize = 20;

/// Name, floating-point operations a photo, numbers that its convolutions write a photo (timm's counts).
const MODELS: [(&str, f64, f64); 2] = [("mobilenet_v2", 0.60e9, 6.68e6), ("inception_v3", 11.4e9, 8.97e6)];
/// What is compared with what: our precision and PyTorch's settings.
const SETTINGS: [(&str, Precision, bool); 4] = [
    ("f32", Precision::F32, false),
    ("tf32", Precision::F32, true),
    ("f16", Precision::F16, false),
    ("bf16", Precision::Bf16, false),
];

pub fn measure(gpu: &Device, choice: DeviceChoice, python: Option<&str>) {
    let bytes_a_second = copying(gpu);
    println!("\nphotos a second; a large copy moves {:.0} GB/s here", bytes_a_second / 1e9);
    println!(
        "PyTorch's best of eager and compiled, contiguous and channels last; arithmetic and bandwidth: the share of what"
    );
    println!(
        "a large product of matrices and a large copy reach, each convolution's output written once and read once"
    );
    println!(
        "{:<14} {:<5} {:>5} {:>10} {:>10} {:>7} {:>10} {:>9}  PyTorch's best",
        "", "", "batch", "candlewick", "PyTorch", "ratio", "arithmetic", "bandwidth"
    );
    for (model, operations, writes) in MODELS {
        for (setting, precision, tf32) in SETTINGS {
            let peak = multiplying(gpu, precision, tf32);
            for batch in BATCHES {
                let ours = ours(model, FreezeOptions { device: choice, precision, tf32 }, batch, gpu);
                let theirs = python.and_then(|python| theirs(python, model, setting, batch));
                let size = if precision == Precision::F32 { 4. } else { 2. };
                let (best, how) = theirs.unwrap_or((f64::NAN, "not measured".to_owned()));
                println!(
                    "{model:<14} {setting:<5} {batch:>5} {ours:>10.0} {best:>10.0} {:>7.2} {:>9.1}% {:>8.1}%  {how}",
                    ours / best,
                    100. * ours * operations / peak,
                    100. * ours * 2. * size * writes / bytes_a_second,
                );
            }
        }
    }
    kernels(gpu, bytes_a_second);
}

/// Seconds of one of many runs, the best of three rounds; the device has finished each.
fn seconds(gpu: &Device, mut run: impl FnMut()) -> f64 {
    run();
    gpu.synchronize().unwrap();
    let round = |_| {
        let began = Instant::now();
        (0..REPEATS).for_each(|_| run());
        gpu.synchronize().unwrap();
        began.elapsed().as_secs_f64() / REPEATS as f64
    };
    (0..3).map(round).fold(f64::INFINITY, f64::min)
}

/// Photos a second of the frozen network, photos and features on the GPU.
fn ours(model: &str, options: FreezeOptions, batch: usize, gpu: &Device) -> f64 {
    let run = |frozen: &dyn Backbone| {
        let side = frozen.spec().preprocess.side;
        let x = super::parity::photos(batch, side).to_device(gpu).unwrap();
        batch as f64 / seconds(gpu, || drop(frozen.features(&x).unwrap()))
    };
    match model {
        "mobilenet_v2" => run(&MobileNetV2::random(0).unwrap().freeze_with(options).unwrap()),
        _ => run(&InceptionV3::random(0).unwrap().freeze_with(options).unwrap()),
    }
}

/// PyTorch's best photos a second, and by which of its ways; none, with its words, where it fails.
fn theirs(python: &str, model: &str, setting: &str, batch: usize) -> Option<(f64, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/on_cuda/torch_speed.py");
    let arguments = [script, model, setting, &batch.to_string(), &REPEATS.to_string()];
    let output = Command::new(python).args(arguments).stderr(Stdio::inherit()).output().ok()?;
    let ways = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect::<Vec<Value>>();
    let way = |line: &Value| Some((line["images_per_second"].as_f64()?, line["way"].as_str()?.to_owned()));
    ways.iter().filter_map(way).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// Bytes a second that a large copy reads and writes.
fn copying(gpu: &Device) -> f64 {
    let x = Tensor::zeros(1 << 28, DType::F32, gpu).unwrap();
    2. * 4. * f64::from(1 << 28) / seconds(gpu, || drop(x.copy().unwrap()))
}

/// Operations a second of a large product of matrices.
fn multiplying(gpu: &Device, precision: Precision, tf32: bool) -> f64 {
    let dtype = match precision {
        Precision::F32 => DType::F32,
        Precision::F16 => DType::F16,
        Precision::Bf16 => DType::BF16,
    };
    let side = 8192;
    let a = Tensor::ones((side, side), dtype, gpu).unwrap();
    candlewick::candle_core::cuda::set_gemm_reduced_precision_f32(tf32);
    let time = seconds(gpu, || drop(a.matmul(&a).unwrap()));
    candlewick::candle_core::cuda::set_gemm_reduced_precision_f32(false);
    2. * (side as f64).powi(3) / time
}

/// The time of each kernel of ours at the sizes of MobileNetV2, and what it moves of a copy's bandwidth.
fn kernels(gpu: &Device, bytes_a_second: f64) {
    println!("\ndepthwise 3x3 with bias and ReLU6, batch 32, f32: time, and input and output over a copy's bandwidth");
    for (channels, side, stride) in [(32, 112, 1), (96, 112, 2), (144, 56, 1), (192, 28, 1), (384, 14, 1), (960, 7, 1)]
    {
        let layer = Convolution {
            weight: Tensor::ones((channels, 1, 3, 3), DType::F32, gpu).unwrap(),
            bias: Some(Tensor::zeros(channels, DType::F32, gpu).unwrap()),
            batch_norm: None,
            stride,
            padding: (1, 1),
            groups: channels,
            activation: Activation::Relu6,
        };
        let x = Tensor::ones((32, channels, side, side), DType::F32, gpu).unwrap();
        let time = seconds(gpu, || drop(layer.forward(&x).unwrap()));
        let out = side.div_ceil(stride);
        let bytes = 4. * (32 * channels * (side * side + out * out)) as f64;
        println!(
            "{channels:>4} x {side:>3} x {side:>3}, stride {stride}: {:>8.1} us {:>6.1}%",
            time * 1e6,
            100. * bytes / time / bytes_a_second
        );
    }
}
