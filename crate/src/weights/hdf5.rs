//! HDF5 as h5py and Keras write it: its oldest layout, which is still their default, of numbers in one piece.
//!
//! A file is a tree of groups. A group's B-tree leads to nodes of symbols, whose names lie in the group's heap; a
//! symbol leads to an object's header, whose messages say whether it is a group or a data set, and of what.
//! (HDF5 file format specification 3.0, <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>.)
//!
//! Every address is checked before it is followed, and the steps are counted, so that a tree that bites its own tail
//! comes to an end.

use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;

/// How every HDF5 file begins.
pub(super) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Deeper nesting of groups, and of the B-tree of one, than any model has.
const DEEPEST: usize = 16;
/// Nodes, symbols and messages that may be looked at: thousands of layers make some hundred thousand.
const MOST_STEPS: usize = 1 << 20;
const LONGEST_NAME: usize = 1024;
/// More dimensions than any kernel has.
const MOST_DIMENSIONS: usize = 8;

/// All data sets of floating-point numbers by path: `model_weights/conv2d/conv2d/kernel`. Others are passed over.
pub(super) fn parse(file: &[u8]) -> Result<HashMap<String, Tensor>, String> {
    let bytes = Bytes(file);
    let root = superblock(bytes)?;
    let mut reader = Reader { bytes, steps: 0, claimed: 0, tensors: HashMap::new() };
    reader.object(root, String::new(), 0)?;
    Ok(reader.tensors)
}

/// The address of the root group's header.
fn superblock(bytes: Bytes<'_>) -> Result<u64, String> {
    if bytes.array::<1>(8)? != [0] {
        return Err("an HDF5 file of a newer layout than Keras writes: save it with libver=\"earliest\", or save the \
                    weights as safetensors"
            .into());
    }
    let base = bytes.u64(24)?;
    // Offsets and lengths of eight bytes each.
    if bytes.array(13)? != [8, 8] || base != 0 {
        return Err("an HDF5 file with addresses that are not of the usual kind".into());
    }
    if bytes.u64(40)? > bytes.0.len() as u64 {
        return Err(format!(
            "it ends early: an HDF5 file of {} bytes of which {} are there",
            bytes.u64(40)?,
            bytes.0.len()
        ));
    }
    bytes.u64(64)
}

/// A file whose every byte is asked for by address.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn piece(self, at: u64, length: u64) -> Result<&'a [u8], String> {
        let range = usize::try_from(at).ok().zip(usize::try_from(length).ok());
        let piece = range.and_then(|(at, length)| self.0.get(at..at.checked_add(length)?));
        piece.ok_or_else(|| format!("an HDF5 address leads out of the file: {length} bytes at {at}"))
    }

    fn array<const N: usize>(self, at: u64) -> Result<[u8; N], String> {
        self.piece(at, N as u64)?.try_into().map_err(|_| "an HDF5 address leads out of the file".into())
    }

    fn u16(self, at: u64) -> Result<u64, String> {
        Ok(u16::from_le_bytes(self.array(at)?).into())
    }

    fn u32(self, at: u64) -> Result<u64, String> {
        Ok(u32::from_le_bytes(self.array(at)?).into())
    }

    fn u64(self, at: u64) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array(at)?))
    }

    fn expect(self, at: u64, signature: &[u8; 4]) -> Result<(), String> {
        if &self.array::<4>(at)? == signature {
            return Ok(());
        }
        Err(format!("an HDF5 file without {} where one should be", String::from_utf8_lossy(signature)))
    }
}

/// `at + by`; what overflows leads out of the file anyway.
fn past(at: u64, by: u64) -> u64 {
    at.saturating_add(by)
}

struct Reader<'a> {
    bytes: Bytes<'a>,
    steps: usize,
    /// Bytes of the tensors so far.
    claimed: u64,
    tensors: HashMap<String, Tensor>,
}

/// What an object's header says of it.
#[derive(Default)]
struct Header<'a> {
    /// B-tree and heap of a group.
    group: Option<(u64, u64)>,
    space: Option<&'a [u8]>,
    datatype: Option<&'a [u8]>,
    layout: Option<&'a [u8]>,
}

