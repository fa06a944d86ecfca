//! Layers of InceptionV3 by name.

use super::{InceptionV3, Named, Step};
use crate::Result;
use crate::models::BatchNorm;
use crate::models::layers::Until;
use crate::models::names::no_such_layer;
use candle_core::Tensor;

/// Where a named layer is found.
struct Place {
    name: String,
    /// Its index among the blocks.
    block: usize,
    /// For a convolution in a block: which of its branches, which step, which side of a split, and how far.
    part: Option<(usize, usize, usize, Until)>,
}

impl InceptionV3 {
    /// Every name that [`layer`](crate::models::Backbone::layer) knows: whole layers, branches and their parts, in order.
    pub fn layer_names(&self) -> Vec<String> {
        self.places().into_iter().map(|place| place.name).collect()
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            for (branch, steps) in block.branches.iter().enumerate() {
                for (step, side, named) in convolutions(steps) {
                    let mut add = |name, until| {
                        places.push(Place { name, block: index, part: Some((branch, step, side, until)) });
                    };
                    // Once folded, there is no bare convolution to look at.
                    if named.convolution.batch_norm.is_some() {
                        add(format!("{}.conv", named.name), Until::Kernel);
                    }
                    add(format!("{}.bn", named.name), Until::Norm);
                    if named.name != block.name {
                        add(named.name.clone(), Until::Activation);
                    }
                }
            }
            places.push(Place { name: block.name.clone(), block: index, part: None });
        }
        places
    }

    /// The activations of the layer `name`.
    pub(super) fn find(&self, photos: &Tensor, name: &str) -> Result<Tensor> {
        let Some(Place { block, part, .. }) = self.places().into_iter().find(|place| place.name == name) else {
            return Err(no_such_layer("InceptionV3", name, &self.layer_names()));
        };
        let Some((branch, step, side, until)) = part else { return self.run(photos, block + 1) };
        let x = self.run(photos, block)?;
        let steps = self.blocks.get(block).and_then(|block| block.branches.get(branch)).map(Vec::as_slice);
        let steps = steps.unwrap_or_default();
        let x = self.steps(steps.get(..step).unwrap_or_default(), x, &BatchNorm::stored)?;
        let found = convolutions(steps).find(|&(index, which, _)| (index, which) == (step, side));
        match found {
            Some((_, _, named)) => named.convolution.forward_until(&x, until),
            None => Ok(x),
        }
    }
}

/// The convolutions of a branch: which step, which side of a split, and what.
fn convolutions(steps: &[Step<Named>]) -> impl Iterator<Item = (usize, usize, &Named)> {
    steps.iter().enumerate().flat_map(|(index, step)| {
        let named: &[Named] = match step {
            Step::Convolution(named) => std::slice::from_ref(named),
            Step::Split(both) => both,
            Step::MaxPool | Step::AveragePool => &[],
        };
        named.iter().enumerate().map(move |(side, named)| (index, side, named))
    })
}
