//! The one word that learners know about distribution. `rl-run` starts runs of one member; a trainer over several processes would
//! implement it.

/// Averages gradients, parameters or counts over all members of a run.
///
/// Every call waits for the same call of every other member. Members see different episodes, so whether to make a call
/// may hang on nothing that only one of them knows: count with what came out of a mean.
pub trait Reduce {
    /// Replaces `values` by their mean over all members; every member gets equal bits.
    ///
    /// # Errors
    /// If a member is lost.
    fn mean(&mut self, values: &mut [f32]) -> crate::Result<()>;
}

/// A run of one member.
#[derive(Clone, Copy, Debug, Default)]
pub struct Solo;

impl Reduce for Solo {
    fn mean(&mut self, _values: &mut [f32]) -> crate::Result<()> {
        Ok(())
    }
}
