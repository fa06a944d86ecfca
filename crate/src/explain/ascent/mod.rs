//! What a filter looks for: a picture that climbs, step by step, towards what excites it.
//!
//! Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network"; that the pictures are legible is due to Olah,
//! Mordvintsev and Schubert 2017, "Feature Visualization" (Distill, doi 10.23915/distill.00007), and their library lucid.

mod canvas;
mod climb;
mod filters;
mod frequencies;
mod goal;
mod live;
mod options;
mod penalty;
mod ropes;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod view;

pub use filters::{Ended, Filter, Filters};
pub use options::{FilterOptions, Objective, Parametrisation};

use super::Subject;
use crate::{Error, Result, notebook};
use candle_core::Tensor;
use canvas::Paint;
use climb::{Climber, Mountain};
use goal::{Goal, Place};
use live::Live;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use ropes::Ropes;

/// What to climb for: a channel or class by number, and what it is called.
type Wanted = (String, usize);

/// Which channels of a layer.
pub(super) enum Channels<'a> {
    These(&'a [usize]),
    /// So many, evenly spread from the first on.
    Spread(usize),
}

/// The channels `wanted` of a layer.
pub(super) fn filters(
    subject: &Subject<'_>,
    layer: &str,
    wanted: Channels<'_>,
    options: FilterOptions,
) -> Result<Filters> {
    let compact = subject.backbone.compact()?;
    // Bare convolutions are no more once their batch norms are folded in.
    let compact = compact.filter(|compact| compact.layer_names().iter().any(|name| name == layer));
    let subject = &compact.as_deref().map_or_else(|| subject.clone(), |compact| subject.through(compact));
    let mountain = mountain(subject, Place::Layer(layer.to_owned()), options)?;
    let count = mountain.goal.count;
    let (channels, beyond) = match wanted {
        Channels::These(channels) => (channels.to_vec(), None),
        Channels::Spread(wanted) => (spread(wanted, count), (wanted > count).then_some(wanted)),
    };
    if let Some(beyond) = channels.iter().find(|channel| **channel >= count) {
        let want = format!("{layer} has {count} channels, 0 to {}", count.saturating_sub(1));
        return Err(Error::Setting { setting: "the channel", got: beyond.to_string(), want });
    }
    let wanted = channels.into_iter().map(|channel| (format!("{layer} #{channel}"), channel)).collect();
    let filters = climb(&mountain, ("channels", wanted), &format!("What filters of {layer} look for"))?;
    let beyond = beyond.map(|wanted| format!("{wanted} were asked for, and {layer} has {count} channels"));
    Ok(Filters { beyond, ..filters })
}

/// `count` channels, evenly spread from the first on.
pub(super) fn spread(count: usize, of: usize) -> Vec<usize> {
    let count = count.min(of);
    (0..count).map(|number| number * of / count.max(1)).collect()
}

/// Classes by name.
pub(super) fn classes(subject: &Subject<'_>, names: &[&str], options: FilterOptions) -> Result<Filters> {
    let wanted: Vec<Wanted> = names
        .iter()
        .map(|name| subject.class(name).map(|class| (subject.class_name(class), class)))
        .collect::<Result<_>>()?;
    let compact = subject.backbone.compact()?;
    let subject = &compact.as_deref().map_or_else(|| subject.clone(), |compact| subject.through(compact));
    let mountain = mountain(subject, Place::Logits, options)?;
    climb(&mountain, ("classes", wanted), "What classes look like to the network")
}

/// Checks what can be checked before it begins.
fn mountain<'a>(subject: &'a Subject<'a>, place: Place, options: FilterOptions) -> Result<Mountain<'a>> {
    options.check()?;
    let (preprocess, device) = (*subject.preprocess(), subject.device().clone());
    let noise = Tensor::from_vec(noise(options.side), (1, 3, options.side, options.side), &device)?;
    let too_small = |error| match error {
        // The photo is made here, so its shape is the side's fault.
        Error::Shape { what, want, got } if got == noise.dims() => {
            Error::Setting { setting: "side", got: options.side.to_string(), want: format!("{what} wants {want}") }
        }
        other => other,
    };
    let goal = Goal::new(subject, place, options.objective, &noise).map_err(too_small)?;
    Ok(Mountain { goal, paint: Paint::new(&options)?, preprocess, device, options })
}

/// Numbers in -2..=2, as preprocessed photos have.
fn noise(side: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    (0..3 * side * side).map(|_| 2.0 * view::signed(&mut random)).collect()
}

/// All climb side by side, each on its own way: what one comes to does not depend on the others.
fn climb(mountain: &Mountain<'_>, (what, wanted): (&str, Vec<Wanted>), heading: &str) -> Result<Filters> {
    if wanted.is_empty() {
        return Err(Error::Data(format!(
            "no {what} were named, so nothing would climb: name one or more, 16 make a grid"
        )));
    }
    let options = &mountain.options;
    let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let mut climbers: Vec<Climber> = wanted
        .into_iter()
        .map(|(name, channel)| Climber::new(name, channel, &mountain.paint, options))
        .collect::<Result<_>>()?;
    let ropes = Ropes::new(climbers.len());
    let mut live = Live::new(heading, options.steps);
    let mut end = Ended::Finished;
    for done in 1..=options.steps {
        if notebook::interrupted() {
            if done == 1 {
                return Err(Error::Interrupted);
            }
            end = Ended::Interrupted;
            break;
        }
        ropes.each(&mut climbers, |climber| climber.step(mountain))?;
        let pictures = || climbers.iter().map(|climber| climber.shown(&mountain.paint)).collect::<Result<Vec<_>>>();
        let latest = climbers.iter().filter_map(Climber::latest);
        let mean = latest.clone().sum::<f32>() / latest.count().max(1) as f32;
        live.show(done, mean, || filters::grid(heading, &pictures()?, &names));
        if climbers.iter().all(Climber::has_ended) {
            break;
        }
    }
    let filters = climbers.into_iter().map(|climber| climber.finish(&mountain.paint, end)).collect::<Result<_>>()?;
    let is_rectified = mountain.goal.is_rectified();
    let filters = Filters { heading: heading.to_owned(), is_rectified, beyond: None, filters };
    live.end(&filters.to_string());
    Ok(filters)
}
