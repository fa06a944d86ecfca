//! How quickly our kernel answers, beside the stock evcxr kernel, in one run: medians, in seconds.
//! The stock kernel's first cell with candle compiles it, for minutes, and is measured once.
//!
//! `cargo run --release -p candlewick-kernel --example beside_stock`
//!
//! Both are this repository's program, so both are compiled alike.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick_kernel::client::KernelSession;
use candlewick_kernel::kernelspec::{self, Folders};
use candlewick_kernel::session::{Options, Outcome, Output, Session};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// How often each thing is measured.
const ROUNDS: usize = 9;

/// What a cell does, and the cell; `#` stands for a number that is new each time, so that nothing is compiled already.
const CELLS: [(&str, &str); 4] = [
    ("println!", "println!(\"hello #\");"),
    ("let y = t.matmul(&t)?;", "let y# = t.matmul(&t)?;"),
    ("a plain value", "#u32 + 1"),
    ("a small function", "fn f#(x: f64) -> f64 { (x * #.0).sqrt() }\nprintln!(\"{:.3}\", f#(2.0));"),
];

/// The first cell that uses candle.
const FIRST: &str =
    "use candlewick::prelude::*;\nlet t = Tensor::rand(0f32, 1f32, (64, 64), &candlewick::candle_core::Device::Cpu)?;";

/// The same on the stock kernel.
const FIRST_OF_STOCK: &str = ":dep candle-core = \"0.11.1\"\nuse candle_core::{Device, Tensor};\nlet t = Tensor::rand(0f32, 1f32, (64, 64), &Device::Cpu)?;";

fn main() {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path());
    println!("medians of {ROUNDS}, in seconds          candlewick   stock   share");
    let (mut ours, ready, first) = start(folder.path(), "candlewick", Some(FIRST));
    let (mut theirs, stock_ready, _) = start(folder.path(), "candlewick-stock", None);
    line("start to ready", ready, stock_ready);
    line("first cell with candle (stock: once)", median(first), run(&mut theirs, FIRST_OF_STOCK));
    for (name, cell) in CELLS {
        line(name, cells(&mut ours, cell), cells(&mut theirs, cell));
    }
}

fn install(folder: &Path) {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--release", "--quiet", "--manifest-path", workspace, "--", "install", "--user", "--stock"]);
    assert!(command.env("JUPYTER_DATA_DIR", folder).status().unwrap().success());
}

/// A kernel, how long it takes until it has run its first cell, and how long `first` takes on each that was started.
fn start(folder: &Path, name: &str, first: Option<&str>) -> (KernelSession, f64, Vec<f64>) {
    let variable = |variable: &str| match variable {
        "JUPYTER_DATA_DIR" | "JUPYTER_RUNTIME_DIR" => Some(folder.as_os_str().to_owned()),
        other => std::env::var_os(other),
    };
    let folders = Folders { variable: &variable, ..Folders::here() };
    let kernel = kernelspec::find(name, &folders).unwrap();
    let (mut seconds, mut firsts) = (Vec::new(), Vec::new());
    loop {
        let began = Instant::now();
        let mut session = KernelSession::open(&kernel, &folders, &Options::default()).unwrap();
        // A kernel may answer questions about itself before it can run anything; an empty item is next to nothing.
        run(&mut session, "use std::fmt;");
        seconds.push(began.elapsed().as_secs_f64());
        firsts.extend(first.map(|first| run(&mut session, first)));
        if seconds.len() == ROUNDS {
            return (session, median(seconds), firsts);
        }
    }
}

fn cells(session: &mut KernelSession, cell: &str) -> f64 {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let seconds = (0..ROUNDS).map(|_| {
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        run(session, &cell.replace('#', &number.to_string()))
    });
    median(seconds.collect())
}

fn run(session: &mut KernelSession, code: &str) -> f64 {
    let began = Instant::now();
    let outcome = session.execute(code, &mut |_: Output| {});
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(outcome, Outcome::Done, "{code}");
    seconds
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn line(what: &str, ours: f64, theirs: f64) {
    println!("{what:<36} {ours:>9.2} {theirs:>7.2} {:>7.2}", ours / theirs);
}
