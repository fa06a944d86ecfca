//! A compiled network, whatever its kind, with memory that photos hand on to each other.

use super::photo::Photo;
use std::sync::{Mutex, PoisonError};

/// A network compiled for one machine and one size of photo.
pub(super) trait Program: Send + Sync + 'static {
    /// Memory for one photo at a time.
    type Scratch: Send + 'static;

    /// Numbers that come out.
    fn features(&self) -> usize;

    /// Rows and columns of the photos it takes.
    fn side(&self) -> (usize, usize);

    /// Memory for [`run`](Self::run): one for each thread.
    fn scratch(&self) -> Self::Scratch;

    /// The features of `photo` into `out`, whose length is [`features`](Self::features). Calls `after` when a part is
    /// done: with its number, the photo's normalising being 0.
    fn run(&self, photo: Photo<'_>, scratch: &mut Self::Scratch, out: &mut [f32], after: &mut dyn FnMut(usize));

    /// What the block number `block` makes of `photo`, from 0, into `out` as `shape`, `(C, H, W)`. False where the program
    /// has no such block, or it makes something of another shape; then `out` is as it was.
    fn run_to_block(
        &self,
        photo: Photo<'_>,
        scratch: &mut Self::Scratch,
        block: usize,
        shape: (usize, usize, usize),
        out: &mut [f32],
    ) -> bool {
        let _ = (photo, scratch, block, shape, out);
        false
    }
}

/// A program that finds its memory by itself, so that its kind can be forgotten.
pub(super) trait Compiled: Send + Sync {
    /// As [`Program::features`].
    fn features(&self) -> usize;
    /// As [`Program::side`].
    fn side(&self) -> (usize, usize);
    /// As [`Program::run`].
    fn run(&self, photo: Photo<'_>, out: &mut [f32], after: &mut dyn FnMut(usize));
    /// As [`Program::run_to_block`].
    fn run_to_block(&self, photo: Photo<'_>, block: usize, shape: (usize, usize, usize), out: &mut [f32]) -> bool;
}

/// A program and the memory of photos that are done, for the next ones: no more of it than there are threads.
pub(super) struct WithScratch<P: Program> {
    program: P,
    kept: Mutex<Vec<P::Scratch>>,
}

impl<P: Program> WithScratch<P> {
    pub fn new(program: P) -> Self {
        Self { program, kept: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&P, &mut P::Scratch) -> T) -> T {
        let pool = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = pool().pop();
        let mut scratch = kept.unwrap_or_else(|| self.program.scratch());
        let result = work(&self.program, &mut scratch);
        pool().push(scratch);
        result
    }
}

impl<P: Program> Compiled for WithScratch<P> {
    fn features(&self) -> usize {
        self.program.features()
    }

    fn side(&self) -> (usize, usize) {
        self.program.side()
    }

    fn run(&self, photo: Photo<'_>, out: &mut [f32], after: &mut dyn FnMut(usize)) {
        self.with(|program, scratch| program.run(photo, scratch, out, after));
    }

    fn run_to_block(&self, photo: Photo<'_>, block: usize, shape: (usize, usize, usize), out: &mut [f32]) -> bool {
        self.with(|program, scratch| program.run_to_block(photo, scratch, block, shape, out))
    }
}
