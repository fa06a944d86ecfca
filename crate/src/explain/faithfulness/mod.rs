//! How faithful a heat map is: deletion and insertion, beside chance.

mod chance;
mod swaps;

pub use chance::Chance;

use super::activations::numbers;
use super::heat_map::predicted;
use super::{HeatMap, Subject};
use crate::notebook::{Picture, Progress, display};
use crate::plot::{self, Beside};
use crate::{Error, Result};
use chance::Place;
pub(super) use chance::map_by_chance;
use std::fmt;
use swaps::{Asked, STEPS, blurred, mean_colour, order};

/// What becomes of a class's probability as the places that a heat map marks go, or come: at 33 even steps from no
/// pixel to all of them (Petsiuk et al. 2018, RISE, <https://arxiv.org/abs/1806.07421>). It shows itself as curves when it
/// ends a cell.
///
/// Deletion begins with the photo and puts its mean colour in the place of the pixels that the map marks strongest; a
/// faithful map's probability falls early, its area is small. Insertion begins with the photo blurred beyond
/// recognition and puts the strongest pixels in first; a faithful map's area is large.
///
/// What chance gives on this photo is measured the same way, by 9 random maps from the seeds 0 to 8, each as coarse as the
/// map: noise on the same grid, enlarged the same way; for occlusion, noise on the same squares. A map counts as better than
/// chance where its area lies beyond those of all nine, and as no better where it lies among them. Of ten maps that know
/// nothing, one lies beyond the other nine: "better" is a hint, not a proof. Places that the map gives the same value, as all
/// have on which nothing speaks for the class, go in the order of a tenth random map.
#[derive(Clone, Debug, PartialEq)]
pub struct Faithfulness {
    /// The class.
    pub class: String,
    /// How the heat map was found.
    pub how: String,
    /// The class that the network takes the photo for, where that is another one: then there is little to lose.
    pub taken_for: Option<String>,
    /// The class's probability as the strongest pixels go.
    pub deletion: Vec<f64>,
    /// The class's probability as the strongest pixels come.
    pub insertion: Vec<f64>,
    /// As `deletion`, in the order of each random map.
    pub random_deletions: Vec<Vec<f64>>,
    /// As `insertion`, in the order of each random map.
    pub random_insertions: Vec<Vec<f64>>,
}

/// Random maps: of ten maps that know nothing one is, by chance, beyond these.
const RANDOM: u64 = 9;

impl Faithfulness {
    pub(super) fn of(subject: &Subject<'_>, map: &HeatMap) -> Result<Self> {
        Self::beside(subject, map, RANDOM)
    }

    /// Beside so many random maps.
    pub(super) fn beside(subject: &Subject<'_>, map: &HeatMap, maps: u64) -> Result<Self> {
        let (side, class) = (subject.preprocess().side, map.index);
        if subject.class_name(class) != map.class || map.seen.height != side {
            let want = "the map must be of the network that is asked".to_owned();
            return Err(Error::Setting { setting: "the heat map", got: format!("of `{}`", map.class), want });
        }
        if map.peak <= 0.0 {
            return Err(Error::Data(format!(
                "nothing in the map speaks for {}, so it says nothing that could be faithful: ask for another class",
                map.class
            )));
        }
        let equals = map_by_chance(map, side, maps)?;
        let own = order(&map.values()?, &equals, side)?;
        let by_chance = |seed| order(&map_by_chance(map, side, seed)?, &equals, side);
        let random = (0..maps).map(by_chance).collect::<Result<Vec<_>>>()?;

        let taken_for = predicted(subject, &map.seen)?;
        let photo = numbers(&subject.input(&map.seen)?)?;
        let blurred = numbers(&subject.input(&blurred(&map.seen)?)?)?;
        let mean = mean_colour(&photo);
        let photos = 3 + 2 * (1 + maps) * (STEPS as u64 - 1);
        let asked =
            Asked { subject, side, class, progress: Progress::new("Deleting and inserting", Some(photos), "photos") };
        // Where every order begins and ends.
        let ends = asked.probabilities([&photo[..], &mean, &blurred].concat())?;
        let &[at_photo, at_mean, at_blurred] = &ends[..] else {
            return Err(Error::shape("the probabilities of three photos", "(3,)", &[ends.len()]));
        };
        let deletion = |order: &Vec<usize>| asked.curve((&photo, at_photo), (&mean, at_mean), order);
        let insertion = |order: &Vec<usize>| asked.curve((&blurred, at_blurred), (&photo, at_photo), order);
        Ok(Self {
            class: map.class.clone(),
            how: map.how(),
            taken_for: (taken_for != class).then(|| subject.class_name(taken_for)),
            deletion: deletion(&own)?,
            insertion: insertion(&own)?,
            random_deletions: random.iter().map(deletion).collect::<Result<_>>()?,
            random_insertions: random.iter().map(insertion).collect::<Result<_>>()?,
        })
    }

