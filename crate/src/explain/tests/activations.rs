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
    assert!(
        alt.starts_with("last of photo: 3 channels of 16 x 16, 3 a row") && svg.contains("silent (crossed)"),
        "{alt}"
    );
    assert!(svg.contains(">last of photo: 3 channels of 16 x 16</text>"), "the heading says it too");
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
    // So a third is silent for one photo only.
    assert!((first.always_silent() - 1. / 3.).abs() < 1e-9 && (first.sometimes_silent() - 1. / 3.).abs() < 1e-9);
    assert!(silent.curve().is_ok() && silent.to_string().contains("66.7 % in first at the beginning"), "{silent}");
    assert!(matches!(net.silent_channels(&photos.take(0)), Err(Error::Data(_))));
}

/// Layers of 10 channels of which so many are silent for every one of some photos, and this share for some of them.
fn layers(photos: usize, always: impl Fn(usize) -> usize, sometimes: &[f64]) -> SilentChannels {
    let layer = |(index, share): (usize, &f64)| SilentLayer {
        layer: format!("features.{index}"),
        channels: 10,
        silent: always(index) as f64 / 10. + *share,
        always: always(index),
        zeros: 0.5,
    };
    SilentChannels { model: "net".to_owned(), photos, layers: sometimes.iter().enumerate().map(layer).collect() }
}

const SPARSER: &str = "deeper is sparser here.";
const FULLER: &str = "deeper is not sparser here, but fuller.";
const NO_RULE: &str = "that deeper is sparser is no rule here.";

/// The line of the words that begins so.
fn line(silent: &SilentChannels, begins: &str) -> String {
    let text = silent.to_string();
    text.lines().find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {text}")).to_owned()
}

/// What is said of channels that are silent for some photos only.
fn sometimes(silent: &SilentChannels) -> String {
    line(silent, "Silent for some photos only: ")
}

/// Of ten layers a steady rise is beyond chance (tau 1, 1.96 sigma is .49).
#[test]
fn words_claim_no_more_than_the_order_shows() {
    let pairs = layers(3, |_| 0, &[0.1, 0.2, 0.2, 0.4]).pairs();
    assert_eq!(pairs, Pairs { more: 5, fewer: 0, equal: 1 });
    let rising: Vec<f64> = (0..10).map(|index| f64::from(index) / 20.).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    // Of ten layers one is rich and nine are level: 9 of 45 pairs rise, and 36 are equal, which speak for nobody.
    let last_alone: Vec<f64> = (0..10).map(|index| if index == 9 { 0.5 } else { 0. }).collect();
    // Three of four and no less: of 45 pairs 34 rise. Swapping neighbours breaks a pair each time.
    let mut broken = rising.clone();
    broken[..5].reverse();
    broken.swap(5, 6);
    assert_eq!(layers(3, |_| 0, &broken).pairs(), Pairs { more: 34, fewer: 11, equal: 0 });
    let mut more_broken = broken.clone();
    more_broken.swap(7, 8);
    for (shares, ending) in [
        (&rising, SPARSER),
        (&falling, FULLER),
        (&last_alone, NO_RULE),
        (&broken, SPARSER),
        (&more_broken, NO_RULE),
        (&vec![0.3; 12], NO_RULE),
        (&vec![0.5], NO_RULE),
        // Three layers show nothing, however they rise.
        (&vec![0.1, 0.2, 0.3], "So few layers could well give that by chance: it shows no rule."),
    ] {
        let text = sometimes(&layers(3, |_| 0, shares));
        assert!(text.ends_with(ending), "{shares:?}: {text}");
        // And so it is of zeros, by the same rule.
        let mut level = layers(3, |_| 0, &vec![0.1; shares.len()]);
        level.layers.iter_mut().zip(shares).for_each(|(layer, share)| layer.zeros = *share);
        let text = line(&level, "Zeros, of all that comes out of a ReLU: ");
        assert!(text.ends_with(ending), "{shares:?}: {text}");
    }
    let text = layers(3, |_| 0, &[0.1, 0.2, 0.2, 0.4]).to_string();
    let thirds = "Silent for some photos only: on average 10.0 % in the first third of the layers, 20.0 % in the middle, 40.0 % in \
                  the last, at most 40.0 % (features.3). Of two layers";
    let counted = "more of these in 83.3 % of all pairs, fewer in 0.0 %, as many in 16.7 %.";
    assert!(text.contains(thirds) && text.contains(counted), "{text}");
    let two = layers(3, |_| 0, &[0.1, 0.2]).to_string();
    assert!(two.contains("Silent for some photos only: at most 20.0 % (features.1). Of two layers"), "{two}");
    assert!(text.contains("\nSilent for every photo: none of 40 channels.\n"), "{text}");
}

/// What is silent for every photo speaks for no depth, wherever it is, though it is part of what is drawn.
#[test]
fn channels_that_are_always_silent_decide_nothing() {
    let rising: Vec<f64> = (0..10).map(|index| f64::from(index) / 50.).collect();
    // All channels together would fall: 50 % in the first layer, 23 % in the last.
    let early = layers(20, |index| (10 - index) / 2, &rising);
    assert!(early.layers[0].silent > early.layers[9].silent && sometimes(&early).ends_with(SPARSER), "{early}");
    let words = "Silent for every photo: 25 of 100 channels, the largest share in features.0 (5 of 10). Whether nothing excites";
    assert!(early.to_string().contains(words), "{early}");
    // And these together would rise.
    let late = layers(20, |index| index / 2, &[0.01; 10]);
    assert!(late.layers[0].silent < late.layers[9].silent && sometimes(&late).ends_with(NO_RULE), "{late}");
    assert_eq!(late.pairs(), Pairs { more: 0, fewer: 0, equal: 45 });
    assert!(
        early
            .curve()
            .unwrap()
            .alt()
            .contains("Shaded, silent for every photo: in 9 of them, most in features.0 50.0 %")
    );
}

/// For one photo each silent channel is silent for all.
#[test]
fn one_photo_tells_nothing_of_depth() {
    let one = layers(1, |index| index, &[0.; 10]);
    let text = one.to_string();
    assert!(text.contains("90.0 % in features.9 at the end.\nOne photo cannot tell"), "{text}");
    assert!(!text.contains("some photos only") && line(&one, "Zeros, of all ").ends_with(NO_RULE), "{text}");
    assert!(!one.curve().unwrap().alt().contains("every photo"));
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
