//! The session over evcxr, and what the command line is made of.

pub mod session;
