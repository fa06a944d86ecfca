//! The compiler's command for a cell: recorded when cargo gives it, and given again without cargo.

use super::{
    COMPILING, REAL_CARGO, REFUSED, UNFIT, become_command, end_with_parent, locked, real_tool,
    with_the_users_environment,
};
use crate::build::EVCXR_CONFIG;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Where cargo runs this program around the compiler, this names the file that gets the cells' command.
pub const RECORD: &str = "CANDLEWICK_RECORD";
/// That file, in a folder in which cells are built.
pub const RECORDED: &str = "rustc.json";
/// The crate that cells become.
const CRATE: &str = "ctx";

/// How many paths a manifest names by itself: the cell's source, and the helper crate.
const OWN_PATHS: usize = 2;

fn paths(manifest: &str) -> usize {
    let is_key = |at: usize| {
        // Not `rpath`.
        !manifest[..at].ends_with(char::is_alphanumeric) && manifest[at + 4..].trim_start().starts_with('=')
    };
    manifest.match_indices("path").filter(|(at, _)| is_key(*at)).count()
}

/// How cargo has the compiler called for a cell.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The manifest to which it belongs: with another one, cargo must be asked again.
    manifest: String,
    /// The same for the flags of all crates.
    flags: String,
    program: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Recorded {
    /// Carries a recorded command over from one folder to another that holds the same.
    ///
    /// # Errors
    /// Where it cannot be read or written. Where none was recorded, there is nothing to carry.
    pub fn carry(from: &Path, to: &Path) -> Result<()> {
        let Ok(text) = std::fs::read_to_string(from.join(RECORDED)) else { return Ok(()) };
        let mut recorded: Self = serde_json::from_str(&text).context("a recorded command is damaged")?;
        // Cargo names folders by where they really are, whatever links lead there.
        let (old, new) = (from.canonicalize()?, to.canonicalize()?);
        let (old, new) = (old.to_string_lossy(), new.to_string_lossy());
        for text in recorded.arguments.iter_mut().chain(recorded.environment.values_mut()) {
            *text = text.replace(&*old, &new);
        }
        // Otherwise it would write into another's folder: better to ask cargo.
        let is_here = |folder: &str| Path::new(folder).starts_with(&*new);
        if recorded.value_after("--out-dir").is_some_and(is_here) { recorded.write(&to.join(RECORDED)) } else { Ok(()) }
    }

    /// The crates that cells built in `folder` may name, as `name=file`; none where no command is recorded there.
    pub fn externs(folder: &Path) -> Vec<String> {
        let arguments = Self::read(&folder.join(RECORDED)).map(|recorded| recorded.arguments).unwrap_or_default();
        let pairs = arguments.iter().zip(arguments.iter().skip(1));
        pairs.filter(|(option, _)| *option == "--extern").map(|(_, value)| value.clone()).collect()
    }

    fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("a file has a folder")?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&file, self)?;
        file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }

    /// Where a crate was added and those that were there are the same, the types of earlier cells stay what they are.
    ///
    /// To the compiler a type is its name and the `metadata` of its crate, which cargo makes of all that a package needs.
    fn keep_types_of(&mut self, before: &Self) {
        let is_there = |of_before: &String| self.arguments.contains(of_before);
        let externs = before.arguments.iter().zip(before.arguments.iter().skip(1));
        if !externs.filter(|(option, _)| *option == "--extern").all(|(_, value)| is_there(value)) {
            return;
        }
        let is_metadata = |argument: &String| argument.starts_with("metadata=");
        let old = before.arguments.iter().find(|argument| is_metadata(argument));
        if let (Some(old), Some(new)) = (old, self.arguments.iter_mut().find(|argument| is_metadata(argument))) {
            old.clone_into(new);
        }
    }

    /// The command for the cell in the current folder; none where it does not fit any more.
    fn fitting() -> Option<Self> {
        let recorded = Self::read(Path::new(RECORDED))?;
        let manifest = std::fs::read_to_string("Cargo.toml").ok()?;
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        // The sources of a package on this disk may have changed: cargo looks.
        let fits = recorded.manifest == manifest && recorded.flags == flags && paths(&manifest) <= OWN_PATHS;
        fits.then_some(recorded)
    }

    /// Whether a command is known, for another manifest than the one in the current folder.
    fn is_outdated() -> bool {
        let manifest = std::fs::read_to_string("Cargo.toml").ok();
        Self::read(Path::new(RECORDED)).is_some_and(|recorded| Some(recorded.manifest) != manifest)
    }

    fn value_after(&self, option: &str) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == option)?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    /// What cargo says when it has built the cell: evcxr looks for the file's name.
    fn announcement(&self) -> Option<String> {
        let folder = Path::new(self.value_after("--out-dir")?);
        let file = folder.join(format!("{}{CRATE}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX));
        Some(
            serde_json::json!({"reason": "compiler-artifact", "target": {"name": CRATE}, "filenames": [file]})
                .to_string(),
        )
    }
}

/// Runs the compiler as cargo asks, and notes how where the crate is a cell's; none where this is not what cargo wants.
pub fn record() -> Option<ExitCode> {
    let file = std::env::var_os(RECORD)?;
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next()?;
    let arguments: Vec<String> = arguments.collect();
    let mut recorded =
        Recorded { manifest: String::new(), flags: String::new(), program, arguments, environment: BTreeMap::new() };
    if recorded.value_after("--crate-name") == Some(CRATE) && recorded.value_after("--crate-type") == Some("cdylib") {
        recorded.manifest = std::fs::read_to_string("Cargo.toml").unwrap_or_default();
        recorded.flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        // What cargo says of the package; all else is of the moment.
        let of_package =
            |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_"].iter().any(|s| name.starts_with(s));
        recorded.environment = std::env::vars().filter(|(name, _)| of_package(name)).collect();
        if let Some(before) = Recorded::read(Path::new(&file)) {
            recorded.keep_types_of(&before);
        }
        // Without it every cell goes through cargo: slower, and right.
        let _ = recorded.write(Path::new(&file));
    }
    if recorded.value_after("--crate-name").is_some_and(locked::is_shared) && is_unfit(Path::new(&file)) {
        return Some(ExitCode::FAILURE);
    }
    let mut command = Command::new(&recorded.program);
    command.args(&recorded.arguments).env_remove(RECORD);
    end_with_parent();
    Some(become_command(&mut command).unwrap_or(ExitCode::FAILURE))
}

/// Notes in a session's folder what would have been compiled once more; not where what cells import is built for all.
fn is_unfit(recorded: &Path) -> bool {
    let Some(folder) = recorded.parent().filter(|folder| folder.join(EVCXR_CONFIG).is_file()) else { return false };
    let of_package = |name: &str| std::env::var(format!("CARGO_PKG_{name}")).unwrap_or_default();
    // Without it, the refusal has no reason.
    let _ = std::fs::write(folder.join(UNFIT), format!("{} {}", of_package("NAME"), of_package("VERSION")));
    true
}

/// Builds the cell in the current folder: by the compiler alone where its command is known, else by cargo.
pub fn build(arguments: &[OsString]) -> Result<ExitCode> {
    // A group of its own, so that the kernel can end cargo with all that cargo has started.
    #[cfg(unix)]
    let _ = rustix::process::setpgid(None, None);
    end_with_parent();
    // Where it cannot be written, an interrupt has to wait for the compiler.
    let _ = std::fs::write(COMPILING, std::process::id().to_string());
    if Path::new(REFUSED).exists() {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(recorded) = Recorded::fitting()
        && let Some(announcement) = recorded.announcement()
    {
        // Said before it is true: evcxr listens only if the compiler succeeds, and this process becomes the compiler.
        println!("{announcement}");
        let mut command = Command::new(&recorded.program);
        with_the_users_environment(&mut command);
        command.args(&recorded.arguments).envs(&recorded.environment);
        return become_command(&mut command);
    }
    if Recorded::is_outdated() && locked::is_unfit()? {
        return Ok(ExitCode::FAILURE);
    }
    let mut command = real_tool(REAL_CARGO, arguments)?;
    command.env("RUSTC_WRAPPER", std::env::current_exe()?).env(RECORD, std::env::current_dir()?.join(RECORDED));
    // evcxr passes on "Compiling ..." to a standard error that nobody may read any more, and panics there.
    command.env("CARGO_TERM_QUIET", "true");
    become_command(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(folder: &Path) -> Recorded {
        let out = folder.join("target/deps").to_string_lossy().into_owned();
        Recorded {
            manifest: "[package]".into(),
            flags: String::new(),
            program: "rustc".into(),
            arguments: vec!["--out-dir".into(), out.clone(), format!("-Ldependency={out}")],
            environment: [("CARGO_MANIFEST_DIR".into(), folder.to_string_lossy().into_owned())].into(),
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_command_is_carried_to_its_new_folder_through_links_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        for name in ["template", "session", "elsewhere"] {
            std::fs::create_dir(real.join(name)).unwrap();
        }
        recorded(&real.join("template")).write(&real.join("template").join(RECORDED)).unwrap();
        std::os::unix::fs::symlink(&real, real.join("link")).unwrap();
        let session = real.join("link/session");
        Recorded::carry(&real.join("link/template"), &session).unwrap();
        let carried: Recorded =
            serde_json::from_str(&std::fs::read_to_string(session.join(RECORDED)).unwrap()).unwrap();
        assert_eq!(carried, recorded(&real.join("session")));

        recorded(&real.join("unknown")).write(&real.join("template").join(RECORDED)).unwrap();
        Recorded::carry(&real.join("template"), &real.join("elsewhere")).unwrap();
        assert!(!real.join("elsewhere").join(RECORDED).exists(), "it would write into another's folder");
    }

    #[test]
    fn types_stay_where_only_a_crate_was_added() {
        let of = |externs: &[&str], metadata: &str| {
            let mut recorded = recorded(Path::new("/session"));
            recorded.arguments.extend(["-C".to_owned(), format!("metadata={metadata}")]);
            let externs = externs.iter().flat_map(|one| ["--extern".to_owned(), (*one).to_owned()]);
            recorded.arguments.extend(externs);
            recorded
        };
        let before = of(&["a=liba-1.rlib"], "old");
        let mut added = of(&["a=liba-1.rlib", "b=libb-1.rlib"], "new");
        added.keep_types_of(&before);
        assert_eq!(added, of(&["a=liba-1.rlib", "b=libb-1.rlib"], "old"));
        let mut changed = of(&["a=liba-2.rlib", "b=libb-1.rlib"], "new");
        changed.keep_types_of(&before);
        assert_eq!(changed, of(&["a=liba-2.rlib", "b=libb-1.rlib"], "new"));
    }

    #[test]
    fn packages_on_this_disk_are_left_to_cargo() {
        let own = crate::build::cell_manifest(Path::new("/crate"));
        assert_eq!(paths(&own), OWN_PATHS, "{own}");
        assert!(paths(&format!("{own}mine = {{path=\"../mine\"}}")) > OWN_PATHS);
    }
}
