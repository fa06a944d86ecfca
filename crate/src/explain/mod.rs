//! Looking inside a network: what its layers answer to, what its filters look for, and where it looks.
//!
//! Whatever is an [`Explain`] has the methods; each answers with a value that shows itself in a cell. [`Subject`] has
//! the same in tensors.

mod activations;
mod ascent;
mod cam;
mod faithfulness;
mod heat_map;
mod heat_maps;
mod looking;
mod method;
mod mistakes;
mod names;
mod occlusion;
mod silence;
mod subject;
#[cfg(test)]
mod tests;

pub use activations::Activations;
pub use ascent::{Ended, Filter, FilterOptions, Filters, Objective, Parametrisation};
pub use faithfulness::{Chance, Faithfulness};
pub use heat_map::HeatMap;
pub use heat_maps::HeatMaps;
pub use looking::Explain;
pub use method::{HeatMapOptions, Method, Relevance};
pub use mistakes::{Mistake, Mistakes};
pub use silence::{Pairs, SilentChannels, SilentLayer};
pub use subject::Subject;
