//! What runs on a GPU against the same on the CPU: each operation forwards and backwards, and frozen networks.
//!
//! Skipped in a build without the feature `cuda`, and where there is no GPU. `.ci/cuda` runs it on a pretended one.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod gpu;
mod reference;

use candlewick::candle_core::{DType, Device, Tensor, Var};
use candlewick::device::{DeviceChoice, pick};
use candlewick::freeze::{FreezeOptions, Precision};
use candlewick::models::{Activation, Backbone, BatchNorm, Convolution, InceptionV3, MobileNetV2, Trail};
use candlewick::notebook::{self, Progress};
use candlewick::prelude::{Frozen, Pixels, Preprocess};
use gpu::{again, furthest, gpu, is_pretended, noise, numbers, photo};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A depthwise convolution with a batch norm and ReLU6, on a device.
fn depthwise(channels: usize, stride: usize, device: &Device) -> Convolution {
    let row = |seed| noise(seed, &[channels], device);
    let batch_norm = BatchNorm {
        weight: row(2),
        bias: row(3),
        running_mean: row(4),
        running_var: (row(5).abs().unwrap() + 0.5).unwrap(),
        eps: 1e-5,
    };
    Convolution {
        weight: noise(1, &[channels, 1, 3, 3], device),
        bias: None,
        batch_norm: Some(batch_norm),
        stride,
        padding: (1, 1),
        groups: channels,
        activation: Activation::Relu6,
    }
}

#[test]
fn a_layer_and_its_gradients_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    for (channels, height, width, stride) in [(5, 9, 12, 1), (3, 9, 12, 2), (4, 7, 7, 2), (2, 1, 1, 1)] {
        let run = |device: &Device| {
            let layer = depthwise(channels, stride, device);
            let x = Var::from_tensor(&noise(7, &[2, channels, height, width], device)).unwrap();
            let kernel = Var::from_tensor(&layer.weight).unwrap();
            let scale = Var::from_tensor(&layer.batch_norm.as_ref().unwrap().weight).unwrap();
            let mut learning = Convolution { weight: kernel.as_tensor().clone(), ..layer.clone() };
            learning.batch_norm.as_mut().unwrap().weight = scale.as_tensor().clone();
            let y = learning.forward(x.as_tensor()).unwrap();
            let weights = noise(8, y.dims(), device);
            // Summed on the host: what is tested are our operations, and how a gradient goes back to the GPU.
            let sum = (&y * &weights).unwrap().to_device(&Device::Cpu).unwrap().sum_all().unwrap();
            let gradients = sum.backward().unwrap();
            let folded = layer.folded().unwrap().forward(&x.detach()).unwrap();
            let mut made = vec![y.detach(), folded];
            made.extend([&x, &kernel, &scale].map(|variable| gradients.get(variable).unwrap().clone()));
            made
        };
        let names = ["forward", "folded and fused", "gradient of x", "of the kernel", "of the batch norm's scale"];
        for ((name, got), want) in names.into_iter().zip(run(&gpu)).zip(run(&Device::Cpu)) {
            let off = furthest(&got, &want);
            assert!(off < 1e-4, "{name}, {channels} channels of {height}x{width}, stride {stride}: {off}");
        }
    }
}

/// Inception's kinds of kernels, and a geometry with other numbers of pixels left over at the right and below.
#[test]
fn a_convolution_and_its_gradients_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    for (kernel, stride, padding, size) in [
        ((3, 3), 2, (0, 0), (9, 12)),
        ((3, 3), 1, (1, 1), (6, 5)),
        ((1, 7), 1, (0, 3), (5, 8)),
        ((7, 1), 1, (3, 0), (8, 5)),
        ((1, 1), 1, (0, 0), (4, 5)),
    ] {
        let run = |device: &Device| {
            let x = Var::from_tensor(&noise(1, &[2, 3, size.0, size.1], device)).unwrap();
            let kernel = Var::from_tensor(&noise(2, &[4, 3, kernel.0, kernel.1], device)).unwrap();
            let weight = kernel.as_tensor().clone();
            let (bias, activation) = (Some(noise(3, &[4], device)), Activation::Relu);
            let layer = Convolution { weight, bias, batch_norm: None, stride, padding, groups: 1, activation };
            let y = layer.forward(x.as_tensor()).unwrap();
            let weights = noise(4, y.dims(), device);
            let sum = (&y * &weights).unwrap().to_device(&Device::Cpu).unwrap().sum_all().unwrap();
            let gradients = sum.backward().unwrap();
            let frozen = Convolution { weight: layer.weight.detach(), ..layer.clone() };
            let fused = frozen.forward(&x.detach()).unwrap();
            let mut made = vec![y.detach(), fused];
            made.extend([&x, &kernel].map(|variable| gradients.get(variable).unwrap().clone()));
            // Of a frozen kernel no gradient is found.
            let sum = frozen.forward(x.as_tensor()).unwrap().to_device(&Device::Cpu).unwrap().sum_all().unwrap();
            assert!(sum.backward().unwrap().get(&layer.weight).is_none());
            made
        };
        let names = ["forward", "fused", "gradient of x", "of the kernel"];
        for ((name, got), want) in names.into_iter().zip(run(&gpu)).zip(run(&Device::Cpu)) {
            let off = furthest(&got, &want);
            assert!(off < 1e-5, "{name}, {kernel:?}, stride {stride}, padding {padding:?}: {off}");
        }
    }
}

