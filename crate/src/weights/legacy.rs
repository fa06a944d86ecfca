//! The container PyTorch wrote before 1.6, and torchvision's older files are still in.
//!
//! After a pickled magic number come the pickles of a protocol number, facts about the machine, the state dict and the
//! list of its storages' keys; then each storage in that order, as a little-endian i64 count and raw numbers.
//! (`torch/serialization.py`, `_legacy_load`.)

use super::pickle;
use super::tensors::{View, bounded, views};
use candle_core::Tensor;
use candle_core::pickle::Object;
use std::collections::HashMap;

/// The pickle of 0x1950a86a20f9469cfc6c.
pub(super) const MAGIC: [u8; 15] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// The only protocol there ever was.
const PROTOCOL: i32 = 1001;

/// All tensors by name.
pub(super) fn parse(file: &[u8]) -> Result<HashMap<String, Tensor>, String> {
    let mut bytes = file.strip_prefix(&MAGIC).ok_or("no magic number at its start")?;
    match pickle::read(&mut bytes)? {
        Object::Int(PROTOCOL) => {}
        _ => return Err(format!("its protocol is not {PROTOCOL}")),
    }
    let machine = pickle::read(&mut bytes)?;
    let big = |(key, value): &(Object, Object)| {
        matches!(key, Object::Unicode(key) if key == "little_endian") && *value == Object::Bool(false)
    };
    if matches!(&machine, Object::Dict(facts) if facts.iter().any(big)) {
        return Err("its numbers are big-endian".into());
    }
    let views = views(&pickle::read(&mut bytes)?)?;
    bounded(&views, file.len())?;
    let Object::List(keys) = pickle::read(&mut bytes)? else { return Err("it has no list of storages".into()) };
    let storages = storages(&keys, &views, bytes)?;
    let tensor = |view: View| {
        let storage = storages.get(view.storage.as_str());
        let storage = storage.ok_or_else(|| format!("tensor {}: its storage is missing", view.name))?;
        Ok((view.name.clone(), view.tensor(storage)?))
    };
    views.into_iter().map(tensor).collect()
}

/// The bytes of each storage. How wide its numbers are only the tensors in it can say.
fn storages<'a>(keys: &'a [Object], views: &[View], mut bytes: &'a [u8]) -> Result<HashMap<&'a str, &'a [u8]>, String> {
    let mut widths: HashMap<&str, usize> = HashMap::new();
    for view in views {
        let width = view.dtype.size_in_bytes();
        if *widths.entry(&view.storage).or_insert(width) != width {
            return Err(format!("tensor {}: its storage has numbers of two widths", view.name));
        }
    }
    let mut storages = HashMap::new();
    for key in keys {
        let Object::Unicode(key) = key else { return Err("a storage's key is no text".into()) };
        let width = widths.get(key.as_str()).ok_or("it has a storage that belongs to no tensor")?;
        let (count, rest) = bytes.split_first_chunk::<8>().ok_or("it ends before its storages do")?;
        let size = usize::try_from(i64::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(*width));
        let (storage, rest) = size
            .and_then(|size| rest.split_at_checked(size))
            .ok_or_else(|| format!("storage {key:.40} exceeds the file"))?;
        storages.insert(key.as_str(), storage);
        bytes = rest;
    }
    Ok(storages)
}
