//! Pictures compared: SVG by its words and numbers, what can be decoded by its pixels, the rest by its bytes.
//!
//! The same code draws a little differently on another processor; a little is forgiven, and no more.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, Frames, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits, RgbaImage};
use std::io::Cursor;

/// By how much a colour of a pixel may differ, of 255.
pub const COLOUR: u8 = 8;
/// By how much a coordinate of a drawing may differ, in pixels.
const COORDINATE: f64 = 1.0;
/// By how much a small number may: an opacity, a width.
const SMALL: f64 = 0.01;
/// Numbers from here on are coordinates.
const LARGE: f64 = 10.0;
/// The largest side of a picture that is looked at.
const LARGEST: u32 = 1 << 14;

/// What is different between two pictures of a media type, in base64; none where they look the same, in all of their frames.
pub fn compare(kind: &str, saved: &str, new: &str) -> Option<String> {
    if saved == new {
        return None;
    }
    let (saved, new) = match (bytes(saved), bytes(new)) {
        (Ok(saved), Ok(new)) => (saved, new),
        (saved, new) => return unreadable(saved.err(), new.err()),
    };
    let Some(format) = ImageFormat::from_mime_type(kind).filter(ImageFormat::reading_enabled) else {
        return (saved != new).then(|| format!("the picture is not the same ({kind} is compared byte by byte)"));
    };
    let (mut before, mut after) = match (frames(format, &saved), frames(format, &new)) {
        (Ok(before), Ok(after)) => (before, after),
        (before, after) => {
            return unreadable(before.err().map(|why| why.to_string()), after.err().map(|why| why.to_string()));
        }
    };
    for number in 1.. {
        let how = match (before.next(), after.next()) {
            (None, None) => break,
            (Some(Ok(before)), Some(Ok(after))) => pixels_differ(&before, &after),
            (Some(Ok(_)), None) => Some("it was there, and is not".to_owned()),
            (None, Some(Ok(_))) => Some("it is there, and was not".to_owned()),
            (before, after) => {
                let why =
                    |frame: Option<ImageResult<RgbaImage>>| frame.and_then(Result::err).map(|why| why.to_string());
                unreadable(why(before), why(after))
            }
        };
        if let Some(how) = how {
            return Some(if number == 1 { how } else { format!("frame {number}: {how}") });
        }
    }
    None
}

/// What is different between two PNGs in base64; none where they look the same.
pub fn png(saved: &str, new: &str) -> Option<String> {
    compare("image/png", saved, new)
}

fn unreadable(saved: Option<String>, new: Option<String>) -> Option<String> {
    let said = |whose: &str, why: String| format!("the {whose} picture cannot be read: {why}");
    saved.map(|why| said("saved", why)).or_else(|| new.map(|why| said("new", why)))
}

fn pixels_differ(saved: &RgbaImage, new: &RgbaImage) -> Option<String> {
    if saved.dimensions() != new.dimensions() {
        let ((a, b), (c, d)) = (saved.dimensions(), new.dimensions());
        return Some(format!("the picture was {a} × {b} pixels, and is {c} × {d}"));
    }
    let (mut count, mut most) = (0, 0);
    for (before, after) in saved.pixels().zip(new.pixels()) {
        let by = before.0.iter().zip(after.0).map(|(a, b)| a.abs_diff(b)).max().unwrap_or_default();
        count += usize::from(by > COLOUR);
        most = most.max(by);
    }
    let all = saved.pixels().len();
    (count > 0).then(|| format!("{count} of {all} pixels differ, by up to {most} of 255 (up to {COLOUR} is let pass)"))
}

fn bytes(base64: &str) -> Result<Vec<u8>, String> {
    let text: String = base64.split_ascii_whitespace().collect();
    STANDARD.decode(text).map_err(|why| format!("not base64: {why}"))
}

/// A picture's frames, one after another: none but the current one is kept.
type Pixels<'a> = Box<dyn Iterator<Item = ImageResult<RgbaImage>> + 'a>;

fn frames(format: ImageFormat, bytes: &[u8]) -> ImageResult<Pixels<'_>> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST);
    limits.max_image_height = Some(LARGEST);
    let moving: Option<Frames<'_>> = match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(Cursor::new(bytes))?;
            decoder.set_limits(limits.clone())?;
            Some(decoder.into_frames())
        }
        ImageFormat::WebP => {
            let mut decoder = WebPDecoder::new(Cursor::new(bytes))?;
            decoder.set_limits(limits.clone())?;
            decoder.has_animation().then(|| decoder.into_frames())
        }
        _ => None,
    };
    if let Some(frames) = moving {
        return Ok(Box::new(frames.map(|frame| frame.map(image::Frame::into_buffer))));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    Ok(Box::new(std::iter::once(Ok(reader.decode()?.into_rgba8()))))
}

