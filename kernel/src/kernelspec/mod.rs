//! Kernelspecs: how Jupyter learns of a kernel. Ours is written and removed, and any is found by its name.

pub mod folders;

use anyhow::{Context, Result, bail};
pub use folders::Folders;
use jupyter_protocol::JupyterKernelspec;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands for the connection file in a kernel's command.
pub const CONNECTION_FILE: &str = "{connection_file}";

const ARGUMENT: &str = "--connection-file";

/// What in a kernelspec's metadata says that it is ours, and which of ours.
const MARK: &str = "candlewick";

/// The files that lie beside `kernel.json`.
const LOGOS: [(&str, &[u8]); 3] = [
    ("logo-32x32.png", include_bytes!("../../assets/logo-32x32.png")),
    ("logo-64x64.png", include_bytes!("../../assets/logo-64x64.png")),
    ("logo-svg.svg", include_bytes!("../../assets/logo-svg.svg")),
];

/// The two kernels that this program can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Our own.
    Candlewick,
    /// The stock evcxr kernel.
    Stock,
}

impl Flavour {
    /// The command of this program that runs it.
    pub fn command(self) -> &'static str {
        match self {
            Self::Candlewick => "kernel",
            Self::Stock => "stock",
        }
    }

    /// Its name for people.
    pub fn display_name(self) -> &'static str {
        match self {
            Self::Candlewick => "Rust (candlewick)",
            Self::Stock => "Rust (stock evcxr)",
        }
    }
}

/// An installed kernel.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Its name on the command line.
    pub name: String,
    /// The folder of its `kernel.json`.
    pub folder: PathBuf,
    /// What that says.
    pub spec: JupyterKernelspec,
}

impl Installed {
    /// Which of ours it is, if it is one.
    pub fn flavour(&self) -> Option<Flavour> {
        let both = [Flavour::Candlewick, Flavour::Stock];
        let mark = self.spec.metadata.as_ref().and_then(|metadata| metadata.get(MARK));
        if let Some(mark) = mark {
            return both.into_iter().find(|flavour| mark == flavour.command());
        }
        // Those of before there was a mark.
        let [program, command, argument, file] = self.spec.argv.as_slice() else { return None };
        let is_ours = Path::new(program).file_stem().is_some_and(|name| name == "candlewick");
        both.into_iter()
            .find(|flavour| is_ours && flavour.command() == command && argument == ARGUMENT && file == CONNECTION_FILE)
    }
}

/// Refuses what Jupyter does not take for a kernel's name, and what would lead out of the folder of kernels.
///
/// # Errors
/// Says what a name may be.
pub fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || !name.chars().all(allowed) || name.chars().all(|c| c == '.') {
        bail!("`{name}` cannot be a kernel's name: it may have letters of ASCII, digits, `.`, `_` and `-`");
    }
    Ok(())
}

/// Finds a kernel by its name, as Jupyter does; upper and lower case are one.
///
/// # Errors
/// Where there is none: with the names of those that are there. Where its `kernel.json` is broken.
pub fn find(name: &str, folders: &Folders<'_>) -> Result<Installed> {
    check_name(name)?;
    let mut known = Vec::new();
    for kernels in folders.all().iter().map(|folder| folder.join("kernels")) {
        for entry in fs::read_dir(&kernels).into_iter().flatten().flatten() {
            let found = entry.file_name().to_string_lossy().into_owned();
            if !entry.path().join("kernel.json").is_file() {
                continue;
            }
            if found.eq_ignore_ascii_case(name) {
                return read(&entry.path());
            }
            known.push(found);
        }
    }
    known.sort();
    known.dedup();
    let known = if known.is_empty() { "no kernel is".to_owned() } else { format!("there are {}", known.join(", ")) };
    bail!("no kernel `{name}` is installed ({known}): `candlewick install` installs candlewick's")
}

