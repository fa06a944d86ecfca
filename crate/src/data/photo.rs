//! One photo of a data set, wherever its bytes are.

use super::drawn::Sketch;
use crate::images::{MOST_BYTES, Pixels, check};
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One photo and its class. Its pixels are read when they are asked for, and not kept.
#[derive(Clone, Debug)]
pub struct Photo {
    /// What it is called: `cat/cat.172.jpg`.
    pub name: String,
    /// Its class, by index into the data set's classes.
    pub label: usize,
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    File(PathBuf),
    /// A JPEG, PNG, ... in memory.
    Encoded(Arc<[u8]>),
    /// A square photo of `side` in a store of many, `(H, W, 3)` bytes from `start`.
    Stored {
        store: Arc<[u8]>,
        start: usize,
        side: usize,
    },
    Drawn(Sketch),
    Pixels(Arc<Pixels>),
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Encoded(bytes) => write!(f, "{} bytes in memory", bytes.len()),
            Self::Stored { side, .. } => write!(f, "{side}x{side} in memory"),
            Self::Drawn(sketch) => sketch.fmt(f),
            Self::Pixels(pixels) => pixels.fmt(f),
        }
    }
}

impl Photo {
    /// A single photo from a file, of class 0; its name is the file's.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read, [`Error::Photo`] where it is no photo.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
        check(&name, &read_bounded(path)?)?;
        Ok(Self { name: name.into_owned(), label: 0, origin: Origin::File(path.to_path_buf()) })
    }

    /// A photo from the bytes of a JPEG, PNG, WebP, GIF or BMP file.
    ///
    /// # Errors
    /// [`Error::Photo`] where they are no photo.
    pub fn from_bytes(name: impl Into<String>, label: usize, bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let (name, bytes) = (name.into(), bytes.into());
        check(&name, &bytes)?;
        Ok(Self { name, label, origin: Origin::Encoded(bytes) })
    }

    /// A photo from its pixels.
    pub fn from_pixels(name: impl Into<String>, label: usize, pixels: Pixels) -> Self {
        Self { name: name.into(), label, origin: Origin::Pixels(Arc::new(pixels)) }
    }

    /// A photo in a file that has been looked at already.
    pub(super) fn in_file(name: String, label: usize, path: PathBuf) -> Self {
        Self { name, label, origin: Origin::File(path) }
    }

    /// A square photo in a store of many.
    pub(super) fn stored(name: String, label: usize, store: Arc<[u8]>, start: usize, side: usize) -> Self {
        Self { name, label, origin: Origin::Stored { store, start, side } }
    }

    pub(super) fn drawn(name: String, label: usize, sketch: Sketch) -> Self {
        Self { name, label, origin: Origin::Drawn(sketch) }
    }

    /// Its pixels, at its own size.
    ///
    /// # Errors
    /// [`Error::File`] where it can no longer be read, [`Error::Photo`] where it cannot be decoded.
    pub fn pixels(&self) -> Result<Pixels> {
        match &self.origin {
            Origin::File(path) => Pixels::decode(&self.name, &read_bounded(path)?),
            Origin::Encoded(bytes) => Pixels::decode(&self.name, bytes),
            Origin::Stored { store, start, side } => {
                let bytes = store.get(*start..*start + 3 * side * side).unwrap_or_default();
                Pixels::new(*side, *side, bytes.to_vec())
            }
            Origin::Drawn(sketch) => Ok(sketch.draw()),
            Origin::Pixels(pixels) => Ok(Pixels::clone(pixels)),
        }
    }

    /// The SHA-256 of its content: of the encoded bytes where it has any, else of its pixels.
    ///
    /// # Errors
    /// As for [`pixels`](Self::pixels).
    pub fn fingerprint(&self) -> Result<[u8; 32]> {
        Ok(match &self.origin {
            Origin::File(path) => Sha256::digest(read_bounded(path)?).into(),
            Origin::Encoded(bytes) => Sha256::digest(bytes).into(),
            Origin::Stored { .. } | Origin::Drawn(_) | Origin::Pixels(_) => {
                let pixels = self.pixels()?;
                let mut hash = Sha256::new();
                hash.update((pixels.height as u64).to_le_bytes());
                hash.update((pixels.width as u64).to_le_bytes());
                hash.update(&pixels.rgb);
                hash.finalize().into()
            }
        })
    }

    /// Shows the photo where it ends a cell.
    pub fn evcxr_display(&self) {
        match self.pixels() {
            Ok(pixels) => pixels.evcxr_display(),
            Err(error) => println!("{error}"),
        }
    }
}

/// A file's bytes, if it is an ordinary file of a size that a photo can have. One byte over the limit tells it from a
/// file that is just as large.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let failed = || Error::file("cannot read", path);
    // Before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed())?.is_file() {
        return Err(failed()(std::io::Error::other("not an ordinary file")));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)).map_err(failed())?;
    Ok(bytes)
}
