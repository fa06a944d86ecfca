//! What is refused before training starts, and the known mistakes that training would hide.

use super::{FeatureTable, FitOptions, Head};
use crate::data::Dataset;
use crate::{Error, Result};
use std::collections::HashSet;

/// Classes that a head can tell apart.
pub(super) fn classes(classes: &[String]) -> Result<()> {
    if classes.len() < 2 {
        return Err(Error::Data(format!(
            "a classifier needs two classes or more, and got {}: pass `dataset.classes()`",
            list(classes)
        )));
    }
    let mut seen = HashSet::new();
    match classes.iter().find(|class| !seen.insert(*class)) {
        Some(twice) => Err(Error::Data(format!("the class `{twice}` is there twice"))),
        None => Ok(()),
    }
}

/// A data set with photos, of the model's own classes.
pub(super) fn dataset(which: &str, dataset: &Dataset, classes: &[String]) -> Result<()> {
    same_classes(which, dataset.classes(), classes)?;
    if dataset.is_empty() {
        return Err(Error::Data(format!("the {which} set has no photos: split a data set that has some")));
    }
    Ok(())
}

/// As many photos to learn from as there are classes.
pub(super) fn enough(training: &Dataset) -> Result<()> {
    let (photos, classes) = (training.len(), training.classes().len());
    if photos < classes {
        return Err(Error::Data(format!(
            "the training set has {photos} photos for {classes} classes: each class needs one at the very least"
        )));
    }
    Ok(())
}

/// No class all of whose photos proved broken: there would be nothing to learn it from.
pub(super) fn no_class_lost(training: &Dataset, table: &FeatureTable) -> Result<()> {
    let left: HashSet<usize> = table.labels().into_iter().collect();
    let mut classes = training.classes().iter().zip(training.counts()).enumerate();
    match classes.find(|(label, (_, count))| *count > 0 && !left.contains(label)) {
        Some((_, (class, count))) => {
            Err(Error::Data(format!("none of the {count} training photos of {class} can be read")))
        }
        None => Ok(()),
    }
}

/// A table with rows, of the model's own classes.
pub(super) fn table(which: &str, table: &FeatureTable, classes: &[String]) -> Result<()> {
    same_classes(which, table.classes(), classes)?;
    if table.is_empty() {
        return Err(Error::Data(format!("the {which} table has no photos")));
    }
    Ok(())
}

fn same_classes(which: &str, theirs: &[String], ours: &[String]) -> Result<()> {
    if theirs == ours {
        return Ok(());
    }
    let why = if theirs.len() == ours.len() { "other classes, or in another order" } else { "another number of them" };
    Err(Error::Data(format!(
        "the {which} set's classes are {}, and the model's head is for {}: {why}. Make the model with \
         `TransferModel::new(frozen, dataset.classes())`",
        list(theirs),
        list(ours)
    )))
}

/// What is said of fine-tuning before the head has learnt anything.
pub(super) const UNTRAINED_HEAD: &str = "Warning: the head has not been trained yet, so its first gradients know nothing and change a backbone that was good: \
     `fit` first, then `fine_tune`.";

/// A head with a softmax whose outputs the loss is to take for logits, as Keras warns of it.
pub(super) fn softmax_twice(head: &Head, options: &FitOptions) -> Option<String> {
    (head.has_softmax() && options.from_logits).then(|| {
        "Warning: the head ends in a softmax, and `from_logits: true` applies another one to its probabilities: the loss \
         stays high, and the head learns slowly. Leave out `softmax()`, or set `from_logits: false`."
            .to_owned()
    })
}

/// What training goes on with, but a learner should know.
pub(super) fn warnings(training: &FeatureTable, validation: &FeatureTable, shared: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if shared * 2 > validation.len() {
        warnings.push(format!(
            "Warning: {shared} of {} validation photos are training photos too. The head has seen the answers, so its \
             validation accuracy says nothing about new photos: validate on the other part of `dataset.split(..)`.",
            validation.len()
        ));
    } else if shared > 0 {
        warnings.push(format!(
            "Note: {shared} of {} validation photos are training photos too (the set holds the same photo twice).",
            validation.len()
        ));
    }
    if training.len() < validation.len() {
        warnings.push(format!(
            "Warning: {} photos to learn from and {} to validate on: are the two parts of the split swapped?",
            training.len(),
            validation.len()
        ));
    }
    let seen: HashSet<usize> = training.labels().into_iter().collect();
    let unseen: Vec<String> = (training.classes().iter().enumerate())
        .filter(|(index, _)| !seen.contains(index))
        .map(|(_, class)| class.clone())
        .collect();
    if !unseen.is_empty() {
        warnings.push(format!("Warning: no training photo is of {}: the head cannot learn it.", list(&unseen)));
    }
    warnings
}

/// `cat, dog`, shortened where there are many.
fn list(classes: &[String]) -> String {
    match classes {
        [] => "none".to_owned(),
        [first, second, .., last] if classes.len() > 8 => {
            format!("{first}, {second}, … {last} ({} in all)", classes.len())
        }
        few => few.join(", "),
    }
}
