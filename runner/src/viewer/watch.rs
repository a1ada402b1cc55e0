//! `rl-run watch`: shows recorded games in a window.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::tables::Tables;

/// Shows recorded games in a window, with everything that is known of them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run watch kungfu.rec
          rl-run watch kungfu.rec --episode 3 --speed 4
          rl-run watch --model kungfu
          # the newest recording in there, and every newer one as it appears
          rl-run watch runs/kf

Keys: space plays and pauses, arrows step and change the speed, page up and down change the game, ? shows all of \
them. The mouse drags along the timeline and chooses games. Without a display: `rl-run export`.")]
pub(crate) struct WatchArgs {
    /// Recording, or a directory of a run or of recordings: shows its newest, and newer ones as they appear
    #[arg(required_unless_present = "model")]
    path: Option<PathBuf>,
    /// Name of a trained model, whose best game is shown: `rl-run list models`
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    model: Option<String>,
    /// Number of the game to begin with, from 1, or `best`, the one of the highest return
    #[arg(long, default_value = "1")]
    episode: String,
    /// Playback speed, 1 being the speed at which people play: 0.25, 0.5, 1, 2, 4, 8 or 16
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Initial scale, in screen pixels per pixel [default: the largest that fits into 1280 x 700]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    scale: Option<u32>,
    /// Run from whose weights key H computes its saliency map [default: the run in whose directory PATH lies]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// Begins paused
    #[arg(long)]
    paused: bool,
    /// Benchmark: paints as fast as it can for that many seconds, reports how fast that and jumps were, and exits
    #[arg(long, value_name = "SECONDS")]
    measure: Option<u32>,
}

/// `rl-run watch`.
#[cfg(not(feature = "viewer"))]
pub(crate) fn run(_args: &WatchArgs, _tables: &Tables) -> anyhow::Result<ExitCode> {
    Err(super::none("watch"))
}

/// `rl-run watch`.
#[cfg(feature = "viewer")]
pub(crate) fn run(args: &WatchArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    shown::run(args, tables)
}

#[cfg(feature = "viewer")]
mod shown {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use anyhow::{Context as _, bail};
    use minifb::Key;
    use rl_core::Canvas;
    use rl_replays::recording::Recording;

    use super::super::command::{Command, Part, SPEEDS, of_char, of_key};
    use super::super::follow::Follow;
    use super::super::layout::{self, Layout};
    use super::super::player::Player;
    use super::super::surface::Surface;
    use super::super::window::{Input, Screen};
    use super::super::{measure, paint};
    use super::*;
    use crate::console::output;
    use crate::console::usage::usage;
    use crate::file::picture;
    use crate::games::playback;
    use crate::games::screening::Screening;
    use crate::saliency::run_of;
    use crate::trained::model;

