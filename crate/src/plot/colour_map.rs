//! Numbers as colours.

use super::{BLUE, RED};

/// How a number in 0..=1 becomes a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourMap {
    /// From dark violet by green to yellow. Perceptually uniform: equal steps look equal, in grey and to people who see
    /// colours differently too.
    #[default]
    Viridis,
    /// From dark blue by red to yellow, perceptually uniform as well.
    Plasma,
    /// From black to white.
    Grey,
    /// From blue by white to red: for numbers with a sign, whose zero is 0.5.
    Diverging,
    /// From dark blue by cyan and yellow to dark red: only to show why not. It is brightest in the middle, so that it draws
    /// edges which the numbers do not have and hides others.
    Jet,
}

/// matplotlib's tables, three bytes a colour: by Nathaniel Smith, Stefan van der Walt and Eric Firing, under CC0.
/// tests/golden/make_colour_maps.py writes them.
static VIRIDIS: &[u8; 768] = include_bytes!("viridis.rgb");
static PLASMA: &[u8; 768] = include_bytes!("plasma.rgb");

/// The colour of what is no number: none that a map has, so that it is seen.
const NOT_A_NUMBER: [u8; 3] = [255, 0, 255];

impl ColourMap {
    /// The colour of `value`: red, green, blue.
    ///
    /// Viridis, plasma and jet are matplotlib's own, byte for byte: 256 steps, of which `value` picks one. What lies below 0
    /// or above 1, the infinities too, has the colour of that end; NaN is magenta, which no map has.
    pub fn colour(self, value: f32) -> [u8; 3] {
        if value.is_nan() {
            return NOT_A_NUMBER;
        }
        // The cast keeps to 0..=255 by itself.
        self.step((f64::from(value) * 256.0) as u8)
    }

    /// One of the map's 256 colours.
    pub fn step(self, step: u8) -> [u8; 3] {
        match self {
            Self::Viridis => listed(VIRIDIS, step),
            Self::Plasma => listed(PLASMA, step),
            Self::Grey => [step; 3],
            Self::Diverging => diverging(f64::from(step) / 255.0),
            Self::Jet => jet(step),
        }
    }

    /// What the colours at 0 and at 1 are called, for descriptions.
    pub(super) fn ends(self) -> (&'static str, &'static str) {
        match self {
            Self::Viridis => ("dark violet", "yellow"),
            Self::Plasma => ("dark blue", "yellow"),
            Self::Grey => ("black", "white"),
            Self::Diverging => ("blue", "red"),
            Self::Jet => ("dark blue", "dark red"),
        }
    }
}

fn listed(table: &[u8; 768], step: u8) -> [u8; 3] {
    table.as_chunks().0[usize::from(step)]
}

/// The two colours of this module's marks, and white between them.
fn diverging(share: f64) -> [u8; 3] {
    let (end, depth) = if share < 0.5 { (BLUE, 1.0 - 2.0 * share) } else { (RED, 2.0 * share - 1.0) };
    [end.0, end.1, end.2].map(|tone| (255.0 - depth * (255.0 - f64::from(tone))).round() as u8)
}

