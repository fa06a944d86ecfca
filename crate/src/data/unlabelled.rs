//! Photos that nobody has labelled: whatever lies in a folder, and single ones.

use super::folder::{Entry, entries};
use super::photo::read_bounded;
use super::{Photo, Skipped};
use crate::images::{Pixels, check};
use crate::notebook::{self, Progress};
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The most files that are looked at.
const MOST_FILES: usize = 1_000_000;
/// The most folders within folders: no person's photos lie deeper.
const DEEPEST: usize = 64;

/// What can be taken for a photo: a path, a [`Photo`], or [`Pixels`].
pub trait IntoPhoto {
    /// The photo.
    ///
    /// # Errors
    /// As for [`Photo::open`].
    fn into_photo(self) -> Result<Photo>;
}

impl IntoPhoto for &str {
    fn into_photo(self) -> Result<Photo> {
        Photo::open(self)
    }
}

impl IntoPhoto for String {
    fn into_photo(self) -> Result<Photo> {
        Photo::open(self)
    }
}

impl IntoPhoto for &Path {
    fn into_photo(self) -> Result<Photo> {
        Photo::open(self)
    }
}

impl IntoPhoto for PathBuf {
    fn into_photo(self) -> Result<Photo> {
        Photo::open(self)
    }
}

impl IntoPhoto for Photo {
    fn into_photo(self) -> Result<Photo> {
        Ok(self)
    }
}

impl IntoPhoto for &Photo {
    fn into_photo(self) -> Result<Photo> {
        Ok(self.clone())
    }
}

impl IntoPhoto for Pixels {
    fn into_photo(self) -> Result<Photo> {
        Ok(Photo::from_pixels("photo", 0, self))
    }
}

impl IntoPhoto for &Pixels {
    fn into_photo(self) -> Result<Photo> {
        self.clone().into_photo()
    }
}

/// The photos in a folder and all folders in it, named by their path from there, and what else was found and why it is
/// not used. Hidden entries are ignored; links to folders are not followed, so that none can lead in circles.
pub(crate) fn photos_below(folder: &Path) -> Result<(Vec<Photo>, Vec<Skipped>)> {
    if folder.is_file() {
        let why = format!("{} is a file and no folder: `classify` takes a single photo", folder.display());
        return Err(Error::Data(why));
    }
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    gather(folder, "", 0, &mut files, &mut skipped)?;
    let progress = Progress::new("Looking through the photos", Some(files.len() as u64), "photos");
    let look = |entry: &Entry| {
        if notebook::interrupted() {
            return Err(Error::Interrupted);
        }
        let looked = read_bounded(&entry.path).and_then(|bytes| check(&entry.name, &bytes).map(|_| ()));
        progress.advance(1);
        Ok(looked)
    };
    let looked: Vec<Result<()>> = files.par_iter().map(look).collect::<Result<_>>()?;
    let mut photos = Vec::with_capacity(files.len());
    for (Entry { name, path }, looked) in files.into_iter().zip(looked) {
        match looked {
            Ok(()) => photos.push(Photo::in_file(name, 0, path)),
            Err(error) => skipped.push(Skipped::because(name, &error)),
        }
    }
    match (photos.is_empty(), skipped.first()) {
        (false, _) => Ok((photos, skipped)),
        (true, None) => Err(Error::Data(format!("there is no photo in {}: it is empty", folder.display()))),
        (true, Some(Skipped { name, why })) => {
            Err(Error::Data(format!("there is no photo in {}; the first: {name} ({why})", folder.display())))
        }
    }
}

/// Adds the files below `folder`, whose name from where it began is `name`, to `files`.
fn gather(folder: &Path, name: &str, depth: usize, files: &mut Vec<Entry>, skipped: &mut Vec<Skipped>) -> Result<()> {
    for Entry { name: own, path } in entries(folder)? {
        let name = if name.is_empty() { own } else { format!("{name}/{own}") };
        if !path.is_dir() {
            if files.len() == MOST_FILES {
                return Err(Error::Data(format!("{} holds more than {MOST_FILES} files", folder.display())));
            }
            files.push(Entry { name, path });
        } else if path.is_symlink() {
            skipped.push(Skipped::new(name, "a link to a folder is not followed"));
        } else if depth == DEEPEST {
            skipped.push(Skipped::new(name, "too many folders in each other"));
        } else if let Err(error) = gather(&path, &name, depth + 1, files, skipped) {
            match error {
                Error::File { source, .. } => skipped.push(Skipped::new(name, source.to_string())),
                other => return Err(other),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::{Sketches, sketches};

    #[test]
    fn photos_are_found_in_folders_within_folders_and_the_rest_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let photo = sketches(Sketches::CatsVsDogs, 1, 1).photos()[0].pixels().unwrap().to_jpeg(80).unwrap();
        let files: [(&str, &[u8]); 6] = [
            ("b.jpg", &photo),
            ("summer/a.jpg", &photo),
            ("summer/sea/c", &photo),
            ("summer/notes.txt", b"no photo"),
            ("summer/cut.jpg", &photo[..photo.len() / 2]),
            (".hidden/d.jpg", &photo),
        ];
        for (name, bytes) in files {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), folder.path().join("summer/up")).unwrap();
        let (photos, skipped) = photos_below(folder.path()).unwrap();
        let names: Vec<_> = photos.iter().map(|photo| photo.name.as_str()).collect();
        assert_eq!(names, ["b.jpg", "summer/a.jpg", "summer/sea/c"]);
        let mut skipped: Vec<_> = skipped.iter().map(|skipped| skipped.name.as_str()).collect();
        skipped.sort_unstable();
        let want = ["summer/cut.jpg", "summer/notes.txt", "summer/up"];
        assert_eq!(skipped, want[..if cfg!(unix) { 3 } else { 2 }]);

        let error = |path: &str| photos_below(&folder.path().join(path)).unwrap_err().to_string();
        assert!(error("b.jpg").contains("is a file and no folder"));
        assert!(error("no such").contains("cannot read the folder"));
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        assert!(error("empty").contains("it is empty"));
        std::fs::write(folder.path().join("empty/x.txt"), b"no photo").unwrap();
        assert!(error("empty").contains("the first: x.txt ("));
    }

    #[test]
    fn paths_photos_and_pixels_are_photos() {
        let photo = sketches(Sketches::CatsVsDogs, 1, 1).photos()[0].clone();
        let (_folder, pixels) = (tempfile::tempdir().unwrap(), photo.pixels().unwrap());
        let path = _folder.path().join("a.png");
        std::fs::write(&path, pixels.to_png().unwrap()).unwrap();
        let as_text = path.to_str().unwrap();
        let photos = [
            path.as_path().into_photo(),
            path.clone().into_photo(),
            as_text.into_photo(),
            as_text.to_owned().into_photo(),
            (&photo).into_photo(),
            photo.clone().into_photo(),
            (&pixels).into_photo(),
            pixels.clone().into_photo(),
        ];
        for photo in photos {
            assert!(photo.unwrap().pixels().unwrap() == pixels);
        }
        assert!(matches!("/no/such/photo.jpg".into_photo(), Err(Error::File { .. })));
    }
}
