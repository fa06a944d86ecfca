#![allow(clippy::unwrap_used)]

mod activations;
mod faithfulness;
mod heat_maps;
mod with_options;

use super::*;
use crate::Error;
use crate::Result;
use crate::data::Photo;
use crate::images::{Pixels, Preprocess};
use crate::models::{Backbone, BackboneSpec, Layers, Tap};
use candle_core::{Device, Tensor};
use std::sync::atomic::{AtomicUsize, Ordering};

const SIDE: usize = 32;

/// Stands in for a network: squares what a mask leaves of the photo, and pools. Smooth, so that gradients can be held
/// to differences, and small, so that they can be worked out by hand.
///
/// `first` is the masked photo `(3, 32, 32)`, `last` its squares pooled by twos `(3, 16, 16)`, `flat` the features
/// `(3, 1, 1)`.
struct Squares {
    spec: BackboneSpec,
    /// `(32, 32)`.
    mask: Tensor,
    head: Option<(Tensor, Tensor)>,
    /// How often it has pooled.
    pooled: AtomicUsize,
}

impl Squares {
    /// Of a mask by row and column, with the head's weights of two classes.
    fn new(mask: impl Fn(usize, usize) -> f32, weights: [[f32; 3]; 2], biases: [f32; 2]) -> Self {
        let spec = BackboneSpec {
            name: "squares",
            preprocess: Preprocess::unit(SIDE),
            features: 3,
            classes: 2,
            last_convolution: "last",
            weights: "by hand".to_owned(),
        };
        let mask: Vec<f32> = (0..SIDE * SIDE).map(|place| mask(place / SIDE, place % SIDE)).collect();
        let mask = Tensor::from_vec(mask, (SIDE, SIDE), &Device::Cpu).unwrap();
        let head = (Tensor::new(&weights, &Device::Cpu).unwrap(), Tensor::new(&biases, &Device::Cpu).unwrap());
        Self { spec, mask, head: Some(head), pooled: AtomicUsize::new(0) }
    }

    /// Sees all, and tells red from blue.
    fn red_or_blue() -> Self {
        Self::new(|_, _| 1., [[3., -1., -2.], [-2., 0.5, 3.]], [0.1, -0.2])
    }
}

impl Backbone for Squares {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        let features = self.tapped(photos, &mut |_, x| Ok(Some(x)))?;
        features.ok_or_else(|| Error::Data("ended".to_owned()))
    }

    fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        Subject::of_backbone(self).logits(&self.features(photos)?)
    }

    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        let Some(x) = tap("first", photos.broadcast_mul(&self.mask)?)? else { return Ok(None) };
        self.pooled.fetch_add(1, Ordering::SeqCst);
        let Some(x) = tap("last", x.sqr()?.avg_pool2d(2)?)? else { return Ok(None) };
        let Some(x) = tap("flat", x.mean_keepdim((2, 3))?)? else { return Ok(None) };
        Ok(Some(x.flatten_from(1)?))
    }

    fn layer_names(&self) -> Vec<String> {
        ["first", "last", "flat"].map(str::to_owned).to_vec()
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        self.head.as_ref().map(|(weight, bias)| (weight, bias))
    }

    fn layers(&self) -> Layers {
        Vec::new().into()
    }

    fn rectified(&self) -> Vec<String> {
        vec!["first".to_owned(), "last".to_owned()]
    }
}

/// A [`Squares`] with classes of its own.
struct Named(Squares, Vec<String>);

impl Named {
    fn new(net: Squares) -> Self {
        Self(net, ["red", "blue"].map(str::to_owned).to_vec())
    }
}

impl Explain for Named {
    fn subject(&self) -> Subject<'_> {
        let (weight, bias) = self.0.head.as_ref().unwrap();
        Subject::with_head(&self.0, (weight, bias), &self.1)
    }
}

impl Explain for Squares {
    fn subject(&self) -> Subject<'_> {
        Subject::of_backbone(self)
    }
}

/// A photo by row and column.
fn drawn(colour: impl Fn(usize, usize) -> [u8; 3]) -> Pixels {
    let rgb = (0..SIDE * SIDE).flat_map(|place| colour(place / SIDE, place % SIDE)).collect();
    Pixels::new(SIDE, SIDE, rgb).unwrap()
}

/// Red on the left, blue on the right, each of its own shade a pixel.
fn red_and_blue() -> Pixels {
    drawn(|row, column| {
        let shade = (100 + 4 * row) as u8;
        if column < SIDE / 2 { [shade, 10, 20] } else { [20, 10, shade] }
    })
}

fn photo(pixels: Pixels) -> Photo {
    Photo::from_pixels("red and blue", 0, pixels)
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The furthest that two lists are apart, over the largest of the second.
fn apart(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    assert!(largest > 0., "nothing to compare with");
    got.iter().zip(want).fold(0f32, |furthest, (a, b)| furthest.max((a - b).abs())) / largest
}
