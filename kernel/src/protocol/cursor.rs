//! Places in a cell: Jupyter counts characters, a session counts bytes.

/// The byte at which character `characters` of `code` begins; its end where there are not so many.
pub(super) fn to_byte(code: &str, characters: u64) -> usize {
    let place = usize::try_from(characters).ok().and_then(|characters| code.char_indices().nth(characters));
    place.map_or(code.len(), |(byte, _)| byte)
}

/// The character of `code` at `byte`, or the one that it is in the middle of.
pub(super) fn to_character(code: &str, byte: usize) -> usize {
    code.char_indices().skip(1).take_while(|&(start, _)| start <= byte).count()
        + usize::from(!code.is_empty() && byte >= code.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let code = "aä🦀b";
        for (character, byte) in [0, 1, 3, 7, 8].into_iter().enumerate() {
            assert_eq!(to_byte(code, character as u64), byte);
            assert_eq!(to_character(code, byte), character);
        }
        assert_eq!((to_byte(code, u64::MAX), to_character(code, usize::MAX)), (8, 4));
        assert_eq!(to_character(code, 5), 2, "in the middle of the crab");
        assert_eq!((to_byte("", 3), to_character("", 3)), (0, 0));
    }
}
