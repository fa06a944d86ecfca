//! What is to become large, and its gradient with respect to the photo.

use super::Objective;
use crate::explain::Subject;
use crate::explain::activations::numbers;
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use std::collections::HashSet;

/// Where in the network what climbs is found.
pub(super) enum Place {
    /// At a layer with this name.
    Layer(String),
    /// At the head: the logits.
    Logits,
}

/// What is to become large in a network.
pub(super) struct Goal<'a> {
    subject: &'a Subject<'a>,
    place: Place,
    objective: Objective,
    /// How many channels, or classes, there are.
    pub count: usize,
    /// Names of layers that are a ReLU of what a layer before them is.
    activations: HashSet<String>,
}

/// A value and its gradient `(1, 3, side, side)` with respect to the photo, on the host.
pub(super) struct Slope {
    pub value: f32,
    pub gradient: Tensor,
    /// Whether anything of the photo comes through: the gradient is not zero everywhere.
    pub is_felt: bool,
}

impl<'a> Goal<'a> {
    /// Finds the place, and the ReLUs on the way, by running the network once on a photo `(1, 3, side, side)` of noise.
    ///
    /// # Errors
    /// [`Error::Layer`] for a layer that there is not, and whatever the network says of such photos.
    pub fn new(subject: &'a Subject<'a>, place: Place, objective: Objective, photos: &Tensor) -> Result<Self> {
        let mut goal = Self { subject, place, objective, count: 0, activations: HashSet::new() };
        if let Place::Layer(layer) = &goal.place {
            subject.check_layers(&[layer])?;
        }
        let (mut activations, mut open) = (HashSet::new(), None);
        let found = goal.run(photos, |name, x| {
            if open.as_ref().is_some_and(|open| is_relu_of(&x, open).unwrap_or(false)) {
                activations.insert(name.to_owned());
            } else {
                open = Some(x.clone());
            }
            Ok(x)
        })?;
        goal.activations = activations;
        goal.count = found.dim(1)?;
        Ok(goal)
    }

    /// The value of a channel or class for one photo `(1, 3, side, side)`, and its gradient. Of a channel behind a ReLU it is
    /// what goes into the ReLU: that has a slope where the ReLU is closed, or clamped at 6, too.
    ///
    /// Where ReLUs on the way are closed for the whole picture the gradient is zero everywhere, and no step would ever open
    /// them. Then the slope is that of a network whose ReLUs let a little of the gradient through (as lucid's do at first).
    pub fn slope(&self, photo: &Tensor, channel: usize) -> Result<Slope> {
        let slope = self.slope_of(photo, channel, 0.0)?;
        if slope.is_felt || !slope.value.is_finite() { Ok(slope) } else { self.slope_of(photo, channel, 0.1) }
    }

    /// The slope where ReLUs let this part of the gradient pass beside them.
    fn slope_of(&self, photo: &Tensor, channel: usize, ajar: f64) -> Result<Slope> {
        let photo = Var::from_tensor(photo)?;
        let mut open: Option<Tensor> = None;
        let found = self.run(&photo, |name, x| match &open {
            Some(before) if self.activations.contains(name) => match &self.place {
                Place::Layer(layer) if layer == name => Ok(before.clone()),
                // The same numbers with another gradient.
                _ if ajar > 0.0 => Ok((x + ((before - before.detach())? * ajar)?)?),
                _ => Ok(x),
            },
            _ => {
                open = Some(x.clone());
                Ok(x)
            }
        })?;
        let found = found.narrow(1, channel, 1)?;
        let value = match (self.objective, found.dims()) {
            (Objective::Centre, &[_, _, height, width]) => {
                found.narrow(2, height / 2, 1)?.narrow(3, width / 2, 1)?.sum_all()?
            }
            _ => found.mean_all()?,
        };
        let gradients = value.backward()?;
        // None where the network does not look at the photo.
        let gradient = gradients.get(&photo).cloned().map_or_else(|| photo.zeros_like(), Ok)?;
        let gradient = gradient.to_device(&Device::Cpu)?;
        let is_felt = gradient.abs()?.max_all()?.to_scalar::<f32>()? > 0.0;
        Ok(Slope { value: value.to_scalar()?, gradient, is_felt })
    }

    /// Activations `(N, C, h, w)` or logits `(N, K)`; `tap` sees every layer on the way and may change it.
    fn run(&self, photos: &Tensor, mut tap: impl FnMut(&str, Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let mut found = None;
        let features = self.subject.backbone.tapped(photos, &mut |name, x| {
            let x = tap(name, x)?;
            if matches!(&self.place, Place::Layer(layer) if layer == name) {
                found = Some(x);
                return Ok(None);
            }
            Ok(Some(x))
        })?;
        match (found, features) {
            (Some(found), _) => Ok(found),
            (None, Some(features)) => self.subject.logits(&features),
            (None, None) => {
                Err(Error::Data(format!("{} ended before its last layer", self.subject.backbone.spec().name)))
            }
        }
    }
}

/// Whether `x` is what is above 0 in `before`, or that clamped to 0..=6. Where all is above 0, or nothing, one cannot tell.
fn is_relu_of(x: &Tensor, before: &Tensor) -> Result<bool> {
    if x.dims() != before.dims() {
        return Ok(false);
    }
    let (x, before) = (numbers(x)?, numbers(before)?);
    let tells = before.iter().any(|before| *before < 0.0) && x.iter().any(|x| *x > 0.0);
    let same = |upper: f32| x.iter().zip(&before).all(|(x, before)| *x == before.clamp(0.0, upper));
    Ok(tells && (same(f32::INFINITY) || same(6.0)))
}
