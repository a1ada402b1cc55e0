//! Every promise is found broken where it is, and only there.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use rl_core::contract::{PROMISES, Subject, check};
use rl_core::embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use rl_core::{
    Act, Bound, Canvas, End, Env, EnvEntry, Error, FiniteMdp, Obs, Result, Rng, Rows, Seating, Spec, Step, Transition,
    VecEnv, build_batch, load_postcard, save_postcard,
};
use serde::Deserialize;

/// Cells of the ring that is walked on.
const CELLS: u32 = 5;
/// Steps of an episode at most.
const LIMIT: u32 = 30;

/// What is wrong with an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fault {
    #[default]
    None,
    TakesAnySetting,
    InfiniteFeature,
    NoSuchSymbol,
    NothingLegal,
    TakesNoTime,
    Unbounded,
    LeavesAFeature,
    TakesAnyAction,
    Renews,
    ForgetsToReport,
    CountsWrong,
    DrawsFromTheProcess,
    RemembersTheLastEpisode,
    SeesTheCrowd,
    ForgetsSteps,
    TakesAnyState,
    TakesALongerState,
    TellsAnotherSeed,
    HidesItsBonus,
    Invisible,
    DrawingMoves,
    OtherTable,
    OtherLimit,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    fault: Fault,
}

/// A walk on a ring, to the cell that is furthest from where it began. It shows the cell, and how far a push was.
#[derive(Debug)]
struct Walk {
    fault: Fault,
    cell: Cell<u32>,
    steps: u32,
    rng: Rng,
}

static DRAWN: AtomicU32 = AtomicU32::new(0);

impl Walk {
    fn show(&self, push: f32, obs: &mut Obs<'_>) {
        obs.symbols[0] = self.cell.get();
        obs.vector[0] = push;
        if self.fault != Fault::LeavesAFeature || self.steps != 7 {
            obs.vector[1] = self.steps as f32;
        }
        obs.legal.fill(1);
        match self.fault {
            Fault::InfiniteFeature if self.steps == 9 => obs.vector[1] = f32::INFINITY,
            Fault::NoSuchSymbol if self.steps == 9 => obs.symbols[0] = CELLS,
            Fault::NothingLegal if self.steps == 9 => obs.legal.fill(0),
            Fault::DrawsFromTheProcess => obs.vector[1] = DRAWN.fetch_add(1, Ordering::Relaxed) as f32,
            _ => {}
        }
    }
}

