//! The passes of an update by name, so that what belongs to one is never taken for another's.

/// One `T` for each pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passes<T> {
    /// The target network where transitions lead.
    pub(crate) next: T,
    /// The online network there, where it chooses.
    pub(crate) choice: T,
    /// The target network where transitions begin, where it says how probable the action was.
    pub(crate) here: T,
    /// The online network where transitions begin: what is learned.
    pub(crate) online: T,
}

impl<T> Passes<T> {
    /// What each pass has here beside what it has in `other`.
    pub(crate) fn zip<U>(self, other: Passes<U>) -> Passes<(T, U)> {
        let Self { next, choice, here, online } = self;
        Passes {
            next: (next, other.next),
            choice: (choice, other.choice),
            here: (here, other.here),
            online: (online, other.online),
        }
    }

    pub(crate) fn each_mut(&mut self) -> Passes<&mut T> {
        let Self { next, choice, here, online } = self;
        Passes { next, choice, here, online }
    }

    /// In the order in which passes draw, which decides what each of them gets.
    pub(crate) fn in_turn(self) -> [T; 4] {
        [self.next, self.choice, self.here, self.online]
    }
}
