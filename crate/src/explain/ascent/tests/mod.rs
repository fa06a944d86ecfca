//! Climbs on a small network made for the purpose, and on a whole one with random weights.

use super::*;
use crate::explain::Explain;
use crate::images::Preprocess;
pub(super) use crate::models::differences::golden_noise as signed;
use crate::models::{Backbone, BackboneSpec, Layers, MobileNetV2, Tap};
use candle_core::{D, DType, Device};

mod chain;

/// Stands in for a network, with a layer for each thing that can happen on the way up.
struct Layered {
    spec: BackboneSpec,
    head: (Tensor, Tensor),
}

const LAYERS: [&str; 8] = ["colours", "breaks", "below", "closed", "closed.again", "behind", "never.below", "never"];

impl Layered {
    fn new() -> Self {
        let spec = BackboneSpec {
            name: "layered",
            preprocess: Preprocess { side: 16, mean: [0.5; 3], std: [0.25; 3] },
            features: 3,
            classes: 2,
            last_convolution: "colours",
            weights: "none".to_owned(),
        };
        let weight = Tensor::new(&[[1f32, -1., -1.], [-1., -1., 1.]], &Device::Cpu).unwrap();
        Self { spec, head: (weight, Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap()) }
    }
}

impl Backbone for Layered {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        Ok(photos.mean((2, 3))?)
    }

    fn logits(&self, photos: &Tensor) -> Result<Tensor> {
        Subject::of_backbone(self).logits(&self.features(photos)?)
    }

    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        let Some(x) = tap("colours", photos.clone())? else { return Ok(None) };
        // The first channel is no number once its mean is above 1; the others are what they were.
        let limit = Tensor::new(&[1f32, 1e9, 1e9], x.device())?;
        let root = (limit - x.mean((0, 2, 3))?)?.sqrt()?.detach();
        let broken = (&x + (root * 0.0)?.reshape((1, 3, 1, 1))?.broadcast_as(x.shape())?)?;
        if tap("breaks", broken)?.is_none() {
            return Ok(None);
        }
        // Closed for every picture that is not bright.
        let Some(below) = tap("below", (&x - 1.0)?)? else { return Ok(None) };
        let Some(closed) = tap("closed", below.relu()?)? else { return Ok(None) };
        // Under another name, as MobileNetV2's ReLUs are.
        let Some(closed) = tap("closed.again", closed)? else { return Ok(None) };
        if tap("behind", (closed * 2.0)?)?.is_none() {
            return Ok(None);
        }
        // Closed for every picture: nothing of the photo comes through.
        let Some(below) = tap("never.below", ((&x * 0.0)? - 1.0)?)? else { return Ok(None) };
        if tap("never", below.relu()?)?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.features(&x)?))
    }

    fn layer_names(&self) -> Vec<String> {
        LAYERS.map(str::to_owned).to_vec()
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        Some((&self.head.0, &self.head.1))
    }

    fn layers(&self) -> Layers {
        Vec::new().into()
    }
}

impl Explain for Layered {
    fn subject(&self) -> Subject<'_> {
        Subject::of_backbone(self)
    }
}

/// Few steps on a small picture that nothing holds back.
fn quick(steps: usize) -> FilterOptions {
    let still = FilterOptions { jitter: 2, rotation: 0.0, zoom: 0.0, total_variation: 0.0, ..FilterOptions::default() };
    FilterOptions { steps, side: 16, learning_rate: 0.05, decay: 0.0, ..still }
}

/// The means of red, green and blue, in 0..=255.
fn colour(filter: &Filter) -> [f64; 3] {
    let picture = filter.picture.as_ref().unwrap();
    let mean = |channel: usize| {
        let values = picture.rgb.iter().skip(channel).step_by(3);
        values.map(|value| f64::from(*value)).sum::<f64>() / (picture.rgb.len() / 3) as f64
    };
    [mean(0), mean(1), mean(2)]
}

