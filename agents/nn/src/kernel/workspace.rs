//! Memory that a thread keeps for its next kernel: fresh pages cost more than the work on them.

use std::cell::RefCell;

/// Floats of a cache line.
const LINE: usize = 16;
/// Buffers that a thread keeps.
const KEPT: usize = 16;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Scratch buffer of one call, whose memory goes back to its thread when it is dropped; the contents are unspecified.
#[derive(Default)]
pub(crate) struct Workspace(Vec<f32>);

impl Workspace {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Slice of `len` pairs of bf16 that starts at a cache line; the contents are unspecified.
    pub(crate) fn pairs(&mut self, len: usize) -> &mut [u32] {
        bytemuck::cast_slice_mut(self.sized(len))
    }

    /// Slice of `len` bf16 numbers that starts at a cache line; the contents are unspecified.
    pub(crate) fn halves(&mut self, len: usize) -> &mut [u16] {
        &mut bytemuck::cast_slice_mut(self.sized(len.div_ceil(2)))[..len]
    }

    /// Slice of `len` floats that starts at a cache line. Its contents are unspecified, or what the last slice of this
    /// workspace held, if that was as long.
    pub(crate) fn sized(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len + LINE {
            self.give_back();
            self.0 = take(len + LINE).unwrap_or_else(|| vec![0.0; len + LINE]);
            if cfg!(test) {
                // Not a number as a float and as two of bf16, so that who reads what was not written is found.
                self.0.fill(f32::from_bits(u32::MAX));
            }
        }
        let at = self.0.as_ptr().align_offset(LINE * size_of::<f32>());
        &mut self.0[at..at + len]
    }
}

impl Workspace {
    fn give_back(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if !buffer.is_empty() {
            FREE.with_borrow_mut(|free| {
                free.push(buffer);
                if free.len() > KEPT {
                    let least = (0..free.len()).min_by_key(|i| free[*i].len()).expect("there are some");
                    free.swap_remove(least);
                }
            });
        }
    }
}

/// Takes the smallest kept buffer of `len` floats or more, so that a large one stays free for larger requests.
fn take(len: usize) -> Option<Vec<f32>> {
    FREE.with_borrow_mut(|free| {
        let fitting = (0..free.len()).filter(|i| free[*i].len() >= len).min_by_key(|i| free[*i].len())?;
        Some(free.swap_remove(fitting))
    })
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_by_who_it_fits_best() {
        let place = |room: &mut Workspace, len| room.sized(len).as_ptr();
        let (large, small) = {
            let (mut one, mut two) = (Workspace::new(), Workspace::new());
            (place(&mut one, 10_000), place(&mut two, 100))
        };
        let (mut one, mut two) = (Workspace::new(), Workspace::new());
        assert_eq!(place(&mut one, 90), small);
        assert_eq!(place(&mut two, 9_000), large);
        assert_eq!(place(&mut two, 5_000), large, "it keeps what it has");
        assert_ne!(place(&mut one, 9_000), large, "a buffer has one user");
        assert_eq!(place(&mut Workspace::new(), 50), small, "and goes back when it is too small");
    }
}
