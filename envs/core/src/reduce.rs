//! All that learners know about distributed training: a mean over processes. `rl-run` starts runs of one member; a
//! trainer over several processes would implement it.

/// All-reduce by mean, of gradients, parameters or counts, over all members (processes) of a distributed run.
///
/// Every call waits for the same call of every other member. Since members see different episodes, a learner must
/// decide whether to call only by values that are equal in all members, such as the result of an earlier mean.
pub trait Reduce {
    /// Replaces `values` by their mean over all members; every member gets equal bits.
    ///
    /// # Errors
    /// If a member is lost.
    fn mean(&mut self, values: &mut [f32]) -> crate::Result<()>;
}

/// [`Reduce`] of a run of one member: every mean is the value itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Solo;

impl Reduce for Solo {
    fn mean(&mut self, _values: &mut [f32]) -> crate::Result<()> {
        Ok(())
    }
}
