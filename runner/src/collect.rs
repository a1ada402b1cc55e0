//! One block of experience: act, step, row by row.

use rl_agents::{Mode, Policy};
use rl_core::{Result, VecEnv};
use rl_replays::Rollout;

/// Fills `block`, whose row 0 is there already.
///
/// # Errors
/// If the policy or the environment fails.
pub(crate) fn collect(env: &mut dyn VecEnv, policy: &mut dyn Policy, block: &mut Rollout, mode: Mode) -> Result<()> {
    for t in 0..block.horizon() {
        policy.act(std::slice::from_mut(block), t, mode)?;
        let (act, rows) = block.step(t);
        env.step(act, rows)?;
    }
    Ok(())
}

/// Emulator frames and agent steps of a filled block; a reset is neither.
pub(crate) fn count(block: &Rollout) -> (u64, u64) {
    let (mut frames, mut steps) = (0, 0);
    for t in 1..=block.horizon() {
        frames += block.frames.row(t).iter().map(|&n| u64::from(n)).sum::<u64>();
        steps += block.age.row(t).iter().filter(|&&age| age != 0).count() as u64;
    }
    (frames, steps)
}
