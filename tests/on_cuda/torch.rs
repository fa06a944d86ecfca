//! PyTorch on the same GPU, by a Python program.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// A Python whose PyTorch finds the GPU.
pub struct Python(String);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/on_cuda/torch_speed.py");

/// The Python, if its PyTorch finds a GPU; says its version, or why it is left out.
pub fn there(program: &str) -> Option<Python> {
    // Without anything to measure it only says what it is.
    let output = Command::new(program).args([SCRIPT, "mobilenet_v2", "1"]).output();
    let said = match &output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).lines().find_map(|line| serde_json::from_str(line).ok()),
        Err(why) => {
            println!("PyTorch is left out: {program}: {why}");
            return None;
        }
    };
    let said: Value = said.unwrap_or_default();
    if said["there"] == true {
        println!("PyTorch {}, CUDA {}", said["torch"].as_str().unwrap_or("?"), said["cuda"].as_str().unwrap_or("?"));
        return Some(Python(program.to_owned()));
    }
    let words = output.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned()).unwrap_or_default();
    println!("PyTorch is left out: {}", words.lines().last().unwrap_or("it finds no GPU"));
    None
}

/// Calls `each` for every point, a setting and a batch, in order and as soon as it is known: with its number, and PyTorch's
/// best photos a second and by which of its ways; none where nothing of it could be measured.
pub fn measure(
    python: Option<&Python>,
    model: &str,
    repeats: usize,
    points: &[(&str, usize)],
    mut each: impl FnMut(usize, Option<(f64, String)>),
) {
    let mut best: Vec<Option<(f64, String)>> = vec![None; points.len()];
    let mut told = 0;
    let child = python.map(|Python(program)| {
        let words = points.iter().map(|(setting, batch)| format!("{setting}:{batch}"));
        let mut command = Command::new(program);
        command.args([SCRIPT, model, &repeats.to_string()]).args(words).stdout(Stdio::piped());
        command.spawn()
    });
    if let Some(Ok(mut child)) = child {
        let lines = child.stdout.take().map(|stdout| BufReader::new(stdout).lines()).into_iter().flatten();
        for line in lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<Value>(&line).ok()) {
            let point = |(setting, batch): &(&str, usize)| line["setting"] == *setting && line["batch"] == *batch;
            let (Some(number), Some(photos)) = (points.iter().position(point), line["images_per_second"].as_f64())
            else {
                continue;
            };
            // What comes before the point that is measured now is done.
            while told < number {
                each(told, best[told].take());
                told += 1;
            }
            if best[number].as_ref().is_none_or(|(most, _)| photos > *most) {
                best[number] = Some((photos, line["way"].as_str().unwrap_or_default().to_owned()));
            }
        }
        let _ = child.wait();
    }
    (told..points.len()).for_each(|number| each(number, best[number].take()));
}
