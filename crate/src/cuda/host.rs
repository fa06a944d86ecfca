//! The kernels on the host: `kernels.cu` built by a C++ compiler, each launch run thread after thread.
//!
//! It shows that the arithmetic of numbers and of indices is right, with the launches that a GPU is given. It shows
//! nothing of the driver, of memory on the GPU, or of speed.

#![allow(clippy::unwrap_used)]

use super::{Launch, Plan};
use candle_core::{DType, Device, Tensor};
use std::io::Write;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A program that runs kernels.
pub(crate) struct Host {
    _folder: tempfile::TempDir,
    program: PathBuf,
}

/// The program, built at the first call; none where there is no C++ compiler, which is then said.
pub(crate) fn host() -> Option<&'static Host> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    HOST.get_or_init(|| {
        let compilers = [std::env::var("CXX").unwrap_or_default(), "c++".into(), "g++".into(), "clang++".into()];
        let compiler = compilers.into_iter().filter(|name| !name.is_empty()).find(|name| answers(name));
        if compiler.is_none() {
            println!("skipped: there is no C++ compiler, by which the GPU's kernels would run on the host");
        }
        compiler.map(|compiler| build(&compiler))
    })
    .as_ref()
}

fn answers(compiler: &str) -> bool {
    Command::new(compiler).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn build(compiler: &str) -> Host {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cuda/host.cpp");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("host");
    let compile = |sanitizers: &[&str]| {
        let mut command = Command::new(compiler);
        command.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror"]).args(sanitizers);
        command.arg(&source).arg("-o").arg(&program).output().unwrap()
    };
    // With sanitizers, a read or write outside of a tensor ends the program. Not every installation has them.
    let guarded = compile(&["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    if !guarded.status.success() {
        println!("{compiler} has no sanitizers: reads outside of tensors may go unseen");
        let plain = compile(&[]);
        assert!(plain.status.success(), "{}", String::from_utf8_lossy(&plain.stderr));
    }
    Host { _folder: folder, program }
}

impl Host {
    /// Holds a launch to an operation of the CPU, number by number and in all three types: `want` is given the inputs as
    /// the type rounds them, and may be missed by rounding the result.
    pub fn compare(&self, launch: &Launch, inputs: &[&Tensor], want: impl Fn(&[Tensor]) -> Tensor, what: &str) {
        for (dtype, rounding) in [(DType::F32, 0.), (DType::F16, 2f32.powi(-11)), (DType::BF16, 2f32.powi(-8))] {
            let narrow: Vec<Tensor> = inputs.iter().map(|input| input.to_dtype(dtype).unwrap()).collect();
            let wide: Vec<Tensor> = narrow.iter().map(|input| input.to_dtype(DType::F32).unwrap()).collect();
            let want = want(&wide);
            let got = self.run(launch, dtype, [0, 1, 2].map(|number| narrow.get(number)));
            assert_eq!(got.dims(), want.dims(), "{what}, {dtype:?}");
            let numbers = |t: &Tensor| t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (got, want) = (numbers(&got), numbers(&want));
            let largest = want.iter().fold(0f32, |largest, number| largest.max(number.abs()));
            assert!(largest > 0., "{what}, {dtype:?}: nothing is compared");
            for (at, (got, want)) in got.iter().zip(&want).enumerate() {
                let allowed = 1e-5 * largest + 1.01 * rounding * want.abs();
                assert!((got - want).abs() <= allowed, "{what}, {dtype:?}, number {at}: {got}, and not {want}");
            }
        }
    }

    /// What a launch makes of up to three inputs, in the type `dtype`; with the finishing of sums where it needs that.
    pub fn run(&self, launch: &Launch, dtype: DType, inputs: [Option<&Tensor>; 3]) -> Tensor {
        let name = format!("{}_{}", launch.kernel, dtype.as_str());
        let inputs = inputs.map(|input| input.map(bytes).unwrap_or_default());
        let Some(finish) = launch.finish() else {
            let out = self.launch(&name, &launch.plan, &inputs, launch.writes() * dtype.size_in_bytes());
            return Tensor::from_raw_buffer(&out, dtype, &launch.out, &Device::Cpu).unwrap();
        };
        let slices = self.launch(&name, &launch.plan, &inputs, 4 * launch.writes());
        let name = format!("{}_{}", finish.kernel, dtype.as_str());
        let inputs = [slices, Vec::new(), Vec::new()];
        let out = self.launch(&name, &finish.plan, &inputs, finish.writes() * dtype.size_in_bytes());
        Tensor::from_raw_buffer(&out, dtype, &finish.out, &Device::Cpu).unwrap()
    }

    pub fn launch(&self, kernel: &str, plan: &Plan, inputs: &[Vec<u8>; 3], out: usize) -> Vec<u8> {
        let mut command = Command::new(&self.program);
        let mut child = command.arg(kernel).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let length = |bytes: usize| (bytes as u64).to_ne_bytes();
        let mut said = words(plan).concat();
        for input in inputs {
            said.extend(length(input.len()));
            said.extend(input);
        }
        said.extend(length(out));
        stdin.write_all(&said).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout.len() == out, "{kernel}, {plan:?}: {:?}", output.status);
        output.stdout
    }
}

/// A plan's numbers as C++ reads them, in its own order.
fn words(plan: &Plan) -> Vec<[u8; 4]> {
    let Plan { threads, photos, channels, height, width, out_height, out_width, .. } = *plan;
    let Plan { rows, columns, stride, above, left, activation, slices, row, before, padded, .. } = *plan;
    let shapes = [threads, photos, channels, height, width, out_height, out_width];
    let rest = [rows, columns, stride, above, left, activation, slices, row, before, padded];
    // The GPU is given the struct itself: its fields must lie in this order.
    assert_eq!(size_of::<Plan>(), 4 * (shapes.len() + rest.len()));
    let places = [
        offset_of!(Plan, threads),
        offset_of!(Plan, photos),
        offset_of!(Plan, channels),
        offset_of!(Plan, height),
        offset_of!(Plan, width),
        offset_of!(Plan, out_height),
        offset_of!(Plan, out_width),
        offset_of!(Plan, rows),
        offset_of!(Plan, columns),
        offset_of!(Plan, stride),
        offset_of!(Plan, above),
        offset_of!(Plan, left),
        offset_of!(Plan, activation),
        offset_of!(Plan, slices),
        offset_of!(Plan, row),
        offset_of!(Plan, before),
        offset_of!(Plan, padded),
    ];
    assert!(places.iter().enumerate().all(|(number, place)| *place == 4 * number));
    shapes.into_iter().chain(rest).map(i32::to_ne_bytes).collect()
}

/// A tensor's numbers, one behind the other.
fn bytes(tensor: &Tensor) -> Vec<u8> {
    let flat = tensor.contiguous().unwrap().flatten_all().unwrap();
    match flat.dtype() {
        DType::U8 => flat.to_vec1::<u8>().unwrap(),
        DType::F32 => flat.to_vec1::<f32>().unwrap().into_iter().flat_map(f32::to_ne_bytes).collect(),
        // Halves by way of a file's bytes: their crate is candle's dependency and not ours.
        dtype => {
            let view = safetensors::serialize([("half", flat)], None).unwrap();
            let count = safetensors::SafeTensors::deserialize(&view).unwrap();
            let data = count.tensor("half").unwrap().data().to_vec();
            assert_eq!(data.len() % dtype.size_in_bytes(), 0);
            data
        }
    }
}
