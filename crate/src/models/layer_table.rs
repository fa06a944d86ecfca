//! The layers of a network as a table.

use super::LayerInfo;
use crate::notebook::display;
use std::fmt;
use std::ops::Deref;

/// The layers of a network in order, as a slice of [`LayerInfo`]. It shows itself as a table when it ends a cell.
///
/// ```
/// use candlewick::prelude::*;
/// let net = MobileNetV2::random(42)?;
/// println!("{}", net.layers());
/// assert_eq!(net.layers()[18].output, (1280, 7, 7));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Layers(Vec<LayerInfo>);

impl From<Vec<LayerInfo>> for Layers {
    fn from(layers: Vec<LayerInfo>) -> Self {
        Self(layers)
    }
}

impl Deref for Layers {
    type Target = [LayerInfo];

    fn deref(&self) -> &[LayerInfo] {
        &self.0
    }
}

impl IntoIterator for Layers {
    type Item = LayerInfo;
    type IntoIter = std::vec::IntoIter<LayerInfo>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Layers {
    type Item = &'a LayerInfo;
    type IntoIter = std::slice::Iter<'a, LayerInfo>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

const HEAD: [&str; 4] = ["Layer", "Kind", "Output (C, h, w)", "Parameters"];

impl Layers {
    fn rows(&self) -> impl Iterator<Item = [String; 4]> {
        self.iter().map(|layer| {
            let (channels, height, width) = layer.output;
            let output = format!("({channels}, {height}, {width})");
            [layer.name.clone(), layer.kind.to_owned(), output, thousands(layer.parameters)]
        })
    }

    fn note(&self) -> String {
        let parameters = thousands(self.iter().map(|layer| layer.parameters).sum());
        format!("{} layers, {parameters} parameters. `layer_names()` also lists the parts inside them.", self.len())
    }

    /// Shows the table below a notebook cell.
    pub fn evcxr_display(&self) {
        let cells = |tag: &str, cells: &[&str]| -> String {
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", display::escape(cell))).collect()
        };
        let row = |row: [String; 4]| format!("<tr>{}</tr>", cells("td", &row.each_ref().map(String::as_str)));
        let rows: String = self.rows().map(row).collect();
        let table = format!("<table><thead><tr>{}</tr></thead><tbody>{rows}</tbody></table>", cells("th", &HEAD));
        display::html(&format!("{table}<p>{}</p>", display::escape(&self.note())), &self.to_string());
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |[a, b, c, d]: [&str; 4]| format!("{a:<16}{b:<24}{c:>18}{d:>14}");
        writeln!(f, "{}", row(HEAD))?;
        for line in self.rows() {
            writeln!(f, "{}", row(line.each_ref().map(String::as_str)))?;
        }
        f.write_str(&self.note())
    }
}

/// A number with a comma at every third digit: 2,223,872.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_at_every_third_digit() {
        for (number, want) in [(0, "0"), (12, "12"), (999, "999"), (1000, "1,000"), (2_257_984, "2,257,984")] {
            assert_eq!(thousands(number), want);
        }
    }

    #[test]
    fn a_table_has_a_line_a_layer_and_the_sum() {
        let layer = |name: &str, parameters| LayerInfo {
            name: name.to_owned(),
            kind: "Convolution",
            output: (8, 4, 2),
            parameters,
            statistics: 3,
        };
        let layers = Layers::from(vec![layer("first", 1000), layer("second", 234)]);
        let text = layers.to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["first", "Convolution", "(8,", "4,", "2)", "1,000"]);
        assert_eq!(lines[2].last(), Some(&"234"));
        assert!(lines.len() == 4 && text.contains("2 layers, 1,234 parameters."), "{text}");
        assert_eq!(layers.iter().map(|layer| layer.parameters).sum::<usize>(), 1234);
    }
}
