//! The README's two commands share what they compile: rust-analyzer, on which evcxr stands, takes minutes.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

/// Every package with its features, as cargo would build it for `arguments`.
fn packages(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(std::env::var_os("CARGO").expect("run by cargo"))
        .args(["tree", "--offline", "--prefix", "none", "--format", "{p} with {f}"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
}

fn name(package: &str) -> &str {
    package.split(' ').next().unwrap_or_default()
}

#[test]
fn cargo_test_finds_what_cargo_run_has_built() {
    let run = packages(&["-p", "candlewick-kernel", "--edges", "normal,build"]);
    let test = packages(&["--workspace", "--edges", "normal,build,dev"]);
    let evcxr = packages(&["-p", "evcxr", "--edges", "normal,build"]);
    assert!(evcxr.iter().any(|package| name(package) == "ra_ap_hir"), "{evcxr:?}");
    let under_evcxr: BTreeSet<&str> = evcxr.iter().map(|package| name(package)).collect();
    let again: Vec<_> = run.difference(&test).filter(|package| under_evcxr.contains(name(package))).collect();
    assert!(again.is_empty(), "compiled twice; ask for their features in kernel/Cargo.toml: {again:#?}");
}
