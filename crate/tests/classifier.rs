//! A classifier on the pretrained backbone: saved, loaded, and asked about photos in a folder.
#![allow(clippy::unwrap_used)]

use candlewick::prelude::*;

mod reference;

#[test]
fn a_saved_classifier_finds_its_backbone_and_says_the_same() {
    if reference::weights().is_none() {
        return;
    }
    let (training, validation) = sketches(Sketches::Flowers, 40, 7).split(0.75, 1).unwrap();
    let network = MobileNetV2::load(reference::WEIGHTS).unwrap().freeze().unwrap();
    let mut model = TransferModel::new(network, training.classes()).unwrap().keep_features_in(None);
    model.fit(&training, &validation, FitOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flowers.safetensors");
    model.save(&path).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 40_000, "the head alone: 6,405 numbers");

    let loaded = Classifier::load(&path).unwrap();
    let (ours, theirs) = (model.predict(&validation).unwrap(), loaded.predict(&validation).unwrap());
    assert!(ours.accuracy() > 0.8 && loaded.classes() == model.classes());
    let numbers = |predictions: &Predictions| predictions.probabilities.to_vec2::<f32>().unwrap();
    assert_eq!(numbers(&ours), numbers(&theirs));

    // A folder of one's own: photos at two depths, and a file that is none.
    let own = folder.path().join("garden");
    std::fs::create_dir_all(own.join("behind the house")).unwrap();
    let photos = validation.take(3);
    for (photo, name) in photos.photos().iter().zip(["a.png", "b.png", "behind the house/c.png"]) {
        std::fs::write(own.join(name), photo.pixels().unwrap().to_png().unwrap()).unwrap();
    }
    std::fs::write(own.join("notes.txt"), "no photo").unwrap();
    let found = loaded.classify_folder(&own).unwrap();
    let names: Vec<_> = found.photos.iter().map(|photo| photo.name.as_str()).collect();
    assert_eq!(names, ["a.png", "b.png", "behind the house/c.png"]);
    assert_eq!(found.skipped.iter().map(|skipped| skipped.name.as_str()).collect::<Vec<_>>(), ["notes.txt"]);
    for (photo, predicted) in found.photos.iter().zip(ours.predicted_names()) {
        assert_eq!(photo.class(), predicted);
        let alone = loaded.classify(own.join(&photo.name)).unwrap();
        assert!((alone.probability() - photo.probability()).abs() < 1e-5);
    }
    assert!(found.to_string().contains("\n1 skipped: notes.txt ("), "{found}");
    assert_eq!(model.classify_folder(&own).unwrap().counts(), found.counts());
}
