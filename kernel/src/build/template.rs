//! Building a template: cargo compiles what cells import, once for each version of it.

use super::cuda::Found;
use super::folder::{is_of, link_tree};
use super::{Toolchain, cache_folder, helper_crate, key::key, manifest};
use crate::tools::{BECOME, RECORD, RECORDED, with_the_users_environment};
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Raised when this program builds templates differently for the same sources.
const FORMAT: &str = "2";
/// Written last: a folder without it is not finished.
const FINISHED: &str = "finished";
/// Says all that decides how dependencies are compiled: two templates that agree in it can share them.
const DEPENDENCIES: &str = "dependencies";
/// Says for which GPU and toolkit a build failed, and how: it is not tried again for the same.
const CUDA_FAILED: &str = "cuda-failed";
/// Older ones are removed; two let one go back and forth between two versions.
const TEMPLATES_KEPT: usize = 2;

/// How far the build of a template has come.
#[derive(Clone, Debug, PartialEq)]
pub enum BuildStep {
    /// Another process builds it just now.
    Waiting,
    /// One more crate is compiled.
    Compiled {
        /// How many are.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

/// A finished template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its folder.
    pub folder: PathBuf,
    /// What evcxr needs to know to write the same manifest: the helper crate's sources.
    pub helper: PathBuf,
    /// The helper crate's features that are built in.
    pub features: Vec<String>,
    /// What it was built with.
    pub toolchain: Toolchain,
}

/// Which template is wanted, finished or not.
struct Plan {
    template: Template,
    lock_file: PathBuf,
    /// What [`DEPENDENCIES`] is to say.
    dependencies: String,
    /// Where templates lie.
    templates: PathBuf,
    /// The GPU and toolkit that it is built for without having been asked.
    gpu: Option<String>,
}

impl Plan {
    fn make() -> Result<Self> {
        let templates = cache_folder()?.join("cells");
        let mut features = features();
        let gpu = gpu(&features, &templates);
        features.extend(gpu.as_ref().map(|_| CUDA.to_owned()));
        Self::with(features, templates, gpu)
    }

    fn with(features: Vec<String>, templates: PathBuf, gpu: Option<String>) -> Result<Self> {
        let toolchain = Toolchain::find()?;
        let helper = helper_crate()?;
        let lock_file = lock_file(&helper)?;
        let (helper_manifest, flags) = (manifest::manifest(&helper, &features), rustflags());
        let mut parts = vec![FORMAT, &toolchain.version, &helper_manifest, &flags];
        parts.extend(gpu.as_deref());
        let folder = templates.join(key(&helper, &lock_file, &parts)?);
        // Two templates that agree in these can share what they compile: cargo tells versions and features apart.
        let anywhere = manifest::manifest(Path::new("."), &features);
        let mut parts = vec![FORMAT, &toolchain.version, &anywhere, &flags];
        parts.extend(gpu.as_deref());
        let dependencies = parts.join("\n");
        let template = Template { folder, helper, features, toolchain };
        Ok(Self { template, lock_file, dependencies, templates, gpu })
    }

    /// The same for the CPU alone, where it was built for a GPU without having been asked.
    fn without_gpu(self) -> Result<Self> {
        let features = self.template.features.into_iter().filter(|feature| feature != CUDA).collect();
        Self::with(features, self.templates, None)
    }
}

impl Template {
    /// Gives the template for the helper crate as it is now, building it first where there is none yet.
    ///
    /// Of several processes that want the same one, one builds and the others wait.
    ///
    /// # Errors
    /// Where there is no toolchain, no helper crate or no space, or cargo fails; with cargo's own words.
    pub fn ready(progress: &mut dyn FnMut(BuildStep)) -> Result<Self> {
        let plan = Plan::make()?;
        let Some(gpu) = plan.gpu.clone() else { return Self::of(&plan, progress) };
        Self::of(&plan, progress).or_else(|error| {
            // Whoever did not ask for the GPU need not do without cells because of it. Where the CPU's fail too, it was not
            // the GPU's fault.
            let note = plan.templates.join(CUDA_FAILED);
            let template = Self::of(&plan.without_gpu()?, progress)?;
            fs::write(note, format!("{gpu}\n{error:#}"))?;
            Ok(template)
        })
    }

