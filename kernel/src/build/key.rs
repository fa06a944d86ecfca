//! What a template depends on, as one short key: the same key means that nothing needs to be built.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Sixteen hexadecimal digits from everything that decides how cells' dependencies are compiled.
///
/// # Errors
/// Where the helper crate's sources cannot be read.
pub fn key(helper: &Path, lock_file: &Path, parts: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    for part in parts {
        absorb(&mut hash, part.as_bytes());
    }
    absorb(&mut hash, helper.to_string_lossy().as_bytes());
    let mut files = vec![helper.join("Cargo.toml"), lock_file.to_path_buf()];
    files.extend(helper.parent().map(|workspace| workspace.join("Cargo.toml")).filter(|file| file.is_file()));
    collect(&helper.join("src"), &mut files)?;
    files.sort();
    for file in files {
        absorb(&mut hash, file.to_string_lossy().as_bytes());
        absorb(&mut hash, &std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// With its length before it, so that no two lists of parts give the same bytes.
fn absorb(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
