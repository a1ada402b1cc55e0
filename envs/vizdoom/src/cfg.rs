//! The grammar of `.cfg` files.
//!
//! A line is `key = value`. Capitals do not count, nor do underscores in names. Lists of names stand in braces, over one line
//! or several; `+=` appends to them and to `game_args`. A comment takes a line of its own and begins with `#`. Paths are
//! relative to the file. Where two lines set one key, the last holds.
//!
//! ViZDoom warns of a line that it does not understand, ignores it and plays on. Here it is an error, and so is what
//! ViZDoom bends without a word: a skill out of range, a name twice in a list, a largest value of a button without one.
//! An absolute path is taken as one, which ViZDoom's documentation promises and its code does not do.
//! Source: ViZDoom 1.3.2, `ViZDoomConfigLoader.cpp`.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::doing;
use crate::keys::Key;
use crate::{Button, Config, Error, Result, Variable};

/// Most bytes of a `.cfg`; those of ViZDoom's scenarios have less than 2,000.
const MOST: u64 = 1 << 20;

/// Characters of a key that an error shows: a file may be anybody's.
const KEY_SHOWN: usize = 60;

/// Characters of a message, which may repeat a value.
const MESSAGE_SHOWN: usize = 300;

impl Config {
    /// Reads the settings of a `.cfg` file; keys that it does not mention keep their default.
    ///
    /// # Errors
    /// If the file cannot be read, is no regular file or larger than 1 MiB, or a line is not valid; the error holds the
    /// number and key of the line, and what would be right.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = content(file).map_err(doing(format!("reading {}", file.display())))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            Fault { line, key: String::new(), message: "the line is not UTF-8".to_owned() }.of(file)
        })?;
        Self::parse(&text, file)
    }

    /// Parses `text` as the content of the `.cfg` file `file`: paths are relative to its directory, and errors name it.
    ///
    /// # Errors
    /// If a line is not valid.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let dir = file.parent().unwrap_or(Path::new(""));
        let text = text.strip_prefix('\u{feff}').unwrap_or(text); // some editors mark a file so
        let mut lines =
            (1..).zip(text.lines().map(str::trim)).filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let mut config = Self::default();
        while let Some(line) = lines.next() {
            config.take(line, &mut lines, dir).map_err(|fault| fault.of(file))?;
        }
        Ok(config)
    }

    /// Takes one `line`, and those of `rest` over which its list goes.
    fn take<'a>(&mut self, line: Line<'a>, rest: &mut impl Iterator<Item = Line<'a>>, dir: &Path) -> Outcome<()> {
        let (at, text) = line;
        let (key, append, value) =
            split(text).ok_or_else(|| Fault::at(at, text, "expected `key = value`; a comment begins with #"))?;
        let fault = |message: String| Fault::at(at, key, message);
        let kind = Key::named(key).map_err(fault)?;
        match kind {
            Key::Buttons => {
                let names = list(key, (at, value), rest)?;
                fill(&mut self.available_buttons, append, key, &names, Button::in_cfg)
            }
            Key::Variables => {
                let names = list(key, (at, value), rest)?;
                fill(&mut self.available_game_variables, append, key, &names, Variable::meant)
            }
            Key::Arguments => {
                if !append {
                    self.game_args.clear();
                }
                self.game_args.extend(value.split_whitespace().map(str::to_owned));
                Ok(())
            }
            Key::One(_) if append => {
                Err(fault("`+=` appends to lists and to game_args, and this is neither".to_owned()))
            }
            Key::One(_) if value.is_empty() => Err(fault("has no value".to_owned())),
            Key::One(one) => one.set(self, value, dir).map_err(|message| {
                let comment = if value.contains('#') { "; a comment takes a line of its own" } else { "" };
                fault(message + comment)
            }),
        }
    }
}

/// The bytes of a file that may be a `.cfg`. A device or a pipe may have no end.
fn content(file: &Path) -> io::Result<Vec<u8>> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if !fs::metadata(file)?.is_file() {
        return refused("not a regular file");
    }
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST { refused("larger than 1 MiB: not a .cfg") } else { Ok(bytes) }
}

/// A line and its number, from 1.
type Line<'a> = (usize, &'a str);

/// What is wrong, before it is known in which file.
struct Fault {
    line: usize,
    key: String,
    message: String,
}

type Outcome<T> = std::result::Result<T, Fault>;

impl Fault {
    fn at(line: usize, key: &str, message: impl Into<String>) -> Self {
        Self { line, key: key.to_owned(), message: message.into() }
    }

    fn of(self, file: &Path) -> Error {
        let Self { line, key, message } = self;
        let (key, message) = (shorten(&key, KEY_SHOWN), shorten(&message, MESSAGE_SHOWN));
        Error::Cfg { file: file.to_owned(), line, key, message }
    }
}

/// The key, whether the value is appended to it, and the value.
fn split(line: &str) -> Option<(&str, bool, &str)> {
    let (key, value) = line.split_once('=')?;
    let (key, append) = key.strip_suffix('+').map_or((key, false), |key| (key, true));
    let key = key.trim_end();
    (!key.is_empty()).then_some((key, append, value.trim_start()))
}

/// The names between braces, each with its line. The braces open in `first`, or in the line after it.
fn list<'a>(key: &str, first: Line<'a>, rest: &mut impl Iterator<Item = Line<'a>>) -> Outcome<Vec<Line<'a>>> {
    let (begin, _) = first;
    let (mut at, text) = match first {
        (_, "") => rest.next().ok_or_else(|| Fault::at(begin, key, "has no list in braces"))?,
        _ => first,
    };
    let open = || Fault::at(at, key, format!("expected a list in braces, as `{{ A B }}`, got `{text}`"));
    let mut text = text.strip_prefix('{').ok_or_else(open)?;
    let mut names = Vec::new();
    loop {
        let (inside, after) = text.split_once('}').map_or((text, None), |(inside, after)| (inside, Some(after)));
        if inside.contains('=') {
            let message = format!("the list that begins in line {begin} is not closed before this line");
            return Err(Fault::at(at, key, message));
        }
        names.extend(inside.split_whitespace().map(|name| (at, name)));
        match after.map(str::trim) {
            Some("") => return Ok(names),
            Some(after) => {
                let message = format!("`{after}` follows the end of the list; a comment takes a line of its own");
                return Err(Fault::at(at, key, message));
            }
            None => {}
        }
        (at, text) = rest.next().ok_or_else(|| Fault::at(begin, key, "the list is never closed by `}`"))?;
    }
}

/// Makes `to` what `names` mean, or appends it.
fn fill<T: PartialEq>(
    to: &mut Vec<T>,
    append: bool,
    key: &str,
    names: &[Line<'_>],
    meant: impl Fn(&str) -> std::result::Result<T, String>,
) -> Outcome<()> {
    if !append {
        to.clear();
    }
    for &(line, name) in names {
        let it = meant(name).map_err(|message| Fault::at(line, key, message))?;
        if to.contains(&it) {
            return Err(Fault::at(line, key, format!("`{name}` is in the list already")));
        }
        to.push(it);
    }
    Ok(())
}

/// `text`, cut after `most` characters.
fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
