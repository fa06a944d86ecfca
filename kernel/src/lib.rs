//! The session over evcxr, and what the command line is made of.
//!
//! Three layers, each knowing only the one below: the command line, the [`session`], the [`build`] of what cells import.

pub mod build;
#[path = "../../crate/src/notebook/lines.rs"]
pub mod lines;
pub mod session;
pub mod settle;