    pub(super) fn run(args: &WatchArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
        if !SPEEDS.contains(&args.speed) {
            bail!(usage(format!("--speed {}: must be 0.25, 0.5, 1, 2, 4, 8 or 16", args.speed)));
        }
        let place = match (&args.path, &args.model) {
            (Some(path), _) => path.clone(),
            (None, Some(name)) => model::find(name)?.join(model::BEST),
            (None, None) => bail!(usage("name a recording, a run or a --model")),
        };
        let (mut follow, recording) = Follow::new(&place)?;
        let mut file = follow.file().to_owned(); // of what is shown
        let game = playback::chosen(&recording, &args.episode)?;
        let screening = Screening::new(&recording.manifest, tables).with_context(|| name(&file))?;
        if let Some(said) = screening.said(&recording.manifest) {
            output::note(format!("{} {said}", name(&file)));
        }
        let pictures = screening.why().is_some();
        let mut player = Player::new(Arc::new(recording), game, screening, tables).with_context(|| name(&file))?;
        if pictures {
            player.tell("from the pictures of the recording: it cannot be played again here".to_owned());
        }
        player.speed_to(args.speed);
        player.pause(args.paused);
        if let Some(run) = &args.run {
            player.look_with(run.clone()).context("--run")?;
        } else {
            player.look_by(run_of(&file));
        }
        let mut surface = Surface::default();
        let size = layout::window(player.picture(), args.scale);
        let mut screen = Screen::open(&title(&player), size)?;
        if let Some(seconds) = args.measure {
            let long = Duration::from_secs(seconds.into());
            return measure::run(&mut player, &mut screen, long).with_context(|| name(&file));
        }
        let (mut last, mut looked, mut said, mut stale) = (Instant::now(), Instant::now(), title(&player), true);
        while let Some(input) = screen.input() {
            stale |= input.size != (surface.width(), surface.height());
            let mut picture = false;
            for command in commands(&input, player.view.help) {
                match command {
                    Command::Quit => return Ok(ExitCode::SUCCESS),
                    Command::Picture => picture = true,
                    command => player.obey(command).with_context(|| name(&file))?,
                }
                stale = true;
            }
            if let Some(point) = input.pointer {
                let layout = Layout::of(&player, input.size);
                stale |= layout.point(&mut player, point, input.clicked).with_context(|| name(&file))?;
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                if let Some((recording, grown)) = follow.newer(player.recording()) {
                    let game = if grown { player.game().min(recording.episodes.len() - 1) } else { 0 };
                    match shown(&recording, game, tables) {
                        Ok(screening) => {
                            follow.file().clone_into(&mut file);
                            let run = args.run.clone().or_else(|| run_of(&file));
                            renew(&mut player, recording, screening, grown, run).with_context(|| name(&file))?;
                        }
                        Err(error) => player.tell(format!("{}: {error:#}", name(follow.file()))),
                    }
                    stale = true;
                }
            }
            let seconds = std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64();
            stale |= player.advance(seconds).with_context(|| name(&file))?;
            if stale {
                surface.resize(input.size);
                paint::paint(&player, &mut surface);
                let now = title(&player);
                if now != said {
                    screen.entitle(&now);
                    said = now;
                }
            }
            stale = picture;
            if picture {
                player.tell(save(&player, &surface)?);
            }
            screen.show(&surface)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Name of a recording in messages.
    fn name(file: &Path) -> String {
        file.display().to_string()
    }

    /// Makes what shows a recording, and its first picture of a game: one that cannot be shown takes no place.
    fn shown(recording: &Recording, game: usize, tables: &Tables) -> anyhow::Result<Screening> {
        let mut screening = Screening::new(&recording.manifest, tables)?;
        let played = &recording.episodes[game];
        screening.begin(played)?;
        screening.draw(played, &mut Canvas::new(0, 0))?;
        Ok(screening)
    }

    /// Shows a newer recording; unless it is the same one `grown`, saliency maps are made with the weights of its own
    /// `run`.
    fn renew(
        player: &mut Player,
        recording: Recording,
        screening: Screening,
        grown: bool,
        run: Option<PathBuf>,
    ) -> anyhow::Result<()> {
        player.renew(recording, screening, grown)?;
        if !grown {
            player.look_by(run);
            if player.view.heat {
                player.obey(Command::Toggle(Part::Heat))?;
            }
        }
        Ok(())
    }

    /// Commands of the keys of a frame; while the help is shown, any key closes it.
    fn commands(input: &Input, help: bool) -> Vec<Command> {
        let keys = input.pressed.iter().filter_map(|&key| of_key(key));
        let all = keys.chain(input.typed.iter().filter_map(|&typed| of_char(typed)));
        if help && input.pressed.iter().any(|key| !matches!(key, Key::LeftShift | Key::RightShift)) {
            return vec![Command::Help];
        }
        all.collect()
    }

    /// Title of the window.
    pub(super) fn title(player: &Player) -> String {
        let (step, steps) = (player.position(), player.played().steps());
        format!(
            "{} - game {} of {} - step {step} of {steps} - return {} - {}x - rl-run",
            player.manifest().env,
            player.game() + 1,
            player.games().len(),
            player.now().ret,
            player.speed(),
        )
    }

    /// Writes the window's contents to a new file, and returns a message with its name.
    fn save(player: &Player, surface: &Surface) -> anyhow::Result<String> {
        let env = player.manifest().env.replace('/', "-");
        let stem = format!("{env}-{}-{}", player.game() + 1, player.position());
        let names = std::iter::once(format!("{stem}.png")).chain((2..).map(|n| format!("{stem}-{n}.png")));
        let path = names.map(PathBuf::from).find(|path| !path.exists()).context("a free name")?;
        match picture::write(&path, &surface.to_canvas()) {
            Ok(()) => {
                output::note(format!("wrote {}", path.display()));
                Ok(format!("wrote {}", path.display()))
            }
            Err(error) => Ok(format!("no picture: {error:#}")),
        }
    }
}
