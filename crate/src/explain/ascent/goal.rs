//! What is to become large, and its gradient with respect to the photo.

use super::Objective;
use crate::explain::Subject;
use crate::explain::activations::numbers;
use crate::models::Trail;
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};
use std::collections::HashSet;

/// Where in the network what climbs is found.
#[derive(Clone, Debug)]
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

/// The part of the gradient that ReLUs let pass where nothing comes through.
const AJAR: f64 = 0.1;

/// A value and its gradient `(1, 3, side, side)` with respect to the photo, on the host.
pub(super) struct Slope {
    pub value: f32,
    pub gradient: Tensor,
    /// Whether anything of the photo comes through by itself: the gradient is not zero everywhere with ReLUs as they are.
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
        let found = goal.run(photos, &mut Trail::default(), |name, x| {
            if open.as_ref().is_some_and(|open| is_relu_of(&x, open).unwrap_or(false)) {
                activations.insert(name.to_owned());
            } else {
                open = Some(x.clone());
            }
            Ok(x)
        })?;
        goal.activations = activations;
        goal.count = match goal.place {
            Place::Layer(_) => found.dim(1)?,
            Place::Logits => subject.count(),
        };
        Ok(goal)
    }

    /// Whether what climbs is behind a ReLU.
    pub fn is_rectified(&self) -> bool {
        match &self.place {
            Place::Layer(layer) => {
                self.activations.contains(layer) || self.subject.backbone.rectified().contains(layer)
            }
            Place::Logits => false,
        }
    }

    /// The value of a channel or class for one photo `(1, 3, side, side)`, and its gradient. Of a channel behind a ReLU it is
    /// what goes into the ReLU: that has a slope where the ReLU is closed, or clamped at 6, too.
    ///
    /// Where ReLUs on the way are closed for the whole picture the gradient is zero everywhere, and no step would ever open
    /// them. Then the slope is that of a network whose ReLUs let a little of the gradient through (as lucid's do at first).
    pub fn slope(&self, photo: &Tensor, channel: usize) -> Result<Slope> {
        let slope = self.slope_of(photo, channel, 0.0)?;
        if slope.is_felt || !slope.value.is_finite() {
            return Ok(slope);
        }
        Ok(Slope { is_felt: false, ..self.slope_of(photo, channel, AJAR)? })
    }

    /// The slope where ReLUs let this part of the gradient pass beside them.
    fn slope_of(&self, photo: &Tensor, channel: usize, ajar: f64) -> Result<Slope> {
        let (photo, mut trail) = (Var::from_tensor(photo)?, Trail::default());
        let found = self.run_open(&photo, ajar, &mut trail)?;
        let value = self.value(&found, channel)?;
        let gradient = match trail.back(&found, self.gradient_there(&found, channel)?, &photo)? {
            Some(gradient) => gradient,
            None => by_graph(&value, &photo)?,
        };
        let gradient = gradient.to_device(&Device::Cpu)?;
        let is_felt = gradient.abs()?.max_all()?.to_scalar::<f32>()? > 0.0;
        Ok(Slope { value: value.to_scalar()?, gradient, is_felt })
    }

    /// The number that is to become large, of activations `(1, C, h, w)` or features `(1, F)`.
    fn value(&self, found: &Tensor, channel: usize) -> Result<Tensor> {
        let found = match self.place {
            Place::Layer(_) => found.clone(),
            Place::Logits => self.subject.logits(found)?,
        };
        let found = found.narrow(1, channel, 1)?;
        Ok(match (self.objective, found.dims()) {
            (Objective::Centre, &[_, _, height, width]) => {
                found.narrow(2, height / 2, 1)?.narrow(3, width / 2, 1)?.sum_all()?
            }
            _ => found.mean_all()?,
        })
    }

    /// The gradient of that number with respect to what it is found in: on the host, as the way back is kept there alone.
    fn gradient_there(&self, found: &Tensor, channel: usize) -> Result<Tensor> {
        if matches!(self.place, Place::Logits) {
            return Ok(self.subject.head()?.0.narrow(0, channel, 1)?.to_device(&Device::Cpu)?.contiguous()?);
        }
        let places: usize = found.dims().iter().skip(2).product();
        let mut gradient = vec![0f32; found.elem_count()];
        let own = gradient.iter_mut().skip(channel * places).take(places);
        match (self.objective, found.dims()) {
            (Objective::Centre, &[_, _, height, width]) => {
                own.skip(height / 2 * width + width / 2).take(1).for_each(|one| *one = 1.0);
            }
            _ => own.for_each(|one| *one = 1.0 / places as f32),
        }
        Ok(Tensor::from_vec(gradient, found.shape(), &Device::Cpu)?)
    }

    /// The run with what goes into the ReLU for what comes out of it, where that is what climbs; and with ReLUs on the way
    /// that let this part of the gradient pass beside them.
    fn run_open(&self, photo: &Tensor, ajar: f64, trail: &mut Trail) -> Result<Tensor> {
        // What the latest layer was that is no ReLU, and whether it has passed one by: some ReLUs have two names.
        let mut open: Option<(Tensor, bool)> = None;
        let tap = |name: &str, x: Tensor| match &mut open {
            Some((before, passed)) if self.activations.contains(name) => match &self.place {
                Place::Layer(layer) if layer == name => Ok(before.clone()),
                _ if ajar > 0.0 && !std::mem::replace(passed, true) => {
                    // The same numbers with another gradient.
                    Ok((x + ((&*before - before.detach())? * ajar)?)?)
                }
                _ => Ok(x),
            },
            _ => {
                open = Some((x.clone(), false));
                Ok(x)
            }
        };
        self.run(photo, trail, tap)
    }

    /// Activations `(N, C, h, w)`, or features `(N, F)` where logits climb; `tap` sees every layer on the way and may change
    /// it.
    fn run(
        &self,
        photos: &Tensor,
        trail: &mut Trail,
        mut tap: impl FnMut(&str, Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut found = None;
        let mut tap = |name: &str, x: Tensor| {
            let x = tap(name, x)?;
            if matches!(&self.place, Place::Layer(layer) if layer == name) {
                found = Some(x);
                return Ok(None);
            }
            Ok(Some(x))
        };
        let features = self.subject.backbone.trailed(photos, &mut tap, trail)?;
        let ended = || Error::Data(format!("{} ended before its last layer", self.subject.backbone.spec().name));
        found.or(features).ok_or_else(ended)
    }
}

