//! `rl-run match`: plays a trained agent against other players of a board game, and compares its moves with a solver's.
//!
//! Every opening is drawn and played twice, once from either side, all games at once. The agent is also asked about
//! positions that an exact solver has judged, where a move is right or wrong whoever the other player is.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use rl_agents::{Learner, Mode, Policy};
use rl_core::{Env as _, Game as _, GameResult, Rng, Seating, Spec, Stream};
use rl_envs::board::alpha_beta::AlphaBeta;
use rl_envs::board::connect_four::{ConnectFour, Position, Solver, WIDTH, thumb};
use rl_replays::Rollout;
use serde::Serialize;

use crate::console::number::count;
use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::usage;
use crate::console::waiting::{Quiet, Stopped, Waiting};
use crate::games::play::SEATS;
use crate::machine::Cpu;
use crate::machine::device;
use crate::session::learner::build;
use crate::tables::Tables;
use crate::trained::load_weights;
use crate::trained::recorded::Recorded;

/// Fewest and most random moves that a game begins with.
const OPENING: [u32; 2] = [2, 4];
/// Fewest and most stones of positions for the solver: with fewer it takes long, with more little is left to decide.
const STONES: [u32; 2] = [14, 28];
/// Most positions that an agent is asked about at once; between them Ctrl-C is heeded.
const AT_ONCE: usize = 32;

/// Plays a trained agent against others, from random openings and both sides, a draw counting half (connectfour).
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run match runs/connectfour-alphazero-s1 --games 100
          rl-run match runs/c4 --against alphabeta:6 --positions 0")]
pub(crate) struct MatchArgs {
    /// Directory of the run
    run: PathBuf,
    /// `last`, `best`, or the frames of a checkpoint
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Whom to play: `random`, `alphabeta:DEPTH`, or `untrained`, the same agent as it was before training
    #[arg(long, value_delimiter = ',', default_value = "random,alphabeta:4,untrained")]
    against: Vec<String>,
    /// Games against each opponent, two per opening
    #[arg(long, default_value_t = 400, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    games: u32,
    /// Positions, each with right and wrong moves, on which to compare with an exact solver; 0 for none
    #[arg(long, default_value_t = 400, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(..=100_000))]
    positions: u32,
    /// Seed of openings, positions and the draws of players
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// One JSON object on stdout and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: Quiet,
    #[command(flatten)]
    pub(crate) cpu: Cpu,
    /// `cpu` or `cuda`
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    env: String,
    agent: String,
    checkpoint: u64,
    seed: u64,
    matches: Vec<Match>,
    solver: Option<Agreement>,
}

/// Results against one other player, from the agent's side.
#[derive(Debug, Serialize)]
struct Match {
    against: String,
    games: usize,
    wins: usize,
    draws: usize,
    losses: usize,
    /// Mean points of a game, a draw counting half.
    score: f64,
    stderr: f64,
}

/// How often the agent's move is one of the best, by the solver.
#[derive(Debug, Serialize)]
struct Agreement {
    positions: usize,
    share: f64,
}

/// A player of the board game.
enum Player {
    Agent { policy: Box<dyn Policy>, block: Box<Rollout> },
    Random,
    AlphaBeta(AlphaBeta<Position>),
}

impl Player {
    fn agent(learner: &dyn Learner, spec: &Spec, games: usize) -> anyhow::Result<Self> {
        let policy = learner.policy(SEATS..SEATS + games as u32)?;
        if policy.is_recurrent() {
            bail!(usage("match: this agent has a memory, and is not shown what the other side sees in its turns"));
        }
        Ok(Self::Agent { policy, block: Box::new(Rollout::new(spec, 1, games, learner.plan().extra)) })
    }

    /// Writes this player's moves for the positions at `places`, and leaves the other moves alone.
    fn choose(
        &mut self,
        positions: &[Position],
        places: &[usize],
        rng: &mut Rng,
        moves: &mut [usize],
    ) -> anyhow::Result<()> {
        match self {
            Self::Random => places.iter().for_each(|&place| moves[place] = positions[place].random_move(rng)),
            Self::AlphaBeta(player) => {
                places.iter().for_each(|&place| moves[place] = player.choose(&positions[place], rng));
            }
            Self::Agent { policy, block } => {
                block.end.row_mut(0).fill(rl_core::End::Terminated); // a policy passes over what has ended
                for &place in places {
                    let position = &positions[place];
                    block.end[(0, place)] = rl_core::End::No;
                    position.observe(block.vector.at_mut(0, place));
                    let legal = block.legal.at_mut(0, place).iter_mut();
                    legal.enumerate().for_each(|(column, legal)| *legal = position.legal(column).into());
                }
                let mode = Mode::Evaluate { epsilon: 0.0, greedy: true };
                policy.act(std::slice::from_mut(&mut **block), 0, mode)?;
                places.iter().for_each(|&place| moves[place] = block.discrete[(0, place)] as usize);
            }
        }
        Ok(())
    }
}

