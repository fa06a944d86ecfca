//! `candlewick install` and `candlewick uninstall`: Jupyter learns of the kernel, and forgets it.

use super::{End, Surroundings};
use crate::kernelspec::folders::{Folders, data_in};
use crate::kernelspec::{self, Flavour};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Make the kernel known to Jupyter
///
/// Writes a kernelspec that starts this very program.
#[derive(Debug, clap::Args)]
pub struct Install {
    #[command(flatten)]
    place: Place,
    /// Install the stock evcxr kernel too, which is in this program as well, as NAME-stock
    #[arg(long)]
    stock: bool,
}

/// Make Jupyter forget the kernel
///
/// Ends with 1 where there is none of that name.
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// For this user [default]
    #[arg(long, group = "place")]
    user: bool,
    /// In the active virtual environment (VIRTUAL_ENV or CONDA_PREFIX)
    #[arg(long, group = "place")]
    sys_prefix: bool,
    /// In the environment at this prefix
    #[arg(long, group = "place", value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// The kernel's name
    #[arg(long, default_value = "candlewick", value_parser = name)]
    name: String,
}

fn name(name: &str) -> Result<String, String> {
    kernelspec::check_name(name).map(|()| name.to_owned()).map_err(|why| why.to_string())
}

impl Place {
    /// Jupyter's data folder there.
    fn data(&self, folders: &Folders<'_>) -> anyhow::Result<PathBuf> {
        if let Some(prefix) = &self.prefix {
            return Ok(data_in(&std::path::absolute(prefix).context("--prefix")?));
        }
        if self.sys_prefix {
            return folders.environment().context(
                "--sys-prefix: no virtual environment is active: activate one, or name its folder with --prefix DIR",
            );
        }
        folders.user()
    }

    fn stock_name(&self) -> String {
        format!("{}-stock", self.name)
    }
}

pub fn install(args: &Install, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let data = args.place.data(&Folders::here())?;
    let mut kernels = vec![(args.place.name.clone(), Flavour::Candlewick)];
    if args.stock {
        kernels.push((args.place.stock_name(), Flavour::Stock));
    }
    for (name, flavour) in kernels {
        let place = kernelspec::install(&data, &name, flavour, &program)?;
        let what = flavour.display_name();
        around.terminal.line(&format!("Installed the kernel {name}, \"{what}\": {}", place.display()));
    }
    if let Ok(first) = kernelspec::find(&args.place.name, &Folders::here())
        && !first.folder.starts_with(&data)
    {
        let place = first.folder.display();
        around.terminal.line(&format!("Jupyter will find another one first, in {place}: --sys-prefix replaces that."));
    }
    if is_built_here(&program) {
        around.terminal.line(&format!(
            "It starts {}, which is in a build folder: the kernel breaks where that is moved or cleaned.",
            program.display()
        ));
    }
    Ok(End::AllRan)
}

pub fn uninstall(args: &Uninstall, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let data = args.place.data(&Folders::here())?;
    let own = kernelspec::uninstall(&data, &args.place.name)?;
    let stock = kernelspec::uninstall(&data, &args.place.stock_name())?;
    for place in own.iter().chain(&stock) {
        around.terminal.line(&format!("Removed {}", place.display()));
    }
    if own.is_none() && stock.is_none() {
        let folder = data.join("kernels");
        around.terminal.line(&format!("There is no kernel {} in {}", args.place.name, folder.display()));
        return Ok(End::CellFailed);
    }
    Ok(End::AllRan)
}

/// Whether a program lies where cargo puts what it builds.
fn is_built_here(program: &Path) -> bool {
    program.ancestors().any(|folder| folder.file_name().is_some_and(|name| name == "target"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_in_build_folders_are_told() {
        assert!(is_built_here(Path::new("/a/target/release/candlewick")));
        assert!(!is_built_here(Path::new("/usr/local/bin/candlewick")));
        assert!(!is_built_here(Path::new("/targets/candlewick")));
    }
}
