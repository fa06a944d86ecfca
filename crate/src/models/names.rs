//! Names of layers: the nearest one to a name that does not exist.

use crate::Error;

/// [`Error::Layer`] for `name`, with the one of `names` that takes the fewest edits to reach.
pub(crate) fn no_such_layer(model: &'static str, name: &str, names: &[String]) -> Error {
    Error::Layer { model, name: name.to_owned(), nearest: nearest(name, names).to_owned() }
}

/// The one of `names` that takes the fewest edits to reach from `name`; empty where there are none.
pub(crate) fn nearest<'a>(name: &str, names: &'a [String]) -> &'a str {
    // A name of a thousand letters is no slip of the pen, and the distance costs their product.
    let start: String = name.chars().take(100).collect();
    names.iter().min_by_key(|known| distance(&start, known)).map_or("", String::as_str)
}

/// Levenshtein's distance: letters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        // (a, b, edits), the classic first
        for (a, b, edits) in
            [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("same", "same", 0), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
