//! The parts of a cell's text: evcxr's commands, what it says of the whole file, the names that it binds and defines.

use ra_ap_rustc_lexer::{FrontmatterAllowed, TokenKind, tokenize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Block, Stmt};

/// What a cell's text consists of, and what it says of the whole file.
pub fn statements(input: ParseStream) -> syn::Result<(Vec<Attribute>, Vec<Stmt>)> {
    Ok((Attribute::parse_inner(input)?, Block::parse_within(input)?))
}

/// Takes what stands there of the whole file out of the text: all of it that is for evcxr, on one line, and the lints that
/// are for nobody. Words about the file (`//! …`) are no more than a comment.
pub(super) fn take_attributes(attributes: &[Attribute], text: &mut String) -> (String, Vec<String>) {
    let (mut taken, mut ignored) = (String::new(), Vec::new());
    for attribute in attributes {
        let range = attribute.span().byte_range();
        let written = &text[range.clone()];
        let words: Vec<_> = written.lines().map(|line| line.split("//").next().unwrap_or_default().trim()).collect();
        if ["warn", "deny", "forbid"].iter().any(|lint| attribute.path().is_ident(lint)) {
            ignored.push(words.join(" "));
        } else if written.starts_with('#') {
            taken += &format!("{} ", words.join(" "));
        }
        blank(text, range);
    }
    (taken, ignored)
}

/// Leaves nothing but the ends of lines.
pub(super) fn blank(text: &mut String, range: Range<usize>) {
    let lines: String = text[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(range, &lines);
}

/// Takes out evcxr's commands: lines that begin with `:`, but not those of a string or a comment.
pub fn split_commands(code: &str) -> (Vec<String>, String) {
    let mut commands = Vec::new();
    let mut text = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = command_in(rest) {
        let (before, from) = rest.split_at(at);
        let end = from.find('\n').map_or(from.len(), |end| end + 1);
        commands.push(from[..end].trim_end().to_owned());
        text.push_str(before);
        text.push('\n');
        // What a command says is no Rust: an open quote there opens no string.
        rest = &from[end..];
    }
    text.push_str(rest);
    (commands, text)
}

/// Where the first command stands in `code`, which begins with a line.
fn command_in(code: &str) -> Option<usize> {
    let mut start = 0;
    for token in tokenize(code, FrontmatterAllowed::No) {
        let begins_line = start == 0 || code[..start].ends_with('\n');
        let named = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase());
        if token.kind == TokenKind::Colon && begins_line && named(&code[start + 1..]) {
            return Some(start);
        }
        start += token.len as usize;
    }
    None
}

/// Every name bound by a pattern, and whether with `mut`.
pub(super) fn bindings(pattern: &syn::Pat, bound: &mut BTreeMap<String, bool>) {
    struct Names<'a>(&'a mut BTreeMap<String, bool>);
    impl<'ast> syn::visit::Visit<'ast> for Names<'_> {
        fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
            // A bare capitalised name is a constant or a variant, as in `let None = …`.
            let name = pattern.ident.to_string();
            if !name.starts_with(char::is_uppercase) {
                self.0.insert(name, pattern.mutability.is_some());
            }
            syn::visit::visit_pat_ident(self, pattern);
        }
        fn visit_expr(&mut self, _: &'ast syn::Expr) {}
    }
    syn::visit::visit_pat(&mut Names(bound), pattern);
}

/// A source of items without those that have these names, line by line as it was. What is no source stays whole.
pub fn without_items(source: &str, gone: &BTreeSet<String>) -> String {
    let mut source = source.to_owned();
    let Ok(file) = syn::parse_file(&source) else { return source };
    let mut goes = false;
    for item in &file.items {
        let range = item.span().byte_range();
        // An `impl` goes with the definition that it stands behind, as it does in evcxr.
        if !matches!(item, syn::Item::Impl(_)) {
            goes = names(item).iter().any(|name| gone.contains(name));
        }
        if goes {
            blank(&mut source, range);
        }
    }
    source
}

/// Whether an item is a function that no type can depend on: types are made of constants alone.
pub fn is_plain_function(item: &str) -> bool {
    matches!(syn::parse_str::<syn::Item>(item), Ok(syn::Item::Fn(function)) if function.sig.constness.is_none())
}

/// The first words of all paths in a type: the others are named inside what those name.
pub fn first_words(type_name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = type_name;
    let mut inside = false;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if end == 0 {
            inside = rest.starts_with("::");
            rest = &rest[if inside { 2 } else { c.len_utf8() }..];
            continue;
        }
        if !inside {
            found.push(rest[..end].to_owned());
        }
        rest = &rest[end..];
    }
    found
}

/// The names that an item brings into scope; an `impl` has none.
pub(super) fn names(item: &syn::Item) -> Vec<String> {
    use syn::Item;
    let one = |name: &syn::Ident| vec![name.to_string()];
    match item {
        Item::Const(item) => one(&item.ident),
        Item::Enum(item) => one(&item.ident),
        Item::ExternCrate(item) => one(item.rename.as_ref().map_or(&item.ident, |(_, rename)| rename)),
        Item::Fn(item) => one(&item.sig.ident),
        Item::Macro(item) => item.ident.iter().map(ToString::to_string).collect(),
        Item::Mod(item) => one(&item.ident),
        Item::Static(item) => one(&item.ident),
        Item::Struct(item) => one(&item.ident),
        Item::Trait(item) => one(&item.ident),
        Item::Type(item) => one(&item.ident),
        Item::Union(item) => one(&item.ident),
        Item::Use(item) => imported(&item.tree),
        _ => Vec::new(),
    }
}

fn imported(tree: &syn::UseTree) -> Vec<String> {
    match tree {
        syn::UseTree::Path(path) => imported(&path.tree),
        syn::UseTree::Name(name) => vec![name.ident.to_string()],
        syn::UseTree::Rename(rename) => vec![rename.rename.to_string()],
        syn::UseTree::Glob(_) => Vec::new(),
        syn::UseTree::Group(group) => group.items.iter().flat_map(imported).collect(),
    }
}

/// Every word of a text.
pub fn words(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
