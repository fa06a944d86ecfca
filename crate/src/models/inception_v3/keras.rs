//! Keras' names and layout of an InceptionV3, and torchvision's for the same tensors.
//!
//! Keras counts its layers per process: a trunk may begin at `conv2d` or at `conv2d_188`. The order of the numbers is
//! the order in which layers were made, which is that of the table.

use super::table::{self, Block};
use crate::weights::Weights;
use crate::{Error, Result};
use candle_core::Tensor;
use std::collections::{BTreeMap, HashMap};

/// Parts of Keras' batch norm and torchvision's words for them.
const NORM: [(&str, &str); 4] =
    [("gamma", "weight"), ("beta", "bias"), ("moving_mean", "running_mean"), ("moving_variance", "running_var")];

/// The tensors of one layer by part: `kernel`, `beta`.
type Parts<'a> = HashMap<&'a str, &'a Tensor>;

/// The trunk under torchvision's names, kernels as `(O, I, h, w)`. Layers of other kinds, such as a head, are left out.
///
/// # Errors
/// [`Error::Weights`] where there are not as many convolutions and batch norms as InceptionV3 has.
pub(super) fn renamed(weights: &Weights) -> Result<Weights> {
    let units: Vec<_> = table::blocks().iter().flat_map(Block::units).cloned().collect();
    let (kernels, norms) = (numbered(weights, "conv2d"), numbered(weights, "batch_normalization"));
    if (kernels.len(), norms.len()) != (units.len(), units.len()) {
        let (kernels, norms, want) = (kernels.len(), norms.len(), units.len());
        let why = format!(
            "no InceptionV3: {kernels} layers conv2d and {norms} batch_normalization, as Keras names them, in place of \
             {want} each, and no tensor Conv2d_1a_3x3.conv.weight, as torchvision names it"
        );
        return Err(Error::Weights { file: weights.identity().to_owned(), why });
    }
    let mut tensors = HashMap::new();
    for (unit, (kernel, norm)) in units.iter().zip(kernels.values().zip(norms.values())) {
        if let Some(kernel) = kernel.get("kernel").filter(|kernel| kernel.rank() == 4) {
            tensors.insert(format!("{}.conv.weight", unit.name), kernel.permute((3, 2, 0, 1))?.contiguous()?);
        }
        for (theirs, ours) in NORM {
            if let Some(tensor) = norm.get(theirs) {
                tensors.insert(format!("{}.bn.{ours}", unit.name), (*tensor).clone());
            }
        }
    }
    Ok(Weights::new(weights.identity(), tensors))
}

/// The layers called `kind` or `kind_N`, by number: `model_weights/conv2d_188/conv2d_188/kernel` is the kernel of 188.
fn numbered<'a>(weights: &'a Weights, kind: &str) -> BTreeMap<u64, Parts<'a>> {
    let mut layers: BTreeMap<u64, Parts<'a>> = BTreeMap::new();
    for name in weights.names() {
        let mut parts = name.rsplit('/');
        let (Some(part), Some(layer)) = (parts.next(), parts.next()) else { continue };
        let number = match layer.strip_prefix(kind) {
            Some("") => Some(0),
            Some(rest) => rest.strip_prefix('_').and_then(|digits| digits.parse().ok()),
            None => None,
        };
        // Optimisers keep moments under the same names.
        let of_optimizer = name.contains("optimizer");
        if let (Some(number), Some(tensor), false) = (number, weights.get(name), of_optimizer) {
            let part = part.split_once(':').map_or(part, |(part, _)| part);
            layers.entry(number).or_default().insert(part, tensor);
        }
    }
    layers
}
