//! `rl-run play`: a person plays, and the games are recorded.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::tables::Tables;

/// Lets you play in a window, and records the games: `rl-run verify FILE` certifies their scores.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run play --env kungfu --out mine.rec
          rl-run play --env atari/breakout --set env.sticky=0
          rl-run play --env connectfour --set env.protocol=alphabeta4

Arrows (or W, A, S, D) and space play; ? shows the keys of a game. An agent acts once in env.frame_skip frames of a \
game of Atari; a person acts in each of them, unless --set env.frame_skip says otherwise, and all other settings stay \
as they are.

Gamepads and sound need features of the build: `rl-run doctor` says which it has, and how to get the others.")]
pub(crate) struct PlayArgs {
    /// Environment: `rl-run list envs` shows all
    #[arg(long)]
    env: String,
    /// Replace one value of its preset
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// File to record finished games to
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also keeps the picture of every step in it, for viewers who lack the environment
    #[arg(long, requires = "out")]
    frames: bool,
    /// Seed of the first game; the games of one seed are the same for everybody
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Initial scale, in screen pixels per pixel [default: the largest that fits into 1280 x 700]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    scale: Option<u32>,
    /// Begin without sound: M switches it on
    #[arg(long)]
    mute: bool,
}

/// `rl-run play`.
#[cfg(not(feature = "viewer"))]
pub(crate) fn run(_args: &PlayArgs, _tables: &Tables) -> anyhow::Result<ExitCode> {
    Err(super::none("play"))
}

/// `rl-run play`.
#[cfg(feature = "viewer")]
pub(crate) fn run(args: &PlayArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    shown::run(args, tables)
}

#[cfg(feature = "viewer")]
mod shown {
    use std::path::Path;
    use std::time::Instant;

    use anyhow::bail;
    use minifb::Key;
    use rl_core::Seating;
    use rl_replays::recording::{Manifest, Player};

    use super::super::around::Around;
    use super::super::sitting::{Kept, Sitting};
    use super::super::surface::Surface;
    use super::super::window::Screen;
    use super::super::{layout, paint};
    use super::*;
    use crate::output;
    use crate::preset::{self, Ask};
    use crate::takes::{self, Take};
    use crate::usage::{counted, line, usage};

    /// Frames that a person's action is held for, unless they say otherwise.
    const SKIP: (&str, i64) = ("env.frame_skip", 1);

