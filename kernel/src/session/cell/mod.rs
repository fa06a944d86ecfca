//! What a cell's text becomes before evcxr compiles it.
//!
//! evcxr keeps variables itself, and asks rust-analyzer for their types: seconds for the first `let`, no answer where
//! the standard library's sources are missing; and it reports a panic or an early `?` as success. So the statements of
//! a cell become the body of one closure that evcxr sees as a single expression, `(::candlewick::cell::run)(…)`. The helper
//! crate keeps the variables and tells how the cell ended; the compiler itself names the types ([`super::compiler`]).
//! Items (`fn`, `struct`, `use`…) stay outside the closure, where evcxr keeps them for later cells.

mod given;
mod impls;
mod parts;
#[cfg(test)]
mod tests;

pub use given::{Judged, judged_alone, judged_as_it_is, line_within};
pub use parts::{first_words, is_plain_function, split_commands, statements, without_items, words};

pub use impls::{CONSTANT, OPENS, freed, header_in};

use impls::{Impl, parts_of};
use parts::{bindings, names, take_attributes};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Item, Stmt};

/// A variable that outlives its cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its type, as Rust source.
    pub type_name: String,
    /// Whether it was bound with `mut`.
    pub mutable: bool,
    /// Whether its cell made it of a function by name, and it is kept as a pointer.
    pub is_pointer: bool,
}

/// Variables by name.
pub type Variables = BTreeMap<String, Variable>;

/// Variables that a cell uses up, so that they cannot be kept, and those that are kept as something else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// Of those that it found.
    pub old: BTreeSet<String>,
    /// Of those that it made.
    pub new: BTreeSet<String>,
    /// Those that it made of functions by name, and the type of pointers as which they are kept.
    pub pointers: BTreeMap<String, String>,
}

/// A cell taken apart.
#[derive(Debug)]
pub struct Cell {
    /// Lines that begin with `:`, evcxr's own commands.
    pub commands: Vec<String>,
    /// The cell's text with the commands' lines emptied, so that lines keep their numbers.
    pub text: String,
    /// What it says of the whole file, as in `#![allow(unused)]`, on one line.
    pub attributes: String,
    /// The lints among it that nothing is made of: they would judge the code around the cell as well.
    pub ignored: Vec<String>,
    /// Where the items stand in `text`.
    items: Vec<Range<usize>>,
    /// What they define or import, by name, with their text.
    pub definitions: Vec<(String, String)>,
    /// The `impl`s among them.
    pub impls: Vec<Impl>,
    /// Where the last expression stands, if the cell ends in one: its value is shown.
    shown: Option<Range<usize>>,
    /// Whether that is a macro in braces, which needs no `;` and may as well be a statement or an item.
    pub may_have_no_value: bool,
    /// The variables that it binds at its top level, and whether with `mut`.
    pub bound: BTreeMap<String, bool>,
    /// The crates that it names by `extern crate`, which evcxr takes for dependencies.
    pub extern_crates: Vec<String>,
    /// Every word in it: what may be the name of a variable.
    words: BTreeSet<String>,
}

impl Cell {
    /// Takes a cell's text apart.
    ///
    /// # Errors
    /// Where it is not Rust; the compiler will say so better than the parser used here.
    pub fn parse(code: &str) -> Result<Self, (Vec<String>, String)> {
        let (commands, mut text) = split_commands(code);
        let Ok((attributes, statements)) = statements.parse_str(&text) else { return Err((commands, text)) };
        let (attributes, ignored) = take_attributes(&attributes, &mut text);
        let mut cell = Self {
            words: words(&text),
            commands,
            text,
            attributes,
            ignored,
            items: Vec::new(),
            definitions: Vec::new(),
            impls: Vec::new(),
            shown: None,
            may_have_no_value: false,
            bound: BTreeMap::new(),
            extern_crates: Vec::new(),
        };
        let mut behind = None;
        let last = statements.len().saturating_sub(1);
        for (index, statement) in statements.iter().enumerate() {
            let range = statement.span().byte_range();
            match statement {
                Stmt::Item(item) => {
                    cell.add(item, range, &mut behind);
                }
                Stmt::Local(local) => bindings(&local.pat, &mut cell.bound),
                Stmt::Expr(_, None) if index == last => cell.shown = Some(range),
                Stmt::Macro(call) if index == last && call.semi_token.is_none() => {
                    cell.may_have_no_value = matches!(call.mac.delimiter, syn::MacroDelimiter::Brace(_));
                    cell.shown = Some(range);
                }
                Stmt::Expr(..) | Stmt::Macro(_) => {}
            }
        }
        Ok(cell)
    }

    /// Takes note of an item; `behind` is the definition that an `impl` would stand behind, as evcxr has it.
    fn add(&mut self, item: &Item, range: Range<usize>, behind: &mut Option<String>) {
        let names = names(item);
        match item {
            Item::Impl(item) => self.impls.extend(parts_of(item, &self.text, &range, behind.as_deref())),
            Item::ExternCrate(named) => self.extern_crates.push(named.ident.to_string()),
            Item::Use(_) | Item::Macro(_) => {}
            _ => *behind = names.last().cloned().or(behind.take()),
        }
        let text = &self.text[range.clone()];
        self.definitions.extend(names.into_iter().map(|name| (name, text.to_owned())));
        self.items.push(range);
    }

    /// Takes it for a cell that shows nothing.
    pub fn show_nothing(&mut self) {
        self.shown = None;
    }

    /// Whether it may wait for something async. evcxr would fetch and compile a runtime first, for a cell that cannot wait.
    pub fn may_await(&self) -> bool {
        self.words.contains("await")
    }

    /// Whether it defines a macro.
    pub fn defines_macro(&self) -> bool {
        self.items.iter().any(|range| self.text[range.clone()].contains("macro_rules!"))
    }

    /// Whether nothing is left to run or to compile.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.text.trim().is_empty() && self.attributes.is_empty()
    }

    /// The variables among `kept` that it may use: words in strings count too, since `{name}` in a format string does.
    pub fn used<'a>(&self, kept: &'a Variables) -> Vec<(&'a String, &'a Variable)> {
        kept.iter().filter(|(name, _)| self.words.contains(name.trim_start_matches("r#"))).collect()
    }
}
