//! The manifest of the crate that cells become, and how evcxr is brought to write it.

use std::path::Path;

/// Where evcxr looks for its settings, in the folder in which it is started.
pub const EVCXR_CONFIG: &str = "evcxr.toml";

/// What evcxr's manifest begins with; its settings of the profile follow behind the value that we choose.
const BEFORE: &str = r#"
[package]
name = "ctx"
version = "1.0.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]
path = "src/lib.rs"

[profile.dev]
opt-level = "#;

const AFTER: &str = r#"
debug = false
strip = "debuginfo"
rpath = true
lto = false
debug-assertions = true
codegen-units = 16
panic = 'unwind'
incremental = true
overflow-checks = true

[dependencies]

"#;

/// The text that evcxr puts where the manifest has `opt-level = `.
///
/// evcxr writes its manifest itself, first without any dependency, and has rust-analyzer load the workspace anew each
/// time that it changes: a second or more before the first cell. It inserts the optimisation level as it stands in
/// `evcxr.toml`, so the level can carry the rest of the profile and the helper crate with it. The settings that evcxr
/// writes behind it then fall to a profile that nobody uses.
///
/// It is a workspace of its own, so that it may lie inside another.
///
/// Cells keep their debug assertions and overflow checks, as people expect of `cargo build`; what they import is
/// compiled for speed, once.
pub fn opt_level(helper: &Path, features: &[String]) -> String {
    let path = toml_string(&helper.to_string_lossy());
    let features = features.iter().map(|feature| toml_string(feature)).collect::<Vec<_>>().join(", ");
    format!(
        r#"2
debug = false
strip = "debuginfo"
rpath = true
codegen-units = 16
incremental = true

[profile.dev.package."*"]
opt-level = 3
debug-assertions = false
overflow-checks = false

[profile.dev.build-override]
opt-level = 0

[dependencies.candlewick]
path = {path}
features = [{features}]

[workspace]

[profile.unused]
inherits = "dev""#
    )
}

/// The whole manifest, as evcxr writes it for a notebook's first cell.
pub fn manifest(helper: &Path, features: &[String]) -> String {
    format!("{BEFORE}{}{AFTER}", opt_level(helper, features))
}

/// evcxr's settings for a session in `folder`.
pub fn evcxr_config(folder: &Path, helper: &Path, features: &[String]) -> String {
    let folder = toml_string(&folder.to_string_lossy());
    let level = toml_string(&opt_level(helper, features));
    // An empty prelude and no dependencies: a person's own `init.evcxr` must not change what a notebook means.
    format!("[evcxr]\ntmpdir = {folder}\nopt_level = {level}\nprelude = \"\"\n")
}

fn toml_string(text: &str) -> String {
    // JSON's escapes are all TOML's too.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_need_escapes_survive() {
        let config = evcxr_config(Path::new("/a \"b\"\\c"), Path::new("/d\ne"), &["hub".to_owned()]);
        assert!(config.contains(r#"tmpdir = "/a \"b\"\\c""#), "{config}");
        assert!(manifest(Path::new("/d\ne"), &["hub".to_owned()]).contains("path = \"/d\\ne\"\nfeatures = [\"hub\"]"));
    }
}
