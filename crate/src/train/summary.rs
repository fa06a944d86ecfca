//! What a transfer model is made of, counted as torchvision and as Keras count.

use super::Head;
use crate::models::{Backbone, thousands};
use crate::notebook::display;
use std::fmt;

/// A model's layers and its parameters, as a table.
///
/// The two libraries disagree about batch norm: its stored means and variances are buffers to torchvision, and
/// (non-trainable) parameters to Keras. So MobileNetV2's features count 2,223,872 or 2,257,984.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The backbone's name.
    pub backbone: String,
    /// How many features it gives a photo.
    pub features: usize,
    /// The learner's classes.
    pub classes: Vec<String>,
    /// The backbone's kernels, scales and shifts: all frozen.
    pub frozen: usize,
    /// Means and variances of its batch norms.
    pub statistics: usize,
    /// Scales of its batch norms that Keras' own version of the network does not have: those of InceptionV3.
    pub scales_keras_lacks: usize,
    /// The head's weights and biases: all that learns.
    pub head: usize,
    /// Whether the head ends in a softmax.
    pub softmax: bool,
}

impl Summary {
    pub(super) fn new(backbone: &dyn Backbone, head: &Head, classes: &[String]) -> Self {
        let (spec, layers) = (backbone.spec(), backbone.layers());
        // What comes behind the last convolution is the backbone's own head, which is not used.
        let used =
            layers.iter().position(|layer| layer.name == spec.last_convolution).map_or(layers.len(), |at| at + 1);
        let statistics = layers.iter().take(used).map(|layer| layer.statistics).sum();
        Self {
            // A batch norm has a mean, a variance and a scale a channel.
            scales_keras_lacks: if spec.name == "inception_v3" { statistics / 2 } else { 0 },
            backbone: spec.name.to_owned(),
            features: spec.features,
            classes: classes.to_vec(),
            frozen: layers.iter().take(used).map(|layer| layer.parameters).sum(),
            statistics,
            head: head.parameters(),
            softmax: head.has_softmax(),
        }
    }

    /// Layer, output shape, parameters.
    fn layers(&self) -> [[String; 3]; 2] {
        let head = if self.softmax { "head (dense, softmax)" } else { "head (dense)" };
        [
            [format!("{} (frozen)", self.backbone), format!("(N, {})", self.features), thousands(self.frozen)],
            [head.to_owned(), format!("(N, {})", self.classes.len()), thousands(self.head)],
        ]
    }

    /// What is counted, as torchvision counts it, as Keras does.
    fn totals(&self) -> [[String; 3]; 3] {
        let keras = self.frozen + self.statistics - self.scales_keras_lacks;
        let row = |what: &str, torchvision, keras| [what.to_owned(), thousands(torchvision), thousands(keras)];
        [
            row("trainable", self.head, self.head),
            row("non-trainable", self.frozen, keras),
            row("total", self.frozen + self.head, keras + self.head),
        ]
    }

    fn note(&self) -> String {
        let scales = match self.scales_keras_lacks {
            0 => String::new(),
            scales => format!(" Keras' own version of this network has no scales there: {} fewer.", thousands(scales)),
        };
        let statistics = thousands(self.statistics);
        format!(
            "Keras counts the {statistics} means and variances of batch norm as parameters, torchvision does not.{scales}"
        )
    }

    /// Shows the table below a notebook cell.
    pub fn evcxr_display(&self) {
        let table = |head: &[&str; 3], rows: &[[String; 3]]| {
            let cells = |tag: &str, cells: &[&str]| -> String {
                cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", display::escape(cell))).collect()
            };
            let rows: String = rows
                .iter()
                .map(|row| format!("<tr>{}</tr>", cells("td", &row.each_ref().map(String::as_str))))
                .collect();
            format!("<table><thead><tr>{}</tr></thead><tbody>{rows}</tbody></table>", cells("th", head))
        };
        let html = format!(
            "{}{}<p>{}</p>",
            table(&LAYERS, &self.layers()),
            table(&TOTALS, &self.totals()),
            display::escape(&self.note())
        );
        display::html(&html, &self.to_string());
    }
}

const LAYERS: [&str; 3] = ["Layer (type)", "Output shape", "Parameters"];
const TOTALS: [&str; 3] = ["Parameters", "as torchvision counts", "as Keras counts"];

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = "─".repeat(72);
        let row = |[a, b, c]: [&str; 3]| format!("{a:<26}{b:>23}{c:>23}");
        writeln!(f, "{}\n{rule}", row(LAYERS))?;
        for layer in self.layers() {
            writeln!(f, "{}", row(layer.each_ref().map(String::as_str)))?;
        }
        writeln!(f, "{rule}\n{}", row(TOTALS))?;
        for total in self.totals() {
            writeln!(f, "{}", row(total.each_ref().map(String::as_str)))?;
        }
        write!(f, "{rule}\n{}", self.note())
    }
}
