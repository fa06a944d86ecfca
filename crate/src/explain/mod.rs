//! Looking inside a network: what its layers answer to, what its filters look for, and where it looks.

mod subject;

pub use subject::{Explain, Subject};
