//! Which places of a frame move a policy's value and choice: the policy is asked again with each place blurred away.
//!
//! A place is a Gaussian whose deviation is a seventeenth of the longer side, in all frames of the stack at once. A
//! place scores S = ½‖difference‖², where the difference is that of the value, or of the actions' numbers less their
//! mean (so that a value that all actions share does not count as a choice). It needs of a policy only that it has
//! [outputs](rl_agents::Policy::outputs), so that it serves every agent; every look begins with the same memory and the
//! same random draws. Source: Greydanus et al. 2018, "Visualizing and Understanding Atari Agents", eqs. 1-3: σ of 5
//! pixels of 80, blurred by 3.
// Films ask for less than windows do.
#![cfg_attr(not(feature = "viewer"), allow(dead_code))]

mod heat;
mod occlusion;
mod weights;

use rl_agents::{Mode, Policy};
use rl_core::{Spec, State};
use rl_replays::Rollout;

pub(crate) use heat::Heat;
#[cfg(feature = "viewer")]
pub(crate) use heat::{CHOICE, VALUE};
pub(crate) use weights::{Weights, run_of};

use crate::console::usage::usage;
use occlusion::Occlusion;

/// Steps that a policy with a memory is shown before a look. Source: Kapturowski et al. 2019, a burn-in of 40.
pub(crate) const BURN_IN: usize = 40;

/// How the policy is asked: greedily, so that looks draw no random numbers that differ.
const MODE: Mode = Mode::Evaluate { epsilon: 0.0, greedy: true };

/// Computes saliency maps for the policy of one seat.
pub(crate) struct Saliency {
    policy: Box<dyn Policy>,
    /// The policy's state before it has seen anything.
    fresh: Vec<Vec<u8>>,
    occlusion: Occlusion,
    block: Rollout,
}

/// A policy's outputs on what it sees.
struct Thought {
    /// The value; 0 if the policy gives none.
    value: f32,
    /// The actions' numbers less their mean; those that are not finite are 0.
    choice: Vec<f32>,
}

impl Saliency {
    /// Makes maps with `policy`, which serves one seat of an environment of `spec` and writes `extra` numbers a row.
    ///
    /// # Errors
    /// If `spec` has no frames, or the policy has no outputs.
    pub(crate) fn new(mut policy: Box<dyn Policy>, spec: &Spec, extra: usize) -> anyhow::Result<Self> {
        if spec.frame_len() == 0 {
            return Err(usage("this environment shows no frames, of which places could be looked at"));
        }
        if policy.outputs().is_none() {
            return Err(usage("this agent has neither values nor action probabilities to explain"));
        }
        let mut block = Rollout::new(spec, 1, 1, extra);
        block.record_outputs();
        let fresh = save(policy.state())?;
        Ok(Self { policy, fresh, occlusion: Occlusion::new(spec), block })
    }

    /// Whether the policy is recurrent, so that it has to be [shown](Self::see) every step.
    pub(crate) fn is_recurrent(&self) -> bool {
        self.policy.is_recurrent()
    }

    /// Resets the policy to its state before it has seen anything.
    ///
    /// # Errors
    /// If the policy refuses its own state.
    pub(crate) fn forget(&mut self) -> anyhow::Result<()> {
        Ok(load(self.policy.state(), &self.fresh)?)
    }

    /// Shows the policy row 0 of a block of one seat, which it may remember.
    ///
    /// # Errors
    /// If the policy fails.
    pub(crate) fn see(&mut self, seen: &Rollout) -> anyhow::Result<()> {
        self.block.begin_with(seen, 0);
        Ok(self.policy.act(std::slice::from_mut(&mut self.block), 0, MODE)?)
    }

    /// Makes the map of row 0 of a block of one seat, and leaves the policy's memory as it was; `None` if the game is
    /// over.
    ///
    /// # Errors
    /// If the policy fails.
    pub(crate) fn look(&mut self, seen: &Rollout) -> anyhow::Result<Option<Heat>> {
        let before = save(self.policy.state())?;
        self.block.begin_with(seen, 0);
        self.occlusion.begin(&self.block);
        let Some(usual) = self.think()? else { return Ok(None) };
        let [rows, columns] = self.occlusion.places();
        let mut heat = Heat::new([rows, columns], self.occlusion.part_of_a_place());
        for place in 0..rows * columns {
            load(self.policy.state(), &before)?;
            self.occlusion.hide(place, &mut self.block);
            if let Some(otherwise) = self.think()? {
                heat.value[place] = 0.5 * (otherwise.value - usual.value).powi(2);
                let moved = otherwise.choice.iter().zip(&usual.choice).map(|(a, b)| (a - b).powi(2));
                heat.choice[place] = 0.5 * moved.sum::<f32>();
            }
            self.occlusion.show(place, &mut self.block);
        }
        load(self.policy.state(), &before)?;
        Ok(Some(heat))
    }

    fn think(&mut self) -> anyhow::Result<Option<Thought>> {
        self.policy.act(std::slice::from_mut(&mut self.block), 0, MODE)?;
        let (value, numbers) = self.block.outputs.at(0, 0).split_first().expect("a policy that was asked");
        let finite = || numbers.iter().copied().filter(|number| number.is_finite());
        if !value.is_finite() && finite().next().is_none() {
            return Ok(None);
        }
        let mean = finite().sum::<f32>() / finite().count().max(1) as f32;
        let choice = numbers.iter().map(|number| if number.is_finite() { number - mean } else { 0.0 });
        let value = if value.is_finite() { *value } else { 0.0 };
        Ok(Some(Thought { value, choice: choice.collect() }))
    }
}

