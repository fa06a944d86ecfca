#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::Error;
use crate::data::{Photo, Skipped};
use crate::images::{Pixels, Preprocess};
use crate::models::{BackboneSpec, InceptionV3, LayerInfo, Layers, Tap};
use crate::notebook::Picture;
use candle_core::Device;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stands in for a network: feature k is the mean of channel k % 3. Counts the photos it has seen.
struct MeanColour {
    spec: BackboneSpec,
    seen: Arc<AtomicUsize>,
}

const WIDTH: usize = 12;

impl MeanColour {
    fn frozen(weights: &str) -> (Frozen<Self>, Arc<AtomicUsize>) {
        let seen = Arc::new(AtomicUsize::new(0));
        let spec = BackboneSpec {
            name: "mean_colour",
            preprocess: Preprocess::unit(8),
            features: WIDTH,
            classes: 1000,
            last_convolution: "last",
            weights: weights.to_owned(),
        };
        (Frozen::plain(Self { spec, seen: Arc::clone(&seen) }).unwrap(), seen)
    }
}

impl Backbone for MeanColour {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        let (count, ..) = photos.dims4()?;
        self.seen.fetch_add(count, Ordering::Relaxed);
        let means = photos.mean((2, 3))?;
        Ok(Tensor::cat(&vec![means; WIDTH / 3], 1)?)
    }

    fn logits(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::Data("this backbone has no head".to_owned()))
    }

    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        let Some(photos) = tap("last", photos.clone())? else { return Ok(None) };
        self.features(&photos).map(Some)
    }

    fn layer_names(&self) -> Vec<String> {
        vec!["last".to_owned()]
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        None
    }

    fn layers(&self) -> Layers {
        let layer = |name: &str, parameters, statistics| LayerInfo {
            name: name.to_owned(),
            kind: "Convolution",
            output: (3, 8, 8),
            parameters,
            statistics,
        };
        vec![layer("first", 1_000_000, 30_000), layer("last", 234_567, 4_112), layer("classifier", 12_013, 0)].into()
    }
}

/// Plain photos, reddish of the first class and bluish of the second, each of its own shade.
fn colours(count: usize) -> Dataset {
    let photo = |number: usize| {
        let shade = (number * 37 % 101) as u8;
        let rgb = if number.is_multiple_of(2) { [150 + shade, 80, 90] } else { [90, 80, 150 + shade] };
        let rgb = rgb.into_iter().chain([(number / 2 % 256) as u8, (number / 512) as u8, 0]).collect::<Vec<u8>>();
        let png = Pixels { height: 1, width: 2, rgb }.to_png().unwrap();
        Photo::from_bytes(format!("photo {number}"), number % 2, png).unwrap()
    };
    let classes = vec!["red".to_owned(), "blue".to_owned()];
    Dataset::new(classes, (0..count).map(photo).collect(), "colours").unwrap()
}

fn model(folder: Option<PathBuf>) -> (TransferModel<MeanColour>, Arc<AtomicUsize>) {
    let (frozen, seen) = MeanColour::frozen("weights 1");
    let classes = colours(0).classes().to_vec();
    (TransferModel::new(frozen, &classes).unwrap().keep_features_in(folder), seen)
}

/// The same training by PyTorch, in double precision: tests/golden/make_head.py.
#[test]
fn a_head_trains_as_pytorch_trains_it() {
    trains_as(&golden_head(), "epochs", false, true);
}

/// A softmax in the head and another in the loss, as PyTorch computes that mistake; and a loss that knows of the softmax,
/// which trains as without one.
#[test]
fn softmax_twice_trains_as_badly_as_in_pytorch_and_once_as_logits_do() {
    let golden = golden_head();
    trains_as(&golden, "softmax_twice", true, true);
    trains_as(&golden, "of_probabilities", true, false);
    trains_as(&golden, "epochs", true, false);
    let loss = |how: &str| golden[how][3]["validation_loss"].as_f64().unwrap();
    assert!(loss("softmax_twice") > 1.2 * loss("epochs"), "the mistake can be told by its loss");
}

fn golden_head() -> serde_json::Value {
    serde_json::from_str(include_str!("../../tests/golden/head.json")).unwrap()
}

