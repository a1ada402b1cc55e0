//! How the names of the grammar are spelt, and which one was meant by a slip.

/// Beyond this many bytes nothing is a slip of a name, and the search for one would take long.
const LONGEST: usize = 64;

/// Normalises a name for comparison: lower case, without underscores.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|&c| c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

/// How far `text` is from `name`, both plain, in slips. What only lacks its beginning, as `320x240`, is near.
fn distance(text: &str, name: &str) -> usize {
    let slips = strsim::osa_distance(text, name);
    if text.len() > 2 && name.ends_with(text) { slips.min(2) } else { slips }
}

/// Returns the end of an error message: `; did you mean ...?`, or all known names where they are few, or nothing.
pub(crate) fn hint<'a>(text: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let text = plain(text);
    let near = known
        .clone()
        .filter(|_| text.len() <= LONGEST)
        .map(|name| (distance(&text, &plain(name)), name))
        .min_by_key(|&(distance, _)| distance)
        .filter(|&(distance, _)| distance <= (text.len() / 3).max(2));
    match near {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if known.clone().count() <= 10 => format!("; known are {}", known.collect::<Vec<_>>().join(", ")),
        None => String::new(),
    }
}

/// Returns the error message for `text` that is none of the `known` names of a `what`.
pub(crate) fn no<'a>(what: &str, text: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    format!("`{text}` is no {what}{}", hint(text, known))
}

/// Defines an enum whose variants have a name and, in the order of the lines, a number in the engine.
macro_rules! named {
    ($(#[$attribute:meta])* $type:ident $what:literal { $($variant:ident $name:literal $about:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        pub enum $type {
            $(#[doc = $about] $variant,)*
        }

        impl $type {
            /// All variants, in the order of the engine's numbers.
            pub const ALL: &[$type] = &[$($type::$variant,)*];

            /// Returns the name in ViZDoom's documentation and in `.cfg` files.
            pub fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)*
                }
            }

            /// Returns the variant with the name `text`, ignoring case and underscores as in `.cfg` files.
            pub fn named(text: &str) -> Option<Self> {
                let text = $crate::names::plain(text);
                Self::ALL.iter().copied().find(|it| $crate::names::plain(it.name()) == text)
            }

            /// Does what [`Self::named`] does, with a message where there is no such variant.
            pub(crate) fn meant(text: &str) -> Result<Self, String> {
                Self::named(text).ok_or_else(|| $crate::names::no($what, text, Self::ALL.iter().map(|it| it.name())))
            }

            /// Returns the number of the variant in the engine, from 0 on.
            pub fn number(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use named;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let many = || ["MOVE_LEFT", "MOVE_RIGHT"].into_iter().cycle().take(20);
        assert_eq!(hint("moveleft,", many()), "; did you mean `MOVE_LEFT`?");
        assert_eq!(hint("right", many()), "; did you mean `MOVE_RIGHT`?");
        assert_eq!(hint("fire", many()), "");
        assert_eq!(hint("fire", ["A", "B"].into_iter()), "; known are A, B");
        assert_eq!(hint(&"MOVE_LEFT".repeat(9), many()), "");
    }
}
