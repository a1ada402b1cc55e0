//! How work is cut for threads: by the shape alone.

/// Multiply-adds from which a second thread pays for its start.
pub(crate) const PARALLEL: usize = 1 << 20;
/// Parts that work is cut into, so that threads end at about the same time.
const PARTS: usize = 16;

/// Items of a part of `items` of `cost` multiply-adds each; all of them where that is little work.
pub(crate) fn share(items: usize, cost: usize) -> usize {
    let parts = (items * cost / PARALLEL * 2).clamp(1, PARTS);
    items.div_ceil(parts).max(1)
}

/// Runs `work` on every part of `out`, with its number.
pub(crate) fn each(out: &mut [f32], part: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    crate::parts::each([(out, part)], true, |i, [out]| work(i, out));
}
