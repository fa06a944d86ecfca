//! The real binary, as a person starts it. Nothing here needs a session that runs Rust.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candlewick_kernel::lessons::LESSONS;
use candlewick_kernel::notebook::Notebook;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Starts the binary in a throw-away folder.
fn candlewick(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let output = command(arguments).current_dir(folder.path()).output().unwrap();
    let left: Vec<_> = folder.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "{arguments:?} left {left:?}");
    output
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candlewick"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notebooks").join(name).with_extension("ipynb");
    path.to_str().unwrap().to_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_and_version_go_to_standard_output() {
    let commands =
        ["run", "lesson", "check", "lab", "install", "uninstall", "doctor"].map(|command| [command, "--help"]);
    let alone = [["--help"], ["--version"]];
    for arguments in commands.iter().map(|words| &words[..]).chain(alone.iter().map(|words| &words[..])) {
        let output = candlewick(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text.contains("candlewick") && output.stderr.is_empty(), "{arguments:?}: {text}");
    }
}

#[test]
fn wrong_arguments_end_with_status_2_and_nothing_on_standard_output() {
    for arguments in
        [&[][..], &["bake"], &["run"], &["run", "a", "b"], &["lesson", "none_such"], &["run", "--jsn", "a"]]
    {
        let output = candlewick(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn files_that_are_no_rust_notebooks_are_named_with_what_is_wrong() {
    let cases = [
        ("is_not_there", "cannot read"),
        ("not_json", "not JSON (no opening quote in line 3, column 25)"),
        ("not_a_notebook", "it has no \"nbformat\""),
        ("cell_without_source", "cell 2 has no \"source\""),
        ("not_text", "not UTF-8"),
        ("old_format", "the old format 3"),
        ("newer_format", "format 5"),
        ("python", "written in python"),
    ];
    for (name, want) in cases {
        let output = candlewick(&["run", &fixture(name)]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).starts_with("error: ") && stderr(&output).contains(want), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_last_line_for_programs_is_json_even_when_nothing_ran() {
    let output = candlewick(&["run", "nowhere.ipynb", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(line["error"]["kind"], "set-up");
    assert!(line["error"]["message"].as_str().unwrap().contains("nowhere.ipynb"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn closed_pipes_are_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&["run", "nowhere.ipynb", "--json"]);
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "a panic would end with 101");
}

#[test]
fn every_lesson_is_a_rust_notebook_that_we_can_run() {
    for lesson in LESSONS {
        let notebook = Notebook::parse(lesson.text).unwrap_or_else(|why| panic!("{}: {why}", lesson.name));
        assert_eq!(notebook.language().as_deref(), Some("rust"), "{}", lesson.name);
    }
    println!("{} lessons", LESSONS.len());
}

/// In an environment of its own: only these variables, no home, no path.
fn alone(arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(arguments);
    command.env_clear().envs(variables.iter().copied()).current_dir(folder.path());
    command.output().unwrap()
}

#[test]
fn kernelspecs_come_and_go_where_they_are_told_to() {
    let root = tempfile::tempdir().unwrap();
    let (home, venv, prefix) = (root.path().join("home"), root.path().join("venv"), root.path().join("prefix"));
    let prefix_flag = ["--prefix", prefix.to_str().unwrap()];
    let kernels = "share/jupyter/kernels";
    let cases: [(&[&str], PathBuf); 4] = [
        (&[], home.join(".local").join(kernels)),
        (&["--user", "--name", "mine"], home.join(".local").join(kernels)),
        (&["--sys-prefix"], venv.join(kernels)),
        (&prefix_flag, prefix.join(kernels)),
    ];
    let variables = [("HOME", home.as_path()), ("VIRTUAL_ENV", venv.as_path())];
    for (place, folder) in cases {
        let name = if place.contains(&"mine") { "mine" } else { "candlewick" };
        let output = alone(&[&["install"], place].concat(), &variables);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("in a build folder"), "a test's program is in target/: {}", stderr(&output));
        let spec = std::fs::read(folder.join(name).join("kernel.json")).unwrap();
        let spec: serde_json::Value = serde_json::from_slice(&spec).unwrap();
        assert_eq!(spec["argv"][0], env!("CARGO_BIN_EXE_candlewick"));
        let output = alone(&[&["uninstall"], place].concat(), &variables);
        assert!(output.status.success() && !folder.join(name).exists(), "{}", stderr(&output));
    }
    let output = alone(&["install", "--stock"], &variables);
    assert!(output.status.success() && home.join(".local").join(kernels).join("candlewick-stock").is_dir());
    assert!(alone(&["uninstall"], &variables).status.success());
    assert_eq!(home.join(".local").join(kernels).read_dir().unwrap().count(), 0, "both are gone");
    assert!(stderr(&alone(&["uninstall"], &variables)).contains("There is no kernel candlewick"));
}

#[test]
fn kernelspecs_that_cannot_be_are_refused_with_the_cure() {
    let root = tempfile::tempdir().unwrap();
    let variables = [("HOME", root.path())];
    let cases: [(&[&str], &str); 4] = [
        (&["install", "--sys-prefix"], "activate one, or name its folder with --prefix"),
        (&["install", "--name", "../x"], "cannot be a kernel's name"),
        (&["install", "--user", "--sys-prefix"], "cannot be used with"),
        (&["uninstall", "--sys-prefix"], "no virtual environment is active"),
    ];
    for (arguments, want) in cases {
        let output = alone(arguments, &variables);
        assert!(output.status.code() == Some(2) && stderr(&output).contains(want), "{}", stderr(&output));
    }
    assert_eq!(root.path().read_dir().unwrap().count(), 0);
}

#[test]
fn doctor_names_what_is_missing_with_its_cure() {
    let root = tempfile::tempdir().unwrap();
    let (empty, cache) = (root.path().join("empty"), root.path().join("cache"));
    std::fs::create_dir(&empty).unwrap();
    let variables = [("PATH", empty.as_path()), ("HOME", root.path()), ("CANDLEWICK_CACHE", cache.as_path())];
    let output = alone(&["doctor", "--json"], &variables);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let state = |about: &str| {
        let checks = found["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["about"] == about).unwrap_or_else(|| panic!("{about}: {found}"));
        (check["state"].as_str().unwrap(), check["cure"].as_str().unwrap_or_default())
    };
    for about in ["Rust compiler", "Cargo", "Linker", "Crates for cells"] {
        assert!(matches!(state(about), ("bad", cure) if cure.contains("https://rustup.rs")), "{about}: {found}");
    }
    for (about, cure) in [
        ("Completion", "rust-src"),
        ("Python", "python3"),
        ("JupyterLab", "candlewick lab"),
        ("Kernel in Jupyter", "install"),
    ] {
        assert!(matches!(state(about), ("poor", text) if text.contains(cure)), "{about}: {found}");
    }
    for about in ["Cache folder", "Sessions", "Weights", "Processor", "GPU"] {
        assert_eq!(state(about).0, "good", "{about}: {found}");
    }
    let said = stderr(&output);
    assert!(said.contains("✗ Rust compiler: there is no rustc\n    install Rust from https://rustup.rs"), "{said}");
}

#[test]
fn doctor_sees_what_is_wrong_in_the_cache() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = alone(&["doctor"], &[("CANDLEWICK_CACHE", &file.join("under a file"))]);
    let said = stderr(&output);
    assert!(said.contains("cannot be written") && said.contains("set CANDLEWICK_CACHE"), "{said}");
    let cache = root.path().join("cache");
    std::fs::create_dir_all(cache.join("sessions/session-dead")).unwrap();
    std::fs::write(cache.join("sessions/session-dead/alive.lock"), "").unwrap();
    std::fs::write(cache.join("mobilenet_v2-b0353104.pth"), "half").unwrap();
    let said = stderr(&alone(&["doctor"], &[("CANDLEWICK_CACHE", &cache)]));
    assert!(said.contains("! Sessions: 0 open, 1 left behind"), "{said}");
    assert!(said.contains("has 4 bytes and should have 14212972"), "{said}");
}

#[test]
fn doctor_finds_a_kernel_whose_program_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let variables = [("HOME", root.path()), ("CANDLEWICK_CACHE", root.path())];
    assert!(alone(&["install"], &variables).status.success());
    assert!(stderr(&alone(&["doctor"], &variables)).contains("✓ Kernel in Jupyter"));
    let file = root.path().join(".local/share/jupyter/kernels/candlewick/kernel.json");
    let text = std::fs::read_to_string(&file).unwrap().replace(env!("CARGO_BIN_EXE_candlewick"), "/gone/candlewick");
    std::fs::write(&file, text).unwrap();
    let said = stderr(&alone(&["doctor"], &variables));
    assert!(said.contains("starts /gone/candlewick, which is gone\n    candlewick install"), "{said}");
}

#[test]
fn lab_without_python_or_network_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let variables = [("HOME", root.path()), ("CANDLEWICK_CACHE", root.path())];
    let output = alone(&["lab"], &variables);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("install Python"), "{}", stderr(&output));
    let output = alone(&["lab", "no such folder"], &variables);
    assert!(stderr(&output).contains("no such folder is no folder"), "{}", stderr(&output));
}

/// A program of a shell script's.
#[cfg(unix)]
fn script(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn lab_starts_the_jupyterlab_it_finds_and_ends_as_it_ends() {
    let root = tempfile::tempdir().unwrap();
    let (bin, notebooks) = (root.path().join("bin"), root.path().join("notebooks"));
    script(&bin, "jupyter-lab", "echo \"$PWD: $*\"; exit 7");
    std::fs::create_dir(&notebooks).unwrap();
    let folder = notebooks.to_str().unwrap();
    let arguments = ["lab", "--no-browser", "--port", "9999", folder, "--", "--debug", "x"];
    let output = alone(&arguments, &[("HOME", root.path()), ("PATH", &bin)]);
    assert_eq!(output.status.code(), Some(7));
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(said.trim_end().ends_with("notebooks: --no-browser --port 9999 --debug x"), "{said} {}", stderr(&output));
    assert!(root.path().join(".local/share/jupyter/kernels/candlewick/kernel.json").is_file());
}

#[cfg(unix)]
#[test]
fn lab_installs_a_jupyterlab_of_its_own_once_and_only_whole() {
    let root = tempfile::tempdir().unwrap();
    let (bin, cache) = (root.path().join("bin"), root.path().join("cache"));
    let variables = [("HOME", root.path()), ("PATH", &bin), ("CANDLEWICK_CACHE", &cache)];
    // A Python that makes an environment of shell scripts, whose pip needs a file for a network.
    let parts = root.path().join("parts");
    script(&bin, "python3", r#"/bin/mkdir -p "$3/bin" && echo "making $3" && /bin/cp "$HOME/parts/python" "$3/bin""#);
    let pip = r#"echo "pip: $*"; [ -e "$HOME/online" ] || { echo no network; exit 1; }; /bin/cp "$HOME/parts/jupyter-lab" "${0%/*}""#;
    script(&parts, "python", pip);
    script(&parts, "jupyter-lab", "echo lab runs");
    let output = alone(&["lab"], &variables);
    let said = stderr(&output);
    assert!(
        output.status.code() == Some(2) && said.contains("needs the network once") && said.contains("no network"),
        "{said}"
    );
    std::fs::write(root.path().join("online"), "").unwrap();
    let output = alone(&["lab"], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("pip: -m pip install") && stderr(&output).contains("making "),
        "what pip says is shown"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "lab runs\n");
    assert!(cache.join("jupyter/share/jupyter/kernels/candlewick/kernel.json").is_file());
    let again = alone(&["lab"], &variables);
    assert!(again.status.success() && !stderr(&again).contains("pip"), "{}", stderr(&again));
}

#[test]
fn kernel_and_stock_are_for_jupyter_and_not_in_the_help() {
    let help = String::from_utf8(candlewick(&["--help"]).stdout).unwrap();
    assert!(help.contains("doctor") && !help.contains("kernel --") && !help.contains("\n  stock"), "{help}");
    for arguments in [&["kernel"][..], &["stock"], &["kernel", "--connection-file"]] {
        assert_eq!(candlewick(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let output = candlewick(&["stock", "--connection-file", "no such file"]);
    assert!(!output.status.success() && stderr(&output).contains("No such file"), "{}", stderr(&output));
}

/// evcxr asks whether a dependency exists with a manifest that has no other; what is locked must not hear of it.
#[cfg(unix)]
#[test]
fn asking_for_a_crate_leaves_the_locked_ones_alone() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("mine/Cargo.toml", "[package]\nname = \"mine\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    write("mine/src/lib.rs", "");
    let asked = |path: &str| {
        let package = "[package]\nname = \"evcxr_dummy_validate_dep\"\n[lib]\npath = \"lib.rs\"\n[dependencies]\n";
        write("session/Cargo.toml", &format!("{package}mine = {{ path = {:?} }}\n", folder.path().join(path)));
        let cargo = folder.path().join("cargo");
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_candlewick"), &cargo);
        let mut command = Command::new(cargo);
        command.args(["metadata", "--format-version=1", "--offline"]).current_dir(folder.path().join("session"));
        let real = std::env::var_os("CARGO").expect("tests are run by cargo");
        command.env("CANDLEWICK_REAL_CARGO", real).env("EVCXR_CORE_EXTERN", "").output().unwrap()
    };
    let lock = "version = 4\n\n[[package]]\nname = \"ctx\"\nversion = \"1.0.0\"\n";
    write("session/Cargo.lock", lock);
    let there = asked("mine");
    assert!(there.status.success(), "{}", stderr(&there));
    assert!(String::from_utf8_lossy(&there.stdout).contains("\"name\":\"mine\""), "{there:?}");
    let missing = asked("theirs");
    assert!(!missing.status.success() && stderr(&missing).contains("theirs"), "{}", stderr(&missing));
    assert_eq!(std::fs::read_to_string(folder.path().join("session/Cargo.lock")).unwrap(), lock);
}
