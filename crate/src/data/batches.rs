//! Photos a handful at a time, as a network takes them.

use super::{Photo, Skipped};
use crate::Result;
use crate::images::{Batch, Pixels, Preprocess};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// A data set's photos in batches, from [`Dataset::batches`](super::Dataset::batches).
///
/// Each batch is decoded in parallel when it is asked for. A photo that proves broken is left out, said in a printed
/// line, and kept in [`skipped`](Self::skipped): one bad file does not end a training.
#[derive(Clone)]
pub struct Batches {
    photos: std::vec::IntoIter<Photo>,
    size: usize,
    preprocess: Preprocess,
    skipped: Vec<Skipped>,
}

impl Batches {
    pub(super) fn new(photos: Vec<Photo>, size: usize, preprocess: Preprocess) -> Self {
        Self { photos: photos.into_iter(), size: size.max(1), preprocess, skipped: Vec::new() }
    }

    /// The photos left out so far, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many photos a batch has; the last one may have fewer.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The photos that are still to come.
    pub fn photos(&self) -> &[Photo] {
        self.photos.as_slice()
    }

    /// The first batch and the last that are still to come, without using them up; one where they are the same.
    pub(crate) fn ends(&self) -> Vec<Result<Batch>> {
        let photos = self.photos();
        let last = photos.len().saturating_sub(1) / self.size * self.size;
        let last = if last > 0 { photos.get(last..).unwrap_or_default() } else { &[] };
        let ends = [photos.get(..self.size.min(photos.len())).unwrap_or_default(), last];
        let ends = ends.into_iter().filter(|photos| !photos.is_empty());
        ends.map(|photos| self.clone().decode(photos)).collect()
    }

    fn decode(&mut self, photos: &[Photo]) -> Result<Batch> {
        let Preprocess { side, .. } = self.preprocess;
        let of_one = 3 * side * side;
        let resized: Vec<Result<Pixels>> = photos.par_iter().map(|photo| photo.pixels()?.resized(side, side)).collect();
        let (mut labels, mut pixels, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (photo, resized) in photos.iter().zip(resized) {
            match resized {
                Ok(resized) => {
                    labels.push(photo.label);
                    pixels.push(resized);
                    names.push(photo.name.clone());
                }
                // The setting is wrong, not the photo.
                Err(error @ crate::Error::Setting { .. }) => return Err(error),
                Err(error) => {
                    println!("Skipped {error}");
                    self.skipped.push(Skipped::because(&photo.name, &error));
                }
            }
        }
        let mut values = vec![0.0; pixels.len() * of_one];
        values
            .par_chunks_mut(of_one)
            .zip(&pixels)
            .for_each(|(values, pixels)| self.preprocess.normalise(&pixels.rgb, values));
        let photos = Tensor::from_vec(values, (pixels.len(), 3, side, side), &Device::Cpu)?;
        Ok(Batch { photos, labels, pixels, names })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let photos: Vec<Photo> = self.photos.by_ref().take(self.size).collect();
            if photos.is_empty() {
                return None;
            }
            match self.decode(&photos) {
                Ok(batch) if batch.labels.is_empty() => {}
                result => return Some(result),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Sketches, sketches};

    #[test]
    fn batches_hold_every_photo_once_in_order_and_keep_the_smaller_last_one() {
        let data = sketches(Sketches::Flowers, 3, 5).shuffled(2);
        let batches: Vec<Batch> = data.batches(4, &Preprocess::unit(8)).collect::<Result<_>>().unwrap();
        assert_eq!(batches.iter().map(|batch| batch.labels.len()).collect::<Vec<_>>(), [4, 4, 4, 3]);
        assert_eq!(batches[0].photos.dims(), [4, 3, 8, 8]);
        assert_eq!(batches[3].photos.dims(), [3, 3, 8, 8]);
        let names: Vec<_> = batches.iter().flat_map(|batch| batch.names.clone()).collect();
        assert_eq!(names, data.photos().iter().map(|photo| photo.name.clone()).collect::<Vec<_>>());
        // The second photo of the second batch, alone.
        let alone = data.photos()[5].pixels().unwrap().to_tensor(&Preprocess::unit(8)).unwrap();
        let inside = batches[1].photos.narrow(0, 1, 1).unwrap();
        assert_eq!(
            alone.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            inside.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        assert_eq!(batches[1].labels[1], data.photos()[5].label);
        assert_eq!(batches[1].pixels[1].width, 8);
    }

    #[test]
    fn a_broken_photo_is_left_out_and_the_rest_goes_on() {
        let data = sketches(Sketches::CatsVsDogs, 2, 5);
        let mut png = data.photos()[0].pixels().unwrap().to_png().unwrap();
        let middle = png.len() / 2;
        png[middle] ^= 0xFF;
        let broken = Photo::from_bytes("broken.png", 1, png).unwrap();
        // Two broken ones make a whole batch of the first two; a third stands in the middle of another.
        let mut photos = vec![broken.clone(), broken.clone()];
        photos.extend_from_slice(data.photos());
        photos.insert(3, broken);
        let data = Dataset::new(data.classes().to_vec(), photos, "test").unwrap();
        let mut batches = data.batches(2, &Preprocess::unit(4));
        let sizes: Vec<usize> = batches.by_ref().map(|batch| batch.unwrap().labels.len()).collect();
        assert_eq!(sizes, [1, 2, 1]);
        assert_eq!(batches.skipped().len(), 3);
    }

    #[test]
    fn a_side_of_zero_is_an_error_and_not_an_empty_set() {
        let data = sketches(Sketches::CatsVsDogs, 1, 5);
        let first = data.batches(2, &Preprocess::unit(0)).next().unwrap();
        assert!(matches!(first, Err(crate::Error::Setting { .. })));
    }

    #[test]
    fn nothing_gives_no_batches() {
        let data = sketches(Sketches::CatsVsDogs, 0, 5);
        assert!(data.batches(2, &Preprocess::unit(4)).next().is_none());
        assert!(data.batch(2, &Preprocess::unit(4)).is_err());
    }
}
