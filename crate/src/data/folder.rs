//! A folder with one sub-folder a class.

use super::photo::read_bounded;
use super::{Dataset, Photo, Skipped};
use crate::images::check;
use crate::notebook::Progress;
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The most entries that one folder is read for.
const MOST_ENTRIES: usize = 1_000_000;

/// Which photos of a folder are used, beyond what can be decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// All.
    Any,
    /// Only those with `JFIF` in their first 10 bytes, as TensorFlow Datasets keeps the cats and dogs.
    Jfif,
}

impl Dataset {
    /// Reads a folder that has one sub-folder a class, with the photos in it: `cat/1.jpg`, `dog/2.png`.
    ///
    /// Classes are the sub-folders in the order of their names. Each file's header and end are looked at, by content and
    /// whatever it is called; hidden files are ignored, and what else is not used is kept in [`Dataset::skipped`].
    /// Folders within a class are not read, so that a link to a folder above cannot lead in circles.
    ///
    /// # Errors
    /// [`Error::File`] where the folder cannot be read, [`Error::Data`] unless at least two classes have photos.
    pub fn from_folder(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        read(path, Rule::Any, format!("the folder {}", path.display()))
    }
}

/// Reads the classes of a folder, keeping the photos that `rule` allows.
pub(super) fn read(path: &Path, rule: Rule, source: String) -> Result<Dataset> {
    let mut skipped = Vec::new();
    let (folders, beside): (Vec<_>, Vec<_>) = entries(path)?.into_iter().partition(|entry| entry.path.is_dir());
    let mut files = Vec::new();
    for class in &folders {
        for entry in entries(&class.path)? {
            let name = format!("{}/{}", class.name, entry.name);
            if entry.path.is_dir() {
                skipped.push(Skipped::new(name, "a folder inside a class is not read"));
            } else {
                files.push((class.name.as_str(), name, entry.path));
            }
        }
    }
    let mut photos = Vec::with_capacity(files.len());
    let mut classes: Vec<String> = Vec::new();
    for ((class, name, path), looked) in files.iter().zip(look_at(&files, rule)) {
        match looked {
            Err(why) => skipped.push(Skipped::new(name.clone(), why)),
            Ok(()) => {
                // Files come class by class, so a new class begins where the name changes.
                if classes.last().is_none_or(|last| last != class) {
                    classes.push((*class).to_owned());
                }
                photos.push(Photo::in_file(name.clone(), classes.len() - 1, path.clone()));
            }
        }
    }
    if classes.len() < 2 {
        return Err(wrong_layout(path, &folders, &classes, &beside, &skipped));
    }
    let empty = folders.iter().filter(|folder| !classes.contains(&folder.name));
    skipped.extend(empty.map(|folder| Skipped::new(folder.name.clone(), "no photo in it, so it is not a class")));
    skipped
        .extend(beside.into_iter().map(|entry| Skipped::new(entry.name, "it lies beside the classes and not in one")));
    Ok(Dataset::new(classes, photos, source)?.with_skipped(skipped))
}

pub(super) struct Entry {
    pub name: String,
    pub path: PathBuf,
}

