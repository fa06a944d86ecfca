//! What a cell writes to a stream, taken apart as it comes: text, and messages for the kernel.

use crate::lines::{Line, MARK};
use std::collections::BTreeMap;

/// A message longer than this is none: a picture for a notebook is smaller.
const LONGEST: usize = 256 << 20;
/// Content that a value shows in evcxr's own way, between two such lines.
const BEGIN: &str = "EVCXR_BEGIN_CONTENT ";
const END: &str = "\nEVCXR_END_CONTENT\n";
/// What evcxr's part of the process says when a cell is left: it has been told already.
const ENDED: &str = "EVCXR_EXECUTION_COMPLETE\n";

/// One piece of what was written.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// Text for people.
    Text(String),
    /// A message of the helper crate's.
    Message(Line),
    /// Content in one or more media types.
    Content(BTreeMap<String, String>),
}

/// Takes a stream apart.
#[derive(Debug, Default)]
pub struct Stream {
    pending: Vec<u8>,
    /// Whether the next byte is the first of its line.
    in_line: bool,
    /// Content of which more media types may follow at once.
    content: BTreeMap<String, String>,
    /// Whether evcxr's word is still to come, and to be left out.
    ended_is_due: bool,
    /// Up to where the end of a message or content has been looked for.
    searched: usize,
}

impl Stream {
    /// Takes in what has come, and gives out what is whole. Text is given out at once, however little it is.
    pub fn take(&mut self, bytes: &[u8], out: &mut dyn FnMut(Said)) {
        self.pending.extend_from_slice(bytes);
        while self.step(false, out) {}
    }

    /// The stream has ended, or will say nothing more for now: what is left is text.
    pub fn end(&mut self, out: &mut dyn FnMut(Said)) {
        while self.step(true, out) {}
        self.flush_content(out);
    }

    /// Gives out one piece; whether there was one.
    fn step(&mut self, last: bool, out: &mut dyn FnMut(Said)) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        if self.ended_is_due && self.pending.starts_with(ENDED.as_bytes()) {
            self.drop_front(ENDED.len());
            self.ended_is_due = false;
            return true;
        }
        if !self.in_line && self.pending.starts_with(BEGIN.as_bytes()) {
            return self.take_content(last, out);
        }
        if self.pending.starts_with(MARK.as_bytes()) {
            return self.take_message(last, out);
        }
        let could_begin = |mark: &str| mark.as_bytes().starts_with(&self.pending);
        let ended = self.ended_is_due && could_begin(ENDED);
        if !last && (ended || could_begin(MARK) || (!self.in_line && could_begin(BEGIN))) {
            return false;
        }
        self.take_text(last, out)
    }

    /// Text up to where something else may begin.
    fn take_text(&mut self, last: bool, out: &mut dyn FnMut(Said)) -> bool {
        let end = self.text_end(last);
        if end == 0 {
            return false;
        }
        let text = String::from_utf8_lossy(&self.pending[..end]).into_owned();
        self.drop_front(end);
        self.in_line = !text.ends_with('\n');
        self.flush_content(out);
        out(Said::Text(text));
        true
    }

    fn text_end(&self, last: bool) -> usize {
        let pending = &self.pending;
        // At the first byte of a mark, or behind a line's end where content begins.
        let mark = MARK.as_bytes();
        let stops = |at: usize| {
            let rest = &pending[at..];
            let whole_or_part = |mark: &[u8]| rest.starts_with(mark) || (!last && mark.starts_with(rest));
            whole_or_part(mark)
                || (self.ended_is_due && whole_or_part(ENDED.as_bytes()))
                || (pending[at - 1] == b'\n' && whole_or_part(BEGIN.as_bytes()))
        };
        let found = (1..pending.len()).find(|at| matches!(pending[*at], b'\x01' | b'E') && stops(*at));
        let end = found.unwrap_or(pending.len());
        if last || found.is_some() { end } else { end - unfinished_character(&pending[..end]) }
    }

    fn take_message(&mut self, last: bool, out: &mut dyn FnMut(Said)) -> bool {
        let searched = self.searched;
        self.searched = self.pending.len();
        let Some(end) = self.pending[searched..].iter().position(|byte| *byte == b'\n').map(|at| searched + at) else {
            if last || self.pending.len() > LONGEST {
                return self.give_up(out);
            }
            return false;
        };
        let message = std::str::from_utf8(&self.pending[..end]).ok().and_then(Line::decode);
        let Some((_, message)) = message else { return self.give_up(out) };
        self.drop_front(end + 1);
        self.in_line = false;
        self.flush_content(out);
        if message == Line::Left {
            self.ended_is_due = true;
        }
        out(Said::Message(message));
        true
    }

    fn take_content(&mut self, last: bool, out: &mut dyn FnMut(Said)) -> bool {
        let searched = self.searched;
        self.searched = self.pending.len().saturating_sub(END.len());
        let find = |text: &str| self.pending[searched..].windows(text.len()).position(|found| found == text.as_bytes());
        let (end, mark) = (find(END), find(MARK));
        // Content that a message breaks into has no end: whoever wrote it has panicked, say.
        let broken = mark.is_some_and(|mark| end.is_none_or(|end| mark < end));
        let Some(end) = end.filter(|_| !broken).map(|at| searched + at) else {
            if broken || last || self.pending.len() > LONGEST {
                return self.give_up(out);
            }
            return false;
        };
        let block = String::from_utf8_lossy(&self.pending[BEGIN.len()..end]).into_owned();
        self.drop_front(end + END.len());
        let (media_type, content) = block.split_once('\n').unwrap_or((&block, ""));
        if self.content.contains_key(media_type) {
            self.flush_content(out);
        }
        self.content.insert(media_type.trim().to_owned(), content.to_owned());
        true
    }

    /// What looked like a message is text: its first byte goes, so that the rest is looked at again.
    fn give_up(&mut self, out: &mut dyn FnMut(Said)) -> bool {
        self.flush_content(out);
        let first = String::from_utf8_lossy(&self.pending[..1]).into_owned();
        self.drop_front(1);
        self.in_line = true;
        out(Said::Text(first));
        true
    }

    fn drop_front(&mut self, count: usize) {
        self.pending.drain(..count);
        self.searched = 0;
    }

    fn flush_content(&mut self, out: &mut dyn FnMut(Said)) {
        if !self.content.is_empty() {
            out(Said::Content(std::mem::take(&mut self.content)));
        }
    }
}

