//! The stream of batches on a device that only counts.

#![allow(clippy::unwrap_used)]

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};

const SIDE: usize = 2;

/// Stands in for a GPU: a photo's row is its first byte and the batch's size. It has memory for so many photos at once.
struct Fake {
    memory: usize,
    /// The batch that fails.
    fails: usize,
    ran: Mutex<Vec<usize>>,
    buffers: AtomicUsize,
    /// Called before each batch.
    before: Box<dyn Fn(usize) + Sync>,
}

impl Fake {
    fn new(memory: usize) -> Self {
        Self {
            memory,
            fails: usize::MAX,
            ran: Mutex::default(),
            buffers: AtomicUsize::new(0),
            before: Box::new(|_| ()),
        }
    }
}

impl Batches for Fake {
    type Buffer = Vec<u8>;

    fn buffer(&self, bytes: usize) -> Result<Vec<u8>> {
        self.buffers.fetch_add(1, SeqCst);
        Ok(vec![0; bytes])
    }

    fn bytes<'a>(&self, buffer: &'a mut Vec<u8>) -> Result<&'a mut [u8]> {
        Ok(buffer)
    }

    fn run(&self, photos: &Vec<u8>, range: Range<usize>) -> std::result::Result<Vec<f32>, Trouble> {
        let number = self.ran.lock().unwrap().len();
        (self.before)(number);
        self.ran.lock().unwrap().push(range.len());
        if number == self.fails {
            return Err(Trouble::Other(Error::Data("broken".into())));
        }
        if range.len() > self.memory {
            return Err(Trouble::OutOfMemory);
        }
        let size = range.len() as f32;
        Ok(range.flat_map(|photo| [f32::from(photos[photo * photo_bytes(SIDE)]), size]).collect())
    }
}

fn photo(number: usize) -> Result<Pixels> {
    Pixels::new(SIDE, SIDE, vec![number as u8; 3 * SIDE * SIDE])
}

fn go(
    device: &Fake,
    photos: usize,
    batch: usize,
    read: &(dyn Fn(usize) -> Result<Pixels> + Sync),
) -> Result<Vec<(f32, f32)>> {
    let progress = Progress::new("photos", Some(photos as u64), "photos");
    let rows = stream(device, &Work { photos, batch, side: SIDE, width: 2, read }, &progress)?;
    Ok(rows.chunks_exact(2).map(|row| (row[0], row[1])).collect())
}

#[test]
fn rows_come_in_the_photos_order_and_the_last_batch_is_what_is_left() {
    for (photos, batch, ran) in [(7, 3, vec![3, 3, 1]), (6, 3, vec![3, 3]), (2, 256, vec![2]), (0, 4, vec![])] {
        let device = Fake::new(256);
        let rows = go(&device, photos, batch, &photo).unwrap();
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), (0..photos).map(|n| n as f32).collect::<Vec<_>>());
        assert_eq!(*device.ran.lock().unwrap(), ran);
        assert_eq!(device.buffers.load(SeqCst), ran.len().min(2));
    }
}

/// The device waits in its first batch until a photo of the second is read: it would wait for ever if reading waited for it.
#[test]
fn the_next_photos_are_read_while_the_device_computes_and_no_more_than_these() {
    let (most, changed) = (Mutex::new(0), Condvar::new());
    let (most, changed) = (&*Box::leak(Box::new(most)), &*Box::leak(Box::new(changed)));
    let mut device = Fake::new(256);
    device.before = Box::new(move |number| {
        let second = 4 * (number + 1);
        let read = most.lock().unwrap();
        let limit = std::time::Duration::from_secs(60);
        let (read, _) = changed.wait_timeout_while(read, limit, |read| *read <= second && *read < 19).unwrap();
        assert!(*read > second || *read == 19, "batch {number} computes, and nothing behind it is read");
        // The buffer of this batch is the device's, the other one is the next's.
        assert!(*read < 4 * (number + 2), "photo {read} was read while batch {number} computed");
    });
    let read = |number: usize| {
        let mut most = most.lock().unwrap();
        *most = number.max(*most);
        changed.notify_all();
        photo(number)
    };
    assert_eq!(go(&device, 20, 4, &read).unwrap().len(), 20);
}

#[test]
fn a_batch_too_large_is_halved_once_and_those_behind_it_stay_small() {
    let device = Fake::new(4);
    let rows = go(&device, 20, 8, &photo).unwrap();
    assert_eq!(*device.ran.lock().unwrap(), [8, 4, 4, 4, 4, 4]);
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), (0..20).map(|n| n as f32).collect::<Vec<_>>());

    let device = Fake::new(3);
    let error = go(&device, 20, 8, &photo).unwrap_err().to_string();
    assert_eq!(*device.ran.lock().unwrap(), [8, 4], "tried once more, and no more");
    assert!(error.contains("4 photos at a time of 2x2") && error.contains("CANDLEWICK_DEVICE=cpu"), "{error}");
    let error = go(&Fake::new(0), 3, 1, &photo).unwrap_err().to_string();
    assert!(error.contains("a single photo"), "{error}");
}

#[test]
fn a_photo_that_fails_ends_it_and_nothing_hangs() {
    for broken in [0, 5, 19] {
        let read = |number| if number == broken { Err(Error::Data("gone".into())) } else { photo(number) };
        assert_eq!(go(&Fake::new(256), 20, 4, &read).unwrap_err().to_string(), "gone");
    }
    for fails in 0..3 {
        let device = Fake { fails, ..Fake::new(256) };
        assert_eq!(go(&device, 20, 4, &photo).unwrap_err().to_string(), "broken");
        assert_eq!(device.ran.lock().unwrap().len(), fails + 1);
    }
    let interrupted = |number| if number == 9 { Err(Error::Interrupted) } else { photo(number) };
    assert!(matches!(go(&Fake::new(256), 20, 4, &interrupted), Err(Error::Interrupted)));
}

#[test]
fn a_batch_is_what_half_of_the_free_memory_holds() {
    assert_eq!(batch_for(24_000, 100, 4), 2);
    assert_eq!(batch_for(80 << 30, 200_000, 4), 256);
    assert_eq!(batch_for(0, 200_000, 4), 1);
    assert_eq!(batch_for(48_000, 100, 2), 10);
    assert_eq!(batch_of_plan(24_000, (0, 1000)), 12);
    assert_eq!(batch_of_plan(1_000, (40, 1000)), 40, "it has memory for these");
    assert_eq!((batch_of_plan(0, (0, 1000)), batch_of_plan(usize::MAX, (300, 1))), (1, 256));
}
