//! The archives that the lesson's sets are published as, unpacked once into the cache.

use crate::images::MOST_BYTES;
use crate::notebook::{self, Progress};
use crate::{Error, Result};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// How an archive lays its photos out: `top/class/file.jpg`.
pub(super) struct Layout {
    /// The folder that all lie in.
    pub top: &'static str,
    /// The classes' folders in the archive, and the names they get.
    pub classes: &'static [(&'static str, &'static str)],
}

/// What an archive is packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packed {
    Zip,
    TarGz,
}

/// Bounds on what may come out of an archive, whatever it says.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub files: u64,
    pub bytes: u64,
}

impl Layout {
    /// The class and the file name of a member that is a photo of this set; none for any other.
    ///
    /// Only names that are listed or plainly harmless come back, so none can lead out of the folder.
    fn place<'a>(&self, member: &'a str) -> Option<(&'static str, &'a str)> {
        let mut parts = member.split('/');
        let (top, folder, file) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || top != self.top {
            return None;
        }
        let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !file.chars().all(harmless) || file.starts_with('.') || !file.ends_with(".jpg") {
            return None;
        }
        let (_, class) = self.classes.iter().find(|(name, _)| *name == folder)?;
        Some((class, file))
    }
}

/// Unpacks the photos of `archive` into the new folder `to`: `to/class/file.jpg`; gives their number.
///
/// They are written to a folder beside it, which is renamed when all are there: `to` is whole or absent.
pub(super) fn unpack(archive: &Path, packed: Packed, layout: &Layout, bounds: Bounds, to: &Path) -> Result<u64> {
    let parent = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(Error::file("cannot make the folder", parent))?;
    let beside = tempfile::Builder::new()
        .prefix(".unpacking")
        .tempdir_in(parent)
        .map_err(Error::file("cannot make a folder in", parent))?;
    for (_, class) in layout.classes {
        let folder = beside.path().join(class);
        std::fs::create_dir(&folder).map_err(Error::file("cannot make the folder", &folder))?;
    }
    let file = File::open(archive).map_err(Error::file("cannot read", archive))?;
    let mut out = Out { archive, folder: beside.path(), left: bounds, files: 0 };
    match packed {
        Packed::Zip => unzip(file, layout, &mut out)?,
        Packed::TarGz => untar(file, layout, &mut out)?,
    }
    if out.files == 0 {
        return Err(out.refuse("it holds no photo of this set"));
    }
    let files = out.files;
    std::fs::rename(beside.path(), to).map_err(Error::file("cannot put in place", to))?;
    // It is no longer where it was made: nothing to clean up.
    let _ = beside.keep();
    Ok(files)
}

struct Out<'a> {
    archive: &'a Path,
    folder: &'a Path,
    left: Bounds,
    files: u64,
}

impl Out<'_> {
    fn refuse(&self, why: impl std::fmt::Display) -> Error {
        Error::Fetch(format!("{}: {why}", self.archive.display()))
    }

    /// What is being done, for who waits.
    fn task(&self) -> String {
        format!("Unpacking {}", self.archive.file_name().unwrap_or(self.archive.as_os_str()).display())
    }

    fn write(&mut self, class: &str, file: &str, photo: impl Read) -> Result<()> {
        if notebook::interrupted() {
            return Err(Error::Interrupted);
        }
        let most = MOST_BYTES.min(self.left.bytes);
        if self.left.files == 0 {
            return Err(self.refuse("it holds more files than it should"));
        }
        let path = self.folder.join(class).join(file);
        // A name that comes twice would overwrite: `create_new` refuses.
        let mut to = File::create_new(&path).map_err(Error::file("cannot write", &path))?;
        let written =
            std::io::copy(&mut photo.take(most + 1), &mut to).map_err(Error::file("cannot unpack to", &path))?;
        if written > most {
            return Err(self.refuse(format!("{class}/{file} unpacks to more bytes than it should")));
        }
        self.left = Bounds { files: self.left.files - 1, bytes: self.left.bytes - written };
        self.files += 1;
        Ok(())
    }
}

fn unzip(file: File, layout: &Layout, out: &mut Out) -> Result<()> {
    let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(|why| out.refuse(why))?;
    let progress = Progress::new(out.task(), Some(zip.len() as u64), "files");
    for index in 0..zip.len() {
        progress.advance(1);
        let member = zip.by_index(index).map_err(|why| out.refuse(why))?;
        let name = String::from_utf8_lossy(member.name_raw()).into_owned();
        if let Some((class, file)) = layout.place(&name) {
            out.write(class, file, member)?;
        }
    }
    Ok(())
}

