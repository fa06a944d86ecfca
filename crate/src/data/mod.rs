//! Photos with a class each: from a folder, from the catalogue, or drawn.
//!
//! [`Dataset::from_folder`] takes one sub-folder a class. The catalogue has the lesson's two sets, [`cats_vs_dogs`] and
//! [`flowers`], each from the best source that can be had; and there are always [`sketches`], which the crate draws
//! itself.

mod archive;
mod batches;
mod catalogue;
mod cifar10;
mod dataset;
mod drawn;
mod folder;
mod photo;
mod unlabelled;

pub use batches::Batches;
pub(crate) use catalogue::is_one_folder_for_both;
pub use catalogue::{cats_vs_dogs, flowers};
pub use cifar10::cifar10;
pub use dataset::{Dataset, Skipped};
pub use drawn::{Sketches, sketches};
pub use photo::Photo;
pub use unlabelled::IntoPhoto;
pub(crate) use unlabelled::photos_below;
