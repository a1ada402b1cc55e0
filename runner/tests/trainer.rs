//! `Trainer`: a program that trains round by round does what `rl-run` does.
#![forbid(unsafe_code)]

mod common;

use candle_core::Device;
use common::{json, names, part};
use rl_runner::{Registry, Trainer, TrainerConfig};

fn registry() -> Registry {
    Registry::new(&[rl_envs::ENVS], &[rl_agents::AGENTS]).unwrap()
}

fn config<'a>(env: &'a str, agent: &'a str, sets: &'a [&'a str]) -> TrainerConfig<'a> {
    TrainerConfig { env, agent, preset: None, sets, seed: 3, device: Device::Cpu }
}

/// But for what is lost of a number that is read from JSON.
fn near(ours: Option<f64>, theirs: &serde_json::Value) -> bool {
    ours.zip(theirs.as_f64()).is_some_and(|(ours, theirs)| (ours - theirs).abs() < 1e-9)
}

/// Trains to the end.
fn finish(trainer: &mut Trainer) {
    while !trainer.is_done() {
        trainer.advance().unwrap();
    }
}

#[test]
fn a_run_whose_settings_somebody_changed_is_saved_where_it_was_opened_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (at, run) = (dir.path(), dir.path().join("r"));
    json(at, "--env cartpole --agent ppo --seed 3 --quiet --json --frames 1500 --run r");
    let text = std::fs::read_to_string(run.join("run.toml")).unwrap();
    let changed = text.replace("entropy_coef = ", "entropy_coef = 0.5 # was ");
    assert_ne!(changed, text);
    std::fs::write(run.join("run.toml"), changed).unwrap();
    let registry = registry();
    let mut trainer = Trainer::open(&registry, &run, &Device::Cpu).unwrap();
    let frames = trainer.frames();
    for _ in 0..2 {
        trainer.advance().unwrap();
        trainer.save(&run).unwrap();
    }
    let edited = |run: &str| {
        let json = std::fs::read(at.join(run).join("run.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&json).unwrap()["edited"].clone()
    };
    assert_eq!(edited("r"), serde_json::json!([frames]));
    // A copy says so too, and once.
    let copy = at.join("copy");
    for _ in 0..2 {
        trainer.save(&copy).unwrap();
    }
    assert_eq!(edited("copy"), serde_json::json!([frames]));
    // The place is the same by another name.
    std::fs::write(run.join("run.toml"), text.replace("entropy_coef = ", "entropy_coef = 0.25 # was ")).unwrap();
    std::os::unix::fs::symlink(&run, at.join("link")).unwrap();
    let mut again = Trainer::open(&registry, &at.join("link"), &Device::Cpu).unwrap();
    again.save(&run).unwrap();
    assert_eq!(edited("r"), serde_json::json!([frames, again.frames()]));
    // Only where it was opened: another run of other settings is not its own.
    json(at, "--env cartpole --agent ppo --seed 3 --quiet --json --frames 1500 --run other");
    let refused = trainer.save(&at.join("other")).unwrap_err().to_string();
    assert!(refused.contains("is a run of other settings or another seed"), "{refused}");
}

#[test]
fn an_evaluation_counts_as_many_games_of_each_seat_however_long_they_last() {
    let trainer = Trainer::new(&registry(), &config("cartpole", "ppo", &[]));
    let mut trainer = trainer.unwrap();
    let once = trainer.evaluate(16, 7).unwrap(); // a game of each of 16 seats, in their order
    let thrice = trainer.evaluate(48, 7).unwrap();
    let first: Vec<f64> = thrice.iter().copied().step_by(3).collect();
    assert_eq!(first, once);
    let (least, most) = (once.iter().copied().fold(f64::MAX, f64::min), once.iter().copied().fold(0.0, f64::max));
    assert!(2.0 * least < most, "games of {least} to {most} steps: the first 48 to end would be of few seats");
}

#[test]
fn a_trainer_ends_in_the_bits_of_the_program_and_each_goes_on_with_runs_of_the_other() {
    for (env, agent) in [("cartpole", "ppo"), ("cartpole", "dqn"), ("frozenlake", "tabular")] {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        let line = format!("--env {env} --agent {agent} --seed 3 --quiet --json --set train.checkpoint_every=600");
        let half = json(at, &format!("{line} --frames 1500 --run program"));
        let whole = json(at, "resume program --frames 3000 --quiet --json");

        let (ours, registry) = (at.join("ours"), registry());
        let mut trainer =
            Trainer::new(&registry, &config(env, agent, &["train.frames=1500", "train.checkpoint_every=600"])).unwrap();
        finish(&mut trainer);
        assert_eq!(Some(trainer.frames()), half["frames"].as_u64(), "{agent}");
        assert_eq!(Some(trainer.updates()), half["updates"].as_u64(), "{agent}");
        assert!(near(trainer.mean_return(), &half["mean_return_100"]), "{agent}");
        let measured = trainer.metrics().iter().any(|(name, _)| *name == "loss");
        assert!(measured || agent == "tabular", "{agent}");
        trainer.save(&ours).unwrap();
        let resumed = json(at, "resume ours --frames 3000 --quiet --json");
        assert_eq!(resumed["parameters_sha256"], whole["parameters_sha256"], "{agent}: the program goes on with ours");
        assert_eq!(json(at, "verify ours --quiet --json")["equal"], true, "{agent}");

        let mut again = Trainer::open(&registry, &at.join("program"), &Device::Cpu).unwrap();
        assert!(again.is_done(), "{again:?}");
        again.save(&at.join("copy")).unwrap();
        let weights = |run: &str| part(&at.join(run), "model.safetensors");
        assert_eq!(weights("copy"), weights("program"), "{agent}: ours goes on with the program's");
        let scored = json(at, "eval copy --episodes 5 --seed 7 --json");
        let returns = again.evaluate(5, 7).unwrap();
        assert!(near(Some(returns.iter().sum::<f64>() / 5.0), &scored["mean"]), "{agent}");
    }
}

#[test]
fn a_run_with_first_weights_is_saved_with_them_and_never_into_one_with_others() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --seed 3 --set train.frames=2000 --set train.envs=8 --quiet --json";
    json(at, &format!("{line} --run a"));
    json(at, &format!("{line} --run b --weights a"));
    let config = config("cartpole", "ppo", &["train.frames=2000", "train.envs=8"]);
    let mut other = Trainer::new(&registry(), &config).unwrap();
    let said = other.save(&at.join("b")).unwrap_err().to_string();
    assert!(said.contains("is a run that began with other weights"), "{said}");
    let mut trainer = Trainer::open(&registry(), &at.join("b"), &Device::Cpu).unwrap();
    trainer.save(&at.join("c")).unwrap();
    let about = |run: &str| std::fs::read_to_string(at.join(run).join("run.json")).unwrap();
    let first = |run: &str| serde_json::from_str::<serde_json::Value>(&about(run)).unwrap()["weights"].take();
    assert!(first("b").is_object() && first("c") == first("b"), "{}", about("c"));
    assert_eq!(names(&at.join("c/initial")), names(&at.join("b/initial")));
    std::fs::remove_dir_all(at.join("b/initial")).unwrap();
    let mut trainer = Trainer::open(&registry(), &at.join("b"), &Device::Cpu).unwrap();
    trainer.save(&at.join("b")).unwrap(); // whose checkpoint is enough to go on
    let said = trainer.save(&at.join("d")).unwrap_err().to_string();
    assert!(said.contains("b/initial: gone"), "{said}");
}

#[test]
fn a_run_that_failed_does_not_go_on_and_a_trainer_may_go_to_another_thread() {
    fn sent<T: Send>(of: T) -> T {
        of
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), registry());
    let mut trainer = sent(Trainer::new(&registry, &config("cartpole", "ppo", &["agent.lr=1e30"])).unwrap());
    while trainer.advance().is_ok() {}
    for error in [trainer.advance().unwrap_err(), trainer.save(&dir.path().join("run")).unwrap_err()] {
        assert!(error.to_string().starts_with("a round of this run failed"), "{error}");
    }
    // With actors, to save ends a round that was begun, and that may fail too.
    let mut trainer = Trainer::new(&registry, &config("cartpole", "impala", &["agent.lr=1e30"])).unwrap();
    trainer.advance().unwrap();
    let error = format!("{:#}", trainer.save(&dir.path().join("run")).unwrap_err());
    assert!(error.contains("NaN") || error.contains("not finite"), "{error}");
    for error in [trainer.advance().unwrap_err(), trainer.save(&dir.path().join("run")).unwrap_err()] {
        assert!(error.to_string().starts_with("a round of this run failed"), "{error}");
    }
}

