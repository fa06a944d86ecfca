//! What a cell's text becomes before evcxr compiles it.
//!
//! evcxr keeps variables itself, and asks rust-analyzer for their types: seconds for the first `let`, no answer where
//! the standard library's sources are missing; and it reports a panic or an early `?` as success. So the statements of
//! a cell become the body of one closure that evcxr sees as a single expression, `(::candlewick::cell::run)(…)`. The helper
//! crate keeps the variables and tells how the cell ended; the compiler itself names the types ([`super::compiler`]).
//! Items (`fn`, `struct`, `use`…) stay outside the closure, where evcxr keeps them for later cells.

use ra_ap_rustc_lexer::{FrontmatterAllowed, TokenKind, tokenize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use syn::parse::ParseStream;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Attribute, Block, Item, Stmt};

/// Shows a plain value as evcxr does, by its `Debug`, in one compile. Ends its line.
///
/// evcxr compiles a cell that ends in a plain value twice: once with `evcxr_display`, which fails, and then with
/// `Debug`. With this trait in scope the first one succeeds. Types with an `evcxr_display` of their own keep it, because
/// inherent methods go before a trait's. It is written into each cell because rustc offers a trait of the helper crate's
/// in its errors, and the stock kernel then does not try `Debug` any more.
const SHOWN_BY_DEBUG: &str = "trait ShownByDebug { fn evcxr_display(&self); } \
    impl<T: ::std::fmt::Debug> ShownByDebug for T { fn evcxr_display(&self) { ::candlewick::notebook::show_debug(self) } }\n";

/// A variable that outlives its cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its type, as Rust source.
    pub type_name: String,
    /// Whether it was bound with `mut`.
    pub mutable: bool,
}

/// Variables by name.
pub type Variables = BTreeMap<String, Variable>;

