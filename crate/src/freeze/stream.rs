//! Photos through a device that takes many at a time: all cores read the next ones while it computes.
//!
//! Two buffers for photos go round between those who read and the device, so that no more photos are in memory than these
//! hold, however fast either side is. Rows come out in the photos' order, whatever the number of threads.

use super::photo::photo_bytes;
use crate::images::Pixels;
use crate::notebook::{self, Progress};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A device that computes rows of batches of photos: a GPU, or a test's stand-in.
pub(super) trait Batches: Sync {
    /// Memory for photos that it can read well.
    type Buffer: Send;

    /// A buffer of so many bytes.
    fn buffer(&self, bytes: usize) -> Result<Self::Buffer>;

    /// A buffer's bytes, once the device has read what was there before.
    fn bytes<'a>(&self, buffer: &'a mut Self::Buffer) -> Result<&'a mut [u8]>;

    /// The rows of the photos of this range in the buffer, one behind the other.
    fn run(&self, photos: &Self::Buffer, range: Range<usize>) -> std::result::Result<Vec<f32>, Trouble>;
}

/// Why a device gives no rows.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It has not the memory for as many photos.
    OutOfMemory,
    /// Anything else.
    Other(Error),
}

/// What is to be done.
pub(super) struct Work<'a> {
    /// How many photos there are.
    pub photos: usize,
    /// How many go together.
    pub batch: usize,
    /// Rows and columns of a photo.
    pub side: usize,
    /// Numbers of a row.
    pub width: usize,
    /// Reads a photo.
    pub read: &'a (dyn Fn(usize) -> Result<Pixels> + Sync),
}

/// A batch on its way: which photos, and their bytes.
type Read<B> = Result<(Range<usize>, B)>;

/// The rows of all photos, `photos * width` numbers.
///
/// A batch that the device has no memory for is halved and tried once more, and so are those behind it.
///
/// # Errors
/// The first that a photo or the device causes, [`Error::Interrupted`] between two batches, and [`Error::Setting`] where
/// there is no memory for half a batch either. Photos that are not read by then are not read.
pub(super) fn stream<D: Batches>(device: &D, work: &Work<'_>, progress: &Progress) -> Result<Vec<f32>> {
    let batch = work.batch.clamp(1, work.photos.max(1));
    let mut rows = Vec::with_capacity(work.photos * work.width);
    let (give, take) = sync_channel::<Read<D::Buffer>>(1);
    let (give_back, take_back) = sync_channel(2);
    for _ in 0..work.photos.div_ceil(batch).min(2) {
        // There is room for two, and the other end is in this function.
        let _ = give_back.send(device.buffer(batch * photo_bytes(work.side))?);
    }
    std::thread::scope(|scope| {
        scope.spawn(move || read_all(device, work, batch, take_back, give));
        // Ours to drop, before the reader is waited for: it would wait for a buffer otherwise, where we end early.
        let give_back = give_back;
        let mut size = batch;
        for read in take {
            let (range, buffer) = read?;
            run(device, &buffer, range.len(), &mut size, work, &mut rows, progress)?;
            // Nobody takes it where all has been read.
            let _ = give_back.send(buffer);
        }
        Ok(())
    })
    .map(|()| rows)
}

/// Reads batch after batch into the buffers that come back, until all is read, a photo fails or nobody listens.
fn read_all<D: Batches>(
    device: &D,
    work: &Work<'_>,
    batch: usize,
    buffers: Receiver<D::Buffer>,
    give: SyncSender<Read<D::Buffer>>,
) {
    for start in (0..work.photos).step_by(batch) {
        let range = start..work.photos.min(start + batch);
        let Ok(mut buffer) = buffers.recv() else { return };
        let read = read(device, work, range.clone(), &mut buffer).map(|()| (range, buffer));
        let failed = read.is_err();
        if give.send(read).is_err() || failed {
            return;
        }
    }
}

/// The photos of a range into a buffer, on all cores.
fn read<D: Batches>(device: &D, work: &Work<'_>, range: Range<usize>, buffer: &mut D::Buffer) -> Result<()> {
    let places = device.bytes(buffer)?.par_chunks_mut(photo_bytes(work.side)).take(range.len());
    places.enumerate().try_for_each(|(number, place)| {
        let photo = (work.read)(range.start + number)?;
        let photo = photo.resized(work.side, work.side)?;
        if photo.rgb.len() != place.len() {
            return Err(Error::shape("a photo", format!("({},) bytes", place.len()), &[photo.rgb.len()]));
        }
        place.copy_from_slice(&photo.rgb);
        Ok(())
    })
}

/// The rows of one buffer, in pieces of `size` photos, which shrinks where the device has not the memory.
fn run<D: Batches>(
    device: &D,
    buffer: &D::Buffer,
    photos: usize,
    size: &mut usize,
    work: &Work<'_>,
    rows: &mut Vec<f32>,
    progress: &Progress,
) -> Result<()> {
    let mut start = 0;
    let mut halved = false;
    while start < photos {
        if notebook::interrupted() {
            return Err(Error::Interrupted);
        }
        let end = photos.min(start + *size);
        match device.run(buffer, start..end) {
            Ok(made) if made.len() == (end - start) * work.width => rows.extend(made),
            Ok(made) => return Err(Error::shape("rows", format!("({}, {})", end - start, work.width), &[made.len()])),
            Err(Trouble::OutOfMemory) if !halved && end - start > 1 => {
                (halved, *size) = (true, (end - start).div_ceil(2));
                continue;
            }
            Err(Trouble::OutOfMemory) => return Err(out_of_memory(end - start, work.side)),
            Err(Trouble::Other(error)) => return Err(error),
        }
        progress.advance((end - start) as u64);
        start = end;
    }
    Ok(())
}

fn out_of_memory(photos: usize, side: usize) -> Error {
    let together = if photos == 1 { "a single photo".to_owned() } else { format!("{photos} photos at a time") };
    too_small(&format!("{together} of {side}x{side}"), "half of the batch was tried already. ")
}

/// That the GPU has not the memory for something, and what to do about it.
pub(super) fn too_small(what: &str, tried: &str) -> Error {
    Error::Setting {
        setting: "the GPU's memory",
        got: format!("too small for {what}"),
        want: format!(
            "{tried}End what else uses the GPU (`nvidia-smi` lists it), take another one (`CANDLEWICK_DEVICE=cuda:1`) or the \
             CPU (`CANDLEWICK_DEVICE=cpu`)"
        ),
    }
}

/// Photos of a batch, at most.
const MOST: usize = 256;

/// How many photos a batch should have: what half of the free memory holds, and no more than [`MOST`].
///
/// A photo takes some twelve times its largest layer's output: input and output of a layer at a time, what a convolution
/// is unrolled to, and of MobileNetV2 the middle of a block, which is six times as wide as its ends.
#[cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]
pub(super) fn batch_for(free: usize, largest: usize, bytes: usize) -> usize {
    (free / 2 / (12 * largest * bytes).max(1)).clamp(1, MOST)
}

/// The same for a plan that says what it takes: for how many photos it has memory, and what another one takes. What it has
/// is not free any more, and its own.
#[cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]
pub(super) fn batch_of_plan(free: usize, (has, photo): (usize, usize)) -> usize {
    (free / 2 / photo.max(1)).max(has).clamp(1, MOST)
}

#[cfg(test)]
mod tests;
