//! Every operation with a gradient of its own against finite differences of its values.

#![allow(clippy::unwrap_used)]

use super::channels::scale_and_shift;
use super::columns::convolve;
use super::depthwise::depthwise;
use super::pooling::{average_pool, max_pool};
use super::relu6::{relu, relu6};
use super::{BatchNorm, Convolution};
use crate::Result;
use crate::models::Activation;
use candle_core::{DType, Device, Tensor, Var};

/// Half of the way between the values that are compared.
const STEP: f32 = 1. / 64.;

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// Values between -1 and 1 that look random and are the same everywhere.
fn noise(shape: &[usize], seed: u32) -> Tensor {
    let value =
        |i: u32| ((i ^ seed.wrapping_mul(77_777)).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.;
    let count = shape.iter().product::<usize>() as u32;
    Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

/// Whole numbers, none of them twice, so that no step changes which is the largest, plus a half.
fn apart(shape: &[usize], scale: f32, least: f32) -> Tensor {
    let count = shape.iter().product::<usize>();
    let value = |i: usize| ((i * 37) % 101) as f32 * scale + least;
    assert!(count <= 101);
    Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

/// Each gradient of a weighted sum of the values against the differences that a step along each number makes.
fn check(what: &str, inputs: &[Tensor], run: &dyn Fn(&[Tensor]) -> Result<Tensor>) {
    let variables: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tracked: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
    let y = run(&tracked).unwrap();
    let weights = noise(y.dims(), 99);
    let gradients = (y * &weights).unwrap().sum_all().unwrap().backward().unwrap();
    let weights = numbers(&weights);
    for (which, input) in inputs.iter().enumerate() {
        let gradient = numbers(gradients.get(&variables[which]).unwrap());
        assert_eq!(gradients.get(&variables[which]).unwrap().dims(), input.dims(), "{what}");
        let values: Vec<f32> = input.flatten_all().unwrap().to_vec1().unwrap();
        let moved = |at: usize, step: f32| {
            let mut values = values.clone();
            values[at] += step;
            let mut inputs = inputs.to_vec();
            inputs[which] = Tensor::from_vec(values, input.shape(), &Device::Cpu).unwrap();
            numbers(&run(&inputs).unwrap())
        };
        let difference = |at: usize| {
            let (above, below) = (moved(at, STEP), moved(at, -STEP));
            let sum: f64 = above.iter().zip(&below).zip(&weights).map(|((a, b), w)| (a - b) * w).sum();
            sum / f64::from(2. * STEP)
        };
        let size = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let apart = size(&mut gradient.iter().enumerate().map(|(at, gradient)| gradient - difference(at)));
        let off = apart / size(&mut gradient.iter().copied());
        assert!(off < 1e-3, "{what}, argument {which}: off by {off:.1e}");
    }
}

#[test]
fn convolutions() {
    // (kernel, stride, padding, input (N, I, H, W), channels out)
    let cases = [
        ((3, 3), 1, (1, 1), [2, 2, 4, 5], 3),
        ((3, 3), 2, (0, 0), [1, 2, 7, 8], 2),
        ((3, 3), 2, (1, 1), [1, 2, 6, 5], 2),
        ((1, 7), 1, (0, 3), [1, 2, 2, 5], 2),
        ((7, 1), 1, (3, 0), [1, 2, 5, 2], 2),
        ((1, 1), 1, (0, 0), [2, 3, 2, 3], 2),
        // More numbers in the kernel than in the photos: those lie side by side.
        ((1, 1), 1, (0, 0), [3, 8, 1, 2], 9),
        ((3, 3), 1, (1, 1), [3, 3, 1, 2], 4),
    ];
    for (number, ((rows, columns), stride, padding, shape, out)) in cases.into_iter().enumerate() {
        let inputs = [noise(&shape, 1), noise(&[out, shape[1], rows, columns], 2)];
        check(&format!("convolution {number}"), &inputs, &|t| Ok(convolve(&t[0], &t[1], stride, padding)?));
    }
    for stride in [1, 2] {
        let inputs = [noise(&[2, 3, 5, 4], 3), noise(&[3, 1, 3, 3], 4)];
        check(&format!("depthwise by {stride}"), &inputs, &|t| Ok(depthwise(&t[0], &t[1], stride, 1)?));
    }
}

#[test]
fn what_follows_a_convolution() {
    let inputs = [noise(&[2, 3, 3, 2], 5), noise(&[3], 6), noise(&[3], 7)];
    check("scale and shift", &inputs, &|t| Ok(scale_and_shift(&t[0], &t[1], &t[2])?));
    let variance = (noise(&[3], 10) + 2.).unwrap();
    let inputs = [noise(&[2, 3, 3, 2], 5), noise(&[3], 6), noise(&[3], 7), noise(&[3], 8), variance];
    check("batch norm", &inputs, &|t| {
        let [weight, bias, running_mean, running_var] = [1, 2, 3, 4].map(|i: usize| t[i].clone());
        BatchNorm { weight, bias, running_mean, running_var, eps: 1e-3 }.stored(&t[0])
    });
    // From -4.9 to 15.1 in steps of a fifth: none nearer to a kink than a tenth.
    let x = apart(&[2, 2, 5, 5], 0.2, -4.9);
    check("ReLU", std::slice::from_ref(&x), &|t| Ok(relu(&t[0])?));
    check("ReLU6", &[x], &|t| Ok(relu6(&t[0])?));
}

#[test]
fn pools() {
    for shape in [[1, 2, 5, 7], [2, 1, 6, 4], [1, 1, 3, 3]] {
        let x = apart(&shape, 0.5, -20.);
        check("max pool", std::slice::from_ref(&x), &|t| max_pool(&t[0]));
        for counts_padding in [true, false] {
            let x = noise(&shape, 8);
            check("average pool", &[x], &|t| average_pool(&t[0], counts_padding));
        }
    }
}

/// The numbers of tests/golden/make_explain_operations.py, whose inputs are whole numbers with many equals.
#[test]
fn pools_are_pytorchs_where_values_are_equal() {
    let golden = include_str!("../../tests/golden/explain_operations.json");
    let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
    let list = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let steps = |seed: usize, shape: &[usize]| {
        let values = (0..shape.iter().product()).map(|i: usize| ((i * 7919 + seed * 104_729) % 13) as f32 - 6.);
        Tensor::from_vec(values.collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
    };
    let same = |ours: &Tensor, theirs: &serde_json::Value| {
        let (ours, theirs) = (numbers(ours), list(theirs));
        assert_eq!(ours.len(), theirs.len());
        assert!(
            ours.iter().zip(&theirs).all(|(ours, theirs)| (ours - theirs).abs() < 2e-5),
            "{ours:?} and not {theirs:?}"
        );
    };
    let compare = |x: Tensor, golden: &serde_json::Value, run: &dyn Fn(&Tensor) -> Result<Tensor>| {
        let x = Var::from_tensor(&x).unwrap();
        let y = run(&x).unwrap();
        same(&y, &golden["value"]);
        let weights = signed("weights", y.dims());
        let gradients = (y * weights).unwrap().sum_all().unwrap().backward().unwrap();
        same(gradients.get(&x).unwrap(), &golden["to_x"]);
    };
    let cases = |what: &str| golden[what].as_array().unwrap().clone();
    let shape = |case: &serde_json::Value| list(&case["input"]).iter().map(|&size| size as usize).collect::<Vec<_>>();
    let (largest, means) = (cases("max_pool"), cases("average_pool"));
    assert_eq!((largest.len(), means.len()), (3, 3));
    for case in largest {
        compare(steps(1, &shape(&case)), &case, &max_pool);
    }
    for case in means {
        compare(steps(2, &shape(&case)), &case["counted"], &|x| average_pool(x, true));
        compare(steps(2, &shape(&case)), &case["uncounted"], &|x| average_pool(x, false));
    }
}

/// The noise of tests/golden/make_explain.py.
pub(crate) fn golden_noise(name: &str, count: usize) -> Vec<f32> {
    let hash = name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    let value = |i: usize| {
        let mut z = hash.wrapping_add((i as u32).wrapping_mul(2_654_435_761));
        z = (z ^ (z >> 16)).wrapping_mul(0x7feb_352d);
        z = (z ^ (z >> 15)).wrapping_mul(0x846c_a68b);
        ((z ^ (z >> 16)) >> 8) as f32 * 2f32.powi(-23) - 1.
    };
    (0..count).map(value).collect()
}

fn signed(name: &str, shape: &[usize]) -> Tensor {
    Tensor::from_vec(golden_noise(name, shape.iter().product()), shape, &Device::Cpu).unwrap()
}

#[test]
fn a_whole_convolution_with_batch_norm_and_relu() {
    let variance = (noise(&[2], 10) + 2.).unwrap();
    let [weight, bias, running_mean] = [6, 7, 8].map(|seed| noise(&[2], seed));
    let batch_norm = BatchNorm { weight, bias: (bias + 5.).unwrap(), running_mean, running_var: variance, eps: 1e-3 };
    let inputs = [noise(&[1, 3, 7, 6], 1), noise(&[2, 3, 3, 3], 2)];
    check("convolution, batch norm, ReLU", &inputs, &|t| {
        let convolution = Convolution {
            weight: t[1].clone(),
            bias: None,
            batch_norm: Some(batch_norm.clone()),
            stride: 2,
            padding: (1, 1),
            groups: 1,
            activation: Activation::Relu,
        };
        convolution.forward(&t[0])
    });
}
