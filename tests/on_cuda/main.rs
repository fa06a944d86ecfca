//! Everything that only a GPU can show, in one table: that its numbers are the CPU's, what halves cost, and how fast it is
//! beside PyTorch on the same GPU in the same run.
//!
//!     cargo run --release -p candlewick-tests --features cuda --example on_cuda -- --python PROGRAM [--device cuda:0]
//!         [--data FOLDER] [--only parity|speed] [--models mobilenet_v2,inception_v3] [--settings f32,tf32,f16,bf16]
//!         [--batches 1,32,256] [--quick]
//!
//! `PROGRAM` is a Python with torch and torchvision; without it PyTorch's columns are left out. It compiles each network anew
//! for each setting and batch, which takes some minutes each way for InceptionV3: the lists cut the table into parts, by
//! commands of their own. `FOLDER` has a sub-folder of photos a class; without it no accuracy is measured. With `--quick` what
//! speed is compared with is small and nothing is repeated: to see that all of it runs. Where there is no GPU that this build
//! can use, it says so and ends well; where a row is not as it must be, it ends with 1.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod parity;
mod speed;
mod torch;

use candlewick::device::{DeviceChoice, pick};
use std::process::ExitCode;

/// The table, as it grows: printed line by line, so that what stops half way has said what it knew.
#[derive(Default)]
pub struct Table {
    failed: usize,
}

impl Table {
    fn head(&self, title: &str) {
        println!("\n{title}\n{:<58} {:>12} {:>12}", "", "measured", "wanted");
    }

    /// A row that must not be above `most`.
    fn at_most(&mut self, what: &str, measured: f64, most: f64) {
        self.row(what, format!("{measured:.1e}"), format!("<= {most:.0e}"), measured <= most);
    }

    /// A row that must not be below `least`.
    fn at_least(&mut self, what: &str, measured: f64, least: f64) {
        self.row(what, format!("{measured:.6}"), format!(">= {least}"), measured >= least);
    }

    fn row(&mut self, what: &str, measured: String, wanted: String, good: bool) {
        self.failed += usize::from(!good);
        println!("{what:<58} {measured:>12} {wanted:>12} {}", if good { "" } else { "  <- NOT AS IT MUST BE" });
    }
}

fn main() -> ExitCode {
    let value = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let choice = match value("--device").unwrap_or_else(|| "cuda".to_owned()).parse::<DeviceChoice>() {
        Ok(choice) => choice,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let picked = match pick(choice) {
        Ok(picked) if !picked.device.is_cpu() => picked,
        Ok(picked) => {
            println!("skipped: this is for GPUs, and {picked}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            println!("skipped: {why}");
            return ExitCode::SUCCESS;
        }
    };
    println!("{picked}");
    let mut table = Table::default();
    let only = value("--only");
    if only.as_deref() != Some("speed") {
        parity::check(&mut table, &picked.device, choice, value("--data").as_deref());
    }
    if only.as_deref() != Some("parity") {
        let points = match speed::Points::new(&value) {
            Ok(points) => points,
            Err(why) => {
                eprintln!("{why}");
                return ExitCode::from(2);
            }
        };
        speed::measure(&picked.device, choice, &points, value("--python").as_deref());
    }
    match table.failed {
        0 => ExitCode::SUCCESS,
        failed => {
            println!("\n{failed} rows are not as they must be");
            ExitCode::from(1)
        }
    }
}
