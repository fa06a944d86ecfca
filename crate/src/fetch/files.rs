//! Files in the cache: where they lie, whether they are what they should be, and how they get there in one step.

use crate::notebook::{self, Progress};
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The folder for weights, photos and features: `$CANDLEWICK_CACHE`, else `candlewick` in the user's cache folder.
///
/// It is created where it does not exist.
///
/// # Errors
/// Where the system knows no cache folder, or it cannot be created.
pub fn cache_folder() -> Result<PathBuf> {
    let folder = chosen(std::env::var_os("CANDLEWICK_CACHE"))?;
    fs::create_dir_all(&folder).map_err(Error::file("cannot create the cache folder", &folder))?;
    Ok(folder)
}

/// The cache folder, absolute: a relative one means the same folder wherever the program goes later.
fn chosen(asked: Option<OsString>) -> Result<PathBuf> {
    let folder = match asked {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => directories::ProjectDirs::from("", "", "candlewick")
            .ok_or_else(|| Error::Fetch("this user has no home folder: set CANDLEWICK_CACHE to a folder".into()))?
            .cache_dir()
            .to_path_buf(),
    };
    std::path::absolute(&folder).map_err(Error::file("cannot tell where this folder is:", &folder))
}

/// A sha256 in the making.
#[derive(Clone, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    /// Adds bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The 64 hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        self.0.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// The sha256 of `bytes` as 64 hexadecimal digits.
///
/// ```
/// assert!(candlewick::fetch::sha256_hex(b"abc").starts_with("ba7816bf"));
/// ```
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.hex()
}

/// From this size on a file's sha256 takes long enough to show how far it is.
const LARGE: u64 = 64 << 20;

/// The sha256 of a file as 64 hexadecimal digits, read piece by piece.
///
/// # Errors
/// Where the file cannot be read.
pub fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::file("cannot open", path))?;
    let bytes = file.metadata().map_err(Error::file("cannot read", path))?.len();
    let name = path.file_name().unwrap_or(path.as_os_str()).display();
    let progress = (bytes > LARGE).then(|| Progress::new(format!("Checking {name}"), Some(bytes), "bytes"));
    let mut hasher = Hasher::default();
    let mut piece = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut piece).map_err(Error::file("cannot read", path))?;
        if read == 0 {
            return Ok(hasher.hex());
        }
        if notebook::interrupted() {
            return Err(Error::Interrupted);
        }
        hasher.update(piece.get(..read).unwrap_or_default());
        if let Some(progress) = &progress {
            progress.advance(read as u64);
        }
    }
}

/// Whether the file at `path` holds exactly `bytes` bytes with this sha256.
///
/// # Errors
/// [`Error::File`] where it cannot be read, [`Error::Fetch`] where it is not what it should be.
pub fn verify(path: &Path, sha256: &str, bytes: u64) -> Result<()> {
    let found = fs::metadata(path).map_err(Error::file("cannot read", path))?.len();
    if found != bytes {
        return Err(Error::Fetch(format!("{} holds {found} bytes, not {bytes}", path.display())));
    }
    let found = sha256_of(path)?;
    if !found.eq_ignore_ascii_case(sha256) {
        return Err(Error::Fetch(format!("{} has sha256 {found}, not {sha256}", path.display())));
    }
    Ok(())
}

/// Writes a file in one step: beside its name first, then renamed. The folder is created where needed.
///
/// # Errors
/// Where it cannot be written; then nothing has changed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = beside(path)?;
    file.write_all(bytes).map_err(Error::file("cannot write", path))?;
    keep(file, path)
}

/// An empty file in the folder of `path`, to be given that name by [`keep`]; gone when dropped before.
pub(crate) fn beside(path: &Path) -> Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::file("cannot create", folder))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".candlewick-");
    // Temporary files are private by default; a cache may be shared, and the umask still has its say.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(Error::file("cannot write in", folder))
}

/// Gives a file from [`beside`] its name, once its bytes have reached the disk.
pub(crate) fn keep(file: NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(Error::file("cannot write", path))?;
    file.persist(path).map_err(|e| Error::file("cannot write", path)(e.error))?;
    Ok(())
}

/// While this lives, no other process (or thread) holds the lock of the same path.
#[derive(Debug)]
pub struct FolderLock {
    // Closing the file releases the lock, also when the process dies.
    _file: File,
}

/// Waits for the lock of `path`, kept on an empty file beside it whose name adds `.lock`.
///
/// # Errors
/// Where that file cannot be created or the file system has no locks.
pub fn lock(path: &Path) -> Result<FolderLock> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    if let Some(folder) = name.parent() {
        fs::create_dir_all(folder).map_err(Error::file("cannot create", folder))?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(Error::file("cannot create", &name))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let what = path.file_name().unwrap_or(path.as_os_str());
            println!("Waiting for another process that works on {}", what.display());
            file.lock().map_err(Error::file("cannot lock", &name))?;
        }
        Err(TryLockError::Error(e)) => return Err(Error::file("cannot lock", &name)(e)),
    }
    Ok(FolderLock { _file: file })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn sha256_is_that_of_the_standard() {
        // FIPS 180-4, the two examples.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b""), empty);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        write_atomically(&path, b"abc").unwrap();
        assert_eq!(sha256_of(&path).unwrap(), abc);
        verify(&path, abc, 3).unwrap();
        verify(&path, &abc.to_uppercase(), 3).unwrap();
        assert!(verify(&path, abc, 4).unwrap_err().to_string().contains("3 bytes, not 4"));
        assert!(verify(&path, empty, 3).unwrap_err().to_string().contains("has sha256 ba78"));
        assert!(verify(&folder.path().join("none"), abc, 3).is_err());
    }

    #[test]
    fn a_relative_cache_folder_is_made_absolute() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(chosen(Some("some/cache".into())).unwrap(), here.join("some/cache"));
        assert_eq!(chosen(Some(here.clone().into())).unwrap(), here);
        // An empty one is as good as none.
        assert_ne!(chosen(Some("".into())).unwrap(), here);
    }

    #[test]
    fn writing_replaces_whole_files_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write_atomically(&path, b"first").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        drop(beside(&path).unwrap());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        // A folder is in the way: an error, and the folder is still there.
        assert!(write_atomically(path.parent().unwrap(), b"x").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn one_holds_the_lock_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let held = lock(&path).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        drop(held);
                    }
                });
            }
        });
    }
}
