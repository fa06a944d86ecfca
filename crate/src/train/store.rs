//! Where features are kept between fits and between sessions: in memory, and in a file a backbone.
//!
//! The file is named after a digest of everything the features depend on besides the photo (weights, preprocessing, how
//! they are computed), and holds one record a photo, found by the photo's content. So any split of any data set finds
//! its photos, and a changed photo or other weights find nothing.
//!
//! A record has its own checksum, and a damaged one is a photo to compute again: the cache is never believed and never
//! missed. Files are written whole beside the old one and renamed, under a lock, so that two processes may share them.

use crate::{Error, Result, fetch};
use flate2::Crc;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// SHA-256 of a photo's content.
pub(super) type Fingerprint = [u8; 32];
/// The features of one photo.
pub(super) type Row = Arc<[f32]>;

/// What a file begins with; then come the key's digest, the row's width and a checksum of all these.
const MAGIC: &[u8; 20] = b"candlewick features\n";
/// Grows when the format changes, or how features are computed.
const VERSION: u32 = 1;
/// Magic, version, digest of the key, width, checksum.
const HEADER: usize = MAGIC.len() + 4 + 32 + 4 + 4;
/// The most a file holds: 52,000 photos at MobileNetV2's 1280 features. The oldest records make room.
const FILE_LIMIT: usize = 256 << 20;
/// The most all the files hold together. Those unused for longest make room.
const FOLDER_LIMIT: u64 = 1 << 30;
const EXTENSION: &str = "features";

/// Features by photo, for one frozen backbone.
pub(super) struct FeatureStore {
    digest: [u8; 32],
    width: usize,
    /// None where there is no cache folder: then memory is all there is.
    file: Option<PathBuf>,
    rows: HashMap<Fingerprint, Row>,
    /// In the order they were added, oldest first.
    order: Vec<Fingerprint>,
    /// How many of them the file is known to hold.
    on_disk: usize,
    read: bool,
}

impl FeatureStore {
    /// A store for features of `width` numbers that depend on `key`. `name` only makes the file recognisable to people.
    pub fn new(folder: Option<PathBuf>, name: &str, key: &str, width: usize) -> Self {
        let digest: [u8; 32] = Sha256::digest(format!("{key}\nfeatures version {VERSION}")).into();
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let file = folder.map(|folder| folder.join(format!("{name}-{short}.{EXTENSION}")));
        Self { digest, width, file, rows: HashMap::new(), order: Vec::new(), on_disk: 0, read: false }
    }

    /// How many features a row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The features of the photo with this content, if they are known.
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Row> {
        self.rows.get(fingerprint)
    }

    /// Keeps the features of a photo, in memory for now.
    pub fn add(&mut self, fingerprint: Fingerprint, row: Row) {
        if self.rows.insert(fingerprint, row).is_none() {
            self.order.push(fingerprint);
        }
    }

    /// Reads the file, once; says what was wrong with it.
    pub fn read(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.read, true) {
            return None;
        }
        let file = self.file.clone()?;
        match load(&file) {
            Ok(None) => None,
            Ok(Some(bytes)) => {
                let (records, damage) = decode(&bytes, &self.digest, self.width);
                for (fingerprint, row) in records {
                    self.add(fingerprint, row);
                }
                // A damaged file is written anew even where nothing is to be added.
                self.on_disk = if damage.is_none() { self.order.len() } else { 0 };
                // Files unused for longest are removed first, and this one is in use. Not worth a word if it fails.
                let _ = File::options().append(true).open(&file).and_then(|file| file.set_modified(SystemTime::now()));
                damage.map(|damage| format!("Kept features in {}: {damage}; they are computed again.", file.display()))
            }
            Err(error) => Some(format!("Kept features cannot be used ({error}); they are computed again.")),
        }
    }

    /// Writes what the file does not hold yet; says why where that fails.
    pub fn write(&mut self) -> Option<String> {
        let file = self.file.clone()?;
        if self.on_disk == self.order.len() {
            return None;
        }
        match self.merge(&file) {
            Ok(()) => {
                self.on_disk = self.order.len();
                prune(&file, FOLDER_LIMIT);
                None
            }
            Err(error) => Some(format!("Features are not kept for next time: {error}.")),
        }
    }

    /// Adds our records to those another process may have written since we read the file.
    fn merge(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(Error::file("cannot create", folder))?;
        }
        let _lock = fetch::lock(file)?;
        let theirs = match load(file) {
            Ok(Some(bytes)) => decode(&bytes, &self.digest, self.width).0,
            // What cannot be read cannot be kept; the new file takes its place.
            Ok(None) | Err(_) => Vec::new(),
        };
        let mut records: Vec<(&Fingerprint, &Row)> = theirs
            .iter()
            .filter(|(fingerprint, _)| !self.rows.contains_key(fingerprint))
            .map(|(fingerprint, row)| (fingerprint, row))
            .collect();
        records.extend(self.order.iter().filter_map(|fingerprint| self.rows.get_key_value(fingerprint)));
        let surplus = records.len().saturating_sub((FILE_LIMIT - HEADER) / record_size(self.width));
        fetch::write_atomically(file, &encode(&self.digest, self.width, records.get(surplus..).unwrap_or_default()))
    }
}

