use super::*;
use crate::evaluate::Predictions;
use crate::models::{InceptionV3, MobileNetV2};
use crate::plot::ColourMap;

const ALL: [Method; 4] =
    [Method::Cam, Method::GradCam, Method::GradCamPlusPlus, Method::Occlusion { patch: 8, stride: 5 }];

fn with(class: &str, method: Method) -> HeatMapOptions {
    HeatMapOptions { class: Some(class.to_owned()), method, ..HeatMapOptions::default() }
}

/// The mean of a map's left half and of its right half.
fn halves(map: &HeatMap) -> (f32, f32) {
    let width = map.map.dim(1).unwrap();
    let half = |from| map.map.narrow(1, from, width / 2).unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
    (half(0), half(width / 2))
}

#[test]
fn every_method_finds_red_on_the_left_and_blue_on_the_right() {
    let net = Named::new(Squares::red_or_blue());
    for method in ALL {
        let map = |class| net.heat_map_with(red_and_blue(), with(class, method)).unwrap();
        let (red, blue) = (map("red"), map("blue"));
        let ((left, right), (other_left, other_right)) = (halves(&red), halves(&blue));
        assert!(left > 0.2 && left > 5. * right, "{method}: {left} and {right}");
        assert!(other_right > 0.2 && other_right > 5. * other_left, "{method}: {other_left} and {other_right}");
        for map in [red, blue] {
            let values = numbers(&map.map);
            assert!(values.iter().all(|value| (0. ..=1.).contains(value)) && values.contains(&1.), "{method}");
            assert!(map.peak > 0. && map.overlay().is_ok() && map.overlay_in(ColourMap::Jet).is_ok());
        }
    }
}

#[test]
fn logit_and_probability_are_the_networks_own() {
    let net = Named::new(Squares::red_or_blue());
    let input = red_and_blue().to_tensor(&Preprocess::unit(SIDE)).unwrap();
    let logits = numbers(&net.0.logits(&input).unwrap());
    let predicted = net.heat_map_with(red_and_blue(), HeatMapOptions::default()).unwrap();
    let best = if logits[0] > logits[1] { "red" } else { "blue" };
    assert_eq!(predicted.class, best);
    for (class, logit) in ["red", "blue"].into_iter().zip(&logits) {
        let map = net.heat_map(red_and_blue(), class).unwrap();
        let probability = logit.exp() / (logits[0].exp() + logits[1].exp());
        assert!((map.logit - logit).abs() < 1e-5 && (map.probability - probability).abs() < 1e-5);
        assert_eq!((map.class.as_str(), map.layer.as_deref()), (class, Some("last")));
    }
}

/// Behind global average pooling and a dense layer Grad-CAM is CAM over the number of places.
#[test]
fn cam_equals_grad_cam_up_to_scale() {
    let (mobilenet, inception) = (MobileNetV2::random(7).unwrap(), InceptionV3::random(7).unwrap());
    let named = Named::new(Squares::red_or_blue());
    let cases = [(mobilenet.subject(), 49.), (inception.subject(), 64.), (named.subject(), 256.)];
    for (subject, places) in cases {
        let input = red_and_blue().to_tensor(subject.preprocess()).unwrap();
        let of = |method| subject.relevance(&input, &[0, 1], None, method).unwrap();
        let name = subject.backbone.spec().name;
        for (cam, grad_cam) in of(Method::Cam).iter().zip(of(Method::GradCam)) {
            let scaled: Vec<f32> = numbers(&grad_cam.values).iter().map(|value| places * value).collect();
            let off = apart(&scaled, &numbers(&cam.values));
            assert!(off < 1e-4, "{name}: {off}");
        }
    }
}

/// What each channel counts at an earlier layer, as the logit changes with the channel, in double steps.
#[test]
fn grad_cam_weighs_channels_by_finite_differences_of_the_logit() {
    let net = Squares::red_or_blue();
    let input = red_and_blue().to_tensor(&net.spec.preprocess).unwrap();
    let activations = net.layer(&input, "first").unwrap();
    let logit = |change: &Tensor| -> f64 {
        let mut tap = |name: &str, x: Tensor| Ok(Some(if name == "first" { (x + change)? } else { x }));
        let features = net.tapped(&input, &mut tap).unwrap().unwrap();
        f64::from(numbers(&net.subject().logits(&features).unwrap())[0])
    };
    let places = (SIDE * SIDE) as f64;
    let step = 0.05;
    let counts: Vec<f32> = (0..3)
        .map(|channel| {
            let one =
                Tensor::from_iter((0..3).map(|other| if other == channel { step as f32 } else { 0. }), &Device::Cpu);
            let one = one.unwrap().reshape((1, 3, 1, 1)).unwrap().broadcast_as(activations.shape()).unwrap();
            ((logit(&one) - logit(&one.neg().unwrap())) / (2. * step * places)) as f32
        })
        .collect();
    let values = numbers(&activations);
    let want: Vec<f32> = (0..SIDE * SIDE)
        .map(|place| (0..3).map(|channel| counts[channel] * values[channel * SIDE * SIDE + place]).sum::<f32>().max(0.))
        .collect();
    let found = net.subject().relevance(&input, &[0], Some("first"), Method::GradCam).unwrap();
    let off = apart(&numbers(&found[0].values), &want);
    assert!(off < 1e-3, "off by {off}");
}

