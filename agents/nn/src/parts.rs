//! Slices cut into parts that belong together, for work on one or several threads.

use rayon::prelude::*;

/// Elements of cheap work from which a second thread pays off.
pub(crate) const PARALLEL: usize = 1 << 15;

/// Runs `work(i, [part i of each slice])` for every part, on several threads if `parallel`; `outs` are slices with the
/// length of their parts. The lengths alone decide the parts, so that sums within them do not depend on threads.
///
/// # Panics
/// If the slices do not have equally many parts.
pub(crate) fn each<const N: usize>(
    outs: [(&mut [f32], usize); N],
    parallel: bool,
    work: impl Fn(usize, [&mut [f32]; N]) + Sync,
) {
    let count = outs[0].0.len().div_ceil(outs[0].1.max(1));
    assert!(outs.iter().all(|(out, part)| out.len().div_ceil((*part).max(1)) == count), "parts of all slices");
    let mut rests = outs;
    let mut next = || {
        rests.each_mut().map(|(rest, part)| {
            let all = std::mem::take(rest);
            let (head, tail) = all.split_at_mut((*part).min(all.len()));
            *rest = tail;
            head
        })
    };
    if !parallel || count < 2 || rayon::current_num_threads() == 1 {
        (0..count).for_each(|i| work(i, next()));
    } else {
        let parts: Vec<_> = (0..count).map(|_| next()).collect();
        parts.into_par_iter().enumerate().for_each(|(i, part)| work(i, part));
    }
}

/// Vector of `len` zeros, filled by several threads if it is long: clearing costs as much as writing memory.
pub(crate) fn zeros(len: usize) -> Vec<f32> {
    const LINE: usize = 16;
    if len < 8 * PARALLEL || rayon::current_num_threads() == 1 {
        return vec![0.0; len];
    }
    let lines: Vec<[f32; LINE]> = rayon::iter::repeat_n([0.0; LINE], len.div_ceil(LINE)).collect();
    let mut zeros = lines.into_flattened();
    zeros.truncate(len);
    zeros
}

/// Sets the length of `values` to `len`; their contents are unspecified.
pub(crate) fn sized(values: &mut Vec<f32>, len: usize) {
    if values.capacity() < len {
        *values = zeros(len);
    }
    values.truncate(len);
    values.resize(len, 0.0);
}

/// Vector of `len` values: `work(i, part)` writes each part of `part` values over zeros, on several threads if
/// `parallel`.
pub(crate) fn made(len: usize, part: usize, parallel: bool, work: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    if parallel && rayon::current_num_threads() > 1 {
        let mut out = zeros(len);
        each([(&mut out, part)], true, |i, [out]| work(i, out));
        return out;
    }
    let mut out = Vec::with_capacity(len);
    for i in 0..len.div_ceil(part.max(1)) {
        out.resize(len.min((i + 1) * part), 0.0); // a part is still in the cache when it is written
        work(i, &mut out[i * part..]);
    }
    out
}

/// Copy of `from`, each part of which `work(i, part)` changes while it is in cache, on several threads if `parallel`.
pub(crate) fn changed(from: &[f32], part: usize, parallel: bool, work: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    made(from.len(), part, parallel, |i, out| {
        out.copy_from_slice(&from[i * part..][..out.len()]);
        work(i, out);
    })
}

/// Elementwise `to += from`.
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    let parallel = to.len() >= 4 * PARALLEL;
    each([(to, PARALLEL)], parallel, |i, [to]| {
        let from = &from[i * PARALLEL..][..to.len()];
        crate::kernel::vectorised(
            #[inline(always)]
            || to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
        );
    });
}

/// Adds the rows of `partial` to `total`, one after the other.
pub(crate) fn add_rows(total: &mut [f32], partial: &[f32]) {
    for row in partial.chunks_exact(total.len().max(1)) {
        total.iter_mut().zip(row).for_each(|(t, p)| *t += p);
    }
}

/// Number of rows of `width` values in a part of about [`PARALLEL`] values, which fits the second level of cache.
pub(crate) fn rows_of(width: usize) -> usize {
    (PARALLEL / width.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_together_on_any_number_of_threads() {
        for parallel in [false, true] {
            let (mut a, mut b) = (vec![0.0; 10], vec![0.0; 4]);
            each([(&mut a, 3), (&mut b, 1)], parallel, |i, [a, b]| {
                a.fill(i as f32);
                b.fill(a.len() as f32);
            });
            assert_eq!(a, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0]);
            assert_eq!(b, [3.0, 3.0, 3.0, 1.0]);
        }
    }

    #[test]
    fn many_zeros_are_as_many_as_few() {
        for len in [0, 5, 8 * PARALLEL, 8 * PARALLEL + 7] {
            assert!(zeros(len) == vec![0.0; len], "{len}");
        }
    }

    #[test]
    fn a_copy_is_changed_part_by_part() {
        let from: Vec<f32> = (0..10).map(|i| i as f32).collect();
        for parallel in [false, true] {
            let out = changed(&from, 4, parallel, |i, part| part.iter_mut().for_each(|x| *x += 100.0 * i as f32));
            assert_eq!(out, [0.0, 1.0, 2.0, 3.0, 104.0, 105.0, 106.0, 107.0, 208.0, 209.0]);
            assert!(changed(&[], 4, parallel, |_, _| ()).is_empty());
        }
    }
}
