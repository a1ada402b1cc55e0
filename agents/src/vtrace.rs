//! V-trace: off-policy correction of value targets and advantages from steps of an older policy.
//!
//! With V and π of the learner's weights, μ of the actor's, ρ = min(ρ̄, π/μ) and c = λ min(c̄, π/μ), the target of a
//! step is `V + e`, where `e = ρ δ + γ c e'` and `δ = r + γ V' - V`; its advantage is ρ (r + γ (V' + λ e') - V). Where
//! both policies are equal these are generalised advantages. Ends are treated as in [`Gae`]: a truncated step
//! bootstraps from the value of the true last observation, and takes nothing from later steps.
//! Source: Espeholt et al. 2018, eq. 1 and section 4.2, λ by remark 2; the λ of the advantage's own bootstrap after rlax.

use rl_core::{Future, Result, Spec};
use rl_replays::{RewardTransform, Rollout};

use crate::actor_critic::{ActorCritic, Flows};
use crate::actor_critic_policy::Behaviour;
use crate::distribution::{ActionDistribution, Actions};
use crate::gae::Gae;
use crate::gather::Gathered;

/// Observations that are evaluated in one batch: a whole block of frames may take too much memory.
const BATCH: usize = 512;

/// Clips of the importance weights of V-trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correction {
    /// ρ̄: clip of the weights of TD errors; it decides which policy the values converge to.
    pub(crate) rho: f32,
    /// c̄: clip of the weights of the trace; it decides how far TD errors are carried back.
    pub(crate) c: f32,
}

/// Values and importance weights of a block by the learner's weights.
#[derive(Debug, Default)]
pub(crate) struct PolicyRatios {
    /// Values of the observations, `[T + 1, N]`; that of a terminal row is not used.
    pub(crate) values: Vec<f32>,
    /// Unclipped importance weights π/μ of the actions taken, `[T, N]`.
    pub(crate) ratios: Vec<f32>,
}

/// V-trace targets and advantages of all blocks, one after the other, each `[T, N]`; 0 where no step was played.
#[derive(Debug, Default)]
pub(crate) struct Corrected {
    /// Value targets.
    pub(crate) targets: Vec<f32>,
    /// Advantages of the actions taken, weighted by ρ.
    pub(crate) advantages: Vec<f32>,
    carry: Vec<f32>,
}

impl Corrected {
    /// Removes all targets and advantages.
    pub(crate) fn clear(&mut self) {
        self.targets.clear();
        self.advantages.clear();
    }

    /// Appends the targets and advantages of a block, given its values and importance weights, `evaluated`.
    pub(crate) fn append(
        &mut self,
        Correction { rho, c }: Correction,
        gae: &Gae,
        block: &Rollout,
        transform: RewardTransform,
        evaluated: &PolicyRatios,
    ) {
        let (horizon, envs, from) = (block.horizon(), block.seats(), self.targets.len());
        self.targets.resize(from + horizon * envs, 0.0);
        self.advantages.resize(from + horizon * envs, 0.0);
        self.carry.clear();
        self.carry.resize(envs, 0.0);
        for t in (0..horizon).rev() {
            let (ages, ends, rewards) = (block.age.row(t + 1), block.end.row(t + 1), block.reward.row(t + 1));
            for e in 0..envs {
                if ages[e] == 0 {
                    self.carry[e] = 0.0; // nothing passes a reset: see `Gae`
                    continue;
                }
                let at = t * envs + e;
                let next = || evaluated.values[at + envs];
                let (next, later) = match gae.life_loss.future(ends[e]) {
                    Future::Zero => (0.0, 0.0),
                    Future::Bootstraps => (next(), 0.0),
                    Future::Continues => (next(), self.carry[e]),
                };
                let (value, ratio, reward) = (evaluated.values[at], evaluated.ratios[at], transform.of(rewards[e]));
                let delta = reward + gae.gamma * next - value;
                let error = rho.min(ratio) * delta + gae.gamma * gae.lambda * c.min(ratio) * later;
                let ahead = reward + gae.gamma * (next + gae.lambda * later);
                self.carry[e] = error;
                self.targets[from + at] = value + error;
                self.advantages[from + at] = rho.min(ratio) * (ahead - value);
            }
        }
    }
}