    /// The area under the deletion curve, 0 to 1: the smaller, the more faithful.
    pub fn deletion_area(&self) -> f64 {
        area(&self.deletion)
    }

    /// The area under the insertion curve, 0 to 1: the larger, the more faithful.
    pub fn insertion_area(&self) -> f64 {
        area(&self.insertion)
    }

    /// The areas under the deletion curves of the random maps.
    pub fn deletion_by_chance(&self) -> Chance {
        Chance::of(&self.random_deletions)
    }

    /// The areas under the insertion curves of the random maps.
    pub fn insertion_by_chance(&self) -> Chance {
        Chance::of(&self.random_insertions)
    }

    /// The two curves with their areas, beside those of the random maps.
    ///
    /// # Errors
    /// [`Error::Plot`] where a curve has been changed into no numbers, or into another number of them.
    pub fn curves(&self) -> Result<Picture> {
        let deletion = Beside { map: &self.deletion, random: &self.random_deletions };
        let insertion = Beside { map: &self.insertion, random: &self.random_insertions };
        plot::deletion_and_insertion(deletion, insertion, &self.class, &self.how)
    }

    /// A line under a heat map.
    pub(super) fn note(&self) -> String {
        let (deletion, insertion) = (self.deletion_by_chance(), self.insertion_by_chance());
        format!(
            "deletion {:.2} ({} random maps: {:.2} to {:.2}), insertion {:.2} ({:.2} to {:.2})",
            self.deletion_area(),
            self.random_deletions.len(),
            deletion.least,
            deletion.most,
            self.insertion_area(),
            insertion.least,
            insertion.most
        )
    }

    /// How it compares with chance, in words; of deletion less is better.
    fn verdict(&self) -> String {
        let deletion = self.deletion_by_chance().place(self.deletion_area()).opposite();
        match (deletion, self.insertion_by_chance().place(self.insertion_area())) {
            (Place::Among, Place::Among) => "no better than chance: both lie among the random maps".to_owned(),
            (deletion, insertion) if deletion == insertion => format!("{} in both", deletion.words()),
            (deletion, insertion) => format!("{} in deletion, {} in insertion", deletion.words(), insertion.words()),
        }
    }

    /// Shows the curves below a notebook cell, with what they say in words.
    pub fn evcxr_display(&self) {
        match self.curves() {
            Ok(picture) => {
                picture.evcxr_display();
                println!("{self}");
            }
            Err(error) => display::text(&format!("{self}\n{error}")),
        }
    }
}

fn area(curve: &[f64]) -> f64 {
    plot::area(curve).unwrap_or(f64::NAN)
}

/// The areas beside chance, and on which side of it they are where the class is the one that the photo is taken for.
impl fmt::Display for Faithfulness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (deletion, insertion) = (self.deletion_by_chance(), self.insertion_by_chance());
        write!(f, "{} for {}: deletion {:.2} ", self.how, self.class, self.deletion_area())?;
        let (least, most, maps) = (deletion.least, deletion.most, self.random_deletions.len());
        write!(f, "({maps} random maps: mean {:.2}, {least:.2} to {most:.2}), ", deletion.mean)?;
        write!(f, "insertion {:.2} ", self.insertion_area())?;
        write!(f, "(mean {:.2}, {:.2} to {:.2}); ", insertion.mean, insertion.least, insertion.most)?;
        match &self.taken_for {
            Some(other) => {
                write!(f, "the photo is taken for {other}, so {} has little to lose and this tells little", self.class)
            }
            None => f.write_str(&self.verdict()),
        }
    }
}
