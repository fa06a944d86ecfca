//! The installed Jupyter kernel, over its protocol, with cells that run Rust.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick_kernel::client::KernelSession;
use candlewick_kernel::kernelspec::{self, Folders};
use candlewick_kernel::session::{Options, Outcome, Output, Session};
use std::ffi::OsString;
use std::io::{BufRead, Write};

/// Our kernel, installed in a folder of its own and started from there.
struct Kernel {
    session: KernelSession,
    _folder: tempfile::TempDir,
}

impl Kernel {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let jupyter = ["JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"];
        let mut install = candlewick_tests::candlewick();
        install.args(["install", "--user"]).envs(jupyter.map(|name| (name, folder.path())));
        assert!(install.output().unwrap().status.success());
        let here = folder.path().as_os_str().to_owned();
        let variable = |name: &str| -> Option<OsString> {
            if jupyter.contains(&name) { Some(here.clone()) } else { std::env::var_os(name) }
        };
        let folders = Folders { variable: &variable, ..Folders::here() };
        let installed = kernelspec::find("candlewick", &folders).unwrap();
        let session = KernelSession::open(&installed, &folders, &Options::default()).unwrap();
        Self { session, _folder: folder }
    }

    /// Runs a cell, and interrupts it when it says or shows `ready`.
    fn run(&mut self, code: &str) -> (Vec<Output>, Outcome) {
        let control = self.session.control();
        let (mut outputs, mut interrupted) = (Vec::new(), false);
        let outcome = self.session.execute(code, &mut |output: Output| {
            let ready = match &output {
                Output::Stdout(text) => text.contains("ready"),
                Output::Display { media, .. } => media.values().any(|shown| shown.contains("ready")),
                _ => false,
            };
            if ready && !interrupted {
                control.interrupt();
                interrupted = true;
            }
            outputs.push(output);
        });
        (outputs, outcome)
    }

    fn printed(&mut self, code: &str) -> String {
        let (outputs, outcome) = self.run(code);
        assert_eq!(outcome, Outcome::Done, "{code}");
        outputs.iter().map(|output| if let Output::Stdout(text) = output { text.as_str() } else { "" }).collect()
    }

    /// What the kernel says of a cell that is interrupted.
    fn interrupted(&mut self, code: &str) -> String {
        match self.run(code) {
            (_, Outcome::Interrupted(report)) => format!("{}\n{}", report.message, report.detail),
            (_, other) => panic!("{code}: {other:?}"),
        }
    }
}

#[test]
fn an_interrupt_keeps_variables_where_the_cell_listens_and_names_them_where_it_does_not() {
    let mut kernel = Kernel::start();
    kernel.printed("fn twice(x: i32) -> i32 { 2 * x }\nlet kept = 4;");
    let listens = "println!(\"ready\");\nwhile !candlewick::notebook::interrupted() {\n    \
                   std::thread::sleep(std::time::Duration::from_millis(5));\n}\nlet reached = 7;";
    assert!(kernel.interrupted(listens).contains("all variables are there"));
    assert_eq!(kernel.printed("println!(\"{reached} {kept}\");"), "7 4\n");

    let message = kernel.interrupted("println!(\"ready\");\nloop {\n    std::hint::spin_loop();\n}");
    assert!(message.contains("kept") && message.contains("reached"), "what is lost is named: {message}");
    let (_, outcome) = kernel.run("println!(\"{kept}\");");
    assert!(
        matches!(&outcome, Outcome::Error { message, .. } if message.contains("cannot find value `kept`")),
        "{outcome:?}"
    );
    assert_eq!(kernel.printed("println!(\"{}\", twice(21));"), "42\n", "definitions are still there");
}

