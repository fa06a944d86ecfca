//! Names in an error: the ones there are, where one was asked for that there is not.

/// As many are listed in full.
pub(super) const FEW: usize = 10;

/// `` `a`, `b` and `c` ``; of many the first few, and how many more there are.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().take(FEW).map(|name| format!("`{name}`")).collect();
    match (quoted.as_slice(), names.len().saturating_sub(FEW)) {
        ([first @ .., last], 0) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        (all, 0) => all.join(", "),
        (all, more) => format!("{} and {more} more", all.join(", ")),
    }
}

/// The names that hold `part` as whole words, then those that hold it anywhere, whatever the case; each in the order of
/// `names`.
pub(super) fn holding<'a>(part: &str, names: &'a [String]) -> Vec<&'a str> {
    let part = part.trim().to_lowercase();
    if part.is_empty() {
        return Vec::new();
    }
    let rank = |name: &str| {
        let name = name.to_lowercase();
        let ends = |rest: Option<char>| rest.is_none_or(|letter| !letter.is_alphanumeric());
        let mut found = name.match_indices(&part).peekable();
        found.peek()?;
        let whole =
            found.any(|(at, _)| ends(name[..at].chars().next_back()) && ends(name[at + part.len()..].chars().next()));
        Some(u8::from(!whole))
    };
    let mut found: Vec<(u8, &str)> = names.iter().filter_map(|name| Some((rank(name)?, name.as_str()))).collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_are_listed_and_many_counted() {
        let cases = [(vec![], ""), (vec!["a"], "`a`"), (vec!["a", "b"], "`a` and `b`")];
        for (names, want) in cases {
            assert_eq!(listed(&names), want);
        }
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
        let many = listed(&["x"; 13]);
        assert!(many.ends_with("`x` and 3 more") && many.matches("`x`").count() == 10, "{many}");
    }

    #[test]
    fn whole_words_come_before_parts_of_them() {
        let names = ["catamaran", "Egyptian cat", "dog", "Tiger CAT", "concatenation"].map(str::to_owned);
        assert_eq!(holding("cat", &names), ["Egyptian cat", "Tiger CAT", "catamaran", "concatenation"]);
        assert_eq!(holding(" Egyptian", &names), ["Egyptian cat"]);
        assert!(holding("", &names).is_empty() && holding("İ", &names).is_empty());
    }
}