/// Trains the golden head and compares each epoch with those called `how`.
fn trains_as(golden: &serde_json::Value, how: &str, softmax: bool, from_logits: bool) {
    let rows = |value: &serde_json::Value| serde_json::from_value::<Vec<Vec<f32>>>(value.clone()).unwrap();
    let matrix = |value| Tensor::new(rows(value), &Device::Cpu).unwrap();
    let labels = |value: &serde_json::Value| serde_json::from_value::<Vec<usize>>(value.clone()).unwrap();
    let vector = |value: &serde_json::Value| serde_json::from_value::<Vec<f32>>(value.clone()).unwrap();
    let classes = ["a", "b", "c"].map(str::to_owned);
    let table = |features, wanted| FeatureTable::new(matrix(features), &labels(wanted), &classes).unwrap();
    let training = table(&golden["features"], &golden["labels"]);
    let validation = table(&golden["held_out"], &golden["held_out_labels"]);
    let bias = Tensor::new(vector(&golden["bias"]), &Device::Cpu).unwrap();
    let head = Head::from_weights(&matrix(&golden["weight"]), &bias).unwrap().with_softmax(softmax);

    let epochs = golden[how].as_array().unwrap();
    let mut orders = golden["orders"].as_array().unwrap().iter();
    let options = FitOptions {
        epochs: epochs.len(),
        learning_rate: golden["learning_rate"].as_f64().unwrap(),
        batch: golden["batch"].as_u64().unwrap() as usize,
        seed: 0,
        from_logits,
    };
    let order = |_| serde_json::from_value(orders.next().unwrap().clone()).unwrap();
    let mut weights = Vec::new();
    let run = fit::train(&head, &training, &validation, &options, order, |_| {
        weights.push((head.weight().to_vec2::<f32>().unwrap(), head.bias().to_vec1::<f32>().unwrap()));
    })
    .unwrap();

    assert_eq!(run.epochs.len(), 4);
    for ((want, got), (weight, bias)) in epochs.iter().zip(&run.epochs).zip(weights) {
        let close = |name: &str, got: f64| {
            let want = want[name].as_f64().unwrap();
            assert!((got - want).abs() < 1e-5, "{how}, {name}: {got} instead of {want}");
        };
        close("training_accuracy_running", got.training_accuracy_running);
        close("training_loss_running", got.training_loss_running);
        close("training_accuracy", got.training_accuracy);
        close("training_loss", got.training_loss);
        close("validation_accuracy", got.validation_accuracy);
        close("validation_loss", got.validation_loss);
        let wanted = rows(&want["weight"]).concat().into_iter().chain(vector(&want["bias"]));
        for (got, want) in weight.concat().into_iter().chain(bias).zip(wanted) {
            assert!((got - want).abs() < 1e-5, "{how}: a weight is {got} instead of {want}");
        }
    }
}