#[test]
fn training_and_the_reading_of_photos_stop_and_keep_what_they_reached() {
    let mut kernel = Kernel::start();
    kernel.printed(
        "use candlewick::prelude::*;\nlet photos = sketches(Sketches::CatsVsDogs, 60, 1);\n\
         let (training, validation) = photos.split(0.8, 1)?;\n\
         fn new(data: &Dataset) -> Result<TransferModel> {\n    \
         Ok(TransferModel::new(MobileNetV2::random(1)?.freeze()?, data.classes())?.keep_features_in(None))\n}\n\
         let mut model = new(&photos)?;",
    );
    let message = kernel.interrupted("println!(\"ready\");\nloop {\n    new(&photos)?.features(&photos)?;\n}");
    assert!(message.contains("interrupted") && message.contains("earlier cells are there"), "{message}");
    let message = kernel.interrupted(
        "let few = FitOptions { epochs: 1, ..FitOptions::default() };\nmodel.fit(&training, &validation, few)?;\n\
         println!(\"ready\");\n\
         let history = model.fit(&training, &validation, FitOptions { epochs: 1_000_000, ..FitOptions::default() })?;",
    );
    assert!(message.contains("all variables are there"), "{message}");
    assert_eq!(
        kernel.printed("println!(\"{} {}\", history.interrupted, history.epochs.len() < 1_000_000);"),
        "true true\n"
    );
    assert_eq!(kernel.printed("println!(\"{}\", model.predict(&validation)?.len());"), "24\n");
}

/// A server that sends the first bytes of a file and then nothing, for as long as anybody waits.
fn silent_server() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/file", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The request is read until its empty line; what it asks for is known.
            let lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfirst").unwrap();
            kept.push(stream);
        }
    });
    address
}

#[test]
fn a_download_stops_and_what_has_come_is_kept() {
    let mut kernel = Kernel::start();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    kernel
        .printed(&format!("use candlewick::fetch::{{Remote, download}};\nlet to = std::path::PathBuf::from({to:?});"));
    let message = kernel.interrupted(&format!(
        "let remote = Remote {{ url: {:?}, sha256: \"{}\", bytes: 1000, what: \"ready\" }};\ndownload(&remote, &to)?;",
        silent_server(),
        "0".repeat(64),
    ));
    assert!(message.contains("interrupted") && message.contains("earlier cells are there"), "{message}");
    assert_eq!(kernel.printed("println!(\"{}\", to.exists());"), "false\n");
    assert_eq!(std::fs::read(folder.path().join("file.part")).unwrap(), b"first");
}

#[cfg(unix)]
#[test]
fn a_compiler_under_way_is_ended_and_nothing_is_lost() {
    let mut kernel = Kernel::start();
    kernel.printed("let kept = 4;");
    // The compiler reads a pipe in which nothing ever comes: this takes it for ever, and it says when it has begun. Where
    // the cell binds a variable, another compiler looks at it meanwhile.
    for begins in ["println!(\"{}\", ", "let text = ("] {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let code = format!("{begins}include_str!({pipe:?}));");
        let control = kernel.session.control();
        let asker = std::thread::spawn(move || {
            let written = std::fs::File::create(pipe);
            control.interrupt();
            written
        });
        let outcome = kernel.run(&code).1;
        drop(asker.join().unwrap().unwrap());
        let untouched = |message: &str| message.contains("nothing of it has run");
        assert!(matches!(&outcome, Outcome::Interrupted(report) if untouched(&report.message)), "{outcome:?}");
        assert_eq!(kernel.printed("println!(\"{kept}\");"), "4\n");
    }
}

/// What runs while a cell is loaded, before the helper crate hears of it, cannot be asked.
#[cfg(target_os = "linux")]
#[test]
fn a_cell_that_hangs_while_it_is_loaded_is_ended() {
    let mut kernel = Kernel::start();
    kernel.printed("let kept = 4;");
    let message = kernel.interrupted(
        "extern \"C\" fn hang() {\n    println!(\"ready\");\n    loop { std::hint::spin_loop(); }\n}\n\
         #[used]\n#[unsafe(link_section = \".init_array\")]\nstatic HANGS: extern \"C\" fn() = hang;\n1 + 1",
    );
    assert!(message.contains("did not stop") && message.contains("`kept` is gone"), "{message}");
    assert_eq!(kernel.printed("let kept = 5;\nprintln!(\"{kept}\");"), "5\n");
}

