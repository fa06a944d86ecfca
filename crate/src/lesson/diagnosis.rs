//! What a check comes to: a tick with the bar of twelve, or a mistake by its name.

use super::progress::{Kept, Progress};
use super::todos::{Todo, todo};
use crate::notebook::report;
use crate::{Error, Result};
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A mistake that a check knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mistake {
    /// What programs call it: `swapped-split`.
    pub name: &'static str,
    /// What is wrong, with the learner's own numbers.
    pub what: String,
    /// Why it matters, in a sentence.
    pub why: &'static str,
    /// What to try; never the solution.
    pub cure: String,
}

/// A [`Mistake`] as the end of a check.
pub(super) fn mistake(
    name: &'static str,
    what: impl Into<String>,
    why: &'static str,
    cure: impl Into<String>,
) -> std::result::Result<(), Found> {
    Err(Found::Mistake(Mistake { name, what: what.into(), why, cure: cure.into() }))
}

/// What a check found where it did not pass.
#[derive(Debug)]
pub(super) enum Found {
    /// A mistake.
    Mistake(Mistake),
    /// It could not look.
    Trouble(Error),
}

impl<E: Into<Error>> From<E> for Found {
    fn from(error: E) -> Self {
        Self::Trouble(error.into())
    }
}

/// What a check comes to.
pub(super) type Checked = std::result::Result<(), Found>;

/// Progress that could not be kept on disk.
static REMEMBERED: Mutex<Option<Progress>> = Mutex::new(None);
/// What the one who grades has asked the next check to answer with.
static ASKED: Mutex<Option<String>> = Mutex::new(None);

/// The next check answers with this word, which only the one who grades knows, so that no other answer counts.
pub fn ask(word: &str) {
    *ASKED.lock().unwrap_or_else(PoisonError::into_inner) = Some(word.to_owned());
}

/// What is remembered of the progress where no file could be written.
pub(super) fn remembered() -> Progress {
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

/// Whether progress is counted in memory only.
static REHEARSAL: AtomicBool = AtomicBool::new(false);

/// From now on progress is counted from nothing, and kept in memory only.
pub fn rehearse() {
    *REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner) = None;
    REHEARSAL.store(true, Ordering::SeqCst);
}

/// How far the learner has come.
///
/// # Errors
/// A line that says why the file cannot be read; what is [`remembered`] counts then.
pub(super) fn read(folder: &Path) -> std::result::Result<Progress, String> {
    if REHEARSAL.load(Ordering::SeqCst) { Ok(remembered()) } else { Progress::read(folder) }
}

/// Changes the progress on disk; where that cannot be, in memory.
pub(super) fn update(folder: &Path, change: impl FnOnce(&mut Progress)) -> Kept {
    let mut remembered = REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if REHEARSAL.load(Ordering::SeqCst) {
        change(remembered.get_or_insert_default());
        return Kept::OnDisk;
    }
    let mut progress = match remembered.take() {
        Some(progress) => progress,
        None => Progress::read(folder).unwrap_or_default(),
    };
    change(&mut progress);
    let kept = progress.write(folder);
    // A file that was put aside is told once; what is not on disk stays here.
    if Progress::read(folder).as_ref() != Ok(&progress) {
        *remembered = Some(progress);
    }
    kept
}

/// Tells how a check ended: to the learner, to the progress file, and to whoever runs the notebook.
pub(super) fn settle(number: usize, checked: Checked) -> Result<()> {
    let word = ASKED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let tell = |passed: bool, mistake: Option<&str>, text: &str| {
        report("exercise", json!({"todo": number, "passed": passed, "mistake": mistake, "text": text, "word": word}));
    };
    match checked {
        Ok(()) => {
            tell(true, None, "");
            println!("{}", passed(number));
            Ok(())
        }
        Err(Found::Trouble(Error::Interrupted)) => Err(Error::Interrupted),
        Err(Found::Trouble(error)) => {
            let text = format!("{} could not be checked: {error}", name(number));
            tell(false, None, &text);
            Err(Error::Lesson(text))
        }
        Err(Found::Mistake(found)) => {
            let Mistake { name: known, what, why, cure } = &found;
            let text =
                format!("{}: {what}\nWhy it matters: {why}\nTry: {cure}\nFor a hint: hint({number})", name(number));
            tell(false, Some(known), &text);
            Err(Error::Lesson(text))
        }
    }
}

fn passed(number: usize) -> String {
    let mut bar = String::new();
    let kept = update(super::here(), |progress| {
        progress.passed.insert(number);
        bar = progress.bar();
    });
    let note = match kept {
        Kept::OnDisk => String::new(),
        Kept::Not(why) => format!("\n{why}"),
    };
    format!("✓ {}\n{bar}\n{}{note}", name(number), praise(number))
}

/// One sentence on what has been reached.
fn praise(number: usize) -> &'static str {
    match number {
        1 => "You have photos to learn from, and photos kept aside to be honest with.",
        2 => "You know what you have: whoever counts first is surprised less later.",
        3 => "Your photos speak the network's language now.",
        4 => "Those are the network's eyes, without its words.",
        5 => "Same features, many times faster, and nothing can spoil them any more.",
        6 => "A new head sits on old shoulders, and it is small enough to learn fast.",
        7 => "You have trained a classifier, and measured it on photos that it had never seen.",
        8 => "Now look at the curves before you read on: what do they tell you?",
        9 => "Numbers have names again.",
        10 => "It answers in words, for photos it has not learnt from.",
        11 => "Side by side, every error shows.",
        12 => "Two networks, one fair comparison: that is more than the original ever shows. Well done.",
        _ => "Well done.",
    }
}

fn name(number: usize) -> String {
    todo(number).map_or_else(|| format!("TODO {number}"), Todo::name)
}
