//! Makes the table of lessons: every notebook of the repository's `notebooks/`, held in the binary.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../notebooks");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut notebooks: Vec<PathBuf> = match folder.read_dir() {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?,
        // Built outside the repository: no lessons, but a command line all the same.
        Err(_) => Vec::new(),
    };
    notebooks.retain(|path| path.extension().is_some_and(|extension| extension == "ipynb"));
    notebooks.sort();
    let mut table = String::from("&[\n");
    for path in notebooks {
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a notebook's name is not UTF-8")?;
        let path = path.canonicalize()?;
        writeln!(table, "    Lesson {{ name: {name:?}, text: include_str!({path:?}) }},")?;
    }
    table.push_str("]\n");
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("lessons.rs"), table)?;
    Ok(())
}
