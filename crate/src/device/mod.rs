//! Which device computes: a GPU where this build can use one and one is there, the CPU otherwise.
//!
//! [`pick`] decides, once for a process, by what `$CANDLEWICK_DEVICE` asks for (`cpu`, `cuda`, `cuda:1`) and by what is
//! there. Freezing a model asks it, so that a notebook runs unchanged on either.
//!
//! NVIDIA's GPUs need the crate's feature `cuda`: a build without it, the usual one, knows the CPU alone and holds no
//! line of the rest. None of that rest has run on a real GPU yet: the example `on_cuda` is to show it there.

#[cfg(feature = "cuda")]
mod gpu;

#[cfg(feature = "cuda")]
pub(crate) use gpu::free_memory;

use crate::{Error, Result};
use candle_core::Device;
use std::fmt;
use std::str::FromStr;

/// The environment variable that asks for a device.
const VARIABLE: &str = "CANDLEWICK_DEVICE";
/// What it may hold.
const CHOICES: &str = "it must be `cpu`, `cuda` or `cuda:N`, N being the number of a GPU from 0";

/// Which device is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// What `$CANDLEWICK_DEVICE` asks for; where it is not set, the first GPU if this build can use one and one is there.
    #[default]
    Automatic,
    /// The CPU.
    Cpu,
    /// The GPU of this number, from 0; where it cannot be had, that is an error.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Setting { setting: "the device", got: format!("{text:?}"), want: CHOICES.to_owned() };
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            // Digits only: `parse` would take a sign too.
            Some(("cuda", number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                number.parse().map(Self::Cuda).map_err(|_| wrong())
            }
            _ => Err(wrong()),
        }
    }
}

impl DeviceChoice {
    /// What `$CANDLEWICK_DEVICE` asks for; empty is as good as not set.
    fn from_environment() -> Result<Self> {
        match std::env::var_os(VARIABLE) {
            Some(value) if !value.is_empty() => Self::from_variable(&value.to_string_lossy()),
            _ => Ok(Self::Automatic),
        }
    }

    fn from_variable(value: &str) -> Result<Self> {
        value.parse().map_err(|_| Error::Setting {
            setting: VARIABLE,
            got: format!("{value:?}"),
            want: CHOICES.to_owned(),
        })
    }
}

/// The device that computes, and why it is this one. It says both, as in `the CPU: this build holds no code for GPUs`.
#[derive(Clone, Debug)]
pub struct Picked {
    /// For tensors: `Tensor::zeros((2, 3), DType::F32, &picked.device)`.
    pub device: Device,
    /// A GPU's name and memory; or why it is not a GPU.
    pub why: String,
}

impl fmt::Display for Picked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", name(&self.device), self.why)
    }
}

/// What a device is called: `the CPU`, `GPU 0`.
pub(crate) fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "the CPU".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } | candle_core::DeviceLocation::Metal { gpu_id } => {
            format!("GPU {gpu_id}")
        }
    }
}

/// The device that computes, for this choice.
///
/// ```
/// use candlewick::device::{DeviceChoice, pick};
/// let picked = pick(DeviceChoice::Cpu)?;
/// assert_eq!(picked.to_string(), "the CPU: it was asked for");
/// # Ok::<(), candlewick::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] where `$CANDLEWICK_DEVICE` names no device, and where a GPU is asked for that cannot be had: with
/// the reason, and what to do about it.
pub fn pick(choice: DeviceChoice) -> Result<Picked> {
    let choice = match choice {
        DeviceChoice::Automatic => DeviceChoice::from_environment()?,
        choice => choice,
    };
    let cpu = |why: String| Picked { device: Device::Cpu, why };
    match choice {
        DeviceChoice::Cpu => Ok(cpu("it was asked for".to_owned())),
        DeviceChoice::Automatic => Ok(open(0).unwrap_or_else(|missing| cpu(missing.to_string()))),
        DeviceChoice::Cuda(number) => open(number).map_err(|missing| Error::Setting {
            setting: "the device",
            got: format!("cuda:{number}"),
            want: format!("{missing}. {}", missing.cure()),
        }),
    }
}

