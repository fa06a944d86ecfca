#![allow(clippy::unwrap_used)]

use super::*;
use crate::data::{Dataset, Sketches, sketches};
use crate::device::DeviceChoice;
use crate::freeze::{FreezeOptions, Precision};
use crate::models::{Backbone, MobileNetV2};
use crate::train::{Classifier, TransferModel};
use candle_core::{Device, Var};
use std::collections::HashMap;

/// Numbers from -1 to 1 that look random and are the same everywhere: `noise` of tests/golden/make_fine_tune.py.
fn noise(seed: u32, shape: &[usize]) -> Tensor {
    let value = |i: u32| {
        let mut x = i.wrapping_mul(0x9E37_79B1).wrapping_add(seed.wrapping_mul(0x85EB_CA6B));
        x = (x ^ (x >> 15)).wrapping_mul(0x2C1B_3C6D);
        x = (x ^ (x >> 12)).wrapping_mul(0x297A_2D39);
        ((x ^ (x >> 15)) >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..shape.iter().product::<usize>() as u32).map(value).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

const LAYER: &str = "features.14";
const SHAPE: (usize, usize, usize) = (96, 14, 14);

/// MobileNetV2 with the golden numbers' weights from features.14 on.
fn backbone() -> Box<dyn Unfreeze> {
    let model = MobileNetV2::random(1).unwrap();
    let mut tensors = model.tensors().unwrap();
    let late = |name: &&String| (14..19).any(|layer| name.starts_with(&format!("features.{layer}.")));
    let mut names: Vec<String> = tensors.keys().filter(late).cloned().collect();
    names.sort_unstable();
    for (seed, name) in (0..).zip(names) {
        let shape = tensors[&name].dims().to_vec();
        let values = noise(seed, &shape);
        let tensor = match shape.as_slice() {
            [_, inputs, rows, columns] => values.affine((3.0 / (inputs * rows * columns) as f64).sqrt(), 0.0),
            _ if name.ends_with(".weight") || name.ends_with("_var") => values.affine(0.25, 1.0),
            _ => values.affine(0.25, 0.0),
        };
        tensors.insert(name, tensor.unwrap());
    }
    model.rebuilt(&Weights::new("golden", tensors)).unwrap()
}

fn head() -> Head {
    let weight = noise(1001, &[3, 1280]).affine(0.1, 0.0).unwrap();
    Head::from_weights(&weight, &Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap()).unwrap()
}

/// Rows of inputs of four photos, and their labels.
fn batch(number: usize) -> (Tensor, Tensor) {
    let all = noise(1000, &[8, 96 * 14 * 14]).affine(1.5, 0.0).unwrap();
    let labels: Vec<u32> = (0..4).map(|photo| (4 * number as u32 + photo) % 3).collect();
    (all.narrow(0, 4 * number, 4).unwrap(), Tensor::new(labels, &Device::Cpu).unwrap())
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

fn five(values: &[f64]) -> Vec<f64> {
    (0..5).map(|i| values[i * (values.len() - 1) / 4]).collect()
}

fn list(value: &serde_json::Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn assert_near(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= tolerance, "{what}: {got} instead of {want}");
    }
}

/// Two steps by PyTorch in double precision: tests/golden/make_fine_tune.py.
#[test]
fn it_learns_as_pytorch_does_with_batch_norm_in_either_mode() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../../tests/golden/fine_tune.json")).unwrap();
    for (mode, want) in [(BatchNorm::Stored, &golden["stored"]), (BatchNorm::Training, &golden["training"])] {
        let (backbone, head) = (backbone(), head());
        let tail = Tail::new(&*backbone, &head, LAYER, SHAPE, mode).unwrap();
        let rate = golden["learning_rate"].as_f64().unwrap();
        let adam = ParamsAdamW { lr: rate, beta1: 0.9, beta2: 0.999, eps: 1e-7, weight_decay: 0.0 };
        let mut adam = AdamW::new(tail.variables(), adam).unwrap();
        for (step, loss_wanted) in list(&want["losses"]).into_iter().enumerate() {
            let (rows, labels) = batch(step);
            let loss = tail.loss(&tail.learning(&rows).unwrap(), &labels).unwrap();
            assert_near(&format!("{mode:?}, loss {step}"), &numbers(&loss), &[loss_wanted], 2e-4);
            let gradients = loss.backward().unwrap();
            if step == 0 {
                let mut seen = 0;
                let of_head = ["head.bias", "head.weight"].map(str::to_owned);
                let mut names: Vec<&String> = tail.learns.keys().collect();
                names.sort_unstable();
                let [bias, weight] = &of_head;
                for (name, variable) in names.into_iter().chain([weight, bias]).zip(tail.variables()) {
                    let got = numbers(gradients.get(&variable).unwrap());
                    let wanted = &want["gradients"][name];
                    let norm = got.iter().map(|value| value * value).sum::<f64>().sqrt();
                    let norm_wanted = wanted["norm"].as_f64().unwrap();
                    seen += 1;
                    // A shift that a batch norm behind it takes away again has no gradient but rounding.
                    if norm_wanted < 1e-9 {
                        assert!(norm < 1e-5, "{mode:?}, {name}: {norm}");
                        continue;
                    }
                    assert!((norm / norm_wanted - 1.0).abs() < 1e-3, "{mode:?}, {name}: {norm}, {norm_wanted}");
                    assert_near(&format!("{mode:?}, {name}"), &five(&got), &list(&wanted["some"]), 1e-3 * norm_wanted);
                }
                assert_eq!(seen, 13 * 3 + 2, "kernel, scale and shift of 13 convolutions, and the head");
            }
            adam.step(&gradients).unwrap();
        }
        let after = numbers(&tail.knowing(&batch(0).0.narrow(0, 0, 2).unwrap()).unwrap());
        let after_wanted: Vec<Vec<f64>> = serde_json::from_value(want["after"].clone()).unwrap();
        assert_near(&format!("{mode:?}, after"), &after, &after_wanted.concat(), 2e-2);
        let tensors = tail.tensors(&*backbone).unwrap();
        for (name, wanted) in want["statistics"].as_object().unwrap() {
            assert_near(&format!("{mode:?}, {name}"), &five(&numbers(&tensors[name])), &list(wanted), 1e-3);
        }
    }
}

/// The loss along a direction, by differences, grows as the gradient says: through depthwise kernels of either stride,
/// and through the statistics of a batch.
#[test]
fn gradients_are_those_of_finite_differences() {
    let (rows, labels) = batch(0);
    for mode in [BatchNorm::Stored, BatchNorm::Training] {
        let (backbone, head) = (backbone(), head());
        let tail = Tail::new(&*backbone, &head, LAYER, SHAPE, mode).unwrap();
        let loss = || tail.loss(&tail.learning(&rows).unwrap(), &labels).unwrap();
        let gradients = loss().backward().unwrap();
        for name in ["features.14.conv.1.0.weight", "features.15.conv.1.0.weight", "features.17.conv.0.1.weight"] {
            let variable: &Var = &tail.learns[name];
            // Along the gradient itself the loss changes most, and rounding matters least.
            let gradient = gradients.get(variable).unwrap();
            let norm = numbers(gradient).iter().map(|value| value * value).sum::<f64>().sqrt();
            let direction = gradient.affine(1.0 / norm, 0.0).unwrap();
            let start = variable.as_tensor().copy().unwrap().detach();
            let at = |step: f64| {
                variable.set(&(&start + direction.affine(step, 0.0).unwrap()).unwrap()).unwrap();
                numbers(&loss())[0]
            };
            let slope = (at(0.02) - at(-0.02)) / 0.04;
            at(0.0);
            assert!((slope / norm - 1.0).abs() < 0.02, "{mode:?}, {name}: {slope} by differences, {norm} by gradient");
        }
    }
}

fn small(seed: u64) -> (Dataset, Dataset) {
    sketches(Sketches::CatsVsDogs, 12, seed).split(0.75, 1).unwrap()
}

fn model(photos: &Dataset) -> TransferModel {
    let frozen = MobileNetV2::random(3).unwrap().freeze().unwrap();
    TransferModel::new(frozen, photos.classes()).unwrap().keep_features_in(None)
}

fn options() -> FineTuning {
    FineTuning { epochs: 2, learning_rate: 1e-4, batch_size: 8, ..FineTuning::default() }
}

#[test]
fn a_tuned_model_predicts_and_is_saved_with_its_new_weights() {
    let (training, validation) = small(1);
    let mut model = model(&training);
    model.fit(&training, &validation, FitOptions::default()).unwrap();
    let before = (model.features(&validation).unwrap(), model.frozen().identity());
    let untouched = model.frozen().unfolded().tensors().unwrap();
    let history = model.fine_tune("features.17", &training, &validation, options()).unwrap();
    assert_eq!((history.epochs.len(), history.training_photos, history.interrupted), (2, 18, false));

    // New features, under another identity, and what validation measured is what the plan predicts.
    let after = model.features(&validation).unwrap();
    let weights = &model.frozen().spec().weights;
    assert!(weights.starts_with("random, seed 3, fine-tuned from features.17 to "), "{weights}");
    assert_ne!(model.frozen().identity(), before.1);
    assert_ne!(numbers(after.features()), numbers(before.0.features()));
    let predictions = model.predict(&validation).unwrap();
    let last = history.last().unwrap();
    assert!((predictions.accuracy() - last.validation_accuracy).abs() < 1e-9);
    let loss = predictions.top_losses(99).photos.iter().map(|top| top.loss).sum::<f64>() / validation.len() as f64;
    assert!((loss - last.validation_loss).abs() < 1e-3 * (1.0 + loss), "{loss} {last:?}");

    // What lies before the layer is as it was, and all that lies behind it but the statistics has moved.
    for (name, tensor) in model.frozen().unfolded().tensors().unwrap() {
        let late = name.starts_with("features.17.") || name.starts_with("features.18.");
        let moved = numbers(&tensor) != numbers(&untouched[&name]);
        assert_eq!(moved, late && !name.contains("running"), "{name}");
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tuned.safetensors");
    model.save(&path).unwrap();
    let loaded = Classifier::load(&path).unwrap();
    assert!(loaded.to_string().contains("fine-tuned from features.17"), "{loaded}");
    let rows = |predictions: crate::evaluate::Predictions| predictions.probabilities.to_vec2::<f32>().unwrap();
    assert_eq!(rows(loaded.predict(&validation).unwrap()), rows(predictions));

    // Again, with batch norm in training mode: the name does not grow, and now the statistics move, too.
    let options = FineTuning { batch_norm: BatchNorm::Training, epochs: 1, ..options() };
    let stored = model.frozen().unfolded().tensors().unwrap();
    model.fine_tune("features.18", &training, &validation, options).unwrap();
    assert_eq!(model.frozen().spec().weights.matches("fine-tuned").count(), 1);
    let moved = model.frozen().unfolded().tensors().unwrap();
    let differ = |name: &str| numbers(&moved[name]) != numbers(&stored[name]);
    assert!(differ("features.18.1.running_var") && !differ("features.17.conv.3.running_var"));
}

#[test]
fn it_is_frozen_again_as_it_was_before() {
    let (training, validation) = sketches(Sketches::CatsVsDogs, 4, 1).split(0.5, 1).unwrap();
    let options = FreezeOptions { device: DeviceChoice::Cpu, precision: Precision::Bf16, ..FreezeOptions::default() };
    let frozen = MobileNetV2::random(3).unwrap().freeze_with(options).unwrap();
    let mut model = TransferModel::new(frozen, training.classes()).unwrap().keep_features_in(None);
    let before = model.frozen().identity();
    model.fine_tune("features.18", &training, &validation, FineTuning { epochs: 1, ..self::options() }).unwrap();
    assert_eq!(model.frozen().place(), "the CPU in bf16");
    let after = model.frozen().identity();
    assert!(after.contains("bf16") && after != before, "{after}");
}

#[test]
fn what_the_frozen_part_makes_is_the_same_by_plan_and_by_candle() {
    let photo = sketches(Sketches::Flowers, 1, 1).photos()[0].clone();
    let model = model(&small(1).0);
    let progress = notebook::Progress::new("inputs", None, "photos");
    let frozen = model.frozen();
    let x = photo.pixels().unwrap().to_tensor(&frozen.spec().preprocess).unwrap();
    for (index, layer) in frozen.layers().iter().enumerate() {
        let made = frozen.engine().inputs_of_all(index, 1, &|_| photo.pixels(), &progress).unwrap();
        let want = match index.checked_sub(1) {
            None => x.clone(),
            Some(before) => frozen.backbone().layer(&x, &frozen.layers()[before].name).unwrap(),
        };
        let (got, want) = (numbers(&made), numbers(&want));
        let largest = want.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        assert_near(&layer.name, &got, &want, 1e-4 * largest);
        let (channels, height, width) = frozen.engine().input_shape(index).unwrap();
        assert_eq!(got.len(), channels * height * width);
    }
    assert_eq!(frozen.engine().input_shape(99), None);
}

#[test]
fn what_cannot_be_tuned_is_refused_by_name_and_nothing_changes() {
    let (training, validation) = small(1);
    let mut model = model(&training);
    model.fit(&training, &validation, FitOptions::default()).unwrap();
    let (identity, weights) = (model.frozen().identity(), numbers(model.head().weight()));
    let good = options();
    let cases = [
        ("features.17", FineTuning { epochs: 0, ..good.clone() }, "epochs is 0"),
        ("features.17", FineTuning { batch_size: 0, ..good.clone() }, "batch_size is 0"),
        ("features.17", FineTuning { learning_rate: f64::INFINITY, ..good.clone() }, "learning_rate is inf"),
        ("feature.17", good.clone(), "no layer `feature.17`; the nearest is `features.17`"),
        ("", good.clone(), "no layer ``"),
        ("features.18", FineTuning { learning_rate: 1e38, ..good.clone() }, "The model is as it was before"),
    ];
    for (layer, options, want) in cases {
        let error = model.fine_tune(layer, &training, &validation, options).unwrap_err().to_string();
        assert!(error.contains(want), "{error:?} should say {want:?}");
        assert_eq!((model.frozen().identity(), numbers(model.head().weight())), (identity.clone(), weights.clone()));
    }
    let empty = training.take(0);
    assert!(model.fine_tune("features.17", &empty, &validation, good.clone()).is_err());
    // As often as it takes: photos are not read before the limit is checked.
    let many: Vec<_> = training.photos().iter().cycle().take(20_000).cloned().collect();
    let many = Dataset::new(training.classes().to_vec(), many, "many").unwrap();
    let error = model.fine_tune("features.5", &many, &validation, good).unwrap_err().to_string();
    // 32 channels of 28 x 28, four bytes each, for 20,006 photos.
    let want = "features.5: what goes into it takes 1914 MiB for 20006 photos, and 1024 MiB are kept at most: begin at features.";
    assert!(error.contains(want), "{error}");
}

#[test]
fn a_statistic_is_no_variable_unless_batches_make_it() {
    let (backbone, head) = (backbone(), head());
    let names = |mode| {
        let tail = Tail::new(&*backbone, &head, "features.18", (320, 7, 7), mode).unwrap();
        let sorted = |map: &HashMap<String, Var>| {
            let mut names: Vec<String> = map.keys().cloned().collect();
            names.sort_unstable();
            names.join(" ")
        };
        (sorted(&tail.learns), sorted(&tail.statistics))
    };
    let learns = "features.18.0.weight features.18.1.bias features.18.1.weight";
    assert_eq!(names(BatchNorm::Stored), (learns.to_owned(), String::new()));
    let statistics = "features.18.1.running_mean features.18.1.running_var";
    assert_eq!(names(BatchNorm::Training), (learns.to_owned(), statistics.to_owned()));
}
