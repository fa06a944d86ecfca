//! What every backbone must do, walked over the table; and the network's parts against each other.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::Error;
use crate::weights::{WEIGHTS, Weights};
use candle_core::{DType, Device, Var};
use std::collections::HashMap;

fn photos(shape: (usize, usize, usize, usize)) -> Tensor {
    let count = shape.0 * shape.1 * shape.2 * shape.3;
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 22) as f32 - 2.;
    Tensor::from_vec((0..count as u32).map(value).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

/// The largest difference, over the largest value.
fn relative(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let most = |t: Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    most((a - b).unwrap()) / most(b.clone())
}

fn spread(t: &Tensor) -> f32 {
    let t = t.flatten_all().unwrap();
    t.var(0).unwrap().to_scalar::<f32>().unwrap().sqrt()
}

#[test]
fn every_backbone_keeps_what_its_spec_promises() {
    for row in BACKBONES {
        let backbone = (row.random)(7).unwrap();
        let spec = backbone.spec().clone();
        assert_eq!(spec.name, row.name);
        assert!(WEIGHTS.iter().any(|file| file.name == row.weights && file.architecture == row.name), "{}", row.name);
        let side = spec.preprocess.side;
        let x = photos((2, 3, side, side));
        assert_eq!(backbone.features(&x).unwrap().dims(), [2, spec.features]);
        assert_eq!(backbone.logits(&x).unwrap().dims(), [2, spec.classes]);
        let layers = backbone.layers();
        let last = layers.iter().find(|layer| layer.name == spec.last_convolution).unwrap();
        assert_eq!(last.output.0, spec.features);
        let one = x.narrow(0, 0, 1).unwrap();
        for layer in &layers {
            let found = backbone.layer(&one, &layer.name).unwrap();
            let (channels, height, width) = layer.output;
            assert_eq!(found.dims(), [1, channels, height, width], "{}", layer.name);
            // A trained network's activations are neither dead nor exploding, and so must random ones be.
            let spread = spread(&found);
            assert!((0.02..20.).contains(&spread), "{} {}: {spread}", row.name, layer.name);
        }
        // A photo's features do not depend on the photos beside it.
        let alone = backbone.features(&one).unwrap();
        assert!(relative(&alone, &backbone.features(&x).unwrap().narrow(0, 0, 1).unwrap()) < 1e-5);
    }
}

#[test]
fn a_run_meets_every_layer_by_name_and_can_be_changed_and_ended() {
    let folded: [Box<dyn Backbone>; 2] = [
        Box::new(MobileNetV2::random(7).unwrap().folded().unwrap()),
        Box::new(InceptionV3::random(7).unwrap().folded().unwrap()),
    ];
    for backbone in BACKBONES.iter().map(|row| (row.random)(7).unwrap()).chain(folded) {
        let spec = backbone.spec();
        let x = photos((1, 3, 75, 75));
        let mut met = Vec::new();
        let mut watch = |name: &str, x: Tensor| {
            met.push(name.to_owned());
            Ok(Some(x))
        };
        let features = backbone.tapped(&x, &mut watch).unwrap().unwrap();
        assert_eq!(met, backbone.layer_names(), "{}", spec.name);
        let last = backbone.layer(&x, spec.last_convolution).unwrap();
        assert_eq!(relative(&features, &last.mean((2, 3)).unwrap()), 0.);
        // Where the last layer gives zeros, so do the features.
        let mut silence =
            |name: &str, x: Tensor| if name == spec.last_convolution { Ok(Some(x.zeros_like()?)) } else { Ok(Some(x)) };
        let silent = backbone.tapped(&x, &mut silence).unwrap().unwrap();
        assert_eq!(silent.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 0.);
        let mut count = 0;
        let ended = backbone.tapped(&x, &mut |_, x| {
            count += 1;
            Ok((count < 20).then_some(x))
        });
        assert!(ended.unwrap().is_none() && count == 20, "{}: {count}", spec.name);
    }
}

#[test]
fn every_backbone_refuses_what_is_no_photo() {
    for row in BACKBONES {
        let backbone = (row.random)(7).unwrap();
        for shape in [&[3, 224, 224][..], &[1, 4, 224, 224], &[0, 3, 224, 224], &[1, 3, 0, 224], &[1, 224, 224, 3]] {
            let x = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
            let error = backbone.features(&x).unwrap_err();
            assert!(matches!(&error, Error::Shape { got, .. } if got == shape), "{shape:?}: {error}");
        }
        let x = photos((1, 3, 32, 32));
        let last = backbone.spec().last_convolution;
        match backbone.layer(&x, &last.replacen('e', "", 1)).unwrap_err() {
            Error::Layer { nearest, .. } => assert_eq!(nearest, last),
            error => panic!("{error}"),
        }
        assert!((row.load)("no/such/weights").is_err());
    }
}

#[test]
fn random_weights_are_a_function_of_the_seed() {
    let kernel = |seed| MobileNetV2::random(seed).unwrap().stem.weight.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(kernel(1), kernel(1));
    assert_ne!(kernel(1), kernel(2));
    // Pinned: a change here changes every benchmark and golden number made from random weights.
    assert_eq!(kernel(42)[..3], [-0.183_946_18, 0.121_264_1, -0.235_742_54]);
    let features = MobileNetV2::random(3).unwrap().features(&photos((2, 3, 96, 96))).unwrap();
    let rows = features.to_vec2::<f32>().unwrap();
    let alive = rows[0].iter().filter(|&&value| value > 0.).count();
    assert!(alive > 900, "{alive} of 1280 features are alive");
    assert_ne!(rows[0], rows[1]);
}

#[test]
fn folding_changes_no_layer() {
    let plain = MobileNetV2::random(5).unwrap();
    let folded = plain.folded().unwrap();
    let x = photos((1, 3, 64, 64));
    let mut seen = 0;
    for name in folded.layer_names() {
        let (plain, folded) = (plain.layer(&x, &name).unwrap(), folded.layer(&x, &name).unwrap());
        let off = relative(&folded, &plain);
        assert!(off < 1e-5, "{name}: {off}");
        seen += 1;
    }
    // 19 layers, 52 norms, and the 33 activations inside blocks under two names, those of both ends under one.
    assert_eq!(seen, 19 + 52 + 2 * 33 + 2);
    assert!(relative(&folded.logits(&x).unwrap(), &plain.logits(&x).unwrap()) < 1e-5);
    assert_eq!(folded.layers(), plain.layers());
    assert!(matches!(folded.layer(&x, "features.0.0"), Err(Error::Layer { .. })));
}

#[test]
fn parts_of_a_block_lead_to_its_output() {
    let net = MobileNetV2::random(5).unwrap();
    let x = photos((1, 3, 64, 64));
    let layer = |name: &str| net.layer(&x, name).unwrap();
    let same = |a: &Tensor, b: &Tensor| relative(a, b) == 0.;
    // Without a residual connection the last part is the block; with one, the input is added.
    assert!(same(&layer("features.2.conv.3"), &layer("features.2")));
    assert!(same(&(layer("features.3.conv.3") + layer("features.2")).unwrap(), &layer("features.3")));
    assert!(same(&layer("features.3.conv.0.2"), &layer("features.3.conv.0")));
    assert!(same(&layer("features.3.conv.0.1").clamp(0f32, 6f32).unwrap(), &layer("features.3.conv.0")));
    assert!(same(&layer("features.1.conv.2"), &layer("features.1")));
    assert_eq!(layer("features.4.conv.1.0").dims(), [1, 144, 8, 8]);
    assert_eq!(layer("features.18.0").dims(), [1, 1280, 2, 2]);
    let pooled = layer("features.18").mean((2, 3)).unwrap();
    assert!(same(&pooled, &net.features(&x).unwrap()));
    let mut names = net.layer_names();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "no name stands for two layers");
}

