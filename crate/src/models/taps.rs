//! Where the taps of a convolution's kernel meet its input.

#[cfg(any(feature = "cuda", test))]
use crate::cuda::Window;
use std::ops::Range;

/// Which input pixels each tap of a kernel meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taps {
    pub stride: usize,
    /// Zeros around the input: above and below, left and right.
    pub padding: (usize, usize),
    /// Rows and columns of the input.
    pub input: (usize, usize),
    /// Rows and columns of the kernel.
    pub kernel: (usize, usize),
}

impl Taps {
    /// One tap for each of as many pixels.
    pub fn pointwise(pixels: usize) -> Self {
        Self { stride: 1, padding: (0, 0), input: (1, pixels), kernel: (1, 1) }
    }

    /// Whether what the taps meet is the input as it is.
    pub fn meets_each_pixel_once(&self) -> bool {
        (self.stride, self.padding, self.kernel) == (1, (0, 0), (1, 1))
    }

    /// Rows and columns that come out. The kernel must fit into the padded input.
    pub fn output(&self) -> (usize, usize) {
        let along = |input: usize, padding: usize, kernel: usize| (input + 2 * padding - kernel) / self.stride + 1;
        (along(self.input.0, self.padding.0, self.kernel.0), along(self.input.1, self.padding.1, self.kernel.1))
    }

    /// The same for a GPU.
    #[cfg(any(feature = "cuda", test))]
    pub fn window(&self, photos: usize, channels: usize) -> Window {
        let Self { stride, padding, input, kernel } = *self;
        Window { photos, channels, input, output: self.output(), kernel, stride, padding }
    }

    /// Along one axis: the output pixels for which tap `k` meets an input pixel and not the zeros around.
    fn reach(&self, k: usize, padding: usize, input: usize, output: usize) -> Range<usize> {
        let first = padding.saturating_sub(k).div_ceil(self.stride);
        let end = (input + padding).checked_sub(k + 1).map_or(0, |last| last / self.stride + 1).min(output);
        first..end.max(first)
    }

    /// Calls `run(tap, output pixels, first input pixel)` for each tap and each output row; further input pixels are
    /// `stride` apart.
    pub fn each_run(&self, mut run: impl FnMut(usize, Range<usize>, usize)) {
        let (out_height, out_width) = self.output();
        for row in 0..out_height {
            for ky in 0..self.kernel.0 {
                if !self.reach(ky, self.padding.0, self.input.0, out_height).contains(&row) {
                    continue;
                }
                let input_row = row * self.stride + ky - self.padding.0;
                for kx in 0..self.kernel.1 {
                    let reach = self.reach(kx, self.padding.1, self.input.1, out_width);
                    if !reach.is_empty() {
                        let first = input_row * self.input.1 + reach.start * self.stride + kx - self.padding.1;
                        let pixels = row * out_width + reach.start..row * out_width + reach.end;
                        run(ky * self.kernel.1 + kx, pixels, first);
                    }
                }
            }
        }
    }
}
