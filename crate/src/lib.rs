//! Transfer learning in Rust, in a notebook: a helper crate on [candle](candle_core).
//!
//! Data flows one way, a module for each step:
//!
//! > [`data`] → [`images`] → [`models`] (with their [`weights`]) → [`freeze`] → [`train`] → [`evaluate`] → [`explain`] → [`plot`]
//!
//! [`notebook`] is how a value shows itself in a cell, [`lesson`] checks the exercise, and [`device`] says what computes:
//! the CPU, or with the feature `cuda` a GPU. What a notebook needs comes with
//!
//! ```
//! use candlewick::prelude::*;
//! ```
//!
//! Tensors are laid out `(N, C, H, W)`: photos, channels, rows, columns.

pub mod cell;
#[cfg(any(feature = "cuda", test))]
mod cuda;
pub mod data;
pub mod device;
mod error;
pub mod evaluate;
pub mod explain;
pub mod fetch;
pub mod freeze;
pub mod images;
pub mod lesson;
pub mod models;
pub mod notebook;
pub mod plot;
pub mod train;
pub mod weights;

pub use candle_core;
pub use candle_nn;
pub use error::{Error, Result};

/// What a notebook uses: `use candlewick::prelude::*;`.
pub mod prelude {
    pub use crate::candle_core::{D, DType, Device, Tensor, Var};
    pub use crate::candle_nn;
    pub use crate::data::{Dataset, Photo, Sketches, cats_vs_dogs, flowers, sketches};
    pub use crate::evaluate::Predictions;
    pub use crate::explain::{Explain, FilterOptions, HeatMapOptions, Method, Objective, Parametrisation};
    pub use crate::freeze::Frozen;
    pub use crate::images::{Batch, Pixels, Preprocess};
    pub use crate::lesson::{check, hint, progress, solution};
    pub use crate::models::{Backbone, InceptionV3, MobileNetV2, imagenet};
    pub use crate::notebook::Picture;
    pub use crate::plot::ColourMap;
    pub use crate::train::{BatchNorm, Classifier, Comparison, FineTuning, FitOptions, History, TransferModel};
    pub use crate::{Error, Result};
}
