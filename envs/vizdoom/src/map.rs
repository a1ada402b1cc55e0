//! The name of a map. It becomes part of commands to the engine's console, and may be anybody's.

use std::fmt;

/// Characters of the name of a lump.
const MOST: usize = 8;

/// Checked name of a map, such as `map01`, in lower case; it is safe as one word of a command of the engine's console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapName(String);

impl MapName {
    /// Parses the name of a map, ignoring case.
    ///
    /// # Errors
    /// If `text` is not 1 to 8 letters, digits and `[]-_`, or begins with a dash; the error is a message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "[]-_".contains(c);
        // What begins with a dash would be a switch of the engine's.
        if text.is_empty() || text.len() > MOST || text.starts_with('-') || !text.chars().all(fits) {
            return Err(format!("`{text}` is no map's name: at most {MOST} letters and digits, as `map01`"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Returns the name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for MapName {
    /// Returns `map01`, the first map of Doom 2.
    fn default() -> Self {
        Self("map01".to_owned())
    }
}

impl fmt::Display for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_command() {
        assert_eq!(MapName::parse("E1M1").unwrap().as_str(), "e1m1");
        for text in
            ["", "map01;quit", "map01\tx", "map 01", "-record", "+quit", "map\"01", "maps/map01", "mäp01", "map\n"]
        {
            assert!(MapName::parse(text).unwrap_err().contains("is no map's name"), "{text}");
        }
    }
}
