//! Jupyter, and the Python below it.

use super::{Finding, answer};
use crate::kernelspec::folders::Folders;
use crate::kernelspec::{self, Flavour, Installed};
use std::path::Path;

const GET_PYTHON: &str = "only `candlewick lab` needs it, and weights where their own server cannot be reached: install \
                          python3, python3-venv and python3-pip";

pub fn python() -> Finding {
    let about = "Python";
    let folders = Folders::here();
    let Some(python) = folders.find("python3").or_else(|| folders.find("python")) else {
        return Finding::poor(about, "there is no python3", GET_PYTHON);
    };
    let version = answer(&python, &["--version"]).unwrap_or_default();
    let modules = [("venv", "import venv, ensurepip"), ("pip", "import pip")];
    let missing: Vec<_> = modules
        .iter()
        .filter(|(_, import)| answer(&python, &["-c", import]).is_none())
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        Finding::good(about, format!("{version} with venv and pip, {}", python.display()))
    } else {
        Finding::poor(about, format!("{version}, {}, without {}", python.display(), missing.join(" and ")), GET_PYTHON)
    }
}

pub fn lab() -> Finding {
    let about = "JupyterLab";
    match Folders::here().find("jupyter-lab") {
        None => Finding::poor(
            about,
            "none on the path",
            "`candlewick lab` installs one for itself; else pip install jupyterlab",
        ),
        Some(lab) => match answer(&lab, &["--version"]) {
            Some(version) => Finding::good(about, format!("{version}, {}", lab.display())),
            None => Finding::poor(
                about,
                format!("{} does not run", lab.display()),
                "pip install --force-reinstall jupyterlab",
            ),
        },
    }
}

pub fn kernelspec() -> Finding {
    let about = "Kernel in Jupyter";
    match (kernelspec::find("candlewick", &Folders::here()), std::env::current_exe()) {
        (Ok(installed), Ok(program)) => judge(about, &installed, &program),
        _ => Finding::poor(about, "not installed", "candlewick install"),
    }
}

/// An installed kernel is right where it starts a program that is there; best, this one.
fn judge(about: &'static str, installed: &Installed, program: &Path) -> Finding {
    // Jupyter may look into an environment's folder before it looks into the user's.
    let is_users = Folders::here().user().is_ok_and(|user| installed.folder.starts_with(user));
    let install = if is_users { "candlewick install" } else { "candlewick install --sys-prefix" };
    let place = installed.folder.display();
    let starts = installed.spec.argv.first().map(Path::new).unwrap_or(Path::new(""));
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if installed.flavour() != Some(Flavour::Candlewick) {
        Finding::bad(about, format!("{place} is not ours"), "jupyter kernelspec remove candlewick; candlewick install")
    } else if !starts.is_file() {
        Finding::bad(about, format!("{place} starts {}, which is gone", starts.display()), install)
    } else if real(starts) != real(program) {
        let text = format!("{place} starts {}, not this program", starts.display());
        Finding::poor(about, text, format!("{install}, if it should start this one"))
    } else {
        Finding::good(about, format!("{place} starts this program"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_kernelspec_is_judged_by_what_it_starts() {
        let data = tempfile::tempdir().unwrap();
        let (this, other) = (data.path().join("this"), data.path().join("other"));
        std::fs::write(&this, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let judged = |flavour, program: &Path| {
            let place = kernelspec::install(data.path(), "candlewick", flavour, program).unwrap();
            judge("x", &kernelspec::read(&place).unwrap(), &this).state
        };
        assert_eq!(judged(Flavour::Candlewick, &this), State::Good);
        assert_eq!(judged(Flavour::Candlewick, &other), State::Poor);
        assert_eq!(judged(Flavour::Candlewick, &data.path().join("gone")), State::Bad);
        assert_eq!(judged(Flavour::Stock, &this), State::Bad);
    }
}