#[test]
fn a_picture_takes_the_colour_that_its_filter_looks_for() {
    let filters = Layered::new().filters("colours", &[0, 2], quick(40)).unwrap();
    let names: Vec<_> = filters.pictures().map(|(name, picture)| (name, picture.height, picture.width)).collect();
    assert_eq!(names, [("colours #0", 16, 16), ("colours #2", 16, 16)]);
    for (filter, own) in filters.filters.iter().zip([0, 2]) {
        let colour = colour(filter);
        assert!(colour[own] > 200.0 && (0..3).all(|c| c == own || colour[c] < colour[own] - 20.0), "{colour:?}");
        assert_eq!((filter.objective.len(), filter.ended, filter.channel), (40, Ended::Finished, own));
        // From grey, 0 once it is preprocessed, to bright, 2.
        assert!(filter.objective[0].abs() < 0.2 && filter.objective[39] > 1.2, "{:?}", filter.objective);
    }
    assert_eq!(filters.to_string(), "What filters of colours look for: 2 pictures, 40 steps");
    let alt = filters.grid().unwrap().alt().to_owned();
    assert!(alt.contains("2 pictures") && alt.contains("colours #0, colours #2"), "{alt}");
}

#[test]
fn a_class_is_what_its_logit_says() {
    let net = Layered::new();
    let classes = ["warm".to_owned(), "cold".to_owned()];
    let subject = Subject::with_head(&net, (&net.head.0, &net.head.1), &classes);
    let filters = super::classes(&subject, &["cold"], quick(40)).unwrap();
    assert_eq!((filters.filters[0].name.as_str(), filters.filters[0].channel), ("cold", 1));
    let [red, green, blue] = colour(&filters.filters[0]);
    assert!(blue > red + 50.0 && blue > green + 50.0, "{red} {green} {blue}");
    let error = super::classes(&subject, &["cold", "colt"], quick(1)).unwrap_err().to_string();
    assert!(error.contains("`colt`") && error.contains("`cold`"), "{error}");
}

/// One step of plain pixels, by hand: along the gradient over its root mean square.
#[test]
fn pixels_go_along_the_gradient_over_its_root_mean_square() {
    let net = Layered::new();
    let options = FilterOptions { steps: 1, side: 16, ..FilterOptions::pixels() };
    let grown = net.filters("colours", &[1], FilterOptions { steps: 20, ..options }).unwrap();
    // Only green moves: 19 steps, each of the root of 3 (its pixels are a third of all) times one grey level, a deviation
    // of a quarter the unit. 1e-5 beside the root mean square is 0.2 % of it.
    let objective = &grown.filters[0].objective;
    let risen = f64::from(objective[19] - objective[0]);
    let want = 19.0 * 3f64.sqrt() / 255.0 / 0.25;
    assert!((risen - want).abs() < 0.01 * want, "{risen} and {want}");
}

#[test]
fn the_same_seed_gives_the_same_picture_whatever_climbs_beside_it() {
    let net = MobileNetV2::random(3).unwrap();
    let options = FilterOptions { steps: 3, side: 32, ..FilterOptions::default() };
    let one = net.filters("features.3", &[5], options.clone()).unwrap();
    let three = net.filters("features.3", &[0, 9, 5], options.clone()).unwrap();
    assert!(one.filters[0] == three.filters[2]);
    assert!(three.filters[0].picture != three.filters[1].picture);
    let other = net.filters("features.3", &[5], FilterOptions { seed: 1, ..options.clone() }).unwrap();
    assert!(other.filters[0].picture != one.filters[0].picture);
    // The folded network is the same function, and bare convolutions are reached where it has none.
    let folded = net.folded().unwrap().filters("features.3", &[5], options.clone()).unwrap();
    assert!(folded.filters[0] == one.filters[0]);
    let bare = net.filters("features.3.conv.0.0", &[5], FilterOptions { steps: 1, ..options }).unwrap();
    assert_eq!(bare.filters[0].name, "features.3.conv.0.0 #5");
}