impl Env for Walk {
    const ID: &'static str = "walk";
    const VERSION: u32 = 1;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { fault: config.fault, cell: Cell::new(0), steps: 0, rng: Rng::episode(0) })
    }

    fn spec(&self) -> Spec {
        let high = if self.fault == Fault::Unbounded { f32::INFINITY } else { 1.0 };
        let continuous = if self.fault == Fault::Unbounded { vec![Bound { low: 0.0, high }] } else { vec![] };
        Spec {
            vector: 2,
            symbols: [CELLS].into(),
            mask: true,
            discrete: [2].into(),
            continuous: continuous.into(),
            ..Spec::none()
        }
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        self.rng = Rng::episode(seed);
        let cell = if self.fault == Fault::RemembersTheLastEpisode { (self.cell.get() + 1) % (CELLS - 1) } else { 0 };
        (self.cell, self.steps) = (Cell::new(cell), 0);
        self.show(0.0, &mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let action = act.discrete[0];
        assert!(action < 2 || self.fault == Fault::TakesAnyAction, "walk: action {action} is neither 0 nor 1");
        let cell = self.cell.get();
        self.cell.set(if action == 0 { cell.saturating_sub(1) } else { (cell + 1).min(CELLS - 1) });
        self.steps += 1;
        let push = self.rng.f32();
        self.show(push, &mut obs);
        let end = End::of(self.cell.get() == CELLS - 1, self.steps >= LIMIT);
        let frames = if self.fault == Fault::TakesNoTime { 0 } else { 2 };
        Ok(Step { reward: if end == End::Terminated { 1.0 } else { -0.5 }, end, frames })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        let steps = if self.fault == Fault::ForgetsSteps { 0 } else { self.steps };
        save_postcard(&(self.cell.get(), steps, &self.rng), out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let longer = self.fault == Fault::TakesALongerState;
        let shorter = &bytes[..bytes.len().saturating_sub(usize::from(longer))];
        let read = load_postcard(Self::ID, bytes).or_else(|_| load_postcard(Self::ID, shorter));
        let (cell, steps, rng): (u32, u32, Rng) = read?;
        if (cell >= CELLS || steps > LIMIT) && self.fault != Fault::TakesAnyState {
            return Err(Error::State { part: Self::ID.to_owned(), message: format!("{cell} after {steps} steps") });
        }
        assert!(cell < CELLS, "a walk in cell {cell}");
        (self.cell, self.steps, self.rng) = (Cell::new(cell), steps, rng);
        Ok(())
    }

    fn shaping_reward(&self) -> f32 {
        if self.cell.get() == 2 { 0.3 } else { 0.0 }
    }

    fn tabular(&self) -> Option<FiniteMdp> {
        let mut outcomes = vec![vec![Vec::new(); 2]; CELLS as usize];
        for cell in 0..CELLS {
            for (action, next) in [cell.saturating_sub(1), (cell + 1).min(CELLS - 1)].into_iter().enumerate() {
                let terminated = next == CELLS - 1;
                let pays = if self.fault == Fault::OtherTable { 2.0 } else { 1.0 };
                let reward = if terminated { pays } else { -0.5 };
                outcomes[cell as usize][action].push(Transition { probability: 1.0, next, reward, terminated });
            }
        }
        let mut start = vec![0.0; CELLS as usize];
        start[0] = 1.0;
        let limit = if self.fault == Fault::OtherLimit { LIMIT + 1 } else { LIMIT };
        let table = FiniteMdp::new(start, Some(limit), outcomes).expect("a table");
        Some(table.showing((0..CELLS).collect(), vec![1; 2 * CELLS as usize]))
    }

    fn draw(&self, canvas: &mut Canvas) {
        canvas.begin(64, 64, Rgb888::WHITE);
        match self.fault {
            Fault::Invisible => canvas.resize(0, 0),
            Fault::DrawingMoves => self.cell.set(0),
            _ => {}
        }
    }
}

/// Seats that do something wrong with the rows of others.
struct Wrong {
    right: Box<dyn VecEnv>,
    fault: Fault,
}

impl Wrong {
    fn spoil(&self, rows: &mut Rows<'_>) {
        if self.fault == Fault::SeesTheCrowd {
            let seats = self.seats();
            rows.vector.iter_mut().step_by(2).for_each(|feature| *feature += seats as f32);
        }
    }
}

impl VecEnv for Wrong {
    fn spec(&self) -> &Spec {
        self.right.spec()
    }

    fn seats(&self) -> usize {
        self.right.seats()
    }

    fn reset(&mut self, mut rows: Rows<'_>) -> Result<()> {
        self.right.reset(again(&mut rows))?;
        self.spoil(&mut rows);
        Ok(())
    }

    fn episode_seed(&self, n: usize) -> u64 {
        self.right.episode_seed(n)
    }

    fn begin(&mut self, seeds: &[u64], mut rows: Rows<'_>) -> Result<()> {
        self.right.begin(seeds, again(&mut rows))?;
        self.spoil(&mut rows);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: Rows<'_>) -> Result<()> {
        self.right.step(act, again(&mut rows))?;
        self.spoil(&mut rows);
        match self.fault {
            Fault::Renews => {
                rows.age.iter_mut().zip(&*rows.end).filter(|(_, end)| end.over()).for_each(|(age, _)| *age = 1);
            }
            Fault::ForgetsToReport => rows.episodes.clear(),
            Fault::TellsAnotherSeed => rows.episodes.iter_mut().for_each(|episode| episode.seed = 0),
            Fault::CountsWrong => rows.episodes.iter_mut().for_each(|episode| episode.ret += 1.0),
            _ => {}
        }
        Ok(())
    }

    fn shaping_reward(&self, n: usize) -> f32 {
        if self.fault == Fault::HidesItsBonus { 0.0 } else { self.right.shaping_reward(n) }
    }

    fn frame_rate(&self) -> f64 {
        self.right.frame_rate()
    }

    fn lives(&self, n: usize) -> Option<u32> {
        self.right.lives(n)
    }

    fn tabular(&self) -> Option<FiniteMdp> {
        self.right.tabular()
    }

    fn draw(&self, n: usize, canvas: &mut Canvas) {
        self.right.draw(n, canvas);
    }

    fn serving(&self) -> u32 {
        self.right.serving()
    }

    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()> {
        self.right.save(n, out)
    }

    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        self.right.load(n, bytes)
    }
}

/// The same row, lent again.
fn again<'a>(rows: &'a mut Rows<'_>) -> Rows<'a> {
    Rows {
        frame: rows.frame,
        vector: rows.vector,
        symbols: rows.symbols,
        legal: rows.legal,
        age: rows.age,
        reward: rows.reward,
        end: rows.end,
        frames: rows.frames,
        episodes: rows.episodes,
    }
}

