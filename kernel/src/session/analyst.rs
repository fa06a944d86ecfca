//! Completion and inspection by evcxr's rust-analyzer, in a process of its own that starts when it is first asked.
//!
//! rust-analyzer reads every package that cells import, for seconds and some hundred megabytes: too much to do before the
//! first cell, and nothing that a cell should wait for.

use super::cell::words;
use super::privates::Names;
use super::{Completion, Completions};
use crate::build::{SessionFolder, Template};
use anyhow::{Context, Result, bail};
use evcxr::{CommandContext, EvalContext};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

/// Makes this program an analyst.
pub const ANALYST: &str = "CANDLEWICK_ANALYST";

/// How long a completion waits for it before it has answered for the first time.
const WAKING: Duration = Duration::from_millis(50);
/// How late an answer may be before another analyst is started; the first one takes longer.
const STUCK: Duration = Duration::from_secs(60);
/// How often that before it has answered for the first time.
const WAKING_LONGER: u32 = 10;
/// How many questions may wait for their answers.
const MOST_LATE: usize = 3;
/// A question for whose answer all must be known that later ones need.
const WARM_UP: &str = "use candlewick::prelude::*;\nlet tensor: Tensor = todo!();\ntensor.";

/// What is asked about byte `at` of `code`.
#[derive(Debug, Serialize, Deserialize)]
pub enum Question {
    /// What could stand there.
    Complete {
        /// The code, with all before it that it needs.
        code: String,
        /// The byte.
        at: usize,
    },
    /// What stands there.
    Inspect {
        /// The code, with all before it that it needs.
        code: String,
        /// The byte.
        at: usize,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Completions { matches: Vec<(String, String, String)>, start: usize, end: usize },
    Inspection(BTreeMap<String, String>),
    Nothing,
}

/// The process, as the session has it.
pub struct Analyst {
    process: Child,
    /// To the thread that writes them: its pipe may be full.
    questions: SyncSender<String>,
    answers: Receiver<Answer>,
    /// How many answers are still to come to questions for which nobody waits any more.
    late: usize,
    /// When something last went well: the latest answer, or a question before which none was late.
    well: Instant,
    ended: bool,
    /// Whether it has answered anything yet.
    awake: bool,
    /// Last, so that it goes when nothing uses it any more.
    _folder: Option<SessionFolder>,
}

impl Analyst {
    /// Starts it, in a folder of its own: for some questions evcxr compiles.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(program: &Path, template: &Template) -> Result<Self> {
        let folder = SessionFolder::create(template)?;
        let mut command = Command::new(program);
        command.current_dir(folder.path()).env(ANALYST, "1");
        Self::of(&mut command, Some(folder))
    }

    /// The analyst that `command` starts.
    fn of(command: &mut Command, folder: Option<SessionFolder>) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().context("cannot start the analyst")?;
        let (Some(mut input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("the analyst has no pipes");
        };
        let (questions, asked) = sync_channel::<String>(1);
        std::thread::spawn(move || {
            // It ends with the analyst, or when nobody asks any more.
            asked.iter().try_for_each(|line| writeln!(input, "{line}").and_then(|()| input.flush()))
        });
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.filter_map(|line| serde_json::from_str(&line).ok()).try_for_each(|answer| sender.send(answer))
        });
        let well = Instant::now();
        Ok(Self { process, questions, answers, late: 0, well, ended: false, awake: false, _folder: folder })
    }

    /// What could stand there; none where it does not answer in time. While it is still waking, that is at once.
    pub fn complete(&mut self, code: &str, at: usize, patience: Duration) -> Option<Completions> {
        let patience = if self.awake { patience } else { WAKING };
        match self.ask(&Question::Complete { code: code.to_owned(), at }, patience)? {
            Answer::Completions { matches, start, end } => {
                let matches = matches.into_iter().map(|(text, kind, signature)| Completion {
                    text,
                    kind: kind_of(&kind),
                    signature,
                });
                Some(Completions { matches: matches.collect(), replaces: start..end })
            }
            _ => None,
        }
    }

    /// What stands there, in media types; none where it does not answer in time, or knows nothing. While it is still waking,
    /// that is at once.
    pub fn inspect(&mut self, code: &str, at: usize, patience: Duration) -> Option<BTreeMap<String, String>> {
        let patience = if self.awake { patience } else { WAKING };
        match self.ask(&Question::Inspect { code: code.to_owned(), at }, patience)? {
            Answer::Inspection(media) => Some(media),
            _ => None,
        }
    }

    /// Whether it has died, and another is to be started.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether it has read all and answers questions.
    pub fn is_awake(&self) -> bool {
        self.awake
    }

    fn ask(&mut self, question: &Question, patience: Duration) -> Option<Answer> {
        while self.late > 0 && self.answers.try_recv().is_ok() {
            self.late -= 1;
            self.answered();
        }
        if self.late == 0 {
            self.well = Instant::now();
        }
        self.ended |= self.is_stuck(Instant::now());
        if self.ended || self.late > MOST_LATE {
            return None;
        }
        let line = serde_json::to_string(question).ok()?;
        match self.questions.try_send(line) {
            Ok(()) => {}
            // It has not even read what it was asked before.
            Err(TrySendError::Full(_)) => return None,
            Err(TrySendError::Disconnected(_)) => {
                self.ended = true;
                return None;
            }
        }
        loop {
            match self.answers.recv_timeout(patience) {
                Ok(answer) if self.late == 0 => {
                    self.answered();
                    return Some(answer);
                }
                Ok(_) => {
                    self.late -= 1;
                    self.answered();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.late += 1;
                    return None;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.ended = true;
                    return None;
                }
            }
        }
    }
}