/// Why a GPU cannot be had: a build without the feature knows one reason, a build with it the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code)]
enum Missing {
    /// The crate was built without it.
    Feature,
    /// There is a driver, and it knows no GPU, or it does not answer: its words.
    Driver(String),
    /// There are so many, and the one asked for is not among them.
    Number(usize),
    /// It is there and could not be opened.
    Failed(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature => f.write_str("this build holds no code for GPUs"),
            Self::Driver(why) => write!(f, "the NVIDIA driver offers no GPU ({why})"),
            Self::Number(1) => f.write_str("there is one GPU, cuda:0"),
            Self::Number(count) => write!(f, "there are {count} GPUs, cuda:0 to cuda:{}", count.saturating_sub(1)),
            Self::Failed(why) => write!(f, "the GPU cannot be used ({why})"),
        }
    }
}

impl Missing {
    fn cure(&self) -> &'static str {
        match self {
            Self::Feature => {
                "Build with the feature `cuda` (`cargo build --features cuda`), which needs NVIDIA's driver and CUDA \
                 toolkit; for notebooks candlewick does so by itself where it finds both, and `candlewick doctor` says \
                 what is missing. Or ask for `cpu`"
            }
            Self::Driver(_) => "`nvidia-smi` must list one: is NVIDIA's driver installed and loaded? Or ask for `cpu`",
            Self::Number(_) => "Ask for one of these, or for `cpu`",
            Self::Failed(_) => "`candlewick doctor` checks driver and toolkit; or ask for `cpu`",
        }
    }
}

#[cfg(feature = "cuda")]
use gpu::open;

/// Without the feature there is none.
#[cfg(not(feature = "cuda"))]
fn open(_: usize) -> std::result::Result<Picked, Missing> {
    Err(Missing::Feature)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_strictly() {
        let read = |text: &str| text.parse::<DeviceChoice>();
        assert_eq!(read("cpu").unwrap(), DeviceChoice::Cpu);
        assert_eq!(read("cuda").unwrap(), DeviceChoice::Cuda(0));
        assert_eq!(read("cuda:12").unwrap(), DeviceChoice::Cuda(12));
        let wrong =
            ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda: 1", "cuda:1:2", "cpu:0", " cpu", "cuda:1x"];
        for text in wrong.into_iter().chain(["cuda:99999999999999999999"]) {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("`cuda:N`"), "{error}");
        }
        let error = DeviceChoice::from_variable("tpu").unwrap_err().to_string();
        assert!(error.contains("CANDLEWICK_DEVICE is \"tpu\""), "{error}");
    }

    #[test]
    fn every_reason_says_what_to_do() {
        let reasons = [
            Missing::Feature,
            Missing::Driver("no device".into()),
            Missing::Number(2),
            Missing::Failed("broken".into()),
        ];
        let texts = reasons.map(|reason| format!("{reason}. {}", reason.cure()));
        assert!(texts.iter().all(|text| text.contains("`cpu`")), "{texts:?}");
        assert!(texts[0].contains("--features cuda") && texts[0].contains("doctor"));
        assert!(texts[1].contains("no device") && texts[1].contains("nvidia-smi"));
        assert!(texts[2].contains("cuda:0 to cuda:1"));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_for_the_cpu_says_so_and_refuses_the_rest() {
        let error = pick(DeviceChoice::Cuda(1)).unwrap_err().to_string();
        assert!(error.starts_with("the device is cuda:1: this build holds no code for GPUs"), "{error}");
        assert!(error.contains("feature `cuda`") && error.contains("`cpu`"), "{error}");
        assert!(pick(DeviceChoice::Cpu).unwrap().device.is_cpu());
    }
}