#[test]
fn a_gradient_reaches_the_photo_through_all_layers() {
    let net = MobileNetV2::random(9).unwrap();
    let x = Var::from_tensor(&photos((1, 3, 32, 32))).unwrap();
    let loss = |x: &Tensor| net.logits(x).unwrap().narrow(1, 285, 1).unwrap().sum_all().unwrap();
    let gradient = loss(&x).backward().unwrap().get(&x).unwrap().clone();
    // Against the slope along the gradient itself, in small steps to both sides.
    let length = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    assert!(length > 0.);
    let step = 1e-2 / length as f64;
    let at = |by: f64| loss(&(x.as_tensor() + (&gradient * by).unwrap()).unwrap()).to_scalar::<f32>().unwrap();
    let slope = (at(step) - at(-step)) / (2. * step as f32);
    let wanted = length * length;
    assert!((slope - wanted).abs() < 0.05 * wanted, "{slope} and not {wanted}");
}

/// The tensors of a network, under torchvision's names.
fn tensors(net: &MobileNetV2) -> HashMap<String, Tensor> {
    let mut tensors = HashMap::new();
    let mut add = |kernel: String, norm: String, convolution: &Convolution| {
        let batch_norm = convolution.batch_norm.as_ref().unwrap();
        tensors.insert(format!("{kernel}.weight"), convolution.weight.clone());
        tensors.insert(format!("{norm}.weight"), batch_norm.weight.clone());
        tensors.insert(format!("{norm}.bias"), batch_norm.bias.clone());
        tensors.insert(format!("{norm}.running_mean"), batch_norm.running_mean.clone());
        tensors.insert(format!("{norm}.running_var"), batch_norm.running_var.clone());
    };
    add("features.0.0".into(), "features.0.1".into(), &net.stem);
    for (index, block) in (1..).zip(&net.blocks) {
        let name = format!("features.{index}.conv");
        let mut part = 0;
        for convolution in block.expand.iter().chain([&block.depthwise]) {
            add(format!("{name}.{part}.0"), format!("{name}.{part}.1"), convolution);
            part += 1;
        }
        add(format!("{name}.{part}"), format!("{name}.{}", part + 1), &block.project);
    }
    add("features.18.0".into(), "features.18.1".into(), &net.last);
    let (weight, bias) = net.classifier.clone().unwrap();
    tensors.insert("classifier.1.weight".into(), weight);
    tensors.insert("classifier.1.bias".into(), bias);
    tensors
}

