//! Names that packages keep to themselves. evcxr has rust-analyzer take every package for the user's own, whose private
//! names it offers, too.

use super::cell::words;
use proc_macro2::{Ident, TokenStream, TokenTree};
use regex::Regex;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;
use syn::visit::{self, Visit};
use syn::{Field, ImplItem, Item, TraitItem, UseTree, Visibility};

/// The packages whose names a notebook completes most, and which are read for this.
const PACKAGES: [&str; 3] = ["candlewick", "candle-core", "candle-nn"];

/// What a name is of: a field and a function may have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A function or a macro.
    Function,
    /// A type, a trait, a module.
    Type,
    /// A field, a constant, a variant.
    Value,
}

impl Kind {
    /// The kind that evcxr calls so.
    fn called(name: &str) -> Self {
        match name {
            "function" => Self::Function,
            "class" | "module" => Self::Type,
            _ => Self::Value,
        }
    }
}

/// The names in some packages' sources, and whether one of that name is for everybody.
#[derive(Debug, Default)]
pub struct Names(HashMap<(Kind, String), bool>);

impl Names {
    /// Of the packages that the cells of the current folder import; none where cargo does not tell.
    pub fn here() -> Self {
        let mut names = Self::default();
        // By their whole names: as stand-ins they tell themselves from the real ones by these.
        let tool = |variable: &str, name: &str| Command::new(std::env::var_os(variable).unwrap_or_else(|| name.into()));
        let cargo = tool("CARGO", "cargo").args(["metadata", "--format-version", "1", "--offline"]).output();
        let metadata: serde_json::Value =
            cargo.ok().and_then(|told| serde_json::from_slice(&told.stdout).ok()).unwrap_or_default();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let is_wanted = package["name"].as_str().is_some_and(|name| PACKAGES.contains(&name));
            let manifest = package["manifest_path"].as_str().filter(|_| is_wanted);
            if let Some(folder) = manifest.and_then(|manifest| Path::new(manifest).parent()) {
                names.read(&folder.join("src"));
            }
        }
        let root =
            tool("RUSTC", "rustc").args(["--print", "sysroot"]).output().map(|told| told.stdout).unwrap_or_default();
        let library = Path::new(String::from_utf8_lossy(&root).trim()).join("lib/rustlib/src/rust/library");
        for part in ["core", "alloc", "std"] {
            names.pass_on(&library.join(part).join("src"));
        }
        names
    }

    /// Whatever is defined below a folder may be used: the standard library, too large to be read word by word.
    fn pass_on(&mut self, folder: &Path) {
        let Ok(definition) = Regex::new(r"\b(?:const )?(fn|struct|enum|trait|type|mod|union|const|static) (\w+)")
        else {
            return;
        };
        each_source(folder, &mut |text| {
            for found in definition.captures_iter(text) {
                let kind = match &found[1] {
                    "fn" => Kind::Function,
                    "const" | "static" => Kind::Value,
                    _ => Kind::Type,
                };
                self.0.insert((kind, found[2].to_owned()), true);
            }
        });
    }

    /// Takes in the sources below a folder; what cannot be read is left out.
    fn read(&mut self, folder: &Path) {
        each_source(folder, &mut |text| {
            if let Ok(file) = syn::parse_file(text) {
                self.visit_file(&file);
            }
        });
    }

    /// Whether everything of a completion's name, among what evcxr calls `kind`, is private; not where it is one of the
    /// notebook's `own` words.
    pub fn keep(&self, kind: &str, completion: &str, own: &BTreeSet<String>) -> bool {
        let name = words(completion.split(['(', '!', '<', ' ', ':']).next().unwrap_or_default()).pop_first();
        name.is_some_and(|name| !own.contains(&name) && self.0.get(&(Kind::called(kind), name)) == Some(&false))
    }

    fn note(&mut self, kind: Kind, name: &Ident, public: bool) {
        *self.0.entry((kind, name.to_string())).or_default() |= public;
    }

    fn note_any(&mut self, name: &Ident) {
        for kind in [Kind::Function, Kind::Type, Kind::Value] {
            self.note(kind, name, true);
        }
    }

    /// What a macro makes of its words, nobody knows here.
    fn note_all(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(name) => self.note_any(&name),
                TokenTree::Group(group) => self.note_all(group.stream()),
                _ => {}
            }
        }
    }

    /// A name that is passed on under `public use` may be of anything.
    fn note_use(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.note_use(&path.tree),
            UseTree::Name(name) => self.note_any(&name.ident),
            UseTree::Rename(name) => self.note_any(&name.rename),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_use(tree)),
            UseTree::Glob(_) => {}
        }
    }
}

