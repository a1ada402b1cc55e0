//! How a step ended: one type, so that truncation cannot be mistaken for death.

use serde::{Deserialize, Serialize};

/// What a step did to its episode. Ordered by strength: the strongest that applies is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum End {
    /// The episode goes on.
    #[default]
    No,
    /// A life was lost and the episode goes on; the learner decides what that means.
    LifeLost,
    /// The episode was cut by a limit: the value of the last observation still counts.
    Truncated,
    /// The episode is over: nothing follows.
    Terminated,
}

impl End {
    /// What a step did that reached an end of the task, or the limit of steps, or neither.
    pub fn of(terminated: bool, truncated: bool) -> Self {
        match (terminated, truncated) {
            (true, _) => End::Terminated,
            (false, true) => End::Truncated,
            (false, false) => End::No,
        }
    }

    /// The end of this number, as files hold it; `None` if there is none.
    pub fn of_number(number: u32) -> Option<Self> {
        let all = [End::No, End::LifeLost, End::Truncated, End::Terminated];
        all.into_iter().find(|&end| end as u32 == number)
    }

    /// Whether the next step resets the environment.
    pub fn over(self) -> bool {
        matches!(self, End::Truncated | End::Terminated)
    }

    /// The name used in every output: `no`, `life_lost`, `truncated` or `terminated`.
    pub fn name(self) -> &'static str {
        match self {
            End::No => "no",
            End::LifeLost => "life_lost",
            End::Truncated => "truncated",
            End::Terminated => "terminated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stronger_of_two_ends_holds() {
        let ends = [(false, false), (false, true), (true, false), (true, true)].map(|(over, cut)| End::of(over, cut));
        assert_eq!(ends, [End::No, End::Truncated, End::Terminated, End::Terminated]);
    }

    #[test]
    fn numbers_of_files_are_ends_or_none() {
        let ends = [0, 1, 2, 3, 4, u32::MAX].map(End::of_number);
        assert_eq!(ends, [Some(End::No), Some(End::LifeLost), Some(End::Truncated), Some(End::Terminated), None, None]);
    }
}
