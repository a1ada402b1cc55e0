//! The forward passes of an update by name, so that the data of one is never taken for that of another.

/// One `T` for each forward pass of an update.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passes<T> {
    /// Target network on the observations from which returns bootstrap.
    pub(crate) next: T,
    /// Online network on the observations from which returns bootstrap, where it chooses the action (double DQN).
    pub(crate) choice: T,
    /// Target network on the observations in which actions were taken, for their log-probability (Munchausen).
    pub(crate) here: T,
    /// Online network on the observations in which actions were taken: the pass that is trained.
    pub(crate) online: T,
}

impl<T> Passes<T> {
    /// Pairs of the values of both for each pass.
    pub(crate) fn zip<U>(self, other: Passes<U>) -> Passes<(T, U)> {
        let Self { next, choice, here, online } = self;
        Passes {
            next: (next, other.next),
            choice: (choice, other.choice),
            here: (here, other.here),
            online: (online, other.online),
        }
    }

    /// References to the value of each pass, for writing.
    pub(crate) fn each_mut(&mut self) -> Passes<&mut T> {
        let Self { next, choice, here, online } = self;
        Passes { next, choice, here, online }
    }

    /// Values in the order in which the passes draw random numbers; another order would change results.
    pub(crate) fn in_turn(self) -> [T; 4] {
        [self.next, self.choice, self.here, self.online]
    }
}
