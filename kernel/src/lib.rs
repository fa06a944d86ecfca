//! The session over evcxr, and what the command line is made of.
//!
//! From below: [`build`] makes ready what cells import; a [`session`] runs cells; the [`runner`] runs a [`notebook`] on
//! one; the [`terminal`] shows the run while it lasts; [`html`] and [`summary`] are what stays of it; [`cli`] is the
//! commands. [`check`] compares a run with what a notebook has saved. [`exercise`] makes, proves and grades the lesson's
//! exercise. A [`client`] runs cells on any kernel that has a [`kernelspec`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod ansi;
pub mod build;
pub mod check;
pub mod cli;
pub mod client;
pub mod doctor;
#[cfg(test)]
mod echo;
pub mod exercise;
pub mod html;
pub mod kernelspec;
pub mod lessons;
#[path = "../../crate/src/notebook/lines.rs"]
pub mod lines;
pub mod notebook;
pub mod outputs;
mod panics;
pub mod protocol;
pub mod runner;
pub mod session;
pub mod settle;
pub mod stock;
pub mod summary;
pub mod terminal;
pub mod timed;
pub mod tools;