fn build(name: &str, table: &toml::Table, seating: &Seating) -> Result<Box<dyn VecEnv>> {
    let fault: Fault = table["fault"].clone().try_into().expect("a fault");
    let mut table = table.clone();
    if fault == Fault::TakesAnySetting {
        table.retain(|key, _| key == "fault");
    }
    Ok(Box::new(Wrong { right: build_batch::<Walk>(name, &table, seating)?, fault }))
}

const ENTRY: EnvEntry = EnvEntry {
    build,
    ..EnvEntry::single::<Walk>("A walk", "[env]\nfault = \"none\"\n\n[eval]\nepisodes = 1\nepsilon = 0.0\n")
};

fn subject(fault: &str) -> Subject<'static> {
    let mut subject = Subject::new(&ENTRY, "walk").unwrap();
    subject.table.insert("fault".to_owned(), fault.into());
    subject
}

/// The promises that are broken, and how.
fn broken(fault: &str) -> Vec<(&'static str, String)> {
    let subject = subject(fault);
    let checked = PROMISES.iter().filter_map(|promise| promise.check(&subject).err());
    checked.map(|broken| (broken.promise, broken.how)).collect()
}

#[test]
fn an_environment_that_keeps_all_is_found_to() {
    assert_eq!(broken("none"), []);
    check(&subject("none")).unwrap();
    for promise in PROMISES {
        let played = promise.check(&subject("none")).unwrap().expect("it has all that promises are about");
        let plays = !["settings", "actions"].contains(&promise.name);
        assert_eq!(played.steps > 10, plays, "{}: {played:?}", promise.name);
        let ends = ["ends", "seed", "table"].contains(&promise.name);
        assert!(!ends || played.episodes > 5, "{}: {played:?}", promise.name);
    }
}

#[test]
fn each_fault_breaks_its_promise() {
    let cases = [
        ("takes_any_setting", "settings", "no_such_key is taken"),
        ("infinite_feature", "spec", "step 9, seat 0: vector[1] is inf"),
        ("no_such_symbol", "spec", "step 9, seat 0: symbols[0] is 5, and the spec has 5 of them"),
        ("nothing_legal", "spec", "no value of action 0 is legal"),
        ("takes_no_time", "spec", "step 1, seat 0: it took 0 frames at age 1"),
        ("unbounded", "spec", "a continuous action from 0 to inf"),
        ("leaves_a_feature", "written", "step 7: vector["),
        ("takes_any_action", "actions", "discrete[0] = 2 is taken, and the highest is 1"),
        ("renews", "ends", "age 1 follows"),
        ("forgets_to_report", "ends", "0 episodes are reported where the end is"),
        ("counts_wrong", "ends", "an episode is reported as"),
        ("draws_from_the_process", "seed", "step 0: vector[1] is"),
        ("remembers_the_last_episode", "episode", "begun by the same seed in another seat"),
        ("sees_the_crowd", "seats", "step 0, seat 0: vector[0] is 3.0 here and 1.0 there"),
        ("forgets_steps", "state", "vector["),
        ("takes_any_state", "damage", "a state with other bits makes it panic: a walk in cell"),
        ("takes_a_longer_state", "damage", "a state with a byte too many is taken"),
        ("tells_another_seed", "ends", "an episode is reported as"),
        ("hides_its_bonus", "ends", "an episode is reported as"),
        ("invisible", "picture", "step 0: its picture has 0 x 0 pixels"),
        ("drawing_moves", "picture", "where nothing was drawn"),
        ("other_table", "table", "is not in it"),
        ("other_limit", "table", "truncated at age 30, with the limit Some(31)"),
    ];
    for (fault, promise, words) in cases {
        let broken = broken(fault);
        let (first, how) = broken.first().unwrap_or_else(|| panic!("{fault} all promises are found kept"));
        assert_eq!(*first, promise, "{fault}: {broken:?}");
        assert!(how.contains(words) && !how.contains('\n'), "{fault}: {how}");
    }
}

#[test]
fn the_first_broken_promise_is_told() {
    let error = check(&subject("nothing_legal")).unwrap_err();
    assert_eq!(error.promise, "spec");
    assert!(error.to_string().starts_with("spec: step 9, seat 0: no value of action 0 is legal"), "{error}");
}

#[test]
fn whoever_is_asked_may_stop_it() {
    let left = Cell::new(30);
    let stop = || left.replace(left.get() - 1) == 0;
    let subject = Subject { stop: &stop, ..subject("none") };
    let error = check(&subject).unwrap_err();
    assert_eq!(error.to_string(), "spec: stopped after step 31");
}

#[test]
fn a_preset_without_a_table_is_no_subject() {
    const BARE: EnvEntry = EnvEntry::single::<Walk>("A walk", "[eval]\nepisodes = 1\n");
    let error = Subject::new(&BARE, "walk").err().unwrap();
    assert_eq!(error.to_string(), "preset of walk: has no table [env]");
}
