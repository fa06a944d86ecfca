//! What training measured, epoch by epoch, and what the numbers say.

use crate::notebook::{Picture, display};
use crate::plot::{self, Panel};
use crate::{Error, Result};
use std::fmt;

/// What one epoch came to. Accuracies are shares, 0 to 1; losses are mean cross-entropies in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Training accuracy as Keras prints it: the mean over the epoch's batches, each scored just before its step. It
    /// lags, because the early batches met a head that had not yet learnt from the later ones.
    pub training_accuracy_running: f64,
    /// The loss averaged likewise.
    pub training_loss_running: f64,
    /// Training accuracy at the epoch's end, by the head that validation meets too.
    pub training_accuracy: f64,
    /// Training loss at the epoch's end.
    pub training_loss: f64,
    /// Accuracy on photos the head has not learnt from.
    pub validation_accuracy: f64,
    /// Loss on them.
    pub validation_loss: f64,
    /// How long the epoch took, in seconds, scoring included.
    pub seconds: f64,
}

impl Epoch {
    /// The line printed when the epoch is over: `epoch 1/6  training 0.913 (end 0.974)  validation 0.971  loss 0.083`.
    pub(super) fn line(&self, number: usize, planned: usize) -> String {
        format!(
            "epoch {number}/{planned}  training {:.3} (end {:.3})  validation {:.3}  loss {:.3}",
            self.training_accuracy_running, self.training_accuracy, self.validation_accuracy, self.validation_loss
        )
    }
}

/// What training measured.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The epochs that were finished, in order.
    pub epochs: Vec<Epoch>,
    /// How many were asked for.
    pub planned: usize,
    /// How many photos were trained on.
    pub training_photos: usize,
    /// How many photos it was validated on.
    pub validation_photos: usize,
    /// How many validation photos are training photos too, by content. More than a few, and validation says nothing.
    pub shared_photos: usize,
    /// Whether it was stopped before the last epoch.
    pub interrupted: bool,
    /// Whether the head had learnt before, so that this training went on from there.
    pub continued: bool,
}

impl History {
    /// The last finished epoch; none where training was stopped before.
    pub fn last(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// The curves: two panels side by side, "Training and Validation Accuracy" and "Training and Validation Loss".
    ///
    /// Training has two lines: the running mean over the epoch, and the measure at its end.
    ///
    /// # Errors
    /// [`Error::Plot`] where no epoch was finished.
    pub fn plot(&self) -> Result<Picture> {
        curves(&self.epochs)
    }

    /// The history as measured facts, for [`report`](crate::notebook::report): a list with a number an epoch each.
    pub(super) fn facts(&self) -> serde_json::Value {
        let list = |value: fn(&Epoch) -> f64| self.epochs.iter().map(value).collect::<Vec<f64>>();
        serde_json::json!({
            "epochs": self.epochs.len(),
            "training_photos": self.training_photos,
            "validation_photos": self.validation_photos,
            "shared_photos": self.shared_photos,
            "training_accuracy": list(|e| e.training_accuracy),
            "training_accuracy_running": list(|e| e.training_accuracy_running),
            "training_loss": list(|e| e.training_loss),
            "training_loss_running": list(|e| e.training_loss_running),
            "validation_accuracy": list(|e| e.validation_accuracy),
            "validation_loss": list(|e| e.validation_loss),
            "seconds": list(|e| e.seconds),
            "interrupted": self.interrupted,
        })
    }

    /// Shows the epochs as a table, and what they say, below a notebook cell.
    pub fn evcxr_display(&self) {
        let cells = |tag: &str, cells: &[String]| -> String {
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", display::escape(cell))).collect()
        };
        let rows: String = self.table().iter().map(|row| format!("<tr>{}</tr>", cells("td", row.as_slice()))).collect();
        let head = cells("th", &COLUMNS.map(str::to_owned));
        let html = format!(
            "<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{}</p>",
            display::escape(&self.explain())
        );
        display::html(&html, &self.to_string());
    }

    fn table(&self) -> Vec<[String; 7]> {
        let row = |(number, e): (usize, &Epoch)| {
            [
                (number + 1).to_string(),
                format!("{:.4}", e.training_accuracy_running),
                format!("{:.4}", e.training_accuracy),
                format!("{:.4}", e.validation_accuracy),
                format!("{:.4}", e.training_loss),
                format!("{:.4}", e.validation_loss),
                format!("{:.3}", e.seconds),
            ]
        };
        self.epochs.iter().enumerate().map(row).collect()
    }
}

const COLUMNS: [&str; 7] = [
    "epoch",
    "training accuracy, running",
    "training accuracy",
    "validation accuracy",
    "training loss",
    "validation loss",
    "seconds",
];

/// One line an epoch, then the explanation.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, epoch) in self.epochs.iter().enumerate() {
            writeln!(f, "{}", epoch.line(number + 1, self.planned))?;
        }
        if self.interrupted {
            writeln!(f, "interrupted after {}; the head keeps what it learnt", count(self.epochs.len(), "epoch"))?;
        }
        f.write_str(&self.explain())
    }
}

/// Accuracy and loss of these epochs, side by side: see [`History::plot`].
pub(super) fn curves(epochs: &[Epoch]) -> Result<Picture> {
    let Some(last) = epochs.last() else {
        return Err(Error::Plot("no epoch was finished, so there are no curves".to_owned()));
    };
    let lines = |values: [fn(&Epoch) -> f64; 3]| values.map(|value| epochs.iter().map(value).collect()).to_vec();
    let accuracy = lines([|e| e.training_accuracy_running, |e| e.training_accuracy, |e| e.validation_accuracy]);
    let loss = lines([|e| e.training_loss_running, |e| e.training_loss, |e| e.validation_loss]);
    let alt = format!(
        "Accuracy and loss over {} epochs. At the end: training accuracy {:.3} as the running mean and {:.3} \
         measured at the epoch's end, validation accuracy {:.3}, validation loss {:.3}.",
        epochs.len(),
        last.training_accuracy_running,
        last.training_accuracy,
        last.validation_accuracy,
        last.validation_loss,
    );
    let panels = [
        Panel { title: "Training and Validation Accuracy", quantity: "accuracy", bounds: (0.0, 1.0), lines: accuracy },
        Panel { title: "Training and Validation Loss", quantity: "loss", bounds: (0.0, f64::INFINITY), lines: loss },
    ];
    plot::curves(&["training, running mean", "training, at epoch's end", "validation"], &panels, &alt)
}

/// "1 epoch", "6 epochs".
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
