//! Asking the compiler about a cell before it is built: the types of its variables, and what is wrong with it.
//!
//! One run of rustc without code generation, about 0.1 s. It knows what rust-analyzer guesses, and needs no sources of
//! the standard library.

use super::Diagnostic;
use super::cell::{Cell, Judged, Variable, Variables, freed, judged_alone, judged_as_it_is, without_items};
use super::diagnostics::{Message, Placed};
use super::reins::Reins;
use super::type_names::{is_functions_own, nameable, unnameable};
use crate::build::Toolchain;
use crate::tools::{BECOME, Recorded};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The compiler, and what a session's cells are compiled against.
pub struct Compiler {
    rustc: PathBuf,
    /// This program: it becomes the compiler.
    program: PathBuf,
    reins: Arc<Reins>,
    folder: PathBuf,
    /// Compiled crates for the cells.
    dependencies: PathBuf,
    /// Compiled macros, which run in the compiler.
    macros: PathBuf,
    /// All items of earlier cells, as evcxr wrote them.
    items: String,
}

/// What a file begins with that holds no items of earlier cells.
const ALONE: &str = "#![allow(unused)]";

/// The compiler was ended before it had said all: the cell was interrupted.
#[derive(Debug)]
pub struct Ended;

impl std::error::Error for Ended {}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the compiler was ended")
    }
}

/// The compiler's judgement of one cell.
#[derive(Debug)]
pub enum Judgement {
    /// The types of the variables that it binds.
    Sound(Variables),
    /// It cannot be compiled.
    Wrong(Vec<Diagnostic>),
}

impl Compiler {
    /// For cells that are built in `folder`.
    pub fn new(toolchain: &Toolchain, folder: &Path, program: &Path, reins: &Arc<Reins>) -> Self {
        let target = folder.join("target");
        Self {
            rustc: toolchain.rustc.clone(),
            program: program.to_path_buf(),
            reins: Arc::clone(reins),
            folder: folder.to_path_buf(),
            dependencies: target.join(&toolchain.host).join("debug").join("deps"),
            macros: target.join("debug").join("deps"),
            items: String::new(),
        }
    }

    /// Whether cells may name a crate without further ado.
    pub fn knows(&self, name: &str) -> bool {
        ["std", "core", "alloc", "proc_macro", "test", "self"].contains(&name)
            || self.externs().iter().any(|known| known.split('=').next() == Some(name))
    }

