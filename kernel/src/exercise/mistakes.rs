//! Mistakes that learners make, each with the code that makes it: `verify` shows that each is told by its name.

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The TODO at which it is made.
    pub todo: usize,
    /// What its check calls it; "error" where the cell itself stops with an error that says it.
    pub name: String,
    /// What an error must say, for "error".
    pub says: Option<String>,
    /// A learner's cell.
    pub code: String,
}

/// The mistakes that this build knows.
pub fn built_in() -> Vec<Mistake> {
    parse(include_str!("mistakes.md"))
}

/// Reads sections such as `## 1 swapped-split` with a fenced block of Rust each. A heading may go on with `: WORDS` that
/// the error must hold.
pub fn parse(text: &str) -> Vec<Mistake> {
    let section = |section: &str| {
        let (head, body) = section.split_once('\n')?;
        let (todo, name) = head.trim().split_once(' ')?;
        let (name, says) = name.split_once(": ").map_or((name, None), |(name, says)| (name, Some(says.to_owned())));
        let code = body.split_once("```rust\n")?.1.split_once("\n```")?.0;
        Some(Mistake { todo: todo.parse().ok()?, name: name.to_owned(), says, code: code.to_owned() })
    };
    text.split("\n## ").skip(1).filter_map(section).collect()
}
