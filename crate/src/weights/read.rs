//! Reading a weights file, whichever of the known formats it has.

use super::{hdf5, legacy, torch_zip};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than any backbone here has; larger files are refused unread.
const MOST_BYTES: u64 = 1 << 30;

/// All tensors of a weights file by name, on the CPU: safetensors, a state dict that PyTorch saved, as a zip (since
/// 1.6) or in its older format, or HDF5 as Keras saves it, where names are paths. What it is is told by its content, not
/// by its name.
///
/// Pickles are only looked at: no code that they name is run.
///
/// # Errors
/// [`Error::File`] where it cannot be read, [`Error::Weights`] where it is in no known format or broken.
pub fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut file = File::open(path).map_err(Error::file("cannot open", path))?;
    let size = file.metadata().map_err(Error::file("cannot read", path))?.len();
    if size > MOST_BYTES {
        let why = format!("{size} bytes are more than a weights file may have here, {MOST_BYTES}");
        return Err(Error::Weights { file: name, why });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // The size is that of a moment ago.
    let mut bounded = (&mut file).take(MOST_BYTES);
    bounded.read_to_end(&mut bytes).map_err(Error::file("cannot read", path))?;
    parse(&bytes).map_err(|why| Error::Weights { file: name, why })
}

/// The same for bytes in memory; an error is what is wrong with them.
pub(super) fn parse(bytes: &[u8]) -> Result<HashMap<String, Tensor>, String> {
    if bytes.starts_with(b"PK\x03\x04") {
        torch_zip::parse(bytes)
    } else if bytes.starts_with(&legacy::MAGIC) {
        legacy::parse(bytes)
    } else if bytes.get(8) == Some(&b'{') {
        candle_core::safetensors::load_buffer(bytes, &Device::Cpu).map_err(|e| format!("as safetensors: {e}"))
    } else if bytes.starts_with(hdf5::MAGIC) {
        hdf5::parse(bytes)
    } else {
        Err("neither safetensors nor a file that PyTorch or Keras saved".into())
    }
}
