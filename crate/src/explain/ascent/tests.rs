//! Climbs on small networks made for the purpose.

use super::*;

/// The noise of tests/golden/make_explain.py.
pub(super) fn signed(name: &str, count: usize) -> Vec<f32> {
    let hash = name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    let value = |i: usize| {
        let mut z = hash.wrapping_add((i as u32).wrapping_mul(2_654_435_761));
        z = (z ^ (z >> 16)).wrapping_mul(0x7feb_352d);
        z = (z ^ (z >> 15)).wrapping_mul(0x846c_a68b);
        ((z ^ (z >> 16)) >> 8) as f32 * 2f32.powi(-23) - 1.
    };
    (0..count).map(value).collect()
}
