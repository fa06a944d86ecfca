//! How fast, beside PyTorch on the same GPU in the same run.

use super::torch;
use candlewick::candle_core::{DType, Device, Tensor};
use candlewick::device::DeviceChoice;
use candlewick::freeze::{FreezeOptions, Precision};
use candlewick::models::{Backbone, InceptionV3, MobileNetV2};
use candlewick::prelude::Frozen;
use std::time::Instant;

/// Name, multiplications and additions of a photo's convolutions, numbers that these write: counted from torchvision's layers.
const MODELS: [(&str, f64, f64); 2] = [("mobilenet_v2", 0.599e9, 6.678e6), ("inception_v3", 11.422e9, 8.967e6)];
/// What is compared with what: our precision and PyTorch's settings.
const SETTINGS: [(&str, Precision, bool); 4] = [
    ("f32", Precision::F32, false),
    ("tf32", Precision::F32, true),
    ("f16", Precision::F16, false),
    ("bf16", Precision::Bf16, false),
];

/// What is to be measured.
pub struct Points {
    models: Vec<(&'static str, f64, f64)>,
    settings: Vec<(&'static str, Precision, bool)>,
    batches: Vec<usize>,
    repeats: usize,
    /// Numbers of a large copy, and the side of large matrices.
    large: (usize, usize),
}

impl Points {
    /// By the command line; an error says what it must hold.
    pub fn new(value: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let asked = |name: &str, all: &str| value(name).unwrap_or_else(|| all.to_owned());
        let list = |name: &str, all: &str| asked(name, all).split(',').map(str::to_owned).collect::<Vec<_>>();
        let unknown = |word: &str, of: &str| format!("{word:?} is none of the {of}");
        let model =
            |word: &String| MODELS.into_iter().find(|model| model.0 == word).ok_or_else(|| unknown(word, "models"));
        let setting = |word: &String| {
            SETTINGS.into_iter().find(|setting| setting.0 == word).ok_or_else(|| unknown(word, "settings"))
        };
        let batch = |word: &String| match word.parse() {
            Ok(batch) if batch > 0 => Ok(batch),
            _ => Err(format!("{word:?} is no number of photos")),
        };
        let quick = std::env::args().any(|argument| argument == "--quick");
        Ok(Self {
            models: list("--models", "mobilenet_v2,inception_v3").iter().map(model).collect::<Result<_, _>>()?,
            settings: list("--settings", "f32,tf32,f16,bf16").iter().map(setting).collect::<Result<_, _>>()?,
            batches: list("--batches", "1,32,256").iter().map(batch).collect::<Result<_, _>>()?,
            repeats: if quick { 1 } else { 20 },
            large: if quick { (1 << 20, 256) } else { (1 << 28, 8192) },
        })
    }
}

/// What a GPU reaches where nothing is in its way.
struct Peaks {
    bytes: f64,
    /// Of each setting.
    operations: Vec<f64>,
}

/// One line of the table without PyTorch's part of it.
struct Ours {
    setting: usize,
    batch: usize,
    photos: Result<f64, String>,
}

pub fn measure(gpu: &Device, choice: DeviceChoice, points: &Points, python: Option<&str>) {
    let operations = points.settings.iter().map(|(_, precision, tf32)| multiplying(gpu, points, *precision, *tf32));
    let peaks = Peaks { bytes: copying(gpu, points), operations: operations.collect() };
    println!(
        "\nphotos a second; a large copy moves {:.0} GB/s here, a large product of matrices reaches",
        peaks.bytes / 1e9
    );
    for ((setting, ..), operations) in points.settings.iter().zip(&peaks.operations) {
        println!("  {:.1} Tflop/s in {setting}", operations / 1e12);
    }
    println!("arithmetic and bandwidth: the share of these, each convolution's output written once and read once;");
    println!("PyTorch: the best of eager and compiled, contiguous and channels last, autocast and weights in halves");
    let python = python.and_then(torch::there);
    println!(
        "{:<14} {:<5} {:>5} {:>10} {:>10} {:>7} {:>10} {:>9}  PyTorch's best",
        "", "", "batch", "candlewick", "PyTorch", "ratio", "arithmetic", "bandwidth"
    );
    for model in &points.models {
        let mut ours = Vec::new();
        for (setting, (_, precision, tf32)) in points.settings.iter().enumerate() {
            let options = FreezeOptions { device: choice, precision: *precision, tf32: *tf32 };
            let frozen = of_model(model.0, options);
            for batch in &points.batches {
                ours.push(Ours { setting, batch: *batch, photos: frozen.photos_a_second(*batch, gpu, points.repeats) });
            }
        }
        let name = |ours: &Ours| (points.settings[ours.setting].0, ours.batch);
        let wanted: Vec<_> = ours.iter().map(name).collect();
        torch::measure(python.as_ref(), model.0, points.repeats, &wanted, |number, theirs| {
            line(model, &points.settings, &ours[number], theirs, &peaks);
        });
    }
    for model in &points.models {
        for (number, (name, precision, tf32)) in points.settings.iter().enumerate() {
            let options = FreezeOptions { device: choice, precision: *precision, tf32: *tf32 };
            let batch = points.batches.iter().copied().filter(|batch| *batch <= 32).max().unwrap_or(1);
            println!("\nthe plan of {}, {name}, {batch} photos: what its kernels take", model.0);
            of_model(model.0, options).kernels(batch, points.repeats, &peaks, peaks.operations[number]);
        }
    }
}

fn line(
    model: &(&str, f64, f64),
    settings: &[(&str, Precision, bool)],
    ours: &Ours,
    theirs: Option<(f64, String)>,
    peaks: &Peaks,
) {
    let (name, operations, writes) = model;
    let (setting, precision, _) = &settings[ours.setting];
    let size = if *precision == Precision::F32 { 4. } else { 2. };
    let photos = ours.photos.as_ref().ok();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let share = |part: f64, whole: f64| or_dash(photos.map(|photos| format!("{:.1}%", 100. * photos * part / whole)));
    let ratio = photos.zip(theirs.as_ref()).map(|(photos, (best, _))| format!("{:.2}", photos / best));
    println!(
        "{name:<14} {setting:<5} {:>5} {:>10} {:>10} {:>7} {:>10} {:>9}  {}",
        ours.batch,
        or_dash(photos.map(|photos| format!("{photos:.0}"))),
        or_dash(theirs.as_ref().map(|(best, _)| format!("{best:.0}"))),
        or_dash(ratio),
        share(*operations, peaks.operations[ours.setting]),
        share(2. * size * writes, peaks.bytes),
        theirs.map_or_else(|| "not measured".to_owned(), |(_, how)| how),
    );
    if let Err(why) = &ours.photos {
        println!("  candlewick: {why}");
    }
}

/// Seconds of one of many runs, the best of three rounds; the device has finished each.
fn seconds<E>(gpu: &Device, repeats: usize, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    run()?;
    gpu.synchronize().unwrap();
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let began = Instant::now();
        (0..repeats).try_for_each(|_| run())?;
        gpu.synchronize().unwrap();
        best = best.min(began.elapsed().as_secs_f64() / repeats as f64);
    }
    Ok(best)
}

/// A frozen network, whatever its type.
trait Measured {
    /// Photos a second, photos and features on the GPU; or why not.
    fn photos_a_second(&self, batch: usize, gpu: &Device, repeats: usize) -> Result<f64, String>;

