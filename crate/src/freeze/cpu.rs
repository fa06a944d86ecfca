//! Which instructions the plan may use: found out when it is compiled, not when the crate is.

use crate::{Error, Result};

/// A set of vector instructions, the widest first.
///
/// The plan gives the same features at every level, up to the rounding of sums taken in another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CpuLevel {
    /// x86-64 with AVX-512F: 16 floats at once.
    Avx512,
    /// x86-64 with AVX2 and FMA: 8 floats at once.
    Avx2,
    /// 64-bit ARM: 4 floats at once.
    Neon,
    /// Plain Rust, for every machine: what the compiler makes of it.
    Portable,
}

/// The environment variable that asks for a lower level than the machine has: for tests, or to rule the kernels out.
const VARIABLE: &str = "CANDLEWICK_CPU";

impl CpuLevel {
    const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Its name, as `CANDLEWICK_CPU` takes it: `avx512`, `avx2`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Portable => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// The levels of this machine, the fastest first; the last is always [`Portable`](Self::Portable).
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|level| level.is_available()).collect()
    }

    /// The fastest level of this machine, or the one that the environment variable `CANDLEWICK_CPU` names.
    ///
    /// # Errors
    /// [`Error::Setting`], with the choices, where the variable names no level of this machine.
    pub fn detect() -> Result<Self> {
        match std::env::var_os(VARIABLE) {
            None => Ok(Self::fastest()),
            Some(name) => Self::named(&name.to_string_lossy()),
        }
    }

    fn fastest() -> Self {
        Self::available().first().copied().unwrap_or(Self::Portable)
    }

    /// The level called `name`; an empty name leaves the choice to the machine.
    fn named(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Ok(Self::fastest());
        }
        let available = Self::available();
        available.iter().copied().find(|level| level.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let choices: Vec<_> = available.iter().map(|level| level.name()).collect();
            Error::Setting {
                setting: VARIABLE,
                got: format!("{name:?}"),
                want: format!("this machine has {}; unset it to use the fastest", choices.join(", ")),
            }
        })
    }
}

impl std::fmt::Display for CpuLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn portable_is_everywhere_and_last() {
        assert_eq!(CpuLevel::available().last(), Some(&CpuLevel::Portable));
        assert_eq!(CpuLevel::named("").unwrap(), CpuLevel::available()[0]);
    }

    #[test]
    fn every_available_level_can_be_asked_for_and_no_other() {
        for level in CpuLevel::ALL {
            let answer = CpuLevel::named(&level.name().to_uppercase());
            assert_eq!(answer.is_ok(), level.is_available(), "{level}");
        }
        let message = CpuLevel::named("sse9").unwrap_err().to_string();
        assert!(message.contains("sse9") && message.contains("portable"), "{message}");
    }
}
