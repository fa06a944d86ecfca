//! How long looking inside takes: activations and heat maps of one photo, and what filters look for, by medians, as a
//! table.
//!
//!     cargo run --release -p candlewick --example inside -- --threads 2 --repeats 9
//!         [--model inception_v3] [--weights mobilenet_v2-b0353104.pth] [--plain] [--only filters]
//!
//! The network is frozen, as a learner's is; with `--plain` it is as it was loaded. `--only` measures the rows whose names contain
//! the word.

mod bench;

use bench::{ended, noise, number, threads, value};
use candlewick::prelude::*;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    ended(run())
}

fn run() -> Result<()> {
    threads();
    let weights = value("--weights");
    let plain = std::env::args().any(|argument| argument == "--plain");
    match value("--model").as_deref() {
        None | Some("mobilenet_v2") => {
            let net = weights.map_or_else(|| MobileNetV2::random(0), |file| MobileNetV2::load(&file))?;
            if plain { measure(&net) } else { measure(&net.freeze()?) }
        }
        Some("inception_v3") => {
            let net = weights.map_or_else(|| InceptionV3::random(0), |file| InceptionV3::load(&file))?;
            if plain { measure(&net) } else { measure(&net.freeze()?) }
        }
        Some(other) => {
            eprintln!("--model takes mobilenet_v2 or inception_v3, not {other}");
            std::process::exit(2)
        }
    }
}

fn measure(net: &(impl Explain + Backbone)) -> Result<()> {
    let (repeats, photo, names) = (number("--repeats", 9).max(1), noise(640, 480, 0), net.layer_names());
    // Ten layers, evenly spread, the last one among them: no run can end early.
    let ten: Vec<&str> = (1..=10).map(|part| names[part * names.len() / 10 - 1].as_str()).collect();
    // The first ten of the table: the run ends behind the tenth.
    let layers = net.layers();
    let early: Vec<&str> = layers.iter().take(10).map(|layer| layer.name.as_str()).collect();
    let middle = layers[layers.len() / 2].name.clone();
    let options =
        |method, layer| HeatMapOptions { class: Some("281".to_owned()), method, layer, ..HeatMapOptions::default() };
    let (map, last) = (net.heat_map(&photo, "281")?, net.spec().last_convolution);
    let input = photo.to_tensor(&net.spec().preprocess)?;
    println!("{}, {} threads, median of {repeats}", net.spec().name, rayon::current_num_threads());
    row("one run as far as the last layer", repeats, || net.layer(&input, last).map(drop))?;
    row("activations of ten layers", repeats, || net.activations(&photo, &ten).map(drop))?;
    let last_of_early = early.last().copied().unwrap_or_default();
    row(&format!("activations up to {last_of_early}"), repeats, || net.activations(&photo, &early).map(drop))?;
    row("Grad-CAM", repeats, || net.heat_map(&photo, "281").map(drop))?;
    row("Grad-CAM, drawn", repeats, || net.heat_map(&photo, "281")?.overlay().map(drop))?;
    for (name, method) in [("CAM", Method::Cam), ("Grad-CAM++", Method::GradCamPlusPlus)] {
        row(name, repeats, || net.heat_map_with(&photo, options(method, None)).map(drop))?;
    }
    let earlier = format!("Grad-CAM at {middle}");
    row(&earlier, repeats, || net.heat_map_with(&photo, options(Method::GradCam, Some(middle.clone()))).map(drop))?;
    let once = repeats.min(3);
    row("occlusion, 48 wide, 16 apart", once, || {
        net.heat_map_with(&photo, options(Method::OCCLUSION, None)).map(drop)
    })?;
    row("faithfulness", once, || net.faithfulness(&map).map(drop))?;
    for layer in [&middle, last] {
        let filters = || net.some_filters(layer, 16, FilterOptions::default()).map(drop);
        row_once(&format!("16 filters of {layer}"), filters)?;
    }
    Ok(())
}

/// Whether `--only` lets this row be measured.
fn wanted(what: &str) -> bool {
    value("--only").is_none_or(|only| what.contains(&only))
}

/// Prints the time of one run, the first: what takes seconds needs no practice.
fn row_once(what: &str, work: impl Fn() -> Result<()>) -> Result<()> {
    if wanted(what) {
        let began = Instant::now();
        work()?;
        println!("{what:<34}{:>9.1} ms", 1e3 * began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Prints the median time of some runs, after one that does not count.
fn row(what: &str, repeats: usize, work: impl Fn() -> Result<()>) -> Result<()> {
    if !wanted(what) {
        return Ok(());
    }
    work()?;
    let time = |_| {
        let began = Instant::now();
        work()?;
        Ok(began.elapsed().as_secs_f64())
    };
    let mut seconds = (0..repeats).map(time).collect::<Result<Vec<f64>>>()?;
    seconds.sort_by(f64::total_cmp);
    let median = (seconds[(repeats - 1) / 2] + seconds[repeats / 2]) / 2.0;
    println!("{what:<34}{:>9.1} ms (best {:.1})", 1e3 * median, 1e3 * seconds[0]);
    Ok(())
}
