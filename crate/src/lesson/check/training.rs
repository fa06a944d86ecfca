//! TODO 7 and 8: what training measured, and its picture.

use super::super::diagnosis::{Checked, mistake};
use crate::Result;
use crate::data::Dataset;
use crate::evaluate::best;
use crate::notebook::Picture;
use crate::train::{Examined, FeatureTable, History};

/// How many TODO 7 asks for.
const EPOCHS: usize = 6;

/// What the learner calls what is checked, and how to begin anew: TODO 7 trains one model, TODO 12 another.
pub(super) struct Called {
    pub history: &'static str,
    /// A sentence.
    pub anew: &'static str,
    /// Another, on making the model once more.
    pub remade: &'static str,
}

pub(super) const FIRST: Called = Called {
    history: "history",
    anew: "`model.forget()?` before `fit` begins anew.",
    remade: "The frozen network is in this model now: run TODO 4 and 5 again before you make another.",
};
pub(super) const SECOND: Called = Called {
    history: "inception_history",
    anew: "Run the whole cell of TODO 12 again: it makes its model anew.",
    remade: "The frozen network is in this model now: run the whole cell of TODO 12 again, which loads another.",
};

pub(super) fn trained(
    model: &Examined<'_>,
    history: &History,
    training: &Dataset,
    validation: &Dataset,
    called: &Called,
) -> Checked {
    epochs(history, called)?;
    let tables = [model.features(training)?, model.features(validation)?];
    let [of_training, of_validation] = &tables;
    on_which_photos(history, of_training, of_validation, called)?;
    let outputs = model.head(of_validation.features())?.to_vec2::<f32>()?;
    if let Some(last) = history.last()
        && is_softmax_twice(&outputs, &of_validation.labels(), last.validation_loss)
    {
        return softmax_twice();
    }
    measured(model, history, of_training, of_validation, called)?;
    once(history, called)
}

/// That the head had learnt nothing before. Last: what else is wrong with a training says more.
fn once(history: &History, called: &Called) -> Checked {
    if history.continued {
        return mistake(
            "trained-on",
            format!(
                "`{}` is of another training of a head that had learnt before: it went on from there.",
                called.history
            ),
            "results can be compared only after the same number of passes over the photos.",
            format!("train it once. {}", called.anew),
        );
    }
    Ok(())
}

fn epochs(history: &History, called: &Called) -> Checked {
    let done = history.epochs.len();
    if history.interrupted && done < EPOCHS {
        return mistake(
            "interrupted",
            format!("training was stopped after {done} of {} epochs.", history.planned),
            "the head has learnt less than the exercise's later numbers expect.",
            format!("run the cell again and let it finish; before that, begin anew. {}", called.anew),
        );
    }
    if done != EPOCHS {
        return mistake(
            "other-epochs",
            format!(
                "`{}` has {done} epoch{}, and {EPOCHS} were asked for, in one `fit`.",
                called.history,
                if done == 1 { "" } else { "s" }
            ),
            "results can be compared only after the same number of passes over the photos.",
            format!(
                "the number of epochs is one of the fields of `FitOptions`; its default is the course's. {}",
                called.anew
            ),
        );
    }
    Ok(())
}

/// Which photos were learnt from and which measured, as far as their numbers tell.
fn on_which_photos(history: &History, training: &FeatureTable, validation: &FeatureTable, called: &Called) -> Checked {
    let got = (history.training_photos, history.validation_photos);
    let shared = validation.shared_with(training);
    if got == (training.len(), validation.len()) && history.shared_photos <= shared {
        return Ok(());
    }
    if history.shared_photos > shared {
        return mistake(
            "validated-on-training",
            format!("{} of the {} photos that measured were learnt from too.", history.shared_photos, got.1),
            "on photos that it has learnt from a head looks better than it is: .94 on flowers, and it looks like success.",
            format!("the second data set that `fit` takes is the one kept aside. {}", called.anew),
        );
    }
    if got == (validation.len(), training.len()) {
        return mistake(
            "swapped-in-fit",
            format!("the head learnt from {} photos and was measured on {}: the parts are swapped.", got.0, got.1),
            "all runs, but the head learns from less than half the photos: .872 on flowers instead of .893.",
            format!(
                "`fit` takes the photos to learn from first, and those that measure second. This head has learnt from photos \
                 that are to measure it. {}",
                called.anew
            ),
        );
    }
    mistake(
        "fitted-on-other-photos",
        format!(
            "the head learnt from {} photos and was measured on {}; `training` has {}, `validation` {}.",
            got.0,
            got.1,
            training.len(),
            validation.len()
        ),
        "an accuracy says nothing before one knows on which photos it was measured.",
        "train on `training` and `validation` as they are.",
    )
}

