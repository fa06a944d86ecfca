//! Whether cells can be built for an NVIDIA GPU: that takes its driver, and the CUDA toolkit's compiler on the path.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The versions of the toolkit that the crate between candle and the toolkit (cudarc 0.19) knows: from, to.
const KNOWN: ((u32, u32), (u32, u32)) = ((11, 4), (13, 4));

/// A GPU as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// `NVIDIA L4`.
    pub name: String,
    /// Compute capability: `8.9`.
    pub capability: String,
    /// Free memory and all of it, in MiB.
    pub memory: (u64, u64),
    /// The driver's version.
    pub driver: String,
}

/// The toolkit's compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolkit {
    /// `13.4`, as two numbers.
    pub version: (u32, u32),
    /// Architectures it compiles for, as `89` for 8.9.
    pub architectures: Vec<u32>,
}

/// What there is of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The driver's GPUs; none without a driver.
    pub cards: Vec<Card>,
    /// None where no nvcc is on the path.
    pub toolkit: Option<Toolkit>,
    /// An nvcc that is elsewhere.
    pub off_the_path: Option<PathBuf>,
    /// The newest toolkit that the driver runs the programs of.
    pub driver_runs: Option<(u32, u32)>,
}

impl Found {
    /// Looks. Without a driver nothing else is asked.
    pub fn look() -> Self {
        let query = "--query-gpu=name,compute_cap,memory.free,memory.total,driver_version";
        let cards = answer("nvidia-smi", &[query, "--format=csv,noheader,nounits"]);
        let cards: Vec<Card> = cards.iter().flat_map(|text| text.lines()).filter_map(card).collect();
        if cards.is_empty() {
            return Self::default();
        }
        let toolkit = answer("nvcc", &["--version"]).and_then(|said| {
            let architectures = answer("nvcc", &["--list-gpu-code"]).unwrap_or_default();
            Some(Toolkit { version: release(&said)?, architectures: numbers_after(&architectures, "sm_") })
        });
        let elsewhere = ["/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc"].map(PathBuf::from);
        let off_the_path = elsewhere.into_iter().find(|path| toolkit.is_none() && path.is_file());
        Self { cards, toolkit, off_the_path, driver_runs: answer("nvidia-smi", &[]).and_then(|said| runs(&said)) }
    }

    /// Why cells are not built for the GPU, and what to do about it; none where they are.
    pub fn missing(&self) -> Option<(String, String)> {
        let Some(first) = self.cards.first() else {
            return Some(("no NVIDIA driver".to_owned(), "none is needed".to_owned()));
        };
        let newest = self.driver_runs.map_or(KNOWN.1, |runs| runs.min(KNOWN.1));
        let get = format!(
            "to compute on it, install NVIDIA's CUDA toolkit, version {} or a little older \
             (https://developer.nvidia.com/cuda-toolkit-archive), and put its `bin` folder on PATH",
            shown(newest)
        );
        let Some(toolkit) = &self.toolkit else {
            return Some(match self.off_the_path.as_ref().and_then(|nvcc| nvcc.parent()) {
                Some(folder) => {
                    let folder = folder.display();
                    (format!("the CUDA toolkit in {folder} is not on PATH"), format!("export PATH={folder}:$PATH"))
                }
                None => ("no CUDA toolkit".to_owned(), get),
            });
        };
        let version = shown(toolkit.version);
        if !(KNOWN.0..=KNOWN.1).contains(&toolkit.version) {
            let why =
                format!("CUDA toolkit {version} is none that candle knows ({} to {})", shown(KNOWN.0), shown(KNOWN.1));
            return Some((why, get));
        }
        if let Some(runs) = self.driver_runs.filter(|runs| toolkit.version > *runs) {
            let why = format!("the driver runs programs of CUDA {} at most, and the toolkit is {version}", shown(runs));
            return Some((why, format!("update NVIDIA's driver; or, {get}")));
        }
        let capability: u32 = first.capability.replace('.', "").parse().unwrap_or(0);
        if !toolkit.architectures.is_empty() && !toolkit.architectures.contains(&capability) {
            let why = format!("CUDA toolkit {version} does not compile for compute capability {}", first.capability);
            return Some((
                why,
                "take a toolkit of the GPU's own years: older for an older one, newer for a newer".to_owned(),
            ));
        }
        None
    }