#[test]
fn a_network_comes_back_from_its_tensors() {
    let net = MobileNetV2::random(11).unwrap();
    let x = photos((1, 3, 32, 32));
    let mut named = tensors(&net);
    assert_eq!(named.len(), 262);
    // A counter more and half precision kernels are no obstacle.
    named.insert("features.0.1.num_batches_tracked".into(), Tensor::new(7i64, &Device::Cpu).unwrap());
    let again = MobileNetV2::from_weights(&Weights::new("mine", named.clone())).unwrap();
    assert_eq!(again.spec.weights, "mine");
    assert_eq!(relative(&again.logits(&x).unwrap(), &net.logits(&x).unwrap()), 0.);
    named.values_mut().for_each(|tensor| *tensor = tensor.to_dtype(DType::F64).unwrap());
    assert!(MobileNetV2::from_weights(&Weights::new("double", named.clone())).unwrap().features(&x).is_ok());
    // Without a head there are features and no logits.
    named.retain(|name, _| !name.starts_with("classifier"));
    let headless = MobileNetV2::from_weights(&Weights::new("headless", named)).unwrap();
    assert_eq!(headless.spec.classes, 0);
    assert!(headless.features(&x).is_ok());
    assert!(headless.logits(&x).unwrap_err().to_string().contains("no head"));
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let named = tensors(&MobileNetV2::random(11).unwrap());
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    type Change = fn(&mut HashMap<String, Tensor>, &dyn Fn(&[usize]) -> Tensor);
    // (what is changed, words of the error)
    let cases: [(Change, &str); 5] = [
        (|t, _| drop(t.remove("features.7.conv.1.1.running_var")), "1 missing: features.7.conv.1.1.running_var"),
        (|t, zeros| drop(t.insert("layer4.weight".into(), zeros(&[1]))), "1 superfluous: layer4.weight"),
        (
            |t, zeros| drop(t.insert("features.0.0.weight".into(), zeros(&[32, 3, 1, 1]))),
            "1 of another shape: features.0.0.weight is [32, 3, 1, 1] and should be [32, 3, 3, 3]",
        ),
        (|t, zeros| drop(t.insert("classifier.1.weight".into(), zeros(&[1000]))), "classifier.1.weight is [1000]"),
        (|t, _| t.clear(), "260 missing: features.0.0.weight"),
    ];
    for (change, words) in cases {
        let mut named = named.clone();
        change(&mut named, &zeros);
        let error = MobileNetV2::from_weights(&Weights::new("mine", named)).unwrap_err().to_string();
        assert!(error.starts_with("mine: tensors ") && error.contains(words), "{words}: {error}");
    }
}

