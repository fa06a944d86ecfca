//! How far chance alone moves an accuracy: intervals for one share, and for the difference of two.

/// 97.5 % of a standard normal lie below this, so 95 % between it and its opposite.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % score interval for `right` successes among `all`: honest near 1, where accuracies live.
///
/// Wilson 1927, "Probable inference, the law of succession, and statistical inference" (JASA 22, 209-212), without
/// continuity correction; Brown, Cai and DasGupta 2001 compare it with the others and recommend it. Low and high, both in
/// 0..=1; of no trials at all nothing is known, so 0 and 1.
///
/// ```
/// let (low, high) = candlewick::evaluate::wilson(9, 10);
/// assert!((low - 0.5958).abs() < 1e-4 && (high - 0.9821).abs() < 1e-4);
/// ```
pub fn wilson(right: usize, all: usize) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (all as f64, right.min(all) as f64 / all as f64);
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

/// The 95 % interval for the difference of two shares, the first less the second, each as `(right, all)` and measured on
/// photos of its own. Where it holds 0, the two do not differ by more than chance.
///
/// Newcombe 1998, "Interval estimation for the difference between independent proportions" (Statistics in Medicine 17,
/// 873-890), method 10: made of the two [`wilson`] intervals. Low and high, both in -1..=1.
///
/// ```
/// let (low, high) = candlewick::evaluate::newcombe((56, 70), (48, 80)); // the paper's own example
/// assert!((low - 0.0524).abs() < 1e-4 && (high - 0.3339).abs() < 1e-4);
/// ```
pub fn newcombe(first: (usize, usize), second: (usize, usize)) -> (f64, f64) {
    let share = |(right, all): (usize, usize)| if all == 0 { 0.5 } else { right.min(all) as f64 / all as f64 };
    let (p, q) = (share(first), share(second));
    let ((p_low, p_high), (q_low, q_high)) = (wilson(first.0, first.1), wilson(second.0, second.1));
    let low = p - q - ((p - p_low).powi(2) + (q_high - q).powi(2)).sqrt();
    let high = p - q + ((p_high - p).powi(2) + (q - q_low).powi(2)).sqrt();
    (low.max(-1.0), high.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scipy's `binomtest(right, all).proportion_ci(method="wilson")`.
    #[test]
    fn wilson_is_the_score_interval() {
        let cases = [
            (9, 10, 0.595_850, 0.982_124),
            (393, 400, 0.964_323, 0.991_498),
            (0, 10, 0.0, 0.277_533),
            (10, 10, 0.722_467, 1.0),
        ];
        for (right, all, low, high) in cases {
            let got = wilson(right, all);
            assert!((got.0 - low).abs() < 1e-6 && (got.1 - high).abs() < 1e-6, "{right}/{all}: {got:?}");
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert_eq!(wilson(11, 10), wilson(10, 10), "never above 1");
    }

    /// The examples of the paper's table II, column 10.
    #[test]
    fn newcombe_is_the_papers_method_10() {
        let cases = [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 10), -0.2775, 0.2775),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ];
        for (first, second, low, high) in cases {
            let got = newcombe(first, second);
            assert!((got.0 - low).abs() < 6e-5 && (got.1 - high).abs() < 6e-5, "{first:?} {second:?}: {got:?}");
        }
        let unknown = newcombe((0, 0), (3, 5));
        assert!(unknown.0 < -0.5 && unknown.1 > 0.5, "{unknown:?}");
    }
}