    /// All that decides what is compiled for the GPU, in a line.
    pub fn key(&self) -> String {
        let capabilities: Vec<&str> = self.cards.iter().map(|card| card.capability.as_str()).collect();
        let toolkit = self.toolkit.as_ref().map(|toolkit| shown(toolkit.version)).unwrap_or_default();
        format!("cuda {toolkit} for {}", capabilities.join(" "))
    }
}

fn shown((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// `NVIDIA L4, 8.9, 22478, 23034, 580.82.07`: a name may hold commas, what follows does not.
fn card(line: &str) -> Option<Card> {
    let mut parts = line.rsplitn(5, ',').map(str::trim);
    let driver = parts.next()?.to_owned();
    let (total, free) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let capability = parts.next()?.to_owned();
    Some(Card { name: parts.next()?.to_owned(), capability, memory: (free, total), driver })
}

/// `Cuda compilation tools, release 13.4, V13.4.92`.
fn release(said: &str) -> Option<(u32, u32)> {
    version(said.split("release ").nth(1)?)
}

/// `| NVIDIA-SMI 580.82.07  Driver Version: 580.82.07  CUDA Version: 13.0 |`.
fn runs(said: &str) -> Option<(u32, u32)> {
    version(said.split("CUDA Version:").nth(1)?)
}

/// Two numbers with a point between them, at the beginning of a text.
fn version(text: &str) -> Option<(u32, u32)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut numbers = text.get(..end)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The numbers of the lines that begin so.
fn numbers_after(text: &str, beginning: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.trim().strip_prefix(beginning)?.parse().ok()).collect()
}

fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found() -> Found {
        let toolkit = Toolkit { version: (13, 0), architectures: vec![75, 80, 89, 90] };
        let cards = vec![card("NVIDIA L4, rev. 2, 8.9, 22478, 23034, 580.82.07").unwrap()];
        Found { cards, toolkit: Some(toolkit), off_the_path: None, driver_runs: Some((13, 0)) }
    }

    #[test]
    fn what_the_programs_say_is_read() {
        let card = found().cards.remove(0);
        assert_eq!((card.name.as_str(), card.capability.as_str()), ("NVIDIA L4, rev. 2", "8.9"));
        assert_eq!((card.memory, card.driver.as_str()), ((22478, 23034), "580.82.07"));
        assert_eq!(super::card("No devices were found"), None);
        assert_eq!(super::card("A, 8.9, [N/A], [N/A], 580"), None);
        let said = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.4, V13.4.92\n";
        assert_eq!((release(said), release("gcc 12")), (Some((13, 4)), None));
        let said = "| NVIDIA-SMI 580.82.07    Driver Version: 580.82.07    CUDA Version: 13.0     |";
        assert_eq!((runs(said), runs("CUDA Version: N/A")), (Some((13, 0)), None));
        assert_eq!(numbers_after("sm_75\nsm_80\nsm_90a\n", "sm_"), [75, 80]);
    }

    #[test]
    fn what_is_missing_is_said_with_a_cure() {
        assert_eq!(found().missing(), None);
        assert_eq!(found().key(), "cuda 13.0 for 8.9");
        let changed = |change: &dyn Fn(&mut Found)| {
            let mut found = found();
            change(&mut found);
            let (why, cure) = found.missing().unwrap();
            format!("{why}: {cure}")
        };
        let version = |version| move |found: &mut Found| found.toolkit.as_mut().unwrap().version = version;
        let cases = [
            (changed(&|found| *found = Found::default()), "no NVIDIA driver"),
            (
                changed(&|found| found.toolkit = None),
                "no CUDA toolkit: to compute on it, install NVIDIA's CUDA toolkit, version 13.0",
            ),
            (changed(&version((11, 2))), "11.4 to 13.4"),
            (changed(&version((14, 0))), "11.4 to 13.4"),
            (changed(&version((13, 4))), "the driver runs programs of CUDA 13.0 at most"),
            (changed(&|found| found.cards[0].capability = "12.0".to_owned()), "compute capability 12.0"),
        ];
        for (said, want) in cases {
            assert!(said.contains(want), "{said}");
        }
        let elsewhere = changed(&|found| {
            found.toolkit = None;
            found.off_the_path = Some("/usr/local/cuda/bin/nvcc".into());
        });
        assert!(elsewhere.ends_with("export PATH=/usr/local/cuda/bin:$PATH"), "{elsewhere}");
    }
}
