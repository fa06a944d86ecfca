//! What a history says, in words that fit its own numbers and claim no more than chance allows.

use super::history::count;
use super::{Epoch, History};
use crate::evaluate;
use std::cmp::Ordering;

impl History {
    /// Why validation may stand above training, in words that fit these very numbers.
    ///
    /// Two accuracies are said to differ where the 95 % interval of their difference does not hold 0; see
    /// [`newcombe`](evaluate::newcombe). One epoch is no trend, and is not taken for one.
    pub fn explain(&self) -> String {
        let (Some(first), Some(last)) = (self.epochs.first(), self.epochs.last()) else {
            return "No epoch was finished, so there is nothing to explain yet.".to_owned();
        };
        let lag = first.training_accuracy - first.training_accuracy_running;
        let running = format!(
            "The running figure is the mean over the epoch's batches, each scored before the head learnt from it: in \
             epoch 1 it reads {}, while the same photos scored at the epoch's end give {} ({} points).",
            percent(first.training_accuracy_running),
            percent(first.training_accuracy),
            points(lag),
        );
        // Where no epoch shows more than chance, the last one's points say nothing either.
        let last = if self.is_even() { String::new() } else { self.last_gap(last) };
        let words = [self.above_running(), running, self.at_the_end(), last];
        words.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn above_running(&self) -> String {
        let epochs = count(self.epochs.len(), "epoch");
        let above = self.epochs_above(|epoch| epoch.training_accuracy_running);
        let surely = self.epochs_surely_above(|epoch| epoch.training_accuracy_running);
        match (above, surely) {
            (0, _) => format!("Validation was never above the running training accuracy in {epochs}."),
            (_, 0) => format!(
                "Validation was above the running training accuracy in {above} of {epochs}, but never by more than chance \
                 in so many photos."
            ),
            _ => format!("Validation was above the running training accuracy in {above} of {epochs}."),
        }
    }

    /// Validation beside training as it is measured at the epoch's end.
    fn at_the_end(&self) -> String {
        let end = |epoch: &Epoch| epoch.training_accuracy;
        let above = self.epochs_above(end);
        if self.is_even() {
            return "Measured at the epoch's end, the two curves differ by no more than chance moves them in so many photos: \
                    which is above the other, these photos cannot tell."
                .to_owned();
        }
        match (self.epochs_surely_above(|epoch| epoch.training_accuracy_running), above) {
            (0, 0) => "Measured at the epoch's end, training is never below validation.".to_owned(),
            (_, 0) => "Measured at the epoch's end, with the very head that validation meets, training is never below \
                       validation: the running mean is reason enough."
                .to_owned(),
            _ => format!(
                "Measured at the epoch's end, validation is above training in {above} of {}. {}",
                self.epochs.len(),
                self.largest_lead()
            ),
        }
    }

    /// Whether training at the epoch's end and validation never differ by more than chance.
    fn is_even(&self) -> bool {
        self.epochs.iter().all(|epoch| self.beside(epoch, epoch.training_accuracy) == Ordering::Equal)
    }

    /// How far the epoch in which validation leads most is beyond chance.
    fn largest_lead(&self) -> String {
        let lead = |epoch: &Epoch| epoch.validation_accuracy - epoch.training_accuracy;
        let Some(most) = self.epochs.iter().max_by(|a, b| lead(a).total_cmp(&lead(b))) else {
            return String::new();
        };
        let (low, high) = self.difference(most, most.training_accuracy);
        format!(
            "The largest lead is {} points, with a 95 % interval from {} to {}: {}.",
            points(lead(most)),
            points(low),
            points(high),
            match (self.beside(most, most.training_accuracy), self.shared_photos) {
                (Ordering::Greater, 0) =>
                    "more than chance explains, so the validation photos seem to be the easier ones".to_owned(),
                (Ordering::Greater, shared) => format!(
                    "more than chance explains, but the head has learnt from {shared} of the photos that measure it"
                ),
                _ => "no more than chance explains".to_owned(),
            }
        )
    }

    /// What is left between training and validation after the last epoch.
    fn last_gap(&self, last: &Epoch) -> String {
        let gap = last.training_accuracy - last.validation_accuracy;
        let surely = self.beside(last, last.training_accuracy) == Ordering::Less;
        match (surely, self.epochs.len()) {
            _ if gap <= 0.0 => String::new(),
            (true, 1) => format!(
                "After this one epoch training leads by {} points, more than chance in so many photos explains; one epoch \
                 is no trend, so train for more before you judge.",
                points(gap)
            ),
            (true, _) => format!(
                "After the last epoch training leads by {} points, more than chance in so many photos explains: the head \
                 does better on photos that it has learnt from. After the first epoch it led by {} points: a lead that \
                 grows while validation stands still comes of learning by heart.",
                points(gap),
                points(self.epochs.first().map_or(0.0, |first| first.training_accuracy - first.validation_accuracy))
            ),
            (false, _) => format!(
                "After the last epoch training leads by {} points, no more than chance in so many photos explains.",
                points(gap)
            ),
        }
    }

    fn epochs_above(&self, training: fn(&Epoch) -> f64) -> usize {
        self.epochs.iter().filter(|epoch| epoch.validation_accuracy > training(epoch)).count()
    }

    fn epochs_surely_above(&self, training: fn(&Epoch) -> f64) -> usize {
        self.epochs.iter().filter(|epoch| self.beside(epoch, training(epoch)) == Ordering::Greater).count()
    }

    /// Whether validation is above or below a training accuracy, by more than chance.
    fn beside(&self, epoch: &Epoch, training: f64) -> Ordering {
        match self.difference(epoch, training) {
            (low, _) if low > 0.0 => Ordering::Greater,
            (_, high) if high < 0.0 => Ordering::Less,
            _ => Ordering::Equal,
        }
    }

    /// The 95 % interval of validation less a training accuracy.
    fn difference(&self, epoch: &Epoch, training: f64) -> (f64, f64) {
        let right = |share: f64, photos: usize| ((share * photos as f64).round() as usize, photos);
        evaluate::newcombe(
            right(epoch.validation_accuracy, self.validation_photos),
            right(training, self.training_photos),
        )
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn points(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}
