//! evcxr's own commands, as far as this kernel knows them: `:dep` and `:vars`.

use super::cell::Variable;
use super::evcxr_session::{EvcxrSession, before_it_ran};
use super::refusals::as_cargo_says;
use super::worker::Finished;
use super::{Diagnostic, Host, Outcome, Output, Report};
use crate::tools::UNFIT;
use anyhow::Result;

impl EvcxrSession {
    /// evcxr's own commands; an outcome only where one fails.
    pub(super) fn run_commands(&mut self, commands: &[String], host: &mut dyn Host) -> Result<Option<Outcome>> {
        for command in commands {
            let name = command.trim_start_matches(':').split_whitespace().next().unwrap_or_default();
            let outcome = match name {
                "dep" => self.add_dependency(command, host)?,
                "vars" => {
                    host.send(Output::Stdout(self.variables()));
                    None
                }
                _ => match needless(name) {
                    Some(why) => {
                        host.send(Output::Stdout(format!("`:{name}` changes nothing here: {why}.\n")));
                        None
                    }
                    None => Some(refused(name)),
                },
            };
            if outcome.is_some() {
                return Ok(outcome);
            }
        }
        Ok(None)
    }

    fn variables(&self) -> String {
        let line = |(name, variable): (&String, &Variable)| {
            format!("let {}{name}: {}\n", if variable.mutable { "mut " } else { "" }, variable.type_name)
        };
        self.kept.iter().map(line).collect()
    }

    fn add_dependency(&mut self, command: &str, host: &mut dyn Host) -> Result<Option<Outcome>> {
        let rest = command.strip_prefix(":dep").unwrap_or_default();
        let name = rest.split(['=', ' ', '@']).find(|word| !word.is_empty()).unwrap_or_default().replace('-', "_");
        // Each runs an empty cell as well: what evcxr runs, it must be told the end of.
        let empty = format!("(::candlewick::cell::run)({}, || Ok(()));", self.cells);
        let code = match name.as_str() {
            // It is there already.
            "candlewick" => return Ok(None),
            "candle_core" | "candle_nn" => {
                host.send(Output::Stdout(format!(
                    "`{name}` is candlewick's own: a second copy would number tensors anew and give wrong gradients.\n"
                )));
                format!("{empty}\nuse ::candlewick::{name};")
            }
            _ => format!("{command}\n{empty}"),
        };
        if self.reins.is_interrupted() {
            return Ok(Some(before_it_ran()));
        }
        let unfit = self.folder.path().join(UNFIT);
        // As a rule it is not there.
        let _ = std::fs::remove_file(&unfit);
        self.request(code)?;
        let end = self.follow(Some(true), host)?;
        if let Some(interrupted) = self.interrupted_before_it_ran(&end) {
            return Ok(Some(interrupted));
        }
        Ok(match end.finished {
            Finished::Returned { .. } => None,
            _ if unfit.is_file() => {
                let package = std::fs::read_to_string(unfit).unwrap_or_default();
                Some(compile_error(format!(
                    "`:dep {}` would have {package} compiled once more. All cells share candlewick's: tensors of two \
                     candles do not know each other, and gradients would be wrong. Ask for the release and the features \
                     that candlewick has",
                    rest.trim()
                )))
            }
            Finished::Refused(refusals) => Some(Outcome::CompileErrors(refusals.iter().map(as_cargo_says).collect())),
            Finished::Died(message) => {
                let (lost, report) = (self.kept_is_gone(), Report::new(message));
                self.lose_variables();
                Some(self.died(&lost, report))
            }
            Finished::Failed(message) if end.started_anew => Some(Outcome::Failed(Report::new(message))),
            Finished::Failed(message) => Some(compile_error(cargos_words(&message).to_owned())),
        })
    }
}

/// What cargo said, without evcxr's words around it.
fn cargos_words(message: &str) -> &str {
    let said = message.split_once("STDERR:\n").map_or(message, |(_, said)| said);
    let said = said.rsplit_once("\nSTDOUT:").map_or(said, |(said, _)| said).trim();
    said.strip_prefix("error: ").unwrap_or(said)
}

/// Why a notebook that is written for the stock kernel runs without a command: none where it would not be the same then.
fn needless(command: &str) -> Option<&'static str> {
    match command {
        "opt" | "linker" | "cache" | "clear_cache" | "sccache" => {
            Some("cells are compiled as their dependencies are, once for all notebooks")
        }
        "preserve_vars_on_panic" => Some("a panic costs no variable of earlier cells"),
        "timing" | "time_passes" => Some("how long a cell takes is shown by the front end, where it is asked to"),
        _ => None,
    }
}

/// What to say of a command that would leave the session in pieces, or that it has no need of.
fn refused(command: &str) -> Outcome {
    let instead = match command {
        "clear" | "restart" | "quit" => "restart or shut down the kernel instead",
        "type" | "t" | "doc" | "help" => "ask the front end about a name, with Shift-Tab or `?`",
        "load_config" | "toolchain" | "codegen_backend" | "build_env" | "allow_static_linking" => {
            "cells are compiled as their dependencies are, once for all notebooks"
        }
        "env" => "set the variable before the kernel starts",
        _ => "`:dep` and `:vars` are known",
    };
    compile_error(format!("`:{command}` is not for this kernel: {instead}"))
}

/// A refusal in our own words.
pub(super) fn compile_error(message: String) -> Outcome {
    let rendered = format!("error: {message}\n");
    Outcome::CompileErrors(vec![Diagnostic { code: None, message, line: None, column: None, rendered }])
}