/// Reads the kernel in a folder.
///
/// # Errors
/// Where its `kernel.json` cannot be read, or is not what Jupyter asks for.
pub fn read(folder: &Path) -> Result<Installed> {
    let file = folder.join("kernel.json");
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let spec: JupyterKernelspec =
        serde_json::from_slice(&text).with_context(|| format!("{} is no kernelspec", file.display()))?;
    if spec.argv.is_empty() {
        bail!("{} names no command in its \"argv\"", file.display());
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Installed { name, folder: folder.to_owned(), spec })
}

/// Writes the kernelspec `name` into a data folder of Jupyter's; `program` is what it will start. Gives its folder.
///
/// It is written beside and renamed. One of ours that stands there is replaced.
///
/// # Errors
/// Where another kernel has that name, the program's path is not UTF-8, or the disk refuses.
pub fn install(data: &Path, name: &str, flavour: Flavour, program: &Path) -> Result<PathBuf> {
    check_name(name)?;
    let text = text(flavour, program)?;
    let kernels = data.join("kernels");
    let place = kernels.join(name);
    refuse_others(&place, "or choose another name (--name)")?;
    fs::create_dir_all(&kernels).with_context(|| format!("cannot create {}", kernels.display()))?;
    let beside = tempfile::Builder::new().prefix(".candlewick-").tempdir_in(&kernels);
    let beside = beside.with_context(|| format!("cannot write into {}", kernels.display()))?;
    let (new, old) = (beside.path().join("new"), beside.path().join("old"));
    let write = || -> std::io::Result<()> {
        fs::create_dir(&new)?;
        fs::write(new.join("kernel.json"), text)?;
        for (file, bytes) in LOGOS {
            fs::write(new.join(file), bytes)?;
        }
        if place.exists() {
            fs::rename(&place, &old)?;
        }
        // Where the new one cannot take its place, the old one goes back.
        fs::rename(&new, &place).inspect_err(|_| drop(fs::rename(&old, &place)))
    };
    write().with_context(|| format!("cannot write {}", place.display()))?;
    Ok(place)
}

/// Removes the kernelspec `name` from a data folder; gives its folder, or none where there was none.
///
/// # Errors
/// Where the kernel of that name is not ours, or the disk refuses.
pub fn uninstall(data: &Path, name: &str) -> Result<Option<PathBuf>> {
    check_name(name)?;
    let place = data.join("kernels").join(name);
    if !place.exists() {
        return Ok(None);
    }
    refuse_others(&place, "if it is to go")?;
    fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    Ok(Some(place))
}

/// What `kernel.json` says.
fn text(flavour: Flavour, program: &Path) -> Result<String> {
    let path = program.to_str().with_context(|| {
        format!("{}: the path is not UTF-8, and a kernelspec takes no other: move the program", program.display())
    })?;
    let spec = json!({
        "argv": [path, flavour.command(), ARGUMENT, CONNECTION_FILE],
        "display_name": flavour.display_name(),
        "language": "rust",
        "interrupt_mode": "message",
        "metadata": { "debugger": false, MARK: flavour.command() },
        "env": {},
    });
    Ok(format!("{spec:#}\n"))
}