    fn of(plan: &Plan, progress: &mut dyn FnMut(BuildStep)) -> Result<Self> {
        let Plan { template, lock_file, dependencies, templates, .. } = plan;
        if !template.is_finished() {
            fs::create_dir_all(templates).with_context(|| format!("cannot create {}", templates.display()))?;
            let guard = File::create(template.folder.with_extension("lock"))?;
            if guard.try_lock().is_err() {
                progress(BuildStep::Waiting);
                guard.lock()?;
            }
            if !template.is_finished() {
                template.borrow_dependencies(templates, dependencies)?;
                template.build(lock_file, progress)?;
                remove_old(templates, &template.folder);
            }
        }
        Ok(template.clone())
    }

    /// Whether the template for the helper crate as it is now is there already.
    ///
    /// # Errors
    /// Where there is no toolchain or no helper crate.
    pub fn is_built() -> Result<bool> {
        Ok(Plan::make()?.template.is_finished())
    }

    /// The file with cargo's words, where the crates for cells could not be built for this GPU and toolkit.
    pub fn cuda_failed(key: &str) -> Option<PathBuf> {
        let templates = cache_folder().ok()?.join("cells");
        let note = cuda_failure(&templates)?;
        (note.lines().next() == Some(key)).then(|| templates.join(CUDA_FAILED))
    }

    fn is_finished(&self) -> bool {
        self.folder.join(FINISHED).is_file()
    }

    fn build(&self, lock_file: &Path, progress: &mut dyn FnMut(BuildStep)) -> Result<()> {
        // What a killed build left is good work: cargo goes on from there.
        let source = self.folder.join("src");
        fs::create_dir_all(&source).with_context(|| format!("cannot create {}", source.display()))?;
        fs::write(source.join("lib.rs"), "")?;
        fs::write(self.folder.join("Cargo.toml"), manifest::manifest(&self.helper, &self.features))?;
        fs::copy(lock_file, self.folder.join("Cargo.lock"))?;
        let total = self.count_packages().unwrap_or(0);
        self.compile(total, progress)?;
        fs::write(self.folder.join(FINISHED), "")?;
        Ok(())
    }

    /// Begins with links to what another template has compiled already, where only the helper crate has changed since.
    /// One that was left unfinished will do: cargo knows what is missing.
    fn borrow_dependencies(&self, templates: &Path, dependencies: &str) -> Result<()> {
        if self.folder.exists() {
            return Ok(());
        }
        let others = fs::read_dir(templates).into_iter().flatten().flatten().map(|entry| entry.path());
        let other = others.into_iter().find(|folder| {
            fs::read_to_string(folder.join(DEPENDENCIES)).is_ok_and(|text| text == dependencies) && !is_locked(folder)
        });
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot create {}", self.folder.display()))?;
        if let Some(other) = other {
            let target = self.folder.join("target");
            let private = |name: &str| is_of(name, "ctx") || is_of(name, "candlewick");
            if link_tree(&other.join("target"), &target, &private).is_err() {
                // What cannot be borrowed is compiled.
                let _ = fs::remove_dir_all(target);
            }
        }
        Ok(fs::write(self.folder.join(DEPENDENCIES), dependencies)?)
    }

    /// A cargo command exactly as evcxr will give it: any difference would make it compile everything again.
    fn cargo(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.toolchain.cargo);
        // By way of this program, which has cargo end when we do, however that is.
        if cfg!(target_os = "linux")
            && let Ok(program) = std::env::current_exe()
        {
            command = Command::new(program);
            command.env(BECOME, &self.toolchain.cargo);
        }
        with_the_users_environment(&mut command);
        command
            .arg(verb)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", "target")
            .env("CARGO_BUILD_BUILD_DIR", "target")
            .env("RUSTC", &self.toolchain.rustc)
            .env("RUSTFLAGS", rustflags())
            .env_remove("RUSTC_WRAPPER")
            .stdin(Stdio::null());
        if cfg!(unix)
            && let Ok(program) = std::env::current_exe()
        {
            command.env("RUSTC_WRAPPER", program).env(RECORD, self.folder.join(RECORDED));
        }
        command
    }

    fn count_packages(&self) -> Result<u64> {
        let mut tree = self.cargo("tree");
        tree.args(["--prefix", "none", "--edges", "normal,build", "--target", &self.toolchain.host]);
        let packages = super::answer(&mut tree)?;
        Ok(packages.lines().filter_map(|line| line.split(" (").next()).collect::<HashSet<_>>().len() as u64)
    }

