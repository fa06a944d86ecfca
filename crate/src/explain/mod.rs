//! Looking inside a network: what its layers answer to, what its filters look for, and where it looks.

mod ascent;
mod subject;

pub use ascent::{Ended, Filter, FilterOptions, Filters, Objective, Parametrisation};
pub use subject::{Explain, Subject};
