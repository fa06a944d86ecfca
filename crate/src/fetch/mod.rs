//! Bytes from elsewhere: downloads that can be taken up again, packages through pip, and a cache folder for both.
//!
//! Whatever the source, bytes count only once their sha256 is right, and they appear under their name in one step:
//! another process sees the whole file or none. An interrupt ends the waiting; what has come of a download is kept.

mod download;
mod files;
mod waiting;
mod wheel;

pub(crate) use download::download_under;
pub use download::{Remote, download};
pub(crate) use files::Hasher;
pub use files::{FolderLock, cache_folder, lock, sha256_hex, sha256_of, verify, write_atomically};
pub(crate) use waiting::run;
pub use wheel::{Wheel, wheel_member};

#[cfg(test)]
mod server;
