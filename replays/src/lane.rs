//! Time-major arrays: one kind of value for every row and seat of a block or of the replay.

use std::ops::{Index, IndexMut, Range};

/// An array `[rows, envs, width]`, time-major: the values of all seats in a row are contiguous.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane<T> {
    data: Vec<T>,
    envs: usize,
    width: usize,
}

impl<T: Copy + Default> Lane<T> {
    /// Allocates an array of default values.
    pub(crate) fn new(rows: usize, envs: usize, width: usize) -> Self {
        Self { data: vec![T::default(); rows * envs * width], envs, width }
    }

    /// Values per row and seat.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> u64 {
        (self.data.capacity() * size_of::<T>()) as u64
    }

    /// Row `t`, `[envs, width]`.
    pub fn row(&self, t: usize) -> &[T] {
        let n = self.envs * self.width;
        &self.data[t * n..(t + 1) * n]
    }

    /// Row `t` for writing, `[envs, width]`.
    pub fn row_mut(&mut self, t: usize) -> &mut [T] {
        let n = self.envs * self.width;
        &mut self.data[t * n..(t + 1) * n]
    }

    /// The values of seat `e` in row `t`, `[width]`.
    pub fn at(&self, t: usize, e: usize) -> &[T] {
        &self.row(t)[e * self.width..(e + 1) * self.width]
    }

    /// The values of the range of seats `seats` in row `t`, `[seats, width]`.
    pub fn seats(&self, t: usize, seats: Range<usize>) -> &[T] {
        &self.row(t)[seats.start * self.width..seats.end * self.width]
    }

    /// The values of seat `e` in row `t` for writing, `[width]`.
    pub fn at_mut(&mut self, t: usize, e: usize) -> &mut [T] {
        let width = self.width;
        &mut self.row_mut(t)[e * width..(e + 1) * width]
    }

    /// Copies `rows` rows of `other`, from its row `at` on, to the first rows; both must have equal `envs` and `width`.
    pub(crate) fn begin_with(&mut self, other: &Self, at: usize, rows: usize) {
        let n = self.envs * self.width;
        self.data[..n * rows].copy_from_slice(&other.data[n * at..][..n * rows]);
    }

    /// Moves the last `rows` rows to the front, where the next block begins.
    pub(crate) fn carry(&mut self, rows: usize) {
        let n = self.envs * self.width * rows;
        let last = self.data.len() - n;
        self.data.copy_within(last.., 0);
    }
}

/// The value of seat `e` in row `t`.
///
/// # Panics
/// If a seat has more than one value in a row, or there is no such row or seat.
impl<T> Index<(usize, usize)> for Lane<T> {
    type Output = T;

    fn index(&self, (t, e): (usize, usize)) -> &T {
        &self.data[self.place(t, e)]
    }
}

/// The value of seat `e` in row `t`, for writing.
///
/// # Panics
/// If a seat has more than one value in a row, or there is no such row or seat.
impl<T> IndexMut<(usize, usize)> for Lane<T> {
    fn index_mut(&mut self, (t, e): (usize, usize)) -> &mut T {
        let place = self.place(t, e);
        &mut self.data[place]
    }
}

impl<T> Lane<T> {
    /// Index in `data` of the only value of seat `e` in row `t`.
    fn place(&self, t: usize, e: usize) -> usize {
        let (width, seats) = (self.width, self.envs);
        assert!(width == 1, "a seat has {width} values in a row of this lane: `at` gives all of them");
        assert!(e < seats, "seat {e} of {seats}");
        t * self.envs + e
    }
}
