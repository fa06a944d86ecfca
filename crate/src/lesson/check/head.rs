//! TODO 6: the head.

use super::super::diagnosis::{Checked, mistake};
use super::training::Called;
use crate::data::Dataset;
use crate::train::Examined;

pub(super) fn head(model: &Examined<'_>, data: &Dataset, called: &Called) -> Checked {
    let (got, want) = (model.classes(), data.classes());
    if got.len() != want.len() {
        let of_imagenet = if got.len() == 1000 { ", as ImageNet has" } else { "" };
        return mistake(
            "number-of-classes",
            format!("the head has {} outputs{of_imagenet}, and the data has {} classes.", got.len(), want.len()),
            "an output without a class learns only to be silent, and a class without an output is never named.",
            format!("take the classes from the data, so that they fit whatever the data is. {}", called.remade),
        );
    }
    if got != want {
        return mistake(
            "other-classes",
            format!("the head's classes are {got:?}, and the data's are {want:?}."),
            "labels are indices: in another order every answer gets another name.",
            format!("take the classes from the data, in its order. {}", called.remade),
        );
    }
    Ok(())
}