#[test]
fn a_closed_relu_is_opened_and_one_that_cannot_be_is_crossed() {
    let net = Layered::new();
    // What goes into the ReLU has a slope.
    let opened = net.filters("closed", &[0], quick(60)).unwrap();
    let objective = &opened.filters[0].objective;
    assert!(objective[0] < -0.8 && objective[59] > 0.2, "{objective:?}");
    // What comes out of it, further on, has none at first.
    let opened = net.filters("behind", &[0], quick(60)).unwrap();
    let objective = &opened.filters[0].objective;
    assert!(objective[0] == 0.0 && objective[59] > 0.4, "{objective:?}");
    // A little of the gradient that is let through is no reason to show a picture.
    let still = net.filters("behind", &[0], quick(3)).unwrap();
    assert!(
        still.pictures().next().is_none() && still.to_string().ends_with("behind #0: nothing excited it"),
        "{still}"
    );
    let never = net.filters("never", &[0, 1], quick(3)).unwrap();
    assert!(never.pictures().next().is_none() && never.filters.len() == 2);
    assert!(never.grid().unwrap().alt().contains("2 of 2 filters silent (crossed)"));
    assert!(never.to_string().ends_with("never #0: nothing excited it\nnever #1: nothing excited it"), "{never}");
    // It has felt a slope, and still goes into its ReLU below 0.
    let low = net.filters("closed", &[0], quick(3)).unwrap().to_string();
    assert!(low.contains("closed #0: nothing excited it; what goes into its ReLU ended at -0."), "{low}");
    assert!(!opened.to_string().contains("nothing excited it"), "{opened}");
}

#[test]
fn where_numbers_end_the_last_good_picture_is_kept_and_the_others_go_on() {
    let net = Layered::new();
    let filters = net.filters("breaks", &[0, 1], quick(60)).unwrap();
    let Ended::NotANumber { step } = filters.filters[0].ended else { panic!("{filters:?}") };
    assert!(step > 3 && filters.filters[0].objective.len() == step - 1, "{step}");
    assert_eq!((filters.filters[1].ended, filters.filters[1].objective.len()), (Ended::Finished, 60));
    // What was seen in the step before had gone as many steps less one.
    let good = net.filters("breaks", &[0], quick(step - 2)).unwrap();
    assert!(filters.filters[0].picture == good.filters[0].picture);
    let text = filters.to_string();
    assert!(text.contains(&format!("breaks #0: stopped being a number in step {step}; the last good")), "{text}");
    assert!(text.ends_with("picture is shown: try a smaller learning_rate"), "{text}");
    assert!(!filters.interrupted());
    // From the first step on: the noise it began with.
    let mut broken = Layered::new();
    broken.spec.preprocess.mean = [f32::NAN; 3];
    let filters = broken.filters("colours", &[0], quick(5)).unwrap();
    assert_eq!(filters.filters[0].ended, Ended::NotANumber { step: 1 });
    assert!(filters.filters[0].picture.is_some() && filters.filters[0].objective.is_empty());
}

#[test]
fn what_did_not_climb_and_what_was_stopped_is_said() {
    let filter = |objective: &[f32], ended| Filter {
        name: "x #1".to_owned(),
        channel: 1,
        picture: Some(crate::images::Pixels::new(1, 1, vec![0; 3]).unwrap()),
        objective: objective.to_vec(),
        ended,
    };
    let of = |objective: &[f32], ended| Filters {
        heading: "What filters of x look for".to_owned(),
        is_rectified: false,
        beyond: None,
        filters: vec![filter(objective, ended)],
    };
    let flat = of(&[0.5, 0.7, 0.5], Ended::Finished).to_string();
    assert!(flat.ends_with("x #1: did not climb, from 0.500 to 0.500: try a smaller learning_rate"), "{flat}");
    for (objective, ended) in
        [(&[-2.0, -1.0][..], Ended::Finished), (&[1.0], Ended::Finished), (&[1.0, 0.5], Ended::Interrupted)]
    {
        let text = of(objective, ended).to_string();
        assert!(!text.contains("climb") && !text.contains("excited"), "{text}");
    }
    let alt = of(&[1.0, 2.0], Ended::Interrupted).grid().unwrap().alt().to_owned();
    assert!(alt.starts_with("What filters of x look for, interrupted after 2 steps: 1 picture,"), "{alt}");
}

