//! A trained classifier as a file: safetensors, and in its metadata all that is needed to use it again.
//!
//! The file holds the head, and the backbone by the identity of its weights, as these can be fetched. A backbone that
//! cannot (fine-tuned, or from a file of one's own) is in the file as a whole. A digest covers everything.

use super::{Head, checks};
use crate::fetch::{self, Hasher};
use crate::freeze::{Engine, Unfreeze, compile, digest};
use crate::images::Preprocess;
use crate::models::BACKBONES;
use crate::weights::{WEIGHTS, WeightFile, Weights};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Grows when the format changes.
const VERSION: &str = "1";
/// The metadata's keys.
const FORMAT: &str = "candlewick classifier, version";
const ABOUT: &str = "about";
const SHA256: &str = "sha256";
/// What tensors of the backbone begin with.
const BACKBONE: &str = "backbone.";
/// More than any backbone here has.
const MOST_BYTES: u64 = 1 << 30;

/// What the tensors are of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct About {
    classes: Vec<String>,
    /// The backbone, by the name of its row in `BACKBONES`.
    architecture: String,
    /// The identity of its weights.
    weights: String,
    /// The digest of the numbers that its features depend on.
    backbone_sha256: String,
    features: usize,
    side: usize,
    mean: [f32; 3],
    std: [f32; 3],
    /// Whether the head ends in a softmax.
    softmax: bool,
}

/// The row of weights that can be had again by their identity.
fn fetchable(identity: &str) -> Option<&'static WeightFile> {
    let name = |row: &&WeightFile| match row.sha256 {
        Some(_) => row.name == identity,
        // Followed by the first digits of the sha256, and nothing else: fine-tuned weights have a longer name.
        None => identity.strip_prefix(row.name).and_then(|rest| rest.strip_prefix('@')).is_some_and(is_digest),
    };
    WEIGHTS.iter().find(name)
}

fn is_digest(digits: &str) -> bool {
    digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Writes head, classes and backbone, beside the file first and then renamed.
pub(super) fn save(path: &Path, head: &Head, classes: &[String], backbone: &dyn Unfreeze) -> Result<()> {
    let (spec, tensors) = (backbone.spec(), backbone.tensors()?);
    if !BACKBONES.iter().any(|row| row.name == spec.name) {
        let want = "only a backbone of this crate can be found again, so only a classifier on one can be saved".into();
        return Err(Error::Setting { setting: "the backbone", got: spec.name.into(), want });
    }
    let about = About {
        classes: classes.to_vec(),
        architecture: spec.name.to_owned(),
        weights: spec.weights.clone(),
        backbone_sha256: digest(&tensors)?,
        features: spec.features,
        side: spec.preprocess.side,
        mean: spec.preprocess.mean,
        std: spec.preprocess.std,
        softmax: head.has_softmax(),
    };
    let mut all = BTreeMap::from([("head.weight".to_owned(), head.weight().clone())]);
    all.insert("head.bias".to_owned(), head.bias().clone());
    if fetchable(&spec.weights).is_none() {
        all.extend(tensors.into_iter().map(|(name, tensor)| (format!("{BACKBONE}{name}"), tensor)));
    }
    fetch::write_atomically(path, &encode(&about, &all)?)
}

fn encode(about: &About, tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
    let about = serde_json::to_string(about).map_err(|why| Error::Data(format!("cannot describe the model: {why}")))?;
    let mut raw: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, tensor) in tensors {
        let numbers = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        raw.insert(name, (tensor.dims().to_vec(), numbers.into_iter().flat_map(f32::to_le_bytes).collect()));
    }
    let sum = checksum(&about, raw.iter().map(|(name, (shape, bytes))| (*name, shape.as_slice(), bytes.as_slice())));
    let metadata = [(FORMAT, VERSION.to_owned()), (ABOUT, about), (SHA256, sum)];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    let wrong = |why: safetensors::SafeTensorError| Error::Data(format!("cannot write safetensors: {why}"));
    let mut views = Vec::with_capacity(raw.len());
    for (name, (shape, bytes)) in &raw {
        let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).map_err(wrong)?;
        views.push((*name, view));
    }
    safetensors::serialize(views, Some(metadata)).map_err(wrong)
}

