//! timm's names of a MobileNetV2, from its EfficientNet code, and torchvision's for the same tensors.

use candle_core::Tensor;
use std::collections::HashMap;

/// Blocks in each of timm's seven stages.
const REPEATS: [usize; 7] = [1, 2, 3, 4, 3, 3, 1];

/// Tensors under torchvision's names. Those of other origin stay as they are.
pub(super) fn renamed(tensors: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    if !tensors.contains_key("conv_stem.weight") {
        return tensors;
    }
    let modules = modules();
    let rename = |name: String| match name.rsplit_once('.') {
        Some((module, part)) => modules.get(module).map(|module| format!("{module}.{part}")).unwrap_or(name),
        None => name,
    };
    tensors.into_iter().map(|(name, tensor)| (rename(name), tensor)).collect()
}

/// From timm's module to torchvision's.
fn modules() -> HashMap<String, String> {
    let ends = [
        ("conv_stem", "features.0.0"),
        ("bn1", "features.0.1"),
        ("conv_head", "features.18.0"),
        ("bn2", "features.18.1"),
        ("classifier", "classifier.1"),
    ];
    let mut modules: HashMap<String, String> = ends.map(|(timm, ours)| (timm.into(), ours.into())).into();
    // The first block does not widen: its pointwise convolution is the projection.
    let first = [("conv_dw", "conv.0.0"), ("bn1", "conv.0.1"), ("conv_pw", "conv.1"), ("bn2", "conv.2")];
    let others = [
        ("conv_pw", "conv.0.0"),
        ("bn1", "conv.0.1"),
        ("conv_dw", "conv.1.0"),
        ("bn2", "conv.1.1"),
        ("conv_pwl", "conv.2"),
        ("bn3", "conv.3"),
    ];
    let mut index = 0;
    for (stage, repeats) in REPEATS.into_iter().enumerate() {
        for block in 0..repeats {
            index += 1;
            let parts = if stage == 0 { &first[..] } else { &others[..] };
            for (timm, ours) in parts {
                modules.insert(format!("blocks.{stage}.{block}.{timm}"), format!("features.{index}.{ours}"));
            }
        }
    }
    modules
}