impl Analyst {
    fn answered(&mut self) {
        (self.awake, self.well) = (true, Instant::now());
    }

    /// Whether it has been asked something and will not answer any more.
    fn is_stuck(&self, now: Instant) -> bool {
        let patience = if self.awake { STUCK } else { STUCK * WAKING_LONGER };
        self.late > 0 && now.saturating_duration_since(self.well) > patience
    }
}

impl Drop for Analyst {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn kind_of(kind: &str) -> &'static str {
    const KINDS: [&str; 8] = ["function", "type", "variable", "module", "keyword", "class", "property", "macro"];
    KINDS.into_iter().find(|known| *known == kind).unwrap_or("text")
}

/// Is the analyst, where this program was started as one: answers line by line until nobody asks any more.
pub fn serve() -> Option<ExitCode> {
    std::env::var_os(ANALYST)?;
    crate::tools::end_with_parent();
    Some(match answer_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn answer_all() -> Result<()> {
    let mut runtime = Command::new(std::env::current_exe()?);
    runtime.env_remove(ANALYST);
    let (context, _outputs) =
        EvalContext::with_subprocess_command(runtime).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut context = CommandContext::with_eval_context(context);
    // The first question takes seconds, in which rust-analyzer reads all packages; so it is nobody's.
    let _ = complete(&mut context, &Names::default(), WARM_UP, WARM_UP.len());
    let names = Names::here();
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(Question::Complete { code, at }) => complete(&mut context, &names, &code, at),
            Ok(Question::Inspect { code, at }) => inspect(&mut context, &code, at),
            Err(_) => Answer::Nothing,
        };
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(())
}

fn complete(context: &mut CommandContext, private: &Names, code: &str, at: usize) -> Answer {
    match context.completions(code, at) {
        Ok(found) => {
            let own = words(code);
            let matches = found.completions.into_iter().filter(|one| !private.keep(one.kind, &one.code, &own));
            let matches = matches.map(|one| (one.code, one.kind.to_owned(), one.label));
            Answer::Completions { matches: matches.collect(), start: found.start_offset, end: found.end_offset }
        }
        Err(_) => Answer::Nothing,
    }
}

fn inspect(context: &mut CommandContext, code: &str, at: usize) -> Answer {
    match context.hover_at(code, at) {
        Ok((text, html)) if !text.starts_with("No documentation found") => {
            Answer::Inspection([("text/plain".to_owned(), text), ("text/html".to_owned(), html)].into())
        }
        _ => Answer::Nothing,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Larger than any pipe.
    const LARGE: usize = 8 << 20;

    #[test]
    fn an_analyst_that_reads_nothing_holds_nobody_up_and_is_stuck() {
        let mut analyst = Analyst::of(Command::new("sleep").arg("600"), None).unwrap();
        let code = "x".repeat(LARGE);
        let at_once = Duration::ZERO;
        for _ in 0..2 * MOST_LATE {
            assert!(analyst.inspect(&code, 0, at_once).is_none());
        }
        let long = STUCK * WAKING_LONGER;
        let asked = analyst.well;
        assert!(!analyst.is_stuck(asked + long) && analyst.is_stuck(asked + long + STUCK));
        assert!(!analyst.has_ended());
    }
}
