//! What evcxr and the compiler are given of a cell.

use super::impls::{Impl, OPENS};
use super::parts::{blank, words};
use super::{Cell, Moved, Variable, Variables};
use std::collections::BTreeSet;
use std::ops::Range;

/// Shows a plain value as evcxr does, by its `Debug`, in one compile. Ends its line.
///
/// evcxr compiles a cell that ends in a plain value twice: once with `evcxr_display`, which fails, and then with
/// `Debug`. With this trait in scope the first one succeeds. Types with an `evcxr_display` of their own keep it, because
/// inherent methods go before a trait's. It is written into each cell because rustc offers a trait of the helper crate's
/// in its errors, and the stock kernel then does not try `Debug` any more.
const SHOWN_BY_DEBUG: &str = "trait ShownByDebug { fn evcxr_display(&self); } \
    impl<T: ::std::fmt::Debug> ShownByDebug for T { fn evcxr_display(&self) { ::candlewick::notebook::show_debug(self) } }\n";

impl Cell {
    /// The statements, on the lines on which they stood; items are blank. The last value is shown.
    fn statements(&self) -> String {
        let mut text = self.text.clone();
        for range in &self.items {
            blank(&mut text, range.clone());
        }
        show(text, self.shown.clone())
    }

    /// What evcxr is given to compile: the closure, then the items. Line n of the cell is line n + 1 of the closure.
    /// Variables in `moved` are used up by the cell, so that they are not kept, or are kept as other types. Of the `impls` that
    /// earlier cells have given constants, those go that stand behind a definition in this one.
    pub fn wrapped(&self, number: u64, kept: &Variables, moved: &Moved, impls: &BTreeSet<String>) -> String {
        let used = self.used(kept);
        // In brackets, because evcxr takes a line that begins with a colon for a command of its own.
        let mut code = format!("{}(::candlewick::cell::run)({number}, || {{", self.attributes);
        // All are checked before the first is taken: a cell that cannot begin must not lose any.
        for (name, variable) in &used {
            code += &format!(" ::candlewick::cell::check::<{}>({name:?})?;", variable.type_name);
        }
        for (name, variable) in &used {
            let mutable = if variable.mutable { "mut " } else { "" };
            let type_name = &variable.type_name;
            code += &format!(" let {mutable}{name} = ::candlewick::cell::take::<{type_name}>({name:?})?;");
        }
        code += " let candlewick_ended = ::candlewick::cell::guard(|| { ";
        code += SHOWN_BY_DEBUG;
        code += &self.statements();
        code += "\n;";
        for name in self.bound.keys().filter(|name| !moved.new.contains(*name)) {
            let cast = moved.pointers.get(name).map_or_else(String::new, |pointer| format!(" as {pointer}"));
            code += &format!(" ::candlewick::cell::put({name:?}, {name}{cast});");
        }
        code += " Ok(()) });\n";
        for (name, _) in used.iter().filter(|(name, _)| !moved.old.contains(*name)) {
            // A variable of the same name that the cell has made, and perhaps used up, takes the old one's place.
            let unless_made = if self.bound.contains_key(*name) { "if candlewick_ended.is_err() " } else { "" };
            code += &format!(" {unless_made}{{ ::candlewick::cell::put_back({name:?}, {name}); }}");
        }
        code += " candlewick_ended });\n";
        for piece in self.pieces() {
            code += &piece.before;
            code += &self.text[piece.range];
            code += piece.after;
            code.push('\n');
        }
        for gone in self.impls.iter().filter(|one| one.behind.is_some() && impls.contains(&one.name)) {
            code += &format!("const {}: () = ();\n", gone.name);
        }
        code
    }