/// Variables that a cell uses up, so that they cannot be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// Of those that it found.
    pub old: BTreeSet<String>,
    /// Of those that it made.
    pub new: BTreeSet<String>,
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
            shown: None,
            may_have_no_value: false,
            bound: BTreeMap::new(),
            extern_crates: Vec::new(),
        };
        let last = statements.len().saturating_sub(1);
        for (index, statement) in statements.iter().enumerate() {
            let range = statement.span().byte_range();
            match statement {
                Stmt::Item(item) => {
                    cell.items.push(range);
                    if let Item::ExternCrate(named) = item {
                        cell.extern_crates.push(named.ident.to_string());
                    }
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

    /// Takes it for a cell that shows nothing.
    pub fn show_nothing(&mut self) {
        self.shown = None;
    }

    /// Whether it may wait for something async. evcxr would fetch and compile a runtime first, for a cell that cannot wait.
    pub fn may_await(&self) -> bool {
        self.words.contains("await")
    }

    /// Whether nothing is left to run or to compile.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.text.trim().is_empty() && self.attributes.is_empty()
    }

    /// The variables among `kept` that it may use: words in strings count too, since `{name}` in a format string does.
    pub fn used<'a>(&self, kept: &'a Variables) -> Vec<(&'a String, &'a Variable)> {
        kept.iter().filter(|(name, _)| self.words.contains(name.trim_start_matches("r#"))).collect()
    }

    /// What its items define or import, by name, with their text.
    pub fn definitions(&self) -> Vec<(String, String)> {
        let texts = self.items.iter().map(|range| &self.text[range.clone()]);
        texts.flat_map(|text| names(text).into_iter().map(|name| (name, text.to_owned()))).collect()
    }

    /// The statements, on the lines on which they stood; items are blank. The last value is shown.
    fn statements(&self) -> String {
        let mut text = self.text.clone();
        for range in &self.items {
            blank(&mut text, range.clone());
        }
        show(text, self.shown.clone())
    }

    /// What evcxr is given to compile: the closure, then the items. Line n of the cell is line n + 1 of the closure.
    /// Variables in `moved` are used up by the cell, so that they are not kept.
    pub fn wrapped(&self, number: u64, kept: &Variables, moved: &Moved) -> String {
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
            code += &format!(" ::candlewick::cell::put({name:?}, {name});");
        }
        code += " Ok(()) });\n";
        for (name, _) in used.iter().filter(|(name, _)| !moved.old.contains(*name)) {
            // A variable of the same name that the cell has made, and perhaps used up, takes the old one's place.
            let unless_made = if self.bound.contains_key(*name) { "if candlewick_ended.is_err() " } else { "" };
            code += &format!(" {unless_made}{{ ::candlewick::cell::put_back({name:?}, {name}); }}");
        }
        code += " candlewick_ended });\n";
        for range in &self.items {
            code += &self.text[range.clone()];
            code.push('\n');
        }
        code
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
        for range in &self.items {
            let lines = self.text[range.clone()].matches('\n').count() + 1;
            if (first..first + lines).contains(&wrapped) {
                return Some(self.text[..range.start].matches('\n').count() + 1 + wrapped - first);
            }
            first += lines;
        }
        None
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

/// What a cell's text consists of, and what it says of the whole file.
pub fn statements(input: ParseStream) -> syn::Result<(Vec<Attribute>, Vec<Stmt>)> {
    Ok((Attribute::parse_inner(input)?, Block::parse_within(input)?))
}

/// Takes what stands there of the whole file out of the text: all of it that is for evcxr, on one line, and the lints that
/// are for nobody. Words about the file (`//! …`) are no more than a comment.
fn take_attributes(attributes: &[Attribute], text: &mut String) -> (String, Vec<String>) {
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
fn blank(text: &mut String, range: Range<usize>) {
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
fn bindings(pattern: &syn::Pat, bound: &mut BTreeMap<String, bool>) {
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

/// The names that an item brings into scope; an `impl` has none.
fn names(item: &str) -> Vec<String> {
    use syn::Item;
    let one = |name: &syn::Ident| vec![name.to_string()];
    match syn::parse_str::<Item>(item) {
        Ok(Item::Const(item)) => one(&item.ident),
        Ok(Item::Enum(item)) => one(&item.ident),
        Ok(Item::ExternCrate(item)) => one(item.rename.as_ref().map_or(&item.ident, |(_, rename)| rename)),
        Ok(Item::Fn(item)) => one(&item.sig.ident),
        Ok(Item::Macro(item)) => item.ident.iter().map(ToString::to_string).collect(),
        Ok(Item::Mod(item)) => one(&item.ident),
        Ok(Item::Static(item)) => one(&item.ident),
        Ok(Item::Struct(item)) => one(&item.ident),
        Ok(Item::Trait(item)) => one(&item.ident),
        Ok(Item::Type(item)) => one(&item.ident),
        Ok(Item::Union(item)) => one(&item.ident),
        Ok(Item::Use(item)) => imported(&item.tree),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kept(names: &[&str]) -> Variables {
        let variable = || Variable { type_name: "i32".into(), mutable: false };
        names.iter().map(|name| ((*name).to_owned(), variable())).collect()
    }

    #[test]
    fn bindings_of_every_kind_of_pattern_are_found() {
        for (code, want) in [
            ("let a = 1;", "a"),
            ("let (a, mut b) = f();", "a mut b"),
            ("let P { x, y: z, .. } = p;", "x z"),
            ("let [first, .., last] = v;", "first last"),
            ("let Some(a) = o else { let inner = 1; panic!() };", "a"),
            ("let w @ (a, _) = p; { let inner = 1; }", "a w"),
            ("let _ = 1; if let Some(q) = o {}", ""),
            ("let a: Vec<_> = x.iter().map(|y| y).collect();", "a"),
        ] {
            let cell = Cell::parse(code).unwrap();
            let names: Vec<_> = cell
                .bound
                .iter()
                .map(|(name, mutable)| format!("{}{name}", if *mutable { "mut " } else { "" }))
                .collect();
            assert_eq!(names.join(" "), want, "{code}");
        }
    }

    #[test]
    fn commands_are_lines_of_their_own_and_no_part_of_a_string_or_comment() {
        for (code, commands, text) in [
            (
                ":dep a = \"1\"\n:vars\nlet b = 1;\n:vars",
                &[":dep a = \"1\"", ":vars", ":vars"][..],
                "\n\nlet b = 1;\n\n",
            ),
            ("let s = \"a\n:vars\nb\"; s", &[], "let s = \"a\n:vars\nb\"; s"),
            ("r#\"\n:vars\n\"#\n:vars\n", &[":vars"], "r#\"\n:vars\n\"#\n\n"),
            ("/*\n:vars\n/*\n:dep x\n*/\n:vars */ 1", &[], "/*\n:vars\n/*\n:dep x\n*/\n:vars */ 1"),
            ("// '\n:vars\n1", &[":vars"], "// '\n\n1"),
            (":load don't \"stop\n:vars\n\"é\"", &[":load don't \"stop", ":vars"], "\n\n\"é\""),
            ("::std::mem::drop(1)\n :vars\n:Upper", &[], "::std::mem::drop(1)\n :vars\n:Upper"),
        ] {
            let (found, left) = split_commands(code);
            assert_eq!(
                (found.iter().map(String::as_str).collect::<Vec<_>>(), left.as_str()),
                (commands.to_vec(), text),
                "{code}"
            );
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let code = ":dep x = \"1\"\nuse a::b;\nlet é = 1;\nfn f() {\n  2\n}\né + f()";
        let cell = Cell::parse(code).unwrap();
        assert_eq!(cell.commands, [":dep x = \"1\""]);
        let wrapped = cell.wrapped(1, &Variables::new(), &Moved::default());
        let lines: Vec<_> = wrapped.lines().collect();
        assert_eq!(lines[3], "let é = 1;");
        assert!(lines[7].starts_with("match &(é + f()) { candlewick_value => "), "{wrapped}");
        assert!(wrapped.ends_with("use a::b;\nfn f() {\n  2\n}\n"), "{wrapped}");
        let (new, old) = cell.keeping_lines();
        let of: Vec<_> = (1..=lines.len()).map(|line| cell.line_of(line)).collect();
        let places = [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(7), None, None];
        assert_eq!(of, [&places[..], &[Some(2), Some(4), Some(5), Some(6)]].concat(), "{wrapped}");
        assert!(lines[new - 1].contains("put(\"é\", é)") && lines[old - 1].contains("candlewick_ended }"), "{wrapped}");
    }

    #[test]
    fn what_is_said_of_the_whole_file_stands_before_everything() {
        let code =
            "//! Words.\n#![allow(\n    unused, // all\n    dead_code\n)]\n#![deny(warnings)]\nlet é = 1;\nfn f() {}";
        let cell = Cell::parse(code).unwrap();
        assert_eq!(
            (cell.attributes.as_str(), &cell.ignored[..]),
            ("#![allow( unused, dead_code )] ", &["#![deny(warnings)]".to_owned()][..])
        );
        let wrapped = cell.wrapped(1, &Variables::new(), &Moved::default());
        assert!(wrapped.starts_with("#![allow( unused, dead_code )] (::candlewick::cell::run)"), "{wrapped}");
        assert_eq!(wrapped.lines().nth(7), Some("let é = 1;"), "{wrapped}");
        assert!(wrapped.ends_with("\nfn f() {}\n"), "{wrapped}");
        assert!(Cell::parse("#![allow(unused)]").is_ok_and(|cell| !cell.is_empty()));
        assert!(Cell::parse("let a = 1;\n#![allow(unused)]").is_err());
    }

    #[test]
    fn only_variables_that_are_mentioned_are_taken_and_moved_ones_do_not_come_back() {
        let cell = Cell::parse("println!(\"{a}\"); drop(b);").unwrap();
        let moved = Moved { old: BTreeSet::from(["b".to_owned()]), ..Moved::default() };
        let wrapped = cell.wrapped(1, &kept(&["a", "b", "c"]), &moved);
        assert!(wrapped.contains("take::<i32>(\"a\")") && wrapped.contains("take::<i32>(\"b\")"));
        assert!(!wrapped.contains("\"c\""));
        assert!(wrapped.contains("{ ::candlewick::cell::put_back(\"a\", a); }") && !wrapped.contains("put_back(\"b\""));
    }

    #[test]
    fn what_ends_a_cell_is_shown_only_without_semicolon() {
        for (code, shown) in
            [("a", true), ("a;", false), ("f(x)?", true), ("vec![1]", true), ("for i in 0..3 {}", true)]
        {
            let wrapped = Cell::parse(code).unwrap().wrapped(1, &Variables::new(), &Moved::default());
            assert_eq!(wrapped.contains("candlewick_value.evcxr_display();"), shown, "{code}");
        }
    }

    #[test]
    fn what_items_define_is_known_by_name() {
        let cell =
            Cell::parse("use a::{b, c as d, e::*};\nstruct P { x: i32 }\nimpl P {}\nextern crate f as g;\nlet x = 1;")
                .unwrap();
        let names: Vec<_> = cell.definitions().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "d", "P", "g"]);
    }

    #[test]
    fn what_is_not_rust_is_left_to_the_compiler() {
        assert!(Cell::parse("let = ;").is_err());
        assert!(Cell::parse("let s = \"open").is_err());
        assert!(Cell::parse("").unwrap().is_empty() && Cell::parse("\n:vars\n").unwrap().is_empty());
    }
}
