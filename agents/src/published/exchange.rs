//! One place that holds the newest of something: who replaces it makes the next where nobody looks, and who takes it reads
//! for as long as it likes.
//!
//! The lock guards a pointer and is held for as long as it takes to copy or swap one. `agents/tests/loom.rs` runs this file
//! through every order in which threads can meet in it.

use std::sync::PoisonError;

use super::{Arc, Mutex, MutexGuard}; // loom's in that test

/// Where the newest is, once there is one.
pub(crate) struct Place<T>(Arc<Mutex<Option<Arc<T>>>>);

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Place<T> {
    /// The newest, which stays as it is however often it is replaced.
    pub(crate) fn newest(&self) -> Option<Arc<T>> {
        self.lock().clone()
    }

    /// Nothing that can panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, Option<Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side that replaces.
pub(crate) struct Exchange<T> {
    place: Place<T>,
    /// What was replaced last.
    spare: Option<Arc<T>>,
}

impl<T> Default for Exchange<T> {
    fn default() -> Self {
        Self { place: Place(Arc::new(Mutex::new(None))), spare: None }
    }
}

impl<T> Exchange<T> {
    /// A place to take the newest from.
    pub(crate) fn place(&self) -> Place<T> {
        self.place.clone()
    }

    /// Whether anybody could.
    pub(crate) fn is_followed(&self) -> bool {
        Arc::strong_count(&self.place.0) > 1
    }

    /// What was replaced last, to be written over; none while somebody still reads it.
    pub(crate) fn spare(&mut self) -> Option<T> {
        self.spare.take().and_then(|spare| Arc::try_unwrap(spare).ok())
    }

    /// Replaces the newest.
    pub(crate) fn replace(&mut self, newest: T) {
        let newest = Arc::new(newest); // before the lock
        self.spare = self.place.lock().replace(newest);
    }
}