/// Straight lines between the corners that matplotlib's jet has, rounded where it rounds and cut to bytes as it does.
fn jet(step: u8) -> [u8; 3] {
    const RED: [(f64, f64); 5] = [(0.0, 0.0), (0.35, 0.0), (0.66, 1.0), (0.89, 1.0), (1.0, 0.5)];
    const GREEN: [(f64, f64); 6] = [(0.0, 0.0), (0.125, 0.0), (0.375, 1.0), (0.64, 1.0), (0.91, 0.0), (1.0, 0.0)];
    const BLUE: [(f64, f64); 5] = [(0.0, 0.5), (0.11, 1.0), (0.34, 1.0), (0.65, 0.0), (1.0, 0.0)];
    let at = 255.0 * (f64::from(step) * (1.0 / 255.0));
    let tone = |corners: &[(f64, f64)]| {
        let between = corners.windows(2).find(|pair| at <= 255.0 * pair[1].0);
        let height = between.map_or(0.0, |pair| {
            let ((from, low), (to, high)) = (pair[0], pair[1]);
            (at - 255.0 * from) / (255.0 * to - 255.0 * from) * (high - low) + low
        });
        (255.0 * height) as u8
    };
    [tone(&RED), tone(&GREEN), tone(&BLUE)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::lightness::lightness;
    use super::*;

    fn steps(map: ColourMap) -> Vec<[u8; 3]> {
        (0..=255).map(|step| map.step(step)).collect()
    }

    #[test]
    fn colours_are_matplotlibs_byte_for_byte() {
        let golden = include_str!("../../tests/golden/colour_maps.txt");
        let mut seen = 0;
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let map = match fields[0] {
                "viridis" => ColourMap::Viridis,
                "plasma" => ColourMap::Plasma,
                "jet" => ColourMap::Jet,
                other => panic!("{other}"),
            };
            let want: Vec<u8> = fields[2..5].iter().map(|byte| byte.parse().unwrap()).collect();
            let got = map.colour(fields[1].parse().unwrap());
            assert_eq!(got[..], want[..], "{line}; make_colour_maps.py beside the golden file remakes it");
            assert!((lightness(got) - fields[5].parse::<f64>().unwrap()).abs() < 1e-3, "{line}: {}", lightness(got));
            seen += 1;
        }
        assert_eq!(seen, 3 * 207, "the golden file has lost its lines");
    }

    /// What "perceptually uniform" is worth, and why the lesson does without jet.
    #[test]
    fn lightness_grows_from_end_to_end_and_jets_does_not() {
        for map in [ColourMap::Viridis, ColourMap::Plasma, ColourMap::Grey] {
            let light = map.lightness();
            // Cutting to bytes may move one step by a little; over three it always grows.
            let least = light.windows(4).map(|run| run[3] - run[0]).fold(f64::INFINITY, f64::min);
            let back = light.windows(2).map(|run| run[0] - run[1]).fold(f64::NEG_INFINITY, f64::max);
            assert!(least > 0.3 && back < 0.05, "{map:?}: {least} over three steps, back by {back}");
        }
        let light = ColourMap::Jet.lightness();
        assert!(
            light[128] > light[0] + 50.0 && light[128] > light[255] + 50.0,
            "bright in the middle, dark at both ends"
        );
        // Between cyan and yellow hardly any step is seen, beside them they are steep.
        assert!((light[110] - light[96]).abs() < 1.0 && light[96] - light[82] > 14.0);
    }

    #[test]
    fn signs_stand_apart_and_zero_is_white() {
        let light = ColourMap::Diverging.lightness();
        assert_eq!(
            (ColourMap::Diverging.colour(0.0), ColourMap::Diverging.colour(1.0)),
            ([0, 114, 178], [200, 30, 30])
        );
        assert!(ColourMap::Diverging.colour(0.5).iter().all(|tone| *tone >= 253));
        assert!(light[..128].is_sorted() && light[128..].is_sorted_by(|a, b| a >= b));
        assert!((light[0] - light[255]).abs() < 5.0, "neither sign looks like more: {} and {}", light[0], light[255]);
    }

    #[test]
    fn what_is_out_of_range_has_the_ends_colour_and_nan_none_of_the_maps() {
        for map in [ColourMap::Viridis, ColourMap::Plasma, ColourMap::Grey, ColourMap::Diverging, ColourMap::Jet] {
            assert_eq!((map.colour(-3.0), map.colour(f32::NEG_INFINITY)), (map.step(0), map.step(0)));
            assert_eq!(
                (map.colour(1.0), map.colour(9.0), map.colour(f32::INFINITY)),
                (map.step(255), map.step(255), map.step(255))
            );
            assert!(!steps(map).contains(&map.colour(f32::NAN)));
        }
    }
}
