//! The way back through a network, from a layer's gradient to the photo's, without candle's graph.
//!
//! candle adds every gradient to zeros before it goes on. From 65,536 numbers on such a sum belongs to a pool of threads of
//! candle's own: whoever comes waits for its turn, and then, at full speed, for a thread that may have no core to run on.
//! Where several pictures climb at once that is most of the time. Here a gradient goes from one operation to the next as it
//! is, and only those are found that lead to the photo.

use super::layers::mean_of_planes;
use super::pooling::{average_pool, max_pool};
use super::sum::sum;
use super::tap::Run;
use super::{average, largest};
use candle_core::{Result, Tensor, TensorId};
use std::collections::HashMap;

/// From the gradient of what an operation made to that of what it was made from.
pub(super) type Back = Box<dyn Fn(&Tensor) -> Result<Tensor>>;

/// The operations of one run in order, each with the way back through it.
///
/// An operation that leaves nothing here ends the way: then there is none to what lies before it.
#[derive(Default)]
pub struct Trail {
    steps: Vec<Step>,
}

struct Step {
    made: TensorId,
    from: Vec<(TensorId, Back)>,
}

impl Trail {
    /// Whether nothing was left: then candle's graph is the only way back. So it is on a GPU and of halves, always.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// `made` is made from `from`.
    pub(super) fn step(&mut self, made: &Tensor, from: &Tensor, back: Back) {
        self.join(made, vec![(from, back)]);
    }

    /// `made` is made from each of these.
    pub(super) fn join(&mut self, made: &Tensor, from: Vec<(&Tensor, Back)>) {
        let from = from.into_iter().map(|(from, back)| (from.id(), back)).collect();
        self.steps.push(Step { made: made.id(), from });
    }

    /// The gradient with respect to `photo`, where `gradient` is that of `from`; none where no way leads back so far.
    pub(crate) fn back(self, from: &Tensor, gradient: Tensor, photo: &Tensor) -> Result<Option<Tensor>> {
        let mut gradients = HashMap::from([(from.id(), gradient)]);
        for step in self.steps.into_iter().rev() {
            let Some(gradient) = gradients.remove(&step.made) else { continue };
            for (from, back) in step.from {
                let part = back(&gradient)?;
                let whole = match gradients.remove(&from) {
                    Some(others) => sum(&others, &part)?,
                    None => part,
                };
                gradients.insert(from, whole);
            }
        }
        Ok(gradients.remove(&photo.id()))
    }
}

/// What networks do between convolutions, with the way back where one is kept.
impl Run<'_> {
    /// `x + y`.
    pub fn added(&mut self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let made = sum(x, y)?;
        let same = || -> Back { Box::new(|gradient| Ok(gradient.clone())) };
        self.leave(|trail| trail.join(&made, vec![(x, same()), (y, same())]));
        Ok(made)
    }

    /// All channels of some, one behind the other.
    pub fn side_by_side(&mut self, parts: &[Tensor]) -> Result<Tensor> {
        let made = Tensor::cat(parts, 1)?;
        let (mut from, mut first) = (Vec::with_capacity(parts.len()), 0);
        for part in parts {
            let (start, channels) = (first, part.dim(1)?);
            let back: Back = Box::new(move |gradient| gradient.narrow(1, start, channels)?.contiguous());
            from.push((part, back));
            first += channels;
        }
        self.leave(|trail| trail.join(&made, from));
        Ok(made)
    }

    /// `(N, C, H, W)` to the mean of each plane `(N, C)`.
    pub fn mean_of_places(&mut self, x: &Tensor) -> crate::Result<Tensor> {
        let made = mean_of_planes(x)?;
        let (photos, channels, height, width) = x.dims4()?;
        let back: Back = Box::new(move |gradient| {
            let part = (gradient / (height * width) as f64)?.reshape((photos, channels, 1, 1))?;
            part.broadcast_as((photos, channels, height, width))?.contiguous()
        });
        self.leave(|trail| trail.step(&made, x, back));
        Ok(made)
    }

    /// [`max_pool`].
    pub fn largest(&mut self, x: &Tensor) -> crate::Result<Tensor> {
        let made = max_pool(x)?;
        if largest::applies(x) {
            let before = x.detach();
            self.leave(|trail| trail.step(&made, x, Box::new(move |gradient| largest::to_input(&before, gradient))));
        }
        Ok(made)
    }

    /// [`average_pool`].
    pub fn average(&mut self, x: &Tensor, counts_padding: bool) -> crate::Result<Tensor> {
        let made = average_pool(x, counts_padding)?;
        if average::applies(x) {
            let back: Back = Box::new(move |gradient| average::to_input(gradient, counts_padding));
            self.leave(|trail| trail.step(&made, x, back));
        }
        Ok(made)
    }

    fn leave(&mut self, step: impl FnOnce(&mut Trail)) {
        if let Some(trail) = &mut self.trail {
            step(trail);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::models::{Backbone, InceptionV3, MobileNetV2};
    use candle_core::{DType, Device};

    fn number(value: f32) -> Tensor {
        Tensor::new(&[value], &Device::Cpu).unwrap()
    }

    /// `on_gpu.rs` has the same for a GPU.
    #[test]
    fn only_f32_leaves_a_way_back() {
        let (mobilenet, inception) = (MobileNetV2::random(3).unwrap(), InceptionV3::random(3).unwrap());
        let (mobilenet, inception) = (mobilenet.folded().unwrap(), inception.folded().unwrap());
        let photo = Tensor::zeros((1, 3, 75, 75), DType::F32, &Device::Cpu).unwrap();
        for (dtype, is_left) in [(DType::F32, true), (DType::F16, false), (DType::BF16, false)] {
            let to = |tensor: &Tensor| Ok(tensor.to_dtype(dtype)?);
            let nets: [&dyn Backbone; 2] = [&mobilenet.converted(&to).unwrap(), &inception.converted(&to).unwrap()];
            for net in nets {
                let mut trail = Trail::default();
                net.trailed(&photo, &mut |_, x| Ok(Some(x)), &mut trail).unwrap().unwrap();
                assert_eq!(trail.is_empty(), !is_left, "{} in {dtype:?}", net.spec().name);
            }
        }
    }

    fn times(factor: f64) -> Back {
        Box::new(move |gradient| gradient * factor)
    }

    /// `y = 2 x`, `z = 3 x + 5 y`, and `other` beside them: 13 for each x.
    #[test]
    fn gradients_of_all_ways_add_up() {
        let [x, y, z, other] = [1., 2., 13., 7.].map(number);
        let trail = || {
            let mut trail = Trail::default();
            trail.step(&y, &x, times(2.));
            trail.step(&other, &x, times(100.));
            trail.join(&z, vec![(&x, times(3.)), (&y, times(5.))]);
            trail
        };
        let gradient = trail().back(&z, number(1.), &x).unwrap().unwrap();
        assert_eq!(gradient.to_vec1::<f32>().unwrap(), [13.]);
        let gradient = trail().back(&y, number(0.5), &x).unwrap().unwrap();
        assert_eq!(gradient.to_vec1::<f32>().unwrap(), [1.], "what is made later does not count");
        assert!(trail().back(&number(0.), number(1.), &x).unwrap().is_none(), "not on the way");
        assert!(trail().back(&z, number(1.), &number(0.)).unwrap().is_none(), "leads elsewhere");
    }
}