    pub(super) fn run(args: &PlayArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
        args.out.as_deref().map(takes::ready).transpose()?;
        if let Some(out) = args.out.as_ref().filter(|out| out.exists()) {
            bail!(usage(format!("--out {}: is there already: give another name", out.display())));
        }
        let mut resolved = preset::resolve(tables, &Ask { env: &args.env, sets: &args.set, ..Ask::default() })?;
        resolved.heeds(&args.set)?;
        let skips = resolved.table("env").contains_key("frame_skip");
        if skips && !args.set.iter().any(|set| set.split_once('=').is_some_and(|(key, _)| key.trim() == SKIP.0)) {
            resolved.set(SKIP.0, SKIP.1)?;
            output::note(
                "you act in every frame, where agents mostly act once in four: --set env.frame_skip=4 plays as they do",
            );
        }
        let mut env = resolved.seat_eval(&Seating { seed: args.seed, seats: 0..1 })?;
        let mut manifest = takes::manifest(&resolved, &resolved.eval_table()?, env.as_ref(), Player::Human {}, None)?;
        manifest.pictures = args.frames.then(|| takes::pictures(env.as_mut()));
        let kept = match &args.out {
            None => Kept::Nothing,
            Some(_) if args.frames => Kept::Filmed,
            Some(_) => Kept::Games,
        };
        let mut sitting = Sitting::begin(env, &resolved.env_name, kept)?;
        let mut around = Around::look(&mut sitting, args.mute);
        let mut surface = Surface::default();
        let mut screen = Screen::open(&sitting.title(), layout::plain(sitting.picture(), args.scale))?;
        let (mut last, mut said, mut help) = (Instant::now(), sitting.title(), false);
        let mut file = Games { place: None, written: 0, unwritten: None };
        while let Some(mut input) = screen.input() {
            around.before(&mut input, &mut sitting);
            let seconds = std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64();
            let asked = |key| input.pressed.contains(&key);
            if asked(Key::Escape) && !help {
                break;
            }
            if asked(Key::F1) || input.typed.contains(&'?') {
                help = !help;
            } else if help && input.pressed.iter().any(|key| !matches!(key, Key::LeftShift | Key::RightShift)) {
                help = false;
            } else if !help {
                sitting.advance(&input, seconds)?;
                around.after(&sitting);
            }
            if let Some(out) = &args.out {
                file.keep(out, &manifest, sitting.takes());
            }
            surface.resize(input.size);
            paint::sitting(&sitting, help.then(|| around.help()).as_deref(), &mut surface);
            let now = sitting.title();
            if now != said {
                screen.entitle(&now);
                said = now;
            }
            screen.show(&surface)?;
        }
        if let Some(out) = args.out.as_ref().filter(|_| file.unwritten.is_some()) {
            file.unwritten = file.write(out, &manifest, sitting.takes()).err(); // there may be room by now
        }
        if sitting.unfinished() {
            output::note(format!(
                "the unfinished game {}",
                if args.out.is_some() { "is not recorded" } else { "does not count" }
            ));
        }
        let returns: Vec<String> = sitting.returns().iter().map(ToString::to_string).collect();
        let (games, returns) = (counted(returns.len(), "game"), returns.join(", "));
        match &file.place {
            _ if returns.is_empty() => output::line("no game was played to its end"),
            Some(place) => output::line(format!("{}: {games}, returns {returns}", place.display())),
            None if args.out.is_some() => output::line(format!("{games}, returns {returns}")),
            None => output::line(format!("{games}, returns {returns}; --out FILE records them")),
        }
        file.unwritten.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    /// The file of a person's games.
    struct Games {
        /// Where they are, once the first is over.
        place: Option<PathBuf>,
        /// Games that it holds, or that could not be written.
        written: usize,
        /// Why the last could not be written.
        unwritten: Option<anyhow::Error>,
    }

    impl Games {
        /// Writes all `games` to the file if one more is over. If that fails, it is told, and the games stay for the next
        /// time: nobody could play them again.
        fn keep(&mut self, out: &Path, manifest: &Manifest, games: &[Take]) {
            if games.len() <= self.written {
                return;
            }
            self.written = games.len();
            self.unwritten = self.write(out, manifest, games).err();
            if let Some(why) = &self.unwritten {
                output::note(format!("{}: it is tried again after the next game, and at the end", line(why)));
            }
        }

        fn write(&mut self, out: &Path, manifest: &Manifest, games: &[Take]) -> anyhow::Result<()> {
            if let Some(place) = &self.place {
                return takes::write(place, manifest, games);
            }
            let there = takes::write_new(out, manifest, games)?;
            if there != *out {
                output::note(format!("{}: is there by now: see {}", out.display(), there.display()));
            }
            self.place = Some(there);
            Ok(())
        }
    }

    #[cfg(test)]
    mod tests {
        use rl_core::End;

        use super::*;
        use crate::playback;

        #[test]
        fn a_game_that_could_not_be_written_is_written_with_the_next() {
            let tables = Tables::new(&[rl_envs::ENVS], &[]);
            let resolved = preset::resolve(&tables, &Ask { env: "cartpole", ..Ask::default() }).unwrap();
            let env = resolved.seat_eval(&Seating { seed: 1, seats: 0..1 }).unwrap();
            let table = resolved.eval_table().unwrap();
            let manifest = takes::manifest(&resolved, &table, env.as_ref(), Player::Human {}, None).unwrap();
            let game = |seed| {
                let mut game = Take::begin(seed);
                game.outcome.end = End::Terminated;
                game
            };
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("gone/mine.rec");
            let mut file = Games { place: None, written: 0, unwritten: None };
            let mut games = vec![game(1)];
            file.keep(&out, &manifest, &games);
            assert!(file.unwritten.is_some() && file.place.is_none());
            std::fs::create_dir(dir.path().join("gone")).unwrap();
            file.keep(&out, &manifest, &games);
            assert!(!out.exists(), "not before another game is over: nobody waits for a full disk in every picture");
            games.push(game(2));
            file.keep(&out, &manifest, &games);
            assert!(file.unwritten.is_none() && file.place.as_ref() == Some(&out));
            let seeds: Vec<u64> = playback::read(&out).unwrap().episodes.iter().map(|game| game.seed).collect();
            assert_eq!(seeds, [1, 2]);
        }
    }
}
