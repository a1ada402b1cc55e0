//! FrozenLake against Gymnasium's transition table, and what can be reached on it by dynamic programming over our own.

#[path = "support/seated.rs"]
mod seated;

use rl_core::{Act, Env, FiniteMdp, Obs, Rng, Stream};
use rl_envs::grid::frozen_lake::{Config, FrozenLake};
use seated::{Outcome, assert_equals, with};

fn table(id: &str, change: &str) -> FiniteMdp {
    with(id, change).unwrap().tabular().expect("a lake is a table")
}

#[test]
fn transition_tables_equal_gymnasiums() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/frozen_lake/tables.json")).unwrap();
    assert_eq!(golden["gymnasium"], "1.4.0");
    let lakes = golden["lakes"].as_array().unwrap();
    assert_eq!(lakes.len(), 9);
    for lake in lakes {
        let mut config = lake["config"].clone();
        config["max_steps"] = 100.into();
        let config: Config = serde_json::from_value(config).unwrap();
        let ours = FrozenLake::new(&config).unwrap().tabular().unwrap();
        let theirs: Vec<Vec<Vec<Outcome>>> = serde_json::from_value(lake["table"].clone()).unwrap();
        let start: Vec<f64> = serde_json::from_value(lake["start"].clone()).unwrap();
        assert_eq!(ours.start(), start, "{config:?}");
        assert_equals(&ours, &theirs, &format!("{config:?}"));
    }
}

/// What section B.4 of the score table says of a slippery lake, to its four decimals.
struct Constants {
    id: &'static str,
    optimum: f64,
    /// Discount, then what the policy that is optimal for it reaches within the step limit.
    stationary: &'static [(f64, f64)],
    unlimited: f64,
    random: f64,
    value: f64,
}

const CONSTANTS: [Constants; 2] = [
    Constants {
        id: "frozenlake",
        optimum: 0.7442,
        stationary: &[(0.99, 0.7402), (0.999, 0.7402), (0.9, 0.7298)],
        unlimited: 0.8235,
        random: 0.0139,
        value: 0.5420,
    },
    Constants {
        id: "frozenlake8x8",
        optimum: 0.9132,
        stationary: &[(0.99, 0.8630), (0.999, 0.8857), (0.9, 0.7386), (0.98, 0.8621), (0.995, 0.8936), (0.998, 0.8900)],
        unlimited: 1.0,
        random: 0.0019,
        value: 0.4146,
    },
];

#[track_caller]
fn assert_decimals(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 0.000_05 + 1e-9, "{what}: {found:.6}, expected {expected}");
}

#[test]
fn constants_follow_from_our_own_table() {
    for lake in &CONSTANTS {
        let table = table(lake.id, "");
        assert_decimals(table.optimum(), lake.optimum, lake.id);
        assert_decimals(table.value_iteration(0.99)[0], lake.value, lake.id);
        assert_decimals(table.value_iteration(1.0)[0], lake.unlimited, lake.id);
        let uniform = vec![0.25; table.states() * table.actions()];
        assert_decimals(table.evaluate(&uniform).mean, lake.random, lake.id);
        for &(discount, expected) in lake.stationary {
            let greedy = table.greedy(&table.value_iteration(discount), discount);
            let exact = table.evaluate(&table.policy(&greedy, 0.0));
            assert_decimals(exact.mean, expected, &format!("{} at {discount}", lake.id));
            let bernoulli = (exact.mean * (1.0 - exact.mean)).sqrt(); // a return is 1 or 0
            assert!((exact.std - bernoulli).abs() < 1e-9 && exact.steps < f64::from(table.limit().unwrap()));
        }
    }
}

#[test]
fn firm_ice_is_crossed_by_the_shortest_way() {
    for (id, steps) in [("frozenlake", 6.0), ("frozenlake8x8", 14.0)] {
        let table = table(id, "slippery = false");
        let exact = table.evaluate(&table.policy(&table.greedy(&table.value_iteration(0.9), 0.9), 0.0));
        assert_eq!((exact.mean, exact.std, exact.steps), (1.0, 0.0, steps), "{id}");
    }
}

