//! TODO 4 and 5: features, and the same features frozen.

use super::super::diagnosis::{Checked, mistake};
use crate::Result;
use crate::freeze::Unfreeze;
use crate::images::Batch;
use crate::models::{BACKBONES, Backbone};
use crate::weights::Weights;
use candle_core::{DType, Tensor, Var};

/// How far features may be from those that they should be, in parts of the largest.
const NEAR: f32 = 2e-3;

pub(super) fn features(network: &dyn Backbone, batch: &Batch, features: &Tensor) -> Checked {
    let spec = network.spec();
    let photos = batch.photos.dims().first().copied().unwrap_or(0);
    let what = |more: String| format!("`features` has the shape {:?}; {more}", features.dims());
    match features.dims() {
        [rows, width] if (*rows, *width) == (photos, spec.features) => {}
        [_, width] if *width == spec.classes => {
            return mistake(
                "logits-for-features",
                what(format!("{} numbers a photo are ImageNet's logits, not features.", spec.classes)),
                "logits are opinions about ImageNet's classes: flowers come to .87 on them, and to .89 on features.",
                "ask the network for what it sees, before its own head names it.",
            );
        }
        [_, channels, _, _] if *channels == spec.features => {
            return mistake(
                "feature-map",
                what("that is a map of features, place by place, and not one list a photo.".to_owned()),
                "the head is a dense layer: it takes one number a feature, the mean over all places.",
                "take the network's features as a whole, not one layer's activations.",
            );
        }
        [rows, width] if *width == spec.features => {
            return mistake(
                "one-photo",
                what(format!("that is {rows} of the batch's {photos} photos.")),
                "a network takes a whole batch at once: that is what batches are for.",
                "give it all of `batch.photos`.",
            );
        }
        _ => {
            return mistake(
                "other-shape",
                what(format!("a batch of {photos} photos gives ({photos}, {}).", spec.features)),
                "the head that comes behind takes one row of features a photo.",
                "print the shape with `.dims()`, and look for the network's method that gives features.",
            );
        }
    }
    if photos > 0 && !gradient_flows(network, batch)? {
        return mistake(
            "frozen-too-early",
            "`network` is frozen already, and to freeze it is TODO 5.",
            "a frozen network gives the same features, but there is nothing left in it that could be frozen.",
            "load it here and leave it as it is.",
        );
    }
    untrained(network)?;
    if photos == 0 || is_near(network, batch, features)? {
        return Ok(());
    }
    mistake(
        "other-features",
        "`features` are not what `network` gives for `batch.photos`.",
        "the head learns from what the network sees; these numbers are of other photos, or were changed since.",
        "compute them from `batch.photos` as it is.",
    )
}

/// A network that has learnt nothing.
fn untrained(network: &dyn Backbone) -> Checked {
    let weights = &network.spec().weights;
    if !weights.contains("random") {
        return Ok(());
    }
    mistake(
        "untrained-network",
        format!("`network` has random weights ({weights})."),
        "transfer learning keeps what a network has learnt; this one has learnt nothing.",
        "make the network with its pretrained weights.",
    )
}

pub(super) fn frozen(frozen: &dyn Backbone, batch: &Batch, features: &Tensor) -> Checked {
    if gradient_flows(frozen, batch)? {
        return mistake(
            "not-frozen",
            "`frozen` is not frozen: gradients still flow through it.",
            "a new head's first gradients know nothing, and would spoil what the network has learnt.",
            "networks of this crate have a method for it, named as the thing itself; it gives the frozen network.",
        );
    }
    if is_near(frozen, batch, features)? {
        return Ok(());
    }
    mistake(
        "other-weights",
        "`frozen` does not give the features that your network gave in TODO 4.",
        "freezing keeps a network as it is: other features come from other weights.",
        "freeze the very network of TODO 4.",
    )
}

/// That training has left the frozen part as it was; `network` is the same before it was compiled.
pub(super) fn unchanged(network: &dyn Unfreeze, frozen: &dyn Backbone, batch: &Batch, features: &Tensor) -> Checked {
    if is_near(frozen, batch, features)? {
        return Ok(());
    }
    untrained(network)?;
    if statistics_changed(network)? {
        return mistake(
            "batch-norm-in-training",
            "the batch norms of `model` have counted your photos: their means and variances are others now.",
            "batch norm in training mode changes a network whose parameters stay: each batch moves what it has stored.",
            "make the model anew, from TODO 4 on, and train its head alone: `fit` uses the stored statistics.",
        );
    }
    mistake(
        "frozen-part-changed",
        "the frozen part of `model` no longer gives the features of TODO 4.",
        "a frozen network's parameters stay; these have learnt along, and a small set of photos spoils many of them.",
        "make the model anew, from TODO 4 on, and train its head alone.",
    )
}

/// Whether batch norms' stored means or variances are others than in the architecture's pretrained weights.
fn statistics_changed(network: &dyn Unfreeze) -> Result<bool> {
    let Some(row) = BACKBONES.iter().find(|row| row.name == network.spec().name) else { return Ok(false) };
    let pretrained = Weights::open(row.weights)?;
    for (name, tensor) in network.tensors()?.iter().filter(|(name, _)| name.contains(".running_")) {
        let Some(before) = pretrained.get(name).filter(|before| before.dims() == tensor.dims()) else { continue };
        if tensor.to_dtype(DType::F32)?.to_vec1::<f32>()? != before.to_dtype(DType::F32)?.to_vec1::<f32>()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the network gives these features, looked at for the first photo and the last.
fn is_near(network: &dyn Backbone, batch: &Batch, features: &Tensor) -> Result<bool> {
    let rows = features.dims().first().copied().unwrap_or(0).min(batch.photos.dims().first().copied().unwrap_or(0));
    for row in if rows > 1 { vec![0, rows - 1] } else { vec![0] } {
        let want = network.features(&batch.photos.narrow(0, row, 1)?)?.flatten_all()?.to_vec1::<f32>()?;
        let got = features.get(row)?.flatten_all()?.to_vec1::<f32>()?;
        let most = want.iter().fold(f32::EPSILON, |most, value| most.max(value.abs()));
        if got.len() != want.len() || !got.iter().zip(&want).all(|(got, want)| (got - want).abs() <= NEAR * most) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a gradient would find its way from the features back to a photo.
fn gradient_flows(network: &dyn Backbone, batch: &Batch) -> Result<bool> {
    let photo = Var::from_tensor(&batch.photos.narrow(0, 0, 1)?)?;
    Ok(network.features(photo.as_tensor())?.track_op())
}
