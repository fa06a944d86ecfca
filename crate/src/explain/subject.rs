//! Whatever can be looked into: a backbone by itself, frozen, or with a head of the learner's own.

use super::names::{FEW, holding, listed};
use super::{Method, Relevance, SilentLayer, cam, occlusion, silence};
use crate::freeze::Engine;
use crate::images::{Pixels, Preprocess};
use crate::models::{Backbone, imagenet, nearest, no_such_layer};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::{HashMap, HashSet};

/// A network to look into: a backbone through which gradients flow, and the head behind it.
#[derive(Clone)]
pub struct Subject<'a> {
    /// In plain candle.
    pub(crate) backbone: &'a dyn Backbone,
    /// Weight `(K, F)` and bias `(K,)`, detached; none where the weights have no head.
    head: Option<(Tensor, Tensor)>,
    /// The learner's own classes; none where they are ImageNet's, or without names.
    classes: Option<&'a [String]>,
    /// The same network without gradients, where it has been compiled.
    engine: Option<&'a Engine>,
}

impl<'a> Subject<'a> {
    /// A backbone with its own head, if it has one.
    pub(crate) fn of_backbone(backbone: &'a dyn Backbone) -> Self {
        let head = backbone.classifier().map(|(weight, bias)| (weight.detach(), bias.detach()));
        Self { backbone, head, classes: None, engine: None }
    }

    /// A backbone with another head: weight `(K, F)`, bias `(K,)`, and K names.
    pub(crate) fn with_head(
        backbone: &'a dyn Backbone,
        (weight, bias): (&Tensor, &Tensor),
        classes: &'a [String],
    ) -> Self {
        Self { backbone, head: Some((weight.detach(), bias.detach())), classes: Some(classes), engine: None }
    }

    /// The same, with what computes its features fast.
    pub(crate) fn with_engine(self, engine: &'a Engine) -> Self {
        Self { engine: Some(engine), ..self }
    }