#[test]
fn what_is_played_has_the_frequencies_of_the_table() {
    let entry = "map = \"SFFF/FFFF/FFFG\"\nsuccess_rate = 0.6\nreward_schedule = [4, -2, -0.5]";
    let table = table("frozenlake", entry);
    let config: toml::Table =
        format!("{entry}\nslippery = true\nmax_steps = 1000000").parse().expect("a complete table");
    let mut lake = FrozenLake::new(&config.try_into().unwrap()).unwrap();
    let mut rng = Rng::new(0, Stream::Env(0));
    let mut symbol = [0];
    let mut counts = vec![[0u32; 12]; 12 * 4];
    let mut over = true;
    for _ in 0..400_000 {
        let state = symbol[0];
        let obs = Obs { frame: &mut [], vector: &mut [], symbols: &mut symbol, legal: &mut [] };
        if over {
            lake.reset(rng.u64(), obs).unwrap();
            over = false;
            continue;
        }
        let action = rng.below(4);
        let step = lake.step(Act { discrete: &[action], continuous: &[] }, obs).unwrap();
        over = step.end.over();
        counts[(state * 4 + action) as usize][symbol[0] as usize] += 1;
    }
    for state in 0..11 {
        for action in 0..4 {
            let row = &counts[(state * 4 + action) as usize];
            let total = f64::from(row.iter().sum::<u32>());
            let mut expected = [0.0; 12];
            for way in table.outcomes(state, action) {
                expected[way.next as usize] += way.probability;
            }
            for (next, (&count, p)) in row.iter().zip(expected).enumerate() {
                let tolerance = 5.0 * (p * (1.0 - p) / total).sqrt(); // five standard errors
                let share = f64::from(count) / total;
                assert!((share - p).abs() <= tolerance, "{state} -{action}-> {next}: {share} of {total}, expected {p}");
            }
        }
    }
}

#[test]
fn several_starts_are_drawn_alike() {
    let mut env = with("frozenlake", "map = [\"SFS\", \"FGF\", \"SHS\"]").unwrap();
    let spec = env.spec().clone();
    let mut buffer = seated::RowsBuf::new(&spec, 1);
    let mut counts = [0u32; 9];
    for _ in 0..8_000 {
        env.reset(buffer.rows()).unwrap();
        counts[buffer.symbols[0] as usize] += 1;
    }
    assert_eq!([1, 3, 4, 5, 7].map(|cell| counts[cell]), [0; 5]);
    assert!([0, 2, 6, 8].iter().all(|&cell| (1_850..2_150).contains(&counts[cell])), "{counts:?}");
    assert_eq!(env.tabular().unwrap().start()[2], 0.25);
}

#[test]
fn bad_maps_and_values_are_refused_with_their_place() {
    let check = |change: &str, expected: &str| {
        let error = with("frozenlake", change).err().unwrap_or_else(|| panic!("{change} was taken")).to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{change}: {error}");
    };
    check("map = \"16x16\"", "env.map: \"16x16\" is neither");
    check("map = []", "env.map: has no cells");
    check("map = [\"\"]", "env.map: has no cells");
    check("map = [\"SFF\", \"FG\"]", "row 2 has 2 cells, row 1 has 3");
    check("map = [\"SFX\", \"FFG\"]", "'X' in row 1, column 3 is none of S, F, H and G");
    check("map = \"SFé/FFG\"", "'é' in row 1, column 3");
    check("map = \"FF/FG\"", "has no start S");
    check("map = \"SF/FF\"", "no way over ice leads from S in row 1, column 1");
    check("map = \"SHS/FHF/FHG\"", "no way over ice leads from S in row 1, column 1");
    check("map = 4", "\"4x4\"");
    check("success_rate = 1.5", "env.success_rate: 1.5 is not a probability");
    check("success_rate = nan", "env.success_rate: NaN");
    check("reward_schedule = [1, inf, 0]", "env.reward_schedule: inf is not finite");
    check("reward_schedule = [1, 0]", "length");
    check("max_steps = 0", "env.max_steps: must be at least 1");
    check("max_steps = -1", "-1");
    check("slipery = true", "slipery");
}

#[test]
fn rows_in_a_list_and_rows_in_a_string_are_one_lake() {
    let list = table("frozenlake", "map = [\"SFFF\", \"FHFH\", \"FFFH\", \"HFFG\"]");
    assert_eq!(list, table("frozenlake", "map = \"SFFF/FHFH/FFFH/HFFG\""));
    assert_eq!(list, table("frozenlake", ""));
}
