//! Settings that take less time than those of a preset, and what an agent step costs with each.

use rl_agents::Part;
use toml::{Table, Value};

use crate::preset::Resolved;
use crate::training::time_by_part::Timed;

/// Speed-up from which bf16 is taken, although it costs digits.
const WORTH: f64 = 1.1;

/// Most values that are tried of one key; each is combined with all values of the others.
const STEPS: i64 = 16;

/// Trunks, from most to least work.
const TRUNKS: [&str; 4] = ["impala", "padded", "nature", "small"];

/// Seconds per agent step, by what they are spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Times {
    pub(crate) environment: f64,
    pub(crate) acting: f64,
    /// Gathering, forward and backward: grows with how often a step is learned from.
    pub(crate) learning: f64,
    /// Optimiser: grows with the number of updates.
    pub(crate) optimiser: f64,
    pub(crate) other: f64,
    /// Emulator frames per agent step.
    pub(crate) frames_per_step: f64,
}

impl Times {
    /// Times per agent step of what was timed.
    pub(crate) fn of(timed: &Timed) -> Self {
        let steps = timed.agent_steps.max(1) as f64;
        let of = |parts: &[Part]| parts.iter().map(|&part| timed.profile.of(part)).sum::<f64>() / steps;
        Self {
            environment: of(&[Part::Step]),
            acting: of(&[Part::Infer]),
            learning: of(&[Part::Sample, Part::Forward, Part::Backward]),
            optimiser: of(&[Part::Optimiser]),
            other: of(&[Part::Reduce, Part::Save, Part::Other]),
            frames_per_step: timed.frames as f64 / steps,
        }
    }

    /// Seconds of an agent step in all.
    pub(crate) fn step(&self) -> f64 {
        self.environment + self.acting + self.learning + self.optimiser + self.other
    }
}

/// A key of the preset, as `table.key`, and a value for it.
type Setting = (&'static str, Value);

/// Settings that say how often a step is learned from.
#[derive(Clone, Debug, PartialEq)]
struct Pace {
    settings: Vec<Setting>,
    /// Shares of the preset's learning and optimiser time that these settings leave.
    work: [f64; 2],
}

/// A preset with some of its work taken away.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Trunk and precision, which are timed.
    pub(crate) build: Vec<Setting>,
    /// Settings whose effect is computed, not timed.
    pace: Pace,
    pub(crate) times: Times,
}

impl Candidate {
    /// Takes the times of a preset with the same build, scaled by what the pace saves.
    pub(crate) fn take(&mut self, times: Times) {
        let [learning, optimiser] = self.pace.work;
        self.times = Times { learning: times.learning * learning, optimiser: times.optimiser * optimiser, ..times };
    }

    /// Sets trunk and precision in `to`.
    ///
    /// # Errors
    /// If the preset has no such key.
    pub(crate) fn apply_build(&self, to: &mut Resolved) -> anyhow::Result<()> {
        self.build.iter().try_for_each(|(key, value)| to.set(key, value.clone()))
    }

    /// Sets all values of the candidate in `to`.
    ///
    /// # Errors
    /// If the preset has no such key.
    pub(crate) fn apply(&self, to: &mut Resolved) -> anyhow::Result<()> {
        self.apply_build(to)?;
        self.pace.settings.iter().try_for_each(|(key, value)| to.set(key, value.clone()))
    }

