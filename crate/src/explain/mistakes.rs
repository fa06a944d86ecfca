//! The mistakes first: what a classifier saw in the photos that it understands least.

use super::activations::numbers;
use super::heat_map::{MEANING, Panel};
use super::{HeatMap, HeatMapOptions, Subject};
use crate::evaluate::{TopLoss, TopLosses};
use crate::notebook::{Picture, Progress, display, interrupted};
use crate::plot::{HeatPanel, HeatScale, MOST_ROWS, Mark, heat_panels};
use crate::{Error, Result};
use std::fmt;

/// One photo with a high loss.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// The cross-entropy in nats.
    pub loss: f64,
    /// What spoke for the class that the photo was taken for.
    pub predicted: HeatMap,
    /// What spoke for the class that it is; none where it was taken for that.
    pub actual: Option<HeatMap>,
}

/// The photos with the highest losses and why: they show themselves a row each when they end a cell.
#[derive(Clone, Debug)]
pub struct Mistakes {
    /// The highest loss first.
    pub photos: Vec<Mistake>,
    /// How many were asked for.
    pub planned: usize,
    /// Whether it was stopped before it had looked at all of them.
    pub interrupted: bool,
}

impl Mistakes {
    pub(super) fn of(subject: &Subject<'_>, losses: &TopLosses, n: usize, options: &HeatMapOptions) -> Result<Self> {
        options.without_class("the losses")?;
        let some: Vec<&TopLoss> = losses.photos.iter().take(n).collect();
        if some.is_empty() {
            let want = format!("there are {} losses, and at least one must be asked for", losses.photos.len());
            return Err(Error::Setting { setting: "the number of losses", got: n.to_string(), want });
        }
        if some.len() > MOST_ROWS {
            let want = format!("a picture has {MOST_ROWS} rows at most: ask for fewer");
            return Err(Error::Setting { setting: "the number of losses", got: some.len().to_string(), want });
        }
        let (planned, mut stopped) = (some.len(), false);
        let progress = Progress::new("Looking at mistakes", Some(planned as u64), "photos");
        let mut photos = Vec::with_capacity(planned);
        for top in some {
            stopped = interrupted();
            if stopped && photos.is_empty() {
                return Err(Error::Interrupted);
            }
            if stopped {
                break;
            }
            match Mistake::of(subject, top, options) {
                // Within a photo: in occlusion, or between random maps.
                Err(Error::Interrupted) if !photos.is_empty() => {
                    stopped = true;
                    break;
                }
                mistake => photos.push(mistake?),
            }
            progress.advance(1);
        }
        Ok(Self { photos, planned, interrupted: stopped })
    }

    /// A row for each photo: itself, what spoke for the class it was taken for, what for its own.
    ///
    /// # Errors
    /// [`Error::Plot`] for no photos, or more than 40.
    pub fn rows(&self) -> Result<Picture> {
        let panels = self.photos.iter().map(Mistake::panels).collect::<Result<Vec<_>>>()?;
        let notes: Vec<String> = self.photos.iter().map(|mistake| format!("loss {:.2}", mistake.loss)).collect();
        let texts = self.photos.iter().zip(&panels).zip(&notes);
        let rows: Vec<Vec<HeatPanel<'_>>> = texts.map(|((mistake, panels), note)| row(mistake, panels, note)).collect();
        let how = self.photos.first().map(|mistake| mistake.predicted.how()).unwrap_or_default();
        heat_panels(&rows, &HeatScale::unit(MEANING), &format!("Top losses, the highest first: {how}"))
    }

    /// Shows the rows below a notebook cell.
    pub fn evcxr_display(&self) {
        match self.rows() {
            Ok(picture) => picture.show_beside(&self.to_string()),
            Err(error) => display::text(&format!("{self}\n{error}")),
        }
    }
}