/// At the last layer the gradient is the head's weight w over 256 places, so a channel counts
/// 256 g / (2 + g S), with g = w / 256 and S the sum of its activations, where w is positive, and else nothing.
#[test]
fn grad_cam_plus_plus_by_hand() {
    let net = Squares::red_or_blue();
    let input = red_and_blue().to_tensor(&net.spec.preprocess).unwrap();
    let activations = numbers(&net.layer(&input, "last").unwrap());
    let channels: Vec<&[f32]> = activations.chunks(256).collect();
    let count = |channel: usize, weight: f32| {
        let (gradient, sum) = (weight / 256., channels[channel].iter().sum::<f32>());
        256. * gradient / (2. + gradient * sum)
    };
    // Class 1 weighs -2, 0.5, 3.
    let counts = [0., count(1, 0.5), count(2, 3.)];
    let want: Vec<f32> =
        (0..256).map(|place| (0..3).map(|channel| counts[channel] * channels[channel][place]).sum()).collect();
    let found = net.subject().relevance(&input, &[1], None, Method::GradCamPlusPlus).unwrap();
    assert!(apart(&numbers(&found[0].values), &want) < 1e-4);
}

/// A network that sees one corner only: covering anything else changes nothing.
#[test]
fn occlusion_finds_the_only_corner_that_counts() {
    let corner = |row, column| if row < 8 && column < 8 { 1. } else { 0. };
    let net = Named::new(Squares::new(corner, [[9., 9., 9.], [0., 0., 0.]], [0., 0.]));
    let map = net.heat_map_with(red_and_blue(), with("red", Method::Occlusion { patch: 8, stride: 8 })).unwrap();
    let values = numbers(&map.map);
    for (place, value) in values.iter().enumerate() {
        let inside = place / SIDE < 8 && place % SIDE < 8;
        assert_eq!(*value, if inside { 1. } else { 0. }, "row {}, column {}", place / SIDE, place % SIDE);
    }
    let input = red_and_blue().to_tensor(&Preprocess::unit(SIDE)).unwrap();
    let logit = numbers(&net.0.logits(&input).unwrap())[0];
    assert!((map.peak - logit).abs() < 1e-6, "without the corner the logit is 0");
    assert_eq!((map.layer, map.map.dims()), (None, &[SIDE, SIDE][..]));
}

#[test]
fn several_classes_stand_side_by_side_as_each_by_itself() {
    let net = Named::new(Squares::red_or_blue());
    let both = net.heat_maps(red_and_blue(), &["red", "blue"]).unwrap();
    for (map, class) in both.maps.iter().zip(["red", "blue"]) {
        let alone = net.heat_map(red_and_blue(), class).unwrap();
        assert_eq!((numbers(&map.map), map.logit), (numbers(&alone.map), alone.logit));
    }
    let alt = both.row().unwrap().alt().to_owned();
    assert!(alt.starts_with("Grad-CAM at last: what speaks for red, what for blue"), "{alt}");
    assert!(matches!(net.heat_maps(red_and_blue(), &[]), Err(Error::Setting { .. })));
    assert!(matches!(net.heat_maps(red_and_blue(), &["red"; 6]), Err(Error::Setting { .. })));
}

#[test]
fn photos_of_any_size_are_looked_at() {
    let net = Named::new(Squares::red_or_blue());
    let tiny = Pixels::new(1, 1, vec![200, 10, 30]).unwrap();
    let wide = red_and_blue().resized(90, 700).unwrap();
    for (pixels, shown) in [(tiny, (1, 1)), (wide, (65, 512)), (red_and_blue(), (SIDE, SIDE))] {
        for method in ALL {
            let map = net.heat_map_with(&pixels, with("red", method)).unwrap();
            assert_eq!((map.photo.height, map.photo.width), shown);
            assert!(map.overlay().is_ok());
        }
    }
}

