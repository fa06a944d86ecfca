//! The `impl`s of a cell, each with a name of its own, so that one that is run again takes the place of the one before.
//!
//! evcxr replaces an item by one of the same name. An `impl` has none: behind a definition in its cell it goes and comes with
//! that; alone in a cell it would stay for good, beside the one that comes later. So that one is given a constant to live in,
//! named after what it is about: `const CANDLEWICK_IMPL_…: () = { impl Net { fn f(&self) {} } };`, where privacy is as before.

use super::parts::blank;
use sha2::{Digest, Sha256};
use std::ops::Range;
use syn::spanned::Spanned;
use syn::{ImplItem, ItemImpl};

/// What the names of these constants begin with.
pub const CONSTANT: &str = "CANDLEWICK_IMPL_";
/// What stands between such a name and its `impl`.
pub const OPENS: &str = ": () = { ";

/// An `impl`, or one part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Impl {
    /// The name of its constant.
    pub name: String,
    /// What it is about, as in `impl Net`.
    pub header: String,
    /// Where its text stands in the cell.
    pub range: Range<usize>,
    /// Whether `range` is one part of an `impl`, which has to stand in its header.
    pub is_part: bool,
    /// The definition that it stands behind; none where it is given a constant.
    pub behind: Option<String>,
}

/// The parts of an `impl` that stands there in a cell's text. One of a trait is one; any other is taken function by function,
/// so that another cell may add some.
pub(super) fn parts_of(item: &ItemImpl, text: &str, range: &Range<usize>, behind: Option<&str>) -> Vec<Impl> {
    let first = item.unsafety.map_or(item.impl_token.span, |unsafety| unsafety.span).byte_range().start;
    let begin = item.brace_token.span.open().byte_range().start;
    let header = text[first..begin].split_whitespace().collect::<Vec<_>>().join(" ");
    // On one line, a comment would hide the rest.
    let is_plain = item.trait_.is_none() && !header.contains("//") && !header.contains("/*");
    let one = |part: &str, range: Range<usize>, is_part| Impl {
        name: name_of(&header, part),
        header: header.clone(),
        range,
        is_part,
        behind: behind.map(str::to_owned),
    };
    let named = |part: &ImplItem| match part {
        ImplItem::Fn(function) => Some(function.sig.ident.to_string()),
        ImplItem::Const(constant) => Some(constant.ident.to_string()),
        ImplItem::Type(alias) => Some(alias.ident.to_string()),
        _ => None,
    };
    let parts: Option<Vec<(String, Range<usize>)>> =
        item.items.iter().map(|part| Some((named(part)?, part.span().byte_range()))).collect();
    match parts {
        Some(parts) if is_plain && !parts.is_empty() => {
            parts.into_iter().map(|(name, part)| one(&name, part, true)).collect()
        }
        _ => vec![one("", range.clone(), false)],
    }
}

/// What an `impl` is about whose constant begins in this line.
pub fn header_in(line: &str) -> Option<&str> {
    let text = line.split_once(CONSTANT)?.1.split_once(OPENS)?.1;
    Some(text.split_once(" {").map_or(text, |(header, _)| header))
}

/// A source with its `impl`s out of their constants, for rust-analyzer, which looks into none; line by line as it was.
pub fn freed(source: &str) -> String {
    let mut source = source.to_owned();
    let Ok(file) = syn::parse_file(&source) else { return source };
    for item in &file.items {
        let syn::Item::Const(constant) = item else { continue };
        if !constant.ident.to_string().starts_with(CONSTANT) {
            continue;
        }
        let whole = item.span().byte_range();
        match &*constant.expr {
            syn::Expr::Block(inner) => {
                let braces = inner.block.brace_token.span;
                blank(&mut source, whole.start..braces.open().byte_range().end);
                blank(&mut source, braces.close().byte_range().start..whole.end);
            }
            _ => blank(&mut source, whole),
        }
    }
    source
}

/// The same for the same header and part, however they are spaced.
fn name_of(header: &str, part: &str) -> String {
    let header: String = header.split_whitespace().collect();
    let digest = Sha256::digest(format!("{header} {part}"));
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02X}")).collect();
    format!("{CONSTANT}{digits}")
}
