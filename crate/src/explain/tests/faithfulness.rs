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
    let (deletion, insertion) = (right.deletion_by_chance(), right.insertion_by_chance());
    assert!(right.deletion_area() + 0.1 < deletion.least, "{right}");
    assert!(right.insertion_area() > insertion.most + 0.1, "{right}");
    assert!(wrong.deletion_area() > deletion.most + 0.1 && wrong.insertion_area() + 0.1 < insertion.least, "{wrong}");
    assert_eq!((wrong.deletion_by_chance(), wrong.insertion_by_chance()), (deletion, insertion), "the same for both");
    assert!(right.to_string().ends_with("; better than chance in both"), "{right}");
    assert!(wrong.to_string().ends_with("; worse than chance in both"), "{wrong}");
    assert!(right.taken_for.is_none() && right.random_deletions.len() == 9 && right.random_insertions.len() == 9);
    // The curves' ends are the photo and what is left of it: 1 / (1 + e^-3.75) = .977.
    for curve in [&right.deletion, &wrong.deletion].into_iter().chain(&right.random_deletions) {
        assert!((curve[0] - 0.977).abs() < 2e-3 && (curve[32] - 0.023).abs() < 2e-3 && curve.len() == 33, "{curve:?}");
    }
    for curve in [&right.insertion, &wrong.insertion].into_iter().chain(&right.random_insertions) {
        assert!(curve[0] < 0.1 && (curve[32] - 0.977).abs() < 2e-3 && curve.len() == 33, "{curve:?}");
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
    let chance = faithfulness.deletion_by_chance();
    let note = format!("deletion {:.2} (9 random maps: {:.2}", faithfulness.deletion_area(), chance.least);
    let overlay = map.overlay().unwrap();
    assert!(overlay.alt().contains(&note) && map.to_string().contains(&note));
    assert!(matches!(overlay, Picture::Svg { svg, .. } if !svg.contains('…')), "it is not cut");
    let mean = format!("(9 random maps: mean {:.2}, ", chance.mean);
    assert!(faithfulness.to_string().contains(&mean), "{faithfulness}");
    assert!(
        matches!(faithfulness.curves().unwrap(), Picture::Svg { alt, .. } if alt.contains("red: Grad-CAM at last"))
    );
}

/// Curves of one height, so that each area is a number in sight.
#[test]
fn only_what_lies_beyond_every_random_map_is_better_or_worse() {
    let found = |deletion: f64, insertion: f64| Faithfulness {
        class: "cat".to_owned(),
        how: "CAM".to_owned(),
        taken_for: None,
        deletion: vec![deletion; 3],
        insertion: vec![insertion; 3],
        random_deletions: [0.4, 0.6, 0.5].map(|area| vec![area; 3]).to_vec(),
        random_insertions: [0.7, 0.5, 0.9].map(|area| vec![area; 3]).to_vec(),
    };
    let chance = found(0., 0.).deletion_by_chance();
    assert!((chance.mean - 0.5).abs() < 1e-12 && (chance.least, chance.most) == (0.4, 0.6), "{chance:?}");
    let cases = [
        (0.39, 0.91, "better than chance in both"),
        (0.40, 0.90, "no better than chance: both lie among the random maps"),
        (0.55, 0.60, "no better than chance: both lie among the random maps"),
        (0.39, 0.75, "better than chance in deletion, no better than chance in insertion"),
        (0.61, 0.91, "worse than chance in deletion, better than chance in insertion"),
        (0.50, 0.49, "no better than chance in deletion, worse than chance in insertion"),
        (0.61, 0.49, "worse than chance in both"),
        (f64::NAN, f64::NAN, "no better than chance: both lie among the random maps"),
    ];
    for (deletion, insertion, verdict) in cases {
        let text = found(deletion, insertion).to_string();
        assert_eq!(text.rsplit("; ").next().unwrap(), verdict, "{deletion}, {insertion}");
    }
    let words = "CAM for cat: deletion 0.39 (3 random maps: mean 0.50, 0.40 to 0.60), insertion 0.91 (mean 0.70, 0.50 to 0.90); ";
    assert!(found(0.39, 0.91).to_string().starts_with(words), "{}", found(0.39, 0.91));
    let none = Faithfulness { random_deletions: vec![], random_insertions: vec![], ..found(0.1, 0.9) };
    assert!(none.to_string().ends_with("no better than chance: both lie among the random maps"), "{none}");
}

/// How many values of a picture differ from the one to their left.
fn steps(values: &[f32]) -> usize {
    values.chunks(SIDE).map(|row| row.windows(2).filter(|pair| pair[0] != pair[1]).count()).sum()
}

