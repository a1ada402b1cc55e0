//! Samples on their way from the game to the device: one thread writes, one reads, and neither ever waits.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// A queue of bounded length for one writer and one reader. Places count on for ever, and wrap only where they index.
#[derive(Debug)]
pub(super) struct Ring {
    samples: Box<[AtomicU8]>,
    written: AtomicUsize,
    read: AtomicUsize,
}

impl Ring {
    /// Of `capacity` samples.
    ///
    /// # Panics
    /// If that is no power of two: places would not wrap evenly.
    pub(super) fn new(capacity: usize) -> Self {
        assert!(capacity.is_power_of_two(), "{capacity} is no power of two");
        let samples = (0..capacity).map(|_| AtomicU8::new(0)).collect();
        Self { samples, written: AtomicUsize::new(0), read: AtomicUsize::new(0) }
    }

    /// Samples that wait to be read.
    pub(super) fn len(&self) -> usize {
        self.written.load(Ordering::Acquire).wrapping_sub(self.read.load(Ordering::Acquire))
    }

    /// The writer's: as many of these samples as there is room for. Says how many that is.
    pub(super) fn write(&self, samples: &[u8]) -> usize {
        let at = self.written.load(Ordering::Relaxed);
        let room = self.samples.len() - at.wrapping_sub(self.read.load(Ordering::Acquire));
        let taken = &samples[..room.min(samples.len())];
        for (n, &sample) in taken.iter().enumerate() {
            self.place(at.wrapping_add(n)).store(sample, Ordering::Relaxed);
        }
        // The reader that sees this count sees the samples before it.
        self.written.store(at.wrapping_add(taken.len()), Ordering::Release);
        taken.len()
    }

    /// The reader's: the next sample.
    pub(super) fn read(&self) -> Option<u8> {
        let at = self.read.load(Ordering::Relaxed);
        if at == self.written.load(Ordering::Acquire) {
            return None;
        }
        let sample = self.place(at).load(Ordering::Relaxed);
        // The writer that sees this count may use the place again.
        self.read.store(at.wrapping_add(1), Ordering::Release);
        Some(sample)
    }

    fn place(&self, at: usize) -> &AtomicU8 {
        &self.samples[at & (self.samples.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_out_in_order_and_what_finds_no_room_is_left_out() {
        let ring = Ring::new(8);
        assert_eq!((ring.read(), ring.len()), (None, 0));
        assert_eq!(ring.write(&[1, 2, 3]), 3);
        assert_eq!((ring.read(), ring.read()), (Some(1), Some(2)));
        assert_eq!(ring.write(&[4, 5, 6, 7, 8, 9, 10, 11]), 7);
        assert_eq!((ring.len(), ring.write(&[12])), (8, 0));
        let all: Vec<u8> = std::iter::from_fn(|| ring.read()).collect();
        assert_eq!(all, [3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn two_threads_lose_and_invent_nothing() {
        const SAMPLES: usize = 200_000;
        let ring = Ring::new(64);
        let value = |at: usize| (at.wrapping_mul(167) >> 3) as u8;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let all: Vec<u8> = (0..SAMPLES).map(value).collect();
                let mut done = 0;
                while done < SAMPLES {
                    done += ring.write(&all[done..SAMPLES.min(done + 37)]);
                }
            });
            for at in 0..SAMPLES {
                let sample = loop {
                    match ring.read() {
                        Some(sample) => break sample,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(sample, value(at), "sample {at}");
            }
        });
        assert_eq!(ring.len(), 0);
    }
}
