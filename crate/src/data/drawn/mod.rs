//! Sketches: cats, dogs and flowers that this crate draws itself, for where no photos can be had.

mod blossoms;
mod bodies;
mod canvas;
mod coat;
mod dice;
mod faces;
mod scene;
mod shapes;
mod sketch;

use super::{Dataset, Photo};
pub(super) use sketch::Sketch;
use sketch::Subject;

/// Which set of sketches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sketches {
    /// Cats and dogs.
    CatsVsDogs,
    /// Daisies, dandelions, roses, sunflowers and tulips.
    Flowers,
}

impl Sketches {
    /// The classes, named as the photos' are.
    fn subjects(self) -> &'static [(&'static str, Subject)] {
        match self {
            Self::CatsVsDogs => &[("cat", Subject::Cat), ("dog", Subject::Dog)],
            Self::Flowers => &[
                ("daisy", Subject::Daisy),
                ("dandelion", Subject::Dandelion),
                ("roses", Subject::Rose),
                ("sunflowers", Subject::Sunflower),
                ("tulips", Subject::Tulip),
            ],
        }
    }
}

/// `per_class` drawn pictures of each class, 64 to 160 pixels a side, class by class.
///
/// The same pictures for the same seed on every machine; no file is read. Colours, backgrounds, light, poses and sizes come
/// from the same hats for all classes of a set, so that one has to look at shapes to tell them apart. They are no photos:
/// a lesson can be walked with them, but what is measured on them says nothing about photos.
///
/// ```
/// use candlewick::data::{Sketches, sketches};
/// let data = sketches(Sketches::Flowers, 2, 42);
/// assert_eq!((data.len(), data.classes().len(), data.is_sketches()), (10, 5, true));
/// ```
pub fn sketches(set: Sketches, per_class: usize, seed: u64) -> Dataset {
    let subjects = set.subjects();
    let mut photos = Vec::with_capacity(subjects.len() * per_class);
    for (label, (class, subject)) in subjects.iter().enumerate() {
        photos.extend((0..per_class).map(|index| {
            Photo::drawn(format!("{class}/sketch.{seed}.{index}"), label, Sketch::new(*subject, seed, index))
        }));
    }
    let classes = subjects.iter().map(|(class, _)| (*class).to_owned()).collect();
    Dataset::of_sketches(classes, photos, "candlewick's own pencil (sketches, no photos)")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::images::Pixels;
    use sha2::{Digest, Sha256};
    use std::collections::HashSet;

    fn drawn(set: Sketches, per_class: usize, seed: u64) -> Vec<(usize, Pixels)> {
        let data = sketches(set, per_class, seed);
        data.photos().iter().map(|photo| (photo.label, photo.pixels().unwrap())).collect()
    }

    #[test]
    fn the_same_numbers_draw_the_same_pixels_on_every_machine() {
        let hash = |set| {
            let mut hash = Sha256::new();
            drawn(set, 20, 42).iter().for_each(|(_, pixels)| hash.update(&pixels.rgb));
            hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        // Computed on x86-64. Whoever changes a drawing on purpose puts the new one here; another machine must not need to.
        assert_eq!(hash(Sketches::CatsVsDogs), "62bf178e3394bcc717e09480dd947a2c1d9a2ee829ff08841eb048ba12efb053");
        assert_eq!(hash(Sketches::Flowers), "32ab9b5df3ec51fd6eefc8f09915a05cff5ca13c962e331286e73972eef1748d");
    }

    #[test]
    fn no_two_sketches_are_alike_and_a_set_begins_like_a_smaller_one() {
        for set in [Sketches::CatsVsDogs, Sketches::Flowers] {
            let all: Vec<Pixels> =
                [1, 2].into_iter().flat_map(|seed| drawn(set, 12, seed)).map(|(_, pixels)| pixels).collect();
            let different: HashSet<&[u8]> = all.iter().map(|pixels| &*pixels.rgb).collect();
            assert_eq!(different.len(), all.len());
            for pixels in &all {
                assert!((64..=160).contains(&pixels.height) && (64..=160).contains(&pixels.width), "{pixels:?}");
                assert_eq!(pixels.rgb.len(), pixels.height * pixels.width * 3);
            }
            let (few, many) = (sketches(set, 2, 7), sketches(set, 5, 7));
            assert_eq!(few.photos()[1].fingerprint().unwrap(), many.photos()[1].fingerprint().unwrap());
        }
    }

    #[test]
    fn mean_colours_do_not_tell_cats_from_dogs() {
        // The best threshold on red, green, blue or brightness, chosen with hindsight on 300 sketches: near chance.
        let all = drawn(Sketches::CatsVsDogs, 150, 3);
        for channel in 0..4 {
            let value = |pixels: &Pixels| {
                let of = |c: usize| pixels.rgb.chunks_exact(3).map(|pixel| f64::from(pixel[c])).sum::<f64>();
                let sum = if channel < 3 { of(channel) } else { of(0) + of(1) + of(2) };
                sum / (pixels.height * pixels.width) as f64
            };
            let mut sorted: Vec<(f64, usize)> = all.iter().map(|(label, pixels)| (value(pixels), *label)).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut ahead = 0i32;
            let best = sorted
                .iter()
                .map(|(_, label)| {
                    ahead += 2 * *label as i32 - 1;
                    ahead.abs()
                })
                .max()
                .unwrap();
            let accuracy = 0.5 + f64::from(best) / all.len() as f64;
            assert!(accuracy < 0.62, "channel {channel} alone tells {accuracy:.2} of them");
        }
    }

    #[test]
    fn there_is_something_to_see() {
        for (label, pixels) in drawn(Sketches::Flowers, 10, 5).into_iter().chain(drawn(Sketches::CatsVsDogs, 10, 5)) {
            let (mut low, mut high) = (255, 0);
            pixels.rgb.iter().for_each(|byte| (low, high) = (low.min(*byte), high.max(*byte)));
            assert!(high - low > 60, "class {label} is nearly one colour: {low}..={high}");
        }
    }
}
