//! `.cfg` files of ViZDoom. What is taken reads the same behind a comment, and an error names a line that is there.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use vizdoom::{Config, Error};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parse = |text: &str| Config::parse(text, Path::new("scenario.cfg"));
    match parse(text) {
        Ok(config) => {
            assert!((1..=5).contains(&config.doom_skill) && config.rewards.living.is_finite());
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            assert_eq!(parse(&format!("# before\n{text}")).ok(), Some(config));
        }
        Err(Error::Cfg { line, message, .. }) => {
            assert!((1..=text.lines().count()).contains(&line) && message.chars().count() <= 301);
        }
        Err(error) => panic!("{error}"),
    }
});