/// Another's kernel is not ours to replace or remove.
fn refuse_others(place: &Path, otherwise: &str) -> Result<()> {
    let theirs = place.exists() && !read(place).is_ok_and(|installed| installed.flavour().is_some());
    if theirs {
        let name = place.file_name().unwrap_or_default().display();
        bail!(
            "{} is another program's kernel: remove it with `jupyter kernelspec remove {name}` {otherwise}",
            place.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::ffi::OsString;

    #[test]
    fn a_kernelspec_is_what_jupyter_asks_for() {
        let data = tempfile::tempdir().unwrap();
        let place = install(data.path(), "candlewick", Flavour::Candlewick, Path::new("/opt/candle wick")).unwrap();
        assert_eq!(place, data.path().join("kernels/candlewick"));
        let text = fs::read_to_string(place.join("kernel.json")).unwrap();
        let want = json!({
            "argv": ["/opt/candle wick", "kernel", "--connection-file", "{connection_file}"],
            "display_name": "Rust (candlewick)", "language": "rust", "interrupt_mode": "message",
            "metadata": {"debugger": false, "candlewick": "kernel"}, "env": {},
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), want);
        for (logo, side) in [("logo-32x32.png", 32), ("logo-64x64.png", 64)] {
            let picture = image::open(place.join(logo)).unwrap();
            assert_eq!((picture.width(), picture.height()), (side, side));
        }
        assert!(fs::read_to_string(place.join("logo-svg.svg")).unwrap().starts_with("<svg"));
    }

    #[test]
    fn installing_again_replaces_and_leaves_nothing_beside() {
        let data = tempfile::tempdir().unwrap();
        for program in ["/old/candlewick", "/new/candlewick"] {
            let place = install(data.path(), "mine", Flavour::Stock, Path::new(program)).unwrap();
            let installed = read(&place).unwrap();
            assert_eq!((installed.spec.argv[0].as_str(), installed.flavour()), (program, Some(Flavour::Stock)));
        }
        assert_eq!(data.path().join("kernels").read_dir().unwrap().count(), 1);
        assert!(uninstall(data.path(), "mine").unwrap().is_some());
        assert_eq!(uninstall(data.path(), "mine").unwrap(), None);
        assert_eq!(data.path().join("kernels").read_dir().unwrap().count(), 0);
    }

    #[test]
    fn another_programs_kernel_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let theirs = data.path().join("kernels/rust");
        fs::create_dir_all(&theirs).unwrap();
        let texts = [
            r#"{"argv": ["evcxr_jupyter", "--control_file", "{connection_file}"], "display_name": "Rust", "language": "rust"}"#,
            "broken",
            // Ours by its shape only.
            r#"{"argv": ["/opt/other", "kernel", "--connection-file", "{connection_file}"], "display_name": "Rust", "language": "rust"}"#,
        ];
        for text in texts {
            fs::write(theirs.join("kernel.json"), text).unwrap();
            let why = install(data.path(), "rust", Flavour::Candlewick, Path::new("/c")).unwrap_err().to_string();
            assert!(why.contains("jupyter kernelspec remove rust") && why.contains("--name"), "{why}");
            assert!(uninstall(data.path(), "rust").is_err());
            assert_eq!(fs::read_to_string(theirs.join("kernel.json")).unwrap(), text);
        }
    }

    #[test]
    fn a_kernelspec_of_before_there_was_a_mark_is_ours() {
        let data = tempfile::tempdir().unwrap();
        let place = data.path().join("kernels/old");
        fs::create_dir_all(&place).unwrap();
        let old = r#"{"argv": ["/old/candlewick", "stock", "--connection-file", "{connection_file}"], "display_name": "Rust", "language": "rust"}"#;
        fs::write(place.join("kernel.json"), old).unwrap();
        assert_eq!(read(&place).unwrap().flavour(), Some(Flavour::Stock));
        assert!(uninstall(data.path(), "old").unwrap().is_some());
    }

    #[test]
    fn names_cannot_lead_elsewhere() {
        for name in ["", ".", "..", "a/b", "../x", "a b", "é", "a\\b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["candlewick", "ir", "julia-1.9", "Python_3"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn kernels_are_found_by_name_and_the_missing_are_answered_with_the_known() {
        let data = tempfile::tempdir().unwrap();
        install(data.path(), "candlewick", Flavour::Candlewick, Path::new("/c")).unwrap();
        install(data.path(), "another", Flavour::Stock, Path::new("/c")).unwrap();
        fs::create_dir_all(data.path().join("kernels/empty")).unwrap();
        let path = data.path().as_os_str().to_owned();
        let variable = |name: &str| (name == "JUPYTER_DATA_DIR").then(|| OsString::from(&path));
        let folders = Folders { system: folders::System::Linux, variable: &variable };
        assert_eq!(find("Candlewick", &folders).unwrap().flavour(), Some(Flavour::Candlewick));
        let why = find("none-such", &folders).unwrap_err().to_string();
        assert!(why.contains("another, candlewick") && !why.contains("empty"), "{why}");
        fs::write(data.path().join("kernels/empty/kernel.json"), r#"{"argv": [], "display_name": "", "language": ""}"#)
            .unwrap();
        assert!(find("empty", &folders).unwrap_err().to_string().contains("\"argv\""));
    }
}
