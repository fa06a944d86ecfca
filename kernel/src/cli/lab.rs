//! `candlewick lab`: JupyterLab with our kernel in it.

use super::{End, Surroundings};
use crate::build::cache_folder;
use crate::kernelspec::folders::{Folders, data_in, programs_in};
use crate::kernelspec::{self, Flavour};
use crate::session::Output;
use crate::tools::become_command;
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Written last: an environment without it is not finished.
const FINISHED: &str = "finished";

/// How many of the last lines a failed command is told with.
const LAST_LINES: usize = 8;

/// Open JupyterLab with the kernel installed
///
/// Takes the JupyterLab that is on the path or in the active virtual environment, and else installs one for itself, once,
/// in the cache folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to open [default: the current one]
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Open no browser: only print the address
    #[arg(long)]
    no_browser: bool,
    /// Listen on this port
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// More arguments for JupyterLab
    #[arg(last = true, value_name = "JUPYTER ARGS")]
    more: Vec<OsString>,
}

pub fn execute(args: &Args, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    if !args.folder.is_dir() {
        bail!("{} is no folder", args.folder.display());
    }
    let folders = Folders::here();
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let (lab, data) = match folders.find("jupyter-lab") {
        Some(lab) => (lab, folders.user()?),
        None => own_lab(&folders, around)?,
    };
    let place = kernelspec::install(&data, "candlewick", Flavour::Candlewick, &program)?;
    around.terminal.line(&format!("The kernel \"{}\" is in {}", Flavour::Candlewick.display_name(), place.display()));
    let mut command = Command::new(lab);
    if args.no_browser {
        command.arg("--no-browser");
    }
    if let Some(port) = args.port {
        command.args(["--port", &port.to_string()]);
    }
    command.args(&args.more).current_dir(&args.folder);
    // It takes our place, so that Ctrl-C and its exit status are its own.
    become_command(&mut command).map(End::Exited)
}

/// The JupyterLab of our own, installed where it is not there yet, and its data folder.
fn own_lab(folders: &Folders<'_>, around: &mut Surroundings<'_>) -> anyhow::Result<(PathBuf, PathBuf)> {
    let prefix = cache_folder()?.join("jupyter");
    let programs = programs_in(folders.system, &prefix);
    let lab = programs.join(format!("jupyter-lab{}", std::env::consts::EXE_SUFFIX));
    if !prefix.join(FINISHED).is_file() {
        let python = folders.find("python3").or_else(|| folders.find("python")).context(
            "there is no JupyterLab, and no Python 3 to install it with: install Python (https://www.python.org, or \
             your system's packages python3 and python3-venv), or JupyterLab",
        )?;
        let cache = prefix.parent().unwrap_or(&prefix);
        fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
        // Of two that come at once, one installs.
        let guard = File::create(prefix.with_extension("lock")).context("cannot write into the cache folder")?;
        guard.lock().context("cannot lock the cache folder")?;
        if !prefix.join(FINISHED).is_file() {
            set_up(&python, &prefix, &programs, around)?;
        }
    }
    Ok((lab, data_in(&prefix)))
}

/// Makes the environment. It cannot be made elsewhere and moved here: its programs hold its path.
fn set_up(python: &Path, prefix: &Path, programs: &Path, around: &mut Surroundings<'_>) -> anyhow::Result<()> {
    around.terminal.line(&format!("Installing JupyterLab for candlewick, once, in {}", prefix.display()));
    if prefix.exists() {
        fs::remove_dir_all(prefix).with_context(|| format!("cannot remove {}", prefix.display()))?;
    }
    let venv = spoken(Command::new(python).args(["-m", "venv"]).arg(prefix), around)?;
    venv.succeeded("Python could not make a virtual environment; on Debian and Ubuntu, install python3-venv")?;
    let mut pip = Command::new(programs.join(format!("python{}", std::env::consts::EXE_SUFFIX)));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", "jupyterlab"]);
    spoken(&mut pip, around)?.succeeded(
        "pip could not install JupyterLab: this needs the network once. With a JupyterLab of your own on the path, it \
         does not",
    )?;
    fs::write(prefix.join(FINISHED), "").with_context(|| format!("cannot write into {}", prefix.display()))
}

/// How a command ended, and the last that it said.
struct Spoken {
    status: ExitStatus,
    last: Vec<String>,
}

impl Spoken {
    fn succeeded(&self, otherwise: &str) -> anyhow::Result<()> {
        if !self.status.success() {
            bail!("{otherwise} ({})\n{}", self.status, self.last.join("\n"));
        }
        Ok(())
    }
}

/// Runs a command, and shows each line that it says.
fn spoken(command: &mut Command, around: &mut Surroundings<'_>) -> anyhow::Result<Spoken> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("cannot make a pipe")?).stderr(writer);
    let child = command.spawn();
    let name = command.get_program().display().to_string();
    let mut child = child.with_context(|| format!("cannot start {name}"))?;
    // What holds the pipe's other end here must go, or the end of the lines never comes.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("cannot read what it says")?).into_owned();
        around.terminal.sent(&Output::Stdout(format!("{line}\n")));
        last.push(line);
        let surplus = last.len().saturating_sub(LAST_LINES);
        last.drain(..surplus);
    }
    Ok(Spoken { status: child.wait().with_context(|| format!("cannot wait for {name}"))?, last })
}