impl<'a> Reader<'a> {
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MOST_STEPS { Err("an HDF5 file with too many parts, or in a circle".into()) } else { Ok(()) }
    }

    fn object(&mut self, header: u64, path: String, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err("an HDF5 file whose groups nest too deep, or in a circle".into());
        }
        let header = self.header(header)?;
        if let Some((tree, heap)) = header.group {
            self.bytes.expect(heap, b"HEAP")?;
            let names = self.bytes.piece(self.bytes.u64(past(heap, 24))?, self.bytes.u64(past(heap, 8))?)?;
            return self.tree(tree, names, &path, depth, 0);
        }
        if let (Some(space), Some(datatype), Some(layout)) = (header.space, header.datatype, header.layout) {
            let tensor = self.tensor(space, datatype, layout).map_err(|why| format!("{path:.200}: {why}"))?;
            tensor.map(|tensor| self.tensors.insert(path, tensor));
        }
        Ok(())
    }

    /// The messages of an object's header, and of the blocks that continue it.
    fn header(&mut self, at: u64) -> Result<Header<'a>, String> {
        let bytes = self.bytes;
        if bytes.array::<1>(at)? != [1] {
            return Err("an HDF5 object of a newer layout: save the weights as safetensors".into());
        }
        let mut header = Header::default();
        let mut blocks = vec![(past(at, 16), bytes.u32(past(at, 8))?)];
        while let Some((start, length)) = blocks.pop() {
            let block = Bytes(bytes.piece(start, length)?);
            let mut at = 0;
            while past(at, 8) <= length {
                self.step()?;
                let (kind, size) = (block.u16(at)?, block.u16(at + 2)?);
                let message = block.piece(at + 8, size)?;
                let of = Bytes(message);
                match kind {
                    0x01 => header.space = Some(message),
                    0x03 => header.datatype = Some(message),
                    0x08 => header.layout = Some(message),
                    0x10 => blocks.push((of.u64(0)?, of.u64(8)?)),
                    0x11 => header.group = Some((of.u64(0)?, of.u64(8)?)),
                    _ => {}
                }
                at += 8 + size;
            }
        }
        Ok(header)
    }

    /// A node of a group's B-tree, and all below it.
    fn tree(&mut self, at: u64, names: &[u8], path: &str, depth: usize, level: usize) -> Result<(), String> {
        self.step()?;
        if level > DEEPEST {
            return Err("an HDF5 file whose B-trees nest too deep, or in a circle".into());
        }
        self.bytes.expect(at, b"TREE")?;
        let [kind, height] = self.bytes.array(past(at, 4))?;
        if kind != 0 {
            return Err("an HDF5 group with the B-tree of something else".into());
        }
        for child in 0..self.bytes.u16(past(at, 6))? {
            // Keys and addresses in turn, a key first.
            let child = self.bytes.u64(past(at, 24 + 8 + 16 * child))?;
            match height {
                0 => self.symbols(child, names, path, depth)?,
                _ => self.tree(child, names, path, depth, level + 1)?,
            }
        }
        Ok(())
    }

    fn symbols(&mut self, at: u64, names: &[u8], path: &str, depth: usize) -> Result<(), String> {
        self.step()?;
        self.bytes.expect(at, b"SNOD")?;
        for symbol in 0..self.bytes.u16(past(at, 6))? {
            self.step()?;
            let symbol = past(at, 8 + 40 * symbol);
            let name = name(names, self.bytes.u64(symbol)?)?;
            // A soft link is a name for what stands elsewhere.
            if self.bytes.u32(past(symbol, 16))? == 2 {
                continue;
            }
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            self.object(self.bytes.u64(past(symbol, 8))?, path, depth + 1)?;
        }
        Ok(())
    }

    /// The tensor of a data set; none where it is not of floating-point numbers.
    fn tensor(&mut self, space: &[u8], datatype: &[u8], layout: &[u8]) -> Result<Option<Tensor>, String> {
        let Some(dtype) = dtype(Bytes(datatype))? else { return Ok(None) };
        let shape = shape(Bytes(space))?;
        let count = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64));
        let size = count.and_then(|count| count.checked_mul(dtype.size_in_bytes() as u64)).filter(|&size| size > 0);
        self.claimed = self.claimed.saturating_add(size.unwrap_or(u64::MAX));
        // Data sets may share their bytes; a handful of them must not fill the memory.
        let (Some(size), true) = (size, self.claimed <= 2 * self.bytes.0.len() as u64) else {
            return Err(format!("its shape {shape:?} claims more than the file has, or nothing"));
        };
        let layout = Bytes(layout);
        match layout.array(0)? {
            [3, 1] if layout.u64(10)? == size => {}
            [3, 1] => return Err(format!("its shape {shape:?} and its {} bytes do not fit", layout.u64(10)?)),
            _ => return Err("it is compressed or in pieces: save it without chunks, or as safetensors".into()),
        }
        let data = self.bytes.piece(layout.u64(2)?, size)?;
        Tensor::from_raw_buffer(data, dtype, &shape, &Device::Cpu).map(Some).map_err(|e| e.to_string())
    }
}

/// A name out of a group's heap, where it ends with a zero.
fn name(names: &[u8], at: u64) -> Result<&str, String> {
    let from = usize::try_from(at).ok().and_then(|at| names.get(at..)).unwrap_or_default();
    let length = from.iter().take(LONGEST_NAME).position(|&byte| byte == 0);
    let name = length.and_then(|length| from.get(..length)).and_then(|name| std::str::from_utf8(name).ok());
    name.filter(|name| !name.is_empty()).ok_or_else(|| "an HDF5 group with a name that is none".into())
}

