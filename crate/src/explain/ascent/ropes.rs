//! Several pictures at once, each on a thread of its own.

use crate::Result;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of one thread for each picture that climbs at the same time.
///
/// A small picture's operations are too short to be shared out: on two cores that costs four times the time. In a pool of one
/// thread, what would be shared out is not.
pub(super) struct Ropes(Vec<ThreadPool>);

impl Ropes {
    /// For `count` pictures, on as many threads as the usual pool has.
    pub fn new(count: usize) -> Self {
        let pools =
            (0..count.min(rayon::current_num_threads())).map(|_| ThreadPoolBuilder::new().num_threads(1).build());
        // Where the system has no more threads, fewer do.
        Self(pools.filter_map(|pool| pool.ok()).collect())
    }

    /// Does `work` once for each.
    pub fn each<T: Send>(&self, all: &mut [T], work: impl Fn(&mut T) -> Result<()> + Sync) -> Result<()> {
        let run = |some: &mut [T]| some.iter_mut().try_for_each(&work);
        if self.0.is_empty() {
            return run(all);
        }
        let share = all.len().div_ceil(self.0.len()).max(1);
        std::thread::scope(|scope| {
            let shares = self.0.iter().zip(all.chunks_mut(share));
            let threads: Vec<_> = shares.map(|(pool, some)| scope.spawn(|| pool.install(|| run(some)))).collect();
            let mut joined = threads.into_iter().map(|thread| thread.join());
            // A panic ends the cell, as it would have without a thread.
            joined.try_for_each(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn all_are_met_once_and_an_error_comes_back() {
        for count in [0, 1, 5, 16] {
            let mut all = vec![0; count];
            let meet = |one: &mut i32| {
                *one += 1;
                Ok(())
            };
            Ropes::new(count).each(&mut all, meet).unwrap();
            Ropes(Vec::new()).each(&mut all, meet).unwrap();
            assert_eq!(all, vec![2; count]);
        }
        let refuse = |one: &mut i32| if *one == 3 { Err(Error::Interrupted) } else { Ok(()) };
        assert!(Ropes::new(4).each(&mut [1, 2, 3, 4], refuse).is_err());
        assert!(Ropes::new(4).each(&mut [1, 2, 4], refuse).is_ok());
    }
}
