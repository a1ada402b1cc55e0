//! A shared pointer to the newest version of a value: the writer prepares the next version privately and swaps the
//! pointer; a reader keeps the version that it took for as long as it likes.
//!
//! The lock guards a pointer and is held for as long as it takes to copy or swap one. `agents/tests/loom.rs` runs this file
//! through every order in which threads can meet in it.

use std::sync::PoisonError;

use super::{Arc, Mutex, MutexGuard}; // loom's in that test

/// Reader's side: a handle to the newest value, if there is one yet.
pub(crate) struct Place<T>(Arc<Mutex<Option<Arc<T>>>>);

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Place<T> {
    /// The newest value; what is returned does not change when the writer replaces it.
    pub(crate) fn newest(&self) -> Option<Arc<T>> {
        self.lock().clone()
    }

    /// Nothing that can panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, Option<Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writer's side: replaces the newest value.
pub(crate) struct Exchange<T> {
    place: Place<T>,
    /// Value that was replaced last.
    spare: Option<Arc<T>>,
}

impl<T> Default for Exchange<T> {
    fn default() -> Self {
        Self { place: Place(Arc::new(Mutex::new(None))), spare: None }
    }
}

impl<T> Exchange<T> {
    /// A handle from which a reader takes the newest value.
    pub(crate) fn place(&self) -> Place<T> {
        self.place.clone()
    }

    /// Whether any reader holds a handle.
    pub(crate) fn is_followed(&self) -> bool {
        Arc::strong_count(&self.place.0) > 1
    }

    /// Takes the value that was replaced last, to reuse its memory; `None` while a reader still holds it.
    pub(crate) fn spare(&mut self) -> Option<T> {
        self.spare.take().and_then(|spare| Arc::try_unwrap(spare).ok())
    }

    /// Replaces the newest value, and keeps the one before as spare.
    pub(crate) fn replace(&mut self, newest: T) {
        let newest = Arc::new(newest); // before the lock
        self.spare = self.place.lock().replace(newest);
    }
}
