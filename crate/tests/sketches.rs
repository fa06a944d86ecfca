//! What makes the sketches worth a lesson: pixels alone do not tell cats from dogs, a pretrained network's features do.
#![allow(missing_docs, clippy::unwrap_used)]

use candlewick::candle_nn::{self, Module, Optimizer};
use candlewick::prelude::*;

mod reference;

/// The validation accuracy of a linear head on the photos' own pixels, 32 x 32.
fn from_raw_pixels(training: &Dataset, validation: &Dataset) -> Result<f64> {
    // Centred values: a head on 0..=1 would mostly learn the brightness.
    let centred = Preprocess { side: 32, mean: [0.5; 3], std: [0.25; 3] };
    let classes = training.classes().len();
    let variables = candle_nn::VarMap::new();
    let builder = candle_nn::VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let head = candle_nn::linear(3 * 32 * 32, classes, builder)?;
    let settings = candle_nn::ParamsAdamW { lr: 1e-4, weight_decay: 0.0, ..Default::default() };
    let mut adam = candle_nn::AdamW::new(variables.all_vars(), settings)?;
    let every = training.batch(training.len(), &centred)?;
    let pixels = every.photos.flatten_from(1)?;
    let labels = Tensor::new(every.labels.iter().map(|label| *label as u32).collect::<Vec<_>>(), &Device::Cpu)?;
    for _ in 0..40 {
        // The training set has been shuffled by its split, so batches in order are mixed.
        for from in (0..training.len()).step_by(32) {
            let size = 32.min(training.len() - from);
            let logits = head.forward(&pixels.narrow(0, from, size)?)?;
            adam.backward_step(&candle_nn::loss::cross_entropy(&logits, &labels.narrow(0, from, size)?)?)?;
        }
    }
    let all = validation.batch(validation.len(), &centred)?;
    let predicted = head.forward(&all.photos.flatten_from(1)?)?.argmax(D::Minus1)?.to_vec1::<u32>()?;
    let right = predicted.iter().zip(&all.labels).filter(|(predicted, label)| **predicted as usize == **label).count();
    Ok(right as f64 / all.labels.len() as f64)
}

#[test]
fn shapes_tell_the_sketches_apart_and_pixels_do_not() {
    let weights = reference::weights();
    let cases = [(Sketches::CatsVsDogs, 300, 0.75, 0.9), (Sketches::Flowers, 100, 0.75, 0.9)];
    for (set, per_class, most_from_pixels, least_from_features) in cases {
        let (training, validation) = sketches(set, per_class, 7).split(0.75, 1).unwrap();
        let pixels = from_raw_pixels(&training, &validation).unwrap();
        println!("{set:?}: {pixels:.3} from raw pixels, on {} sketches", validation.len());
        assert!(pixels <= most_from_pixels, "{set:?}: a linear head on raw pixels reaches {pixels:.3}");
        if weights.is_none() {
            continue;
        }
        let network = MobileNetV2::load(reference::WEIGHTS).unwrap();
        let mut model =
            TransferModel::new(network.freeze().unwrap(), training.classes()).unwrap().keep_features_in(None);
        model.fit(&training, &validation, FitOptions::default()).unwrap();
        let features = model.predict(&validation).unwrap().accuracy();
        println!("{set:?}: {features:.3} from MobileNetV2's features");
        assert!(features >= least_from_features, "{set:?}: a head on features reaches only {features:.3}");
    }
}
