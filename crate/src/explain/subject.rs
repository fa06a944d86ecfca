//! Whatever can be looked into: a backbone by itself, frozen, or with a head of the learner's own.

use super::ascent::{self, FilterOptions, Filters};
use crate::freeze::Frozen;
use crate::images::Preprocess;
use crate::models::{Backbone, InceptionV3, MobileNetV2, imagenet};
use crate::train::{Classifier, TransferModel};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// A network to look into: a backbone through which gradients flow, and the head behind it.
#[derive(Clone)]
pub struct Subject<'a> {
    /// In plain candle.
    pub(crate) backbone: &'a dyn Backbone,
    /// Weight `(K, F)` and bias `(K,)`, detached; none where the weights have no head.
    head: Option<(Tensor, Tensor)>,
    /// The learner's own classes; none where they are ImageNet's, or without names.
    classes: Option<&'a [String]>,
}

impl<'a> Subject<'a> {
    /// A backbone with its own head, if it has one.
    pub(crate) fn of_backbone(backbone: &'a dyn Backbone) -> Self {
        let head = backbone.classifier().map(|(weight, bias)| (weight.detach(), bias.detach()));
        Self { backbone, head, classes: None }
    }

    /// A backbone with another head: weight `(K, F)`, bias `(K,)`, and K names.
    pub(crate) fn with_head(
        backbone: &'a dyn Backbone,
        (weight, bias): (&Tensor, &Tensor),
        classes: &'a [String],
    ) -> Self {
        Self { backbone, head: Some((weight.detach(), bias.detach())), classes: Some(classes) }
    }

    /// How it wants its photos.
    pub(crate) fn preprocess(&self) -> &Preprocess {
        &self.backbone.spec().preprocess
    }

    /// Where its weights are, as far as its own head tells.
    pub(crate) fn device(&self) -> Device {
        self.backbone.classifier().map_or(Device::Cpu, |(weight, _)| weight.device().clone())
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

    /// Features `(N, F)` to logits `(N, K)`, before any softmax; differentiable in the features.
    ///
    /// # Errors
    /// As for [`head`](Self::head).
    pub(crate) fn logits(&self, features: &Tensor) -> Result<Tensor> {
        let (weight, bias) = self.head()?;
        Ok(features.matmul(&weight.t()?)?.broadcast_add(bias)?)
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
    /// [`Error::Setting`] where there is none, with the nearest names.
    pub(crate) fn class(&self, name: &str) -> Result<usize> {
        self.head()?;
        let names: Vec<String> = (0..self.count()).map(|class| self.class_name(class)).collect();
        let by_number = || name.parse().ok().filter(|class| *class < names.len());
        if let Some(class) = names.iter().position(|known| known == name).or_else(by_number) {
            return Ok(class);
        }
        let nearest = crate::models::nearest(name, &names);
        let want = format!("the nearest of its {} classes is `{nearest}`", names.len());
        Err(Error::Setting { setting: "the class", got: format!("`{name}`"), want })
    }
}

/// What can be looked into: [`MobileNetV2`] and [`InceptionV3`] with ImageNet's classes, a [`Frozen`] one, a
/// [`TransferModel`] or a loaded [`Classifier`] with the learner's own.
pub trait Explain {
    /// The network to look into.
    fn subject(&self) -> Subject<'_>;

    /// What these channels of a layer look for: pictures that excite them, made from noise by gradient ascent.
    ///
    /// The pictures appear as they climb. An interrupt keeps what they have become, and says so; so does a climb on which
    /// something stops being a number.
    ///
    /// ```
    /// use candlewick::explain::FilterOptions;
    /// use candlewick::prelude::*;
    ///
    /// let network = MobileNetV2::random(42)?; // `MobileNetV2::pretrained()?` for the trained weights
    /// let quick = FilterOptions { steps: 2, side: 32, ..FilterOptions::default() };
    /// let filters = network.filters("features.2", &[0, 5], quick)?;
    /// assert_eq!(filters.filters[1].name, "features.2 #5");
    /// assert_eq!(filters.filters[1].objective.len(), 2);
    /// filters.grid()?; // what is shown where `filters` ends a cell
    /// # Ok::<(), candlewick::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Layer`] with the nearest name; [`Error::Setting`] for a channel that the layer does not have, no channel at
    /// all, and options out of range; [`Error::Shape`] for a side the network does not take; [`Error::Interrupted`] before
    /// the first step.
    fn filters(&self, layer: &str, channels: &[usize], options: FilterOptions) -> Result<Filters> {
        ascent::filters(&self.subject(), layer, |_| channels.to_vec(), options)
    }

    /// As [`filters`](Self::filters), of `count` channels, evenly spread from the layer's first on.
    ///
    /// # Errors
    /// As for [`filters`](Self::filters).
    fn some_filters(&self, layer: &str, count: usize, options: FilterOptions) -> Result<Filters> {
        ascent::filters(&self.subject(), layer, |of| ascent::spread(count, of), options)
    }

    /// What a class looks like to the network: a picture that makes its logit large.
    ///
    /// # Errors
    /// As for [`filters`](Self::filters); [`Error::Setting`], with the nearest name, for a class that there is not;
    /// [`Error::Weights`] where the network has no head.
    fn class_picture(&self, class: &str, options: FilterOptions) -> Result<Filters> {
        self.class_pictures(&[class], options)
    }

    /// As [`class_picture`](Self::class_picture), of several classes.
    ///
    /// # Errors
    /// As for [`class_picture`](Self::class_picture).
    fn class_pictures(&self, classes: &[&str], options: FilterOptions) -> Result<Filters> {
        ascent::classes(&self.subject(), classes, options)
    }
}

impl Explain for MobileNetV2 {
    fn subject(&self) -> Subject<'_> {
        Subject::of_backbone(self)
    }
}

impl Explain for InceptionV3 {
    fn subject(&self) -> Subject<'_> {
        Subject::of_backbone(self)
    }
}

impl<B: Backbone> Explain for Frozen<B> {
    fn subject(&self) -> Subject<'_> {
        Subject::of_backbone(self.backbone())
    }
}

impl<B: Backbone> Explain for TransferModel<B> {
    fn subject(&self) -> Subject<'_> {
        let head = self.head();
        Subject::with_head(self.frozen().backbone(), (head.weight(), head.bias()), self.classes())
    }
}

impl Explain for Classifier {
    fn subject(&self) -> Subject<'_> {
        let head = self.head();
        Subject::with_head(self.backbone(), (head.weight(), head.bias()), self.classes())
    }
}
