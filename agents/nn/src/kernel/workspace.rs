//! Memory that a thread keeps for its next kernel: fresh pages cost more than the work on them.

use std::cell::RefCell;

/// Floats of a cache line.
const LINE: usize = 16;
/// Buffers that a thread keeps.
const KEPT: usize = 8;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of one call, whose memory goes back to its thread afterwards. What it holds at first is anybody's guess.
pub(crate) struct Workspace(Vec<f32>);

impl Workspace {
    pub(crate) fn new() -> Self {
        Self(FREE.with_borrow_mut(Vec::pop).unwrap_or_default())
    }

    /// `len` pairs of bf16 that start at a cache line.
    pub(crate) fn pairs(&mut self, len: usize) -> &mut [u32] {
        bytemuck::cast_slice_mut(self.sized(len))
    }

    /// `len` numbers of bf16 that start at a cache line.
    pub(crate) fn halves(&mut self, len: usize) -> &mut [u16] {
        &mut bytemuck::cast_slice_mut(self.sized(len.div_ceil(2)))[..len]
    }

    /// `len` floats that start at a cache line.
    pub(crate) fn sized(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len + LINE {
            self.0.clear();
            self.0.resize(len + LINE, 0.0);
        }
        let at = self.0.as_ptr().align_offset(LINE * size_of::<f32>());
        &mut self.0[at..at + len]
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        FREE.with_borrow_mut(|free| {
            if free.len() < KEPT {
                free.push(std::mem::take(&mut self.0));
            }
        });
    }
}
