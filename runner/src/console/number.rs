//! Numbers as a person reads them: commas between thousands, and the digits that tell values of their size apart.

/// Writes a number to `decimals` decimals: `22,333.0`.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    apart(&format!("{value:.decimals$}"))
}

/// Writes a number with all of its digits: `475`, `7.93`.
pub(crate) fn exact(value: f64) -> String {
    apart(&value.to_string())
}

/// Writes a count: `22,006,028`.
pub(crate) fn count(count: u64) -> String {
    apart(&count.to_string())
}

/// Puts commas between the thousands of a number without an exponent.
fn apart(text: &str) -> String {
    let from = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len()); // none in `NaN` and `inf`
    let to = text.find('.').unwrap_or(text.len());
    let mut out = String::with_capacity(text.len() * 4 / 3 + 1);
    for (at, digit) in text.char_indices() {
        if at > from && at < to && (to - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Writes a number with at most two decimals: `0.74`, `1,000`.
#[cfg(feature = "viewer")]
pub(crate) fn hundredths(value: f64) -> String {
    trimmed(value, 2)
}

/// As [`fixed`], without zeros at the end, and without the sign of a number that rounds to 0.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Writes a number with one decimal, or below 1 with as many as its first two digits need: `258.5`, `0.028`.
pub(crate) fn brief(value: f64) -> String {
    fixed(value, decimals(value))
}

/// As [`brief`], without zeros at the end: `22,736.3`, `120`.
pub(crate) fn grouped(value: f64) -> String {
    trimmed(value, decimals(value))
}

fn decimals(value: f64) -> usize {
    if value == 0.0 { 1 } else { (1.0 - value.abs().log10().floor()).clamp(1.0, 9.0) as usize }
}

/// Writes a number with four significant digits: `1,234`, `12.34`, `0.01234`.
pub(crate) fn short(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if !(-4.0..6.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    fixed(value, (3.0 - magnitude).clamp(0.0, 7.0) as usize)
}

/// Writes a score with the decimals that tell scores of its size apart: `0.7402`, `27.35`, `22,333.0`.
pub(crate) fn score(score: f64) -> String {
    fixed(score, digits(score))
}

/// Writes a mean, with its standard error where there is one, to the decimals of the mean's [`score`].
pub(crate) fn mean(mean: f64, stderr: Option<f64>) -> String {
    let digits = digits(mean);
    let stderr = stderr.map(|stderr| format!(" ± {}", fixed(stderr, digits))).unwrap_or_default();
    format!("{}{stderr}", fixed(mean, digits))
}

/// As [`mean`], with the name of the error behind it: `37,962.0 ± 1,108.8 (standard error)`.
pub(crate) fn mean_with_error(value: f64, stderr: Option<f64>) -> String {
    let name = if stderr.is_some() { " (standard error)" } else { "" };
    format!("{}{name}", mean(value, stderr))
}

/// Writes a mean and the ends of its interval to the decimals of the mean's [`score`].
pub(crate) fn interval(ends: [f64; 3]) -> [String; 3] {
    ends.map(|end| fixed(end, digits(ends[0])))
}

fn digits(score: f64) -> usize {
    match score.abs() {
        size if size < 10.0 => 4,
        size if size < 100.0 => 2,
        _ => 1,
    }
}

/// Writes seconds as `1:02:03`, or `2:03` below an hour.
pub(crate) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Writes a number with its noun: `1 game`, `2 games`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    format!("{} {what}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let fixed = [0.0, 999.5, 1000.0, -1_234_567.25, -123.0].map(|value| fixed(value, 1));
        assert_eq!(fixed, ["0.0", "999.5", "1,000.0", "-1,234,567.2", "-123.0"]);
        assert_eq!(
            [0, 7, 999, 1000, 22_006_028, 123_456].map(count),
            ["0", "7", "999", "1,000", "22,006,028", "123,456"]
        );
        assert_eq!([22_736.3, 258.5, -1_234_567.0].map(grouped), ["22,736.3", "258.5", "-1,234,567"]);
        assert_eq!([475.0, 7.93, -62_400.5].map(exact), ["475", "7.93", "-62,400.5"]);
        assert_eq!([f64::NAN, -f64::INFINITY].map(grouped), ["NaN", "-inf"]);
    }

    #[test]
    fn small_numbers_have_two_digits() {
        assert_eq!([0.0, 0.028_33, -0.74, 0.5, 120.0].map(brief), ["0.0", "0.028", "-0.74", "0.50", "120.0"]);
        assert_eq!([0.0, 0.028_33, 0.5, 120.0].map(grouped), ["0", "0.028", "0.5", "120"]);
    }

    #[test]
    fn zeros_at_the_end_go_and_so_does_the_sign_of_nothing() {
        let shown = [0.0, -0.001, 999.0, 1000.0, 0.74, -98.9].map(|value| trimmed(value, 2));
        assert_eq!(shown, ["0", "0", "999", "1,000", "0.74", "-98.9"]);
        assert_eq!(trimmed(1000.4, 0), "1,000");
    }

    #[test]
    fn numbers_keep_four_digits() {
        let texts = [0.0, 1.0, -20.5, 123_456.0, 0.000_012].map(short);
        assert_eq!(texts, ["0.000", "1.000", "-20.50", "123,456", "1.200e-5"]);
    }

    #[test]
    fn scores_have_the_digits_that_tell_those_of_their_size_apart() {
        let scores = [0.7402, -9.9, 27.35, -99.0, 22_333.0].map(score);
        assert_eq!(scores, ["0.7402", "-9.9000", "27.35", "-99.00", "22,333.0"]);
        assert_eq!([mean(34_003.0, Some(894.76)), mean(7.0, None)], ["34,003.0 ± 894.8", "7.0000"]);
        let named = [mean_with_error(27.354, Some(1.0)), mean_with_error(27.354, None)];
        assert_eq!(named, ["27.35 ± 1.00 (standard error)", "27.35"]);
        assert_eq!(interval([99.5, 9.0, 240.46]), ["99.50", "9.00", "240.46"]);
    }
}
