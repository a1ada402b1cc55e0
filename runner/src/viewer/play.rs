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
    use std::time::Instant;

    use anyhow::bail;
    use minifb::Key;
    use rl_core::Seating;
    use rl_replays::recording::Player;

    use super::super::around::Around;
    use super::super::games_file::GamesFile;
    use super::super::sitting::{Kept, Sitting};
    use super::super::surface::Surface;
    use super::super::window::Screen;
    use super::super::{layout, paint};
    use super::*;
    use crate::console::number::counted;
    use crate::console::output;
    use crate::console::usage::usage;
    use crate::games::takes;
    use crate::preset::{self, Ask};

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
        let mut screen = Screen::open(&sitting.title(), layout::plain(sitting.picture(), args.scale))?;
        let mut file = args.out.as_ref().map(|out| GamesFile::new(out, manifest));
        let closed = until_closed(&mut screen, &mut around, &mut sitting, file.as_mut());
        let written = file.as_mut().map_or(Ok(()), |file| file.close(sitting.takes()));
        if sitting.unfinished() {
            output::note(format!(
                "the unfinished game {}",
                if args.out.is_some() { "is not recorded" } else { "does not count" }
            ));
        }
        let returns: Vec<String> = sitting.returns().iter().map(ToString::to_string).collect();
        let (games, returns) = (counted(returns.len(), "game"), returns.join(", "));
        match file.as_ref().and_then(GamesFile::place) {
            _ if returns.is_empty() => output::line("no game was played to its end"),
            Some(place) => output::line(format!("{}: {games}, returns {returns}", place.display())),
            None if args.out.is_some() => output::line(format!("{games}, returns {returns}")),
            None => output::line(format!("{games}, returns {returns}; --out FILE records them")),
        }
        closed.and(written).map(|()| ExitCode::SUCCESS)
    }

    /// Lets the person play until the window is closed, and keeps the games that are over in `file`.
    fn until_closed(
        screen: &mut Screen,
        around: &mut Around,
        sitting: &mut Sitting,
        mut file: Option<&mut GamesFile>,
    ) -> anyhow::Result<()> {
        let mut surface = Surface::default();
        let (mut last, mut said, mut help) = (Instant::now(), sitting.title(), false);
        while let Some(mut input) = screen.input() {
            around.before(&mut input, sitting);
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
                around.after(sitting);
            }
            if let Some(file) = &mut file {
                file.keep(sitting.takes());
            }
            surface.resize(input.size);
            paint::sitting(sitting, help.then(|| around.help()).as_deref(), &mut surface);
            let now = sitting.title();
            if now != said {
                screen.entitle(&now);
                said = now;
            }
            screen.show(&surface)?;
        }
        Ok(())
    }
}