    fn compile(&self, total: u64, progress: &mut dyn FnMut(BuildStep)) -> Result<()> {
        let mut command = self.cargo("build");
        command.args(["--target", &self.toolchain.host, "--message-format=json-render-diagnostics"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot run cargo")?;
        let errors = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                // What could not be read is only missing from a message.
                let _ = stderr.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        let mut compiled = HashSet::new();
        for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
            let message: serde_json::Value = serde_json::from_str(&line?).unwrap_or_default();
            if let (Some("compiler-artifact"), Some(package)) =
                (message["reason"].as_str(), message["package_id"].as_str())
            {
                compiled.insert(package.to_owned());
                let done = compiled.len() as u64;
                progress(BuildStep::Compiled { done, total: total.max(done) });
            }
        }
        let status = child.wait()?;
        let errors = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
        if !status.success() {
            let offline = ["Could not resolve host", "failed to download", "could not connect", "dns error"];
            let cure = if offline.iter().any(|sign| errors.contains(sign)) {
                "\nThe first start needs the network once, for the crates that cells import."
            } else {
                ""
            };
            bail!("cargo could not build the crates that cells import ({status}).{cure}\n{}", errors.trim_end());
        }
        Ok(())
    }
}

/// Whether somebody is building the template `folder` just now.
fn is_locked(folder: &Path) -> bool {
    File::open(folder.with_extension("lock")).is_ok_and(|lock| lock.try_lock().is_err())
}

/// The flags of every cell, as evcxr composes them.
fn rustflags() -> String {
    let found = |program: &str| {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
    };
    let lld = !cfg!(target_os = "macos") && !found("mold") && found("lld");
    if lld { "-Cprefer-dynamic -Clink-arg=-fuse-ld=lld" } else { "-Cprefer-dynamic" }.to_owned()
}

/// The helper crate's features that `$CANDLEWICK_FEATURES` asks for, as in `hub`.
fn features() -> Vec<String> {
    let features = std::env::var("CANDLEWICK_FEATURES").unwrap_or_default();
    features.split([',', ' ']).filter(|feature| !feature.is_empty()).map(str::to_owned).collect()
}

/// The helper crate's feature for NVIDIA's GPUs.
const CUDA: &str = "cuda";

/// The GPU and toolkit that cells are built for by themselves: where driver and toolkit are there and fit each other, the
/// CPU was not asked for, and the same has not failed before.
fn gpu(asked: &[String], templates: &Path) -> Option<String> {
    let cpu = std::env::var("CANDLEWICK_DEVICE").is_ok_and(|device| device == "cpu");
    let is_asked = asked.iter().any(|feature| feature == CUDA || feature == "cudnn");
    if cpu || is_asked {
        return None;
    }
    let found = Found::look();
    let key = found.missing().is_none().then(|| found.key())?;
    let failed = cuda_failure(templates).is_some_and(|note| note.lines().next() == Some(key.as_str()));
    (!failed).then_some(key)
}

/// What is noted of a build for the GPU that failed: the GPU and toolkit in its first line, then cargo's words.
fn cuda_failure(templates: &Path) -> Option<String> {
    fs::read_to_string(templates.join(CUDA_FAILED)).ok()
}

/// Cells get the very versions that the workspace's tests ran with.
fn lock_file(helper: &Path) -> Result<PathBuf> {
    let candidates = [helper.with_file_name("Cargo.lock"), helper.join("Cargo.lock")];
    let found = candidates.into_iter().find(|file| file.is_file());
    found.with_context(|| format!("there is no Cargo.lock beside {}", helper.display()))
}

/// Removes all but the newest templates. Sessions that use one keep their own links to its files.
fn remove_old(templates: &Path, current: &Path) {
    let Ok(entries) = fs::read_dir(templates) else { return };
    let mut others: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && path != current && path.join("Cargo.toml").is_file())
        .filter_map(|path| Some((fs::metadata(path.join("Cargo.toml")).ok()?.modified().ok()?, path)))
        .collect();
    others.sort();
    let recent = |time: &std::time::SystemTime| time.elapsed().is_ok_and(|age| age < Duration::from_secs(3600));
    for (time, folder) in others.iter().rev().skip(TEMPLATES_KEPT - 1) {
        // A young one may be under construction by another version of this program.
        if !recent(time) {
            let _ = fs::remove_dir_all(folder);
            let _ = fs::remove_file(folder.with_extension("lock"));
        }
    }
}
