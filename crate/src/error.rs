//! What can go wrong, said so that one knows what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what to do about it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{what} {}: {source}", .path.display())]
    File {
        /// What was being done, as in "cannot read".
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A photo could not be decoded.
    #[error("{photo} is not a photo that can be read: {why}")]
    Photo {
        /// Which photo.
        photo: String,
        /// What the decoder said.
        why: String,
    },
    /// A data set cannot be used as it is.
    #[error("{0}")]
    Data(String),
    /// Bytes could not be had from a source, or are not what they should be.
    #[error("{0}")]
    Fetch(String),
    /// A weights file does not hold what its name promises.
    #[error("{file}: {why}")]
    Weights {
        /// The file, or the identity of the weights.
        file: String,
        /// What is wrong, and what was expected.
        why: String,
    },
    /// A tensor has another shape than the one asked for.
    #[error("{what} wants a tensor of shape {want}, and got {got:?}")]
    Shape {
        /// Who asks.
        what: String,
        /// The shape it wants, as in `(N, 3, 224, 224)`.
        want: String,
        /// The shape it was given.
        got: Vec<usize>,
    },
    /// A layer name that the network does not have.
    #[error("{model} has no layer `{name}`; the nearest is `{nearest}`, and `layers()` lists all")]
    Layer {
        /// The network.
        model: &'static str,
        /// The name that was asked for.
        name: String,
        /// The name most like it.
        nearest: String,
    },
    /// A setting outside its range.
    #[error("{setting} is {got}: {want}")]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// The value given.
        got: String,
        /// What it must be.
        want: String,
    },
    /// Work was stopped on request; what had been reached is kept by the caller.
    #[error("interrupted")]
    Interrupted,
    /// The tensor library failed.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// An exercise's TODO is still to be written, or its check has found a mistake.
    #[error("{0}")]
    Lesson(String),
    /// A picture could not be drawn.
    #[error("cannot draw the picture: {0}")]
    Plot(String),
}

impl Error {
    /// An [`Error::File`]; for `map_err`, as in `.map_err(Error::file("cannot read", path))`.
    pub fn file(what: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::File { what, path, source }
    }

    /// An [`Error::Shape`] for `got`.
    pub fn shape(what: impl Into<String>, want: impl Into<String>, got: &[usize]) -> Self {
        Self::Shape { what: what.into(), want: want.into(), got: got.to_vec() }
    }
}

/// In the same words: a `main` that returns an error prints it by its `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
