//! What evcxr and the cells' process say of a cell, passed on until it has ended.

use super::compiler::Compiler;
use super::end::{End, take_message};
use super::evcxr_session::{EvcxrSession, SessionOptions};
use super::said::Said;
use super::worker::{Event, Finished, StreamName, Worker};
use super::{Host, Output};
use crate::lines::Line;
use anyhow::Result;
use std::time::{Duration, Instant};

/// How long a stream may lag behind evcxr's word that it has finished.
const LAG: Duration = Duration::from_secs(2);
/// How long it may lag in all where something keeps coming: longer than a front end may take to read.
const LONGEST_LAG: Duration = Duration::from_secs(60);

impl EvcxrSession {
    pub(super) fn request(&self, code: String) -> Result<()> {
        self.reins.compiling();
        self.worker.request(code)
    }

    /// Passes on what is said until what was requested has ended. A cell tells its end itself, and waits before it runs
    /// until it hears whether it is `wanted`; evcxr's own commands (none) do neither.
    pub(super) fn follow(&mut self, wanted: Option<bool>, host: &mut dyn Host) -> Result<End> {
        let mut end = End::default();
        let followed = self.events(wanted, &mut end, host);
        self.reins.idle();
        followed?;
        if let Finished::Returned { media, source } = &mut end.finished {
            self.taken_over = true;
            self.compiler.remember_items(source);
            if !media.is_empty() {
                host.send(Output::Result { media: std::mem::take(media) });
            }
        }
        self.note_memory();
        Ok(end)
    }

    pub(super) fn events(&mut self, wanted: Option<bool>, end: &mut End, host: &mut dyn Host) -> Result<()> {
        // Set when evcxr has finished. Only time in which nothing comes is counted: what is already on its way may have to
        // wait for whoever reads it.
        let mut patience: Option<Duration> = None;
        // But threads that go on printing must not keep the cell from ending.
        let mut deadline: Option<Instant> = None;
        while !(patience.is_some() && end.is_whole()) {
            if patience.is_some_and(|patience| patience.is_zero()) || deadline.is_some_and(|end| Instant::now() > end) {
                break;
            }
            let waits = Instant::now();
            let event = self.worker.event(patience.unwrap_or_else(|| self.questions.pause()))?;
            patience = patience.map(|patience| patience.saturating_sub(waits.elapsed()));
            match event {
                None => {}
                Some(Event::Finished(how)) => {
                    (patience, deadline) = (Some(LAG), Some(Instant::now() + LONGEST_LAG));
                    end.finished = how;
                    // Where the process has died, an interrupt would reach the one that follows it.
                    self.reins.idle();
                }
                Some(Event::Closed(name, connection)) if self.worker.is_current(connection) => end.closed(name),
                Some(Event::Closed(..)) => {}
                Some(Event::Stopped(message)) => {
                    end.finished = Finished::Failed(self.start_anew(&message)?);
                    end.started_anew = true;
                    break;
                }
                Some(Event::Said(name, said)) => self.pass_on(name, said, wanted, end, host),
            }
            self.tend_questions(end.began, host);
        }
        self.give_up_questions();
        if matches!(end.finished, Finished::Died(_)) {
            self.worker.forget_connections();
        }
        Ok(())
    }

    pub(super) fn pass_on(
        &mut self,
        name: StreamName,
        said: Said,
        wanted: Option<bool>,
        end: &mut End,
        host: &mut dyn Host,
    ) {
        match (name, said) {
            (StreamName::Output, Said::Text(text)) => host.send(Output::Stdout(text)),
            (StreamName::Errors, Said::Text(text)) => {
                end.add_errors(&text);
                host.send(Output::Stderr(text));
            }
            // In evcxr's own way of showing things, the value that ends the cell is told by the helper crate's word before.
            (_, Said::Content(media)) => host.send(match std::mem::take(&mut end.ends) {
                true => Output::Result { media },
                false => Output::Display { media, id: None },
            }),
            (StreamName::Errors, Said::Message(Line::Done { cell })) if cell == self.cells => end.errors_ended = true,
            (StreamName::Errors, Said::Message(Line::Panicking { message })) if end.began => end.panic = Some(message),
            (StreamName::Errors, Said::Message(_)) => {}
            (StreamName::Output, Said::Message(Line::Began { cell })) if cell == self.cells => {
                end.began = true;
                // From here on an interrupt reaches the cell itself.
                self.reins.running();
                end.ran = wanted == Some(true) && !self.reins.is_interrupted();
                self.worker.answer(if end.ran { "go" } else { "no" });
            }
            (StreamName::Output, Said::Message(Line::Ask { prompt, secret })) => self.questions.ask(prompt, secret),
            (StreamName::Output, Said::Message(message)) => take_message(message, self.cells, end, host),
        }
    }

    /// Starts evcxr again after it has panicked; what to tell the person.
    pub(super) fn start_anew(&mut self, message: &str) -> Result<String> {
        let SessionOptions { runtime, directory, environment } = &self.options;
        self.worker = Worker::start(&self.template, &self.folder, runtime, directory, environment)?;
        self.reins.replace_child(self.worker.child());
        self.compiler = Compiler::new(&self.template.toolchain, self.folder.path(), runtime, &self.reins);
        let lost = match self.kept_is_gone() {
            lost if lost.is_empty() => lost,
            lost => format!(", and {lost}"),
        };
        self.lose_variables();
        self.items.clear();
        self.behind.clear();
        self.impls.clear();
        Ok(format!(
            "evcxr itself has panicked: {message}. It has been started anew, without what cells have imported and \
             defined{lost}: run the cells from the top"
        ))
    }

    pub(super) fn note_memory(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.worker.process())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        self.peak_memory = self.peak_memory.max(kibibytes.map(|kibibytes| kibibytes * 1024));
    }
}
