//! The layers that backbones are made of: a convolution, with the batch norm and the activation behind it.

use super::channels::scale_and_shift;
use super::columns;
use super::depthwise::{self, applies, depthwise};
use super::relu6::{self, relu, relu6};
use super::tap::{Names, Run};
use super::trail::{Back, Trail};
#[cfg(feature = "cuda")]
use super::{contiguous::is_ours_anywhere, unrolled};
use crate::freeze::Normalise;
use crate::{Error, Result};
#[cfg(feature = "cuda")]
use candle_core::{CpuStorage, CudaStorage, InplaceOp2, Layout, bail};
use candle_core::{DType, Device, Tensor};

/// The stored statistics and scale of a batch norm, each of shape `(C,)`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Scale, gamma.
    pub weight: Tensor,
    /// Shift, beta.
    pub bias: Tensor,
    /// Mean of the training batches.
    pub running_mean: Tensor,
    /// Variance of the training batches.
    pub running_var: Tensor,
    /// Added to the variance before its root: 1e-5 in torchvision, 1e-3 in Keras.
    pub eps: f64,
}

/// What follows a convolution's batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// What is below 0 becomes 0.
    Relu,
    /// Clamped to 0..=6.
    Relu6,
}

impl Activation {
    fn forward(self, x: Tensor) -> Result<Tensor> {
        match self {
            Self::Linear => Ok(x),
            Self::Relu => Ok(relu(&x)?),
            Self::Relu6 => Ok(relu6(&x)?),
        }
    }

    /// The same, with the way back where one is kept.
    fn run(self, x: Tensor, run: &mut Run<'_>) -> Result<Tensor> {
        if self == Self::Linear {
            return Ok(x);
        }
        let y = self.forward(x.clone())?;
        if let Some(trail) = &mut run.trail
            && columns::applies(&x, &y)
        {
            let before = x.detach();
            trail.step(&y, &x, Box::new(move |g| relu6::to_input(&before, g, self)));
        }
        Ok(y)
    }
}

/// A two-dimensional convolution without bias of its own, then a batch norm or (folded) a bias, then an activation.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Kernel `(O, I / groups, h, w)`.
    pub weight: Tensor,
    /// Bias `(O,)`: there once the batch norm has been folded in.
    pub bias: Option<Tensor>,
    /// The batch norm behind it; none once folded.
    pub batch_norm: Option<BatchNorm>,
    /// Step between output pixels, the same along rows and columns.
    pub stride: usize,
    /// Rows of zeros added above and below, columns of zeros added left and right.
    pub padding: (usize, usize),
    /// How many groups of channels are convolved apart; as many as channels makes it depthwise.
    pub groups: usize,
    /// What follows.
    pub activation: Activation,
}

/// One named layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerInfo {
    /// Its name in the weights file: `features.18`.
    pub name: String,
    /// What it is, in a word or two: `InvertedResidual`.
    pub kind: &'static str,
    /// Channels, rows and columns that come out for an input of the usual side: `(C, h, w)`.
    pub output: (usize, usize, usize),
    /// Learnable numbers: kernels, scales and shifts.
    pub parameters: usize,
    /// Stored numbers that are not learnt by gradient: means and variances of batch norms. Keras counts them as parameters.
    pub statistics: usize,
}

impl BatchNorm {
    /// `(N, C, H, W)` less the stored mean, over the root of the stored variance, scaled and shifted; differentiable.
    ///
    /// # Errors
    /// Where the channels do not fit.
    pub fn stored(&self, x: &Tensor) -> Result<Tensor> {
        let (factor, summand) = self.factor_and_summand()?;
        Ok(scale_and_shift(x, &factor, &summand)?)
    }

    /// The same function as one factor and one summand a channel, each `(C,)`: `x * factor + summand`.
    ///
    /// # Errors
    /// Where the five tensors do not have the same shape.
    pub fn factor_and_summand(&self) -> Result<(Tensor, Tensor)> {
        let factor = (&self.weight / (&self.running_var + self.eps)?.sqrt()?)?;
        let summand = (&self.bias - (&self.running_mean * &factor)?)?;
        Ok((factor, summand))
    }
}

