//! The installed Jupyter kernel, over its protocol, with cells that run Rust.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use candlewick_kernel::client::KernelSession;
use candlewick_kernel::kernelspec::{self, Folders};
use candlewick_kernel::session::{Options, Outcome, Output, Session};
use std::ffi::OsString;

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

    /// Runs a cell, and interrupts it when it says `ready`.
    fn run(&mut self, code: &str) -> (Vec<Output>, Outcome) {
        let control = self.session.control();
        let mut outputs = Vec::new();
        let outcome = self.session.execute(code, &mut |output: Output| {
            if matches!(&output, Output::Stdout(text) if text.contains("ready")) {
                control.interrupt();
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
fn a_compiler_under_way_is_ended_and_nothing_is_lost() {
    let mut kernel = Kernel::start();
    kernel.printed("let kept = 4;");
    // Types that double with every line: this takes the compiler minutes.
    let endless = "trait Deep { fn deep(&self) -> u64; }\nimpl Deep for () { fn deep(&self) -> u64 { 1 } }\n\
                   impl<T: Deep> Deep for (T, T) { fn deep(&self) -> u64 { self.0.deep() + self.1.deep() } }\n";
    let doubled = (0..22).map(|n| format!("let a{} = (a{n}, a{n});\n", n + 1)).collect::<String>();
    let code = format!("{endless}{{ let a0 = ();\n{doubled}println!(\"{{}}\", a22.deep()); }}");
    let control = kernel.session.control();
    let asker = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(1500));
        control.interrupt();
    });
    let outcome = kernel.run(&code).1;
    asker.join().unwrap();
    let untouched = |message: &str| message.contains("nothing of it has run");
    assert!(matches!(&outcome, Outcome::Interrupted(report) if untouched(&report.message)), "{outcome:?}");
    assert_eq!(kernel.printed("println!(\"{kept}\");"), "4\n");
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