#[test]
fn a_softmax_makes_probabilities_of_outputs_and_keeps_the_logits() {
    let photos = colours(20);
    let batch = photos.batch(4, &Preprocess::unit(8)).unwrap();
    let mut model = model(None).0.softmax();
    model.fit(&photos, &photos, FitOptions { from_logits: false, ..FitOptions::default() }).unwrap();
    let features = model.features(&photos.take(4)).unwrap();
    let outputs = model.head().forward(features.features()).unwrap().to_vec2::<f32>().unwrap();
    assert!(model.head().has_softmax(), "a fit keeps the softmax");
    let predicted = model.predict_batch(&batch).unwrap().probabilities.to_vec2::<f32>().unwrap();
    for (outputs, predicted) in outputs.iter().zip(&predicted) {
        assert!((outputs.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(outputs.iter().zip(predicted).all(|(a, b)| (a - b).abs() < 1e-6), "{outputs:?} {predicted:?}");
    }
    let logits = model.logits(&batch.photos).unwrap().to_vec2::<f32>().unwrap();
    assert!((logits[0].iter().sum::<f32>() - 1.0).abs() > 1e-3, "logits are no probabilities: {logits:?}");
    assert!(model.summary().to_string().contains("head (dense, softmax)"));
    let options = FitOptions::default();
    assert!(checks::softmax_twice(model.head(), &options).unwrap().contains("from_logits: false"));
    assert_eq!(checks::softmax_twice(model.head(), &FitOptions { from_logits: false, ..options }), None);
}

#[test]
fn a_new_head_is_glorot_uniform() {
    let (head, limit) = (Head::glorot(1280, 5, 1).unwrap(), (6.0_f32 / 1285.0).sqrt());
    let weights = head.weight().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (low, high) = weights.iter().fold((0.0_f32, 0.0_f32), |(low, high), w| (low.min(*w), high.max(*w)));
    assert!(low >= -limit && high <= limit && low < -0.99 * limit && high > 0.99 * limit, "{low} {high} {limit}");
    let variance = weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32;
    // Of 6,405 uniform draws the variance has a standard error of 1.1 %.
    assert!((variance / (limit * limit / 3.0) - 1.0).abs() < 0.05, "{variance}");
    assert!(head.bias().to_vec1::<f32>().unwrap().iter().all(|bias| *bias == 0.0));
    assert_eq!(head.parameters(), 6405);
    let other = Head::glorot(1280, 5, 2).unwrap().weight().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(weights != other, "another seed gives other weights");
}

#[test]
fn every_epoch_sees_every_photo_once_in_an_order_of_its_own() {
    let (mut shuffle, mut again, mut other) = (fit::shuffles(1), fit::shuffles(1), fit::shuffles(2));
    let (first, second) = (shuffle(100), shuffle(100));
    for order in [&first, &second] {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<u32>>());
    }
    assert!(first != second && first == again(100) && first != other(100));
}

#[test]
fn a_model_learns_and_says_what_it_measured() {
    let (training, validation) = colours(120).split(0.75, 1).unwrap();
    let (mut model, seen) = model(None);
    let options = FitOptions { epochs: 12, learning_rate: 0.05, ..FitOptions::default() };
    let history = model.fit(&training, &validation, options.clone()).unwrap();
    assert_eq!((history.epochs.len(), history.training_photos, history.validation_photos), (12, 90, 30));
    assert_eq!((history.shared_photos, history.interrupted), (0, false));
    assert_eq!(seen.load(Ordering::Relaxed), 120, "each photo once, however many epochs");
    assert_eq!(history.last().unwrap().validation_accuracy, 1.0);

    let predictions = model.predict(&validation).unwrap();
    assert_eq!((predictions.accuracy(), predictions.wrong().len()), (1.0, 0));
    assert_eq!(predictions.names[0], validation.photos()[0].name);
    assert_eq!(seen.load(Ordering::Relaxed), 120, "predictions use the kept features");
    let batch = validation.batch(8, &Preprocess::unit(8)).unwrap();
    let of_batch = model.predict_batch(&batch).unwrap();
    assert_eq!(of_batch.predicted, predictions.predicted[..8]);
    for predictions in [&predictions, &of_batch] {
        let top = predictions.top_losses(3);
        let names = top.photos.iter().map(|top| (&top.name, &top.photo.as_ref().unwrap().name));
        assert!(names.clone().count() == 3 && names.clone().all(|(name, photo)| name == photo));
        assert!(top.grid().unwrap().alt().starts_with("Top losses: "));
        assert_eq!(predictions.confusion_matrix().right(), predictions.right());
    }

    // The same seed again, from the beginning, gives the same numbers.
    let mut second = self::model(None).0;
    let again = second.fit(&training, &validation, options).unwrap();
    for (a, b) in history.epochs.iter().zip(&again.epochs) {
        assert_eq!((a.training_loss, a.validation_loss), (b.training_loss, b.validation_loss));
    }
}

#[test]
fn a_second_fit_goes_on_and_a_forgotten_head_begins_again() {
    let (training, validation) = colours(60).split(0.75, 1).unwrap();
    let (mut model, _) = model(None);
    let fit = |model: &mut TransferModel<_>| {
        model.fit(&training, &validation, FitOptions { epochs: 1, ..FitOptions::default() }).unwrap()
    };
    let (first, second) = (fit(&mut model), fit(&mut model));
    assert!(second.epochs[0].training_loss_running < first.epochs[0].training_loss_running);
    model.forget().unwrap();
    let third = fit(&mut model);
    assert_eq!(third.epochs[0].training_loss, first.epochs[0].training_loss);
    assert_eq!([&first, &second, &third].map(|history| history.continued), [false, true, false]);
}

#[test]
fn features_are_found_again_by_content_in_any_split() {
    let folder = tempfile::tempdir().unwrap();
    let photos = colours(300);
    let (first, seen) = model(Some(folder.path().join("features")));
    let whole = first.features(&photos).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 300);

    let (second, seen) = model(Some(folder.path().join("features")));
    let (training, validation) = photos.split(0.6, 9).unwrap();
    let tables = [second.features(&training).unwrap(), second.features(&validation).unwrap()];
    assert_eq!(seen.load(Ordering::Relaxed), 0, "another session computes nothing");
    let row = |table: &FeatureTable, name: &str| {
        let at = table.names().iter().position(|other| other == name)?;
        Some((table.features().get(at).unwrap().to_vec1::<f32>().unwrap(), table.labels()[at]))
    };
    for name in whole.names() {
        let found = tables.iter().find_map(|table| row(table, name));
        assert_eq!(found, row(&whole, name), "{name}");
    }

    let other = MeanColour::frozen("weights 2");
    let model = TransferModel::new(other.0, photos.classes()).unwrap();
    model.keep_features_in(Some(folder.path().join("features"))).features(&photos).unwrap();
    assert_eq!(other.1.load(Ordering::Relaxed), 300, "other weights find nothing of these");
}