/// What is different between two drawings; none where they look the same. Written text must be equal; a number may differ
/// by so little that nobody sees it; a PNG inside is a picture.
pub fn svg(saved: &str, new: &str) -> Option<String> {
    if saved == new {
        return None;
    }
    let (mut before, mut after) = (Pieces::of(saved), Pieces::of(new));
    loop {
        match (before.next(), after.next()) {
            (None, None) => return None,
            (Some(a), Some(b)) if a.looks_like(&b) => {}
            (a, b) => {
                let show = |piece: Option<Piece<'_>>| piece.map_or("its end".to_owned(), |piece| piece.show());
                return Some(format!(
                    "the drawing differs from line {} on: saved {}, new {}",
                    before.line(),
                    show(a),
                    show(b)
                ));
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    /// A number within a tag.
    Number(f64),
    /// A PNG in base64.
    Png(&'a str),
    /// Anything else.
    Text(&'a str),
}

impl Piece<'_> {
    fn looks_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => {
                let apart = (a - b).abs();
                apart <= SMALL || (apart <= COORDINATE && a.abs() >= LARGE && b.abs() >= LARGE)
            }
            (Self::Png(a), Self::Png(b)) => png(a, b).is_none(),
            (a, b) => a == b,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Png(_) => "a picture".to_owned(),
            Self::Text(text) => format!("`{}`", text.trim().chars().take(60).collect::<String>()),
        }
    }
}

/// Before a PNG within a drawing.
const PNG: &str = "data:image/png;base64,";

/// A drawing in pieces.
struct Pieces<'a> {
    text: &'a str,
    at: usize,
    in_tag: bool,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0, in_tag: false }
    }

    /// The line of the piece that comes next.
    fn line(&self) -> usize {
        self.text.get(..self.at).unwrap_or_default().lines().count().max(1)
    }

    /// The text up to `length` bytes from here, and on behind it.
    fn take(&mut self, length: usize) -> &'a str {
        let taken = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        taken
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        if let Some(data) = rest.strip_prefix(PNG) {
            let end = data.find(['"', '\'', ')']).unwrap_or(data.len());
            self.at += PNG.len();
            return Some(Piece::Png(self.take(end)));
        }
        if self.in_tag
            && let Some((number, length)) = number(rest)
        {
            self.at += length;
            return Some(Piece::Number(number));
        }
        // Up to where something else begins; at least one character.
        let mut word = "";
        for (i, c) in rest.char_indices() {
            // A path's commands are letters right before their numbers; the digits of a colour or a name, `#10e0ff` or
            // `path10`, are none.
            let may_begin = word.is_empty() || (word.len() == 1 && word != "#" && word != "_");
            let begins_number = self.in_tag && may_begin && number(&rest[i..]).is_some();
            if i > 0 && (begins_number || rest[i..].starts_with(PNG)) {
                return Some(Piece::Text(self.take(i)));
            }
            let in_word = c.is_alphanumeric() || matches!(c, '#' | '_');
            word = if in_word { &rest[i - word.len()..i + c.len_utf8()] } else { "" };
            match c {
                '<' => self.in_tag = true,
                '>' => {
                    self.in_tag = false;
                    return Some(Piece::Text(self.take(i + 1)));
                }
                _ => {}
            }
        }
        Some(Piece::Text(self.take(rest.len())))
    }
}

