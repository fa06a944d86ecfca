//! Notebooks on other kernels, over the protocol: by the real binary, on a kernel that does as the cells say, and on
//! Python's own where that is installed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use jupyter_protocol::{
    ClearOutput, ConnectionInfo, DisplayData, ErrorOutput, ExecuteReply, InterruptReply, JupyterMessage,
    JupyterMessageContent, KernelInfoReply, MediaType, ReplyError, ReplyStatus, ShutdownReply, Status, StreamContent,
    Transient, UpdateDisplayData,
};
use jupyter_zmq_client::{
    KernelControlConnection, KernelIoPubConnection, KernelShellConnection, create_kernel_control_connection,
    create_kernel_iopub_connection, create_kernel_shell_connection,
};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with a Jupyter of its own, in which one kernel is installed: this very test, as [`scripted_kernel`].
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new(interrupt_mode: &str) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        let kernel = lab.path("data/kernels/scripted");
        std::fs::create_dir_all(&kernel).unwrap();
        let spec = json!({
            "argv": [std::env::current_exe().unwrap(), "--ignored", "--exact", "scripted_kernel", "{connection_file}"],
            "display_name": "Scripted", "language": "script", "interrupt_mode": interrupt_mode,
            "env": {"SCRIPTED": "by its kernelspec"},
        });
        std::fs::write(kernel.join("kernel.json"), spec.to_string()).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn notebook(&self, name: &str, cells: &[Value]) -> PathBuf {
        let metadata = json!({"language_info": {"name": "script"}});
        let notebook = json!({"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": cells});
        std::fs::write(self.path(name), notebook.to_string()).unwrap();
        self.path(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_candlewick"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        // Only what is installed here; and the folder of connection files can be looked into.
        command.env("JUPYTER_DATA_DIR", self.path("data")).env("JUPYTER_RUNTIME_DIR", self.path("runtime"));
        for variable in ["JUPYTER_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs cells; gives the program's output, and each cell's outputs.
    fn run(&self, cells: &[&str], more: &[&str]) -> (Output, Vec<Vec<Value>>) {
        let cells: Vec<_> = cells.iter().map(|source| cell(source, json!([]), Value::Null)).collect();
        self.notebook("in.ipynb", &cells);
        let arguments = ["run", "in.ipynb", "--kernel", "scripted", "--json", "-o", "out.ipynb"];
        let output = self.command(&[&arguments, more].concat()).output().unwrap();
        let written = std::fs::read(self.path("out.ipynb")).map(|text| serde_json::from_slice(&text).unwrap());
        let written: Value = written.unwrap_or_default();
        let cells = written["cells"].as_array().cloned().unwrap_or_default();
        self.nothing_is_left();
        (output, cells.iter().map(|cell| cell["outputs"].as_array().unwrap().clone()).collect())
    }

    /// No connection file, and no process that has one of ours in its command.
    #[track_caller]
    fn nothing_is_left(&self) {
        let files: Vec<_> = self.path("runtime").read_dir().into_iter().flatten().collect();
        assert!(files.is_empty(), "{files:?}");
        let runtime = self.path("runtime").to_str().unwrap().to_owned();
        for process in Path::new("/proc").read_dir().into_iter().flatten().flatten() {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&command).contains(&runtime), "{process:?} is left");
        }
    }
}

fn cell(source: &str, outputs: Value, count: Value) -> Value {
    json!({"cell_type": "code", "source": source, "metadata": {}, "outputs": outputs, "execution_count": count})
}

fn error(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap_or("null")).unwrap();
    line["error"].clone()
}

fn stream(name: &str, text: &str) -> Value {
    json!({"output_type": "stream", "name": name, "text": text.split_inclusive('\n').collect::<Vec<_>>()})
}

