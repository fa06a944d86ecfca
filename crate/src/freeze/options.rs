//! What freezing may be told: where to compute, and how finely.

use crate::device::DeviceChoice;
use crate::{Error, Result};
use candle_core::DType;
use std::fmt;
use std::str::FromStr;

/// How the frozen part is to compute; as it comes, by [`device::pick`](crate::device::pick) and in f32.
///
/// ```
/// use candlewick::freeze::{FreezeOptions, Precision};
/// let half = FreezeOptions { precision: Precision::F16, ..FreezeOptions::default() };
/// assert!(!half.tf32);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreezeOptions {
    /// Where.
    pub device: DeviceChoice,
    /// In which numbers.
    pub precision: Precision,
    /// Whether a GPU may round the factors of f32 products to 11 bits (TF32), for speed; the CPU never does. It is said with
    /// each product of the frozen plan, and of no other: photos of another size, single layers, heat maps and whatever else
    /// the process computes keep all of f32.
    pub tf32: bool,
}

/// The numbers in which the frozen part keeps weights and what flows between its layers. Sums are taken in f32, and
/// features are f32, always.
///
/// On a GPU the halves take half the memory; how much faster they are nobody has measured. The CPU has no arithmetic for
/// them: it rounds to them and is slower, so that anybody can see what they cost in accuracy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, 24 of them digits.
    #[default]
    F32,
    /// 16 bits, 11 of them digits; numbers above 65504 are infinite.
    F16,
    /// 16 bits, 8 of them digits; as large as f32.
    Bf16,
}

impl Precision {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// Its name: `f32`, `f16` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == text).ok_or_else(|| Error::Setting {
            setting: "the precision",
            got: format!("{text:?}"),
            want: "it must be `f32`, `f16` or `bf16`".to_owned(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_goes_by_its_name() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
        }
        let error = "f64".parse::<Precision>().unwrap_err().to_string();
        assert!(error.contains("f64") && error.contains("`bf16`"), "{error}");
    }
}