/// The number that a text begins with, and its length.
fn number(text: &str) -> Option<(f64, usize)> {
    let mut end = text.strip_prefix('-').map_or(0, |_| 1);
    let digits = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let whole = digits(end);
    end += whole;
    if text.as_bytes().get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    Some((text.get(..end)?.parse().ok()?, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png_of(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 4]) -> String {
        let picture = RgbaImage::from_fn(width, height, |x, y| image::Rgba(colour(x, y)));
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        STANDARD.encode(bytes)
    }

    #[test]
    fn pictures_may_differ_by_a_shade() {
        let grey = |by: u8| png_of(4, 3, |x, _| [100 + by * u8::from(x == 2), 100, 100, 255]);
        assert_eq!(png(&grey(0), &grey(0)), None);
        assert_eq!(png(&grey(0), &grey(COLOUR)), None);
        let why = png(&grey(0), &grey(COLOUR + 1)).unwrap();
        assert!(why.contains("3 of 12 pixels differ, by up to 9"), "{why}");
        assert!(png(&grey(0), &png_of(3, 4, |_, _| [0; 4])).unwrap().contains("4 × 3 pixels, and is 3 × 4"));
        let wrapped = grey(0).chars().map(|c| format!("{c}\n")).collect::<String>();
        assert_eq!(png(&wrapped, &grey(0)), None, "base64 may be in lines");
    }

    #[test]
    fn other_formats_are_compared_by_pixels_and_unknown_ones_by_bytes() {
        let encoded = |format: ImageFormat, grey: u8| {
            let picture = image::RgbImage::from_pixel(9, 9, image::Rgb([grey; 3]));
            let mut bytes = Vec::new();
            picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
            STANDARD.encode(bytes)
        };
        for (kind, format) in
            [("image/jpeg", ImageFormat::Jpeg), ("image/gif", ImageFormat::Gif), ("image/webp", ImageFormat::WebP)]
        {
            assert_eq!(compare(kind, &encoded(format, 90), &encoded(format, 93)), None, "{kind}");
            assert!(compare(kind, &encoded(format, 90), &encoded(format, 120)).unwrap().contains("81 of 81"), "{kind}");
            assert!(compare(kind, &encoded(format, 90), "aGVsbG8=").unwrap().contains("new picture cannot"), "{kind}");
        }
        assert_eq!(compare("image/x-odd", "aGVs\nbG8=", "aGVsbG8="), None);
        assert!(compare("image/x-odd", "aGVsbG8=", "aGVsbGw=").unwrap().contains("byte by byte"));
    }

    #[test]
    fn a_later_frame_counts() {
        let moving = |greys: &[u8]| {
            let mut bytes = Vec::new();
            let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
            let frame = |&grey| image::Frame::new(RgbaImage::from_pixel(5, 5, image::Rgba([grey, grey, grey, 255])));
            encoder.encode_frames(greys.iter().map(frame)).unwrap();
            drop(encoder);
            STANDARD.encode(bytes)
        };
        let how = |greys: &[u8]| compare("image/gif", &moving(&[10, 200]), &moving(greys));
        assert_eq!(how(&[10, 202]), None);
        assert!(how(&[10, 100]).unwrap().starts_with("frame 2: 25 of 25 pixels"));
        assert_eq!(how(&[10]).unwrap(), "frame 2: it was there, and is not");
    }

    #[test]
    fn a_single_dot_is_not_let_pass() {
        let dotted = |dot: bool| png_of(300, 300, |x, y| if dot && (x, y) == (7, 9) { [0; 4] } else { [255; 4] });
        assert!(png(&dotted(false), &dotted(true)).unwrap().contains("1 of 90000"));
    }

    #[test]
    fn what_is_no_picture_is_said() {
        let good = png_of(1, 1, |_, _| [0; 4]);
        assert!(png("%", &good).unwrap().contains("the saved picture cannot be read: not base64"));
        assert!(png(&good, "aGVsbG8=").unwrap().contains("the new picture cannot be read"));
        assert!(png(&good, &good[..20]).is_some());
    }

    #[test]
    fn drawings_may_differ_by_a_pixel_but_not_in_their_words() {
        let drawing = r##"<svg width="400"><path id="path10" d="M10.2,-20 L30 40" fill="#10e0ff" opacity="0.5"/><text x="12">0.98</text></svg>"##;
        let same = |from: &str, to: &str| {
            assert!(drawing.contains(from));
            assert_eq!(svg(drawing, &drawing.replace(from, to)), None, "{from} -> {to}");
        };
        same("10.2", "10.9");
        same("-20", "-20.5");
        same("0.5", "0.509");
        let differ = |from: &str, to: &str| {
            assert!(drawing.contains(from));
            assert!(svg(drawing, &drawing.replace(from, to)).is_some(), "{from} -> {to}");
        };
        differ("-20", "-22");
        differ("-20", "20");
        differ("0.5", "0.6");
        differ("0.98", "0.99");
        differ("#10e0ff", "#11e0ff");
        differ("path10", "path11");
        same("L30", "L31");
        differ("</svg>", "<g/></svg>");
        differ("width", "width2");
        let why = svg(drawing, &drawing.replace("0.98", "0.48")).unwrap();
        assert!(why.contains("saved `0.98</text>`, new `0.48</text>`"), "{why}");
    }

    #[test]
    fn a_photo_in_a_drawing_is_a_photo() {
        let drawing = |by: u8, x: &str| {
            let png = png_of(2, 2, |_, _| [100 + by, 1, 2, 255]);
            format!("<svg><image x=\"{x}\" href=\"data:image/png;base64,{png}\"/></svg>")
        };
        assert_eq!(svg(&drawing(0, "20"), &drawing(3, "20.4")), None);
        assert!(svg(&drawing(0, "20"), &drawing(30, "20")).unwrap().contains("saved a picture, new a picture"));
    }

    #[test]
    fn odd_drawings_are_no_panic() {
        for text in ["", "<", "-", "<-", "<.", "<é1", "<-é", "data:image/png;base64,", "<1.2.3.4e5>"] {
            assert_eq!(svg(text, text), None);
            assert!(svg(text, &format!("{text}é")).is_some(), "{text}");
            assert_eq!(Pieces::of(text).map(|_| ()).count(), Pieces::of(text).count());
        }
    }
}
