//! What one can ask of a network that is looked into.

use super::ascent::{self, FilterOptions, Filters};
use super::{Activations, Faithfulness, HeatMap, HeatMapOptions, HeatMaps, Mistakes, SilentChannels, Subject};
use crate::Result;
use crate::data::{Dataset, IntoPhoto};
use crate::evaluate::TopLosses;
use crate::freeze::Frozen;
use crate::models::{Backbone, InceptionV3, MobileNetV2};
use crate::train::{Classifier, TransferModel};

/// What can be looked into: [`MobileNetV2`] with ImageNet's classes, [`InceptionV3`], a [`Frozen`] one, a
/// [`TransferModel`] or a loaded [`Classifier`] with the learner's own classes.
///
/// InceptionV3's weights have no head. Its layers and filters can be looked at as they are, its classes with a head of
/// your own: as a `TransferModel`.
///
/// ```
/// use candlewick::prelude::*;
/// let net = MobileNetV2::random(42)?;
/// let photo = Pixels::new(2, 2, vec![200, 30, 30, 30, 200, 30, 30, 30, 200, 90, 90, 90])?;
/// let activations = net.activations(&photo, &["features.1", "features.18"])?;
/// assert_eq!(activations.get("features.18")?.dims(), [1280, 7, 7]);
/// let map = net.heat_map(&photo, "tabby")?;
/// assert_eq!(map.map.dims(), [7, 7]);
/// # Ok::<(), Error>(())
/// ```
pub trait Explain {
    /// The network to look into.
    fn subject(&self) -> Subject<'_>;

    /// What the named layers answer to a photo, in one run that ends behind the last of them:
    /// [`layers`](Backbone::layers) lists the layers, `layer_names` the parts inside them too.
    ///
    /// # Errors
    /// [`Error::Layer`](crate::Error::Layer), with the nearest name, for a layer that there is not;
    /// [`Error::Setting`](crate::Error::Setting) where none is named; and where the photo cannot be read.
    fn activations(&self, photo: impl IntoPhoto, layers: &[&str]) -> Result<Activations> {
        Activations::of(&self.subject(), &photo.into_photo()?, layers)
    }

    /// How many channels behind each ReLU say nothing of a photo, from the first layer to the last, as a mean over
    /// photos. It runs the network once a photo: `photos.take(20)` looks at the first twenty.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) for no photos, or a network that has no ReLU or does not tell;
    /// [`Error::Interrupted`](crate::Error::Interrupted); and where a photo cannot be read.
    fn silent_channels(&self, photos: &Dataset) -> Result<SilentChannels> {
        SilentChannels::of(&self.subject(), photos.photos())
    }

    /// Where the network looks for a class: Grad-CAM at the last convolution.
    ///
    /// `class` is a name, as `"dog"`, or a number, as `"207"`.
    ///
    /// # Errors
    /// As for [`heat_map_with`](Self::heat_map_with).
    fn heat_map(&self, photo: impl IntoPhoto, class: &str) -> Result<HeatMap> {
        let options = HeatMapOptions { class: Some(class.to_owned()), ..HeatMapOptions::default() };
        HeatMap::of(&self.subject(), &photo.into_photo()?, &options)
    }

    /// Where the network looks, by any [`Method`](super::Method), for any class, at any layer.
    ///
    /// # Errors
    /// - [`Error::Setting`](crate::Error::Setting) for a layer without rows and columns, as the head's are; for CAM elsewhere than at the
    ///   last convolution; for patches that do not fit the photo.
    /// - [`Error::Layer`](crate::Error::Layer), with the nearest name, for a layer that there is not.
    /// - [`Error::Weights`](crate::Error::Weights) where the network has no head.
    /// - [`Error::Data`](crate::Error::Data), with the nearest names, for a class that there is not; and where the
    ///   activations are no numbers.
    /// - [`Error::Interrupted`](crate::Error::Interrupted) in occlusion and faithfulness; and where the photo cannot be
    ///   read.
    fn heat_map_with(&self, photo: impl IntoPhoto, options: HeatMapOptions) -> Result<HeatMap> {
        HeatMap::of(&self.subject(), &photo.into_photo()?, &options)
    }

    /// What speaks for each of some classes, side by side: Grad-CAM at the last convolution.
    ///
    /// # Errors
    /// As for [`heat_map_with`](Self::heat_map_with), and [`Error::Setting`](crate::Error::Setting) for no classes, or
    /// more than 5.
    fn heat_maps(&self, photo: impl IntoPhoto, classes: &[&str]) -> Result<HeatMaps> {
        self.heat_maps_with(photo, classes, HeatMapOptions::default())
    }

    /// As [`heat_maps`](Self::heat_maps), by any [`Method`](super::Method), at any layer, and with the
    /// [`Faithfulness`] of each map under it where that is asked for. The options name no class.
    ///
    /// ```
    /// use candlewick::prelude::*;
    /// let net = MobileNetV2::random(42)?;
    /// let photo = Pixels::new(1, 2, vec![200, 30, 30, 30, 200, 30])?;
    /// let options = HeatMapOptions { method: Method::GradCamPlusPlus, ..HeatMapOptions::default() };
    /// let both = net.heat_maps_with(&photo, &["tabby", "tiger cat"], options)?;
    /// assert_eq!(both.maps[1].class, "tiger cat");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`heat_maps`](Self::heat_maps), and [`Error::Setting`](crate::Error::Setting) for options that name a class.
    fn heat_maps_with(&self, photo: impl IntoPhoto, classes: &[&str], options: HeatMapOptions) -> Result<HeatMaps> {
        HeatMaps::of(&self.subject(), &photo.into_photo()?, classes, &options)
    }

