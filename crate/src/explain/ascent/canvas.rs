//! The picture that climbs: what is moved to change it, and how a step moves it.

use super::frequencies::Frequencies;
use super::view::signed;
use super::{FilterOptions, Parametrisation};
use crate::Result;
use crate::images::Pixels;
use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

/// How both parametrisations make pictures of one size: shared by all that climb.
pub(super) enum Paint {
    Frequency(Frequencies),
    Pixels,
}

/// One picture.
pub(super) struct Canvas {
    /// The spectrum `(3, 2, side, side / 2 + 1)`, or the pixels `(3, side, side)`.
    values: Tensor,
    adam: Option<Adam>,
}

/// How far the first noise reaches, where frequencies climb: a grey picture with hardly a hint of colour.
const HINT: f32 = 0.02;
/// Where pixels climb, as in the article: 20 grey levels from the darkest to the lightest, around the middle.
const NOISE: f32 = 10.0 / 255.0;

impl Paint {
    pub fn new(options: &FilterOptions) -> Result<Self> {
        match options.parametrisation {
            Parametrisation::Frequency => Ok(Self::Frequency(Frequencies::new(options.side, options.side)?)),
            Parametrisation::Pixels => Ok(Self::Pixels),
        }
    }

    /// A picture of noise.
    pub fn noise(&self, side: usize, random: &mut ChaCha8Rng) -> Result<Canvas> {
        let mut around = |shape: &[usize], middle: f32, reach: f32| -> Result<Tensor> {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| middle + reach * signed(random)).collect();
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
        };
        match self {
            Self::Frequency(_) => {
                let values = around(&[3, 2, side, side / 2 + 1], 0.0, HINT)?;
                Ok(Canvas { adam: Some(Adam::new(&values)?), values })
            }
            Self::Pixels => Ok(Canvas { values: around(&[3, side, side], 0.5, NOISE)?, adam: None }),
        }
    }

    /// The picture `(3, side, side)`. Of frequencies its values are in 0..=1; pixels may have left that range.
    pub fn picture(&self, canvas: &Canvas) -> Result<Tensor> {
        match self {
            Self::Frequency(frequencies) => frequencies.picture(&canvas.values),
            Self::Pixels => Ok(canvas.values.clone()),
        }
    }

    /// Moves the canvas, whose picture this is, a step up along a gradient of the picture.
    pub fn climb(&self, canvas: &mut Canvas, picture: &Tensor, gradient: &Tensor, rate: f64) -> Result<()> {
        let gradient = match self {
            Self::Frequency(frequencies) => frequencies.to_spectrum(picture, gradient)?,
            Self::Pixels => gradient.clone(),
        };
        let step = match &mut canvas.adam {
            Some(adam) => adam.step(&gradient, rate)?,
            None => (gradient * rate)?,
        };
        canvas.values = (&canvas.values + step)?;
        Ok(())
    }

    /// As it is shown. Pixels are brought to a mean of 0.5 and a deviation of 0.1 first, as the article does it.
    pub fn shown(&self, picture: &Tensor) -> Result<Pixels> {
        let (_, height, width) = picture.dims3()?;
        let mut values = picture.permute((1, 2, 0))?.contiguous()?.flatten_all()?.to_vec1::<f32>()?;
        if matches!(self, Self::Pixels) {
            let count = values.len() as f32;
            let mean = values.iter().sum::<f32>() / count;
            let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
            values.iter_mut().for_each(|value| *value = 0.5 + 0.1 * (*value - mean) / (deviation + 1e-5));
        }
        // What is no number becomes 0.
        Pixels::new(height, width, values.iter().map(|value| (255.0 * value).round() as u8).collect())
    }
}

/// Adam (Kingma and Ba 2015), upwards.
struct Adam {
    mean: Tensor,
    square: Tensor,
    steps: i32,
}

impl Adam {
    const MEAN: f64 = 0.9;
    const SQUARE: f64 = 0.999;
    const EPS: f64 = 1e-7;

    fn new(like: &Tensor) -> Result<Self> {
        Ok(Self { mean: like.zeros_like()?, square: like.zeros_like()?, steps: 0 })
    }

    /// How far to go along this gradient.
    fn step(&mut self, gradient: &Tensor, rate: f64) -> Result<Tensor> {
        self.steps += 1;
        self.mean = ((&self.mean * Self::MEAN)? + (gradient * (1.0 - Self::MEAN))?)?;
        self.square = ((&self.square * Self::SQUARE)? + (gradient.sqr()? * (1.0 - Self::SQUARE))?)?;
        let mean = (&self.mean / (1.0 - Self::MEAN.powi(self.steps)))?;
        let root = (&self.square / (1.0 - Self::SQUARE.powi(self.steps)))?.sqrt()?;
        Ok(((mean * rate)? / (root + Self::EPS)?)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn adam_is_candles() {
        use candle_nn::{AdamW, Optimizer, ParamsAdamW};
        let x = candle_core::Var::new(&[0.5f32, -1.0, 2.0], &Device::Cpu).unwrap();
        let parameters = ParamsAdamW { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-7, weight_decay: 0.0 };
        let mut theirs = AdamW::new(vec![x.clone()], parameters).unwrap();
        let mut ours = (x.as_tensor().copy().unwrap(), Adam::new(&x).unwrap());
        for _ in 0..5 {
            // Down for them is up for us: the gradient of x^2 and of -x^2.
            theirs.backward_step(&x.sqr().unwrap().sum_all().unwrap()).unwrap();
            let step = ours.1.step(&(&ours.0 * -2.0).unwrap(), 0.1).unwrap();
            ours.0 = (ours.0 + step).unwrap();
        }
        let (ours, theirs) = (ours.0.to_vec1::<f32>().unwrap(), x.to_vec1::<f32>().unwrap());
        assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-5), "{ours:?} and {theirs:?}");
    }

    #[test]
    fn pixels_are_shown_around_the_middle_and_frequencies_as_they_are() {
        let picture = Tensor::new(&[0f32, 2., 0., 2., 1., 1., 1., 1., 1., 1., 1., 1.], &Device::Cpu).unwrap();
        let picture = picture.reshape((3, 2, 2)).unwrap();
        // Mean 1, deviation the root of a third.
        let shown = Paint::Pixels.shown(&picture).unwrap().rgb;
        assert_eq!(shown, [83, 128, 128, 172, 128, 128, 83, 128, 128, 172, 128, 128]);
        let frequency = Paint::new(&FilterOptions { side: 2, ..FilterOptions::default() }).unwrap();
        assert_eq!(frequency.shown(&(picture / 2.).unwrap()).unwrap().rgb[..6], [0, 128, 128, 255, 128, 128]);
    }
}