#[cfg(unix)]
#[test]
fn what_a_cell_has_started_is_interrupted_with_it() {
    let mut kernel = Kernel::start();
    kernel.printed("let kept = 4;");
    let sleeps = "println!(\"ready\");\nlet slept = std::process::Command::new(\"sleep\").arg(\"600\").status()?;";
    assert!(kernel.interrupted(sleeps).contains("all variables are there"));
    assert_eq!(kernel.printed("println!(\"{kept} {}\", slept.success());"), "4 false\n");
    // What does not stop, is ended with the cell.
    let (outputs, outcome) = kernel.run(
        "use std::io::Write;\nlet child = std::process::Command::new(\"sh\").args([\"-c\", \"trap '' INT; read x\"])\n    \
         .stdin(std::process::Stdio::piped()).spawn()?;\nprintln!(\"{} ready\", child.id());\nstd::mem::forget(child);\n\
         loop { std::hint::spin_loop(); }",
    );
    assert!(matches!(outcome, Outcome::Interrupted(_)), "{outcome:?}");
    let said: String = outputs.iter().map(|output| if let Output::Stdout(text) = output { text } else { "" }).collect();
    let number = said.split_whitespace().next().unwrap();
    kernel.printed("1 + 1;");
    let is_there = || std::process::Command::new("kill").args(["-0", number]).output().unwrap().status.success();
    // It has been killed; that it is gone is for the system to do.
    while is_there() {
        std::thread::yield_now();
    }
}

/// Neither what the dead process held nor what a cell would have dropped.
#[test]
fn a_process_that_dies_takes_all_variables_with_it() {
    let mut kernel = Kernel::start();
    kernel.printed("struct P { a: i32 }\nlet p = P { a: 1 };");
    let (_, outcome) = kernel.run("struct P { a: i64 }\nstd::process::abort();");
    assert!(!matches!(outcome, Outcome::Done), "{outcome:?}");
    assert_eq!(kernel.printed("let p = 1;\nprintln!(\"{p}\");"), "1\n");
    assert_eq!(kernel.printed("let p = 2;\nprintln!(\"{p}\");"), "2\n");
}

#[test]
fn an_interrupted_cell_that_ends_its_process_is_told_so() {
    let mut kernel = Kernel::start();
    kernel.printed("let kept = 4;");
    let message = kernel
        .interrupted("println!(\"ready\");\nwhile !candlewick::notebook::interrupted() {}\nstd::process::exit(7);");
    assert!(message.contains("by itself") && message.contains("`kept` is gone"), "{message}");
}

#[test]
fn outputs_come_live_and_displays_are_replaced() {
    let mut kernel = Kernel::start();
    let (outputs, outcome) = kernel.run(
        "use candlewick::notebook::{Progress, display};\nlet progress = Progress::new(\"Counting\", Some(3), \"sheep\");\n\
         display::update(\"count\", \"one\");\nprint!(\"between\");\nprogress.advance(3);\n\
         display::update(\"count\", \"two\");\ndrop(progress);\n6 * 7",
    );
    assert_eq!(outcome, Outcome::Done);
    let shown: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Display { media, id: Some(_) } => Some(media["text/plain"].clone()),
            Output::Stdout(text) => Some(text.clone()),
            Output::Result { media } => Some(media["text/plain"].clone()),
            _ => None,
        })
        .collect();
    let place = |text: &str| shown.iter().position(|shown| shown.starts_with(text));
    assert!(place("one") < place("between") && place("between") < place("two"), "{shown:?}");
    assert_eq!(shown.last().map(String::as_str), Some("42"), "{shown:?}");
    assert!(shown.iter().any(|text| text.contains("Counting") && text.contains('3')), "{shown:?}");
}

#[test]
fn what_is_printed_without_a_newline_is_seen_while_the_cell_runs() {
    let mut kernel = Kernel::start();
    // It ends only when what it has printed has been seen.
    let code = "print!(\"ready\");\nwhile !candlewick::notebook::interrupted() {\n    std::thread::yield_now();\n}";
    assert!(kernel.interrupted(code).contains("all variables are there"));
}