impl Convolution {
    /// `(N, I, H, W)` to `(N, O, h, w)`; differentiable.
    ///
    /// A batch norm uses its stored statistics, as a frozen network must.
    ///
    /// # Errors
    /// Where the input's channels do not fit, or it is smaller than the kernel.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.whole(x, &BatchNorm::stored)
    }

    /// As [`forward`](Self::forward) in a run of the network: its parts are `names`.
    pub(super) fn run(&self, x: &Tensor, names: &Names, run: &mut Run<'_>) -> Result<Option<Tensor>> {
        let Some(tap) = &mut run.tap else { return self.whole(x, run.normalise).map(Some) };
        if x.device().is_cpu() && is_half(x.dtype()) {
            // As in `whole`, and what is looked at is a half too.
            let wide = self.converted(&|tensor| Ok(tensor.to_dtype(DType::F32)?))?;
            let to = |y: Option<Tensor>, dtype| y.map(|y| Ok::<_, Error>(y.to_dtype(dtype)?)).transpose();
            let mut narrow = |name: &str, y: Tensor| to(tap(name, y.to_dtype(x.dtype())?)?, DType::F32);
            let mut run = Run { normalise: run.normalise, tap: Some(&mut narrow), trail: None };
            return to(wide.run(&x.to_dtype(DType::F32)?, names, &mut run)?, x.dtype());
        }
        let mut y = Some(self.convolve(x)?);
        if self.batch_norm.is_some() {
            y = y.map_or(Ok(None), |y| run.meet(&names.kernel, y))?;
        }
        let Some(y) = y else { return Ok(None) };
        let y = self.norm(y, run.normalise)?;
        if let Some(trail) = &mut run.trail {
            self.trail(x, &y, trail)?;
        }
        let Some(y) = run.meet(&names.norm, y)? else { return Ok(None) };
        let y = self.activation.run(y, run)?;
        names.activation.iter().try_fold(Some(y), |y, name| y.map_or(Ok(None), |y| run.meet(name, y)))
    }

    /// The names of its parts that a run meets, in order.
    pub(super) fn names(&self, names: Names) -> Vec<String> {
        let kernel = self.batch_norm.is_some().then_some(names.kernel);
        kernel.into_iter().chain([names.norm]).chain(names.activation).collect()
    }

    /// All of it, with nobody looking on between its parts.
    fn whole(&self, x: &Tensor, normalise: &Normalise<'_>) -> Result<Tensor> {
        if x.device().is_cpu() && is_half(x.dtype()) {
            // The CPU has no arithmetic for halves: what a GPU does in its registers, f32 does here, and what lies between
            // two layers is a half.
            let wide = self.converted(&|tensor| Ok(tensor.to_dtype(DType::F32)?))?;
            return Ok(wide.whole(&x.to_dtype(DType::F32)?, normalise)?.to_dtype(x.dtype())?);
        }
        #[cfg(feature = "cuda")]
        if let Some(y) = self.fused(x)? {
            return Ok(y);
        }
        self.activation.forward(self.norm(self.convolve(x)?, normalise)?)
    }

    /// What follows the bare convolution, without the activation.
    fn norm(&self, mut y: Tensor, normalise: &Normalise<'_>) -> Result<Tensor> {
        if let Some(bias) = &self.bias {
            // On the CPU in f32 this is one pass, and so is its gradient.
            y = match columns::applies(&y, bias) {
                true => scale_and_shift(&y, &bias.ones_like()?, bias)?,
                false => y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
            };
        }
        match &self.batch_norm {
            Some(batch_norm) => normalise(batch_norm, &y),
            None => Ok(y),
        }
    }

    /// Leaves the way back from `y`, in front of the activation, to the input `x`: for what is folded and on the CPU. The
    /// bias changes no gradient.
    fn trail(&self, x: &Tensor, y: &Tensor, trail: &mut Trail) -> Result<()> {
        let (_, _, height, width) = x.dims4()?;
        let (kernel, stride, padding) = (self.weight.detach(), self.stride, self.padding);
        let back: Back = match self.batch_norm {
            None if padding.0 == padding.1 && applies(x, &kernel, self.groups) => {
                Box::new(move |g| depthwise::to_input(g, &kernel, (height, width), stride, padding.0))
            }
            None if self.groups == 1 && columns::applies(x, &kernel) => {
                Box::new(move |g| columns::to_input(g, &kernel, (height, width), stride, padding))
            }
            _ => return Ok(()),
        };
        trail.step(y, x, back);
        Ok(())
    }

    /// On a GPU, once folded and where nothing learns: bias and activation applied where the numbers are written, or over
    /// them. None elsewhere.
    #[cfg(feature = "cuda")]
    fn fused(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let (Some(bias), None) = (&self.bias, &self.batch_norm) else { return Ok(None) };
        let learns = [x, &self.weight, bias].into_iter().any(Tensor::track_op);
        if learns || !x.device().is_cuda() || !is_ours_anywhere(x) || x.dtype() != bias.dtype() {
            return Ok(None);
        }
        self.check(x)?;
        if self.padding.0 == self.padding.1 && applies(x, &self.weight, self.groups) {
            let step = (self.stride, self.padding.0);
            return Ok(Some(depthwise::depthwise_fused(x, (&self.weight, bias), step, self.activation)?));
        }
        let y = self.convolve(x)?.contiguous()?;
        y.inplace_op2(&bias.contiguous()?, &BiasAndActivation(self.activation))?;
        Ok(Some(y))
    }

    /// The same with each tensor as `convert` makes it: on another device, of another type.
    pub(crate) fn converted(&self, convert: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let norm = |norm: &BatchNorm| {
            Ok::<_, Error>(BatchNorm {
                weight: convert(&norm.weight)?,
                bias: convert(&norm.bias)?,
                running_mean: convert(&norm.running_mean)?,
                running_var: convert(&norm.running_var)?,
                eps: norm.eps,
            })
        };
        Ok(Self {
            weight: convert(&self.weight)?,
            bias: self.bias.as_ref().map(convert).transpose()?,
            batch_norm: self.batch_norm.as_ref().map(norm).transpose()?,
            ..self.clone()
        })
    }

    /// [`Error::Shape`] where the input does not fit.
    fn check(&self, x: &Tensor) -> Result<()> {
        let (out, channels, height, width) = self.weight.dims4()?;
        let (above, left) = self.padding;
        let fits = match x.dims() {
            &[n, c, h, w] => n > 0 && c == channels * self.groups && h + 2 * above >= height && w + 2 * left >= width,
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let what = format!("a convolution of {}x{height}x{width} to {out} channels", channels * self.groups);
        Err(Error::shape(what, format!("(N, {}, H, W)", channels * self.groups), x.dims()))
    }

    fn convolve(&self, x: &Tensor) -> Result<Tensor> {
        self.check(x)?;
        let (_, _, height, width) = self.weight.dims4()?;
        let (above, left) = self.padding;
        if above == left && applies(x, &self.weight, self.groups) {
            return Ok(depthwise(x, &self.weight, self.stride, above)?);
        }
        if self.groups == 1 && columns::applies(x, &self.weight) {
            return Ok(columns::convolve(x, &self.weight, self.stride, self.padding)?);
        }
        #[cfg(feature = "cuda")]
        if self.groups == 1 && unrolled::applies(x, &self.weight) && !self.is_for_cudnn(x) {
            return Ok(unrolled::convolve(x, &self.weight, self.stride, self.padding)?);
        }
        if (height, width, self.stride, self.padding, self.groups) == (1, 1, 1, (0, 0), 1) {
            return self.multiply(x);
        }
        if above == left {
            return Ok(x.conv2d(&self.weight, above, self.stride, 1, self.groups)?);
        }
        // candle's own padding is the same along rows and columns.
        let x = x.pad_with_zeros(2, above, above)?.pad_with_zeros(3, left, left)?;
        Ok(x.conv2d(&self.weight, 0, self.stride, 1, self.groups)?)
    }

    /// Whether candle hands this to cuDNN: larger kernels in bf16, where no gradient is asked for.
    #[cfg(feature = "cuda")]
    fn is_for_cudnn(&self, x: &Tensor) -> bool {
        let pointwise = self.weight.dims().get(2..) == Some(&[1, 1]);
        let precise = x.dtype() == DType::BF16 && crate::freeze::for_cudnn(crate::freeze::Precision::Bf16);
        precise && !pointwise && !x.track_op() && !self.weight.track_op()
    }

    /// A pointwise convolution as what it is, a product of matrices: candle's own takes at least twice the time
    /// forwards, and some ten times backwards.
    fn multiply(&self, x: &Tensor) -> Result<Tensor> {
        let (photos, channels, height, width) = x.dims4()?;
        let (out, pixels) = (self.weight.dim(0)?, height * width);
        let weight = self.weight.flatten_from(1)?;
        // A product a photo copies the weights for each, and as often adds up their gradients; one product for all copies
        // the activations. The smaller is copied: at 7 x 7 pixels that is three times as fast backwards.
        if photos > 1 && out * channels > pixels * (out + channels) {
            let side_by_side = x.transpose(0, 1)?.contiguous()?.reshape((channels, photos * pixels))?;
            let y = weight.matmul(&side_by_side)?.reshape((out, photos, height, width))?;
            return Ok(y.transpose(0, 1)?.contiguous()?);
        }
        Ok(weight.broadcast_matmul(&x.flatten_from(2)?)?.reshape((photos, out, height, width))?)
    }

    /// The same function with the batch norm folded into kernel and bias (Jacob et al. 2018, section 3.2).
    ///
    /// # Errors
    /// Where the tensors' shapes do not fit each other.
    pub fn folded(&self) -> Result<Self> {
        let Some(batch_norm) = &self.batch_norm else { return Ok(self.clone()) };
        let (factor, summand) = batch_norm.factor_and_summand()?;
        let weight = self.weight.broadcast_mul(&factor.reshape(((), 1, 1, 1))?)?;
        let bias = match &self.bias {
            Some(bias) => ((bias * factor)? + summand)?,
            None => summand,
        };
        Ok(Self { weight, bias: Some(bias), batch_norm: None, ..self.clone() })
    }
}

