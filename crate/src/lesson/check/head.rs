//! TODO 6: the head.

use super::super::diagnosis::{Checked, mistake};
use crate::data::Dataset;
use crate::train::Examined;

pub(super) fn head(model: &Examined<'_>, data: &Dataset) -> Checked {
    let (got, want) = (model.classes(), data.classes());
    if got.len() != want.len() {
        let of_imagenet = if got.len() == 1000 { ", as ImageNet has" } else { "" };
        return mistake(
            "number-of-classes",
            format!("the head has {} outputs{of_imagenet}, and the data has {} classes.", got.len(), want.len()),
            "an output without a class learns only to be silent, and a class without an output is never named.",
            "take the classes from the data, so that they fit whatever the data is. The frozen network is in this model \
             now: run TODO 4 and 5 again before you make another.",
        );
    }
    if got != want {
        return mistake(
            "other-classes",
            format!("the head's classes are {got:?}, and the data's are {want:?}."),
            "labels are indices: in another order every answer gets another name.",
            "take the classes from the data, in its order. The frozen network is in this model now: run TODO 4 and 5 \
             again before you make another.",
        );
    }
    Ok(())
}