/// What the numbers are; none for what is no floating-point number.
fn dtype(bytes: Bytes<'_>) -> Result<Option<DType>, String> {
    let [kind, order] = bytes.array(0)?;
    if kind & 0x0f != 1 {
        return Ok(None);
    }
    // Byte order, then the first bit and the length of the whole, the exponent and the mantissa.
    let [first, _, width, _, exponent, exponent_length, mantissa, mantissa_length] = bytes.array(8)?;
    let bits = [width, exponent, exponent_length, mantissa_length];
    match (bytes.u32(4)?, bits) {
        _ if order & 0x41 != 0 => Err("its numbers are big-endian".into()),
        (2, [16, 10, 5, 10]) if (first, mantissa) == (0, 0) => Ok(Some(DType::F16)),
        (4, [32, 23, 8, 23]) if (first, mantissa) == (0, 0) => Ok(Some(DType::F32)),
        (8, [64, 52, 11, 52]) if (first, mantissa) == (0, 0) => Ok(Some(DType::F64)),
        _ => Err("its numbers are of a type that cannot be read".into()),
    }
}

fn shape(bytes: Bytes<'_>) -> Result<Vec<usize>, String> {
    let [version, rank] = bytes.array(0)?;
    let rank = usize::from(rank);
    let first = match version {
        1 => 8,
        2 => 4,
        _ => return Err("its shape is saved in a way that is not known".into()),
    };
    if rank > MOST_DIMENSIONS {
        return Err(format!("it has {rank} dimensions"));
    }
    let size = |axis| usize::try_from(bytes.u64(first + 8 * axis)?).map_err(|e| e.to_string());
    (0..rank as u64).map(size).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Written by h5py itself, with `tiny/make_tiny_h5.py`.
    const TINY: &[u8] = include_bytes!("tiny/tiny.h5");

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn what_h5py_wrote_is_read_as_it_was() {
        let tensors = parse(TINY).unwrap();
        assert_eq!(tensors.len(), 16, "whole numbers, words and links are passed over");
        let plain: Vec<f32> = (0..12).map(|i| i as f32 / 4. - 1.).collect();
        // (name, type, shape, values)
        let cases: [(&str, DType, &[usize], &[f32]); 6] = [
            ("conv2d/conv2d/kernel:0", DType::F32, &[3, 1, 4], &plain),
            ("conv2d_0/conv2d_0/bias:0", DType::F32, &[2], &[0., 0.]),
            ("conv2d_11/conv2d_11/bias:0", DType::F32, &[2], &[11., -11.]),
            ("half", DType::F16, &[2], &[1.5, -0.25]),
            ("double", DType::F64, &[1, 1], &[1e-3]),
            ("scalar", DType::F32, &[], &[7.]),
        ];
        for (name, dtype, shape, wanted) in cases {
            let tensor = &tensors[&format!("model_weights/{name}")];
            assert_eq!((tensor.dtype(), tensor.dims()), (dtype, shape), "{name}");
            assert_eq!(values(tensor), wanted, "{name}");
        }
    }

    #[test]
    fn other_layouts_are_refused_with_a_way_out() {
        let error = parse(include_bytes!("tiny/tiny_chunked.h5")).unwrap_err();
        assert!(error.starts_with("packed: ") && error.contains("without chunks"), "{error}");
        let error = parse(include_bytes!("tiny/tiny_latest.h5")).unwrap_err();
        assert!(error.contains("libver=\"earliest\""), "{error}");
    }

    /// The address of the first header message of this kind whose bytes begin so.
    fn find(pattern: &[u8]) -> usize {
        TINY.windows(pattern.len()).position(|window| window == pattern).unwrap()
    }

    #[test]
    fn claims_beyond_the_file_and_circles_are_refused() {
        // Three dimensions: 3, 1, 4.
        let space = find(&[1, 3, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1]) + 8;
        let tree = find(b"TREE");
        let changed = |at: usize, with: &[u8]| {
            let mut file = TINY.to_vec();
            file[at..at + with.len()].copy_from_slice(with);
            parse(&file).unwrap_err()
        };
        let (most, root) = (u64::MAX.to_le_bytes(), (tree as u64).to_le_bytes());
        // (what is changed, words of the error)
        let cases = [
            (changed(space, &most), "claims more"),
            (changed(space, &100_000u64.to_le_bytes()), "claims more"),
            (changed(space, &0u64.to_le_bytes()), "or nothing"),
            (changed(space, &2u64.to_le_bytes()), "do not fit"),
            (changed(64, &most), "out of the file"),
            (changed(tree + 32, &most), "out of the file"),
            // A node that is its own child.
            (changed(tree + 5, &[&[1, 1, 0][..], &TINY[tree + 8..tree + 32], &root].concat()), "circle"),
            (changed(13, &[4]), "addresses"),
        ];
        for (error, words) in cases {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