/// Evaluates blocks by the learner's network; its buffers are reused from block to block.
pub(crate) struct VtraceEvaluator {
    dist: ActionDistribution,
    seen: Gathered,
    flows: Flows,
    /// Values and importance weights of the last block.
    pub(crate) evaluated: PolicyRatios,
}

impl VtraceEvaluator {
    /// Creates an evaluator for the actions of `spec`.
    pub(crate) fn new(spec: &Spec) -> Self {
        let dist = ActionDistribution::new(spec);
        Self { dist, seen: Gathered::default(), flows: Flows::default(), evaluated: PolicyRatios::default() }
    }

    /// Takes the stored values of a block that the present weights played, with importance weights of 1.
    ///
    /// `last` are the values of the last row, `[N]`.
    pub(crate) fn reuse_stored(&mut self, block: &Rollout, last: &[f32]) {
        let PolicyRatios { values, ratios } = &mut self.evaluated;
        values.clear();
        for t in 0..block.horizon() {
            values.extend((0..block.seats()).map(|e| Behaviour::at(block, t, e).value));
        }
        values.extend_from_slice(last);
        ratios.clear();
        ratios.resize(block.horizon() * block.seats(), 1.0);
    }

    /// Computes values and importance weights of a block that older weights played, by `net`.
    ///
    /// `last` are the values of the last row by `net`, `[N]`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub(crate) fn evaluate(&mut self, net: &ActorCritic, block: &Rollout, last: &[f32]) -> Result<()> {
        let Self { dist, seen, flows, evaluated: PolicyRatios { values, ratios } } = self;
        let envs = block.seats();
        values.clear();
        ratios.clear();
        let rows = (BATCH / envs).max(1);
        for from in (0..block.horizon()).step_by(rows) {
            let rows = from..(from + rows).min(block.horizon());
            seen.clear();
            for t in rows.clone() {
                (0..envs).for_each(|e| seen.push(block, t, e));
            }
            seen.standardise(net.standardise())?;
            net.run(&seen.seen(), true, &mut [], flows)?;
            values.extend_from_slice(flows.values());
            let outputs = flows.outputs().chunks_exact(dist.width());
            for (at, outputs) in outputs.enumerate() {
                let (t, e) = (rows.start + at / envs, at % envs);
                let Behaviour { log_prob, drawn, .. } = Behaviour::at(block, t, e);
                dist.set(outputs, block.legal.at(t, e));
                let now = dist.log_prob(Actions { discrete: block.discrete.at(t, e), continuous: drawn });
                ratios.push(libm::exp(f64::from(now - log_prob)) as f32);
            }
        }
        values.extend_from_slice(last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{End, LifeLoss};
    use serde::Deserialize;

    use super::*;
    use crate::testing::close;

    #[derive(Deserialize)]
    struct Case {
        gamma: f32,
        lambda: f32,
        rho: f32,
        c: f32,
        life_terminal: bool,
        age: Vec<u32>,
        end: Vec<End>,
        reward: Vec<f32>,
        value: Vec<f32>,
        ratio: Vec<f32>,
        steps: Vec<Option<[f64; 2]>>,
    }

    fn cases() -> Vec<Case> {
        serde_json::from_str(include_str!("../../tests/golden/vtrace/golden.json")).unwrap()
    }

    fn spec() -> Spec {
        Spec { vector: 1, discrete: [2].into(), ..Spec::none() }
    }

    impl Case {
        fn gae(&self) -> Gae {
            let life_loss = if self.life_terminal { LifeLoss::Terminal } else { LifeLoss::Ignore };
            Gae { gamma: self.gamma, lambda: self.lambda, life_loss }
        }

        fn block(&self) -> Rollout {
            let mut block = Rollout::new(&spec(), self.age.len() - 1, 1, 2);
            for t in 0..self.age.len() {
                (block.age[(t, 0)], block.end[(t, 0)]) = (self.age[t], self.end[t]);
                block.reward[(t, 0)] = self.reward[t];
            }
            block
        }

        fn corrected(&self, ratios: Vec<f32>) -> Corrected {
            let evaluated = PolicyRatios { values: self.value.clone(), ratios };
            let mut out = Corrected::default();
            let correction = Correction { rho: self.rho, c: self.c };
            out.append(correction, &self.gae(), &self.block(), RewardTransform::Raw, &evaluated);
            out
        }
    }

    #[test]
    fn targets_and_advantages_are_those_of_the_definition() {
        for case in cases() {
            let got = case.corrected(case.ratio.clone());
            let played: Vec<usize> = (0..case.steps.len()).filter(|&t| case.steps[t].is_some()).collect();
            assert!(played.len() < case.steps.len(), "there is a reset");
            let of = |all: &[f32]| played.iter().map(|&t| all[t]).collect::<Vec<_>>();
            let expected = |at: usize| played.iter().map(|&t| case.steps[t].unwrap()[at]).collect::<Vec<_>>();
            let what = format!("ρ̄ {}, c̄ {}, λ {}", case.rho, case.c, case.lambda);
            close(&format!("targets with {what}"), &of(&got.targets), &expected(0));
            close(&format!("advantages with {what}"), &of(&got.advantages), &expected(1));
        }
    }

    #[test]
    fn of_the_policy_that_acted_they_are_generalised_advantages() {
        for case in cases() {
            let got = case.corrected(vec![1.0; case.ratio.len()]);
            let (mut carry, mut expected) = (Vec::new(), Vec::new());
            case.gae().append(&case.block(), RewardTransform::Raw, |t, _| case.value[t], &mut carry, &mut expected);
            let wide: Vec<f64> = expected.iter().map(|&x| f64::from(x)).collect();
            if case.rho >= 1.0 && case.c >= 1.0 {
                close("advantages", &got.advantages, &wide);
            }
        }
    }

    #[test]
    fn nothing_passes_a_reset_that_no_end_announced() {
        let mut block = Rollout::new(&spec(), 3, 1, 2);
        for (t, (age, reward)) in [(5, 0.0), (6, 2.0), (0, 0.0), (1, 3.0)].into_iter().enumerate() {
            (block.age[(t, 0)], block.reward[(t, 0)]) = (age, reward);
        }
        let evaluated = PolicyRatios { values: vec![1.0, 4.0, 10.0, 20.0], ratios: vec![1.0; 3] };
        let gae = Gae { gamma: 0.5, lambda: 1.0, life_loss: LifeLoss::Ignore };
        let mut out = Corrected::default();
        out.append(Correction { rho: 1.0, c: 1.0 }, &gae, &block, RewardTransform::Raw, &evaluated);
        assert_eq!(out.advantages, [2.0 + 2.0 - 1.0, 0.0, 3.0 + 10.0 - 10.0]);
        assert_eq!(out.targets, [4.0, 0.0, 13.0]);
    }

    #[test]
    fn nothing_beyond_a_terminal_step_is_looked_at() {
        let mut block = Rollout::new(&spec(), 1, 1, 2);
        (block.age[(1, 0)], block.end[(1, 0)], block.reward[(1, 0)]) = (1, End::Terminated, 2.0);
        let evaluated = PolicyRatios { values: vec![0.5, f32::NAN], ratios: vec![3.0] };
        let gae = Gae { gamma: 0.9, lambda: 1.0, life_loss: LifeLoss::Ignore };
        let mut out = Corrected::default();
        out.append(Correction { rho: 2.0, c: 1.0 }, &gae, &block, RewardTransform::Raw, &evaluated);
        assert_eq!((out.targets[0], out.advantages[0]), (0.5 + 2.0 * 1.5, 2.0 * 1.5));
    }
}
