//! What is to become large, and its gradient with respect to the photo.

use super::Objective;
use crate::explain::Subject;
use crate::{Error, Result};
use candle_core::{Tensor, Var};
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
    /// Names of layers that are a ReLU of what the layer before them is.
    activations: HashSet<String>,
}

/// A value and its gradient `(N, 3, side, side)` with respect to the photo.
pub(super) struct Slope {
    pub value: f32,
    pub gradient: Tensor,
}

impl<'a> Goal<'a> {
    /// Finds the place by running the network once on photos `(1, 3, side, side)`.
    ///
    /// # Errors
    /// [`Error::Layer`] for a layer that there is not, and whatever the network says of such photos.
    pub fn new(subject: &'a Subject<'a>, place: Place, objective: Objective, photos: &Tensor) -> Result<Self> {
        let mut goal = Self { subject, place, objective, count: 0, activations: HashSet::new() };
        if let Place::Layer(layer) = &goal.place {
            subject.check_layers(&[layer])?;
        }
        let mut before: Option<Tensor> = None;
        let mut activations = HashSet::new();
        let found = goal.run(photos, |name, x| {
            if before.as_ref().is_some_and(|before| is_relu_of(&x, before).unwrap_or(false)) {
                activations.insert(name.to_owned());
            }
            before = Some(x.clone());
            Ok(x)
        })?;
        goal.activations = activations;
        goal.count = found.dim(1)?;
        Ok(goal)
    }

    /// The value of a channel or class for one photo `(1, 3, side, side)`, and its gradient.
    ///
    /// Where a ReLU is closed for the whole picture the gradient is zero everywhere, and no step would ever open it. Then
    /// the slope is that of a network whose ReLUs let a little of the gradient through (as lucid's redirected ReLU).
    pub fn slope(&self, photo: &Tensor, channel: usize) -> Result<Slope> {
        let slope = self.slope_of(photo, channel, |_, x| Ok(x))?;
        if slope.gradient.abs()?.max_all()?.to_scalar::<f32>()? > 0.0 || !slope.value.is_finite() {
            return Ok(slope);
        }
        let mut before: Option<Tensor> = None;
        self.slope_of(photo, channel, |name, x| {
            let ajar = match &before {
                Some(before) if self.activations.contains(name) => (&x + ((before - before.detach())? * 0.1)?)?,
                _ => x,
            };
            before = Some(ajar.clone());
            Ok(ajar)
        })
    }

    fn slope_of(
        &self,
        photo: &Tensor,
        channel: usize,
        tap: impl FnMut(&str, Tensor) -> Result<Tensor>,
    ) -> Result<Slope> {
        let photo = Var::from_tensor(photo)?;
        let found = self.run(&photo, tap)?.narrow(1, channel, 1)?;
        let value = match (self.objective, found.dims()) {
            (Objective::Centre, &[_, _, height, width]) => {
                found.narrow(2, height / 2, 1)?.narrow(3, width / 2, 1)?.sum_all()?
            }
            _ => found.mean_all()?,
        };
        let gradients = value.backward()?;
        let gradient = gradients.get(&photo).cloned();
        // None where nothing of the photo comes through.
        let gradient = gradient.map_or_else(|| photo.zeros_like(), Ok)?;
        Ok(Slope { value: value.to_scalar()?, gradient })
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

/// Whether `x` is what is above 0 in `before`, or that clamped to 0..=6. Where nothing is below 0 one cannot tell, and need not.
fn is_relu_of(x: &Tensor, before: &Tensor) -> Result<bool> {
    if x.dims() != before.dims() || before.min_all()?.to_scalar::<f32>()? >= 0.0 {
        return Ok(false);
    }
    let same = |y: Tensor| Ok::<_, Error>((x - y)?.abs()?.max_all()?.to_scalar::<f32>()? == 0.0);
    Ok(same(before.relu()?)? || same(before.clamp(0f32, 6f32)?)?)
}
