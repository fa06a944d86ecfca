//! The container PyTorch writes since 1.6: a zip of `<name>/data.pkl` and a file `<name>/data/<key>` for each storage.

use super::pickle;
use super::tensors::{View, bounded, views};
use candle_core::Tensor;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// All tensors by name.
pub(super) fn parse(file: &[u8]) -> Result<HashMap<String, Tensor>, String> {
    let mut zip = ZipArchive::new(Cursor::new(file)).map_err(|e| format!("as a zip: {e}"))?;
    let folder = zip.file_names().filter_map(|name| name.ok()?.strip_suffix("data.pkl").map(str::to_owned)).next();
    let folder = folder.ok_or("a zip without data.pkl: not what PyTorch saves")?;
    let mut budget = file.len() as u64;
    if zip.index_for_name(&format!("{folder}byteorder")).is_some()
        && member(&mut zip, &format!("{folder}byteorder"), &mut budget)? != b"little"
    {
        return Err("its numbers are big-endian".into());
    }
    let pickled = member(&mut zip, &format!("{folder}data.pkl"), &mut budget)?;
    let views = views(&pickle::read(&mut pickled.as_slice())?)?;
    bounded(&views, file.len())?;
    let mut storages: HashMap<String, Vec<u8>> = HashMap::new();
    for View { storage, .. } in &views {
        if !storages.contains_key(storage) {
            storages.insert(storage.clone(), member(&mut zip, &format!("{folder}data/{storage}"), &mut budget)?);
        }
    }
    let tensor = |view: View| {
        let storage = storages.get(&view.storage).map(Vec::as_slice).unwrap_or_default();
        Ok((view.name.clone(), view.tensor(storage)?))
    };
    views.into_iter().map(tensor).collect()
}

/// The bytes of one member. PyTorch compresses nothing, so all members together are no more than the file.
fn member(zip: &mut Zip<'_>, name: &str, budget: &mut u64) -> Result<Vec<u8>, String> {
    let wrong = |why: &str| format!("{name:.80} in the zip: {why}");
    let entry = zip.by_name(name).map_err(|e| wrong(&e.to_string()))?;
    let mut bytes = Vec::new();
    entry.take(*budget + 1).read_to_end(&mut bytes).map_err(|e| wrong(&e.to_string()))?;
    *budget = budget.checked_sub(bytes.len() as u64).ok_or_else(|| wrong("more bytes than the file has"))?;
    Ok(bytes)
}
