//! `--seeds`: the seeds of a group, written as `1..64`, `1,2,5` or both.

use std::fmt;
use std::str::FromStr;

/// Most seeds of one group.
const MOST: u64 = 10_000;

/// Distinct seeds in the order in which they were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seeds(Vec<u64>);

impl Seeds {
    /// The seeds.
    pub(crate) fn all(&self) -> &[u64] {
        &self.0
    }
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |word: &str| {
            let told = if word.trim().is_empty() { text } else { word };
            word.trim().parse::<u64>().map_err(|_| format!("`{told}` is no seed: write 1..64 (both included) or 1,2,5"))
        };
        let mut seeds = Vec::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once("..") {
                Some((first, last)) => (number(first)?, number(last)?),
                None => [number(part)?; 2].into(),
            };
            if first > last {
                return Err(format!("{first}..{last} counts down: write {last}..{first}"));
            }
            if last - first >= MOST - seeds.len() as u64 {
                return Err(format!("more than {MOST} seeds"));
            }
            for seed in first..=last {
                if seeds.contains(&seed) {
                    return Err(format!("seed {seed} is there twice"));
                }
                seeds.push(seed);
            }
        }
        Ok(Self(seeds))
    }
}

/// Writes consecutive seeds as ranges, in the form that [`Seeds::from_str`] reads.
impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, run) in self.0.chunk_by(|a, b| a.checked_add(1) == Some(*b)).enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match run {
                [first, .., last] => write!(f, "{comma}{first}..{last}"),
                [seed] => write!(f, "{comma}{seed}"),
                [] => Ok(()),
            }?;
        }
        Ok(())
    }
}

/// Collects seeds for a message; unlike parsed ones, they may be none.
impl FromIterator<u64> for Seeds {
    fn from_iter<I: IntoIterator<Item = u64>>(seeds: I) -> Self {
        Self(seeds.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_name_each_seed_once() {
        let of = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.0);
        assert_eq!(of("1..4"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(of("7"), Ok(vec![7]));
        assert_eq!(of("5, 1..2,9"), Ok(vec![5, 1, 2, 9]));
        assert_eq!(of("18446744073709551615"), Ok(vec![u64::MAX]));
        for (text, said) in [
            ("", "no seed"),
            ("1..", "no seed"),
            ("-3", "`-3` is no seed"),
            ("1-4", "1..64 (both included)"),
            ("4..1", "write 1..4"),
            ("1..3,2", "seed 2 is there twice"),
            ("0..18446744073709551615", "more than 10000"),
            ("1..9999,20000..20001", "more than 10000"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_list_is_written_as_it_is_read() {
        for text in ["1..64", "5,1..2,9", "3", "18446744073709551614..18446744073709551615"] {
            assert_eq!(text.parse::<Seeds>().unwrap().to_string(), text);
        }
    }
}