/// The error that a heat map ends in, in words.
fn refused(net: &impl Explain, options: HeatMapOptions) -> String {
    net.heat_map_with(red_and_blue(), options).unwrap_err().to_string()
}

#[test]
fn what_cannot_have_a_heat_map_is_told_why() {
    let net = Named::new(Squares::red_or_blue());
    let at = |layer: &str, method| HeatMapOptions { layer: Some(layer.to_owned()), ..with("red", method) };
    let cases = [
        (at("flat", Method::GradCam), "`flat`, whose activations are [1, 3, 1, 1]: it must have rows and columns left"),
        (at("lasst", Method::GradCam), "no layer `lasst`; the nearest is `last`"),
        (at("first", Method::Cam), "only at `last`"),
        (at("last", Method::OCCLUSION), "looks at no layer"),
        (with("bleu", Method::GradCam), "there is no class `bleu`: the classes are `red` and `blue`"),
        (with("2", Method::GradCam), "there is no class `2`: by number, classes are 0 to 1"),
        (with("-1", Method::GradCam), "there is no class `-1`: by number, classes are 0 to 1"),
        (with("red", Method::Occlusion { patch: 0, stride: 1 }), "squares must be 1 to 32 wide"),
        (with("red", Method::Occlusion { patch: 33, stride: 1 }), "squares must be"),
        (with("red", Method::Occlusion { patch: 4, stride: 0 }), "squares must be"),
        (with("red", Method::Occlusion { patch: 4, stride: 5 }), "so that they cover every pixel"),
    ];
    for (options, want) in cases {
        let error = refused(&net, options.clone());
        assert!(error.contains(want), "{options:?}: {error}");
    }
    assert!(net.heat_map(red_and_blue(), "1").unwrap().class == "blue", "a number is a class too");
    let imagenet = MobileNetV2::random(1).unwrap();
    let cases = [
        ("1000", "there is no class `1000`: by number, classes are 0 to 999"),
        ("cat", "there is no class `cat`: of its 1000 classes, these have that in their names: `tiger cat`, "),
        (
            "golden retreiver",
            "there is no class `golden retreiver`: the nearest of its 1000 classes is `golden retriever`",
        ),
    ];
    for (class, want) in cases {
        let error = imagenet.subject().class(class).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
    let input = red_and_blue().to_tensor(&Preprocess::unit(SIDE)).unwrap();
    let subject = net.subject();
    assert!(matches!(subject.relevance(&input, &[2], None, Method::GradCam), Err(Error::Setting { .. })));
    let two = Tensor::cat(&[&input, &input], 0).unwrap();
    assert!(matches!(subject.relevance(&two, &[0], None, Method::GradCam), Err(Error::Shape { .. })));
}

#[test]
fn without_a_head_no_class_can_be_explained() {
    let net = Squares { head: None, ..Squares::red_or_blue() };
    for options in ALL.map(|method| with("0", method)).into_iter().chain([HeatMapOptions::default()]) {
        let error = refused(&net, options);
        assert!(error.contains("these weights have no head"), "{error}");
    }
    assert!(net.activations(red_and_blue(), &["last"]).is_ok(), "layers can be looked at all the same");
}

#[test]
fn activations_that_are_no_numbers_are_told() {
    let net = Named::new(Squares::new(|_, _| f32::NAN, [[1.; 3]; 2], [0.; 2]));
    for method in ALL {
        let error = refused(&net, with("red", method));
        assert!(error.contains("not all numbers"), "{method}: {error}");
    }
    assert!(refused(&net, HeatMapOptions::default()).contains("no class is predicted"));
}

#[test]
fn a_class_for_which_nothing_speaks_has_an_empty_map() {
    let net = Named::new(Squares::new(|_, _| 1., [[-1., -1., -1.], [0., 0., 0.]], [0., 0.]));
    for method in ALL {
        let map = net.heat_map_with(red_and_blue(), with("red", method)).unwrap();
        assert!(map.peak == 0. && numbers(&map.map).iter().all(|value| *value == 0.), "{method}");
        assert!(map.overlay().unwrap().alt().contains("nothing here speaks for it"));
    }
}

#[test]
fn mistakes_show_both_classes_the_highest_loss_first() {
    let net = Named::new(Squares::red_or_blue());
    let photos: Vec<Photo> = [[200, 0, 0], [0, 0, 200], [180, 0, 90]]
        .into_iter()
        .enumerate()
        .map(|(number, colour)| Photo::from_pixels(format!("photo {number}"), 0, drawn(|_, _| colour)))
        .collect();
    let names: Vec<String> = photos.iter().map(|photo| photo.name.clone()).collect();
    let inputs: Vec<Tensor> =
        photos.iter().map(|photo| photo.pixels().unwrap().to_tensor(&Preprocess::unit(SIDE)).unwrap()).collect();
    let logits = net.0.logits(&Tensor::cat(&inputs, 0).unwrap()).unwrap();
    // All are called red, and the second is blue.
    let predictions = Predictions::from_logits(&logits, vec![0, 0, 0], names, &net.1).unwrap();
    let without = predictions.clone().top_losses(2);
    let losses = predictions.with_photos(photos).unwrap().top_losses(3);
    let mut many = losses.clone();
    many.photos = losses.photos.iter().cycle().take(41).cloned().collect();
    let mistakes = net.explain_losses(&losses, 2).unwrap();
    let first = &mistakes.photos[0];
    let actual = first.actual.as_ref().unwrap();
    let classes = (first.predicted.name.as_str(), first.predicted.class.as_str(), actual.class.as_str());
    assert_eq!(classes, ("photo 1", "blue", "red"));
    assert!((f64::from(-actual.probability.ln()) - first.loss).abs() < 1e-4, "the loss is of what it is");
    assert!(mistakes.photos.len() == 2 && mistakes.photos[1].actual.is_none());
    let alt = mistakes.rows().unwrap().alt().to_owned();
    assert!(alt.contains("taken for blue") && alt.contains("(incorrect)") && alt.contains("is red"), "{alt}");
    assert!(mistakes.to_string().starts_with("photo 1: loss"), "{mistakes}");

    assert!(matches!(net.explain_losses(&losses, 0), Err(Error::Setting { .. })));
    let before = net.0.pooled.load(Ordering::SeqCst);
    let error = net.explain_losses(&many, 100).unwrap_err().to_string();
    assert!(error.contains("the number of losses is 41") && error.contains("40 rows"), "{error}");
    assert_eq!(net.0.pooled.load(Ordering::SeqCst), before, "refused before any work");
    assert!(net.explain_losses(&many, 40).unwrap().rows().is_ok());
    assert!(net.explain_losses(&without, 1).unwrap_err().to_string().contains("names only"));
    let others = Named(Squares::red_or_blue(), ["cat", "dog"].map(str::to_owned).to_vec());
    let error = others.explain_losses(&losses, 1).unwrap_err().to_string();
    assert!(error.contains("another model's: this one has no class `blue`") && !error.contains("nearest"), "{error}");
}

/// The numbers of two models beside each other would say something that neither does.
#[test]
fn losses_of_another_model_are_refused() {
    let net = |weight: f32| Named::new(Squares::new(|_, _| 1., [[weight, -1., -2.], [-2., 0.5, 3.]], [0.1, -0.2]));
    let losses_of = |net: &Named, colour: [u8; 3], label: usize| {
        let photo = Photo::from_pixels("one", 0, drawn(|_, _| colour));
        let input = photo.pixels().unwrap().to_tensor(&Preprocess::unit(SIDE)).unwrap();
        let (logits, names) = (net.0.logits(&input).unwrap(), vec!["one".to_owned()]);
        let predictions = Predictions::from_logits(&logits, vec![label], names, &net.1).unwrap();
        predictions.with_photos(vec![photo]).unwrap().top_losses(1)
    };
    for (colour, label) in [([100, 0, 0], 0), ([200, 0, 0], 1), ([250, 0, 0], 1)] {
        let losses = losses_of(&net(3.), colour, label);
        assert!(net(3.).explain_losses(&losses, 1).is_ok());
        let error = net(2.).explain_losses(&losses, 1).unwrap_err().to_string();
        assert!(
            error.contains("another model's: one has a loss of") && error.ends_with("predict with this model first")
        );
    }
    // e^-160 is 0 in f32, and a loss all the same.
    let losses = losses_of(&net(160.), [255, 0, 0], 1);
    let mistakes = net(160.).explain_losses(&losses, 1).unwrap();
    assert!(losses.photos[0].loss > 150. && mistakes.to_string().ends_with("is blue (below 0.001)"), "{mistakes}");
    assert!(mistakes.rows().unwrap().alt().contains("probability below 0.001"));
    assert!(net(170.).explain_losses(&losses, 1).is_err());
}
