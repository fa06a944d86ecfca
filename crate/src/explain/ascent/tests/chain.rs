//! What a step does to the canvas, against differences of values: through view, preprocessing, network and penalties.

use super::*;
use crate::explain::ascent::canvas::Paint;
use crate::explain::ascent::view::View;
use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const SIDE: usize = 16;

/// Its channels differ in all that preprocessing does.
fn uneven() -> Layered {
    let mut net = Layered::new();
    net.spec.preprocess = Preprocess { side: SIDE, mean: [0.3, 0.5, 0.6], std: [0.2, 0.25, 0.4] };
    net
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The gradient with which frequencies climb is the slope of what climbs, in any direction of the spectrum.
#[test]
fn the_way_from_the_objective_to_the_spectrum_is_its_slope() {
    let net = uneven();
    let subject = net.subject();
    let options = FilterOptions { side: SIDE, rotation: 30.0, zoom: 0.3, ..FilterOptions::default() };
    for objective in [Objective::Mean, Objective::Centre] {
        let options = FilterOptions { objective, ..options.clone() };
        let mountain = mountain(&subject, Place::Layer("colours".to_owned()), options.clone()).unwrap();
        let Paint::Frequency(frequencies) = &mountain.paint else { panic!("frequencies are the default") };
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let view = View::at_random(&options, &mut random);
        let shape = (3, 2, SIDE, SIDE / 2 + 1);
        let noise =
            |name: &str| Tensor::from_vec(signed(name, 3 * 2 * SIDE * (SIDE / 2 + 1)), shape, &Device::Cpu).unwrap();
        let spectrum = (noise("spectrum") * 0.1).unwrap();
        for channel in 0..3 {
            let value = |spectrum: &Tensor| {
                let picture = values(&frequencies.picture(spectrum).unwrap());
                f64::from(mountain.slope(&picture, &view, channel).unwrap().1.value)
            };
            let picture = frequencies.picture(&spectrum).unwrap();
            let (gradient, _) = mountain.slope(&values(&picture), &view, channel).unwrap();
            let gradient = Tensor::from_vec(gradient, picture.shape(), &Device::Cpu).unwrap();
            let gradient = values(&frequencies.to_spectrum(&picture, &gradient).unwrap());
            for direction in ["one", "two", "three"].map(noise) {
                let along: f64 =
                    gradient.iter().zip(values(&direction)).map(|(slope, way)| f64::from(slope * way)).sum();
                let moved = |step: f64| value(&(&spectrum + (&direction * step).unwrap()).unwrap());
                let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let off = (difference - along).abs();
                assert!(off < 1e-3 * along.abs().max(0.1), "{objective:?} {channel}: {along} and {difference}");
            }
        }
    }
}

/// How far neighbours differ, and how far all is from grey.
fn roughness(picture: &[f32]) -> (f32, f32) {
    let rows = picture.chunks_exact(SIDE);
    let beside = rows.map(|row| row.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum::<f32>()).sum();
    (beside, picture.iter().map(|value| (value - 0.5).abs()).sum())
}

/// The canvas of a filter that one constant colour excites most, after some steps.
fn climbed(options: &FilterOptions) -> Vec<f32> {
    let net = uneven();
    let subject = net.subject();
    let mountain = mountain(&subject, Place::Layer("colours".to_owned()), options.clone()).unwrap();
    let mut climber = Climber::new("colours #1".to_owned(), 1, &mountain.paint, options).unwrap();
    for _ in 0..options.steps {
        climber.step(&mountain).unwrap();
    }
    values(&climber.picture)
}

/// Each penalty takes away what it is there for, and leaves the other alone.
#[test]
fn penalties_hold_a_picture_back() {
    let free = FilterOptions { steps: 30, side: SIDE, ..FilterOptions::pixels() };
    let (rough, far) = roughness(&climbed(&free));
    let (smooth, _) = roughness(&climbed(&FilterOptions { total_variation: 0.2, ..free.clone() }));
    assert!(smooth < 0.6 * rough, "{smooth} and {rough}");
    let (_, near) = roughness(&climbed(&FilterOptions { decay: 20.0, ..free }));
    assert!(near < 0.6 * far, "{near} and {far}");
}

/// A ReLU under two names lets the gradient pass once.
#[test]
fn a_closed_relu_passes_its_part_once() {
    let net = Layered::new();
    let subject = net.subject();
    let photo = Tensor::zeros((1, 3, SIDE, SIDE), DType::F32, &Device::Cpu).unwrap();
    for (place, whole) in [("closed.again", 1.0), ("behind", 2.0 * 0.1)] {
        let mountain = mountain(&subject, Place::Layer(place.to_owned()), quick(1)).unwrap();
        let slope = mountain.goal.slope(&photo, 0).unwrap();
        // The mean over all places.
        let want = whole / (SIDE * SIDE) as f32;
        let largest = slope.gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!((largest - want).abs() < 1e-6 * want, "{place}: {largest} and {want}");
        assert_eq!(slope.is_felt, place != "behind");
    }
}
