//! Panics of environments, which are errors of whoever runs them.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

/// Message and place of a panic that [`caught`] turned into an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}{place}")]
pub struct Panic {
    /// Message of the panic; `without a word` where its payload is no string.
    pub words: String,
    /// Place of the panic in the source, as ` (file:line)`; empty unless [`hush_caught_panics`] was called before.
    pub place: String,
}

thread_local! {
    /// Whether this thread's panics are reported as errors.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    /// [`Panic::place`] of this thread's last caught panic.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `work` and returns its panic as an error. After an error, the caller must discard what `work` was changing.
///
/// # Errors
/// If `work` panics.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    let outer = CATCHING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(outer);
    done.map_err(|panic| Panic { words: words(&*panic).to_owned(), place: PLACE.take() })
}

/// Whether this thread is running inside [`caught`], so that a panic becomes an error.
#[must_use]
pub fn is_catching() -> bool {
    CATCHING.get()
}

/// Installs a panic hook for the rest of the process that prints nothing for panics inside [`caught`] and notes their
/// place for [`Panic::place`]; other panics are printed as before.
pub fn hush_caught_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if is_catching() {
            PLACE.set(info.location().map_or_else(String::new, |at| format!(" ({}:{})", at.file(), at.line())));
        } else {
            usual(info);
        }
    }));
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    #[test]
    fn a_panic_is_an_error_of_its_words_and_its_place() {
        hush_caught_panics();
        let panic = caught(|| panic!("no {}", 7)).map(drop).unwrap_err();
        assert_eq!(panic.words, "no 7");
        assert!(panic.place.starts_with(concat!(" (", file!(), ":")), "{}", panic.place);
        assert_eq!(panic.to_string(), panic.words.clone() + &panic.place);
        assert_eq!(caught(|| panic!("none")).map(drop).unwrap_err().words, "none");
        assert_eq!(caught(|| panic_any(3)).map(drop).unwrap_err().words, "without a word");
    }

    #[test]
    fn within_another_the_inner_one_catches_and_the_outer_goes_on_to() {
        assert!(!is_catching());
        let inner = caught(|| (caught(|| panic!("inner")).map(drop).unwrap_err().words, is_catching()));
        assert_eq!(inner.unwrap(), ("inner".to_owned(), true));
        assert!(!is_catching());
    }
}
