//! Where Jupyter keeps its files: the rules of `jupyter_core`, on the three systems it knows.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The systems between which Jupyter makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux, and other Unixes.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// Jupyter's folders, as an environment describes them.
pub struct Folders<'a> {
    /// Whose customs count.
    pub system: System,
    /// Gives an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Folders<'static> {
    /// The folders of this process's environment.
    pub fn here() -> Self {
        let system = match () {
            () if cfg!(target_os = "macos") => System::MacOs,
            () if cfg!(windows) => System::Windows,
            () => System::Linux,
        };
        Self { system, variable: &|name| std::env::var_os(name) }
    }
}

impl Folders<'_> {
    fn path(&self, variable: &str) -> Option<PathBuf> {
        (self.variable)(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn home(&self) -> Result<PathBuf> {
        let variable = if self.system == System::Windows { "USERPROFILE" } else { "HOME" };
        self.path(variable).with_context(|| format!("no home folder is known: set {variable}, or JUPYTER_DATA_DIR"))
    }

    /// The user's data folder.
    ///
    /// # Errors
    /// Where no home folder is known.
    pub fn user(&self) -> Result<PathBuf> {
        if let Some(folder) = self.path("JUPYTER_DATA_DIR") {
            return Ok(folder);
        }
        Ok(match self.system {
            System::MacOs => self.home()?.join("Library/Jupyter"),
            System::Windows => match self.path("APPDATA") {
                Some(folder) => folder.join("jupyter"),
                None => self.home()?.join(".jupyter").join("data"),
            },
            System::Linux => match self.path("XDG_DATA_HOME") {
                Some(folder) => folder.join("jupyter"),
                None => self.home()?.join(".local/share/jupyter"),
            },
        })
    }

    /// The data folder of the Python environment that is active, if one is.
    pub fn environment(&self) -> Option<PathBuf> {
        self.path("VIRTUAL_ENV").or_else(|| self.path("CONDA_PREFIX")).map(|prefix| data_in(&prefix))
    }

    /// Where connection files lie.
    ///
    /// # Errors
    /// Where no home folder is known.
    pub fn runtime(&self) -> Result<PathBuf> {
        self.path("JUPYTER_RUNTIME_DIR").map_or_else(|| Ok(self.user()?.join("runtime")), Ok)
    }

    /// All data folders, in the order in which Jupyter searches them. What is not there is named too.
    pub fn all(&self) -> Vec<PathBuf> {
        let listed = (self.variable)("JUPYTER_PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> =
            std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
        folders.extend(self.environment());
        folders.extend(self.user().ok());
        // The environment of the `jupyter` on the path, though it is not activated.
        let jupyter = self.find("jupyter").and_then(|program| program.canonicalize().ok());
        folders.extend(jupyter.and_then(|program| Some(data_in(program.parent()?.parent()?))));
        match self.system {
            System::Windows => folders.extend(self.path("PROGRAMDATA").map(|folder| folder.join("jupyter"))),
            _ => folders.extend(["/usr/local/share/jupyter", "/usr/share/jupyter"].map(PathBuf::from)),
        }
        let mut seen = std::collections::HashSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        folders
    }

    /// A program: on the path, else in the active Python environment. Links are not followed: an
    /// environment's Python is one, and knows its environment by where it was called.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        let name = if self.system == System::Windows { format!("{program}.exe") } else { program.to_owned() };
        let path = (self.variable)("PATH").unwrap_or_default();
        let prefixes = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(|prefix| self.path(prefix));
        let found = std::env::split_paths(&path)
            .chain(prefixes.map(|prefix| programs_in(self.system, &prefix)))
            .map(|folder| folder.join(&name))
            .find(|file| is_program(file))?;
        std::path::absolute(found).ok()
    }
}

/// The data folder of an environment, by its prefix.
pub fn data_in(prefix: &Path) -> PathBuf {
    prefix.join("share").join("jupyter")
}

/// Where an environment keeps its programs.
pub fn programs_in(system: System, prefix: &Path) -> PathBuf {
    prefix.join(if system == System::Windows { "Scripts" } else { "bin" })
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders<T>(system: System, variables: &[(&str, &str)], ask: impl Fn(&Folders<'_>) -> T) -> T {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        ask(&Folders { system, variable: &variable })
    }

    #[test]
    fn the_users_folder_is_the_one_that_jupyter_takes() {
        // `jupyter_data_dir()` of jupyter_core 5.9.1 under these variables; macOS and Windows as its documentation has them.
        let home = ("HOME", "/home/ann");
        let cases = [
            (System::Linux, &[home][..], "/home/ann/.local/share/jupyter"),
            (System::Linux, &[home, ("XDG_DATA_HOME", "/data")], "/data/jupyter"),
            (System::Linux, &[home, ("XDG_DATA_HOME", "")], "/home/ann/.local/share/jupyter"),
            (System::Linux, &[home, ("XDG_DATA_HOME", "/data"), ("JUPYTER_DATA_DIR", "/mine")], "/mine"),
            (System::MacOs, &[home, ("XDG_DATA_HOME", "/data")], "/home/ann/Library/Jupyter"),
            (System::Windows, &[("APPDATA", "/ann/Roaming")], "/ann/Roaming/jupyter"),
            (System::Windows, &[("USERPROFILE", "/ann")], "/ann/.jupyter/data"),
            (System::Windows, &[("JUPYTER_DATA_DIR", "/mine")], "/mine"),
        ];
        for (system, variables, want) in cases {
            let user = folders(system, variables, |folders| folders.user().unwrap());
            assert_eq!(user, Path::new(want), "{system:?} {variables:?}");
        }
        let why = folders(System::Linux, &[], |folders| folders.user().unwrap_err().to_string());
        assert!(why.contains("JUPYTER_DATA_DIR"), "{why}");
    }

    #[test]
    fn connection_files_lie_in_the_users_folder_unless_told() {
        let home = ("HOME", "/home/ann");
        let runtime = |variables: &[_]| folders(System::Linux, variables, |folders| folders.runtime().unwrap());
        assert_eq!(runtime(&[home]), Path::new("/home/ann/.local/share/jupyter/runtime"));
        assert_eq!(runtime(&[home, ("JUPYTER_RUNTIME_DIR", "/run/ann")]), Path::new("/run/ann"));
    }

    #[cfg(unix)]
    #[test]
    fn folders_are_searched_in_jupyters_order_and_once() {
        let listed = ("JUPYTER_PATH", "/a:/b:/a");
        let variables = [("HOME", "/home/ann"), listed, ("VIRTUAL_ENV", "/venv"), ("CONDA_PREFIX", "/conda")];
        let all = folders(System::Linux, &variables, |folders| folders.all());
        let want = [
            "/a",
            "/b",
            "/venv/share/jupyter",
            "/home/ann/.local/share/jupyter",
            "/usr/local/share/jupyter",
            "/usr/share/jupyter",
        ];
        assert_eq!(all, want.map(PathBuf::from));
        let environment = folders(System::Linux, &variables[3..], |folders| folders.environment());
        assert_eq!(environment, Some(PathBuf::from("/conda/share/jupyter")));
    }

    #[cfg(unix)]
    #[test]
    fn programs_are_found_on_the_path_first_and_must_be_executable() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let make = |file: &str, mode| {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        make("path/jupyter", 0o644);
        let in_venv = make("venv/bin/jupyter", 0o755);
        let (path, venv) = (root.join("path"), root.join("venv"));
        let variables = [("PATH", path.to_str().unwrap()), ("VIRTUAL_ENV", venv.to_str().unwrap())];
        let find = || folders(System::Linux, &variables, |folders| folders.find("jupyter"));
        assert_eq!(find(), Some(in_venv));
        let on_path = make("path/jupyter", 0o755);
        assert_eq!(find(), Some(on_path));
    }
}