    /// How faithful a heat map of this network is: what becomes of its answer as the places that the map marks go, or
    /// come, beside what it becomes by random maps.
    ///
    /// It runs the network 624 times, as long as a frozen one takes to turn as many photos into features; for a network that
    /// is not frozen that is far longer.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a map of another network's class,
    /// [`Error::Data`](crate::Error::Data) for one in which nothing speaks for the class,
    /// [`Error::Interrupted`](crate::Error::Interrupted).
    fn faithfulness(&self, map: &HeatMap) -> Result<Faithfulness> {
        Faithfulness::of(&self.subject(), map)
    }

    /// The mistakes first: for each of the `n` highest losses what spoke for the class that the photo was taken for,
    /// and what for its own. An interrupt keeps the photos it has looked at, and says so.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for no photos at all, or more than 40;
    /// [`Error::Data`](crate::Error::Data) where the photos are not known, or the losses are another model's;
    /// [`Error::Interrupted`](crate::Error::Interrupted) before the first; and as for
    /// [`heat_map_with`](Self::heat_map_with).
    fn explain_losses(&self, losses: &TopLosses, n: usize) -> Result<Mistakes> {
        self.explain_losses_with(losses, n, HeatMapOptions::default())
    }

    /// As [`explain_losses`](Self::explain_losses), by any [`Method`](super::Method), at any layer, and with the
    /// [`Faithfulness`] of each map under it where that is asked for. The options name no class: the losses do.
    ///
    /// # Errors
    /// As for [`explain_losses`](Self::explain_losses), and [`Error::Setting`](crate::Error::Setting) for options that name a
    /// class.
    fn explain_losses_with(&self, losses: &TopLosses, n: usize, options: HeatMapOptions) -> Result<Mistakes> {
        Mistakes::of(&self.subject(), losses, n, &options)
    }

    /// What these channels of a layer look for: pictures that excite them, made from noise by gradient ascent.
    ///
    /// The pictures appear as they climb. An interrupt keeps what they have become, and says so; so does a climb on
    /// which something stops being a number.
    ///
    /// ```
    /// use candlewick::prelude::*;
    ///
    /// let network = MobileNetV2::random(42)?; // `MobileNetV2::pretrained()?` for the trained weights
    /// let quick = FilterOptions { steps: 2, side: 32, ..FilterOptions::default() };
    /// let filters = network.filters("features.2", &[0, 5], quick)?;
    /// assert_eq!(filters.filters[1].name, "features.2 #5");
    /// assert_eq!(filters.filters[1].objective.len(), 2);
    /// filters.grid()?; // what is shown where `filters` ends a cell
    /// let fifth = network.filter("features.2", 5, FilterOptions { steps: 1, side: 32, ..FilterOptions::default() })?;
    /// assert_eq!(fifth.filters[0].name, "features.2 #5");
    /// # Ok::<(), candlewick::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Layer`](crate::Error::Layer) with the nearest name; [`Error::Setting`](crate::Error::Setting) for a
    /// channel that the layer does not have, options out of range, and a side the network does not take;
    /// [`Error::Data`](crate::Error::Data) for no channel at all;
    /// [`Error::Interrupted`](crate::Error::Interrupted) before the first step.
    fn filters(&self, layer: &str, channels: &[usize], options: FilterOptions) -> Result<Filters> {
        ascent::filters(&self.subject(), layer, ascent::Channels::These(channels), options)
    }

    /// As [`filters`](Self::filters), of one channel.
    ///
    /// # Errors
    /// As for [`filters`](Self::filters).
    fn filter(&self, layer: &str, channel: usize, options: FilterOptions) -> Result<Filters> {
        self.filters(layer, &[channel], options)
    }

    /// As [`filters`](Self::filters), of `count` channels, evenly spread from the layer's first on. Where the layer has
    /// fewer it is all of them, and a line says so.
    ///
    /// # Errors
    /// As for [`filters`](Self::filters).
    fn some_filters(&self, layer: &str, count: usize, options: FilterOptions) -> Result<Filters> {
        ascent::filters(&self.subject(), layer, ascent::Channels::Spread(count), options)
    }

    /// What a class looks like to the network: a picture that makes its logit large.
    ///
    /// # Errors
    /// As for [`filters`](Self::filters); [`Error::Data`](crate::Error::Data), with the nearest names, for a class that
    /// there is not; [`Error::Weights`](crate::Error::Weights) where the network has no head.
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
        Subject::of_backbone(self.backbone()).with_engine(self.engine())
    }
}

impl<B: Backbone> Explain for TransferModel<B> {
    fn subject(&self) -> Subject<'_> {
        let (frozen, head) = (self.frozen(), self.head());
        let subject = Subject::with_head(frozen.backbone(), (head.weight(), head.bias()), self.classes());
        subject.with_engine(frozen.engine())
    }
}

impl Explain for Classifier {
    fn subject(&self) -> Subject<'_> {
        let (engine, head) = (self.engine(), self.head());
        let subject = Subject::with_head(engine.backbone(), (head.weight(), head.bias()), self.classes());
        subject.with_engine(engine)
    }
}