#[test]
fn a_pointwise_layer_is_the_cpus_once_folded() {
    let Some(gpu) = gpu() else { return };
    for (activation, dtype, allowed) in [
        (Activation::Linear, DType::F32, 1e-5),
        (Activation::Relu, DType::F16, 2e-3),
        (Activation::Relu6, DType::BF16, 1e-2),
    ] {
        let run = |device: &Device| {
            let to = |tensor: Tensor| tensor.to_dtype(dtype).unwrap().to_device(device).unwrap();
            let layer = Convolution {
                weight: to(noise(1, &[7, 5, 1, 1], &Device::Cpu)),
                bias: Some(to(noise(2, &[7], &Device::Cpu))),
                batch_norm: None,
                stride: 1,
                padding: (0, 0),
                groups: 1,
                activation,
            };
            layer.forward(&to(noise(3, &[3, 5, 4, 6], &Device::Cpu))).unwrap()
        };
        let off = furthest(&run(&gpu), &run(&Device::Cpu));
        assert!(off < allowed, "{activation:?}, {dtype:?}: {off}");
    }
}

#[test]
fn frozen_mobilenet_gives_the_cpus_features() {
    let Some(gpu) = gpu() else { return };
    let net = MobileNetV2::random(7).unwrap();
    let freeze = |device, precision| {
        net.clone().freeze_with(FreezeOptions { device, precision, ..FreezeOptions::default() }).unwrap()
    };
    let photos: Vec<Pixels> = (0..3).map(|seed| photo(seed, 224)).collect();
    let progress = Progress::new("photos", Some(3), "photos");
    let of = |frozen: &Frozen| frozen.features_of_all(3, |index| Ok(photos[index].clone()), &progress).unwrap();
    let tensors: Vec<Tensor> = photos.iter().map(|photo| photo.to_tensor(&Preprocess::IMAGENET).unwrap()).collect();
    let want = net.features(&Tensor::cat(&tensors, 0).unwrap()).unwrap();
    for (precision, allowed) in [(Precision::F32, 1e-4), (Precision::F16, 2e-2), (Precision::Bf16, 2e-1)] {
        let frozen = freeze(DeviceChoice::Cuda(0), precision);
        assert!(frozen.place().contains("GPU 0") && frozen.device().same_device(&gpu), "{}", frozen.place());
        let got = of(&frozen);
        assert!(got.device().is_cpu(), "features lie on the host");
        let off = furthest(&got, &want);
        assert!(off < allowed, "{precision}: {off}");
        println!("{precision}: off by {off:.1e}");
        // One photo as a tensor of the CPU's.
        let alone = frozen.features(&tensors[1]).unwrap();
        assert!(alone.device().is_cpu());
        let off = furthest(&alone, &want.narrow(0, 1, 1).unwrap());
        assert!(off < allowed, "{precision}, one photo: {off}");
    }
}

/// Max pools, average pools, kernels of 1x7 and 7x1.
#[test]
fn layers_of_inception_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let net = InceptionV3::random(3).unwrap();
    let there = net.to_device(&gpu).unwrap();
    let x = noise(1, &[1, 3, 79, 81], &Device::Cpu);
    for layer in ["maxpool1", "maxpool2", "Mixed_5b", "Mixed_6b"] {
        let off = furthest(&there.layer(&x, layer).unwrap(), &net.layer(&x, layer).unwrap());
        assert!(off < 1e-4, "{layer}: {off}");
    }
}