/// Plays a match for every name of `--against`, then asks the solver.
pub(crate) fn run(args: &MatchArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.json || args.progress.quiet, "no score")?;
    let Recorded { about, resolved, .. } = Recorded::read(&args.run, tables)?;
    resolved.told.iter().for_each(output::note);
    if resolved.env.id != ConnectFour::ID {
        let (env, game) = (&resolved.env_name, ConnectFour::ID);
        return Err(usage(format!("match: `{env}` is not a two-player board game; `{game}` is one")));
    }
    if args.games % 2 == 1 {
        return Err(usage(format!("--games {}: must be even, since every opening is played twice", args.games)));
    }
    if let Some(twice) =
        args.against.iter().enumerate().find_map(|(i, name)| args.against[..i].contains(name).then_some(name))
    {
        return Err(usage(format!("--against: {twice} is named twice")));
    }
    let kinds = args.against.iter().map(|name| kind(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let spec = resolved.seat(&Seating { seed: args.seed, seats: 0..1 })?.spec().clone();
    let device = device(&args.device)?;
    let untrained = build(&resolved, &spec, about.seed, &device)?;
    let mut learner = build(&resolved, &spec, about.seed, &device)?;
    let checkpoint = load_weights(&args.run, &args.checkpoint, &resolved, learner.as_mut())?.frames();

    let (env, agent, games) = (resolved.env_name.clone(), about.agent.clone(), args.games as usize);
    let (seed, matches) = (args.seed, Vec::new());
    let mut report = Report { env, agent, checkpoint, seed, matches, solver: None };
    for (against, kind) in args.against.iter().zip(kinds) {
        let mut other = match kind {
            Kind::Untrained => Player::agent(untrained.as_ref(), &spec, games)?,
            Kind::Random => Player::Random,
            Kind::AlphaBeta(depth) => Player::AlphaBeta(AlphaBeta::new(depth, thumb)),
        };
        let mut own = Player::agent(learner.as_ref(), &spec, games)?;
        let bar = waiting.bar(games, format!("games against {against}"));
        let results = play(&mut own, &mut other, games, args.seed, &mut |ended| {
            bar.reach(ended);
            waiting.go_on()
        })?;
        drop(bar);
        report.matches.push(Match::of(against, &results));
    }
    if args.positions > 0 {
        let agreement = agreement(learner.as_ref(), &spec, args.positions as usize, args.seed, &waiting)?;
        report.solver = Some(agreement);
    }
    if args.json {
        output::line(serde_json::to_string(&report)?);
    } else {
        show(&report);
    }
    Ok(ExitCode::SUCCESS)
}

enum Kind {
    Random,
    AlphaBeta(u32),
    Untrained,
}

fn kind(name: &str) -> anyhow::Result<Kind> {
    match name.split_once(':') {
        None if name == "random" => Ok(Kind::Random),
        None if name == "untrained" => Ok(Kind::Untrained),
        Some(("alphabeta", depth)) => {
            let depth = depth.parse().ok().filter(|depth| (1..=10).contains(depth));
            depth.map(Kind::AlphaBeta).with_context(|| format!("--against {name}: the depth is a number from 1 to 10"))
        }
        _ => Err(anyhow::anyhow!("--against {name}: expected `random`, `alphabeta:DEPTH` or `untrained`")),
    }
    .map_err(|error| usage(error.to_string()))
}

/// Plays `games` games, each opening once from either side, and returns the results from the side of `own`. Calls
/// `watch` with the number of finished games before positions are asked about; it may stop the match.
fn play(
    own: &mut Player,
    other: &mut Player,
    games: usize,
    seed: u64,
    watch: &mut dyn FnMut(usize) -> Result<(), Stopped>,
) -> anyhow::Result<Vec<GameResult>> {
    let mut rng = Rng::new(seed, Stream::Tool(0));
    let [least, most] = OPENING;
    let mut positions = Vec::with_capacity(games);
    for _ in 0..games / 2 {
        let plies = least + rng.below(most - least + 1);
        positions.extend([Position::random(plies, &mut rng).expect("no game is over so soon"); 2]);
    }
    let (mut results, mut moves) = (vec![None; games], vec![0; games]);
    for ply in 0.. {
        let goes_on: Vec<usize> = (0..games).filter(|&game| results[game].is_none()).collect();
        if goes_on.is_empty() {
            break;
        }
        // In every second game it is the other who begins; who is asked then alternates.
        let owns = |game: usize| (game + ply).is_multiple_of(2);
        for (player, ours) in [(&mut *own, true), (&mut *other, false)] {
            let asked: Vec<usize> = goes_on.iter().copied().filter(|&game| owns(game) == ours).collect();
            for asked in asked.chunks(AT_ONCE) {
                watch(games - goes_on.len())?;
                player.choose(&positions, asked, &mut rng, &mut moves)?;
            }
        }
        for game in goes_on {
            positions[game].play(moves[game]);
            let next = positions[game].outcome(); // for who would be next
            results[game] = if owns(game) { next.map(GameResult::reversed) } else { next };
        }
    }
    Ok(results.into_iter().flatten().collect())
}

/// How often the agent's move is one of the best, in positions of random games in which not all moves are.
fn agreement(
    learner: &dyn Learner,
    spec: &Spec,
    count: usize,
    seed: u64,
    waiting: &Waiting,
) -> anyhow::Result<Agreement> {
    let (mut rng, mut solver) = (Rng::new(seed, Stream::Tool(1)), Solver::new());
    let [least, most] = STONES;
    let (mut positions, mut right): (_, Vec<[bool; WIDTH]>) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let bar = waiting.bar(count, "positions solved");
    while positions.len() < count {
        waiting.go_on()?;
        bar.reach(positions.len());
        let stones = least + rng.below(most - least + 1);
        let Some(position) = Position::random(stones, &mut rng) else { continue };
        let results = solver.results(&position);
        let best = results.iter().flatten().max();
        if results.iter().flatten().any(|result| Some(result) != best) {
            positions.push(position);
            right.push(results.map(|result| result.as_ref() == best));
        }
    }
    drop(bar);
    let (mut player, mut moves, places) =
        (Player::agent(learner, spec, count)?, vec![0; count], Vec::from_iter(0..count));
    let bar = waiting.bar(count, "positions answered");
    for asked in places.chunks(AT_ONCE) {
        waiting.go_on()?;
        bar.reach(asked[0]);
        player.choose(&positions, asked, &mut rng, &mut moves)?;
    }
    let agreed = right.iter().zip(moves).filter(|(right, column)| right[*column]).count();
    Ok(Agreement { positions: count, share: agreed as f64 / count as f64 })
}

impl Match {
    fn of(against: &str, results: &[GameResult]) -> Self {
        let count = |standing| results.iter().filter(|&&result| result == standing).count();
        let (wins, draws, losses) = (count(GameResult::Won), count(GameResult::Drawn), count(GameResult::Lost));
        let games = results.len();
        let score = (wins as f64 + 0.5 * draws as f64) / games as f64;
        let squares = wins as f64 + 0.25 * draws as f64;
        let variance = squares / games as f64 - score * score;
        let stderr = (variance / (games - 1) as f64).sqrt();
        Self { against: against.to_owned(), games, wins, draws, losses, score, stderr }
    }
}

fn show(report: &Report) {
    output::line(format!("{} on {}, checkpoint {}", report.agent, report.env, report.checkpoint));
    for Match { against, games, wins, draws, losses, score, stderr } in &report.matches {
        let (score, stderr) = (100.0 * score, 100.0 * stderr);
        let [games, wins, draws, losses] = [games, wins, draws, losses].map(|&counted| count(counted as u64));
        output::line(format!(
            "{against:<17} {score:.1} % ± {stderr:.1} of {games} games: {wins} won, {draws} drawn, {losses} lost"
        ));
    }
    if let Some(Agreement { positions, share }) = &report.solver {
        let (share, positions) = (100.0 * share, counted(*positions, "position"));
        output::line(format!("exact solver      {share:.1} % of {positions}: a move as good as the best"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_counts_draws_half() {
        let results = [GameResult::Won, GameResult::Won, GameResult::Drawn, GameResult::Lost];
        let found = Match::of("random", &results);
        assert_eq!((found.wins, found.draws, found.losses, found.score), (2, 1, 1, 0.625));
        assert!((found.stderr - (0.171_875f64 / 3.0).sqrt()).abs() < 1e-12, "{}", found.stderr);
    }

    #[test]
    fn equals_share_the_points_and_who_looks_ahead_takes_them() {
        let score = |own: &mut Player, other: &mut Player| {
            Match::of("it", &play(own, other, 200, 1, &mut |_| Ok(())).unwrap()).score
        };
        let ahead = || Player::AlphaBeta(AlphaBeta::new(2, thumb));
        assert!((score(&mut Player::Random, &mut Player::Random) - 0.5).abs() < 0.12);
        assert!(score(&mut ahead(), &mut Player::Random) > 0.9);
        assert!(score(&mut Player::Random, &mut ahead()) < 0.1);
    }

    #[test]
    fn whom_to_play_is_read_or_refused_by_name() {
        assert!(matches!(kind("alphabeta:4"), Ok(Kind::AlphaBeta(4))));
        for (name, said) in [
            ("alphabeta:0", "a number from 1 to 10"),
            ("alphabeta", "expected `random`"),
            ("stockfish", "--against stockfish: expected"),
        ] {
            assert!(kind(name).err().unwrap().to_string().contains(said), "{name}");
        }
    }
}
