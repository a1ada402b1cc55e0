//! Names that Gymnasium, Stable-Baselines3, CleanRL and Dopamine have for settings of presets.

/// Names of others, and the keys here that they may mean.
const NAMES: &[(&[&str], &[&str])] = &[
    (&["learning_rate", "lr_schedule"], &["agent.lr"]),
    (&["anneal_lr"], &["agent.lr_end", "agent.lr_steps"]),
    (&["discount", "discount_factor"], &["agent.gamma"]),
    (&["gae_lambda", "lam"], &["agent.lambda"]),
    (&["n_steps", "num_steps", "nsteps", "unroll_length", "rollout_length"], &["agent.horizon", "agent.n_step"]),
    (&["update_horizon"], &["agent.n_step"]),
    (&["n_epochs", "update_epochs", "noptepochs"], &["agent.epochs"]),
    (&["num_minibatches", "nminibatches"], &["agent.minibatches"]),
    (&["batch_size", "minibatch_size"], &["agent.batch", "agent.minibatches"]),
    (&["clip_range", "clip_coef", "cliprange"], &["agent.clip"]),
    (&["clip_vloss", "clip_range_vf"], &["agent.value_clip"]),
    (&["ent_coef", "entropy_cost"], &["agent.entropy_coef"]),
    (&["vf_coef", "baseline_cost"], &["agent.value_coef"]),
    (&["max_grad_norm", "clip_grad_norm"], &["agent.grad_clip"]),
    (&["norm_adv", "normalize_advantage"], &["agent.normalise_advantage"]),
    (&["normalize_observations", "norm_obs"], &["agent.normalise_observations"]),
    (&["norm_reward", "clip_rewards", "reward_clipping"], &["agent.reward_scale"]),
    (&["terminal_on_life_loss", "episodic_life"], &["agent.life_loss"]),
    (&["buffer_size", "replay_size", "memory_size"], &["agent.replay_capacity"]),
    (&["min_replay_history"], &["agent.learning_starts"]),
    (&["train_freq", "train_frequency"], &["agent.update_period"]),
    (&["gradient_steps"], &["agent.updates"]),
    (&["tau", "target_update_interval", "target_network_frequency", "target_update_period"], &["agent.target_period"]),
    (&["double_dqn", "double_q"], &["agent.double"]),
    (&["exploration_initial_eps", "start_e"], &["agent.epsilon.start"]),
    (&["exploration_final_eps", "end_e", "epsilon_train"], &["agent.epsilon.end"]),
    (&["exploration_fraction", "epsilon_decay_period"], &["agent.epsilon.steps"]),
    (&["n_atoms", "num_atoms"], &["agent.values.atoms"]),
    (&["v_min", "vmin"], &["agent.values.low"]),
    (&["v_max", "vmax"], &["agent.values.high"]),
    (&["n_quantiles", "num_quantiles"], &["agent.values.count"]),
    (&["net_arch", "hidden_sizes", "hidden_dims"], &["agent.hidden"]),
    (&["activation_fn"], &["agent.activation"]),
    (&["adam_epsilon", "optimizer_epsilon"], &["agent.adam_eps", "agent.eps"]),
    (&["total_timesteps", "num_iterations", "training_steps"], &["train.frames"]),
    (&["n_envs", "num_envs"], &["train.envs"]),
    (&["noop_max"], &["env.noops"]),
    (&["repeat_action_probability", "sticky_actions"], &["env.sticky"]),
    (&["frameskip", "action_repeat"], &["env.frame_skip"]),
    (&["full_action_space"], &["env.actions"]),
    (&["frame_stack", "stack_size", "num_stack"], &["env.stack"]),
    (&["max_episode_steps", "max_num_frames_per_episode"], &["env.max_steps", "env.max_frames"]),
    (&["map_name", "desc"], &["env.map"]),
    (&["is_slippery"], &["env.slippery"]),
];

/// Names of others for what is measured otherwise here: their name, the key, and how its value is meant.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("batch_size", "agent.minibatches", "how many a round is cut into"),
    ("minibatch_size", "agent.minibatches", "how many a round is cut into"),
    ("vf_coef", "agent.value_coef", "of half the squared error"),
    ("baseline_cost", "agent.value_coef", "of half the squared error, on average over steps"),
    ("train_freq", "agent.update_period", "agent steps of all seats"),
    ("train_frequency", "agent.update_period", "agent steps of all seats"),
    ("tau", "agent.target_period", "agent steps from one whole copy to the next"),
    ("exploration_fraction", "agent.epsilon.steps", "agent steps"),
    ("total_timesteps", "train.frames", "emulator frames"),
    ("training_steps", "train.frames", "emulator frames"),
    ("num_iterations", "train.frames", "emulator frames"),
];

/// How the value of `ours` is meant, in brackets, where that of `theirs` is another number; else nothing.
pub(super) fn how(theirs: &str, ours: &str) -> String {
    let known = OTHERWISE.iter().find(|(name, key, _)| (*name, *key) == (theirs, ours));
    known.map_or_else(String::new, |(_, _, how)| format!(" ({how})"))
}

/// The keys among `known` that others call `key`.
pub(super) fn of<'a>(key: &str, known: &'a [String]) -> impl Iterator<Item = &'a str> {
    let theirs = |(theirs, _): &&(&[&str], &[&str])| theirs.contains(&key);
    let ours = NAMES.iter().find(theirs).map_or(&[][..], |(_, ours)| ours);
    ours.iter().filter_map(|ours| known.iter().find(|known| known == ours).map(String::as_str))
}

/// Whether others call a setting so, of whatever agent.
pub(super) fn is_one(key: &str) -> bool {
    NAMES.iter().any(|(theirs, _)| theirs.contains(&key))
}

/// All names of others for keys among `known`.
pub(super) fn names<'a>(known: &[String]) -> impl Iterator<Item = &'a str> {
    let here = |(_, ours): &&(&[&str], &[&str])| ours.iter().any(|ours| known.iter().any(|known| known == ours));
    NAMES.iter().filter(here).flat_map(|(theirs, _)| theirs.iter().copied())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::merge::{parse, paths};
    use super::*;

    #[test]
    fn every_name_leads_to_a_key_of_a_preset_and_hides_none() {
        let mut known = Vec::new();
        let of_agents = rl_agents::AGENTS.iter().flat_map(|agent| agent.presets).map(|(_, text)| *text);
        for text in rl_envs::ENVS.iter().map(|env| env.preset).chain(of_agents) {
            paths(&parse(text, "a preset").unwrap(), "", &mut known);
        }
        for (theirs, ours, _) in OTHERWISE {
            assert!(NAMES.iter().any(|(names, keys)| names.contains(theirs) && keys.contains(ours)), "{theirs}");
        }
        let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
        let keys: BTreeSet<String> = known.iter().map(|path| last(path)).collect();
        let mut seen = BTreeSet::new();
        for (theirs, ours) in NAMES {
            for name in *theirs {
                assert!(!keys.contains(*name), "{name} is a key itself");
                assert!(seen.insert(*name), "{name} stands there twice");
            }
            for name in *ours {
                assert!(known.iter().any(|known| known == name), "no preset has {name}");
            }
        }
    }
}