/// As heat maps and filters need them: from features back to a photo on the CPU, through all of the network.
#[test]
fn gradients_of_whole_networks_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    fn gradient(x: &Tensor, features: impl Fn(&Tensor) -> candlewick::Result<Tensor>) -> Tensor {
        let x = Var::from_tensor(x).unwrap();
        let y = features(x.as_tensor()).unwrap().to_device(&Device::Cpu).unwrap();
        let weights = noise(9, y.dims(), &Device::Cpu);
        let gradients = (y * weights).unwrap().sum_all().unwrap().backward().unwrap();
        gradients.get(&x).unwrap().clone()
    }
    let net = MobileNetV2::random(5).unwrap();
    let there = net.to_device(&gpu).unwrap();
    let x = noise(1, &[1, 3, 40, 40], &Device::Cpu);
    let off = furthest(&gradient(&x, |x| there.features(x)), &gradient(&x, |x| net.features(x)));
    assert!(off < 1e-3, "MobileNetV2: {off}");
    let net = InceptionV3::random(5).unwrap();
    let there = net.to_device(&gpu).unwrap();
    let x = noise(1, &[1, 3, 75, 75], &Device::Cpu);
    // Its first max pool, its first average pool, and kernels of 1x7.
    for layer in ["maxpool1", "Mixed_5b", "Mixed_6b"] {
        let off = furthest(&gradient(&x, |x| there.layer(x, layer)), &gradient(&x, |x| net.layer(x, layer)));
        assert!(off < 1e-3, "InceptionV3 to {layer}: {off}");
    }
}

/// The way back without candle's graph is for the CPU alone.
#[test]
fn a_gpu_leaves_no_way_back_but_candles_graph() {
    let Some(gpu) = gpu() else { return };
    let x = noise(1, &[1, 3, 32, 32], &Device::Cpu);
    for (device, is_left) in [(&Device::Cpu, true), (&gpu, false)] {
        let folded = MobileNetV2::random(5).unwrap().to_device(device).unwrap().compact().unwrap().unwrap();
        let mut trail = Trail::default();
        folded.trailed(&x, &mut |_, x| Ok(Some(x)), &mut trail).unwrap().unwrap();
        assert_eq!(trail.is_empty(), !is_left, "{device:?}");
    }
}

/// Not a test of its own: what [`a_pick_says_why`] asks for.
#[test]
fn print_picks() {
    for choice in [DeviceChoice::Automatic, DeviceChoice::Cuda(0), DeviceChoice::Cuda(1)] {
        match pick(choice) {
            Ok(picked) => println!("{choice:?} -> {picked}"),
            Err(error) => println!("{choice:?} -> error: {error}"),
        }
    }
}

#[test]
fn a_pick_says_why() {
    if !is_pretended() {
        return;
    }
    let said = |environment: &[(&str, &str)]| String::from_utf8(again("print_picks", environment).stdout).unwrap();
    let one = said(&[]);
    assert!(one.contains("Automatic -> GPU 0: a pretended GPU, compute capability 8.0, 2.0 of 2.0 GiB free"), "{one}");
    assert!(one.contains("Cuda(1) -> error: the device is cuda:1: there is one GPU, cuda:0"), "{one}");
    let two = said(&[("PRETEND_GPUS", "2"), ("CANDLEWICK_DEVICE", "cuda:1")]);
    assert!(two.contains("Automatic -> GPU 1") && two.contains("Cuda(0) -> GPU 0"), "{two}");
    let none = said(&[("PRETEND_GPUS", "0")]);
    assert!(none.contains("Automatic -> the CPU: the NVIDIA driver offers no GPU"), "{none}");
    assert!(none.contains("Cuda(0) -> error") && none.contains("nvidia-smi"), "{none}");
    let idle = said(&[("PRETEND_IDLE", "1")]);
    assert!(
        idle.contains("Automatic -> the CPU: the GPU cannot be used (it computes other numbers than the CPU)"),
        "{idle}"
    );
    let old = said(&[("PRETEND_OLD", "1")]);
    let words = "the GPU cannot be used (its driver is older than the CUDA toolkit of this build";
    assert!(
        old.contains(&format!("Automatic -> the CPU: {words}")) && old.contains(&format!("cuda:0: {words}")),
        "{old}"
    );
    assert!(old.contains("install a newer driver"), "{old}");
    let cpu = said(&[("CANDLEWICK_DEVICE", "cpu")]);
    assert!(cpu.contains("Automatic -> the CPU: it was asked for"), "{cpu}");
    let wrong = said(&[("CANDLEWICK_DEVICE", "gpu")]);
    assert!(wrong.contains("Automatic -> error: CANDLEWICK_DEVICE is \"gpu\""), "{wrong}");
}