#[test]
fn more_channels_than_there_are_is_said() {
    let all = Layered::new().some_filters("colours", 5, quick(2)).unwrap();
    assert!(
        all.filters.len() == 3 && all.to_string().contains("\n5 were asked for, and colours has 3 channels"),
        "{all}"
    );
    let enough = Layered::new().some_filters("colours", 3, quick(2)).unwrap();
    assert!(!enough.to_string().contains("asked for"), "{enough}");
}

#[test]
fn channels_are_spread_evenly() {
    assert_eq!(spread(4, 64), [0, 16, 32, 48]);
    assert_eq!(spread(16, 24), [0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19, 21, 22]);
    assert_eq!(spread(16, 3), [0, 1, 2]);
    assert!(spread(0, 3).is_empty());
}

#[test]
fn what_cannot_be_climbed_is_refused_before_it_begins() {
    let net = Layered::new();
    let refused = |options: FilterOptions, words: &str| {
        let error = net.filters("colours", &[0], options).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }) && error.to_string().contains(words), "{error}");
    };
    refused(quick(0), "steps is 0");
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(FilterOptions { learning_rate: rate, ..quick(1) }, "learning_rate is");
    }
    for side in [0, 1, 15, 513, usize::MAX] {
        refused(FilterOptions { side, ..quick(1) }, "side is");
    }
    refused(FilterOptions { jitter: 17, ..quick(1) }, "jitter is 17");
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        refused(FilterOptions { rotation: wrong, ..quick(1) }, "rotation is");
        refused(FilterOptions { zoom: wrong, ..quick(1) }, "zoom is");
        refused(FilterOptions { total_variation: wrong, ..quick(1) }, "total_variation is");
        refused(FilterOptions { decay: wrong, ..quick(1) }, "decay is");
    }
    let error = |layer: &str, channels: &[usize]| net.filters(layer, channels, quick(1)).unwrap_err();
    assert!(error("colours", &[0, 3]).to_string().contains("the channel is 3: colours has 3 channels, 0 to 2"));
    assert!(error("colours", &[]).to_string().starts_with("no channels were named"));
    let unknown = error("colour", &[0]);
    assert!(matches!(&unknown, Error::Layer { nearest, .. } if nearest == "colours"), "{unknown}");
    assert!(net.class_picture("nobody", quick(1)).is_err());
    assert!(net.class_pictures(&[], quick(1)).unwrap_err().to_string().starts_with("no classes were named"));
    // InceptionV3 takes 75 pixels and more.
    let inception = crate::models::InceptionV3::random(1).unwrap();
    let small = FilterOptions { steps: 1, side: 64, ..FilterOptions::default() };
    let error = inception.filters("Mixed_7c", &[0], small).unwrap_err().to_string();
    assert!(error.starts_with("side is 64: InceptionV3 wants ") && error.contains("at least 75"), "{error}");
}

#[test]
fn the_middle_is_a_place_of_its_own() {
    let net = Layered::new();
    let options = FilterOptions { objective: Objective::Centre, jitter: 0, ..quick(30) };
    let subject = net.subject();
    let mountain = mountain(&subject, Place::Layer("colours".to_owned()), options).unwrap();
    let photo = Tensor::zeros((1, 3, 16, 16), DType::F32, &Device::Cpu).unwrap();
    let gradient = mountain.goal.slope(&photo, 1).unwrap().gradient;
    assert_eq!(gradient.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 1.0);
    assert_eq!(
        gradient.get(0).unwrap().get(1).unwrap().get(8).unwrap().get(8).unwrap().to_scalar::<f32>().unwrap(),
        1.0
    );
    assert!(gradient.dim(D::Minus1).unwrap() == 16);
}
