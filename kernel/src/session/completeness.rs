//! Whether a text is a whole cell, as a console asks at each line's end.

use super::Completeness;
use super::cell::statements;
use ra_ap_rustc_lexer::{FrontmatterAllowed, LiteralKind, Token, TokenKind, tokenize};
use syn::parse::Parser;

/// One level of indentation.
const INDENT: &str = "    ";

/// Judges `text`, which has no commands in it any more.
pub fn completeness(text: &str) -> Completeness {
    let mut open = Vec::new();
    let mut start = 0;
    for token in tokenize(text, FrontmatterAllowed::No) {
        let end = start + token.len as usize;
        if is_unfinished(&token, text.get(start..end).unwrap_or_default()) {
            return Completeness::Incomplete { indent: String::new() };
        }
        match token.kind {
            TokenKind::OpenParen | TokenKind::OpenBrace | TokenKind::OpenBracket => open.push(closing(token.kind)),
            TokenKind::CloseParen | TokenKind::CloseBrace | TokenKind::CloseBracket
                if open.pop() != Some(token.kind) =>
            {
                return Completeness::Invalid;
            }
            TokenKind::Unknown => return Completeness::Invalid,
            _ => {}
        }
        start = end;
    }
    if !open.is_empty() {
        return Completeness::Incomplete { indent: INDENT.repeat(open.len()) };
    }
    match statements.parse_str(text) {
        Ok(_) => Completeness::Complete,
        // `let x =`, `1 +`, `fn f()`: more would make it right.
        Err(error) if error.to_string().starts_with("unexpected end of input") || is_rust(&format!("{text};")) => {
            Completeness::Incomplete { indent: INDENT.to_owned() }
        }
        Err(_) => Completeness::Invalid,
    }
}

fn is_rust(text: &str) -> bool {
    statements.parse_str(text).is_ok()
}

/// Whether a string or a comment goes on.
fn is_unfinished(token: &Token, text: &str) -> bool {
    match token.kind {
        TokenKind::BlockComment { terminated, .. } => !terminated,
        TokenKind::Literal { kind, .. } => match kind {
            LiteralKind::Str { terminated }
            | LiteralKind::ByteStr { terminated }
            | LiteralKind::CStr { terminated } => !terminated,
            // Without its opening quote it is wrong, and not unfinished.
            LiteralKind::RawStr { n_hashes: None }
            | LiteralKind::RawByteStr { n_hashes: None }
            | LiteralKind::RawCStr { n_hashes: None } => text.contains('"'),
            _ => false,
        },
        _ => false,
    }
}

fn closing(opening: TokenKind) -> TokenKind {
    match opening {
        TokenKind::OpenParen => TokenKind::CloseParen,
        TokenKind::OpenBrace => TokenKind::CloseBrace,
        _ => TokenKind::CloseBracket,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_whole_unfinished_or_wrong() {
        for code in [
            "",
            "#![allow(unused)]\n1 + 1",
            "let x = 1;",
            "fn f() {}\n",
            "// a {",
            "\"{\"",
            "'{'",
            "/* /* */ */ x",
            "r#\"a\"# ;",
        ] {
            assert_eq!(completeness(code), Completeness::Complete, "{code}");
        }
        for (code, indent) in [
            ("fn f() {", 4),
            ("if x {\n    for y in z {", 8),
            ("f(1,", 4),
            ("\"abc", 0),
            ("r#\"abc\"", 0),
            ("/* a /* */", 0),
            ("let x =", 4),
            ("1 +", 4),
            ("fn f()", 4),
            ("let x = 1", 4),
        ] {
            assert_eq!(completeness(code), Completeness::Incomplete { indent: " ".repeat(indent) }, "{code}");
        }
        for code in [")", "(]", "let = 1;", "}{", "fn 1() {}"] {
            assert_eq!(completeness(code), Completeness::Invalid, "{code}");
        }
    }
}