    /// The candidate's value of every key that differs between candidates.
    pub(crate) fn settings(&self) -> Table {
        self.build.iter().chain(&self.pace.settings).map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    /// Trunk and precision in words, or `the preset`.
    pub(crate) fn built(&self) -> String {
        let words: Vec<&str> = self.build.iter().filter_map(|(_, value)| value.as_str()).collect();
        if words.is_empty() { "the preset".to_owned() } else { words.join(", ") }
    }

    /// Whether the candidate changes nothing of the preset `own`.
    pub(crate) fn keeps(&self, own: &Resolved) -> bool {
        self.build.iter().chain(&self.pace.settings).all(|(key, value)| {
            let (table, key) = key.split_once('.').expect("a table's key");
            own.table(table).get(key) == Some(value)
        })
    }

    fn bf16(&self) -> bool {
        self.build.iter().any(|(key, value)| *key == "train.precision" && value.as_str() == Some("bf16"))
    }

    /// Whether `other` is the same candidate in another precision.
    fn twin(&self, other: &Self) -> bool {
        let rest = |of: &Self| -> Vec<_> {
            of.build.iter().chain(&of.pace.settings).filter(|(key, _)| *key != "train.precision").cloned().collect()
        };
        self.bf16() != other.bf16() && rest(self) == rest(other)
    }
}

/// All candidates: the preset itself, then with less and less work. Trunks and bf16 are varied only if the environment
/// shows `frames`, precision only if the machine multiplies `bf16`: elsewhere products are not what takes long.
pub(crate) fn all(own: &Resolved, frames: bool, bf16: bool) -> Vec<Candidate> {
    let agent = own.table("agent");
    let whole = |key: &str| agent.get(key).and_then(Value::as_integer).filter(|&value| value > 0);
    let mut builds: Vec<Vec<Setting>> = vec![Vec::new()];
    if let Some(trunk) = agent.get("trunk").and_then(Value::as_str).filter(|trunk| frames && TRUNKS.contains(trunk)) {
        let cheaper = TRUNKS.iter().skip_while(|known| **known != trunk);
        vary(&mut builds, "agent.trunk", cheaper.map(|&name| Value::from(name)));
    }
    if let Some(precision) = own.table("train").get("precision").filter(|_| frames && bf16) {
        let other = if precision.as_str() == Some("bf16") { "f32" } else { "bf16" };
        vary(&mut builds, "train.precision", [precision.clone(), other.into()]);
    }
    let mut paces = vec![Pace { settings: Vec::new(), work: [1.0; 2] }];
    if let Some(epochs) = whole("epochs") {
        pace(&mut paces, "agent.epochs", down(epochs).map(|now| (now, [now as f64 / epochs as f64; 2])));
    }
    if let Some(minibatches) = whole("minibatches").filter(|count| count % 2 == 0) {
        pace(&mut paces, "agent.minibatches", [(minibatches, [1.0; 2]), (minibatches / 2, [1.0, 0.5])]);
    }
    if let Some(period) = whole("update_period") {
        pace(&mut paces, "agent.update_period", [1, 2].map(|by| (period * by, [1.0 / by as f64; 2])));
    }
    let with = |build: &Vec<Setting>, pace: &Pace| {
        let (build, pace, times) = (build.clone(), pace.clone(), Times::default());
        Candidate { build, pace, times }
    };
    builds.iter().flat_map(|build| paces.iter().map(|pace| with(build, pace))).collect()
}

/// Whole numbers from `most` down to 1: all of them, or [`STEPS`] at even distances.
fn down(most: i64) -> impl Iterator<Item = i64> {
    let last = most.min(STEPS) - 1;
    (0..=last).map(move |at| most - (i128::from(most - 1) * i128::from(at) / i128::from(last.max(1))) as i64)
}

/// Combines every build with every value of `key`.
fn vary(builds: &mut Vec<Vec<Setting>>, key: &'static str, values: impl IntoIterator<Item = Value>) {
    let values: Vec<Value> = values.into_iter().collect();
    let with = |build: &[Setting], value: &Value| [build.to_vec(), vec![(key, value.clone())]].concat();
    *builds = builds.iter().flat_map(|build| values.iter().map(|value| with(build, value))).collect();
}

/// Combines every pace with every value of `key` and the shares of work that the value leaves.
fn pace(paces: &mut Vec<Pace>, key: &'static str, values: impl IntoIterator<Item = (i64, [f64; 2])>) {
    let values: Vec<_> = values.into_iter().collect();
    let with = |Pace { settings, work }: &Pace, &(value, by): &(i64, [f64; 2])| {
        let settings = [settings.clone(), vec![(key, Value::from(value))]].concat();
        Pace { settings, work: [work[0] * by[0], work[1] * by[1]] }
    };
    *paces = paces.iter().flat_map(|pace| values.iter().map(|value| with(pace, value))).collect();
}

/// Index of the candidate to take, given the frames that each makes and those that the preset is annealed over: the one
/// with the most work that makes enough frames, else the fastest.
///
/// # Panics
/// If there are no candidates.
pub(crate) fn choose(candidates: &[Candidate], frames: &[u64], annealed: u64) -> usize {
    let slower = |of: &Candidate| candidates.iter().find(|other| of.twin(other)).map(|other| other.times.step());
    let fits = |of: &Candidate| match slower(of) {
        Some(other) if of.bf16() => other >= WORTH * of.times.step(),
        Some(other) => of.times.step() < WORTH * other,
        None => true,
    };
    let fit: Vec<usize> = (0..candidates.len()).filter(|&at| fits(&candidates[at])).collect();
    let cost = |at: &usize| candidates[*at].times.step();
    let enough = fit.iter().rev().filter(|&&at| frames[at] >= annealed);
    let most_work = enough.max_by(|a, b| cost(a).total_cmp(&cost(b)));
    let fastest = || fit.iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
    *most_work.or_else(fastest).expect("of twins one fits, and the preset itself is always there")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times =
        Times { environment: 1.0, acting: 0.5, learning: 6.0, optimiser: 2.0, other: 0.5, frames_per_step: 4.0 };

    fn candidate(precision: &str, epochs: i64, work: f64, times: Times) -> Candidate {
        let pace = Pace { settings: vec![("agent.epochs", epochs.into())], work: [work; 2] };
        let mut candidate = Candidate { build: vec![("train.precision", precision.into())], pace, times };
        candidate.take(times);
        candidate
    }

    #[test]
    fn less_learning_leaves_the_environment_what_it_costs() {
        assert_eq!(candidate("f32", 2, 0.5, TIMES).times.step(), 1.0 + 0.5 + 3.0 + 1.0 + 0.5);
        let mut fewer = candidate("f32", 1, 1.0, TIMES);
        fewer.pace.work = [1.0, 0.5];
        fewer.take(TIMES);
        assert_eq!(fewer.times.step(), 9.0);
    }

    #[test]
    fn paces_are_every_combination_and_begin_with_the_preset() {
        let mut paces = vec![Pace { settings: Vec::new(), work: [1.0; 2] }];
        pace(&mut paces, "agent.epochs", [(2, [1.0; 2]), (1, [0.5; 2])]);
        pace(&mut paces, "agent.minibatches", [(4, [1.0; 2]), (2, [1.0, 0.5])]);
        let work: Vec<[f64; 2]> = paces.iter().map(|pace| pace.work).collect();
        assert_eq!(work, [[1.0, 1.0], [1.0, 0.5], [0.5, 0.5], [0.5, 0.25]]);
        assert_eq!(paces[3].settings, [("agent.epochs", 1.into()), ("agent.minibatches", 2.into())]);
    }

    #[test]
    fn epochs_go_down_to_one_in_a_few_steps_however_many_they_are() {
        assert_eq!(down(1).collect::<Vec<_>>(), [1]);
        assert_eq!(down(4).collect::<Vec<_>>(), [4, 3, 2, 1]);
        assert_eq!(down(16).collect::<Vec<_>>(), (1..=16).rev().collect::<Vec<_>>());
        for most in [17, 1_000_000_000, i64::MAX] {
            let all: Vec<i64> = down(most).collect();
            assert_eq!((all.len(), all[0], all[15]), (16, most, 1));
            assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "{all:?}");
        }
    }

    #[test]
    fn the_most_work_that_makes_the_frames_is_taken_else_the_most_frames() {
        let all = [3, 2, 1].map(|epochs| candidate("f32", epochs, epochs as f64 / 3.0, TIMES));
        assert_eq!(choose(&all, &[50, 60, 90], 40), 0, "time enough for the preset");
        assert_eq!(choose(&all, &[50, 60, 90], 60), 1);
        assert_eq!(choose(&all, &[50, 60, 90], 91), 2, "too short for all");
    }

    #[test]
    fn bf16_has_to_be_a_tenth_faster() {
        let quick = |by: f64| Times { learning: 6.0 - by, ..TIMES };
        let pair = |by| [candidate("f32", 1, 1.0, TIMES), candidate("bf16", 1, 1.0, quick(by))];
        assert_eq!(choose(&pair(0.5), &[50, 51], 40), 0, "9.5 of 10 is too little");
        assert_eq!(choose(&pair(2.0), &[50, 60], 40), 1, "8 of 10 is enough");
        assert_eq!(choose(&pair(2.0), &[50, 60], 100), 1);
        assert_eq!(choose(&pair(-1.0), &[50, 45], 48), 0);
    }
}
