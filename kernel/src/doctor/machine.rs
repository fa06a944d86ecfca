//! The processor, and what may stand beside it.

use super::Finding;
use crate::build::{Card, CudaFound, Template};

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
    const ABOUT: &str = "GPU";
    let found = CudaFound::look();
    let Some(first) = found.cards.first() else { return Finding::good(ABOUT, "no NVIDIA driver (not needed)") };
    let card = |card: &Card| {
        let (free, total) = card.memory;
        let Card { name, capability, driver, .. } = card;
        format!("{name}, compute capability {capability}, {free} of {total} MiB free, driver {driver}")
    };
    let cards = found.cards.iter().map(card).collect::<Vec<_>>().join("; ");
    if let Some((why, cure)) = found.missing() {
        return Finding::poor(ABOUT, format!("{cards}; {why}, so that cells compute on the CPU"), cure);
    }
    if let Some(note) = Template::cuda_failed(&found.key()) {
        let text = format!("{cards}; cells could not be built for it, and compute on the CPU");
        let cure = format!("{0} says why; once that is mended, delete it", note.display());
        return Finding::poor(ABOUT, text, cure);
    }
    // Half a gibibyte is InceptionV3 in f32 with a few photos.
    if first.memory.0 < 512 {
        return Finding::poor(ABOUT, format!("{cards}: too full"), "end what else uses it: `nvidia-smi` lists it");
    }
    let toolkit = found.toolkit.map_or((0, 0), |toolkit| toolkit.version);
    let untried = "candlewick has not been tried on a real GPU yet";
    Finding::good(ABOUT, format!("{cards}, CUDA toolkit {}.{}; {untried}", toolkit.0, toolkit.1))
}
