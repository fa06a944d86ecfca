//! What is found inside a network on a GPU against the same on the CPU: heat maps, activations, filters.
//!
//! Skipped in a build without the feature `cuda`, and where there is no GPU. `.ci/cuda` runs it on a pretended one.
#![allow(clippy::unwrap_used)]

mod gpu;
mod reference;

use candlewick::explain::{Ended, Filters};
use candlewick::models::{Activation, BackboneSpec, BatchNorm, Convolution, LayerInfo, Layers, Tap};
use candlewick::prelude::*;
use gpu::{furthest, gpu, noise, photo};

const SIDE: usize = 24;

/// A network small enough to be run hundreds of times: a convolution of stride 2, a depthwise and a pointwise one.
struct Small {
    spec: BackboneSpec,
    layers: [(&'static str, Convolution); 3],
}

impl Small {
    fn new(device: &Device) -> Self {
        let norm = |seed, channels: usize| BatchNorm {
            weight: (noise(seed, &[channels], device).abs().unwrap() + 0.5).unwrap(),
            // Most of what comes out is above 0.
            bias: (noise(seed + 1, &[channels], device).abs().unwrap() + 0.5).unwrap(),
            running_mean: noise(seed + 2, &[channels], device),
            running_var: (noise(seed + 3, &[channels], device).abs().unwrap() + 0.5).unwrap(),
            eps: 1e-3,
        };
        let layer = |seed, shape: &[usize], stride, groups, activation| Convolution {
            weight: noise(seed, shape, device),
            bias: None,
            batch_norm: Some(norm(seed + 10, shape[0])),
            stride,
            padding: (shape[2] / 2, shape[3] / 2),
            groups,
            activation,
        };
        let layers = [
            ("stem", layer(1, &[6, 3, 3, 3], 2, 1, Activation::Relu)),
            ("middle", layer(2, &[6, 1, 3, 3], 1, 6, Activation::Relu6)),
            ("last", layer(3, &[5, 6, 1, 1], 1, 1, Activation::Relu)),
        ];
        let spec = BackboneSpec {
            name: "small",
            preprocess: Preprocess { side: SIDE, ..Preprocess::IMAGENET },
            features: 5,
            classes: 0,
            last_convolution: "last",
            weights: "noise".to_owned(),
        };
        Self { spec, layers }
    }
}

impl Backbone for Small {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn features(&self, photos: &Tensor) -> Result<Tensor> {
        Ok(self.tapped(photos, &mut |_, x| Ok(Some(x)))?.unwrap())
    }

    fn logits(&self, _: &Tensor) -> Result<Tensor> {
        Err(Error::Data("no head".to_owned()))
    }

    fn tapped(&self, photos: &Tensor, tap: &mut Tap<'_>) -> Result<Option<Tensor>> {
        let mut x = photos.to_device(self.device())?;
        for (name, layer) in &self.layers {
            match tap(name, layer.forward(&x)?)? {
                Some(y) => x = y,
                None => return Ok(None),
            }
        }
        Ok(Some(x.mean((2, 3))?))
    }

    fn layer_names(&self) -> Vec<String> {
        self.layers.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn classifier(&self) -> Option<(&Tensor, &Tensor)> {
        None
    }

    fn rectified(&self) -> Vec<String> {
        self.layer_names()
    }

    fn layers(&self) -> Layers {
        let layer = |(name, layer): &(&str, Convolution)| {
            let output = (layer.weight.dim(0).unwrap(), SIDE / 2, SIDE / 2);
            LayerInfo { name: (*name).to_owned(), kind: "Convolution", output, parameters: 0, statistics: 0 }
        };
        self.layers.iter().map(layer).collect::<Vec<_>>().into()
    }

    fn device(&self) -> &Device {
        self.layers[0].1.weight.device()
    }
}

/// A model whose frozen part is there, with the head that every such model begins with.
fn model(device: &Device) -> TransferModel<Small> {
    let classes = ["cat", "dog", "newt"].map(str::to_owned);
    TransferModel::new(Frozen::plain(Small::new(device)).unwrap(), &classes).unwrap()
}

#[test]
fn heat_maps_of_every_method_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let (there, here) = (model(&gpu), model(&Device::Cpu));
    let photo = photo(1, 40);
    let mut peaks = 0;
    for method in [Method::Cam, Method::GradCam, Method::GradCamPlusPlus, Method::Occlusion { patch: 8, stride: 4 }] {
        for class in ["cat", "newt"] {
            let options = || HeatMapOptions { class: Some(class.to_owned()), method, ..HeatMapOptions::default() };
            let (got, want) =
                (there.heat_map_with(&photo, options()).unwrap(), here.heat_map_with(&photo, options()).unwrap());
            assert!(got.map.device().is_cpu());
            assert!((got.logit - want.logit).abs() < 1e-4, "{got} and {want}");
            assert!((got.peak - want.peak).abs() < 1e-3 * want.peak.max(0.01), "{got}: {} and {}", got.peak, want.peak);
            if want.peak > 0.0 {
                let off = furthest(&got.map, &want.map);
                assert!(off < 1e-3, "{got}: {off}");
                peaks += 1;
            }
            assert!(got.overlay().is_ok());
        }
    }
    assert!(peaks >= 4, "most maps are not empty: {peaks}");
    let early = HeatMapOptions { layer: Some("stem".into()), class: Some("dog".into()), ..HeatMapOptions::default() };
    let (got, want) = (there.heat_map_with(&photo, early.clone()).unwrap(), here.heat_map_with(&photo, early).unwrap());
    assert!(furthest(&got.map, &want.map) < 1e-3);
    let (got, want) = (there.faithfulness(&got).unwrap(), here.faithfulness(&want).unwrap());
    assert!((got.deletion_area() - want.deletion_area()).abs() < 1e-3, "{got} and {want}");
    assert!((got.insertion_area() - want.insertion_area()).abs() < 1e-3, "{got} and {want}");
    assert!(there.heat_maps(&photo, &["cat", "dog"]).unwrap().row().is_ok());
}

#[test]
fn activations_and_silent_channels_come_back_to_the_host() {
    let Some(gpu) = gpu() else { return };
    let (there, here) = (model(&gpu), model(&Device::Cpu));
    let photo = photo(2, SIDE);
    let layers = ["stem", "last"];
    let (got, want) = (there.activations(&photo, &layers).unwrap(), here.activations(&photo, &layers).unwrap());
    for layer in layers {
        assert!(got.get(layer).unwrap().device().is_cpu());
        assert!(furthest(got.get(layer).unwrap(), want.get(layer).unwrap()) < 1e-5, "{layer}");
        assert!(got.grid(layer).is_ok());
    }
    let silent = |model: &TransferModel<Small>| {
        let input = photo.to_tensor(&model.frozen().spec().preprocess).unwrap();
        model.subject().silent(&input).unwrap()
    };
    let (got, want) = (silent(&there), silent(&here));
    assert_eq!(got.len(), 3);
    assert!(got.iter().zip(&want).all(|(got, want)| (got.zeros - want.zeros).abs() < 0.02), "{got:?} and {want:?}");
}

/// The largest difference of two pictures' pixels, in grey levels.
fn apart(got: &Filters, want: &Filters) -> u8 {
    let pairs = got.pictures().zip(want.pictures());
    let pixels = pairs.flat_map(|((_, got), (_, want))| got.rgb.iter().zip(&want.rgb).map(|(a, b)| a.abs_diff(*b)));
    pixels.max().unwrap()
}

#[test]
fn filters_climb_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let (there, here) = (model(&gpu), model(&Device::Cpu));
    // With the noise they begin with, and the path of a few steps: rounding grows from step to step.
    for options in [FilterOptions::default(), FilterOptions::pixels()] {
        let options = || FilterOptions { steps: 4, side: SIDE, jitter: 2, ..options.clone() };
        let climb = |model: &TransferModel<Small>| model.filters("middle", &[2, 5], options()).unwrap();
        let (got, want) = (climb(&there), climb(&here));
        assert_eq!((got.pictures().count(), got.filters[0].ended), (2, Ended::Finished));
        assert!(apart(&got, &want) <= 2, "{}", apart(&got, &want));
        for (got, want) in got.filters.iter().zip(&want.filters) {
            let off = got.objective.iter().zip(&want.objective).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
            assert!(off < 1e-3, "{:?} and {:?}", got.objective, want.objective);
        }
        let climb = |model: &TransferModel<Small>| model.class_picture("dog", options()).unwrap();
        assert!(apart(&climb(&there), &climb(&here)) <= 2);
    }
}

/// A whole network with a head of its own, by itself and frozen.
#[test]
fn mobilenet_is_looked_into_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let here = MobileNetV2::random(3).unwrap();
    let there = here.to_device(&gpu).unwrap();
    let photo = photo(3, 96);
    for layer in ["features.18", "features.13"] {
        let options =
            || HeatMapOptions { layer: Some(layer.into()), class: Some("7".into()), ..HeatMapOptions::default() };
        let (got, want) =
            (there.heat_map_with(&photo, options()).unwrap(), here.heat_map_with(&photo, options()).unwrap());
        assert!(want.peak > 0.0 && furthest(&got.map, &want.map) < 1e-2, "{layer}");
        assert!((got.logit - want.logit).abs() < 1e-3 * want.logit.abs().max(1.0), "{got} and {want}");
    }
    let options = || FilterOptions { steps: 2, side: 32, ..FilterOptions::default() };
    let climb = |net: &MobileNetV2| net.filters("features.3", &[5], options()).unwrap();
    assert!(apart(&climb(&there), &climb(&here)) <= 2);
    // Frozen there: the head too, and whoever asks for a layer of a photo on the host has it on the host.
    let frozen = here.clone().freeze().unwrap();
    assert!(frozen.device().same_device(&gpu));
    let x = photo.to_tensor(&Preprocess::IMAGENET).unwrap();
    let layer = frozen.layer(&x, "features.18").unwrap();
    assert!(layer.device().is_cpu() && furthest(&layer, &here.layer(&x, "features.18").unwrap()) < 1e-3);
    let (got, want) = (frozen.heat_map(&photo, "7").unwrap(), here.heat_map(&photo, "7").unwrap());
    assert!(furthest(&got.map, &want.map) < 1e-2);
}
