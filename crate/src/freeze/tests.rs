//! The frozen model against the plain one.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::Error;
use crate::images::Preprocess;
use candle_core::{DType, Device, Var};

/// `count` numbers in -1..1, the same for the same seed.
pub(super) fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The largest difference, over the largest number that was wanted.
pub(super) fn relative(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let largest = |x: &mut dyn Iterator<Item = f32>| x.fold(0.0, |a: f32, b| if b.is_nan() { b } else { a.max(b) });
    let off = largest(&mut got.iter().zip(want).map(|(a, b)| (a - b).abs()));
    off / largest(&mut want.iter().map(|x| x.abs()))
}

fn photo(seed: u64, side: usize) -> Pixels {
    // Not noise alone: photos are smooth.
    let noise = noise(seed, side * side * 3);
    let byte = |i: usize| {
        let (y, x) = (i / 3 / side, i / 3 % side);
        (120.0 + 80.0 * ((x + i % 3 * 40) as f32 / 30.0).sin() + 30.0 * (y as f32 / 17.0).cos() + 20.0 * noise[i]) as u8
    };
    Pixels { height: side, width: side, rgb: (0..noise.len()).map(byte).collect() }
}

#[test]
fn frozen_features_are_the_plain_models() {
    let plain = MobileNetV2::random(7).unwrap();
    let pixels = [photo(1, 224), photo(2, 224)];
    let tensors: Vec<Tensor> = pixels.iter().map(|photo| photo.to_tensor(&Preprocess::IMAGENET).unwrap()).collect();
    let photos = Tensor::cat(&tensors, 0).unwrap();
    let want: Vec<Vec<f32>> = plain.features(&photos).unwrap().to_vec2().unwrap();
    let logits: Option<Vec<Vec<f32>>> = plain.logits(&photos).ok().map(|logits| logits.to_vec2().unwrap());
    assert!(relative(&want[0], &want[1]) > 1e-3, "two photos, two features");
    let folded = plain.folded().unwrap();
    for level in CpuLevel::available() {
        let frozen = folded.clone().compiled(level).unwrap();
        assert_eq!(frozen.cpu(), level);
        let batch: Vec<Vec<f32>> = frozen.features(&photos).unwrap().to_vec2().unwrap();
        for i in 0..2 {
            assert!(relative(&batch[i], &want[i]) < 1e-4, "{level}, photo {i}: {}", relative(&batch[i], &want[i]));
            let one = frozen.features_of_pixels(&pixels[i]).unwrap();
            assert!(relative(&one, &want[i]) < 1e-4, "{level}, pixels of photo {i}");
        }
        if let Some(logits) = &logits {
            let got: Vec<Vec<f32>> = frozen.logits(&photos).unwrap().to_vec2().unwrap();
            assert!(relative(&got[1], &logits[1]) < 1e-4, "{level}, logits");
        }
    }
}

#[test]
fn frozen_inception_is_the_plain_model() {
    let plain = InceptionV3::random(7).unwrap();
    let keras = InceptionV3 { counts_padding: false, ..plain.clone() };
    let pixels = photo(1, 299);
    let x = pixels.to_tensor(&Preprocess::INCEPTION).unwrap();
    for (name, plain) in [("torchvision's", plain), ("Keras'", keras)] {
        let row = |x: Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (features, logits) = (row(plain.features(&x).unwrap()), row(plain.logits(&x).unwrap()));
        let folded = plain.folded().unwrap();
        assert!(relative(&row(folded.features(&x).unwrap()), &features) < 1e-4, "{name}, folded");
        for level in CpuLevel::available() {
            let frozen = folded.clone().compiled(level).unwrap();
            let found = [
                ("features", row(frozen.features(&x).unwrap()), &features),
                ("logits", row(frozen.logits(&x).unwrap()), &logits),
                ("features of pixels", frozen.features_of_pixels(&pixels).unwrap(), &features),
            ];
            for (what, got, want) in found {
                let off = relative(&got, want);
                assert!(off < 1e-4, "{name} {what}, {level}: {off}");
            }
        }
    }
}

#[test]
fn inception_fed_with_the_wrong_size_says_so() {
    let frozen = InceptionV3::random(7).unwrap().freeze().unwrap();
    let small = photo(1, 224).to_tensor(&Preprocess::IMAGENET).unwrap();
    for result in [frozen.features(&small), frozen.logits(&small)] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("(N, 3, 299, 299)") && error.contains("[1, 3, 224, 224]"), "{error}");
        assert!(error.contains("spec().preprocess"), "{error}");
    }
    // A photo that is no tensor yet is brought to the right size.
    assert_eq!(frozen.features_of_pixels(&photo(1, 224)).unwrap().len(), 2048);
    assert!(frozen.backbone().layer(&small, "Mixed_5b.branch1x1").is_ok());
}