fn save(state: State<'_>) -> rl_core::Result<Vec<Vec<u8>>> {
    let bytes = |part: &mut dyn rl_core::Saved| {
        let mut bytes = Vec::new();
        part.save(&mut bytes).map(|()| bytes)
    };
    state.into_iter().map(|(_, part)| bytes(part)).collect()
}

fn load(state: State<'_>, bytes: &[Vec<u8>]) -> rl_core::Result<()> {
    state.into_iter().zip(bytes).try_for_each(|((_, part), bytes)| part.load(&mut bytes.as_slice()))
}

#[cfg(test)]
mod tests {
    use rl_core::{Postcard, Result};
    use rl_replays::Outputs;

    use super::*;

    /// Thinks of the sum of the newest frame left of the middle, and chooses by the pixels right of it; how often it
    /// was asked moves both. One that is `shy` says no value.
    struct Halves {
        asked: Postcard<u32>,
        shy: bool,
    }

    impl Halves {
        fn boxed(asked: u32, shy: bool) -> Box<dyn Policy> {
            Box::new(Self { asked: Postcard(asked), shy })
        }
    }

    impl Policy for Halves {
        fn act(&mut self, blocks: &mut [Rollout], t: usize, _mode: Mode) -> Result<()> {
            let block = &mut blocks[0];
            let [_, width, _] = block.spec().frame;
            let newest = block.frame_at(t, 0).to_vec();
            let sum = |range: std::ops::Range<usize>| -> f32 {
                newest.chunks_exact(width).flat_map(|row| &row[range.clone()]).map(|&pixel| f32::from(pixel)).sum()
            };
            let (left, right) = (sum(0..width / 2), sum(width / 2..width));
            let moved = self.asked.0 as f32;
            let value = if self.shy { f32::NAN } else { left + moved };
            block.outputs.at_mut(t, 0).copy_from_slice(&[value, right + moved, f32::NAN, moved, 0.0]);
            self.asked.0 += 1;
            Ok(())
        }

        fn outputs(&self) -> Option<Outputs> {
            Some(Outputs::Q)
        }

        fn is_recurrent(&self) -> bool {
            true
        }

        fn state(&mut self) -> State<'_> {
            vec![("asked".to_owned(), &mut self.asked)]
        }
    }

    /// Two frames of 34 x 51 pixels: one bright spot in each half of the newest, and nothing else.
    fn seen() -> Rollout {
        let spec = Spec { frame: [34, 51, 1], stack: 2, discrete: [4].into(), ..Spec::none() };
        let mut block = Rollout::new(&spec, 1, 1, 0);
        block.age.row_mut(0)[0] = 1;
        block.frame.row_mut(1)[10 * 51 + 7] = 255;
        block.frame.row_mut(1)[25 * 51 + 43] = 200;
        block
    }

    fn hottest(heat: &[f32], columns: usize) -> (usize, usize) {
        let at = (0..heat.len()).max_by(|&a, &b| heat[a].total_cmp(&heat[b])).unwrap();
        (at / columns, at % columns)
    }

    #[test]
    fn what_moves_the_value_and_what_moves_the_choice_are_found_and_nothing_is_remembered() {
        let seen = seen();
        let mut saliency = Saliency::new(Halves::boxed(7, false), seen.spec(), 0).unwrap();
        assert!(saliency.is_recurrent());
        let heat = saliency.look(&seen).unwrap().unwrap();
        assert_eq!((heat.rows, heat.columns), (12, 17), "every third pixel");
        assert_eq!((hottest(&heat.value, 17), hottest(&heat.choice, 17)), ((3, 2), (8, 14)));
        assert_eq!((heat.value[8 * 17 + 14], heat.choice[3 * 17 + 2]), (0.0, 0.0), "a look moves nothing by itself");
        let again = saliency.look(&seen).unwrap().unwrap();
        assert_eq!((again.value, again.choice), (heat.value, heat.choice));
        saliency.see(&seen).unwrap();
        assert_eq!(save(saliency.policy.state()).unwrap(), [vec![8]], "one step");
        saliency.forget().unwrap();
        assert_eq!(save(saliency.policy.state()).unwrap(), [vec![7]]);
    }

    #[test]
    fn who_says_no_value_is_seen_by_the_choice_alone() {
        let seen = seen();
        let mut saliency = Saliency::new(Halves::boxed(0, true), seen.spec(), 0).unwrap();
        let heat = saliency.look(&seen).unwrap().unwrap();
        assert_eq!(hottest(&heat.choice, 17), (8, 14));
        assert!(heat.value.iter().all(|&value| value == 0.0), "{:?}", heat.value);
    }

    #[test]
    fn what_shows_no_frames_is_refused() {
        let spec = Spec { vector: 4, discrete: [4].into(), ..Spec::none() };
        let refused = Saliency::new(Halves::boxed(0, false), &spec, 0).err().unwrap().to_string();
        assert!(refused.contains("shows no frames"), "{refused}");
    }
}