#[test]
fn timm_names_lead_to_the_same_network() {
    // The rule, written the other way round: from torchvision's blocks to timm's stages.
    let firsts = [1, 2, 4, 7, 11, 14, 17, 18];
    let timm = |name: &str| -> String {
        let parts: Vec<&str> = name.split('.').collect();
        let last = parts[parts.len() - 1];
        match parts[..parts.len() - 1] {
            ["classifier", "1"] => format!("classifier.{last}"),
            ["features", "0", "0"] => format!("conv_stem.{last}"),
            ["features", "0", "1"] => format!("bn1.{last}"),
            ["features", "18", "0"] => format!("conv_head.{last}"),
            ["features", "18", "1"] => format!("bn2.{last}"),
            ["features", block, "conv", ref inside @ ..] => {
                let block: usize = block.parse().unwrap();
                let stage = firsts.iter().rposition(|&first| first <= block).unwrap();
                let module = match (stage, inside) {
                    (0, ["0", "0"]) => "conv_dw",
                    (0, ["1"]) => "conv_pw",
                    (_, ["0", "0"]) => "conv_pw",
                    (_, ["1", "0"]) => "conv_dw",
                    (_, ["2"]) if stage > 0 => "conv_pwl",
                    (_, ["0", "1"]) => "bn1",
                    (0, ["2"]) | (_, ["1", "1"]) => "bn2",
                    (_, ["3"]) => "bn3",
                    _ => panic!("{name}"),
                };
                format!("blocks.{stage}.{}.{module}.{last}", block - firsts[stage])
            }
            _ => panic!("{name}"),
        }
    };
    let net = MobileNetV2::random(13).unwrap();
    let renamed: HashMap<_, _> = tensors(&net).into_iter().map(|(name, tensor)| (timm(&name), tensor)).collect();
    assert_eq!(renamed.len(), 262);
    assert!(renamed.contains_key("blocks.6.0.conv_pwl.weight") && renamed.contains_key("blocks.0.0.conv_dw.weight"));
    let again = MobileNetV2::from_weights(&Weights::new("timm", renamed)).unwrap();
    let x = photos((1, 3, 32, 32));
    assert_eq!(relative(&again.logits(&x).unwrap(), &net.logits(&x).unwrap()), 0.);
}

/// The tensors of an InceptionV3, under torchvision's names.
fn inception_tensors(net: &InceptionV3) -> HashMap<String, Tensor> {
    let mut tensors = HashMap::new();
    for named in net.blocks.iter().flat_map(Block::units) {
        let (name, norm) = (&named.name, named.convolution.batch_norm.as_ref().unwrap());
        tensors.insert(format!("{name}.conv.weight"), named.convolution.weight.clone());
        tensors.insert(format!("{name}.bn.weight"), norm.weight.clone());
        tensors.insert(format!("{name}.bn.bias"), norm.bias.clone());
        tensors.insert(format!("{name}.bn.running_mean"), norm.running_mean.clone());
        tensors.insert(format!("{name}.bn.running_var"), norm.running_var.clone());
    }
    let (weight, bias) = net.classifier.clone().unwrap();
    tensors.insert("fc.weight".into(), weight);
    tensors.insert("fc.bias".into(), bias);
    tensors
}

#[test]
fn an_inception_comes_back_from_its_tensors() {
    let net = InceptionV3::random(11).unwrap();
    let mut named = inception_tensors(&net);
    assert_eq!(named.len(), 94 * 5 + 2);
    let x = photos((1, 3, 75, 75));
    let last = |net: &InceptionV3| net.layer(&x, "Mixed_7c").unwrap();
    let again = InceptionV3::from_weights(&Weights::new("mine", named.clone())).unwrap();
    assert_eq!((again.spec.weights.as_str(), again.spec.classes, again.counts_padding), ("mine", 1000, true));
    assert_eq!(relative(&last(&again), &last(&net)), 0.);
    // The auxiliary head of training is left out; anything else is named.
    let zero = Tensor::zeros(&[1], DType::F32, &Device::Cpu).unwrap();
    named.insert("AuxLogits.conv0.conv.weight".into(), zero.clone());
    assert!(InceptionV3::from_weights(&Weights::new("mine", named.clone())).is_ok());
    named.insert("Mixed_8a.conv.weight".into(), zero);
    named.remove("Mixed_6b.branch7x7_2.bn.running_var");
    let error = InceptionV3::from_weights(&Weights::new("mine", named)).unwrap_err().to_string();
    assert!(error.contains("1 missing: Mixed_6b.branch7x7_2.bn.running_var"), "{error}");
    assert!(error.contains("1 superfluous: Mixed_8a.conv.weight"), "{error}");
}

