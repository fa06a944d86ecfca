//! What the measuring examples have in common: their arguments, and pixels to measure with.
// Each example that includes this uses its own part of it.
#![allow(dead_code)]

use candlewick::images::Pixels;
use std::process::ExitCode;

/// How a program ends: with 2 and the error's words where it failed.
pub fn ended(result: candlewick::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Rayon's pool as large as `--threads` says; 2 where it says nothing.
///
/// Before anything else uses the pool: where it exists already, its size stands and is what is reported.
pub fn threads() {
    let _ = rayon::ThreadPoolBuilder::new().num_threads(number("--threads", 2)).build_global();
}

/// What follows an argument.
pub fn value(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// The number that follows an argument.
pub fn number(name: &str, default: usize) -> usize {
    match value(name).map(|text| text.parse()) {
        None => default,
        Some(Ok(number)) => number,
        Some(Err(_)) => {
            eprintln!("{name} takes a number");
            std::process::exit(2)
        }
    }
}

/// Any pixels do: networks take the same time for all.
pub fn noise(height: usize, width: usize, seed: u64) -> Pixels {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    Pixels { height, width, rgb: (0..height * width * 3).map(byte).collect() }
}
