use super::*;
use crate::data::Dataset;
use crate::models::{BACKBONES, InceptionV3, MobileNetV2};
use crate::notebook::Picture;

#[test]
fn layers_come_in_one_run_in_the_order_asked_for() {
    let net = Squares::red_or_blue();
    let found = net.activations(red_and_blue(), &["last", "first", "last"]).unwrap();
    assert_eq!(found.names(), ["last", "first", "last"]);
    let input = red_and_blue().to_tensor(&net.spec.preprocess).unwrap();
    for name in ["first", "last"] {
        let want = net.layer(&input, name).unwrap().squeeze(0).unwrap();
        assert_eq!(numbers(found.get(name).unwrap()), numbers(&want), "{name}");
    }
    let error = net.activations(red_and_blue(), &[]).unwrap_err().to_string();
    assert!(error.contains("no layer was named"), "{error}");
}

#[test]
fn one_run_ends_behind_the_last_layer_that_is_wanted() {
    let net = Squares::red_or_blue();
    let pooled = || net.pooled.load(Ordering::SeqCst);
    net.activations(red_and_blue(), &["first", "first"]).unwrap();
    assert_eq!(pooled(), 0);
    net.activations(red_and_blue(), &["last", "first", "flat"]).unwrap();
    assert_eq!(pooled(), 1);
}

#[test]
fn unknown_layers_are_answered_with_the_nearest() {
    let net = MobileNetV2::random(3).unwrap();
    let error = net.activations(red_and_blue(), &["features.1", "feature.18"]).unwrap_err();
    assert!(matches!(&error, Error::Layer { nearest, .. } if nearest == "features.18"), "{error}");
    let found = Squares::red_or_blue().activations(red_and_blue(), &["last"]).unwrap();
    let error = found.grid("first").unwrap_err().to_string();
    assert!(
        error.contains("the layer is `first`: these activations hold `last") && error.contains("name it in"),
        "{error}"
    );
    assert!(found.grid("lasst").is_err() && found.silent("lasst").is_err());
}

/// Green is nowhere: of three channels one is silent, and in the grid it is crossed.
#[test]
fn what_says_nothing_is_silent() {
    let net = Squares::red_or_blue();
    let red = drawn(|row, _| [(7 * row) as u8, 0, 9]);
    let found = net.activations(&red, &["last"]).unwrap();
    assert!((found.silent("last").unwrap() - 1. / 3.).abs() < 1e-9);
    let Picture::Svg { svg, alt } = found.grid("last").unwrap() else { panic!("a grid is vectors") };
    assert!(alt.contains("last of photo: 3 channels of 16 x 16") && svg.contains("silent (crossed)"), "{alt}");
    assert!(found.to_string().ends_with("last: [3, 16, 16], 1 of 3 channels have nothing above 0"), "{found}");
}

#[test]
fn silent_channels_are_a_mean_over_photos_and_always_all_of_them() {
    let net = Squares::red_or_blue();
    let photos = [[200, 0, 0], [0, 0, 200]].map(|colour| photo(drawn(|_, _| colour))).to_vec();
    let photos = Dataset::new(vec!["a".into(), "b".into()], photos, "colours").unwrap();
    let silent = net.silent_channels(&photos).unwrap();
    let first = &silent.layers[0];
    // Two of three channels are silent in each photo, and green in both.
    assert_eq!((first.layer.as_str(), first.channels, first.always), ("first", 3, 1));
    assert!((first.silent - 2. / 3.).abs() < 1e-9 && (first.zeros - 2. / 3.).abs() < 1e-9);
    assert!(silent.curve().is_ok() && silent.to_string().contains("66.7 % in first at the beginning"), "{silent}");
    assert!(matches!(net.silent_channels(&photos.take(0)), Err(Error::Data(_))));
}

fn layers(shares: &[f64]) -> SilentChannels {
    let layer = |(index, share): (usize, &f64)| SilentLayer {
        layer: format!("features.{index}"),
        channels: 10,
        silent: *share,
        always: 0,
        zeros: 0.5,
    };
    let layers = shares.iter().enumerate().map(layer).collect();
    SilentChannels { model: "net".to_owned(), photos: 3, layers }
}

/// Five pairs of six rise, one is equal: 5.5 / 6. Of ten layers a steady rise is beyond chance (tau 1, 1.96 sigma is
/// .49).
#[test]
fn words_claim_no_more_than_the_order_shows() {
    let share = layers(&[0.1, 0.2, 0.2, 0.4]).deeper_is_sparser();
    assert!((share - 5.5 / 6.).abs() < 1e-9);
    let rising: Vec<f64> = (0..10).map(|index| f64::from(index) / 20.).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    assert!(layers(&rising).to_string().ends_with("So on the whole deeper is sparser here."));
    assert!(layers(&falling).to_string().ends_with("but fuller."));
    // Three layers can show nothing, however they rise; nor can a level line.
    for none in [&[0.1, 0.2, 0.3][..], &[0.3; 12], &[0.5]] {
        assert!(layers(none).to_string().ends_with("no order by depth."), "{none:?}");
    }
}

#[test]
fn every_backbone_tells_its_relus() {
    let folded: [Box<dyn Backbone>; 2] = [
        Box::new(MobileNetV2::random(7).unwrap().folded().unwrap()),
        Box::new(InceptionV3::random(7).unwrap().folded().unwrap()),
    ];
    for net in BACKBONES.iter().map(|row| (row.random)(7).unwrap()).chain(folded) {
        let subject = Subject::of_backbone(&*net);
        let input = red_and_blue().resized(75, 75).unwrap().to_tensor(&Preprocess::unit(75)).unwrap();
        let names = net.rectified();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // torchvision: 35 ReLU6 of MobileNetV2, 94 ReLUs of InceptionV3 without its auxiliary head.
        assert_eq!(names.len(), if net.spec().name == "mobilenet_v2" { 35 } else { 94 });
        for (name, layer) in names.iter().zip(subject.activations(&input, &names).unwrap()) {
            let values = numbers(&layer);
            assert!(values.iter().all(|value| *value >= 0.), "{name} goes below 0");
        }
    }
}