/// Shows each Rust source below a folder.
fn each_source(folder: &Path, show: &mut dyn FnMut(&str)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            each_source(&path, show);
        } else if path.extension().is_some_and(|end| end == "rs")
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            show(&text);
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            // What is defined within a function is nobody else's.
            Item::Fn(item) => return self.note(Kind::Function, &item.sig.ident, is_public(&item.vis)),
            Item::Const(item) => return self.note(Kind::Value, &item.ident, is_public(&item.vis)),
            Item::Static(item) => return self.note(Kind::Value, &item.ident, is_public(&item.vis)),
            Item::Macro(item) => return self.note_all(item.mac.tokens.clone()),
            Item::Use(item) if is_public(&item.vis) => return self.note_use(&item.tree),
            Item::Enum(item) => {
                self.note(Kind::Type, &item.ident, is_public(&item.vis));
                for variant in &item.variants {
                    self.note(Kind::Value, &variant.ident, true);
                    variant
                        .fields
                        .iter()
                        .filter_map(|f| f.ident.as_ref())
                        .for_each(|f| self.note(Kind::Value, f, true));
                }
                return;
            }
            Item::Struct(item) => self.note(Kind::Type, &item.ident, is_public(&item.vis)),
            Item::Union(item) => self.note(Kind::Type, &item.ident, is_public(&item.vis)),
            Item::Type(item) => self.note(Kind::Type, &item.ident, is_public(&item.vis)),
            Item::Trait(item) => self.note(Kind::Type, &item.ident, is_public(&item.vis)),
            Item::Mod(item) => self.note(Kind::Type, &item.ident, is_public(&item.vis)),
            Item::Impl(item) => {
                let of_trait = item.trait_.is_some();
                for item in &item.items {
                    self.note_member(item, of_trait);
                }
                return;
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if let Some(name) = &field.ident {
            self.note(Kind::Value, name, is_public(&field.vis));
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        match item {
            TraitItem::Fn(item) => self.note(Kind::Function, &item.sig.ident, true),
            TraitItem::Const(item) => self.note(Kind::Value, &item.ident, true),
            TraitItem::Type(item) => self.note(Kind::Type, &item.ident, true),
            TraitItem::Macro(item) => self.note_all(item.mac.tokens.clone()),
            _ => {}
        }
    }
}

impl Names {
    /// What is implemented for a trait is for everybody.
    fn note_member(&mut self, item: &ImplItem, of_trait: bool) {
        match item {
            ImplItem::Fn(item) => self.note(Kind::Function, &item.sig.ident, of_trait || is_public(&item.vis)),
            ImplItem::Const(item) => self.note(Kind::Value, &item.ident, of_trait || is_public(&item.vis)),
            ImplItem::Type(item) => self.note(Kind::Type, &item.ident, of_trait || is_public(&item.vis)),
            ImplItem::Macro(item) => self.note_all(item.mac.tokens.clone()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
        pub use inner::{passed_on, Real as Renamed};
        mod inner { pub(crate) fn passed_on() {} fn kept() {} }
        pub struct Set { photos: u8, pub size: u8 }
        impl Set { pub fn photos(&self) {} fn push(&self) {} pub(super) fn counted(&self) {} fn both(&self) {} }
        impl Drop for Set { fn drop(&mut self) { fn within() {} } }
        trait Both { fn both(&self); }
        enum Choice { First { field: u8 } }
        unary!(exp, Exp);
        fn exp() {}
    ";

    #[test]
    fn names_that_are_private_wherever_they_stand_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/lib.rs"), SOURCE).unwrap();
        std::fs::write(folder.path().join("broken.rs"), "fn (").unwrap();
        let mut names = Names::default();
        names.read(folder.path());
        std::fs::create_dir(folder.path().join("std")).unwrap();
        std::fs::write(folder.path().join("std/vec.rs"), "impl<T> Vec<T> { pub const fn push(&mut self) {} }").unwrap();
        names.pass_on(&folder.path().join("std"));
        let own = words("set.");
        for (kind, completion) in [("function", "kept()"), ("instance", "photos"), ("function", "counted()")] {
            assert!(names.keep(kind, completion, &own), "{completion}");
        }
        for (kind, completion) in [
            ("function", "photos()"),
            ("instance", "size"),
            ("function", "both()"),
            ("function", "drop()"),
            ("function", "passed_on()"),
            ("function", "push(value)"),
            ("instance", "First"),
            ("instance", "field"),
            ("function", "exp()"),
            ("function", "of_nobody()"),
            ("class", "Renamed"),
        ] {
            assert!(!names.keep(kind, completion, &own), "{completion}");
        }
        assert!(!names.keep("function", "kept()", &words("fn kept() {}")), "it is the notebook's own");
    }
}