/// The sha256 of all that a file says, its version included.
fn checksum<'a>(about: &str, tensors: impl Iterator<Item = (&'a str, &'a [usize], &'a [u8])>) -> String {
    let mut hasher = Hasher::default();
    // Lengths keep bytes from moving from one part to the next unseen.
    hasher.update(format!("{FORMAT} {VERSION}\n{} {about}\n", about.len()).as_bytes());
    for (name, shape, bytes) in tensors {
        hasher.update(format!("{} {name} {shape:?}\n", name.len()).as_bytes());
        hasher.update(bytes);
    }
    hasher.hex()
}

/// What a file of [`save`] comes back as.
pub(super) struct Loaded {
    pub frozen: Arc<Engine>,
    pub head: Head,
    pub classes: Vec<String>,
}

/// Reads a file of [`save`], and its backbone.
pub(super) fn load(path: &Path) -> Result<Loaded> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let refuse = |why: String| Error::Weights { file: name.clone(), why };
    let (about, mut tensors) = decode(&read(path)?).map_err(refuse)?;
    checks::classes(&about.classes)?;
    if !BACKBONES.iter().any(|row| row.name == about.architecture) {
        return Err(refuse(crate::freeze::unknown(&about.architecture).to_string()));
    }
    let mut part = |name: &str| tensors.remove(name).ok_or_else(|| refuse(format!("it has no {name}")));
    let head = Head::from_weights(&part("head.weight")?, &part("head.bias")?)?.with_softmax(about.softmax);
    if (head.features(), head.classes()) != (about.features, about.classes.len()) {
        let (features, classes) = (head.features(), head.classes());
        let (want, names) = (about.features, about.classes.len());
        return Err(refuse(format!(
            "its head is for {features} features and {classes} classes, and it should be for {want} and {names}"
        )));
    }
    let weights = backbone(&about, tensors).map_err(refuse)??;
    let (frozen, digest) = compile(&about.architecture, &weights)?;
    let spec = frozen.spec();
    let preprocess = Preprocess { side: about.side, mean: about.mean, std: about.std };
    if weights.identity() != about.weights || digest != about.backbone_sha256 {
        return Err(refuse(format!(
            "its head was trained on the weights {}, and those found are {} with other numbers: its predictions would \
             mean nothing",
            about.weights,
            weights.identity()
        )));
    }
    if (spec.preprocess, spec.features) != (preprocess, about.features) {
        return Err(refuse(format!(
            "it wants photos as {preprocess:?}, and this version's {} takes {:?}",
            spec.name, spec.preprocess
        )));
    }
    Ok(Loaded { frozen, head, classes: about.classes })
}

/// The backbone's weights: out of the file, or by their identity.
fn backbone(about: &About, tensors: HashMap<String, Tensor>) -> Result<Result<Weights>, String> {
    if let Some(row) = fetchable(&about.weights) {
        if row.architecture != about.architecture {
            return Err(format!("it names the weights {} for a {}", about.weights, about.architecture));
        }
        return Ok(Weights::open(row.name));
    }
    let tensors =
        tensors.into_iter().filter_map(|(name, tensor)| Some((name.strip_prefix(BACKBONE)?.to_owned(), tensor)));
    Ok(Ok(Weights::new(about.weights.clone(), tensors.collect())))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let wrong = || Error::file("cannot read", path);
    let found = std::fs::metadata(path).map_err(wrong())?;
    if !found.is_file() || found.len() > MOST_BYTES {
        let why = format!("not an ordinary file of at most {MOST_BYTES} bytes");
        return Err(wrong()(std::io::Error::other(why)));
    }
    let mut bytes = Vec::new();
    // The size is that of a moment ago.
    File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)).map_err(wrong())?;
    Ok(bytes)
}

