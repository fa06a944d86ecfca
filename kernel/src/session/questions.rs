//! What a cell asks the person at the notebook: one question after the other, while everything else goes on.

use super::evcxr_session::EvcxrSession;
use super::standard_input::{self, Reader};
use super::{Answer, Host};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often a running cell is looked at: whether it waits for input.
const LOOK: Duration = Duration::from_millis(100);
/// How often whoever is asked is looked at.
const LOOK_FOR_ANSWER: Duration = Duration::from_millis(20);
/// How long whoever was given a line may take to have its turn and take it.
const LAG: Duration = Duration::from_secs(2);

/// The questions of the cell under way.
#[derive(Default)]
pub struct Questions {
    /// Prompt, and whether the answer is a secret.
    waiting: VecDeque<(String, bool)>,
    open: Option<Open>,
    /// Who waited for input when it was last given some.
    fed: Option<(Reader, Instant)>,
    looked: Option<Instant>,
}

struct Open {
    answer: Answer,
    /// The cells' process that asks.
    process: u32,
    /// Who reads standard input; none where the cell has called.
    reader: Option<Reader>,
}

impl Questions {
    /// The cell has called for an answer.
    pub fn ask(&mut self, prompt: String, secret: bool) {
        self.waiting.push_back((prompt, secret));
    }

    /// How long a cell may go on before it is looked at again.
    pub fn pause(&self) -> Duration {
        if self.open.is_some() { LOOK_FOR_ANSWER } else { LOOK }
    }
}

impl EvcxrSession {
    /// Passes on what the cell asks and what it is answered.
    pub(super) fn tend_questions(&mut self, began: bool, host: &mut dyn Host) {
        if self.worker.has_finished() {
            return self.give_up_questions();
        }
        let process = self.worker.process();
        if self.questions.open.is_none()
            && let Some((prompt, secret)) = self.questions.waiting.pop_front()
        {
            self.questions.open = Some(Open { answer: host.ask(&prompt, secret), process, reader: None });
        }
        if self.questions.open.is_none() && began {
            self.look_for_reader(process, host);
        }
        let Some(answer) = self.questions.open.as_mut().and_then(|open| (open.answer)()) else { return };
        match self.questions.open.take() {
            // The answer to a process that has died would be read by the next one.
            Some(open) if open.process != process => {}
            Some(Open { reader: Some(reader), .. }) => {
                self.worker.feed(answer.as_deref());
                self.questions.fed = Some((reader, Instant::now()));
            }
            _ => self.worker.answer(&serde_json::json!(answer).to_string()),
        }
    }

    /// Nobody waits for an answer any more but threads that the cell has left running: those are told so.
    pub(super) fn give_up_questions(&mut self) {
        let open = self.questions.open.take();
        let called =
            usize::from(open.is_some_and(|open| open.reader.is_none() && open.process == self.worker.process()));
        for _ in 0..called + self.questions.waiting.len() {
            self.worker.answer("null");
        }
        self.questions.waiting.clear();
    }

    /// A cell that reads its standard input waits for the person at the notebook.
    fn look_for_reader(&mut self, process: u32, host: &mut dyn Host) {
        if self.questions.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.questions.looked = Some(Instant::now());
        let Some(reader) = standard_input::reader(process) else { return };
        // What it was given last it may not have taken yet: a busy machine lets it wait.
        if self.questions.fed.as_ref().is_some_and(|(fed, when)| *fed == reader && when.elapsed() < LAG) {
            return;
        }
        self.questions.open = Some(Open { answer: host.ask("", false), process, reader: Some(reader) });
    }
}