fn row<'a>(mistake: &'a Mistake, panels: &'a [Panel<'_>], note: &'a str) -> Vec<HeatPanel<'a>> {
    let photo = HeatPanel { note, ..HeatPanel::photo(&mistake.predicted.photo, &mistake.predicted.name) };
    std::iter::once(photo).chain(panels.iter().map(Panel::drawn)).collect()
}

impl Mistake {
    fn of(subject: &Subject<'_>, top: &TopLoss, options: &HeatMapOptions) -> Result<Self> {
        let unknown = || Error::Data("these losses know their photos' names only, so nothing can be looked at".into());
        let photo = top.photo.as_ref().ok_or_else(unknown)?;
        let mut classes = vec![class(subject, &top.predicted)?, class(subject, &top.actual)?];
        classes.dedup();
        let mut maps = HeatMap::of_classes(subject, photo, &classes, options)?.into_iter();
        let predicted = maps.next().ok_or_else(|| Error::Data("no heat map was made".to_owned()))?;
        let actual = maps.next();
        let own = actual.as_ref().unwrap_or(&predicted);
        if !is_loss_of(subject, own, top.loss)? {
            return Err(Error::Data(format!(
                "these losses are another model's: {} has a loss of {:.2} there, while this model gives {}, which it is, a \
                 probability of {:.3}; predict with this model first",
                top.name, top.loss, own.class, own.probability
            )));
        }
        Ok(Self { loss: top.loss, predicted, actual })
    }

    /// The maps, under what the photo was taken for and what it is.
    fn panels(&self) -> Result<Vec<Panel<'_>>> {
        let title = |what: &str, map: &HeatMap| {
            format!("{what} {}\nlogit {:.2}, probability {}", map.class, map.logit, map.likely())
        };
        let taken = if self.actual.is_some() { Mark::Wrong } else { Mark::Right };
        let mut panels = vec![Panel::marked(&self.predicted, title("taken for", &self.predicted), taken)?];
        if let Some(actual) = &self.actual {
            panels.push(Panel::marked(actual, title("is", actual), Mark::Plain)?);
        }
        Ok(panels)
    }
}

/// The number of a class that the losses name; they name it in full.
fn class(subject: &Subject<'_>, name: &str) -> Result<usize> {
    subject.head()?;
    let others = || {
        let classes = "these losses are another model's: this one has no class";
        Error::Data(format!("{classes} `{name}`; predict with this model first"))
    };
    (0..subject.count()).find(|class| subject.class_name(*class) == name).ok_or_else(others)
}

/// Whether a loss is this model's, near enough to stand beside the probability of the photo's class.
///
/// The way that has gradients computes in f32; only the model as it predicts knows the loss of one that rounds more, or
/// of a probability that is 0 in f32.
fn is_loss_of(subject: &Subject<'_>, map: &HeatMap, loss: f64) -> Result<bool> {
    // A hundredth: the last digit that is shown.
    let near = |own: f64| (own - loss).abs() <= 0.01 * loss.max(1.0);
    if near(-f64::from(map.probability).ln()) {
        return Ok(true);
    }
    let logits = numbers(&subject.logits_of(&subject.input(&map.seen)?)?)?;
    let logits: Vec<f64> = logits.into_iter().map(f64::from).collect();
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let whole = logits.iter().map(|logit| (logit - most).exp()).sum::<f64>().ln() + most;
    Ok(logits.get(map.index).is_some_and(|logit| near(whole - logit)))
}

/// A line for each photo.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |mistake: &Mistake| {
            let (map, loss) = (&mistake.predicted, mistake.loss);
            let taken = format!("{}: loss {loss:.2}, taken for {} ({})", map.name, map.class, map.likely());
            match &mistake.actual {
                Some(actual) => format!("{taken}, is {} ({})", actual.class, actual.likely()),
                None => format!("{taken}, and it is"),
            }
        };
        f.write_str(&self.photos.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        if self.interrupted {
            write!(f, "\ninterrupted after {} of {} photos", self.photos.len(), self.planned)?;
        }
        Ok(())
    }
}