#[test]
fn a_photo_that_is_there_twice_is_computed_once() {
    let photos = colours(10);
    let twice = photos.photos().iter().chain(photos.photos()).cloned().collect();
    let twice = Dataset::new(photos.classes().to_vec(), twice, "twice").unwrap();
    let (model, seen) = model(None);
    assert_eq!(model.features(&twice).unwrap().len(), 20);
    assert_eq!(seen.load(Ordering::Relaxed), 10);
}

/// A photo whose header and end are whole, with a wrong byte in its image data.
fn damaged(name: &str, label: usize) -> Photo {
    let pixels = Pixels { height: 9, width: 9, rgb: (0..=242).map(|value| value ^ label as u8).collect() };
    let mut png = pixels.to_png().unwrap();
    let data = png.windows(4).position(|four| four == b"IDAT").unwrap() + 4;
    png[data + 20] ^= 0xFF;
    Photo::from_bytes(name, label, png).unwrap()
}

fn with(photos: &Dataset, more: Vec<Photo>, at: usize) -> Dataset {
    let mut all = photos.photos().to_vec();
    all.splice(at..at, more);
    Dataset::new(photos.classes().to_vec(), all, "with more").unwrap()
}

#[test]
fn a_photo_broken_in_the_middle_is_left_out_and_the_rest_is_kept() {
    let photos = colours(40);
    let (training, validation) = photos.split(0.75, 1).unwrap();
    // One in both parts, twice in the first of them.
    let twice = vec![damaged("broken 1", 1), damaged("broken 2", 1)];
    let (broken_training, broken_validation) =
        (with(&training, twice, 7), with(&validation, vec![damaged("broken 3", 1)], 0));
    let folder = tempfile::tempdir().unwrap();
    let (mut model, _) = model(Some(folder.path().to_path_buf()));
    let history = model.fit(&broken_training, &broken_validation, FitOptions::default()).unwrap();
    assert_eq!((history.training_photos, history.validation_photos, history.shared_photos), (30, 10, 0));

    let names = |data: &Dataset| data.photos().iter().map(|photo| photo.name.clone()).collect::<Vec<_>>();
    let labels = |data: &Dataset| data.photos().iter().map(|photo| photo.label).collect::<Vec<_>>();
    let predictions = model.predict(&broken_validation).unwrap();
    assert_eq!((predictions.names, predictions.labels), (names(&validation), labels(&validation)));

    // The same table as without the broken ones, row by row; and every whole photo's row is on disk.
    let table = model.features(&broken_training).unwrap();
    let (again, seen) = self::model(Some(folder.path().to_path_buf()));
    let want = again.features(&training).unwrap();
    again.features(&validation).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 0, "nothing of the whole photos is computed again");
    assert_eq!((table.names(), table.labels()), (want.names(), want.labels()));
    assert_eq!(table.features().to_vec2::<f32>().unwrap(), want.features().to_vec2::<f32>().unwrap());
    assert_eq!(table.shared_with(&want), 30);
}

