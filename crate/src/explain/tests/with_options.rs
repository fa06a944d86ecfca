//! Maps side by side by other methods, at other layers, with their scores.

use super::*;
use crate::evaluate::{Predictions, TopLosses};
use crate::models::{InceptionV3, MobileNetV2};

/// What differs from Grad-CAM at the last layer.
fn others() -> [HeatMapOptions; 3] {
    [
        HeatMapOptions { method: Method::Occlusion { patch: 8, stride: 8 }, ..HeatMapOptions::default() },
        HeatMapOptions { layer: Some("first".into()), ..HeatMapOptions::default() },
        HeatMapOptions { method: Method::GradCamPlusPlus, faithfulness: true, ..HeatMapOptions::default() },
    ]
}

/// The loss of one photo, which is red and blue and called `label`.
fn losses(net: &Named, label: usize) -> TopLosses {
    let photo = photo(red_and_blue());
    let input = red_and_blue().to_tensor(&Preprocess::unit(SIDE)).unwrap();
    let logits = net.0.logits(&input).unwrap();
    let predictions = Predictions::from_logits(&logits, vec![label], vec![photo.name.clone()], &net.1).unwrap();
    predictions.with_photos(vec![photo]).unwrap().top_losses(1)
}

/// As by itself, in all that options can change.
fn assert_is_as_alone(map: &HeatMap, net: &Named, options: &HeatMapOptions) {
    let alone = HeatMapOptions { class: Some(map.class.clone()), ..options.clone() };
    let alone = net.heat_map_with(red_and_blue(), alone).unwrap();
    assert_eq!((map.method, &map.layer, map.map.dims()), (options.method, &alone.layer, alone.map.dims()));
    assert_eq!((numbers(&map.map), &map.faithfulness), (numbers(&alone.map), &alone.faithfulness), "{options:?}");
}

#[test]
fn classes_stand_side_by_side_by_any_options() {
    let net = Named::new(Squares::red_or_blue());
    for options in others() {
        let both = net.heat_maps_with(red_and_blue(), &["red", "blue"], options.clone()).unwrap();
        assert_eq!(both.maps.iter().map(|map| map.class.as_str()).collect::<Vec<_>>(), ["red", "blue"]);
        both.maps.iter().for_each(|map| assert_is_as_alone(map, &net, &options));
        let alt = both.row().unwrap().alt().to_owned();
        assert_eq!(alt.matches("deletion 0.").count(), if options.faithfulness { 2 } else { 0 }, "{alt}");
    }
}

#[test]
fn losses_are_explained_by_any_options() {
    let net = Named::new(Squares::red_or_blue());
    let predicted = net.heat_map_with(red_and_blue(), HeatMapOptions::default()).unwrap().class;
    let wrong = if predicted == "red" { 1 } else { 0 };
    for options in others() {
        let mistakes = net.explain_losses_with(&losses(&net, wrong), 1, options.clone()).unwrap();
        let mistake = &mistakes.photos[0];
        let actual = mistake.actual.as_ref().unwrap();
        assert_eq!((&mistake.predicted.class, &actual.class), (&predicted, &net.1[wrong]));
        [&mistake.predicted, actual].into_iter().for_each(|map| assert_is_as_alone(map, &net, &options));
        let alt = mistakes.rows().unwrap().alt().to_owned();
        assert_eq!(alt.matches("deletion 0.").count(), if options.faithfulness { 2 } else { 0 }, "{alt}");
    }
}

#[test]
fn options_that_name_a_class_beside_the_classes_are_refused() {
    let net = Named::new(Squares::red_or_blue());
    let red = HeatMapOptions { class: Some("red".into()), ..HeatMapOptions::default() };
    let error = net.heat_maps_with(red_and_blue(), &["red", "blue"], red.clone()).unwrap_err().to_string();
    assert!(error.contains("`red`: the classes are those of the list: leave it out"), "{error}");
    let error = net.explain_losses_with(&losses(&net, 0), 1, red).unwrap_err().to_string();
    assert!(error.contains("`red`: the classes are those of the losses: leave it out"), "{error}");
}

/// A head is there, so its name is not called unknown.
#[test]
fn the_head_is_no_layer_with_places() {
    let (mobilenet, inception) = (MobileNetV2::random(1).unwrap(), InceptionV3::random(1).unwrap());
    let at = |layer: &str| HeatMapOptions { layer: Some(layer.to_owned()), ..HeatMapOptions::default() };
    for layer in ["classifier.1", "classifier", "classifier.1.weight"] {
        let error = mobilenet.heat_map_with(red_and_blue(), at(layer)).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, Error::Setting { .. }) && text.contains(&format!("`{layer}`: that is the head")),
            "{text}"
        );
        assert!(text.ends_with("no rows and columns left; the last layer that has is `features.18`"), "{text}");
    }
    let error = inception.activations(red_and_blue(), &["predictions"]).unwrap_err().to_string();
    assert!(error.ends_with("is `Mixed_7c`"), "{error}");
    // What only resembles one is a slip of the pen.
    let error = mobilenet.heat_map_with(red_and_blue(), at("classifeatures.18")).unwrap_err();
    assert!(matches!(&error, Error::Layer { nearest, .. } if nearest == "features.18"), "{error}");
}