/// The gradient of a value with respect to the photo, by candle's graph.
fn by_graph(value: &Tensor, photo: &Var) -> Result<Tensor> {
    // None where the network does not look at the photo.
    Ok(value.backward()?.get(photo).cloned().map_or_else(|| photo.zeros_like(), Ok)?)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::signed;
    use super::*;
    use crate::models::{Backbone, InceptionV3, MobileNetV2};

    /// Both ways back are the same function: any layer, its inner parts, and logits, behind every operation there is.
    fn both_ways(net: &dyn Backbone, side: usize, layers: &[&str]) {
        let compact = net.compact().unwrap().unwrap();
        let subject = Subject::of_backbone(compact.as_ref());
        let photo = Tensor::from_vec(signed("photo", 3 * side * side), (1, 3, side, side), &Device::Cpu).unwrap();
        let mut felt = 0;
        let places = layers.iter().map(|layer| Place::Layer((*layer).to_owned())).chain([Place::Logits]);
        for (place, objective) in
            places.flat_map(|place| [(place.clone(), Objective::Mean), (place, Objective::Centre)])
        {
            let what = format!("{place:?}, {objective:?}");
            let goal = Goal::new(&subject, place, objective, &photo).unwrap();
            let (photo, mut trail) = (Var::from_tensor(&photo).unwrap(), Trail::default());
            let found = goal.run_open(&photo, 0.0, &mut trail).unwrap();
            let value = goal.value(&found, 3).unwrap();
            let ours = trail.back(&found, goal.gradient_there(&found, 3).unwrap(), &photo).unwrap();
            let ours = ours.unwrap_or_else(|| panic!("{what}"));
            let graph = by_graph(&value, &photo).unwrap();
            let size = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
            let (off, whole) = (size(&(&ours - &graph).unwrap()), size(&graph));
            assert!(off <= 1e-5 * whole, "{what}: off by {off:.1e} of {whole:.1e}");
            felt += usize::from(whole > 0.0);
        }
        // Where a ReLU is closed there is nothing to compare.
        assert!(felt > layers.len(), "{felt} gradients");
    }

    #[test]
    fn the_way_back_is_that_of_candles_graph() {
        let layers = ["features.0", "features.3", "features.4.conv.1.1", "features.9.conv.0", "features.18"];
        both_ways(&MobileNetV2::random(3).unwrap(), 64, &layers);
        let layers = ["Conv2d_4a_3x3", "Mixed_5c", "Mixed_6a", "Mixed_6c.branch7x7dbl_3", "Mixed_7c"];
        both_ways(&InceptionV3::random(3).unwrap(), 96, &layers);
        // What is not folded leaves no way back, and climbs by the graph.
        let net = MobileNetV2::random(3).unwrap();
        let subject = Subject::of_backbone(&net);
        let photo = Tensor::from_vec(signed("photo", 3 * 32 * 32), (1, 3, 32, 32), &Device::Cpu).unwrap();
        let goal = Goal::new(&subject, Place::Layer("features.2".into()), Objective::Mean, &photo).unwrap();
        let mut trail = Trail::default();
        let found = goal.run_open(&photo, 0.0, &mut trail).unwrap();
        assert!(trail.back(&found, goal.gradient_there(&found, 3).unwrap(), &photo).unwrap().is_none());
        assert!(goal.slope(&photo, 3).unwrap().is_felt);
    }
}