/// Weight and bias of a network's own head, if it has one, on another device.
pub(super) fn head_on(device: &Device, head: Option<&(Tensor, Tensor)>) -> Result<Option<(Tensor, Tensor)>> {
    head.map(|(weight, bias)| Ok((weight.to_device(device)?, bias.to_device(device)?))).transpose()
}

/// Photos where the weights are and of their type; differentiable.
pub(super) fn like(photos: &Tensor, weights: &Tensor) -> Result<Tensor> {
    Ok(photos.to_device(weights.device())?.to_dtype(weights.dtype())?)
}

/// `(N, C, h, w)` to the mean of each plane `(N, C)`, of halves too in f32: a sum of many would lose digits.
pub(super) fn mean_of_planes(x: &Tensor) -> Result<Tensor> {
    let x = if is_half(x.dtype()) { x.to_dtype(DType::F32)? } else { x.clone() };
    Ok(x.mean((2, 3))?)
}

/// Whether numbers take 16 bits.
pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// On a GPU, over what a convolution has just written: arguments that and the bias.
#[cfg(feature = "cuda")]
struct BiasAndActivation(Activation);

#[cfg(feature = "cuda")]
impl InplaceOp2 for BiasAndActivation {
    fn name(&self) -> &'static str {
        "bias-and-activation"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> candle_core::Result<()> {
        bail!("bias-and-activation is for GPUs: on the CPU the frozen plan does this")
    }

