//! Files from the Hugging Face hub, with the feature `hub`.

use crate::{Error, Result};
use std::path::Path;

/// Larger than any file the table names there.
#[cfg(feature = "hub")]
const MOST_BYTES: u64 = 256 << 20;

/// Copies a file of a repository to the path `to`, checked against `known` bytes and sha256 where those are known.
#[cfg(feature = "hub")]
pub(super) fn fetch(repository: &str, file: &str, known: Option<(u64, &str)>, to: &Path) -> Result<()> {
    use crate::fetch::{verify, write_atomically};
    let failed = |why: String| Error::Fetch(format!("the hub, {repository} {file}: {why}"));
    let (owner, name) = repository.split_once('/').unwrap_or(("", repository));
    let client = hf_hub::HFClientSync::new().map_err(|e| failed(e.to_string()))?;
    let asked = client.model(owner, name).download_file().filename(file).send();
    let path = asked.map_err(|e| failed(e.to_string()))?;
    let bytes = std::fs::metadata(&path).map_err(Error::file("cannot read", &path))?.len();
    if bytes > MOST_BYTES {
        return Err(failed(format!("{bytes} bytes are more than the {MOST_BYTES} it may have")));
    }
    if let Some((bytes, sha256)) = known {
        verify(&path, sha256, bytes)?;
    }
    write_atomically(to, &std::fs::read(&path).map_err(Error::file("cannot read", &path))?)
}

/// Says how to get the feature.
#[cfg(not(feature = "hub"))]
pub(super) fn fetch(repository: &str, file: &str, _known: Option<(u64, &str)>, _to: &Path) -> Result<()> {
    Err(Error::Fetch(format!(
        "the hub, {repository} {file}: candlewick was built without its feature `hub` \
         (candlewick = {{ version = \"{}\", features = [\"hub\"] }})",
        env!("CARGO_PKG_VERSION")
    )))
}
