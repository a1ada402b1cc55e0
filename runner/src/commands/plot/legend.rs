//! Where the names of curves go: above the frame, in rows that are filled from the first to the last.

use crate::console::number::grouped;

use super::chart::{FRAME, Reference};
use super::curves::Group;

/// Vertical position of the title and of the first row of names.
pub(super) const HEAD: f64 = 26.0;
/// Height of a row of names.
pub(super) const ROW: f64 = 17.0;
/// Rows of names that every chart has room for above its frame.
pub(super) const ROWS: f64 = 2.0;
/// Left edge of rows of names, beside the title.
const NAMES: f64 = 260.0;
/// Letters of a name that fit into a row.
const LETTERS: usize = 70;
/// Approximate width of a letter.
const WIDE: f64 = 6.6;

/// Width that the stroke before a name takes.
pub(super) const STROKE: f64 = 26.0;
const GAP: f64 = 14.0;

/// A name above the frame.
pub(super) struct Name {
    pub(super) text: String,
    pub(super) at: (f64, f64),
    /// Index of the curve that it names; `None` for a reference.
    pub(super) curve: Option<usize>,
}

/// A name, and the index of its curve.
type Entry = (String, Option<usize>);

/// Places the names of curves and of references that are not drawn, in rows that end at the right, each as full as it
/// can be.
pub(super) fn names(groups: &[&Group], far: &[Reference]) -> Vec<Name> {
    let curves = groups.iter().enumerate().map(|(i, group)| (short(&group.name), Some(i)));
    let far = far.iter().map(|reference| (format!("({} {})", reference.name, grouped(reference.at)), None));
    let wide = |(text, curve): &Entry| text.chars().count() as f64 * WIDE + if curve.is_some() { STROKE } else { 0.0 };
    let (_, _, right, _) = FRAME;
    let mut rows: Vec<(f64, Vec<Entry>)> = Vec::new();
    for name in curves.chain(far) {
        match rows.last_mut() {
            Some((taken, row)) if *taken + GAP + wide(&name) <= right - NAMES => {
                *taken += GAP + wide(&name);
                row.push(name);
            }
            _ => rows.push((wide(&name), vec![name])),
        }
    }
    let mut names = Vec::new();
    for (i, (taken, row)) in rows.into_iter().enumerate() {
        let mut x = right - taken;
        for name in row {
            let end = x + wide(&name);
            let (text, curve) = name;
            let at = (if curve.is_some() { x + STROKE } else { x }, HEAD + i as f64 * ROW);
            names.push(Name { text, at, curve });
            x = end + GAP;
        }
    }
    names
}

/// Shortens a name that is too long for a row by its middle, since directories differ at their ends.
fn short(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LETTERS {
        return name.to_owned();
    }
    let half = (LETTERS - 3) / 2;
    let [head, tail] = [&letters[..half], &letters[letters.len() - half..]].map(|part| part.iter().collect::<String>());
    format!("{head}...{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_and_long_ones_stay_in_their_rows() {
        let group = |i: usize| Group::called(&format!("ppo ({}{i})", "x".repeat(if i == 3 { 200 } else { 30 })));
        let groups: Vec<Group> = (0..14).map(group).collect();
        let named = names(&groups.iter().collect::<Vec<_>>(), &[Reference { name: "human", at: 22_736.3 }]);
        assert_eq!((named.len(), named[14].text.as_str(), named[14].curve), (15, "(human 22,736.3)", None));
        assert!(named[3].text.starts_with("ppo (xxx") && named[3].text.ends_with("xxx3)"), "{}", named[3].text);
        let mut before = (0.0, 0.0);
        for Name { text, at: (x, y), curve } in named {
            let from = if curve.is_some() { x - STROKE } else { x };
            assert!(from >= NAMES - 1e-9 && x + text.len() as f64 * WIDE <= FRAME.2 + 1e-9, "{x} {y} {text}");
            assert!(y > before.1 || from >= before.0, "{text} lies on the name before");
            before = (x + text.len() as f64 * WIDE, y);
        }
    }
}