/// How many bytes at the end are the beginning of a character that is not whole yet.
fn unfinished_character(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    (1..=tail.len())
        .find(|count| {
            let start = tail[tail.len() - count];
            let length = match start {
                0xC2..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF4 => 4,
                _ => 1,
            };
            length > *count
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out when the pieces come in, texts joined as people see them.
    fn said(pieces: &[&[u8]]) -> Vec<Said> {
        let mut all: Vec<Said> = Vec::new();
        let mut stream = Stream::default();
        let mut add = |said| match (all.last_mut(), said) {
            (Some(Said::Text(text)), Said::Text(more)) => text.push_str(&more),
            (_, said) => all.push(said),
        };
        pieces.iter().for_each(|piece| stream.take(piece, &mut add));
        stream.end(&mut add);
        all
    }

    fn text(text: &str) -> Said {
        Said::Text(text.to_owned())
    }

    #[test]
    fn text_without_a_newline_comes_at_once() {
        let mut seen = Vec::new();
        let mut stream = Stream::default();
        stream.take(b"50 %", &mut |said| seen.push(said));
        stream.take(b"\rE", &mut |said| seen.push(said));
        assert_eq!(seen, [text("50 %"), text("\rE")]);
    }

    #[test]
    fn however_it_is_cut_it_means_the_same() {
        let done = Line::Done { cell: 7 };
        let whole = format!(
            "é print{}EVCXR_BEGIN_CONTENT image/png\nabc\nEVCXR_END_CONTENT\nEVCXR_BEGIN_CONTENT text/plain\n\
             a\nb\nEVCXR_END_CONTENT\n\u{1}\u{1}candle EVCXR_BEGIN_CONTENT x\nEVCXR_🎉",
            done.encode()
        );
        let content = [("image/png", "abc"), ("text/plain", "a\nb")];
        let content = content.map(|(kind, content)| (kind.to_owned(), content.to_owned())).into();
        let want = [
            text("é print"),
            Said::Message(done),
            Said::Content(content),
            text("\u{1}\u{1}candle EVCXR_BEGIN_CONTENT x\nEVCXR_🎉"),
        ];
        let bytes = whole.as_bytes();
        for size in 1..bytes.len() {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(said(&pieces), want, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_message_and_no_text_harms_nobody() {
        assert_eq!(said(&[b"\xff\xfe\n\x80"]), [text("\u{fffd}\u{fffd}\n\u{fffd}")]);
        assert_eq!(
            said(&[b"\x01candlewick {\"is\":\"unknown\"}\nb"]),
            [text("\u{1}candlewick {\"is\":\"unknown\"}\nb")]
        );
        assert_eq!(said(&[b"EVCXR_BEGIN_CONTENT text/plain\nnever ends"]).len(), 1);
        assert_eq!(said(&[b"\xe2\x82"]), [text("\u{fffd}")], "cut for good");
    }

    #[test]
    fn content_without_an_end_swallows_no_message() {
        let done = Line::Done { cell: 3 };
        let begun = "EVCXR_BEGIN_CONTENT text/html\nhalf";
        let whole = format!("{begun}{}rest\nEVCXR_END_CONTENT\n", done.encode());
        for size in 1..whole.len() {
            let mut seen = Vec::new();
            let mut stream = Stream::default();
            whole.as_bytes().chunks(size).for_each(|piece| stream.take(piece, &mut |said| seen.push(said)));
            assert!(seen.contains(&Said::Message(done.clone())), "in pieces of {size}: {seen:?}");
            let texts = seen.iter().map(|said| if let Said::Text(text) = said { text.as_str() } else { "" });
            assert_eq!(texts.collect::<String>(), format!("{begun}rest\nEVCXR_END_CONTENT\n"));
        }
    }

    #[test]
    fn evcxrs_word_is_left_out_once_and_only_when_it_is_due() {
        let left = Line::Left.encode();
        let whole = format!("{ENDED}{left}x{ENDED}{ENDED}");
        for size in 1..whole.len() {
            let pieces: Vec<&[u8]> = whole.as_bytes().chunks(size).collect();
            let want = [text(ENDED), Said::Message(Line::Left), text(&format!("x{ENDED}"))];
            assert_eq!(said(&pieces), want, "in pieces of {size}");
        }
    }

    #[test]
    fn the_same_media_type_twice_is_two_displays() {
        let block = b"EVCXR_BEGIN_CONTENT text/plain\na\nEVCXR_END_CONTENT\n".as_slice();
        assert_eq!(said(&[block, block]).len(), 2);
    }
}