#[test]
fn the_first_ten_broken_photos_are_named() {
    let line = |count| {
        let skipped: Vec<Skipped> = (1..=count).map(|n| Skipped::new(format!("{n}.png"), "torn")).collect();
        features::skipped_line(&skipped)
    };
    assert_eq!(line(0), None);
    assert_eq!(line(1).unwrap(), "skipped 1 photo that cannot be read: 1.png (torn)");
    let twelve = line(12).unwrap();
    assert!(twelve.starts_with("skipped 12 photos that cannot be read: 1.png (torn), 2.png"), "{twelve}");
    assert!(twelve.ends_with(", 10.png (torn) and 2 more"), "{twelve}");
}

#[test]
fn broken_photos_end_a_fit_only_where_nothing_or_no_photo_of_a_class_is_left() {
    let (mut model, _) = model(None);
    let photos = colours(20);
    let all_broken = with(&photos.take(0), vec![damaged("a", 0), damaged("b", 1)], 0);
    let reds: Vec<Photo> = photos.photos().iter().filter(|photo| photo.label == 0).cloned().collect();
    let no_blue = with(&photos.take(0), reds.into_iter().chain([damaged("b", 1)]).collect(), 0);
    let mut fit = |training, validation| model.fit(training, validation, FitOptions::default());
    for (training, validation, want) in [
        (&all_broken, &photos, "none of the 2 photos can be read; the first: a ("),
        (&photos, &all_broken, "none of the 2 photos can be read; the first: a ("),
        (&no_blue, &photos, "none of the 1 training photos of blue can be read"),
    ] {
        let error = fit(training, validation).unwrap_err().to_string();
        assert!(error.contains(want), "{error:?} should say {want:?}");
    }
    fit(&photos, &no_blue).unwrap();
    assert!(model.features(&photos.take(0)).unwrap().is_empty());
}

#[test]
fn where_features_cannot_be_kept_training_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, "in the way").unwrap();
    let (model, seen) = model(Some(file.join("features")));
    assert_eq!(model.features(&colours(5)).unwrap().len(), 5);
    assert_eq!(seen.load(Ordering::Relaxed), 5);
}

#[test]
fn what_cannot_be_trained_with_is_refused_by_name() {
    let photos = colours(20);
    let (training, validation) = photos.split(0.5, 1).unwrap();
    let (mut model, seen) = model(None);
    let empty = photos.take(0);
    let others = |classes: &[&str]| {
        let classes = classes.iter().map(|class| (*class).to_owned()).collect();
        Dataset::new(classes, photos.photos().to_vec(), "others").unwrap()
    };
    let good = FitOptions::default();
    let cases = [
        (&training, &validation, FitOptions { epochs: 0, ..good.clone() }, "epochs is 0"),
        (&training, &validation, FitOptions { batch: 0, ..good.clone() }, "batch is 0"),
        (&training, &validation, FitOptions { learning_rate: 0.0, ..good.clone() }, "learning_rate is 0"),
        (&training, &validation, FitOptions { learning_rate: f64::NAN, ..good.clone() }, "learning_rate is NaN"),
        (&training, &validation, FitOptions { from_logits: false, ..good.clone() }, "from_logits is false"),
        (&empty, &validation, good.clone(), "the training set has no photos"),
        (&training, &empty, good.clone(), "the validation set has no photos"),
        (&training.take(1), &validation, good.clone(), "1 photos for 2 classes"),
        (
            &others(&["a", "b", "c"]),
            &validation,
            good.clone(),
            "classes are a, b, c, and the model's head is for red, blue",
        ),
        (&training, &others(&["blue", "red"]), good.clone(), "in another order"),
    ];
    for (training, validation, options, want) in cases {
        let error = model.fit(training, validation, options).unwrap_err().to_string();
        assert!(error.contains(want), "{error:?} should say {want:?}");
    }
    assert_eq!(seen.load(Ordering::Relaxed), 0, "refused before any work");
    for classes in [&["one"][..], &["a", "b", "a"]] {
        let classes: Vec<String> = classes.iter().map(|class| (*class).to_owned()).collect();
        assert!(TransferModel::new(MeanColour::frozen("").0, &classes).is_err());
    }
}

