//! Our speed beside what people would use instead, in one run, as ratios: machines differ and are noisy.
//!
//!     cargo run --release -p candlewick-tests --example beside_peers -- --peers DIR --python PROGRAM --data FOLDER
//!
//! `DIR` holds `peers.py`; `PROGRAM` is a Python with its requirements; `FOLDER` has a sub-folder of photos a class.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

const ROUNDS: usize = 3;
/// What the first cell that touches a photo says, and the one with the curves.
const FIRST_PHOTO: &str = "cats_vs_dogs()";
const CURVES: &str = "history.plot()";

fn main() {
    let value = |name: &str, default: &str| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        arguments.nth(1).unwrap_or_else(|| default.to_owned())
    };
    let peers = format!("{}/peers.py", value("--peers", "../shared/peers"));
    let python = value("--python", "python3");
    let data = value("--data", "../shared/data/cats_vs_dogs");
    let weights_of = |identity| candlewick::weights::fetch(identity).expect("the weights").display().to_string();
    let weights = weights_of("mobilenet_v2.tv_in1k");

    forward(&python, &peers, "mobilenet_v2", &weights);
    forward(&python, &peers, "inception_v3", &weights_of("inception_v3.keras_in1k"));
    lesson(&python, &peers, &weights, &data);
}

/// The last line of JSON that a command prints.
fn line(command: &mut Command) -> Value {
    let output = command.stderr(Stdio::inherit()).output().expect("the command starts");
    assert!(output.status.success(), "{command:?} failed");
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(printed.lines().last().unwrap_or_default()).expect("a line of JSON")
}

fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or_else(|| panic!("{key} is missing in {line}"))
}

fn forward(python: &str, peers: &str, model: &str, weights: &str) {
    println!("frozen {model}, photos a second, 2 threads, median of 10 batches of 32:");
    for round in 1..=ROUNDS {
        let ours = line(
            Command::new(env!("CARGO"))
                .args(["run", "-q", "--release", "-p", "candlewick", "--features", "hub", "--example", "forward", "--"])
                .args(["--model", model, "--threads", "2", "--batch", "32", "--repeats", "10", "--weights", weights]),
        );
        let ours = number(&ours, "images_per_second_median");
        for (engine, allocator) in
            [("onnxruntime", "default"), ("onnxruntime", "keep"), ("torch", "default"), ("keras", "default")]
        {
            let theirs = line(
                Command::new(python)
                    .args([peers, "forward", "--model", model, "--engine", engine, "--allocator", allocator])
                    .args(["--threads", "2", "--batch", "32", "--repeats", "10", "--weights", weights]),
            );
            let theirs = number(&theirs, "images_per_second_median");
            println!(
                "  round {round}: ours {ours:.0}, {engine} (malloc {allocator}) {theirs:.0}: {:.2} times",
                ours / theirs
            );
        }
    }
}

/// The program, built anew where a source has changed.
fn candlewick() -> Command {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--release", "--quiet", "--manifest-path", workspace, "--"]).env_remove("CANDLEWICK_DATA");
    command
}

fn lesson(python: &str, peers: &str, weights: &str, data: &str) {
    println!("the lesson, 6 epochs, seconds from the first cell that touches a photo to the curves, nothing cached:");
    let script =
        ["lesson", "--engine", "keras", "--epochs", "6", "--threads", "2", "--data", data, "--weights", weights];
    let theirs = line(Command::new(python).arg(peers).args(script));
    let theirs = number(&theirs, "seconds_total");
    let data = std::path::absolute(data).unwrap();
    for round in 1..=ROUNDS {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache_without_features(weights);
        let ours = line(
            candlewick()
                .args(["lesson", "cats_vs_dogs", "--json", "--data"])
                .arg(&data)
                .current_dir(folder.path())
                .env("CANDLEWICK_CACHE", cache.path()),
        );
        let seconds = between(&ours);
        let memory = number(&ours, "peak_memory_bytes") / f64::from(1 << 20);
        println!(
            "  round {round}: ours {seconds:.1} s ({memory:.0} MiB at most), Keras' script {theirs:.1} s: {:.1} times as fast",
            theirs / seconds
        );
    }
}

/// A cache with the weights and the compiled cells of the real one, and nothing else: features that an earlier run kept
/// would make ours look faster than it is. It lies inside the real one, so that links need not cross disks.
fn cache_without_features(weights: &str) -> tempfile::TempDir {
    let real = candlewick::fetch::cache_folder().expect("a cache folder");
    let cells = std::path::absolute(real.join("cells")).expect("an absolute path");
    std::fs::create_dir_all(&cells).expect("the cache can be written");
    let cache = tempfile::tempdir_in(&real).expect("the cache can be written");
    let weights = Path::new(weights);
    std::fs::hard_link(weights, cache.path().join(weights.file_name().unwrap())).expect("the weights can be linked");
    // Removing the folder removes the link, and not what it leads to.
    std::os::unix::fs::symlink(cells, cache.path().join("cells")).expect("the cells can be linked");
    cache
}

/// Seconds from the first cell that touches a photo to the curves, both included.
fn between(ours: &Value) -> f64 {
    let notebook = std::fs::read(ours["notebook"].as_str().expect("a path")).expect("the notebook is written");
    let notebook: Value = serde_json::from_slice(&notebook).expect("a notebook");
    let code = notebook["cells"].as_array().unwrap().iter().filter(|cell| cell["cell_type"] == "code");
    let has =
        |text: &str| code.clone().position(|cell| candlewick_tests::joined(&cell["source"]).contains(text)).unwrap();
    let seconds = ours["cell_seconds"].as_array().unwrap();
    seconds[has(FIRST_PHOTO)..=has(CURVES)].iter().filter_map(Value::as_f64).sum()
}
