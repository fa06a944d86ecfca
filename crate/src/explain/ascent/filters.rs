//! The pictures that have climbed.

use crate::Result;
use crate::images::Pixels;
use crate::notebook::Picture;
use crate::plot::{self, Tiling};
use std::fmt;

/// How a climb came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All its steps are done.
    Finished,
    /// It was stopped on request; the picture is the one it had by then.
    Interrupted,
    /// In this step, counted from 1, something stopped being a number; the picture is the last good one.
    NotANumber {
        /// Which step.
        step: usize,
    },
}

/// What one filter, or one class, looks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Layer and channel, as in `features.10 #37`, or the class.
    pub name: String,
    /// The channel's number, or the class's, from 0.
    pub channel: usize,
    /// The picture that excites it; none where nothing did.
    pub picture: Option<Pixels>,
    /// What was to become large, at each step (see [`Objective`](super::Objective)). It need not rise at each: every step sees the picture moved.
    pub objective: Vec<f32>,
    /// How its climb ended.
    pub ended: Ended,
}

/// What some filters of a layer, or some classes, look for.
///
/// It shows itself as a grid when it ends a cell.
#[derive(Clone, PartialEq)]
pub struct Filters {
    pub(super) heading: String,
    /// Whether what climbed goes into a ReLU.
    pub(super) is_rectified: bool,
    /// More channels than the layer has were asked for: what to say of that.
    pub(super) beyond: Option<String>,
    /// One for each channel that was asked for, in that order.
    pub filters: Vec<Filter>,
}

impl Filters {
    /// The pictures by name, without those that nothing excites.
    pub fn pictures(&self) -> impl Iterator<Item = (&str, &Pixels)> {
        self.filters.iter().filter_map(|filter| Some((filter.name.as_str(), filter.picture.as_ref()?)))
    }

    /// Whether it was stopped before its last step.
    pub fn interrupted(&self) -> bool {
        self.filters.iter().any(|filter| filter.ended == Ended::Interrupted)
    }

    /// All pictures in rows under one heading, each with its name. One that nothing excites is crossed.
    ///
    /// # Errors
    /// As for [`filter_tiles`](plot::filter_tiles).
    pub fn grid(&self) -> Result<Picture> {
        let pictures: Vec<_> = self.filters.iter().map(|filter| filter.picture.clone()).collect();
        let names: Vec<String> = self.filters.iter().map(|filter| filter.name.clone()).collect();
        let steps = self.filters.iter().map(|filter| filter.objective.len()).max().unwrap_or(0);
        let heading = match self.interrupted() {
            true => format!("{}, interrupted after {}", self.heading, counted(steps, "step")),
            false => self.heading.clone(),
        };
        grid(&heading, &pictures, &names)
    }

    /// What is to be said of a climb that came to nothing, or not to its end.
    fn trouble(&self, filter: &Filter) -> Option<String> {
        let (first, last) = (filter.objective.first()?, filter.objective.last()?);
        let (steps, name) = (filter.objective.len(), &filter.name);
        match filter.ended {
            Ended::NotANumber { .. } => None,
            _ if filter.picture.is_none() => Some(format!("{name}: nothing excited it")),
            Ended::Finished if self.is_rectified && *last <= 0.0 => {
                Some(format!("{name}: nothing excited it; what goes into its ReLU ended at {last:.3}, not above 0"))
            }
            Ended::Finished if steps > 1 && last <= first => {
                Some(format!("{name}: did not climb, from {first:.3} to {last:.3}: try a smaller learning_rate"))
            }
            _ => None,
        }
    }

    /// Shows the grid below a notebook cell, with a line on how the climbs ended.
    pub fn evcxr_display(&self) {
        match self.grid() {
            Ok(picture) => picture.show_beside(&self.to_string()),
            Err(error) => println!("{self}\n{error}"),
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("one {what}") } else { format!("{count} {what}s") }
}

/// The grid of these pictures.
pub(super) fn grid(heading: &str, pictures: &[Option<Pixels>], names: &[String]) -> Result<Picture> {
    plot::filter_tiles(pictures, &Tiling { labels: names, ..Tiling::filters(heading, pictures.len()) })
}

/// In a line, what was climbed and how it ended; then a line for each that did not come to its end.
impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.filters.iter().map(|filter| filter.objective.len()).max().unwrap_or(0);
        write!(f, "{}: {}, {}", self.heading, counted(self.filters.len(), "picture"), counted(steps, "step"))?;
        if self.interrupted() {
            write!(f, ", interrupted")?;
        }
        if let Some(beyond) = &self.beyond {
            write!(f, "\n{beyond}")?;
        }
        for filter in &self.filters {
            if let Ended::NotANumber { step } = filter.ended {
                write!(f, "\n{}: stopped being a number in step {step}; the last good picture is shown", filter.name)?;
                write!(f, ": try a smaller learning_rate")?;
            }
            if let Some(trouble) = self.trouble(filter) {
                write!(f, "\n{trouble}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filters({self})")
    }
}