#[test]
fn keras_and_torchvision_conventions_have_identities_of_their_own() {
    let plain = InceptionV3::random(7).unwrap();
    let keras = InceptionV3 { counts_padding: false, ..plain.clone() };
    let (a, b) = (plain.clone().freeze().unwrap().identity(), keras.freeze().unwrap().identity());
    assert_ne!(a, b);
    assert_eq!(a, plain.freeze().unwrap().identity());
}

#[test]
fn photos_in_a_stream_come_back_in_their_order() {
    let frozen = MobileNetV2::random(3).unwrap().freeze().unwrap();
    let progress = Progress::new("photos", Some(5), "photos");
    let all = frozen.features_of_all(5, |i| Ok(photo(i as u64, 224)), &progress).unwrap();
    assert_eq!(all.dims(), [5, 1280]);
    for i in 0..5 {
        let one = frozen.features_of_pixels(&photo(i as u64, 224)).unwrap();
        assert_eq!(all.get(i).unwrap().to_vec1::<f32>().unwrap(), one, "photo {i}");
    }
    let failing = |i: usize| if i == 3 { Err(Error::Data("photo 3 is gone".into())) } else { Ok(photo(0, 224)) };
    let error = frozen.features_of_all(5, failing, &progress).unwrap_err();
    assert_eq!(error.to_string(), "photo 3 is gone");
    assert_eq!(frozen.features_of_all(0, failing, &progress).unwrap().dims(), [0, 1280]);
}

#[test]
fn a_photo_of_another_size_is_resized_and_a_broken_one_refused() {
    let frozen = MobileNetV2::random(3).unwrap().freeze().unwrap();
    let large = photo(1, 300);
    let want = frozen.features_of_pixels(&large.resized(224, 224).unwrap()).unwrap();
    assert_eq!(frozen.features_of_pixels(&large).unwrap(), want);
    let short = Pixels { height: 224, width: 224, rgb: vec![0; 100] };
    assert!(matches!(frozen.features_of_pixels(&short), Err(Error::Shape { .. })));
}

#[test]
fn tensors_that_the_plan_does_not_take_go_through_candle() {
    let frozen = MobileNetV2::random(3).unwrap().freeze().unwrap();
    let small = photo(1, 64).to_tensor(&Preprocess { side: 64, ..Preprocess::IMAGENET }).unwrap();
    let got: Vec<f32> = frozen.features(&small).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let want: Vec<f32> = frozen.backbone().features(&small).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(got, want);
    let grey = Tensor::zeros((1, 1, 224, 224), DType::F32, &Device::Cpu).unwrap();
    assert!(frozen.features(&grey).is_err());
}

#[test]
fn a_view_into_a_larger_tensor_is_read_from_its_own_beginning() {
    let frozen = MobileNetV2::random(3).unwrap().freeze().unwrap();
    let (a, b) = (photo(1, 224).to_tensor(&Preprocess::IMAGENET), photo(2, 224).to_tensor(&Preprocess::IMAGENET));
    let (a, b) = (a.unwrap(), b.unwrap());
    let alone: Vec<Vec<f32>> = frozen.features(&b).unwrap().to_vec2().unwrap();
    let second = Tensor::cat(&[&a, &b], 0).unwrap().narrow(0, 1, 1).unwrap();
    assert_eq!(frozen.features(&second).unwrap().to_vec2::<f32>().unwrap(), alone);
    // The same numbers in another order of memory.
    let turned = b.transpose(2, 3).unwrap().contiguous().unwrap().transpose(2, 3).unwrap();
    assert_eq!(frozen.features(&turned).unwrap().to_vec2::<f32>().unwrap(), alone);
}

#[test]
fn no_gradient_flows_through_a_frozen_model() {
    let frozen = MobileNetV2::random(3).unwrap().freeze().unwrap();
    for side in [224, 32] {
        let photo = Var::from_vec(noise(1, 3 * side * side), (1, 3, side, side), &Device::Cpu).unwrap();
        let loss = frozen.features(photo.as_tensor()).unwrap().sum_all().unwrap();
        assert!(loss.backward().unwrap().get(&photo).is_none(), "side {side}");
    }
}

