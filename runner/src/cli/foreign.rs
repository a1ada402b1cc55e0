//! Flags of Stable-Baselines3's zoo, CleanRL, Sample Factory and Dopamine, and what they are called here.

use crate::preset;

/// Flags of others without their dashes, and ours.
const FLAGS: &[(&[&str], &str)] = &[
    (&["algo", "algorithm", "model-class"], "--agent"),
    (&["env-id", "env-name", "environment", "task"], "--env"),
    (&["total-timesteps", "n-timesteps", "timesteps", "train-for-env-steps", "steps"], "--frames"),
    (&["exp-name", "experiment", "run-name", "name", "save", "save-dir", "output-dir", "out"], "--run"),
    (&["log-folder", "logdir", "log-dir", "tensorboard-log", "train-dir", "base-dir"], "--run"),
    (&["trained-agent", "load", "load-model", "pretrained", "init-weights"], "--weights"),
    (&["hyperparams", "hyperparameters", "conf-file", "gin-files", "config"], "--preset"),
    (&["gin-bindings", "env-kwargs"], "--set"),
    (&["eval-freq", "eval-frequency"], "--eval-every"),
    (&["n-eval-episodes", "num-eval-episodes"], "--eval-episodes"),
    (&["n-episodes", "num-episodes", "max-num-episodes"], "--episodes"),
    (&["capture-video", "save-video"], "--record"),
    (&["n-seeds", "num-seeds"], "--seeds"),
    (&["num-threads", "n-threads"], "--threads"),
    (&["cuda", "gpu"], "--device"),
    (&["deterministic"], "--greedy"),
    (&["smoothing", "smooth-window", "episode-window", "rolling"], "--smooth"),
    (&["x-axis", "xaxis"], "--x"),
    (&["y-axis", "yaxis", "metric"], "--y"),
    (&["output", "output-file", "save-path"], "--out"),
];

/// Hint on what `flag`, unknown to a command that knows `ours`, may mean: a flag by another name, or a setting of the
/// presets with the keys `known`.
pub(super) fn meant(flag: &str, ours: &[String], known: &[String]) -> Option<String> {
    let flag = flag.trim_start_matches('-').replace('_', "-");
    let named = FLAGS.iter().filter(|(theirs, _)| theirs.contains(&flag.as_str())).map(|&(_, ours)| ours);
    let key = flag.replace('-', "_");
    if let Some(ours) = named.into_iter().find(|named| ours.iter().any(|own| own == named)) {
        let how = if ours == "--frames" { preset::measured_otherwise(&key, "train.frames") } else { String::new() };
        return Some(format!("here that is `{ours}`{how}"));
    }
    let own = known.iter().map(String::as_str).filter(|path| path.rsplit('.').next() == Some(key.as_str()));
    let mut keys: Vec<&str> = preset::synonyms(&key, known).chain(own).collect();
    keys.sort_unstable();
    keys.dedup();
    let told = |ours: &&str| format!("`--set {ours}=…`{}", preset::measured_otherwise(&key, ours));
    let told: Vec<String> = keys.iter().map(told).collect();
    (ours.iter().any(|own| own == "--set") && !told.is_empty())
        .then(|| format!("a setting is given by {}", told.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_others_lead_to_ours_where_the_command_has_them() {
        let known = ["agent.lr", "agent.gamma", "agent.horizon", "env.sticky", "train.envs"].map(str::to_owned);
        let of = |flag: &str, ours: &[&str]| {
            meant(flag, &ours.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>(), &known)
        };
        let train = ["--agent", "--frames", "--set", "--weights"];
        assert_eq!(of("--algo", &train).unwrap(), "here that is `--agent`");
        assert_eq!(of("--train_for_env_steps", &train).unwrap(), "here that is `--frames`");
        assert_eq!(of("--total-timesteps", &train).unwrap(), "here that is `--frames` (emulator frames)");
        assert_eq!(of("--num-steps", &train).unwrap(), "a setting is given by `--set agent.horizon=…`");
        assert_eq!(of("--algo", &["--out"]), None);
        assert_eq!(of("--learning-rate", &train).unwrap(), "a setting is given by `--set agent.lr=…`");
        assert_eq!(of("--gamma", &train).unwrap(), "a setting is given by `--set agent.gamma=…`");
        assert_eq!(of("--num_envs", &train).unwrap(), "a setting is given by `--set train.envs=…`");
        assert_eq!(of("--gamma", &["--out"]), None);
        assert_eq!(of("--steps", &train).unwrap(), "here that is `--frames`");
        assert_eq!(of("--steps", &["--out"]), None);
    }

    #[test]
    fn no_flag_of_others_stands_there_twice() {
        let mut all: Vec<&str> = FLAGS.iter().flat_map(|(theirs, _)| theirs.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
