use super::*;
use crate::freeze::Frozen;
use crate::models::MobileNetV2;
use crate::notebook::Picture;
use crate::train::TransferModel;

/// A chessboard, fine enough to be gone once the photo is blurred.
fn chessboard() -> Pixels {
    drawn(|row, column| if (row + column) % 2 == 0 { [255; 3] } else { [0; 3] })
}

fn corner(row: usize, column: usize) -> f32 {
    if row < SIDE / 2 && column < SIDE / 2 { 1. } else { 0. }
}

/// Sees the upper left quarter only. Of the chessboard the mean square there is 1/2, of one grey 1/4; over the whole
/// photo that is 1/8 and 1/16, so the logit goes from 3.75 to -3.75.
fn sees_a_corner() -> Named {
    Named::new(Squares::new(corner, [[40., 40., 40.], [0., 0., 0.]], [-11.25, 0.]))
}

/// A map by row and column, as if a method had found it.
fn map_of(net: &Named, value: impl Fn(usize, usize) -> f32) -> HeatMap {
    let found = net.heat_map(chessboard(), "red").unwrap();
    let values: Vec<f32> = (0..SIDE * SIDE).map(|place| value(place / SIDE, place % SIDE)).collect();
    HeatMap { map: Tensor::from_vec(values, (SIDE, SIDE), &Device::Cpu).unwrap(), peak: 1., ..found }
}

#[test]
fn a_map_of_the_truth_beats_chance_and_its_opposite_does_not() {
    let net = sees_a_corner();
    let right = net.faithfulness(&map_of(&net, corner)).unwrap();
    let wrong = net.faithfulness(&map_of(&net, |row, column| 1. - corner(row, column))).unwrap();
    let (deletion, insertion) = right.random_areas();
    assert!(right.deletion_area() + 0.1 < deletion, "{right}");
    assert!(right.insertion_area() > insertion + 0.1, "{right}");
    assert!(wrong.deletion_area() > deletion + 0.1 && wrong.insertion_area() + 0.1 < insertion, "{wrong}");
    assert_eq!(wrong.random_areas(), (deletion, insertion), "chance is the same for both");
    assert!(right.to_string().ends_with("better than the random map in both"), "{right}");
    assert!(wrong.to_string().ends_with("no better than the random map"), "{wrong}");
    assert!(right.taken_for.is_none());
    // The curves' ends are the photo and what is left of it: 1 / (1 + e^-3.75) = .977.
    for curve in [&right.deletion, &right.random_deletion, &wrong.deletion] {
        assert!((curve[0] - 0.977).abs() < 2e-3 && (curve[32] - 0.023).abs() < 2e-3 && curve.len() == 33, "{curve:?}");
    }
    for curve in [&right.insertion, &right.random_insertion] {
        assert!(curve[0] < 0.1 && (curve[32] - 0.977).abs() < 2e-3, "{curve:?}");
    }
    // A quarter of the pixels is 8 of 32 steps: by then the corner is gone, and nothing else changes anything.
    assert!(right.deletion[8] < 0.03 && right.deletion[7] > right.deletion[8], "{:?}", right.deletion);
    assert!(right.deletion[8..].windows(2).all(|pair| (pair[0] - pair[1]).abs() < 1e-6));
}

#[test]
fn a_faithful_maps_score_stands_under_it() {
    let net = sees_a_corner();
    let options = HeatMapOptions { class: Some("red".into()), faithfulness: true, ..HeatMapOptions::default() };
    let map = net.heat_map_with(chessboard(), options).unwrap();
    let faithfulness = map.faithfulness.clone().unwrap();
    assert_eq!(faithfulness, net.faithfulness(&map).unwrap(), "the same every time");
    let note = format!("deletion {:.2} (random map", faithfulness.deletion_area());
    assert!(map.overlay().unwrap().alt().contains(&note) && map.to_string().contains(&note));
    assert!(
        matches!(faithfulness.curves().unwrap(), Picture::Svg { alt, .. } if alt.contains("red: Grad-CAM at last"))
    );
}

#[test]
fn a_class_that_is_not_predicted_has_little_to_lose_and_gets_no_verdict() {
    let net = sees_a_corner();
    let found = net.heat_map(chessboard(), "blue").unwrap();
    let values = Tensor::from_vec(found.values().unwrap().0, (16, 16), &Device::Cpu).unwrap();
    let faithfulness = net.faithfulness(&HeatMap { map: values, ..found }).unwrap();
    let text = faithfulness.to_string();
    assert!(text.ends_with("the photo is taken for red, so blue has little to lose and this tells little"), "{text}");
    assert!(!text.contains("better") && faithfulness.taken_for.as_deref() == Some("red"));
}

#[test]
fn a_map_of_another_network_is_refused() {
    let net = sees_a_corner();
    let map = map_of(&net, corner);
    let others = Named(Squares::red_or_blue(), ["cat", "dog"].map(str::to_owned).to_vec());
    assert!(matches!(others.faithfulness(&map), Err(Error::Setting { .. })));
    assert!(matches!(MobileNetV2::random(1).unwrap().faithfulness(&map), Err(Error::Setting { .. })));
}

/// By the compiled plan and by plain candle: the same curves.
#[test]
fn frozen_and_plain_networks_give_the_same_numbers() {
    let plain = MobileNetV2::random(5).unwrap();
    let frozen: Frozen = plain.clone().freeze().unwrap();
    // What is predicted has something that speaks for it, whatever the weights.
    let options = HeatMapOptions { faithfulness: true, ..HeatMapOptions::default() };
    let plain_map = plain.heat_map_with(red_and_blue(), options.clone()).unwrap();
    let frozen_map = frozen.heat_map_with(red_and_blue(), options).unwrap();
    assert_eq!(frozen_map.class, plain_map.class);
    assert!(apart(&numbers(&frozen_map.map), &numbers(&plain_map.map)) < 1e-3);
    let curves = |map: &HeatMap| {
        let found = map.faithfulness.clone().unwrap();
        [found.deletion, found.insertion].concat().iter().map(|value| *value as f32).collect::<Vec<f32>>()
    };
    assert!(apart(&curves(&frozen_map), &curves(&plain_map)) < 1e-3);
    // And a learner's head in front of it.
    let model = TransferModel::new(frozen, &["red", "blue"].map(str::to_owned)).unwrap();
    let map = model.heat_map(red_and_blue(), "blue").unwrap();
    assert!(map.map.dims() == [7, 7] && (map.probability - 0.5).abs() < 0.5);
    assert_eq!(model.layers().len(), 19);
    assert!(model.activations(red_and_blue(), &["features.18"]).is_ok());
}