#[test]
fn a_loss_that_stops_being_a_number_is_an_error_and_the_head_goes_back() {
    let (training, validation) = colours(60).split(0.5, 1).unwrap();
    let (mut model, _) = model(None);
    model.fit(&training, &validation, FitOptions::default()).unwrap();
    let weights = |model: &TransferModel<_>| model.head().weight().to_vec2::<f32>().unwrap();
    let before = weights(&model);
    let options = FitOptions { learning_rate: 1e38, ..FitOptions::default() };
    let error = model.fit(&training, &validation, options).unwrap_err().to_string();
    assert!(error.contains("the loss stopped being a number in epoch 1"), "{error}");
    assert_eq!(weights(&model), before);
}

#[test]
fn known_mistakes_are_told() {
    let photos = colours(100);
    let (training, validation) = photos.split(0.8, 1).unwrap();
    let (model, _) = model(None);
    let told = |training: &Dataset, validation: &Dataset| {
        let (a, b) = (model.features(training).unwrap(), model.features(validation).unwrap());
        checks::warnings(&a, &b, b.shared_with(&a)).join("\n")
    };
    assert_eq!(told(&training, &validation), "");
    assert!(told(&training, &training).contains("80 of 80 validation photos are training photos too"));
    assert!(told(&validation, &training).contains("are the two parts of the split swapped?"));
    let reds: Vec<Photo> = training.photos().iter().filter(|photo| photo.label == 0).cloned().collect();
    let reds = Dataset::new(photos.classes().to_vec(), reds, "reds").unwrap();
    assert!(told(&reds, &validation).contains("no training photo is of blue"));
    let one_more = validation.photos().iter().chain(training.photos().first()).cloned().collect();
    let one_more = Dataset::new(photos.classes().to_vec(), one_more, "one more").unwrap();
    assert!(told(&training, &one_more).starts_with("Note: 1 of 21"));
}

#[test]
fn a_summary_counts_in_both_ways_and_leaves_the_old_head_out() {
    let summary = model(None).0.summary();
    assert_eq!((summary.frozen, summary.statistics, summary.head), (1_234_567, 34_112, 26));
    let text = summary.to_string();
    for want in ["1,234,567", "1,268,679", "1,234,593", "1,268,705", "34,112", "(N, 12)", "(N, 2)"] {
        assert!(text.contains(want), "{want} is missing:\n{text}");
    }
    let widths: Vec<usize> = text.lines().take(8).map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == 72), "{widths:?}\n{text}");
}

fn epoch(running: f64, end: f64, validation: f64) -> Epoch {
    Epoch {
        training_accuracy_running: running,
        training_loss_running: 0.3,
        training_accuracy: end,
        training_loss: 0.2,
        validation_accuracy: validation,
        validation_loss: 0.25,
        seconds: 0.01,
    }
}