/// What a file says, if it is whole and unchanged; else what is wrong with it.
fn decode(bytes: &[u8]) -> Result<(About, HashMap<String, Tensor>), String> {
    let broken = |why| format!("it is cut off, or no safetensors file ({why})");
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let contents = SafeTensors::deserialize(bytes).map_err(broken)?;
    let said = |key: &str| header.metadata().as_ref().and_then(|metadata| metadata.get(key));
    match said(FORMAT).map(String::as_str) {
        Some(VERSION) => {}
        None => {
            return Err(
                "it holds tensors, but no classifier: `model.save(\"flowers.safetensors\")` writes those".into()
            );
        }
        Some(other) => {
            return Err(format!(
                "it is of format version {other:.20}, and this candlewick reads version {VERSION}: another candlewick wrote it"
            ));
        }
    }
    let (Some(about), Some(sum)) = (said(ABOUT), said(SHA256)) else {
        return Err("its description or its checksum is missing: it was changed after it was saved".into());
    };
    let views: BTreeMap<_, _> = contents.tensors().into_iter().collect();
    let parts = views.iter().map(|(name, view)| (name.as_str(), view.shape(), view.data()));
    if *sum != checksum(about, parts) || views.values().any(|view| view.dtype() != safetensors::Dtype::F32) {
        return Err("its contents do not fit its checksum: it was damaged or changed after it was saved".into());
    }
    let about = serde_json::from_str(about).map_err(|why| format!("its description cannot be read: {why}"))?;
    let mut tensors = HashMap::new();
    for (name, view) in views {
        let tensor = Tensor::from_raw_buffer(view.data(), DType::F32, view.shape(), &Device::Cpu);
        let tensor = tensor.map_err(|why| format!("{name}: {why}"))?;
        let numbers = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).map_err(|why| why.to_string())?;
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(format!("{name} holds what is no number"));
        }
        tensors.insert(name, tensor);
    }
    Ok((about, tensors))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::{Sketches, sketches};
    use crate::models::{Backbone, MobileNetV2};
    use crate::train::{Classifier, FitOptions, TransferModel};

    fn about() -> About {
        About {
            classes: ["cat", "dog"].map(str::to_owned).to_vec(),
            architecture: "mobilenet_v2".to_owned(),
            weights: "of a test".to_owned(),
            backbone_sha256: String::new(),
            features: 3,
            side: 224,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            softmax: true,
        }
    }

    fn head_of(features: usize) -> BTreeMap<String, Tensor> {
        let weight = Tensor::arange(0.0_f32, 2.0 * features as f32, &Device::Cpu).unwrap();
        let weight = weight.reshape((2, features)).unwrap();
        let bias = Tensor::new(&[0.5_f32, -1e-30], &Device::Cpu).unwrap();
        BTreeMap::from([("head.weight".to_owned(), weight), ("head.bias".to_owned(), bias)])
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let (said, tensors) = decode(&encode(&about(), &head_of(3)).unwrap()).unwrap();
        assert_eq!(said, about());
        for (name, tensor) in head_of(3) {
            let bits = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!((tensor.dims(), bits(&tensor)), (tensors[&name].dims(), bits(&tensors[&name])));
        }
    }

    /// Whatever byte is changed and wherever the file is cut: an error, and never a panic.
    #[test]
    fn damage_is_never_believed() {
        let whole = encode(&about(), &head_of(3)).unwrap();
        for at in 0..whole.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                let read = decode(&bytes);
                // White space in the header, and in the padding behind it, says nothing.
                assert!(read.is_err() || read.is_ok_and(|(said, _)| said == about()), "byte {at}");
            }
            assert!(decode(&whole[..at]).is_err_and(|why| why.contains("cut off")), "{at} bytes");
        }
        assert!(decode(&[whole.as_slice(), b"more"].concat()).is_err());
    }

    #[test]
    fn every_refusal_says_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flowers.safetensors");
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = Classifier::load(&path).unwrap_err().to_string();
            assert!(error.starts_with("flowers.safetensors: "), "{error}");
            error
        };
        let changed = |from: &str, to: &str| {
            let bytes = encode(&about(), &head_of(3)).unwrap();
            let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
        };
        let with = |change: &dyn Fn(&mut About)| {
            let mut about = about();
            change(&mut about);
            encode(&about, &head_of(3)).unwrap()
        };
        let plain = safetensors::serialize([("a", Tensor::new(&[1.0_f32], &Device::Cpu).unwrap())], None).unwrap();
        let mut none = head_of(3);
        none.remove("head.bias");
        let mut nan = head_of(3);
        nan.insert("head.bias".to_owned(), Tensor::new(&[f32::NAN, 0.0], &Device::Cpu).unwrap());
        let cases: [(&str, Vec<u8>, &str); 12] = [
            ("no safetensors", b"\x89PNG, a photo".to_vec(), "no safetensors file"),
            ("empty", Vec::new(), "cut off"),
            ("other tensors", plain, "no classifier: `model.save("),
            ("another version", changed("version\":\"1\"", "version\":\"2\""), "format version 2"),
            ("another class", changed("\\\"cat\\\"", "\\\"car\\\""), "do not fit its checksum"),
            ("a number", changed("\u{0}\u{0}\u{40}\u{40}", "\u{0}\u{0}\u{40}\u{41}"), "do not fit its checksum"),
            ("no bias", encode(&about(), &none).unwrap(), "it has no head.bias"),
            ("NaN", encode(&about(), &nan).unwrap(), "head.bias holds what is no number"),
            (
                "another backbone",
                with(&|about| about.architecture = "resnet50".into()),
                "resnet50: this version of candlewick knows mobilenet_v2",
            ),
            (
                "more classes",
                with(&|about| about.classes.push("cow".into())),
                "its head is for 3 features and 2 classes",
            ),
            ("other features", with(&|about| about.features = 4), "it should be for 4 and 2"),
            ("half a pickle", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ".to_vec(), "no classifier"),
        ];
        for (what, bytes, want) in cases {
            let error = refused(&bytes);
            assert!(error.contains(want), "{what}: {error}");
        }
        let twice = with(&|about| about.classes = vec!["cat".into(), "cat".into()]);
        std::fs::write(&path, twice).unwrap();
        assert!(Classifier::load(&path).unwrap_err().to_string().contains("`cat` is there twice"));
        assert!(matches!(Classifier::load(folder.path()), Err(Error::File { .. })));
        assert!(matches!(Classifier::load(folder.path().join("none")), Err(Error::File { .. })));
    }

    /// A backbone that no identity leads to is in the file, and what is loaded says the same of every photo.
    #[test]
    fn a_model_on_weights_of_ones_own_comes_back_whole() {
        let photos = sketches(Sketches::CatsVsDogs, 6, 1);
        let frozen = MobileNetV2::random(3).unwrap().freeze().unwrap();
        let mut model = TransferModel::new(frozen, photos.classes()).unwrap().keep_features_in(None).softmax();
        model.fit(&photos, &photos, FitOptions { from_logits: false, ..FitOptions::default() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/own.safetensors");
        model.save(&path).unwrap();
        model.save(&path).unwrap();
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        let loaded = Classifier::load(&path).unwrap();
        assert!(loaded.classes() == photos.classes() && loaded.head().has_softmax());
        assert!(loaded.to_string().contains("on mobilenet_v2 (weights random, seed 3)"), "{loaded}");
        for photo in photos.photos() {
            let (ours, theirs) = (model.classify(photo).unwrap(), loaded.classify(photo).unwrap());
            assert_eq!(ours.probabilities, theirs.probabilities, "{}", photo.name);
        }

        // Other numbers of the backbone under the same name, with a checksum that fits.
        let (mut about, tensors) = decode(&std::fs::read(&path).unwrap()).unwrap();
        let mut tensors: BTreeMap<_, _> = tensors.into_iter().collect();
        let gentler = tensors["backbone.features.18.1.weight"].affine(0.5, 0.0).unwrap();
        tensors.insert("backbone.features.18.1.weight".to_owned(), gentler);
        let refused = |about: &About, tensors: &BTreeMap<String, Tensor>| {
            std::fs::write(&path, encode(about, tensors).unwrap()).unwrap();
            Classifier::load(&path).unwrap_err().to_string()
        };
        assert!(refused(&about, &tensors).contains("with other numbers"));
        tensors.remove("backbone.features.0.0.weight");
        assert!(refused(&about, &tensors).contains("missing: features.0.0.weight"));
        // Photos as another backbone wants them.
        model.save(&path).unwrap();
        (about, _) = decode(&std::fs::read(&path).unwrap()).unwrap();
        about.side = 299;
        let tensors = decode(&std::fs::read(&path).unwrap()).unwrap().1.into_iter().collect();
        assert!(refused(&about, &tensors).contains("it wants photos as Preprocess { side: 299"));
        assert!(model.save(folder.path()).is_err(), "a folder is in the way");
    }

    #[test]
    fn weights_that_can_be_fetched_are_known_by_their_identity() {
        let name = |identity: &str| fetchable(identity).map(|row| row.name);
        assert_eq!(name("mobilenet_v2.tv_in1k"), Some("mobilenet_v2.tv_in1k"));
        assert_eq!(name("timm/mobilenetv2_100.ra_in1k@0123456789abcdef"), Some("timm/mobilenetv2_100.ra_in1k"));
        for own in [
            "mobilenet_v2.tv_in1k@0123",
            "random, seed 1",
            "timm/mobilenetv2_100.ra_in1k",
            "",
            "my.pth@01",
            "timm/mobilenetv2_100.ra_in1k@0123456789abcdef, fine-tuned",
        ] {
            assert_eq!(name(own), None, "{own}");
        }
        assert!(MobileNetV2::random(1).unwrap().spec().weights.starts_with("random"));
    }
}