fn softmax_twice() -> Checked {
    mistake(
        "softmax-and-logits",
        "the head ends in a softmax, and the loss takes its probabilities for logits: softmax is applied twice.",
        "probabilities differ by 1 at most, so the second softmax flattens them and with them the gradients.",
        "leave the softmax to the loss, or tell the loss that it need not apply it.",
    )
}

/// Whether a loss is what comes of outputs that are probabilities already, when softmax is applied to them again.
fn is_softmax_twice(outputs: &[Vec<f32>], labels: &[usize], loss: f64) -> bool {
    let are_probabilities = outputs
        .iter()
        .all(|row| row.iter().all(|value| (0.0..=1.0).contains(value)) && (row.iter().sum::<f32>() - 1.0).abs() < 1e-3);
    if !are_probabilities || outputs.is_empty() {
        return false;
    }
    let mean = |loss: &dyn Fn(&[f32], usize) -> f64| -> f64 {
        let rows = outputs.iter().zip(labels).map(|(row, label)| loss(row, *label));
        rows.sum::<f64>() / outputs.len() as f64
    };
    let value = |row: &[f32], label: usize| f64::from(row.get(label).copied().unwrap_or(0.0));
    let once = mean(&|row, label| -value(row, label).max(1e-30).ln());
    let twice =
        mean(&|row, label| row.iter().map(|other| f64::from(*other).exp()).sum::<f64>().ln() - value(row, label));
    (loss - twice).abs() < 1e-3 * twice && (loss - once).abs() > (loss - twice).abs()
}

/// Whether the head's accuracy, measured anew, is what the history says of its last epoch.
fn measured(
    model: &Examined<'_>,
    history: &History,
    training: &FeatureTable,
    validation: &FeatureTable,
    called: &Called,
) -> Checked {
    let Some(last) = history.last() else { return Ok(()) };
    let (on_training, on_validation) = (accuracy(model, training)?, accuracy(model, validation)?);
    let is = |got: f64, want: f64, photos: usize| (got - want).abs() <= 1.5 / photos.max(1) as f64;
    if is(last.validation_accuracy, on_validation, validation.len())
        && is(last.training_accuracy, on_training, training.len())
    {
        return Ok(());
    }
    mistake(
        "other-history",
        format!(
            "`{}` ends at {:.3} on validation photos, and measured now the model gives {on_validation:.3}.",
            called.history, last.validation_accuracy
        ),
        "a history is about one training of one head; this head has learnt since, or is another.",
        "make the model and train it in one go, and keep the history of that very training.",
    )
}

fn accuracy(model: &Examined<'_>, table: &FeatureTable) -> Result<f64> {
    let rows = model.head(table.features())?.to_vec2::<f32>()?;
    let right = rows.iter().zip(table.labels()).filter(|(row, label)| best(row) == *label).count();
    Ok(right as f64 / table.len().max(1) as f64)
}

pub(super) fn curves(curves: &Picture, history: &History) -> Checked {
    if *curves == history.plot()? {
        return Ok(());
    }
    mistake(
        "other-curves",
        "`curves` is not the picture of `history`.",
        "curves of another training, or another picture, tell nothing about this head.",
        "a history can draw itself; draw the one of TODO 7.",
    )
}

#[cfg(test)]
mod tests {
    use super::is_softmax_twice;

    /// Two photos, probabilities (.8, .2) and (.4, .6), labels 0 and 1. The loss is -(ln .8 + ln .6) / 2 = .36698; with a
    /// second softmax, (ln(1 + e^-.6) + ln(1 + e^-.2)) / 2 = .51781.
    #[test]
    fn a_second_softmax_shows_in_the_loss() {
        let (outputs, labels) = ([vec![0.8, 0.2], vec![0.4, 0.6]], [0, 1]);
        assert!(is_softmax_twice(&outputs, &labels, 0.51781));
        assert!(!is_softmax_twice(&outputs, &labels, 0.36698));
        assert!(!is_softmax_twice(&[vec![2.0, -1.0]], &[0], 0.51781), "logits");
    }
}