    /// The crates that cells may name, as cargo tells the compiler, in the words of `--extern`.
    fn externs(&self) -> Vec<String> {
        let externs = Recorded::externs(&self.folder);
        if !externs.is_empty() {
            return externs;
        }
        // Where cargo builds each cell itself, nothing is recorded.
        let name = format!("{}candlewick{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        vec![format!("candlewick={}", self.dependencies.join(name).display())]
    }

    /// Takes over the items that evcxr has accepted: all that its last source holds before the cell's own function.
    pub fn remember_items(&mut self, last_source: &str) {
        if let Some((items, _)) = last_source.rsplit_once("#[unsafe(no_mangle)]") {
            items.clone_into(&mut self.items);
        }
    }

    /// All items of earlier cells, without what only a whole file may begin with.
    pub fn items_so_far(&self) -> String {
        let of_a_file = |line: &&str| !line.starts_with("#![");
        freed(&self.items).lines().filter(of_a_file).map(|line| format!("{line}\n")).collect()
    }

    /// Says what types the variables of `cell` have, or what is wrong with it.
    ///
    /// # Errors
    /// Where the compiler cannot be run.
    pub fn judge(&self, cell: &Cell, kept: &Variables) -> Result<Judgement> {
        let mut types = BTreeMap::new();
        let mut wrong = Vec::new();
        let (messages, said) =
            self.messages(Depth::Checked, &self.before_cell(cell), &cell.judged(kept, Judged::Probed), &cell.text)?;
        for message in messages {
            match message.probed_type() {
                Some((name, type_name)) => drop(types.insert(name, type_name)),
                None if message.is_error() => wrong.push(message.diagnostic()),
                None => {}
            }
        }
        let own: BTreeSet<String> = cell.definitions.iter().map(|(name, _)| name.clone()).collect();
        let mut variables = Variables::new();
        for (name, mutable) in &cell.bound {
            let Some(found) = types.remove(name) else {
                // Other errors keep the compiler from answering; without any, it should have.
                if wrong.is_empty() {
                    bail!("the compiler does not say what type `{name}` has: {}", said.trim());
                }
                continue;
            };
            match nameable(&found, &own) {
                Some(type_name) => {
                    let is_pointer = is_functions_own(&found);
                    variables.insert(name.clone(), Variable { type_name, mutable: *mutable, is_pointer });
                }
                None => wrong.push(unnameable(name, &found)),
            }
        }
        Ok(if wrong.is_empty() { Judgement::Sound(variables) } else { Judgement::Wrong(wrong) })
    }

    /// Says what is wrong with `cell`, borrows included; nothing where the compiler would accept it.
    ///
    /// # Errors
    /// Where the compiler cannot be run.
    pub fn check(&self, cell: &Cell, kept: &Variables) -> Result<Vec<Diagnostic>> {
        let written = self.errors_in(Depth::Checked, cell, kept, Judged::AsWritten)?;
        if !written.is_empty() {
            return Ok(written);
        }
        let mut shown = self.errors_in(Depth::Checked, cell, kept, Judged::Shown)?;
        let without_debug = |code: &str| matches!(code, "E0277" | "E0599");
        for diagnostic in shown.iter_mut().filter(|shown| shown.code.as_deref().is_some_and(without_debug)) {
            // Rust's own text would show code that nobody has written.
            diagnostic.message = "the value that ends the cell has no `Debug`, so that it cannot be shown: put \
                                  `#[derive(Debug)]` on its type, or end the cell in `;`"
                .to_owned();
            diagnostic.rendered = format!("error: {}\n", diagnostic.message);
        }
        Ok(shown)
    }

    /// Whether a cell is sound, but for the value that it does not end in.
    ///
    /// # Errors
    /// Where the compiler cannot be run.
    pub fn has_no_value(&self, cell: &Cell, kept: &Variables) -> Result<bool> {
        Ok(!self.errors_in(Depth::Checked, cell, kept, Judged::Shown)?.is_empty()
            && self.errors_in(Depth::Checked, cell, kept, Judged::AsWritten)?.is_empty())
    }

    /// Says what of `cell` is found only when code is made of it: a division by zero, an assertion about constants.
    ///
    /// # Errors
    /// Where the compiler cannot be run.
    pub fn check_generated(&self, cell: &Cell, kept: &Variables) -> Result<Vec<Diagnostic>> {
        self.errors_in(Depth::Generated, cell, kept, Judged::AsWritten)
    }

    /// Those of `variables` that no cell can use: what they are cannot be named from where cells stand.
    ///
    /// # Errors
    /// Where the compiler cannot be run.
    pub fn unusable(&self, variables: &[(&String, &Variable)]) -> Result<Vec<String>> {
        let mut unusable = Vec::new();
        // All at once first: as a rule there are none, and a cell that does not compile is answered soon.
        if variables.is_empty() || self.errors(&judged_alone(variables), "")?.is_empty() {
            return Ok(unusable);
        }
        for variable in variables {
            if !self.errors(&judged_alone(std::slice::from_ref(variable)), "")?.is_empty() {
                unusable.push(variable.0.clone());
            }
        }
        Ok(unusable)
    }

    /// As [`check`](Self::check), for a text that is not Rust.
    ///
    /// # Errors
    /// Where the compiler cannot be run.
    pub fn check_text(&self, text: &str, kept: &Variables) -> Result<Vec<Diagnostic>> {
        // By itself first: a bracket that is not closed would be laid at the door of the function around it, or of an earlier
        // cell.
        let (messages, _) = self.messages(Depth::Checked, &format!("{ALONE}\n"), &format!("\n{text}"), text)?;
        let by_itself = errors_among(&messages);
        let of_words =
            |error: &Diagnostic| error.message.contains("delimiter") || error.message.contains("unterminated");
        if by_itself.iter().any(of_words) {
            return Ok(by_itself);
        }
        self.errors(&judged_as_it_is(text, kept), text)
    }

    /// What the compiler has against a text of no cell.
    fn errors(&self, judged: &str, text: &str) -> Result<Vec<Diagnostic>> {
        let (messages, _) = self.messages(Depth::Checked, &self.before(""), judged, text)?;
        Ok(errors_among(&messages))
    }

    fn errors_in(&self, depth: Depth, cell: &Cell, kept: &Variables, how: Judged) -> Result<Vec<Diagnostic>> {
        let before = self.before_cell(cell);
        let (messages, _) = self.messages(depth, &before, &cell.judged(kept, how), &cell.text)?;
        Ok(errors_among(&messages))
    }

    /// Says what of earlier cells does not compile any more beside the items of `cell`, which take the place of those with
    /// these names: each complaint with the line of text that it is about.
    ///
    /// # Errors
    /// Where the compiler cannot be run.
    pub fn check_earlier(&self, cell: &Cell, names: &BTreeSet<String>) -> Result<Vec<(Diagnostic, String)>> {
        let gone: BTreeSet<String> =
            names.iter().cloned().chain(cell.impls.iter().map(|one| one.name.clone())).collect();
        let before = format!("{}{}\n", cell.attributes, without_items(&self.items, &gone));
        let (messages, _) = self.messages(Depth::Checked, &before, &format!("\n{}", cell.items_alone()), &cell.text)?;
        let earlier = messages.iter().filter(|message| message.is_error()).filter_map(|message| {
            let line = before.lines().nth(message.line_in_file()?.checked_sub(1)?)?;
            let diagnostic = message.diagnostic();
            diagnostic.line.is_none().then(|| (diagnostic, line.to_owned()))
        });
        Ok(earlier.collect())
    }

    /// What stands before a cell, without the earlier `impl`s that its own take the place of.
    fn before_cell(&self, cell: &Cell) -> String {
        // Where one stands behind a definition, that is judged inside the cell's function, apart from the one before.
        let alone = cell.impls.iter().filter(|one| one.behind.is_none());
        let replaced: BTreeSet<String> = alone.map(|one| one.name.clone()).collect();
        match replaced.iter().any(|name| self.items.contains(name.as_str())) {
            true => format!("{}{}\n", cell.attributes, without_items(&self.items, &replaced)),
            false => self.before(&cell.attributes),
        }
    }

    /// What stands before the cell in the file that is judged.
    fn before(&self, attributes: &str) -> String {
        let items = if self.items.is_empty() { ALONE } else { &self.items };
        format!("{attributes}{items}\n")
    }

    /// What the compiler says, message by message and as it stands, of a text behind others.
    fn messages(&self, depth: Depth, before: &str, judged: &str, text: &str) -> Result<(Vec<Message>, String)> {
        let source = self.folder.join("judged.rs");
        std::fs::write(&source, format!("{before}{judged}"))?;
        let stderr = self.said(&mut self.command(&source, depth))?;
        let placed = Placed { lines_before: before.matches('\n').count() + 1, lines: text.matches('\n').count() + 1 };
        Ok((stderr.lines().filter_map(|line| Message::parse(line, &placed)).collect(), stderr))
    }

    /// Runs the compiler to its end, or to that of the cell's patience.
    fn said(&self, command: &mut Command) -> Result<String> {
        let mut judge = self.reins.start_judge(command).context("cannot run the Rust compiler")?.ok_or(Ended)?;
        let mut said = Vec::new();
        let read = judge.stderr.take().map_or(Ok(0), |mut stderr| stderr.read_to_end(&mut said));
        self.reins.judged();
        let status = judge.wait()?;
        read?;
        // Whoever ends it has noted the interrupt before.
        if status.code().is_none() && self.reins.is_interrupted() {
            return Err(Ended.into());
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    fn command(&self, source: &Path, depth: Depth) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env(BECOME, &self.rustc)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .args(["--crate-name", "ctx", "--edition", "2024", "--crate-type", "lib"])
            .args(depth.options())
            .arg("-o")
            .arg(self.folder.join("judged.out"))
            .args(["--error-format=json", "--json=diagnostic-rendered-ansi", "--diagnostic-width=100000"])
            // Whole paths, so that a type's name can be used as source; these two are not stable yet, hence the
            // variable that lets a stable compiler take them.
            .args(["-Ztrim-diagnostic-paths=no", "-Zwrite-long-types-to-disk=no"])
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["-Cprefer-dynamic", "-Awarnings"])
            .arg(format!("-Ldependency={}", self.dependencies.display()))
            .arg(format!("-Ldependency={}", self.macros.display()));
        for known in self.externs() {
            command.arg("--extern").arg(known);
        }
        command.arg(source).current_dir(&self.folder).stdin(Stdio::null());
        command
    }
}

fn errors_among(messages: &[Message]) -> Vec<Diagnostic> {
    messages.iter().filter(|message| message.is_error()).map(Message::diagnostic).collect()
}

/// How far the compiler goes.
#[derive(Clone, Copy, Debug)]
enum Depth {
    /// Types and borrows.
    Checked,
    /// Code is made of everything, called or not, and thrown away.
    Generated,
}

impl Depth {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Checked => &["--emit=metadata"],
            Self::Generated => &["--emit=obj", "-Clink-dead-code"],
        }
    }
}