#[test]
fn the_words_fit_the_numbers() {
    let history = |epochs: &[(f64, f64, f64)]| {
        let epochs: Vec<Epoch> = epochs.iter().map(|(a, b, c)| epoch(*a, *b, *c)).collect();
        let planned = epochs.len();
        let (training_photos, validation_photos) = (1602, 400);
        History {
            epochs,
            planned,
            training_photos,
            validation_photos,
            shared_photos: 0,
            interrupted: false,
            continued: false,
        }
    };
    let explain = |epochs: &[(f64, f64, f64)]| history(epochs).explain();
    // Means of reference/heads.json: the lead over the running mean is more than chance, the gap at the end is not.
    let words = explain(&[(0.9132, 0.974, 0.971), (0.9755, 0.9811, 0.975)]);
    assert!(words.contains("above the running training accuracy in 1 of 2 epochs. "), "{words}");
    assert!(words.contains("reads 91.3 %") && words.contains("give 97.4 % (6.1 points)"), "{words}");
    assert!(words.contains("in so many photos: which is above the other, these photos cannot tell."), "{words}");
    assert!(!words.contains("leads by"), "{words}");
    let words = explain(&[(0.80, 0.85, 0.97), (0.9755, 0.9811, 0.975)]);
    assert!(words.contains("leads by 0.6 points, no more than chance"), "{words}");
    let words = explain(&[(0.90, 0.97, 0.96), (0.99, 0.999, 0.96)]);
    assert!(words.contains("the running mean is reason enough"), "{words}");
    assert!(words.contains("leads by 3.9 points, more than chance"), "{words}");
    assert!(words.contains("After the first epoch it led by 1.0 points: a lead that grows"), "{words}");
    // One epoch is no trend, however large the gap.
    let words = explain(&[(0.97, 0.999, 0.96)]);
    assert!(words.contains("never above the running training accuracy in 1 epoch."), "{words}");
    assert!(words.contains("one epoch is no trend") && !words.contains("by heart"), "{words}");
    // A lead of less than chance is no lead.
    let words = explain(&[(0.969, 0.97, 0.971), (0.97, 0.972, 0.973)]);
    assert!(words.contains("in 2 of 2 epochs, but never by more than chance"), "{words}");
    assert!(words.contains("these photos cannot tell") && !words.contains("reason"), "{words}");
    let words = explain(&[(0.80, 0.85, 0.97), (0.90, 0.96, 0.97)]);
    assert!(words.contains("validation is above training in 2 of 2") && words.contains("12.0 points"), "{words}");
    // 388 of 400 less 1362 of 1602 by method 10, computed apart.
    assert!(words.contains("from 9.2 to 14.2: more than chance explains, so the validation photos seem"), "{words}");
    let shared = History { shared_photos: 300, ..history(&[(0.80, 0.85, 0.97), (0.90, 0.96, 0.97)]) }.explain();
    assert!(
        shared.contains("has learnt from 300 of the photos that measure it") && !shared.contains("easier"),
        "{shared}"
    );
    assert!(explain(&[]).contains("No epoch was finished"));
    // Noise: one epoch's lead of two photos, then training ahead by more than chance. The lead claims no cause.
    let words = explain(&[(0.90, 0.955, 0.960), (0.97, 0.99, 0.96)]);
    assert!(
        words.contains("validation is above training in 1 of 2") && words.contains("no more than chance"),
        "{words}"
    );
    assert!(!words.contains("easier") && !words.contains("luck"), "{words}");
    // Never surely above the running figure, and surely below at the end: what did not happen needs no reason.
    let words = explain(&[(0.965, 0.99, 0.966), (0.98, 0.999, 0.96)]);
    assert!(words.contains("training is never below validation.") && !words.contains("reason"), "{words}");
}

#[test]
fn an_epochs_line_is_short() {
    let line = epoch(0.9132, 0.974, 0.971).line(1, 6);
    assert_eq!(line, "epoch 1/6  training 0.913 (end 0.974)  validation 0.971  loss 0.250");
}

#[test]
fn curves_have_three_lines_a_panel_and_words() {
    let epochs = (0..6).map(|i| epoch(0.9 + 0.015 * i as f64, 0.97 + 0.004 * i as f64, 0.97)).collect();
    let history = History {
        epochs,
        planned: 6,
        training_photos: 1602,
        validation_photos: 400,
        shared_photos: 0,
        interrupted: false,
        continued: false,
    };
    let Picture::Svg { svg, alt } = history.plot().unwrap() else { panic!("curves are vectors") };
    assert!(svg.contains("Training and Validation Accuracy") && svg.contains("Training and Validation Loss"));
    assert_eq!(
        svg.matches("<polyline").count() - svg.matches("stroke=\"#787878\"").count(),
        2 * 3 + 3,
        "lines and legend"
    );
    assert!(alt.contains("validation accuracy 0.970") && svg.contains("role=\"img\""));
    let empty = History { epochs: Vec::new(), ..history };
    assert!(empty.plot().is_err());
}

/// The lesson's own numbers: torchvision's and Keras' counts of MobileNetV2, and heads for two and five classes.
#[test]
fn mobilenet_v2_counts_as_the_lesson_says() {
    for (classes, head) in [(2, 2_562), (5, 6_405)] {
        let classes: Vec<String> = (0..classes).map(|number| format!("class {number}")).collect();
        let model = TransferModel::new(MobileNetV2::random(1).unwrap().freeze().unwrap(), &classes).unwrap();
        let summary = model.summary();
        let keras = summary.frozen + summary.statistics;
        assert_eq!((summary.frozen, keras, summary.head), (2_223_872, 2_257_984, head));
    }
    let classes = ["a", "b", "c", "d", "e"].map(str::to_owned);
    let inception = Frozen::plain(InceptionV3::random(1).unwrap()).unwrap();
    let summary = TransferModel::new(inception, &classes).unwrap().summary();
    assert_eq!((summary.frozen, summary.head), (21_785_568, 10_245));
    assert!(summary.to_string().contains("21,802,784"), "as Keras shows it: {summary}");
}
