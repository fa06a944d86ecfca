//! Looking on while a network runs: each named layer's activations, seen or changed as they are made.

use super::BatchNorm;
use super::contiguous::is_ours;
use super::trail::Trail;
use crate::Result;
use crate::freeze::Normalise;
use candle_core::Tensor;

/// Is handed the activations of each named layer `(N, C, h, w)` as they are made, in order. The network goes on with what
/// it gives back, and ends there where it gives none.
///
/// Giving back a variable makes gradients end there; giving back other numbers shows what depends on them.
pub type Tap<'a> = dyn FnMut(&str, Tensor) -> Result<Option<Tensor>> + 'a;

/// One run of a network.
pub(super) struct Run<'a> {
    /// How batch norms are applied.
    pub normalise: &'a Normalise<'a>,
    /// Who looks on; where nobody does, a layer's parts may be computed at once.
    pub tap: Option<&'a mut Tap<'a>>,
    /// Where it leaves the way back.
    pub trail: Option<&'a mut Trail>,
}

impl<'a> Run<'a> {
    /// With stored statistics, somebody looking on, and no way back but candle's graph.
    pub fn tapped(tap: &'a mut Tap<'a>) -> Self {
        Self { normalise: &BatchNorm::stored, tap: Some(tap), trail: None }
    }

    /// The same with the way back to what goes in, `x`, kept where that is on the CPU in f32. Elsewhere none of it is.
    pub fn trailed(x: &Tensor, tap: &'a mut Tap<'a>, trail: &'a mut Trail) -> Self {
        Self { trail: is_ours(x).then_some(trail), ..Self::tapped(tap) }
    }
}

impl Run<'_> {
    /// Shows what has been made of a layer: what to go on with, none where the run ends there.
    pub fn meet(&mut self, name: &str, x: Tensor) -> Result<Option<Tensor>> {
        match &mut self.tap {
            Some(tap) => tap(name, x),
            None => Ok(Some(x)),
        }
    }
}

/// The names of a convolution's parts.
pub(super) struct Names {
    /// The bare convolution. Once its batch norm is folded in there is none, and the name is not used.
    pub kernel: String,
    /// The batch norm.
    pub norm: String,
    /// The activation, and all of it, where these have names of their own.
    pub activation: Vec<String>,
}

/// `run` by itself: with stored statistics, and nobody looking on.
pub(super) fn alone<T>(run: impl FnOnce(&mut Run<'_>) -> Result<Option<T>>, whole: &str) -> Result<T> {
    under(&BatchNorm::stored, run, whole)
}

/// As [`alone`], with batch norms applied as `normalise` does.
pub(super) fn under<T>(
    normalise: &Normalise<'_>,
    run: impl FnOnce(&mut Run<'_>) -> Result<Option<T>>,
    whole: &str,
) -> Result<T> {
    let made = run(&mut Run { normalise, tap: None, trail: None })?;
    // Nobody ended it.
    made.ok_or_else(|| crate::Error::Data(format!("{whole} ended before its last layer")))
}
