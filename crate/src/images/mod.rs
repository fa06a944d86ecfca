//! Photos to tensors: decode, resize as Pillow does, normalise as the backbone expects.
//!
//! Resizing decides more than decoding does: a resize that does not smooth while it shrinks changes what a network says
//! about one photo in six. So [`Pixels::resized`] does what Pillow's `BILINEAR` does, to the grey level.

mod decode;
mod pixels;
mod preprocess;

pub(crate) use decode::{MOST_BYTES, check};
pub use pixels::Pixels;
pub use preprocess::{Batch, Preprocess};
