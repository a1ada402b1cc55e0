//! Mistakes of the person at the keyboard: one line on stderr and exit code 2, where a failure of the run exits with 1.

use std::fmt;

/// A mistake in what was asked; the process exits with 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Makes an error of a mistake in what was asked.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// Whether `error` is a mistake in what was asked: a [`Usage`], or a value of a preset that an environment or agent
/// refuses.
pub(crate) fn is_usage(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.is::<Usage>() || matches!(cause.downcast_ref(), Some(rl_core::Error::Config { .. })))
}

/// What the system and parsers say, and how it is said here.
const WORDS: [(&str, &str); 15] = [
    ("No such file or directory", "there is no such file or directory"),
    ("entity not found", "there is no such file or directory"),
    ("Permission denied", "permission denied"),
    ("Is a directory", "it is a directory"),
    ("Not a directory", "a part of the path is no directory"),
    ("No space left on device", "no space is left on the disk"),
    ("stream did not contain valid UTF-8", "it is no text (UTF-8)"),
    ("EOF while parsing a value at line 1 column 0", "it is empty"),
    ("unknown variant `", "unknown value `"),
    ("missing field `", "missing key `"),
    ("invalid digit found in string", "expected a whole number from 0 on"),
    ("cannot parse integer from empty string", "expected a whole number from 0 on"),
    ("number too large to fit in target type", "the number is too large"),
    ("invalid float literal", "expected a number"),
    ("cannot parse float from empty string", "expected a number"),
];

/// Writes an error with its causes in one line, as people see it. Of a line only the indentation goes: paths may hold
/// two spaces in a row.
pub(crate) fn line(error: &anyhow::Error) -> String {
    let said = format!("{error:#}");
    let mut lines = said.split(['\n', '\r']);
    let first = lines.next().unwrap_or_default().to_owned();
    let others = lines.map(str::trim).filter(|line| !line.is_empty());
    let said = others.fold(first, |said, line| said + " " + line);
    let said = WORDS.iter().fold(said, |said, (theirs, ours)| said.replace(theirs, ours));
    // Of the system's errors their numbers.
    let mut parts = said.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |said, part| said + part.split_once(')').map_or(part, |(_, rest)| rest))
}

/// Parses a whole number from 0 on, which may be written as `2.5e6` or `1_000_000`.
///
/// # Errors
/// If it is none, or too large.
pub(crate) fn count(text: &str) -> Result<u64, &'static str> {
    const NONE: &str = "expected a whole number from 0 on, such as 100000";
    let digit = |c: char| c.is_ascii_digit();
    let parts: Vec<&str> = text.split('_').collect();
    if parts.windows(2).any(|pair| !(pair[0].ends_with(digit) && pair[1].starts_with(digit))) {
        return Err(NONE);
    }
    let text = parts.concat();
    if let Ok(count) = text.parse() {
        return Ok(count);
    }
    // Words such as `inf` are numbers to the parser too.
    match text.parse::<f64>().ok().filter(|_| text.starts_with(digit)) {
        Some(number) if number >= 2f64.powi(64) => Err("the number is too large"),
        Some(number) if number.fract() == 0.0 => Ok(number as u64),
        _ => Err(NONE),
    }
}

/// Parses a whole number from 1 on, as [`count`] does.
///
/// # Errors
/// If it is none, or too large.
pub(crate) fn count_from_1(text: &str) -> Result<u64, &'static str> {
    count(text).and_then(|count| if count > 0 { Ok(count) } else { Err("expected a whole number from 1 on") })
}

/// Parses a time above 0 and at most 1e9, in the unit of its flag.
///
/// # Errors
/// If it is none, or nobody would wait for it.
pub(crate) fn time(text: &str) -> Result<f64, &'static str> {
    let time = text.parse().ok().filter(|&time: &f64| time > 0.0 && time <= 1e9);
    time.ok_or("expected a number above 0, and a billion at most")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_many_lines_is_one_line() {
        let error = anyhow::anyhow!("the fuse\n  blew").context("seat 2");
        assert_eq!(line(&error), "seat 2: the fuse blew");
        let error = anyhow::anyhow!("my  runs/a b: damaged\r\n\n    at  byte 2\n");
        assert_eq!(line(&error), "my  runs/a b: damaged at  byte 2", "a path stays as it is");
    }

    #[test]
    fn what_the_system_says_is_said_in_our_words() {
        let of = |code| line(&anyhow::Error::new(std::io::Error::from_raw_os_error(code)).context("a.rec"));
        assert_eq!(of(2), "a.rec: there is no such file or directory");
        assert_eq!(of(28), "a.rec: no space is left on the disk");
        let two = anyhow::anyhow!("a (os error 13) and b (os error 2), then c");
        assert_eq!(line(&two), "a and b, then c");
    }

    #[test]
    fn a_time_is_above_zero_and_one_that_can_be_waited_for() {
        assert_eq!(["0.05", "3", "1e9"].map(time), [Ok(0.05), Ok(3.0), Ok(1e9)]);
        assert!(["0", "-0.0", "-1", "1e300", "inf", "NaN", "soon", ""].into_iter().all(|text| time(text).is_err()));
    }

    #[test]
    fn a_whole_number_may_be_written_with_an_exponent_or_underscores() {
        let numbers = ["0", "1e6", "2.5e6", "1_000_000", "1.5E3", "18446744073709551615"].map(count);
        assert_eq!(numbers, [0, 1_000_000, 2_500_000, 1_000_000, 1500, u64::MAX].map(Ok));
        for text in ["18446744073709551616", "1e20", "1e999", "99_999_999_999_999_999_999"] {
            assert_eq!(count(text), Err("the number is too large"), "{text}");
        }
        for text in ["", "-3", "-1e3", "1.5", "1e-1", "inf", "NaN", "many", "1_", "_1", "1__0", "1_e3", "0x10"] {
            assert!(count(text).is_err_and(|why| why.starts_with("expected a whole number")), "{text}");
        }
    }
}
