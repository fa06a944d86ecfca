//! Pickles from anyone, read by candle without letting them do harm.
//!
//! candle's reader trusts a pickle: a text may claim 4 GB, an object in the memo may double with every step, and
//! tuples may nest until the stack overflows when they are dropped. So it is led step by step, each checked.

use candle_core::pickle::{Object, Stack};

/// Deeper nesting than any state dict has (about eight).
const DEEPEST: usize = 48;
/// Objects that may be copied into and out of the memo: thousands of tensors make some hundred thousand.
const MOST_COPIES: usize = 1 << 21;
/// Objects that may be looked at, which bounds the time.
const MOST_LOOKS: usize = 1 << 24;

/// Reads one pickle off the front of `bytes`.
pub(super) fn read(bytes: &mut &[u8]) -> Result<Object, String> {
    let mut stack = Stack::empty();
    let (mut copies, mut looks) = (0, 0);
    loop {
        let code = *bytes.first().ok_or("the file ends inside a pickle")?;
        check(code, bytes)?;
        let stop = stack.read(bytes).map_err(|e| format!("not a pickle that can be read: {e}"))?;
        if stop {
            return stack.finalize().map_err(|e| e.to_string());
        }
        let Some(top) = stack.stack().last() else { continue };
        let weight = weigh(top, DEEPEST).ok_or("a pickle nests too deep")?;
        looks += weight;
        // Into the memo, `q` and `r`; out of it, `h` and `j`.
        if matches!(code, b'q' | b'r' | b'h' | b'j') {
            copies += weight;
        }
        if copies > MOST_COPIES || looks > MOST_LOOKS {
            return Err("a pickle unfolds to too many objects".into());
        }
    }
}

/// Lengths that an instruction claims, before it is carried out.
fn check(code: u8, bytes: &[u8]) -> Result<(), String> {
    let ends = "the file ends inside a pickle";
    match code {
        // A text: the length in four bytes, then as many.
        b'X' => {
            let length = bytes.get(1..5).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
            let length = length.ok_or(ends)? as usize;
            if length > bytes.len() - 5 { Err(ends.into()) } else { Ok(()) }
        }
        // A long integer: candle shifts its bytes into an i64 and does not expect more of them.
        0x8a if bytes.get(1).is_some_and(|&length| length > 8) => Err("a pickle holds an integer over 64 bits".into()),
        _ => Ok(()),
    }
}

/// How many objects there are in one, long texts counting more; none where they nest deeper than `depth`.
fn weigh(object: &Object, depth: usize) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    let inside: usize = match object {
        Object::Tuple(items) | Object::List(items) => {
            items.iter().map(|item| weigh(item, depth)).sum::<Option<usize>>()?
        }
        Object::Dict(pairs) => {
            pairs.iter().map(|(key, value)| Some(weigh(key, depth)? + weigh(value, depth)?)).sum::<Option<usize>>()?
        }
        Object::Reduce { callable, args } | Object::Build { callable, args } => {
            weigh(callable, depth)? + weigh(args, depth)?
        }
        Object::PersistentLoad(id) => weigh(id, depth)?,
        Object::Unicode(text) => text.len() / 32,
        Object::Class { module_name, class_name } => (module_name.len() + class_name.len()) / 32,
        _ => 0,
    };
    Some(1 + inside)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn harm_is_refused() {
        let nested = [b"\x80\x02)".to_vec(), vec![0x85; 1 << 20], b".".to_vec()].concat();
        let laughs: Vec<u8> = (0..60).flat_map(|_| *b"q\x00h\x00\x86").collect();
        let laughs = [b"\x80\x02)".to_vec(), laughs, b".".to_vec()].concat();
        let lists = [b"\x80\x02".to_vec(), b"]".repeat(200), b"a".repeat(199), b".".to_vec()].concat();
        let gets =
            [b"\x80\x02X\x00\x04\x00\x00".to_vec(), vec![b'x'; 1024], b"q\x00".to_vec(), b"h\x00".repeat(1 << 17)];
        let texts = [gets.concat(), b".".to_vec()].concat();
        // (label, pickle, words of the error)
        let cases = [
            ("nothing", vec![], "ends inside"),
            ("no end", b"\x80\x02}".to_vec(), "ends inside"),
            ("4 GB of text", b"\x80\x02X\xff\xff\xff\xffabc.".to_vec(), "ends inside"),
            ("a text cut off", b"\x80\x02X\x04\x00\x00".to_vec(), "ends inside"),
            ("a huge integer", b"\x80\x02\x8a\x09123456789.".to_vec(), "64 bits"),
            ("nested tuples", nested, "too deep"),
            ("nested lists", lists, "too deep"),
            ("a billion laughs", laughs, "too"),
            ("many copies of a text", texts, "too many"),
            ("an unknown instruction", b"\x80\x02\xff.".to_vec(), "not a pickle"),
            ("empty stack", b"\x80\x02.".to_vec(), "empty stack"),
            ("no mark", b"\x80\x02)t.".to_vec(), "marker"),
            ("an odd dict", b"\x80\x02}(Nu.".to_vec(), "even"),
            ("no such memo", b"\x80\x02h\x07.".to_vec(), "memo"),
        ];
        for (label, pickle, words) in cases {
            let error = read(&mut &pickle[..]).unwrap_err();
            assert!(error.contains(words), "{label}: {error}");
        }
    }

    #[test]
    fn what_follows_a_pickle_is_left_alone() {
        let mut bytes = &b"\x80\x02K\x07.\x80\x02K\x08.rest"[..];
        assert_eq!(read(&mut bytes).unwrap(), Object::Int(7));
        assert_eq!(read(&mut bytes).unwrap(), Object::Int(8));
        assert_eq!(bytes, b"rest");
    }
}