    /// Its items as evcxr is given them.
    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for range in &self.items {
            let inside =
                |one: &&Impl| one.behind.is_none() && range.start <= one.range.start && one.range.end <= range.end;
            let own: Vec<&Impl> = self.impls.iter().filter(inside).collect();
            if own.is_empty() {
                pieces.push(Piece { before: String::new(), range: range.clone(), after: "" });
            }
            pieces.extend(own.into_iter().map(|one| {
                let (header, after) =
                    if one.is_part { (format!("{} {{ ", one.header), " } };") } else { (String::new(), " };") };
                Piece { before: format!("const {}{OPENS}{header}", one.name), range: one.range.clone(), after }
            }));
        }
        pieces
    }

    /// Its items alone, on the lines on which they stood.
    pub fn items_alone(&self) -> String {
        let mut text = self.text.clone();
        let mut end = 0;
        for range in &self.items {
            blank(&mut text, end..range.start);
            end = range.end;
        }
        let whole = text.len();
        blank(&mut text, end..whole);
        text
    }

    /// On which lines of [`wrapped`](Self::wrapped) new variables are kept, and old ones put back.
    pub fn keeping_lines(&self) -> (usize, usize) {
        // One line before the text, and a newline behind it.
        let end = self.text.matches('\n').count() + 3;
        (end, end + 1)
    }

    /// Which line of the cell stands on a line of [`wrapped`](Self::wrapped); none where that line is ours.
    pub fn line_of(&self, wrapped: usize) -> Option<usize> {
        let (new, old) = self.keeping_lines();
        if wrapped < new {
            return wrapped.checked_sub(1).filter(|line| *line > 0);
        }
        let mut first = old + 1;
        for Piece { range, .. } in self.pieces() {
            let lines = self.text[range.clone()].matches('\n').count() + 1;
            if (first..first + lines).contains(&wrapped) {
                return Some(self.text[..range.start].matches('\n').count() + 1 + wrapped - first);
            }
            first += lines;
        }
        None
    }

    /// Which line of the cell stands on a line of the whole source that evcxr has made, where that is one of its items'.
    pub fn line_of_item(&self, source: &str, line: usize) -> Option<usize> {
        self.pieces().into_iter().find_map(|Piece { range, .. }| {
            let within = line_within(source, &self.text[range.clone()], line)?;
            Some(self.text[..range.start].matches('\n').count() + within)
        })
    }

    /// A function with the cell as its body, for the compiler to judge. The first line is ours, the cell begins on the
    /// second.
    pub fn judged(&self, kept: &Variables, how: Judged) -> String {
        match how {
            Judged::AsWritten => judged_text(&self.text, &self.used(kept), [].into_iter()),
            Judged::Probed => judged_text(&self.text, &self.used(kept), self.bound.keys()),
            Judged::Shown => {
                judged_text(&show(self.text.clone(), self.shown.clone()), &self.used(kept), [].into_iter())
            }
        }
    }
}

/// An item, or a part of one, with what stands around it.
struct Piece {
    before: String,
    range: Range<usize>,
    after: &'static str,
}

/// Which line of a text, from 1, a line of a source that holds it is; none where it is none of the text's.
pub fn line_within(source: &str, text: &str, line: usize) -> Option<usize> {
    let before = source[..source.find(text)?].matches('\n').count();
    line.checked_sub(before).filter(|within| (1..=text.matches('\n').count() + 1).contains(within))
}

/// What a cell is judged for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judged {
    /// Mistakes, borrows included.
    AsWritten,
    /// Mistakes of types and names, and the types of the variables that it binds.
    Probed,
    /// Whether its last value can be shown.
    Shown,
}

/// As [`Cell::judged`], for a text that could not be taken apart.
pub fn judged_as_it_is(text: &str, kept: &Variables) -> String {
    let words = words(text);
    let used: Vec<_> = kept.iter().filter(|(name, _)| words.contains(*name)).collect();
    judged_text(text, &used, [].into_iter())
}

/// As [`Cell::judged`], for a cell with nothing in it that takes these variables.
pub fn judged_alone(variables: &[(&String, &Variable)]) -> String {
    judged_text("", variables, [].into_iter())
}

fn judged_text<'a>(text: &str, used: &[(&String, &Variable)], probed: impl Iterator<Item = &'a String>) -> String {
    let mut code = "fn candlewick_cell(".to_owned();
    for (name, variable) in used {
        let mutable = if variable.mutable { "mut " } else { "" };
        code += &format!("{mutable}{name}: {}, ", variable.type_name);
    }
    code += ") -> ::std::result::Result<(), ::candlewick::cell::Failure> { ";
    code += SHOWN_BY_DEBUG;
    code += text;
    code += "\n;";
    for name in probed {
        code += &format!("\n/*{name}*/ ::candlewick::cell::type_of(&{name});");
    }
    code + "\nOk(()) }\n"
}

fn show(mut text: String, shown: Option<Range<usize>>) -> String {
    if let Some(range) = shown {
        // Temporaries of the value live on inside a `match`, and a variable is not moved out of its place.
        text.insert_str(
            range.end,
            ") { candlewick_value => { ::candlewick::cell::ends_in(); candlewick_value.evcxr_display(); } }",
        );
        text.insert_str(range.start, "match &(");
    }
    text
}