#[test]
fn a_trainer_with_actors_evaluates_and_saves_between_its_rounds() {
    let (dir, registry) = (tempfile::tempdir().unwrap(), registry());
    let mut trainer = Trainer::new(&registry, &config("cartpole", "impala", &[])).unwrap();
    for _ in 0..3 {
        trainer.advance().unwrap();
        assert_eq!(trainer.evaluate(2, 7).unwrap().len(), 2);
        trainer.save(dir.path()).unwrap();
    }
    let again = Trainer::open(&registry, dir.path(), &Device::Cpu).unwrap();
    assert_eq!(again.frames(), trainer.frames());
}

#[test]
fn what_a_trainer_refuses_names_the_mend_and_another_run_is_left_alone() {
    let (dir, registry) = (tempfile::tempdir().unwrap(), registry());
    let refused = |config: &TrainerConfig<'_>| format!("{:#}", Trainer::new(&registry, config).unwrap_err());
    assert!(refused(&config("cartpole", "pppo", &[])).contains("did you mean `ppo`?"));
    assert!(refused(&config("cartpole", "ppo", &["agent.learning_rate=1"])).contains("agent.lr"));
    assert!(Registry::new(&[rl_envs::ENVS, rl_envs::ENVS], &[]).is_err());
    let mut one = Trainer::new(&registry, &config("cartpole", "ppo", &[])).unwrap();
    let mut other = Trainer::new(&registry, &TrainerConfig { seed: 4, ..config("cartpole", "ppo", &[]) }).unwrap();
    one.save(dir.path()).unwrap();
    one.advance().unwrap();
    one.save(dir.path()).unwrap();
    let checkpoints = || names(&dir.path().join("checkpoints")).into_iter().filter(|name| name != "segments").count();
    assert_eq!(checkpoints(), 2);
    one.advance().unwrap();
    one.save(dir.path()).unwrap();
    assert_eq!(checkpoints(), 2, "train.keep_checkpoints is 2");
    let error = format!("{:#}", other.save(dir.path()).unwrap_err());
    assert!(error.contains("is a run of other settings or another seed"), "{error}");
    assert!(one.evaluate(0, 1).is_err());
}
