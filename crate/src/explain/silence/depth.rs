//! Whether deeper layers are sparser: what the counts of silent channels say, and no more.

use super::{SilentChannels, SilentLayer, photos};
use std::cmp::Ordering;
use std::fmt;

/// How many pairs of layers there are in which the deeper one has more, fewer, or as many channels that are silent for some
/// photos only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// The deeper one has the larger share of such channels.
    pub more: usize,
    /// The deeper one has the smaller share.
    pub fewer: usize,
    /// Both have the same, usually none.
    pub equal: usize,
}

/// A rule holds for at least this share of all pairs: three for one that breaks it. Equal ones do not hold.
const RULE: f64 = 0.75;
/// Shares that differ by less are the same, but for rounding.
const SAME: f64 = 1e-9;

/// What the pairs say of depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Sparser,
    Fuller,
    /// Too few of the pairs.
    NoRule,
    /// As many pairs as a rule needs, but of so few layers that chance could do it.
    TooFewLayers,
}

impl Pairs {
    fn of(shares: &[f64]) -> Self {
        let mut pairs = Self::default();
        for (index, early) in shares.iter().enumerate() {
            for late in shares.iter().skip(index + 1) {
                match late.total_cmp(early) {
                    _ if (late - early).abs() < SAME => pairs.equal += 1,
                    Ordering::Greater => pairs.more += 1,
                    _ => pairs.fewer += 1,
                }
            }
        }
        pairs
    }

    fn all(self) -> usize {
        self.more + self.fewer + self.equal
    }

    /// A part of all pairs, 0 to 1.
    fn share(self, part: usize) -> f64 {
        part as f64 / self.all().max(1) as f64
    }

    /// The verdict over so many layers. Shuffled ones would differ from it in 19 of 20 cases, by the normal approximation of
    /// Kendall's tau; where pairs are equal its spread is smaller, so that no more is claimed than that.
    fn verdict(self, layers: usize) -> Verdict {
        let (more, fewer) = (self.share(self.more), self.share(self.fewer));
        let layers = layers as f64;
        let spread = (2.0 * (2.0 * layers + 5.0) / (9.0 * layers * (layers - 1.0).max(1.0))).sqrt();
        match more.max(fewer) {
            most if most < RULE => Verdict::NoRule,
            _ if (more - fewer).abs() < 1.96 * spread => Verdict::TooFewLayers,
            _ if more > fewer => Verdict::Sparser,
            _ => Verdict::Fuller,
        }
    }
}

impl SilentChannels {
    /// All pairs of layers, by [`SilentLayer::sometimes_silent`].
    ///
    /// Sparse may mean two things, and the words under the curve say each apart: that a filter finds nothing at all in a photo,
    /// by these pairs, and that it answers at few places, by the pairs of [`SilentLayer::zeros`]. They call deeper layers
    /// sparser where the deeper one has more in three of four pairs (Kendall's
    /// tau, with equal pairs for neither side, is then a half or above), and where that is more than shuffled layers give in
    /// 19 of 20 cases, which matters for few layers only. Three of four is a convention. It describes this network on these
    /// photos, and counts how often the deeper of two layers has more, not how much more.
    pub fn pairs(&self) -> Pairs {
        Pairs::of(&self.layers.iter().map(SilentLayer::sometimes_silent).collect::<Vec<f64>>())
    }

    /// The layer with the most.
    fn most(&self, share: impl Fn(&SilentLayer) -> f64) -> Option<&SilentLayer> {
        self.layers.iter().reduce(|most, layer| if share(layer) > share(most) { layer } else { most })
    }

    /// What is silent for every photo.
    fn always_in_words(&self) -> String {
        let channels: usize = self.layers.iter().map(|layer| layer.channels).sum();
        let always: usize = self.layers.iter().map(|layer| layer.always).sum();
        match self.most(SilentLayer::always_silent) {
            Some(most) if always > 0 => format!(
                "Silent for every photo: {always} of {channels} channels, the largest share in {} ({} of {}). Whether \
                 nothing excites these, or only what none of the photos shows, the photos cannot tell.",
                most.layer, most.always, most.channels
            ),
            _ => format!("Silent for every photo: none of {channels} channels."),
        }
    }

    /// A share layer by layer, and what it says of depth.
    fn by_depth_in_words(&self, what: &str, share: impl Fn(&SilentLayer) -> f64) -> String {
        let pairs = Pairs::of(&self.layers.iter().map(&share).collect::<Vec<f64>>());
        let percent = |part| 100.0 * pairs.share(part);
        let most = self.most(&share).map(|layer| (100.0 * share(layer), &layer.layer));
        let most = most.map_or_else(String::new, |(share, name)| format!("at most {share:.1} % ({name})"));
        let verdict = match pairs.verdict(self.layers.len()) {
            Verdict::Sparser => "That is three of four or more: by this, deeper is sparser here.",
            Verdict::Fuller => "That is three of four or more: by this, deeper is not sparser here, but fuller.",
            Verdict::NoRule => "Neither is three of four: by this, that deeper is sparser is no rule here.",
            Verdict::TooFewLayers => "So few layers could well give that by chance: it shows no rule.",
        };
        format!(
            "{what}: {}{most}. Of two layers the deeper one has more of these in {:.1} % of all pairs, fewer in {:.1} %, as many \
             in {:.1} %. {verdict}",
            self.thirds_in_words(&share),
            percent(pairs.more),
            percent(pairs.fewer),
            percent(pairs.equal)
        )
    }

    /// The mean share in the first third of the layers, the middle one and the last; nothing for less than three layers.
    fn thirds_in_words(&self, share: impl Fn(&SilentLayer) -> f64) -> String {
        let third = self.layers.len() / 3;
        let (first, rest) = self.layers.split_at(third);
        let (middle, last) = rest.split_at(rest.len() - third);
        let mean = |layers: &[SilentLayer]| 100.0 * layers.iter().map(&share).sum::<f64>() / layers.len() as f64;
        match third {
            0 => String::new(),
            _ => format!(
                "on average {:.1} % in the first third of the layers, {:.1} % in the middle, {:.1} % in the last, ",
                mean(first),
                mean(middle),
                mean(last)
            ),
        }
    }
}

/// What the numbers say, and no more.
impl fmt::Display for SilentChannels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(first), Some(last)) = (self.layers.first(), self.layers.last()) else {
            return f.write_str("No layers were looked at.");
        };
        let share = |layer: &SilentLayer| format!("{:.1} % in {}", 100.0 * layer.silent, layer.layer);
        writeln!(
            f,
            "Silent channels of {}, {}, {} ReLUs: {} at the beginning, {} at the end.",
            self.model,
            photos(self.photos),
            self.layers.len(),
            share(first),
            share(last)
        )?;
        let zeros = self.by_depth_in_words("Zeros, of all that comes out of a ReLU", |layer| layer.zeros);
        if self.photos < 2 {
            return write!(
                f,
                "One photo cannot tell a channel that is silent for it from one that is silent for all: take more to see \
                 whether deeper layers have more of those.\n{zeros}"
            );
        }
        let sometimes = self.by_depth_in_words("Silent for some photos only", SilentLayer::sometimes_silent);
        write!(f, "{}\n{sometimes}\n{zeros}", self.always_in_words())
    }
}
