//! The name that was probably meant where there is none of the name that was written.

/// Fewest letters at the beginning of a name that are taken for it.
const BEGINNING: usize = 3;

/// The last word of the path of a key or of a name of a family.
fn last(path: &str) -> &str {
    path.rsplit(['.', '/']).next().unwrap_or(path)
}

/// The candidate with the fewest slips from `name`, and how many: from all of it, or from its last word. `None` if there
/// are too many.
pub(crate) fn slips<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<(usize, &'a str)> {
    let name = &name.to_lowercase();
    let from = |c: &str| strsim::osa_distance(name, c).min(strsim::osa_distance(name, last(c)));
    let near = candidates.into_iter().map(|c| (from(c), c)).min_by_key(|&(slips, _)| slips);
    near.filter(|&(slips, _)| slips <= (name.len() / 3).max(2))
}

/// The candidate most similar to `name`, if any is similar enough; else the one that `name` is the beginning of, which
/// may itself begin longer ones.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let near = slips(name, candidates.iter().copied()).map(|(_, c)| c);
    let name = &name.to_lowercase();
    near.or_else(|| {
        let longer = || candidates.iter().copied().filter(|c| name.len() >= BEGINNING && c.starts_with(name));
        let shortest = longer().min_by_key(|c| c.len())?;
        longer().all(|c| c.starts_with(shortest)).then_some(shortest)
    })
}

/// `; did you mean ...?` with the nearest candidate, or nothing.
pub(crate) fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|c| format!("; did you mean `{c}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        assert_eq!(nearest("cartpol", ["frozenlake", "cartpole"]), Some("cartpole"));
        assert_eq!(nearest("DQN", ["ppo", "dqn"]), Some("dqn"));
        assert_eq!(nearest("lr", ["agent.gamma", "agent.lr"]), Some("agent.lr"));
        assert_eq!(nearest("pong", ["frozenlake", "cartpole"]), None);
    }

    #[test]
    fn the_beginning_of_one_name_is_recognised_and_that_of_several_is_not() {
        let protocols = ["nature15", "machado18-paper", "machado18"];
        assert_eq!(nearest("machad", protocols), Some("machado18"));
        assert_eq!(nearest("ma", protocols), None);
        assert_eq!(nearest("atari", ["atari/adventure", "atari/air_raid"]), None);
    }
}
