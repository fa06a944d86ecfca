//! The processor, and what may stand beside it.

use super::{Finding, answer};

/// The instructions that the frozen network's plan will use.
pub fn processor() -> Finding {
    let level = level();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Finding::good("Processor", format!("{level}, {cores} cores"))
}

#[cfg(target_arch = "x86_64")]
fn level() -> &'static str {
    if is_x86_feature_detected!("avx512f") {
        "avx512"
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        "avx2"
    } else {
        "portable"
    }
}

#[cfg(target_arch = "aarch64")]
fn level() -> &'static str {
    if std::arch::is_aarch64_feature_detected!("neon") { "neon" } else { "portable" }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn level() -> &'static str {
    "portable"
}

/// An accelerator is no condition for anything.
pub fn graphics() -> Finding {
    let driver = answer("nvidia-smi", &["--query-gpu=name,driver_version", "--format=csv,noheader"]);
    let compiler = answer("nvcc", &["--version"]);
    let driver = driver.map_or("no NVIDIA driver".to_owned(), |cards| cards.lines().collect::<Vec<_>>().join(", "));
    let compiler = if compiler.is_some() { "nvcc is there" } else { "no nvcc" };
    Finding::good("GPU", format!("{driver}, {compiler} (not needed)"))
}
