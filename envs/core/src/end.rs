//! How a step ended: one type, so that truncation cannot be mistaken for death.

use serde::{Deserialize, Serialize};

/// How a step ended: Gymnasium's `terminated` and `truncated`, and the loss of a life, in one value. Variants are
/// ordered by strength, and the strongest that applies is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum End {
    /// The episode goes on.
    #[default]
    No,
    /// A life was lost and the episode goes on; the agent's configuration decides whether that cuts its returns.
    LifeLost,
    /// The episode was cut by a limit of steps or frames: learners bootstrap from the value of the last observation.
    Truncated,
    /// The episode reached a terminal state: its last observation has the value 0.
    Terminated,
}

impl End {
    /// Combines Gymnasium's two flags; `Terminated` where both are set.
    pub fn of(terminated: bool, truncated: bool) -> Self {
        match (terminated, truncated) {
            (true, _) => End::Terminated,
            (false, true) => End::Truncated,
            (false, false) => End::No,
        }
    }

    /// Returns the variant with the number `number`, from 0 to 3, as files store it; `None` for other numbers.
    pub fn of_number(number: u32) -> Option<Self> {
        let all = [End::No, End::LifeLost, End::Truncated, End::Terminated];
        all.into_iter().find(|&end| end as u32 == number)
    }

    /// Whether the episode is over (truncated or terminated), so that the next step resets the environment.
    pub fn over(self) -> bool {
        matches!(self, End::Truncated | End::Terminated)
    }

    /// Returns the name that every output uses: `no`, `life_lost`, `truncated` or `terminated`.
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