/// What a folder holds, hidden entries left out, in the order of the names.
pub(super) fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::file("cannot read the folder", folder))? {
        let entry = entry.map_err(Error::file("cannot read the folder", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if entries.len() == MOST_ENTRIES {
            return Err(Error::Data(format!("{} holds more than {MOST_ENTRIES} files", folder.display())));
        }
        entries.push(Entry { name, path: entry.path() });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Whether each file can be used, or why not.
fn look_at(files: &[(&str, String, PathBuf)], rule: Rule) -> Vec<Result<(), String>> {
    let progress = Progress::new("Looking through the photos", Some(files.len() as u64), "photos");
    let look = |name: &str, path: &Path| {
        let bytes = read_bounded(path).map_err(|error| error.to_string())?;
        check(name, &bytes).map_err(|error| match error {
            Error::Photo { why, .. } => why,
            other => other.to_string(),
        })?;
        if rule == Rule::Jfif
            && !bytes.iter().take(10).copied().collect::<Vec<_>>().windows(4).any(|four| four == b"JFIF")
        {
            return Err("no JFIF in its first 10 bytes".to_owned());
        }
        Ok(())
    };
    files
        .par_iter()
        .map(|(_, name, path)| {
            let looked = look(name, path);
            progress.advance(1);
            looked
        })
        .collect()
}

fn wrong_layout(path: &Path, folders: &[Entry], classes: &[String], beside: &[Entry], skipped: &[Skipped]) -> Error {
    let found = match (folders.len(), classes) {
        (0, _) if beside.is_empty() => "it is empty".to_owned(),
        (0, _) => {
            format!("it has no sub-folder, only files such as {}", beside.first().map_or("", |entry| &entry.name))
        }
        (_, []) => format!("its {} sub-folders hold no photo", folders.len()),
        (_, only) => format!("only {} holds photos", only.join(", ")),
    };
    let first = skipped.first().map(|skipped| format!(" ({}: {})", skipped.name, skipped.why)).unwrap_or_default();
    Error::Data(format!(
        "{} is no data set: {found}{first}. Expected is one sub-folder a class, two at least, with the photos in it: \
         cat/1.jpg, cat/2.jpg, dog/1.jpg",
        path.display()
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::{Sketches, sketches};

    fn photo() -> Vec<u8> {
        sketches(Sketches::CatsVsDogs, 1, 1).photos()[0].pixels().unwrap().to_jpeg(80).unwrap()
    }

    fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }

    #[test]
    fn classes_are_the_sub_folders_by_name_and_all_else_is_skipped_with_a_reason() {
        let photo = photo();
        let folder = folder_with(&[
            ("dog/b.JPG", &photo),
            ("dog/a.jpg", &photo),
            ("cat/no extension", &photo),
            ("cat/notes.txt", b"not a photo"),
            ("cat/cut.jpg", &photo[..photo.len() / 2]),
            ("cat/empty.jpg", b""),
            ("cat/.hidden.jpg", &photo),
            ("cat/deeper/c.jpg", &photo),
            ("bird/readme", b"later"),
            (".git/x/y.jpg", &photo),
            ("LICENSE.txt", b"beside"),
        ]);
        let data = Dataset::from_folder(folder.path()).unwrap();
        assert_eq!(data.classes(), ["cat", "dog"]);
        assert_eq!(data.counts(), [1, 2]);
        let names: Vec<_> = data.photos().iter().map(|photo| photo.name.as_str()).collect();
        assert_eq!(names, ["cat/no extension", "dog/a.jpg", "dog/b.JPG"]);
        assert_eq!(data.photos().iter().map(|photo| photo.label).collect::<Vec<_>>(), [0, 1, 1]);
        assert!(data.photos().iter().all(|photo| photo.pixels().is_ok()));
        let why = |name: &str| data.skipped().iter().find(|skipped| skipped.name == name).map(|skipped| &*skipped.why);
        assert!(why("cat/notes.txt").unwrap().contains("no JPEG"));
        assert!(why("cat/cut.jpg").unwrap().contains("ends before"));
        assert!(why("cat/empty.jpg").unwrap().contains("empty"));
        assert!(why("cat/deeper").unwrap().contains("inside a class"));
        assert!(why("bird").unwrap().contains("not a class"));
        assert!(why("LICENSE.txt").unwrap().contains("beside"));
        assert_eq!(data.skipped().len(), 7, "hidden files are not worth a word: {:?}", data.skipped());
    }

    #[test]
    fn a_folder_that_is_no_data_set_says_what_is_expected() {
        let photo = photo();
        type Files<'a> = &'a [(&'a str, &'a [u8])];
        let cases: [(&str, Files, &str); 5] = [
            ("empty", &[], "it is empty"),
            ("files only", &[("1.jpg", &photo)], "no sub-folder, only files such as 1.jpg"),
            ("one class", &[("cat/1.jpg", &photo)], "only cat holds photos"),
            ("no photo", &[("cat/1.txt", b"x"), ("dog/2.txt", b"y")], "2 sub-folders hold no photo (cat/1.txt: "),
            ("one level too high", &[("set/cat/1.jpg", &photo), ("set/dog/1.jpg", &photo)], "a folder inside a class"),
        ];
        for (label, files, want) in cases {
            let error = Dataset::from_folder(folder_with(files).path()).unwrap_err().to_string();
            assert!(error.contains(want) && error.contains("cat/1.jpg, cat/2.jpg, dog/1.jpg"), "{label}: {error}");
        }
        let absent = Dataset::from_folder("/no/such/folder").unwrap_err();
        assert!(matches!(absent, Error::File { .. }), "{absent}");
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_and_pipes_do_not_hang() {
        let photo = photo();
        let folder = folder_with(&[("cat/1.jpg", &photo), ("dog/1.jpg", &photo)]);
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        link(folder.path(), "cat/up");
        link(folder.path(), "itself");
        link(Path::new("loop"), "cat/loop");
        link(Path::new("loop"), "loop");
        link(Path::new("/dev/zero"), "cat/zero.jpg");
        link(&folder.path().join("cat/1.jpg"), "dog/2.jpg");
        let made = std::process::Command::new("mkfifo").arg(folder.path().join("dog/pipe.jpg")).status();
        let data = Dataset::from_folder(folder.path()).unwrap();
        assert_eq!(data.counts(), [1, 2], "a link to a photo is a photo");
        let why = |name: &str| data.skipped().iter().find(|skipped| skipped.name == name).map(|skipped| &*skipped.why);
        assert!(why("cat/zero.jpg").unwrap().contains("not an ordinary file"));
        assert!(why("cat/loop").unwrap().contains("cannot read"));
        assert!(why("cat/up").is_some() && why("itself").is_some() && why("loop").is_some());
        if made.is_ok_and(|status| status.success()) {
            assert!(why("dog/pipe.jpg").unwrap().contains("not an ordinary file"));
        }
    }
}