/// The bytes of a file that may not exist, and never more of them than a file may hold.
fn load(path: &Path) -> Result<Option<Vec<u8>>> {
    let wrong = |error| Error::file("cannot read", path)(error);
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error)),
        Ok(found) if !found.is_file() => return Err(wrong(io::Error::other("not a file"))),
        Ok(_) => {}
    }
    let file = File::open(path).map_err(wrong)?;
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT as u64).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(Some(bytes))
}

/// A fingerprint, the features, a checksum of both.
fn record_size(width: usize) -> usize {
    32 + 4 * width + 4
}

fn header(digest: &[u8; 32], width: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(digest);
    bytes.extend_from_slice(&(width as u32).to_le_bytes());
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn encode(digest: &[u8; 32], width: usize, records: &[(&Fingerprint, &Row)]) -> Vec<u8> {
    let mut bytes = header(digest, width);
    bytes.reserve_exact(records.len() * record_size(width));
    for (fingerprint, row) in records {
        let start = bytes.len();
        bytes.extend_from_slice(*fingerprint);
        bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
        let sum = checksum(bytes.get(start..).unwrap_or_default());
        bytes.extend_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// The records that are whole, and what is wrong with the rest.
fn decode(bytes: &[u8], digest: &[u8; 32], width: usize) -> (Vec<(Fingerprint, Row)>, Option<String>) {
    let expected = header(digest, width);
    let Some(body) = bytes.strip_prefix(expected.as_slice()) else {
        return (Vec::new(), Some("it is damaged at its beginning, or of another version".to_owned()));
    };
    let chunks = body.chunks_exact(record_size(width));
    let torn = !chunks.remainder().is_empty();
    let all = chunks.len();
    let records: Vec<(Fingerprint, Row)> = chunks.filter_map(record).collect();
    let damage = match (all - records.len(), torn) {
        (0, false) => None,
        (0, true) => Some("its end is cut off".to_owned()),
        (damaged, _) => Some(format!("{damaged} of {all} records are damaged")),
    };
    (records, damage)
}

/// One record, if it is what was written.
fn record(bytes: &[u8]) -> Option<(Fingerprint, Row)> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    if checksum(content) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (fingerprint, features) = content.split_first_chunk::<32>()?;
    let (values, _) = features.as_chunks::<4>();
    let row: Row = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    row.iter().all(|value| value.is_finite()).then_some((*fingerprint, row))
}

/// CRC-32: the file is our own, so it guards against accidents, not against people.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Removes the files unused for longest until all of them fit, `keep` excepted. What cannot be removed stays.
fn prune(keep: &Path, limit: u64) {
    let Some(Ok(entries)) = keep.parent().map(fs::read_dir) else { return };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path != keep && path.extension().is_some_and(|extension| extension == EXTENSION))
        .filter_map(|path| {
            let found = fs::metadata(&path).ok()?;
            Some((found.modified().ok()?, found.len(), path))
        })
        .collect();
    files.sort();
    let mut sum = files.iter().map(|(_, size, _)| size).sum::<u64>() + fs::metadata(keep).map_or(0, |kept| kept.len());
    for (_, size, path) in files {
        if sum <= limit {
            break;
        }
        if fs::remove_file(path).is_ok() {
            sum -= size;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WIDTH: usize = 3;

    fn store(folder: &Path) -> FeatureStore {
        FeatureStore::new(Some(folder.to_path_buf()), "test", "key", WIDTH)
    }

    fn add(store: &mut FeatureStore, numbers: std::ops::Range<u8>) {
        for number in numbers {
            store.add([number; 32], Row::from([f32::from(number), -0.5, 1e-30]));
        }
    }

    fn held(store: &FeatureStore) -> Vec<u8> {
        (0..=255).filter(|number| store.get(&[*number; 32]).is_some()).collect()
    }

    /// Ten photos, written.
    fn ten(folder: &Path) -> PathBuf {
        let mut first = store(folder);
        assert_eq!(first.read(), None, "there is no file yet, and that is as it should be");
        add(&mut first, 0..10);
        assert_eq!(first.write(), None);
        first.file.unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        ten(folder.path());
        let mut second = store(folder.path());
        assert_eq!(second.read(), None);
        assert_eq!(held(&second), (0..10).collect::<Vec<u8>>());
        assert_eq!(second.get(&[7; 32]).unwrap().as_ref(), [7.0, -0.5, 1e-30]);
        let mut other = FeatureStore::new(Some(folder.path().to_path_buf()), "test", "another key", WIDTH);
        assert_eq!((other.read(), held(&other)), (None, vec![]));
    }

    /// Whatever happens to a file: no panic, no wrong row, a word about it, and the next write mends it.
    #[test]
    fn a_damaged_file_is_said_and_mended_and_never_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = ten(folder.path());
        let whole = fs::read(&path).unwrap();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            bytes
        };
        let record = record_size(WIDTH);
        let cases = [
            ("empty", Vec::new(), 0),
            ("magic", flipped(0), 0),
            ("version", flipped(20), 0),
            ("digest", flipped(30), 0),
            ("header cut", whole[..HEADER - 1].to_vec(), 0),
            ("last record cut", whole[..whole.len() - 1].to_vec(), 9),
            ("half cut", whole[..HEADER + 4 * record + 5].to_vec(), 4),
            ("a fingerprint", flipped(HEADER + 2 * record + 3), 9),
            ("a feature", flipped(HEADER + 5 * record + 40), 9),
            ("a checksum", flipped(HEADER + 6 * record - 1), 9),
            ("more behind", [whole.as_slice(), b"more"].concat(), 10),
            ("not ours", vec![b'x'; 5000], 0),
        ];
        for (what, bytes, left) in cases {
            fs::write(&path, bytes).unwrap();
            let mut damaged = store(folder.path());
            let said = damaged.read().unwrap_or_default();
            assert!(said.contains("computed again"), "{what}: {said:?}");
            assert_eq!(held(&damaged).len(), left, "{what}");
            for number in held(&damaged) {
                assert_eq!(damaged.get(&[number; 32]).unwrap()[0], f32::from(number), "{what}");
            }
            add(&mut damaged, 0..10);
            assert_eq!(damaged.write(), None, "{what}");
            let mut mended = store(folder.path());
            assert_eq!((mended.read(), held(&mended).len()), (None, 10), "{what}");
        }
    }

    #[test]
    fn a_row_that_is_not_numbers_is_not_believed_though_its_checksum_fits() {
        let (digest, fingerprint, row) = ([1; 32], [2; 32], Row::from([1.0, f32::NAN, 2.0]));
        let bytes = encode(&digest, WIDTH, &[(&fingerprint, &row)]);
        let (records, damage) = decode(&bytes, &digest, WIDTH);
        assert!(records.is_empty() && damage.is_some());
    }

    #[test]
    fn two_stores_that_write_the_same_file_keep_each_others_photos() {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, mut b) = (store(folder.path()), store(folder.path()));
        a.read();
        b.read();
        add(&mut a, 0..5);
        add(&mut b, 3..8);
        assert_eq!((a.write(), b.write()), (None, None));
        let mut c = store(folder.path());
        assert_eq!((c.read(), held(&c)), (None, (0..8).collect()));
    }

    #[test]
    fn many_threads_may_write_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let folder = folder.path();
                scope.spawn(move || {
                    let mut mine = store(folder);
                    mine.read();
                    for number in 0..5 {
                        add(&mut mine, thread * 5 + number..thread * 5 + number + 1);
                        assert_eq!(mine.write(), None);
                    }
                });
            }
        });
        let mut all = store(folder.path());
        assert_eq!((all.read(), held(&all)), (None, (0..40).collect()));
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        fs::write(&file, "").unwrap();
        let mut blocked = store(&file);
        assert!(blocked.read().is_none_or(|said| said.contains("cannot be used")));
        add(&mut blocked, 0..2);
        assert!(blocked.write().unwrap().contains("not kept for next time"));
        assert_eq!(held(&blocked), [0, 1], "memory still has them");
        // A folder where the file should be.
        let taken = store(folder.path()).file.unwrap();
        fs::create_dir(&taken).unwrap();
        let mut taken = store(folder.path());
        assert!(taken.read().unwrap().contains("not a file"));
        add(&mut taken, 0..2);
        assert!(taken.write().unwrap().contains("not kept for next time"));
    }

    #[test]
    fn files_unused_for_longest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let file = |name: &str, size: usize, age: u64| {
            let path = folder.path().join(name);
            fs::write(&path, vec![0; size]).unwrap();
            let then = now - std::time::Duration::from_secs(age);
            File::options().append(true).open(&path).unwrap().set_modified(then).unwrap();
            path
        };
        let old = file("old.features", 400, 300);
        let newer = file("newer.features", 400, 200);
        let other = file("other.txt", 4000, 400);
        let keep = file("keep.features", 400, 500);
        prune(&keep, 1000);
        assert_eq!([old.exists(), newer.exists(), other.exists(), keep.exists()], [false, true, true, true]);
    }
}
