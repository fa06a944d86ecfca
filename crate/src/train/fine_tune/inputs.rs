//! What goes into the first layer that learns, computed once a photo and kept in memory.

use crate::freeze::Engine;
use crate::models::no_such_layer;
use crate::train::FeatureTable;
use crate::train::features::{Broken, Part, Rows, Source, tables};
use crate::train::store::FeatureStore;
use crate::{Error, Result};

/// The most that is kept. While it is computed, it is there twice.
const MOST_BYTES: usize = 1 << 30;

/// Rows of flattened activations, for each of two data sets.
pub(in crate::train) struct Inputs {
    pub training: FeatureTable,
    pub validation: FeatureTable,
    /// What each row is: `(C, H, W)`.
    pub shape: (usize, usize, usize),
}

/// Computes what goes into `layer` for the photos of a training and a validation set.
pub(in crate::train) fn inputs(
    frozen: &Engine,
    layer: &str,
    broken: &mut Broken,
    parts: &[Part<'_>; 2],
) -> Result<Inputs> {
    let (index, shape) = place(frozen, layer, parts.iter().map(|part| part.photos.len()).sum())?;
    let rows: &Rows<'_> = &|photos, photo, progress| frozen.inputs_of_all(index, photos, photo, progress);
    let what = format!("inputs of {layer}");
    // In memory only: these are many times as large as features.
    let mut store = FeatureStore::new(None, "inputs", &what, bytes(shape) / size_of::<f32>());
    let tables = tables(&Source { what: &what, chunk: frozen.chunk(), rows }, &mut store, broken, parts)?;
    match <[FeatureTable; 2]>::try_from(tables) {
        Ok([training, validation]) => Ok(Inputs { training, validation, shape }),
        Err(_) => Err(Error::Data("inputs are wanted of a training and a validation set".to_owned())),
    }
}

fn bytes((channels, height, width): (usize, usize, usize)) -> usize {
    channels * height * width * size_of::<f32>()
}

/// The layer's number and what goes into it, if that fits into memory for so many photos.
fn place(frozen: &Engine, layer: &str, photos: usize) -> Result<(usize, (usize, usize, usize))> {
    let names: Vec<String> = frozen.layer_names();
    let Some(index) = names.iter().position(|name| name == layer) else {
        return Err(no_such_layer(frozen.spec().name, layer, &names));
    };
    let needed =
        |index: usize| frozen.input_shape(index).map_or(usize::MAX, |shape| photos.saturating_mul(bytes(shape)));
    if needed(index) > MOST_BYTES {
        let fits = (index..names.len()).find(|later| needed(*later) <= MOST_BYTES).and_then(|later| names.get(later));
        let other = fits.map_or_else(String::new, |name| format!("begin at {name} or later, or "));
        return Err(Error::Setting {
            setting: "the layer to fine-tune from",
            got: layer.to_owned(),
            want: format!(
                "what goes into it takes {} MiB for {photos} photos, and {} MiB are kept at most: {other}take fewer photos",
                needed(index) >> 20,
                MOST_BYTES >> 20
            ),
        });
    }
    Ok((index, frozen.input_shape(index).unwrap_or_default()))
}