#[test]
fn random_maps_are_as_coarse_as_the_map() {
    use crate::explain::faithfulness::map_by_chance;
    let net = sees_a_corner();
    let of = |map: &HeatMap, seed| map_by_chance(map, SIDE, seed).unwrap();
    let own = net.heat_map(chessboard(), "red").unwrap();
    let (values, height, width) = of(&own, 0);
    assert_eq!((values.len(), height, width), (256, 16, 16), "the grid of `last`");
    assert!(values.iter().all(|value| (0. ..1.).contains(value)) && values[0] != values[1]);
    assert!(of(&own, 0) == of(&own, 0) && of(&own, 0) != of(&own, 1), "by the seed");
    // Squares that do not overlap are level, four a row; by halves of them noise changes seven times a row.
    for (stride, changes) in [(8, 3), (4, 7)] {
        let method = Method::Occlusion { patch: 8, stride };
        let options = HeatMapOptions { class: Some("red".into()), method, ..HeatMapOptions::default() };
        let (values, height, width) = of(&net.heat_map_with(chessboard(), options).unwrap(), 0);
        assert_eq!((height, width, steps(&values)), (SIDE, SIDE, SIDE * changes), "stride {stride}");
    }
    // A map whose method has been changed into what cannot be.
    let method = Method::Occlusion { patch: 0, stride: 0 };
    let changed = HeatMap { method, ..map_of(&net, corner) };
    assert!(matches!(net.faithfulness(&changed), Err(Error::Setting { .. })));
}

#[test]
fn a_class_that_is_not_predicted_has_little_to_lose_and_gets_no_verdict() {
    let net = sees_a_corner();
    let found = net.heat_map(chessboard(), "blue").unwrap();
    // Whatever it marks.
    let values = Tensor::from_vec(map_of(&net, corner).values().unwrap().0, (SIDE, SIDE), &Device::Cpu).unwrap();
    let faithfulness = net.faithfulness(&HeatMap { map: values, peak: 1., ..found }).unwrap();
    let text = faithfulness.to_string();
    assert!(text.ends_with("the photo is taken for red, so blue has little to lose and this tells little"), "{text}");
    assert!(!text.contains("better") && faithfulness.taken_for.as_deref() == Some("red"));
}

/// Of a map that is level but for one place nearly all is decided by chance, not by rows.
#[test]
fn places_of_the_same_value_go_in_no_order_of_theirs() {
    let net = sees_a_corner();
    // What the network sees comes first, row by row.
    let level = net.faithfulness(&map_of(&net, |row, column| if row + column == 30 { 1. } else { 0. })).unwrap();
    let chance = level.deletion_by_chance();
    let near = |area: f64, by_chance: Chance| (area - by_chance.mean).abs() < by_chance.most - by_chance.least;
    assert!(
        near(level.deletion_area(), chance) && near(level.insertion_area(), level.insertion_by_chance()),
        "{level}"
    );
}

#[test]
fn a_map_of_nothing_gets_no_score() {
    let net = sees_a_corner();
    let nothing = HeatMap { peak: 0., ..map_of(&net, |_, _| 0.) };
    let error = net.faithfulness(&nothing).unwrap_err().to_string();
    assert!(error.contains("nothing in the map speaks for red"), "{error}");
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
    let plain_map = plain.heat_map_with(red_and_blue(), HeatMapOptions::default()).unwrap();
    let frozen_map = frozen.heat_map_with(red_and_blue(), HeatMapOptions::default()).unwrap();
    assert_eq!(frozen_map.class, plain_map.class);
    assert!(apart(&numbers(&frozen_map.map), &numbers(&plain_map.map)) < 1e-3);
    let curves = |subject: Subject<'_>, map: &HeatMap| {
        let found = Faithfulness::beside(&subject, map, 1).unwrap();
        let curves =
            [found.deletion, found.insertion, found.random_deletions.concat(), found.random_insertions.concat()];
        curves.concat().iter().map(|value| *value as f32).collect::<Vec<f32>>()
    };
    assert!(apart(&curves(frozen.subject(), &frozen_map), &curves(plain.subject(), &plain_map)) < 1e-3);
    // And a learner's head in front of it.
    let model = TransferModel::new(frozen, &["red", "blue"].map(str::to_owned)).unwrap();
    let map = model.heat_map(red_and_blue(), "blue").unwrap();
    assert!(map.map.dims() == [7, 7] && (map.probability - 0.5).abs() < 0.5);
    assert_eq!(model.layers().len(), 19);
    assert!(model.activations(red_and_blue(), &["features.18"]).is_ok());
}
