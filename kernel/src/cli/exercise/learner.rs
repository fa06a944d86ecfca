//! The learner's side: status, hints, one TODO reset, solutions, a newer release.

use crate::cli::{End, Surroundings};
use crate::exercise::answers::Answers;
use crate::exercise::edit::{no_such_todo, restore, unused};
use crate::exercise::progress::{self, Kept, Progress};
use crate::exercise::update::moved;
use crate::exercise::{EXERCISE, built_in, todos};
use crate::notebook::{Notebook, write_beside};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Which notebook.
#[derive(Debug, clap::Args)]
pub struct File {
    /// The notebook [default: flowers_exercise.ipynb, here or in notebooks/]
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
}

impl File {
    fn path(&self) -> PathBuf {
        let name = Path::new(EXERCISE).with_extension("ipynb");
        let inside = Path::new("notebooks").join(&name);
        self.path.clone().unwrap_or(if !name.exists() && inside.exists() { inside } else { name })
    }

    /// Where its progress is.
    fn folder(&self) -> PathBuf {
        let path = self.path();
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
    }

    fn progress(&self) -> anyhow::Result<Progress> {
        Progress::read(&self.folder()).map_err(anyhow::Error::msg)
    }

    fn text(&self) -> anyhow::Result<String> {
        let path = self.path();
        // Reading it as a notebook first says best what is wrong with it.
        crate::cli::execute::read(&path)?;
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// The bar, and a line for each TODO.
pub fn status(file: &File, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let progress = file.progress()?;
    say(around, &progress.bar());
    let path = file.path();
    if !path.exists() {
        say(around, &format!("There is no {} here: name the notebook, or go to its folder", path.display()));
    }
    if path.file_stem().is_some_and(|name| name != EXERCISE) {
        // A kernel is not told which notebook it runs.
        let kept = progress::path(&file.folder());
        say(around, &format!("That is of all copies of the exercise in this folder together: {}", kept.display()));
    }
    for todo in todos::todos() {
        let mark = if progress.passed.contains(&todo.number) { '✓' } else { '·' };
        let hints = progress.hints.get(&todo.number).copied().unwrap_or(0);
        let hints =
            if hints > 0 { format!(" ({hints} of {} hints)", todos::hints(todo.number).len()) } else { String::new() };
        say(around, &format!("{mark} {:2}  {}{hints}", todo.number, todo.title));
    }
    Ok(End::AllRan)
}

/// The next hint; asked again, the next one.
pub fn hint(number: usize, file: &File, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let (todo, hints) = (known(number)?, todos::hints(number));
    let mut progress = Progress::read(&file.folder()).unwrap_or_default();
    let shown = progress.next_hint(number, hints.len());
    if let Kept::Not(why) = progress.write(&file.folder()) {
        around.terminal.line(&why);
    }
    say(around, &format!("{}, hint {shown} of {}:", todo.name(), hints.len()));
    say(around, hints.get(shown.saturating_sub(1)).unwrap_or(&""));
    Ok(End::AllRan)
}

/// One answer back to its stub.
pub fn reset(number: usize, file: &File, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let (path, exercise) = (file.path(), built_in()?);
    known(number)?;
    let restored = restore(&file.text()?, &exercise, number).with_context(|| path.display().to_string())?;
    if let Some(answer) = &restored.answer {
        let aside = unused(&path, &format!("todo-{number}"), "rs");
        write_beside(&aside, answer.as_bytes()).with_context(|| format!("cannot write {}", aside.display()))?;
        around.terminal.line(&format!("Your answer is kept in {}", aside.display()));
    }
    write_beside(&path, restored.text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    restored.notes.iter().for_each(|note| around.terminal.line(note));
    let mut progress = Progress::read(&file.folder()).unwrap_or_default();
    if progress.passed.remove(&number)
        && let Kept::Not(why) = progress.write(&file.folder())
    {
        around.terminal.line(&why);
    }
    if restored.answer.is_none() {
        around
            .terminal
            .line("The notebook's file held no answer: one that was not saved in the front end is only there");
    }
    around.terminal.line(&format!(
        "TODO {number} is as it was. Where the notebook is open, load it again from disk before you go on."
    ));
    Ok(End::AllRan)
}

/// The lesson's answer below the learner's own.
pub fn solution(number: usize, file: &File, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let todo = known(number)?;
    if !file.progress()?.passed.contains(&number) {
        let name = todo.name();
        bail!("{name}: the solution opens once yours passes its check. For a hint: candlewick exercise hint {number}");
    }
    let exercise = built_in()?;
    let answers = Answers::find(&Notebook::parse(&file.text()?)?, &exercise)?;
    say(around, &format!("{}\n\nYours:\n", todo.name()));
    let mut own = answers.of(number).iter().filter(|piece| piece.is_answer).peekable();
    if own.peek().is_none() {
        say(around, "(the notebook's file holds none: save it in the front end, and ask again)");
    }
    for piece in own {
        say(around, &indented(&piece.code));
    }
    say(around, &format!("\nThe lesson's:\n\n{}", indented(&todo.solution)));
    Ok(End::AllRan)
}

/// The learner's work in this release's notebook.
pub fn update(file: &File, around: &mut Surroundings<'_>) -> anyhow::Result<End> {
    let (path, exercise) = (file.path(), built_in()?);
    let old = file.text()?;
    let (fresh, notes) = moved(&Notebook::parse(&old)?, &exercise).with_context(|| path.display().to_string())?;
    let aside = unused(&path, "before-update", "ipynb");
    write_beside(&aside, old.as_bytes()).with_context(|| format!("cannot write {}", aside.display()))?;
    fresh.write(&path).with_context(|| format!("cannot write {}", path.display()))?;
    notes.iter().for_each(|note| around.terminal.line(&format!("{}: {note}", path.display())));
    around.terminal.line(&format!("{} is of release {} now", path.display(), exercise.release));
    around.terminal.line(&format!("As it was: {}", aside.display()));
    Ok(End::AllRan)
}

fn known(number: usize) -> anyhow::Result<&'static todos::Todo> {
    todos::todo(number).with_context(|| match built_in() {
        Ok(exercise) => no_such_todo(&exercise, number),
        Err(why) => why.to_string(),
    })
}

fn indented(code: &str) -> String {
    code.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// A line for whoever asked; where nobody reads it, there is nobody to tell.
fn say(around: &mut Surroundings<'_>, text: &str) {
    let _ = writeln!(around.out, "{text}");
}
