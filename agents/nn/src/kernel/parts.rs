//! Cuts of the work of a kernel for threads: by the shape alone where a cut decides how a sum is formed.

/// Multiply-adds from which a second thread pays off.
pub(crate) const PARALLEL: usize = 1 << 20;
/// Most parts that work is cut into: enough for threads to end at about the same time.
const PARTS: usize = 16;

/// Number of items in a part, given `items` items of `cost` multiply-adds each; all of them if that is little work.
pub(crate) fn share(items: usize, cost: usize) -> usize {
    let parts = (items * cost / PARALLEL * 2).clamp(1, PARTS);
    items.div_ceil(parts).max(1)
}

/// Runs `work(i, part)` on every part of `part` floats of `out`, on several threads.
pub(crate) fn each(out: &mut [f32], part: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    crate::parts::each([(out, part)], true, |i, [out]| work(i, out));
}
