//! How many photos a second the frozen plan turns into features: one JSON line, as `peers.py forward` prints.
//!
//!     cargo run --release -p candlewick --example forward -- --threads 2 --repeats 10 --batch 32 [--layers]
//!         [--model inception_v3] [--weights mobilenet_v2-b0353104.pth]

mod bench;

use bench::{ended, noise, number, threads, value};
use candlewick::Result;
use candlewick::freeze::Frozen;
use candlewick::images::Pixels;
use candlewick::models::{Backbone, InceptionV3, MobileNetV2};
use candlewick::notebook::Progress;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    ended(run())
}

fn run() -> Result<()> {
    threads();
    let weights = value("--weights");
    match value("--model").as_deref() {
        None | Some("mobilenet_v2") => {
            measure(&weights.map_or_else(|| MobileNetV2::random(0), |file| MobileNetV2::load(&file))?.freeze()?)
        }
        Some("inception_v3") => {
            measure(&weights.map_or_else(|| InceptionV3::random(0), |file| InceptionV3::load(&file))?.freeze()?)
        }
        Some(other) => {
            eprintln!("--model takes mobilenet_v2 or inception_v3, not {other}");
            std::process::exit(2)
        }
    }
}

fn measure<B: Backbone>(frozen: &Frozen<B>) -> Result<()> {
    let (repeats, batch) = (number("--repeats", 10).max(1), number("--batch", 32).max(1));
    let side = frozen.spec().preprocess.side;
    let photos: Vec<Pixels> = (0..batch).map(|i| noise(side, side, i as u64)).collect();

    if std::env::args().any(|argument| argument == "--layers") {
        for (part, time) in frozen.timings(&photos[0], repeats)?.iter().enumerate() {
            eprintln!("part {part:2}  {:7.1} us", time.as_secs_f64() * 1e6);
        }
    }

    let pass = || {
        let progress = Progress::new("photos", Some(batch as u64), "photos");
        let began = Instant::now();
        let features = frozen.features_of_all(batch, |i| Ok(photos[i].clone()), &progress)?;
        Ok::<_, candlewick::Error>((began.elapsed().as_secs_f64(), features))
    };
    pass()?;
    let (_, features) = pass()?;
    let mut seconds = (0..repeats).map(|_| Ok(pass()?.0)).collect::<Result<Vec<_>>>()?;
    seconds.sort_by(f64::total_cmp);
    let median = (seconds[(repeats - 1) / 2] + seconds[repeats / 2]) / 2.0;
    let norm = features.get(0)?.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt();
    println!(
        "{}",
        serde_json::json!({
            "engine": "candlewick", "model": frozen.spec().name, "variant": frozen.cpu().name(),
            "images_per_second_median": round(batch as f64 / median),
            "images_per_second_best": round(batch as f64 / seconds[0]),
            "threads": rayon::current_num_threads(), "batch": batch, "repeats": repeats,
            "weights": if value("--weights").is_some() { "file" } else { "random" },
            "feature_l2_first_image": norm,
        })
    );
    Ok(())
}

fn round(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}