#[test]
fn what_a_kernel_publishes_is_in_the_notebook() {
    let lab = Lab::new("message");
    let cells =
        ["print one\nwarn two", "clear\nshow a\nupdate b", "update c\nprint-as-another d\nforge e\nenv SCRIPTED"];
    let (output, outputs) = lab.run(&cells, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(outputs[0], [stream("stdout", "one\n"), stream("stderr", "two\n")]);
    assert_eq!(outputs[1].len(), 1);
    assert_eq!(outputs[1][0]["data"]["text/plain"], json!(["b"]));
    let want = [stream("stdout", "by its kernelspec\n")];
    assert_eq!(outputs[2], want, "not what is about an earlier cell, about another client's, or wrongly signed");
}

#[test]
fn errors_are_errors_however_they_are_said() {
    let lab = Lab::new("message");
    for how in ["error E v", "error-in-reply-only E v", "error-but-reply-ok E v"] {
        let (output, outputs) = lab.run(&["print before", how, "print after"], &[]);
        assert_eq!(output.status.code(), Some(1), "{how}");
        assert_eq!(error(&output), json!({"cell": 2, "kind": "E", "message": "v"}));
        let want =
            json!({"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["one\ntwo", "\u{1b}[31mE"]});
        assert_eq!(outputs[1], [want], "{how}");
        assert_eq!(outputs[2], [] as [Value; 0]);
    }
}

#[test]
fn a_kernel_that_dies_is_an_error_with_its_last_words() {
    let lab = Lab::new("message");
    let (output, outputs) = lab.run(&["print last words\nexit 3", "print never"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error(&output)["kind"], "died");
    assert!(error(&output)["message"].as_str().unwrap().contains("exit status: 3"), "{output:?}");
    assert_eq!(outputs[0][0], stream("stdout", "last words\n"));
    assert!(outputs[1].is_empty());
}

#[test]
fn a_cell_that_takes_too_long_is_interrupted_in_the_kernels_own_way() {
    for (mode, cell) in [("message", "sleep"), ("signal", "sleep-by-signal")] {
        let lab = Lab::new(mode);
        let (output, outputs) = lab.run(&[&format!("print begun\n{cell}"), "print never"], &["--timeout", "1"]);
        assert_eq!(output.status.code(), Some(1));
        let want = json!({"cell": 1, "kind": "interrupted", "message": "it took longer than 1 s"});
        assert_eq!(error(&output), want, "{mode}");
        assert_eq!(outputs[0][0], stream("stdout", "begun\n"));
        assert!(outputs[0][1]["traceback"].to_string().contains("Interrupted: on request"), "{:?}", outputs[0]);
    }
}

#[test]
fn a_kernel_that_does_not_listen_is_ended() {
    let lab = Lab::new("message");
    let (output, outputs) = lab.run(&["deaf"], &["--timeout", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(outputs[0][0]["traceback"].to_string().contains("all variables are lost"), "{:?}", outputs[0]);
}

#[test]
fn a_kernel_that_floods_loses_nothing_and_one_that_is_never_idle_goes_on() {
    let lab = Lab::new("message");
    let (output, outputs) = lab.run(&["flood 10000", "never-idle\nprint a", "print b"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let lines = outputs[0][0]["text"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[9_999]), (10_000, &json!("9999\n")));
    assert_eq!(outputs[1..], [[stream("stdout", "a\n")], [stream("stdout", "b\n")]]);
}

#[test]
fn a_kernel_that_does_not_start_is_told_with_what_it_said() {
    let lab = Lab::new("message");
    let spec = lab.path("data/kernels/broken");
    std::fs::create_dir_all(&spec).unwrap();
    let notebook = lab.notebook("in.ipynb", &[cell("x", json!([]), Value::Null)]);
    let cases = [
        (
            json!(["/bin/sh", "-c", "echo no engine >&2; exit 4"]),
            "ended while starting (exit status: 4); it said:\nno engine",
        ),
        (json!(["/no/such/program"]), "cannot start /no/such/program"),
        (json!([]), "names no command"),
    ];
    for (argv, want) in cases {
        let text = json!({"argv": argv, "display_name": "Broken", "language": "script"}).to_string();
        std::fs::write(spec.join("kernel.json"), text).unwrap();
        let output = lab.command(&["run", notebook.to_str().unwrap(), "--kernel", "broken"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(want), "{said}");
        lab.nothing_is_left();
    }
    let output = lab.command(&["run", notebook.to_str().unwrap(), "--kernel", "none"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("there are broken, scripted"), "{said}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_everything_and_leaves_nothing() {
    use std::io::{BufRead, BufReader};
    let lab = Lab::new("message");
    let source = "print begun\nsleep";
    let notebook = lab.notebook("in.ipynb", &[cell(source, json!([]), json!(1)), cell("print b", json!([]), json!(2))]);
    let path = notebook.to_str().unwrap();
    let cases = [
        (vec!["run", path, "--kernel", "scripted", "-o", "out.ipynb"], "begun", Some(1)),
        (vec!["check", path, path, path, "--kernel", "scripted", "--jobs", "2"], "in.ipynb", Some(2)),
    ];
    for (arguments, sign, code) in cases {
        for signal in ["INT", "TERM"] {
            let mut child = lab.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap().contains(sign)), "{arguments:?}");
            let killed = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
            assert!(killed.success());
            lines.for_each(drop);
            assert_eq!(child.wait().unwrap().code(), code, "{arguments:?}");
            lab.nothing_is_left();
        }
    }
}

#[test]
fn check_runs_on_another_kernel_too() {
    let lab = Lab::new("message");
    let cells = [
        cell("print a", json!([stream("stdout", "a\n")]), json!(1)),
        cell("print b", json!([stream("stdout", "c\n")]), json!(2)),
    ];
    let notebook = lab.notebook("in.ipynb", &cells);
    let check = |more: &[&str]| {
        let arguments = ["check", notebook.to_str().unwrap(), "--kernel", "scripted"];
        lab.command(&[&arguments, more].concat()).output().unwrap()
    };
    let output = check(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("-c\n    +b"), "{said}");
    assert!(said.contains("cell 2, `print b`: stdout"), "{said}");
    assert_eq!(check(&["--update"]).status.code(), Some(0));
    assert_eq!(check(&[]).status.code(), Some(0));
    lab.nothing_is_left();
}

/// Python's own kernel, installed in a lab as `py`; says so where it is not there, and fails in tests/jupyter/run.
fn with_python() -> Option<Lab> {
    let python =
        std::env::var_os("VIRTUAL_ENV").map_or("python3".into(), |prefix| Path::new(&prefix).join("bin/python3"));
    let there = Command::new(&python).args(["-c", "import ipykernel"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("JUPYTER_TESTS").is_none(), "{} has no ipykernel", python.display());
        // Past libtest, which keeps what passing tests print to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {} has no ipykernel (pip install ipykernel)", python.display());
        return None;
    }
    let lab = Lab::new("message");
    let spec = lab.path("data/kernels/py");
    std::fs::create_dir_all(&spec).unwrap();
    let argv = json!([python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]);
    let text = json!({"argv": argv, "display_name": "Python", "language": "python"}).to_string();
    std::fs::write(spec.join("kernel.json"), text).unwrap();
    Some(lab)
}

#[test]
fn pythons_kernel_runs_a_notebook() {
    let Some(lab) = with_python() else { return };
    lab.notebook(
        "in.ipynb",
        &[cell("print('a')\n6 * 7", json!([]), Value::Null), cell("1 / 0", json!([]), Value::Null)],
    );
    let output = lab.command(&["run", "in.ipynb", "--kernel", "py", "--json", "-o", "out.ipynb"]).output().unwrap();
    assert_eq!(error(&output), json!({"cell": 2, "kind": "ZeroDivisionError", "message": "division by zero"}));
    let written: Value = serde_json::from_slice(&std::fs::read(lab.path("out.ipynb")).unwrap()).unwrap();
    assert_eq!(written["cells"][0]["outputs"][1]["data"]["text/plain"], json!(["42"]));
    lab.nothing_is_left();
}

#[test]
fn check_judges_each_cell_as_nbval_does() {
    let Some(lab) = with_python() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nbval");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    std::fs::write(lab.path("cells.ipynb"), read("cells.ipynb")).unwrap();
    std::fs::write(lab.path("sanitize.cfg"), read("sanitize.cfg")).unwrap();
    let nbvals: Value = serde_json::from_slice(&read("verdicts.json")).unwrap();
    for (how, flags) in [("strict", &[][..]), ("lax", &["--lax"])] {
        let arguments = ["check", "cells.ipynb", "--kernel", "py", "--json", "--sanitize-with", "sanitize.cfg"];
        let output = lab.command(&[&arguments, flags].concat()).output().unwrap();
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ours: Vec<&str> = line[0]["cells"].as_array().unwrap().iter().map(verdict_as_nbval_says_it).collect();
        assert_eq!(json!(ours), nbvals[how], "{how}; tests/nbval/make.py makes nbval's");
    }
}

fn verdict_as_nbval_says_it(cell: &Value) -> &'static str {
    match cell["verdict"].as_str().unwrap() {
        "same" | "ran" => "PASSED",
        "skipped" => "SKIPPED",
        "different" | "failed" => "FAILED",
        other => panic!("{other}"),
    }
}

/// The kernel that the other tests start: this test's own program, given a connection file.
///
/// Each line of a cell is a command, and does what it says.
#[test]
#[ignore = "it is the kernel of the other tests"]
fn scripted_kernel() {
    let Some(file) = std::env::args().find(|argument| argument.ends_with(".json")) else { return };
    let info: ConnectionInfo = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Scripted::bind(&info).await.serve().await });
}

struct Scripted {
    shell: KernelShellConnection,
    control: KernelControlConnection,
    iopub: KernelIoPubConnection,
}

impl Scripted {
    async fn bind(info: &ConnectionInfo) -> Self {
        Self {
            iopub: create_kernel_iopub_connection(info, "kernel").await.unwrap(),
            shell: create_kernel_shell_connection(info, "kernel").await.unwrap(),
            control: create_kernel_control_connection(info, "kernel").await.unwrap(),
        }
    }

    async fn serve(mut self) {
        loop {
            tokio::select! {
                request = self.shell.read() => self.answer(&request.unwrap()).await,
                request = self.control.read() => self.obey(&request.unwrap()).await,
            }
        }
    }

    async fn publish(&mut self, content: impl Into<JupyterMessageContent>, about: &JupyterMessage) {
        self.iopub.send(JupyterMessage::new(content, Some(about)).with_zmq_identities(vec![])).await.unwrap();
    }

    async fn answer(&mut self, request: &JupyterMessage) {
        self.publish(Status::busy(), request).await;
        let (reply, idle): (JupyterMessageContent, bool) = match &request.content {
            JupyterMessageContent::ExecuteRequest(execute) => self.execute(&execute.code, request).await,
            _ => (information().into(), true),
        };
        self.shell.send(JupyterMessage::new(reply, Some(request))).await.unwrap();
        if idle {
            self.publish(Status::idle(), request).await;
        }
    }

    async fn obey(&mut self, request: &JupyterMessage) {
        if let JupyterMessageContent::ShutdownRequest(_) = &request.content {
            self.control.send(JupyterMessage::new(ShutdownReply::default(), Some(request))).await.unwrap();
            // The reply is under way when the process ends.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            std::process::exit(0);
        }
        self.control.send(JupyterMessage::new(InterruptReply::new(), Some(request))).await.unwrap();
    }

    /// Runs a cell; gives the reply, and whether the kernel will say that it is idle.
    async fn execute(&mut self, code: &str, request: &JupyterMessage) -> (JupyterMessageContent, bool) {
        let mut idle = true;
        for line in code.lines() {
            let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
            match command {
                "print" => self.publish(StreamContent::stdout(&format!("{rest}\n")), request).await,
                "warn" => self.publish(StreamContent::stderr(&format!("{rest}\n")), request).await,
                "env" => {
                    let value = std::env::var(rest).unwrap();
                    self.publish(StreamContent::stdout(&format!("{value}\n")), request).await;
                }
                "flood" => {
                    for i in 0..rest.parse::<usize>().unwrap() {
                        self.publish(StreamContent::stdout(&format!("{i}\n")), request).await;
                        tokio::task::yield_now().await;
                    }
                }
                "clear" => self.publish(ClearOutput { wait: false }, request).await,
                "show" => {
                    let mut display = DisplayData::from(MediaType::Plain(rest.to_owned()));
                    display.transient = Some(Transient { display_id: Some("x".to_owned()) });
                    self.publish(display, request).await;
                }
                "update" => {
                    let media = vec![MediaType::Plain(rest.to_owned())];
                    self.publish(UpdateDisplayData::new(media.into(), "x"), request).await;
                }
                "print-as-another" => {
                    let another = JupyterMessage::new(StreamContent::stdout(""), None);
                    self.publish(StreamContent::stdout(rest), &another).await;
                }
                "forge" => self.forge(rest, request).await,
                "never-idle" => idle = false,
                "exit" => {
                    // What was said is under way when the process ends.
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    std::process::exit(rest.parse().unwrap());
                }
                "deaf" => std::thread::sleep(std::time::Duration::from_secs(600)),
                "sleep" => {
                    let interrupt = self.control.read().await.unwrap();
                    self.obey(&interrupt).await;
                    return (self.fail("Interrupted", "on request", "error", request).await, true);
                }
                "sleep-by-signal" => {
                    tokio::signal::ctrl_c().await.unwrap();
                    return (self.fail("Interrupted", "on request", "error", request).await, true);
                }
                _ => {
                    let (name, value) = rest.split_once(' ').unwrap();
                    return (self.fail(name, value, command, request).await, true);
                }
            }
        }
        (ExecuteReply::default().into(), idle)
    }

    /// Sends what is not signed.
    async fn forge(&mut self, text: &str, request: &JupyterMessage) {
        let forged = JupyterMessage::new(StreamContent::stdout(text), Some(request)).with_zmq_identities(vec![]);
        let own = self.iopub.mac.take();
        self.iopub.send(forged).await.unwrap();
        self.iopub.mac = own;
    }

    async fn fail(&mut self, name: &str, value: &str, how: &str, request: &JupyterMessage) -> JupyterMessageContent {
        let traceback = vec!["one\ntwo".to_owned(), format!("\u{1b}[31m{name}")];
        let (ename, evalue) = (name.to_owned(), value.to_owned());
        if how != "error-in-reply-only" {
            let error = ErrorOutput { ename: ename.clone(), evalue: evalue.clone(), traceback: traceback.clone() };
            self.publish(error, request).await;
        }
        if how == "error-but-reply-ok" {
            return ExecuteReply::default().into();
        }
        let error = Some(Box::new(ReplyError { ename, evalue, traceback }));
        ExecuteReply { status: ReplyStatus::Error, error, ..ExecuteReply::default() }.into()
    }
}

fn information() -> KernelInfoReply {
    serde_json::from_value(json!({
        "status": "ok", "protocol_version": "5.3", "implementation": "scripted", "implementation_version": "1",
        "language_info": {"name": "script", "version": "1"}, "banner": "", "help_links": [], "debugger": false,
    }))
    .unwrap()
}