    /// The same head behind another form of the same backbone.
    pub(crate) fn through<'b>(&self, backbone: &'b dyn Backbone) -> Subject<'b>
    where
        'a: 'b,
    {
        Subject { backbone, ..self.clone() }
    }

    /// How it wants its photos.
    pub(crate) fn preprocess(&self) -> &Preprocess {
        &self.backbone.spec().preprocess
    }

    /// The head's weight `(K, F)` and bias `(K,)`.
    ///
    /// # Errors
    /// [`Error::Weights`] where the weights have no head.
    pub(crate) fn head(&self) -> Result<(&Tensor, &Tensor)> {
        let why = "these weights have no head, so no class can be explained: train one on top (`TransferModel`), or look \
                   at layers and filters";
        let none = || Error::Weights { file: self.backbone.spec().weights.clone(), why: why.into() };
        self.head.as_ref().map(|(weight, bias)| (weight, bias)).ok_or_else(none)
    }

    /// Features `(N, F)` to logits `(N, K)` where the head is, before any softmax; differentiable in the features.
    ///
    /// # Errors
    /// As for [`head`](Self::head).
    pub(crate) fn logits(&self, features: &Tensor) -> Result<Tensor> {
        let (weight, bias) = self.head()?;
        let features = features.to_device(weight.device())?.to_dtype(weight.dtype())?;
        Ok(features.matmul(&weight.t()?)?.broadcast_add(bias)?)
    }

    /// Preprocessed photos `(N, 3, side, side)` to logits `(N, K)`, by the compiled network where there is one; no
    /// gradients.
    pub(crate) fn logits_of(&self, photos: &Tensor) -> Result<Tensor> {
        self.head()?;
        let features = match self.engine {
            Some(engine) => engine.features(photos)?,
            None => self.backbone.features(&photos.detach())?.detach(),
        };
        self.logits(&features)
    }

    /// Where the network computes: photos are brought there once, and what is found comes back to the host.
    pub(crate) fn device(&self) -> &Device {
        self.backbone.device()
    }

    /// A photo as the network wants it, `(1, 3, side, side)`.
    pub(crate) fn input(&self, photo: &Pixels) -> Result<Tensor> {
        Ok(photo.to_tensor(self.preprocess())?.to_device(self.device())?)
    }

    /// [`Error::Layer`], with the nearest name, unless there is such a layer; [`Error::Setting`] for a part of the head, which
    /// is there, and has no places.
    pub(crate) fn check_layers(&self, layers: &[&str]) -> Result<()> {
        let names = self.backbone.layer_names();
        match layers.iter().find(|layer| !names.iter().any(|name| name == *layer)) {
            Some(layer) if is_of_a_head(layer) => Err(Error::Setting {
                setting: "the layer",
                got: format!("`{layer}`"),
                want: format!(
                    "that is the head, behind the means over all places, so it has no rows and columns left; the last layer \
                     that has is `{}`",
                    self.backbone.spec().last_convolution
                ),
            }),
            Some(unknown) => Err(no_such_layer(self.backbone.spec().name, unknown, &names)),
            None => Ok(()),
        }
    }

    /// The activations `(N, C, h, w)` of some layers, by name and in the order asked for, in one run that ends behind
    /// the last of them, on the host. `photos` are preprocessed, `(N, 3, H, W)`.
    ///
    /// # Errors
    /// [`Error::Layer`], with the nearest name, for a layer that there is not; [`Error::Setting`] for a part of the head;
    /// [`Error::Shape`] for what are no photos.
    pub fn activations(&self, photos: &Tensor, layers: &[&str]) -> Result<Vec<Tensor>> {
        self.check_layers(layers)?;
        let wanted: HashSet<&str> = layers.iter().copied().collect();
        let mut found: HashMap<String, Tensor> = HashMap::new();
        if !wanted.is_empty() {
            self.backbone.tapped(&photos.detach(), &mut |met, x| {
                if wanted.contains(met) {
                    found.insert(met.to_owned(), x.detach().to_device(&Device::Cpu)?);
                }
                Ok((found.len() < wanted.len()).then_some(x))
            })?;
        }
        let missing = |layer: &str| Error::Data(format!("the run did not come to the layer `{layer}`"));
        layers.iter().map(|layer| found.get(*layer).cloned().ok_or_else(|| missing(layer))).collect()
    }

    /// How much of each layer behind a ReLU says nothing of a photo, preprocessed, `(1, 3, side, side)`.
    ///
    /// # Errors
    /// [`Error::Data`] for a network that does not tell its ReLUs.
    pub fn silent(&self, photo: &Tensor) -> Result<Vec<SilentLayer>> {
        silence::counted(self, 1, &mut std::iter::once(Ok(photo.clone())))
    }

    /// How much each place of a photo speaks for each of `classes`, by number: the numbers behind a
    /// [`HeatMap`](super::HeatMap), before they are scaled. `photo` is preprocessed, `(1, 3, side, side)`; `layer` none
    /// is the last convolution.
    ///
    /// # Errors
    /// As for [`Explain::heat_map_with`](super::Explain::heat_map_with).
    pub fn relevance(
        &self,
        photo: &Tensor,
        classes: &[usize],
        layer: Option<&str>,
        method: Method,
    ) -> Result<Vec<Relevance>> {
        self.head()?;
        if let Some(class) = classes.iter().find(|class| **class >= self.count()) {
            let want = format!("the network has {} classes, counted from 0", self.count());
            return Err(Error::Setting { setting: "the class", got: class.to_string(), want });
        }
        if photo.dims().first() != Some(&1) {
            return Err(Error::shape("a heat map", "(1, 3, side, side)", photo.dims()));
        }
        match (method, layer) {
            (Method::Occlusion { .. }, Some(layer)) => Err(Error::Setting {
                setting: "the layer of an occlusion map",
                got: format!("`{layer}`"),
                want: "occlusion covers the photo and looks at no layer: leave it out".into(),
            }),
            (Method::Occlusion { patch, stride }, None) => occlusion::relevance(self, photo, classes, (patch, stride)),
            _ => cam::relevance(self, photo, classes, layer, method),
        }
    }

    /// The name of a class, or its number where it has none.
    pub(crate) fn class_name(&self, class: usize) -> String {
        let of_imagenet = || (self.count() == imagenet::CLASSES).then(|| imagenet::label(class)).flatten();
        match self.classes {
            Some(names) => names.get(class).cloned(),
            None => of_imagenet().map(str::to_owned),
        }
        .unwrap_or_else(|| format!("class {class}"))
    }

    /// How many classes its head tells apart; 0 without a head.
    pub(crate) fn count(&self) -> usize {
        self.head.as_ref().map_or(0, |(_, bias)| bias.elem_count())
    }

    /// The number of the class that is called `name`, or whose number it is.
    ///
    /// # Errors
    /// [`Error::Data`] where there is none: with all names where they are few, else with those that hold this one's words,
    /// or the nearest.
    pub(crate) fn class(&self, name: &str) -> Result<usize> {
        self.head()?;
        let names: Vec<String> = (0..self.count()).map(|class| self.class_name(class)).collect();
        let by_number = || name.parse().ok().filter(|class| *class < names.len());
        if let Some(class) = names.iter().position(|known| known == name).or_else(by_number) {
            return Ok(class);
        }
        Err(Error::Data(format!("there is no class `{name}`: {}", classes_instead(name, &names))))
    }
}

/// Whether a layer's name is one that heads have in files of weights and in other libraries: `classifier.1`, `fc`.
fn is_of_a_head(layer: &str) -> bool {
    let first = layer.split('.').next().unwrap_or_default();
    ["classifier", "fc", "head", "logits", "predictions"].contains(&first.to_lowercase().as_str())
}

/// What to ask for instead of a class that there is not.
fn classes_instead(name: &str, names: &[String]) -> String {
    let Some(last) = names.len().checked_sub(1) else { return "the network has none".to_owned() };
    if name.parse::<i128>().is_ok() {
        return format!("by number, classes are 0 to {last}");
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    if all.len() <= FEW {
        return format!("the classes are {}", listed(&all));
    }
    match holding(name, names).as_slice() {
        [] => format!("the nearest of its {} classes is `{}`", all.len(), nearest(name, names)),
        alike => format!("of its {} classes, these have that in their names: {}", all.len(), listed(alike)),
    }
}
