//! The 1000 classes of ImageNet-1k, in the order of the networks' outputs.

use std::sync::OnceLock;

/// How many classes there are.
pub const CLASSES: usize = 1000;

/// The English label of a class: 285 is "Egyptian cat". None from [`CLASSES`] on.
///
/// The wording is torchvision's.
///
/// ```
/// use candlewick::models::imagenet;
/// assert_eq!(imagenet::label(285), Some("Egyptian cat"));
/// assert_eq!(imagenet::label(imagenet::CLASSES), None);
/// ```
pub fn label(index: usize) -> Option<&'static str> {
    static LABELS: OnceLock<Vec<&'static str>> = OnceLock::new();
    LABELS.get_or_init(|| include_str!("imagenet_classes.txt").lines().collect()).get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_label_of_its_own() {
        let mut labels: Vec<_> = (0..CLASSES).filter_map(label).collect();
        assert_eq!(labels.len(), CLASSES);
        assert_eq!(
            (labels[0], labels[281], labels[652], labels[999]),
            ("tench", "tabby", "military uniform", "toilet tissue")
        );
        assert!(labels.iter().all(|label| !label.is_empty() && label.trim() == *label));
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), CLASSES);
    }
}