    /// What each kernel takes of a batch's time, and what it reaches.
    fn kernels(&self, batch: usize, repeats: usize, peaks: &Peaks, operations: f64);
}

fn of_model(model: &str, options: FreezeOptions) -> Box<dyn Measured> {
    match model {
        "mobilenet_v2" => Box::new(MobileNetV2::random(0).unwrap().freeze_with(options).unwrap()),
        _ => Box::new(InceptionV3::random(0).unwrap().freeze_with(options).unwrap()),
    }
}

impl<B: Backbone> Measured for Frozen<B> {
    fn photos_a_second(&self, batch: usize, gpu: &Device, repeats: usize) -> Result<f64, String> {
        let side = self.spec().preprocess.side;
        // One photo, as often: what it shows does not matter.
        let one = super::parity::photos(1, side).to_device(gpu).map_err(|why| why.to_string())?;
        let x = one.repeat((batch, 1, 1, 1)).map_err(|why| why.to_string())?;
        let time = seconds(gpu, repeats, || self.features(&x).map(drop)).map_err(|why| why.to_string())?;
        Ok(batch as f64 / time)
    }

    fn kernels(&self, batch: usize, repeats: usize, peaks: &Peaks, operations: f64) {
        let timings = match self.launch_timings(batch, repeats) {
            Ok(timings) => timings,
            Err(why) => return println!("  {why}"),
        };
        let mut kernels: Vec<&str> = timings.iter().map(|timing| timing.what).collect();
        kernels.sort_unstable();
        kernels.dedup();
        for kernel in kernels {
            let of = || timings.iter().filter(|timing| timing.what == kernel);
            let sum = |number: fn(&candlewick::freeze::LaunchTiming) -> f64| of().map(number).sum::<f64>();
            let time = sum(|timing| timing.seconds);
            println!(
                "  {kernel:<16} {:>4} times {:>9.1} us {:>6.1}% of the bandwidth, {:>5.1}% of the arithmetic",
                of().count(),
                1e6 * time,
                100. * sum(|timing| timing.bytes) / time / peaks.bytes,
                100. * sum(|timing| timing.operations) / time / operations,
            );
        }
    }
}

/// Bytes a second that a large copy reads and writes.
fn copying(gpu: &Device, points: &Points) -> f64 {
    let x = Tensor::zeros(points.large.0, DType::F32, gpu).unwrap();
    let time = seconds(gpu, points.repeats, || x.copy().map(drop)).expect("the GPU has room for a large copy");
    2. * 4. * points.large.0 as f64 / time
}

/// Operations a second of a large product of matrices.
fn multiplying(gpu: &Device, points: &Points, precision: Precision, tf32: bool) -> f64 {
    let dtype = match precision {
        Precision::F32 => DType::F32,
        Precision::F16 => DType::F16,
        Precision::Bf16 => DType::BF16,
    };
    let side = points.large.1;
    let a = Tensor::ones((side, side), dtype, gpu).unwrap();
    // For all of the process, which does nothing else now.
    candlewick::candle_core::cuda::set_gemm_reduced_precision_f32(tf32);
    let time = seconds(gpu, points.repeats, || a.matmul(&a).map(drop));
    candlewick::candle_core::cuda::set_gemm_reduced_precision_f32(false);
    2. * (side as f64).powi(3) / time.expect("the GPU has room for large matrices")
}
