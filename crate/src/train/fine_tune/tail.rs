//! The layers that learn: the end of the backbone with variables for weights, and the head behind it.

use super::loss_options;
use crate::freeze::Unfreeze;
use crate::models;
use crate::train::{FitOptions, Head, fit};
use crate::weights::Weights;
use crate::{Error, Result};
use candle_core::{Tensor, TensorId, Var};
use std::collections::HashMap;

/// How the batch norms of layers that learn are computed. Their scales and shifts learn in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchNorm {
    /// With the stored mean and variance, as in a frozen network: Keras' `training=False`. Right for small sets of
    /// photos, whose batches would make poor statistics.
    #[default]
    Stored,
    /// In training mode: each batch by its own mean and variance, while the stored ones follow by a tenth a step
    /// (torchvision's momentum of 0.1, the variance unbiased). Validation uses the stored ones.
    Training,
}

/// What [`BatchNorm::Training`] takes of each batch.
const MOMENTUM: f64 = 0.1;

/// The end of a backbone that learns, and the head.
pub(super) struct Tail<'a> {
    network: Box<dyn Unfreeze>,
    layer: &'a str,
    shape: (usize, usize, usize),
    head: &'a Head,
    loss: FitOptions,
    batch_norm: BatchNorm,
    /// What an optimizer changes, by name.
    pub learns: HashMap<String, Var>,
    /// Stored means and variances that training mode changes, by name and by the tensor they are in the network.
    pub statistics: HashMap<String, Var>,
    by_tensor: HashMap<TensorId, Var>,
}

impl<'a> Tail<'a> {
    /// A copy of the layers of `backbone` from `layer` on, into which `(C, H, W)` goes.
    pub fn new(
        backbone: &dyn Unfreeze,
        head: &'a Head,
        layer: &'a str,
        shape: (usize, usize, usize),
        batch_norm: BatchNorm,
    ) -> Result<Self> {
        let mut tensors = backbone.tensors()?;
        let (mut learns, mut statistics) = (HashMap::new(), HashMap::new());
        let layers: Vec<String> = backbone.layers().into_iter().map(|layer| layer.name).collect();
        let later: Vec<String> =
            layers.iter().skip_while(|name| *name != layer).map(|name| format!("{name}.")).collect();
        for (name, tensor) in &mut tensors {
            if !later.iter().any(|layer| name.starts_with(layer)) {
                continue;
            }
            let is_statistic = name.ends_with(".running_mean") || name.ends_with(".running_var");
            if is_statistic && batch_norm == BatchNorm::Stored {
                continue;
            }
            let variable = Var::from_tensor(&tensor.copy()?)?;
            *tensor = variable.as_tensor().clone();
            if is_statistic { &mut statistics } else { &mut learns }.insert(name.clone(), variable);
        }
        if learns.is_empty() {
            return Err(Error::Data(format!("{} has nothing to learn from {layer} on", backbone.spec().name)));
        }
        let network = backbone.rebuilt(&Weights::new(backbone.spec().weights.clone(), tensors))?;
        let by_tensor = statistics.values().map(|variable| (variable.as_tensor().id(), variable.clone())).collect();
        Ok(Self { network, layer, shape, head, loss: loss_options(head), batch_norm, learns, statistics, by_tensor })
    }

    /// What an optimizer changes, in an order that is always the same.
    pub fn variables(&self) -> Vec<Var> {
        let mut named: Vec<_> = self.learns.iter().collect();
        named.sort_by_key(|(name, _)| *name);
        named.into_iter().map(|(_, variable)| variable.clone()).chain(self.head.variables()).collect()
    }

    /// Rows of inputs to logits, as they are while it learns; differentiable.
    pub fn learning(&self, rows: &Tensor) -> Result<Tensor> {
        match self.batch_norm {
            BatchNorm::Stored => self.knowing(rows),
            BatchNorm::Training => self.logits(rows, &|norm, x| self.normalised(norm, x)),
        }
    }

    /// Rows of inputs to logits, as they are in use.
    pub fn knowing(&self, rows: &Tensor) -> Result<Tensor> {
        self.logits(rows, &models::BatchNorm::stored)
    }

    fn logits(&self, rows: &Tensor, normalise: &crate::freeze::Normalise<'_>) -> Result<Tensor> {
        let (channels, height, width) = self.shape;
        let x = rows.reshape(((), channels, height, width))?;
        self.head.logits(&self.network.resume(&x, self.layer, normalise)?)
    }

    /// The mean loss of a batch.
    pub fn loss(&self, logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
        fit::loss(logits, labels, self.head, &self.loss)
    }

    /// A batch norm by the statistics of this very batch, which the stored ones follow (Ioffe and Szegedy 2015).
    fn normalised(&self, norm: &models::BatchNorm, x: &Tensor) -> Result<Tensor> {
        let (photos, channels, height, width) = x.dims4()?;
        let mean = x.mean_keepdim((0, 2, 3))?;
        let centred = x.broadcast_sub(&mean)?;
        let variance = centred.sqr()?.mean_keepdim((0, 2, 3))?;
        // Of one pixel there is no unbiased variance.
        let pixels = (photos * height * width) as f64;
        let unbiased = (variance.detach() * (pixels / (pixels - 1.0).max(1.0)))?;
        for (stored, batch) in [(&norm.running_mean, mean.detach()), (&norm.running_var, unbiased)] {
            if let Some(variable) = self.by_tensor.get(&stored.id()) {
                let batch = batch.reshape(channels)?;
                let moved = ((variable.as_tensor().detach() * (1.0 - MOMENTUM))? + (batch * MOMENTUM)?)?;
                variable.set(&moved)?;
            }
        }
        let along_channels = |t: &Tensor| t.reshape((1, channels, 1, 1));
        let scaled = centred.broadcast_div(&(variance + norm.eps)?.sqrt()?)?;
        Ok(scaled.broadcast_mul(&along_channels(&norm.weight)?)?.broadcast_add(&along_channels(&norm.bias)?)?)
    }

    /// All tensors of the backbone, with those that have learnt in their places.
    pub fn tensors(&self, backbone: &dyn Unfreeze) -> Result<HashMap<String, Tensor>> {
        let mut tensors = backbone.tensors()?;
        for (name, variable) in self.learns.iter().chain(&self.statistics) {
            tensors.insert(name.clone(), variable.as_tensor().copy()?.detach());
        }
        Ok(tensors)
    }
}