    fn cuda_fwd(&self, x: &mut CudaStorage, xl: &Layout, b: &CudaStorage, bl: &Layout) -> candle_core::Result<()> {
        // No factor, the bias for a summand.
        crate::cuda::in_place(&crate::cuda::scale(xl.shape().dims4()?, self.0)?, (x, xl), &[None, Some((b, bl))])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn tensor<const N: usize>(values: [f32; N], shape: &[usize]) -> Tensor {
        Tensor::new(values.as_slice(), &Device::Cpu).unwrap().reshape(shape).unwrap()
    }

    /// One pixel, one channel, all by hand: `2x`, less 1, over the root of `3 + 1`, times 4, plus .5, clamped.
    fn by_hand(activation: Activation) -> Convolution {
        let one = |value| tensor([value], &[1]);
        let batch_norm =
            BatchNorm { weight: one(4.), bias: one(0.5), running_mean: one(1.), running_var: one(3.), eps: 1. };
        let weight = tensor([2.], &[1, 1, 1, 1]);
        let batch_norm = Some(batch_norm);
        Convolution { weight, bias: None, batch_norm, stride: 1, padding: (0, 0), groups: 1, activation }
    }

    #[test]
    fn a_convolution_is_kernel_then_norm_then_activation() {
        let x = tensor([-1., 0., 0.5, 3.], &[1, 1, 2, 2]);
        let numbers = |y: &Tensor| y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let names = || Names { kernel: "kernel".into(), norm: "norm".into(), activation: vec!["all".into()] };
        let run = |layer: &Convolution, ends: &str| {
            let mut seen = Vec::new();
            let mut tap = |name: &str, y: Tensor| {
                seen.push((name.to_owned(), numbers(&y)));
                Ok((name != ends).then_some(y))
            };
            let y = layer.run(&x, &names(), &mut Run::tapped(&mut tap)).unwrap();
            assert_eq!(y.is_none(), !ends.is_empty());
            assert!(y.is_none_or(|y| numbers(&y) == numbers(&layer.forward(&x).unwrap())));
            seen
        };
        let (kernel, norm) =
            (("kernel".to_owned(), vec![-2., 0., 1., 6.]), ("norm".to_owned(), vec![-5.5, -1.5, 0.5, 10.5]));
        let all = |values: [f32; 4]| ("all".to_owned(), values.to_vec());
        let relu6 = by_hand(Activation::Relu6);
        assert_eq!(run(&relu6, ""), [kernel.clone(), norm.clone(), all([0., 0., 0.5, 6.])]);
        assert_eq!(run(&relu6, "norm"), [kernel.clone(), norm.clone()]);
        assert_eq!(run(&relu6, "kernel"), std::slice::from_ref(&kernel));
        assert_eq!(run(&by_hand(Activation::Linear), "")[2], all([-5.5, -1.5, 0.5, 10.5]));
        assert_eq!(run(&by_hand(Activation::Relu), "")[2], all([0., 0., 0.5, 10.5]));
        let folded = relu6.folded().unwrap();
        assert!(folded.batch_norm.is_none());
        assert_eq!(run(&folded, ""), [norm, all([0., 0., 0.5, 6.])]);
        assert_eq!(folded.names(names()), ["norm", "all"]);
        assert_eq!(relu6.names(names()), ["kernel", "norm", "all"]);
    }

    #[test]
    fn its_gradient_passes_where_nothing_is_clamped() {
        let x = Var::from_tensor(&tensor([-1., 0.5, 0.6, 3.], &[1, 1, 2, 2])).unwrap();
        let y = by_hand(Activation::Relu6).forward(&x).unwrap().sum_all().unwrap();
        let gradient = y.backward().unwrap().get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // 2 * 4 / 2 inside, nothing below 0 or above 6.
        assert_eq!(gradient, [0., 4., 4., 0.]);
    }

    #[test]
    fn rows_and_columns_are_padded_apart() {
        // One row of three taps: a zero left and right, none above or below.
        let layer = Convolution {
            weight: tensor([1., 10., 100.], &[1, 1, 1, 3]),
            bias: None,
            batch_norm: None,
            stride: 1,
            padding: (0, 1),
            groups: 1,
            activation: Activation::Linear,
        };
        let y = layer.forward(&tensor([1., 2., 3., 4., 5., 6.], &[1, 1, 2, 3])).unwrap();
        assert_eq!(
            y.squeeze(0).unwrap().squeeze(0).unwrap().to_vec2::<f32>().unwrap(),
            [[210., 321., 32.], [540., 654., 65.]]
        );
        let turned = Convolution { weight: tensor([1., 10., 100.], &[1, 1, 3, 1]), padding: (1, 0), ..layer };
        let y = turned.forward(&tensor([1., 2., 3., 4., 5., 6.], &[1, 1, 2, 3])).unwrap();
        assert_eq!(
            y.squeeze(0).unwrap().squeeze(0).unwrap().to_vec2::<f32>().unwrap(),
            [[410., 520., 630.], [41., 52., 63.]]
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for shape in [&[1, 2, 4, 4][..], &[1, 4, 4], &[0, 1, 4, 4], &[1, 1, 0, 4]] {
            let x = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
            let error = by_hand(Activation::Relu6).forward(&x).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{shape:?}: {error}");
        }
    }
}
