//! Several classes of one photo side by side: what speaks for a cat, and what for a dog.

use super::heat_map::{MEANING, Panel};
use super::{HeatMap, HeatMapOptions, Subject};
use crate::data::Photo;
use crate::notebook::{Picture, display};
use crate::plot::{HeatPanel, HeatScale, heat_panels};
use crate::{Error, Result};
use std::fmt;

/// The heat maps of several classes for one photo. It shows itself as a row when it ends a cell.
///
/// Each map is over its own most, so compare where they are, and by the logits how strong.
#[derive(Clone, Debug)]
pub struct HeatMaps {
    /// One for each class, in the order asked for.
    pub maps: Vec<HeatMap>,
}

/// More would be too small to see beside the photo.
const MOST: usize = 5;

impl HeatMaps {
    pub(super) fn of(subject: &Subject<'_>, photo: &Photo, names: &[&str], options: &HeatMapOptions) -> Result<Self> {
        if names.is_empty() || names.len() > MOST {
            let want = format!("1 to {MOST} stand side by side");
            return Err(Error::Setting { setting: "the number of classes", got: names.len().to_string(), want });
        }
        options.without_class("the list")?;
        let classes = names.iter().map(|name| subject.class(name)).collect::<Result<Vec<_>>>()?;
        Ok(Self { maps: HeatMap::of_classes(subject, photo, &classes, options)? })
    }

    /// The photo, and each class's map over it.
    ///
    /// # Errors
    /// [`Error::Plot`] where there is no map, or more than 5.
    pub fn row(&self) -> Result<Picture> {
        let first = self.maps.first().ok_or_else(|| Error::Plot("there are no heat maps".to_owned()))?;
        let panels = self.maps.iter().map(Panel::new).collect::<Result<Vec<_>>>()?;
        let photo = HeatPanel::photo(&first.photo, &first.name);
        let row = std::iter::once(photo).chain(panels.iter().map(Panel::drawn)).collect();
        let names: Vec<&str> = self.maps.iter().map(|map| map.class.as_str()).collect();
        let heading = format!("{}: what speaks for {}", first.how(), names.join(", what for "));
        heat_panels(&[row], &HeatScale::unit(MEANING), &heading)
    }

    /// Shows the row below a notebook cell.
    pub fn evcxr_display(&self) {
        match self.row() {
            Ok(picture) => picture.show_beside(&self.to_string()),
            Err(error) => display::text(&format!("{self}\n{error}")),
        }
    }
}

/// A line for each class.
impl fmt::Display for HeatMaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.maps.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