fn untar(file: File, layout: &Layout, out: &mut Out) -> Result<()> {
    // What is skipped is decompressed too, so all of it is bounded: photos, and a header and padding for each.
    let most = out.left.bytes.saturating_mul(2).saturating_add(out.left.files.saturating_mul(1024));
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)).take(most));
    // A tar does not say how many files it holds.
    let progress = Progress::new(out.task(), None, "files");
    for member in tar.entries().map_err(|why| out.refuse(why))? {
        progress.advance(1);
        let member = member.map_err(|why| out.refuse(why))?;
        // Links have no bytes of their own, and could point anywhere.
        if !member.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        if let Some((class, file)) = layout.place(&name) {
            out.write(class, file, member)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const LAYOUT: Layout = Layout { top: "PetImages", classes: &[("Cat", "cat"), ("Dog", "dog")] };
    const BOUNDS: Bounds = Bounds { files: 20, bytes: 1000 };

    fn zip_of(members: &[(&str, &[u8])], path: &Path) {
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, bytes) in members {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    fn tgz_of(members: &[(&str, &[u8])], path: &Path) {
        let mut tar = tar::Builder::new(GzEncoder::new(File::create(path).unwrap(), Compression::fast()));
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // `append_data` refuses names that lead out of the folder; an attacker's tool does not.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, "PetImages/Cat/link.jpg", "/etc/passwd").unwrap();
        tar.into_inner().unwrap().finish().unwrap();
    }

    fn unpacked(members: &[(&str, &[u8])], bounds: Bounds) -> Vec<(Packed, Result<Vec<String>>)> {
        [Packed::Zip, Packed::TarGz]
            .into_iter()
            .map(|packed| {
                let folder = tempfile::tempdir().unwrap();
                let (archive, to) = (folder.path().join("archive"), folder.path().join("inside/photos"));
                if packed == Packed::Zip {
                    zip_of(members, &archive)
                } else {
                    tgz_of(members, &archive)
                }
                let result = unpack(&archive, packed, &LAYOUT, bounds, &to);
                if result.is_err() {
                    assert!(!to.exists(), "{packed:?}: whole or absent");
                    assert_eq!(std::fs::read_dir(to.parent().unwrap()).unwrap().count(), 0, "{packed:?}: nothing left");
                }
                let outside = std::fs::read_dir(folder.path()).unwrap().count();
                assert_eq!(outside, 2, "{packed:?}: only the archive and the folder");
                (
                    packed,
                    result.map(|count| {
                        let names = files_under(&to);
                        assert_eq!(names.len() as u64, count);
                        names
                    }),
                )
            })
            .collect()
    }

    fn files_under(folder: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for class in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            for file in std::fs::read_dir(&class).unwrap().map(|entry| entry.unwrap().path()) {
                let name = file.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/");
                names.push(format!("{name}={}", String::from_utf8(std::fs::read(&file).unwrap()).unwrap()));
            }
        }
        names.sort();
        names
    }

    #[test]
    fn photos_of_the_set_come_out_and_nothing_else() {
        let members: &[(&str, &[u8])] = &[
            ("PetImages/Cat/1.jpg", b"one"),
            ("PetImages/Dog/2.jpg", b"two"),
            ("PetImages/Dog/Thumbs.db", b"no"),
            ("PetImages/Bird/3.jpg", b"no"),
            ("PetImages/Cat/deeper/4.jpg", b"no"),
            ("readme.txt", b"no"),
        ];
        for (packed, names) in unpacked(members, BOUNDS) {
            assert_eq!(names.unwrap(), ["cat/1.jpg=one", "dog/2.jpg=two"], "{packed:?}");
        }
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_not_followed() {
        let members: &[(&str, &[u8])] = &[
            ("../escaped.jpg", b"no"),
            ("PetImages/Cat/../../escaped.jpg", b"no"),
            ("PetImages/../escaped.jpg", b"no"),
            ("/PetImages/Cat/escaped.jpg", b"no"),
            ("PetImages/Cat/..\\escaped.jpg", b"no"),
            ("PetImages/Cat/C:escaped.jpg", b"no"),
            ("PetImages/Cat/.hidden.jpg", b"no"),
            ("PetImages/Cat/1.jpg", b"one"),
        ];
        for (packed, names) in unpacked(members, BOUNDS) {
            assert_eq!(names.unwrap(), ["cat/1.jpg=one"], "{packed:?}");
        }
    }

    #[test]
    fn bombs_stop_at_the_bounds() {
        let zeros = vec![0; 100_000];
        for (packed, result) in unpacked(&[("PetImages/Cat/1.jpg", &zeros)], BOUNDS) {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("more bytes than it should") || error.contains("EOF"), "{packed:?}: {error}");
        }
        let members: &[(&str, &[u8])] =
            &[("PetImages/Cat/1.jpg", b"1"), ("PetImages/Cat/2.jpg", b"2"), ("PetImages/Dog/3.jpg", b"3")];
        for (packed, result) in unpacked(members, Bounds { files: 2, bytes: 1000 }) {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("more files than it should"), "{packed:?}: {error}");
        }
    }

    #[test]
    fn an_archive_without_photos_or_that_is_none_is_an_error() {
        for (packed, result) in unpacked(&[("other/Cat/1.jpg", b"no")], BOUNDS) {
            assert!(result.unwrap_err().to_string().contains("holds no photo of this set"), "{packed:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("archive");
        std::fs::write(&archive, b"<html>404 not found</html>").unwrap();
        for packed in [Packed::Zip, Packed::TarGz] {
            assert!(unpack(&archive, packed, &LAYOUT, BOUNDS, &folder.path().join("to")).is_err(), "{packed:?}");
        }
    }
}