#[test]
fn keras_layers_are_matched_by_their_numbers() {
    let net = InceptionV3::random(11).unwrap();
    let mut tensors = HashMap::new();
    // Numbers from 96 on: as text, 100 comes before 96.
    for (number, named) in (96..).zip(net.blocks.iter().flat_map(Block::units)) {
        let norm = named.convolution.batch_norm.as_ref().unwrap();
        let mut add = |layer: &str, part: &str, tensor: Tensor| {
            tensors.insert(format!("model_weights/{layer}_{number}/{layer}_{number}/{part}:0"), tensor);
        };
        add("conv2d", "kernel", named.convolution.weight.permute((2, 3, 1, 0)).unwrap());
        add("batch_normalization", "beta", norm.bias.clone());
        add("batch_normalization", "moving_mean", norm.running_mean.clone());
        add("batch_normalization", "moving_variance", norm.running_var.clone());
    }
    // A head, and what an optimiser keeps.
    let one = Tensor::ones(&[1], DType::F32, &Device::Cpu).unwrap();
    tensors.insert("model_weights/dense/dense/kernel:0".into(), one.clone());
    tensors.insert("optimizer_weights/adam/conv2d_1/kernel:0".into(), one.clone());
    let again = InceptionV3::from_weights(&Weights::new("keras", tensors.clone())).unwrap();
    assert!(!again.counts_padding && again.classifier.is_none());
    // The same network with scales of one and Keras' pools.
    let mut wanted = InceptionV3 { counts_padding: false, ..net };
    for block in &mut wanted.blocks {
        let unscaled = |named: &Named| {
            let mut named = named.clone();
            let norm = named.convolution.batch_norm.as_mut().unwrap();
            norm.weight = norm.weight.ones_like().unwrap();
            Ok::<_, Error>(named)
        };
        *block = block.map(unscaled).unwrap();
    }
    let x = photos((1, 3, 75, 75));
    let last = |net: &InceptionV3| net.layer(&x, "Mixed_7c").unwrap();
    assert_eq!(relative(&last(&again), &last(&wanted)), 0.);
    tensors.remove("model_weights/conv2d_100/conv2d_100/kernel:0");
    let error = InceptionV3::from_weights(&Weights::new("keras", tensors)).unwrap_err().to_string();
    assert!(error.contains("93 layers conv2d and 94 batch_normalization"), "{error}");
}

#[test]
fn every_part_of_inception_has_a_name() {
    let net = InceptionV3::random(5).unwrap();
    let folded = net.folded().unwrap();
    let mut names = net.layer_names();
    // 16 blocks, of which 5 are convolutions of the stem and 2 pools; 94 convolutions in two parts, 89 in blocks.
    assert_eq!(names.len(), 18 + 2 * 94 + 89);
    assert_eq!(folded.layer_names().len(), 18 + 94 + 89);
    let x = photos((1, 3, 75, 75));
    let layer = |name: &str| net.layer(&x, name).unwrap();
    let same = |a: &Tensor, b: &Tensor| relative(a, b) == 0.;
    // A block is its branches' ends, joined in order.
    let ends = ["branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"];
    let ends: Vec<Tensor> = ends.iter().map(|end| layer(&format!("Mixed_7b.{end}"))).collect();
    assert!(same(&Tensor::cat(&ends, 1).unwrap(), &layer("Mixed_7b")));
    assert!(same(&layer("Mixed_5b.branch5x5_2.bn").relu().unwrap(), &layer("Mixed_5b.branch5x5_2")));
    assert_eq!(layer("Mixed_6a.branch3x3dbl_3.conv").dims(), [1, 96, 3, 3]);
    assert_eq!(layer("maxpool1").dims(), [1, 64, 17, 17]);
    for name in folded.layer_names().iter().rev().step_by(17) {
        let off = relative(&folded.layer(&x, name).unwrap(), &layer(name));
        assert!(off < 1e-4, "{name}: {off}");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 18 + 2 * 94 + 89, "no name stands for two layers");
}

#[test]
fn a_gradient_reaches_the_photo_through_inception() {
    let net = InceptionV3::random(9).unwrap();
    let x = Var::from_tensor(&photos((1, 3, 75, 75))).unwrap();
    let loss = |x: &Tensor| net.layer(x, "Mixed_5c").unwrap().narrow(1, 200, 20).unwrap().mean_all().unwrap();
    let gradient = loss(&x).backward().unwrap().get(&x).unwrap().clone();
    let length = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    assert!(length > 0.);
    let step = 1e-2 / length as f64;
    let at = |by: f64| loss(&(x.as_tensor() + (&gradient * by).unwrap()).unwrap()).to_scalar::<f32>().unwrap();
    let (slope, wanted) = ((at(step) - at(-step)) / (2. * step as f32), length * length);
    assert!((slope - wanted).abs() < 0.05 * wanted, "{slope} and not {wanted}");
}