#[test]
fn timings_name_every_part() {
    let frozen = MobileNetV2::random(3).unwrap().freeze().unwrap();
    // Normalising, 17 blocks (the stem is in the first), the last layer.
    assert_eq!(frozen.timings(&photo(1, 224), 2).unwrap().len(), 19);
    assert!(frozen.timings(&photo(1, 100), 1).is_err());
}

#[test]
fn other_tensors_under_the_same_name_have_another_identity() {
    let model = MobileNetV2::random(3).unwrap();
    let identity = |change: &dyn Fn(&mut MobileNetV2)| {
        let mut model = model.clone();
        change(&mut model);
        model.freeze().unwrap().identity()
    };
    let same = identity(&|_| {});
    assert_eq!(same, identity(&|_| {}));
    // One number in a kernel, and one in a bias that comes of a batch norm.
    let kernel = identity(&|model| model.blocks[8].depthwise.weight = bumped(&model.blocks[8].depthwise.weight));
    let norm = identity(&|model| {
        let norm = model.last.batch_norm.as_mut().unwrap();
        norm.bias = bumped(&norm.bias);
    });
    assert!(same != kernel && same != norm && kernel != norm, "{same}\n{kernel}\n{norm}");
    // The head is not part of what makes the features.
    assert_eq!(same, identity(&|model| model.classifier = None));
}

/// The tensor with its first number a little larger.
fn bumped(tensor: &Tensor) -> Tensor {
    let mut numbers: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    numbers[0] += 1e-3;
    Tensor::from_vec(numbers, tensor.shape(), tensor.device()).unwrap()
}

/// The cosine of two rows.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// What halves cost. On the CPU they are rounded to and not computed in, which is what a GPU does to what lies between
/// layers.
#[test]
fn halves_give_nearly_the_same_features_under_another_name() {
    let half =
        |precision| FreezeOptions { device: crate::device::DeviceChoice::Cpu, precision, ..FreezeOptions::default() };
    let row = |frozen: &dyn Backbone, x: &Tensor| {
        frozen.features(x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let check = |what: &str, fine: &dyn Backbone, coarse: &dyn Backbone, x: &Tensor, least: f64| {
        let (fine, coarse) = (row(fine, x), row(coarse, x));
        let alike = cosine(&fine, &coarse);
        assert!(alike >= least && alike < 1.0 - 1e-12, "{what}: {alike}, and rounding must be seen");
    };
    let mobilenet = MobileNetV2::random(7).unwrap();
    let inception = InceptionV3::random(7).unwrap();
    let x = photo(1, 224).to_tensor(&Preprocess::IMAGENET).unwrap();
    let large = photo(1, 299).to_tensor(&Preprocess::INCEPTION).unwrap();
    let mut names = Vec::new();
    for (precision, least) in [(Precision::F16, 0.9999), (Precision::Bf16, 0.999)] {
        let coarse = mobilenet.clone().freeze_with(half(precision)).unwrap();
        check(precision.name(), &mobilenet.clone().freeze_with(half(Precision::F32)).unwrap(), &coarse, &x, least);
        assert_eq!(coarse.place(), format!("the CPU in {precision}"));
        // Heat maps keep f32.
        assert_eq!(coarse.backbone().layer(&x, "features.18").unwrap().dtype(), DType::F32);
        names.push(coarse.identity());
        let coarse = inception.clone().freeze_with(half(precision)).unwrap();
        check(precision.name(), &inception.clone().freeze_with(half(Precision::F32)).unwrap(), &coarse, &large, least);
        names.push(coarse.identity());
    }
    names.push(mobilenet.clone().freeze_with(half(Precision::F32)).unwrap().identity());
    // What is asked of a GPU alone changes nothing on the CPU.
    let tf32 = FreezeOptions { tf32: true, ..half(Precision::F32) };
    assert_eq!(Some(&mobilenet.clone().freeze_with(tf32).unwrap().identity()), names.last());
    let distinct: std::collections::HashSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:#?}");
    assert!(names[0].contains("f16") && names[2].contains("bf16"), "{names:#?}");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_asked_of_a_build_for_the_cpu_is_an_error_that_says_what_to_do() {
    let options = FreezeOptions { device: crate::device::DeviceChoice::Cuda(0), ..FreezeOptions::default() };
    let error = MobileNetV2::random(3).unwrap().freeze_with(options).unwrap_err().to_string();
    assert!(error.contains("cuda:0") && error.contains("feature `cuda`"), "{error}");
}