/// Not a test of its own: what [`memory_that_runs_out_is_survived_or_said`] asks for.
#[test]
fn print_features() {
    if std::env::var_os("PRETEND_MEMORY").is_none() {
        return;
    }
    let progress = Progress::new("photos", Some(4), "photos");
    let frozen = MobileNetV2::random(7).unwrap().freeze();
    let features = frozen.and_then(|frozen| {
        let features = frozen.features_of_all(4, |index| Ok(photo(index, 224)), &progress)?;
        if std::env::var_os("PRETEND_FREE").is_none() {
            let x = Tensor::zeros((64, 3, 224, 224), DType::F32, &Device::Cpu)?;
            frozen.features(&x).map_or_else(|why| println!("too many: {why}"), drop);
        }
        Ok(features)
    });
    match features {
        Ok(features) => println!("features {:?}", numbers(&features.narrow(1, 0, 3).unwrap())),
        Err(error) => println!("error: {error}"),
    }
}

#[test]
fn memory_that_runs_out_is_survived_or_said() {
    if !is_pretended() {
        return;
    }
    // The GPU says that there is room for all four photos at once; there is for all, for two, and for none.
    let said = |bytes: &str| {
        let output = again("print_features", &[("PRETEND_MEMORY", bytes), ("PRETEND_FREE", "2000000000")]);
        let ran_out = String::from_utf8(output.stderr).unwrap().matches("is out of memory").count();
        let said = String::from_utf8(output.stdout).unwrap();
        // libtest may have begun the line.
        let start = ["features [", "error: "].iter().find_map(|words| said.find(words)).expect("features or an error");
        (said[start..].lines().next().unwrap_or_default().to_owned(), ran_out)
    };
    let (all, two, none) = (said("200000000"), said("60000000"), said("40000000"));
    assert!(all.0.starts_with("features [") && all.1 == 0, "{all:?}");
    assert_eq!((&two.0, two.1), (&all.0, 1), "in halves the same");
    let (none, ran_out) = none;
    assert_eq!(ran_out, 2, "tried once more, and no more");
    assert!(none.contains("2 photos at a time of 224x224") && none.contains("CANDLEWICK_DEVICE=cpu"), "{none}");
    let (nothing, _) = said("15000000");
    assert!(nothing.contains("the GPU's memory is too small for mobilenet_v2 with its weights: End what"), "{nothing}");
    assert!(nothing.contains("CANDLEWICK_DEVICE=cpu"), "{nothing}");
    let many = again("print_features", &[("PRETEND_MEMORY", "200000000")]);
    let many = String::from_utf8(many.stdout).unwrap();
    assert!(many.contains("too many: the GPU's memory is too small for photos [64, 3, 224, 224] at a time"), "{many}");
}

/// Not a test of its own: what [`an_interrupt_ends_a_batch_half_read`] asks for.
#[test]
fn print_interrupted() {
    if std::env::var_os("PRETEND_FREE").is_none() || std::env::var_os("PRETEND_MEMORY").is_some() {
        return;
    }
    let frozen = MobileNetV2::random(7).unwrap().freeze().unwrap();
    let (progress, read) = (Progress::new("photos", Some(40), "photos"), AtomicUsize::new(0));
    let photo = |index| {
        if notebook::interrupted() {
            return Err(candlewick::Error::Interrupted);
        }
        if read.fetch_add(1, Ordering::SeqCst) == 5 {
            notebook::interrupt();
        }
        Ok(photo(index, 224))
    };
    let ended = frozen.features_of_all(40, photo, &progress);
    let interrupted = matches!(ended, Err(candlewick::Error::Interrupted));
    println!("interrupted: {interrupted}, read: {}", read.into_inner());
}

#[test]
fn an_interrupt_ends_a_batch_half_read() {
    if !is_pretended() {
        return;
    }
    // A batch of twenty.
    let output = again("print_interrupted", &[("PRETEND_FREE", "800000000")]);
    let said = String::from_utf8(output.stdout).unwrap();
    let read = said.split("interrupted: true, read: ").nth(1).and_then(|rest| rest.lines().next());
    let read: usize = read.and_then(|read| read.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert!((6..6 + cores).contains(&read), "{read} photos were read on {cores} cores");
}
