//! The command line: one struct per command, and how its errors end the process.

mod foreign;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};
use rl_agents::AgentEntry;
use rl_core::{EnvEntry, hush_caught_panics};
use signal_hook::consts::SIGXFSZ;

use crate::commands::{
    bench, check, completions, doctor, evaluate, export, fetch, list, plan, plot, profile, publish, record, report,
    resume, rollout, solve, train, verify, versus,
};
use crate::console::output;
use crate::console::stop::STOPPED;
use crate::console::usage::{is_usage, line, usage};
use crate::console::waiting::Stopped;
use crate::tables::Tables;
use crate::{preset, viewer};

#[derive(Debug, Parser)]
#[command(name = "rl-run", version, about = "Trains, evaluates and shows reinforcement learning agents")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, arg_required_else_help = true)]
#[command(after_help = "Examples: rl-run --env cartpole --agent ppo
          rl-run --env kungfu --agent ppo --preset 10min --run runs/kungfu
          # fine-tuning: begins with the weights of that run
          rl-run --env kungfu --agent dqn --weights runs/kf --set env.sticky=0
          # after Ctrl-C, SIGTERM, SIGHUP or a crash
          rl-run resume runs/kungfu
          rl-run eval runs/kungfu --episodes 30

`rl-run list envs` and `rl-run list agents` show what --env and --agent may name.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: train::TrainArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Resume(resume::ResumeArgs),
    Verify(verify::VerifyArgs),
    Eval(evaluate::EvalArgs),
    Record(record::RecordArgs),
    Publish(publish::PublishArgs),
    Export(export::ExportArgs),
    Watch(viewer::watch::WatchArgs),
    Play(viewer::play::PlayArgs),
    Plot(plot::PlotArgs),
    Report(report::ReportArgs),
    Match(versus::MatchArgs),
    List(list::ListArgs),
    Fetch(fetch::FetchArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Check(check::CheckArgs),
    Solve(solve::SolveArgs),
    Rollout(rollout::RolloutArgs),
    Profile(profile::ProfileArgs),
    Plan(plan::PlanArgs),
    Bench(bench::BenchArgs),
}

/// Runs `rl-run` with these tables of environments and agents.
///
/// To be called first thing: it reads the arguments, may start the program again in its own place with other
/// environment variables (for `--threads` and how memory is kept), and sets a hook for panics and handlers for signals.
pub fn main(envs: &[&'static [EnvEntry]], agents: &[&'static [AgentEntry]]) -> ExitCode {
    hush_caught_panics();
    // A handler of any kind: what is larger than `ulimit -f` then is an error of its file, and ends no process. Programs
    // that are started from here get the default back.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    let said = match Cli::try_parse() {
        Ok(cli) => {
            let tables = Tables::new(envs, agents);
            tables.check().and_then(|()| run(cli, &tables))
        }
        Err(e) if e.exit_code() == 0 || e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            e.print().unwrap_or_else(output::lose);
            Ok(ExitCode::from(e.exit_code() as u8))
        }
        Err(e) => {
            let texts = envs.iter().copied().flatten().map(|env| env.preset);
            let texts =
                texts.chain(agents.iter().copied().flatten().flat_map(|agent| agent.presets).map(|&(_, text)| text));
            let words: Vec<String> =
                std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
            Err(usage(one_line(&e, &words, || preset::keys(texts))))
        }
    };
    let done = said.and_then(|code| match output::lost() {
        Some(why) if code == ExitCode::SUCCESS => Err(anyhow!("stdout: {why}")),
        _ => Ok(code),
    });
    done.unwrap_or_else(|error| {
        if let Some(stopped) = error.chain().find_map(|cause| cause.downcast_ref::<Stopped>()) {
            output::note(stopped);
            return ExitCode::from(STOPPED);
        }
        output::note(format!("error: {}", line(&error)));
        ExitCode::from(if is_usage(&error) { 2 } else { 1 })
    })
}

fn run(cli: Cli, tables: &Tables) -> anyhow::Result<ExitCode> {
    match cli.command {
        None => cli.train.machine.settle().and_then(|()| train::run(&cli.train, tables)),
        Some(Command::Resume(args)) => args.machine.settle().and_then(|()| resume::run(&args, tables)),
        Some(Command::Verify(args)) => args.machine.settle().and_then(|()| verify::run(&args, tables)),
        Some(Command::Eval(args)) => args.machine.settle().and_then(|()| evaluate::run(&args, tables)),
        Some(Command::Record(args)) => args.machine.settle().and_then(|()| record::run(&args, tables)),
        Some(Command::Publish(args)) => args.machine.settle().and_then(|()| publish::run(&args, tables)),
        Some(Command::Export(args)) => export::run(&args, tables),
        Some(Command::Watch(args)) => viewer::watch::run(&args, tables),
        Some(Command::Play(args)) => viewer::play::run(&args, tables),
        Some(Command::Plot(args)) => plot::run(&args, tables),
        Some(Command::Report(args)) => report::run(&args, tables),
        Some(Command::Match(args)) => args.cpu.settle().and_then(|()| versus::run(&args, tables)),
        Some(Command::List(args)) => list::run(&args, tables),
        Some(Command::Fetch(args)) => fetch::run(&args, tables),
        Some(Command::Doctor(args)) => doctor::run(&args, tables),
        Some(Command::Completions(args)) => Ok(completions::run(&args, Cli::command(), tables)),
        Some(Command::Check(args)) => args.cpu.settle().and_then(|()| check::run(&args, tables)),
        Some(Command::Solve(args)) => solve::run(&args, tables),
        Some(Command::Rollout(args)) => rollout::run(&args, tables),
        Some(Command::Profile(args)) => args.machine.settle().and_then(|()| profile::run(&args, tables)),
        Some(Command::Plan(args)) => args.machine.settle().and_then(|()| plan::run(&args, tables)),
        Some(Command::Bench(args)) => bench::run(&args, tables),
    }
}

/// By command, how the argument begins that others may stand in place of, and what may be given if clap misses it. What
/// another flag requires is none of these.
const INSTEAD: [(&str, &str, &str); 7] = [
    ("rollout", "--actions", ": name --actions FILE, or --random with --steps N"),
    ("record", "<RUN>", ": name --out FILE and a RUN, or --model NAME, or --env ENV with --random"),
    ("eval", "<RUN|", ": name a RUN, or --model NAME"),
    ("watch", "<PATH>", ": name a recording or a directory, or --model NAME"),
    ("fetch", "<NAMES>", ": name what to fetch, such as ale or vizdoom; --list shows all"),
    ("completions", "<SHELL>", ": name a shell, such as bash"),
    ("list", "<WHAT>", ": name envs, agents, presets, settings or models"),
];

/// Writes in one line what clap says before it explains the usage, and hints that clap cannot know, about the `words` of
/// the command line and settings with these `keys`.
fn one_line(error: &clap::Error, words: &[String], keys: impl FnOnce() -> Vec<String>) -> String {
    let first = words.first().map(String::as_str);
    let (text, missed) = (error.render().to_string(), missed(error));
    let said = text.lines().take_while(|line| !line.starts_with("Usage:")).map(str::trim);
    // Of a flag that a command does not have clap supposes that it is a word for it.
    let said = said.filter(|line| !line.is_empty() && !line.starts_with("tip: to pass '-"));
    let said = said.collect::<Vec<_>>().join(" ").replace(" tip: ", "; ");
    let said = said.trim_start_matches("error: ").trim_end_matches(" For more information, try '--help'.");
    // A flag and what stands behind it in the list would read as the flag and its value.
    let said = said.replace(&missed.join(" "), &missed.join(", "));
    let said = said.as_str();
    if error.kind() == ErrorKind::UnknownArgument
        && first != Some("train")
        && let Some(meant) =
            flag(error).and_then(|flag| foreign::meant(flag, &known_flags(words), &settable(words, keys())))
    {
        let said = said.split("; a similar argument").next().unwrap_or(said);
        return format!("{said}: {meant} (see --help)");
    }
    if error.kind() == ErrorKind::ArgumentConflict
        && let Some(word) = stray(said).filter(|word| *word != "train")
    {
        let meant = match words.windows(3).find(|three| three[0] == "--set" && three[2] == word) {
            Some([_, set, _]) if set.contains('=') => format!("did you mean `--set {set} --set {word}`?"),
            Some([_, key, _]) => format!("did you mean `--set {key}={word}`?"),
            _ => "training takes flags, such as `--run DIR`".to_owned(),
        };
        return format!("unexpected argument '{word}': {meant} (see --help)");
    }
    let mend = match (error.kind(), first) {
        (ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict, Some("train")) => {
            return "training has no command word: rl-run --env … --agent … (see --help)".to_owned();
        }
        (ErrorKind::UnknownArgument, Some("resume")) if of_training(error) => {
            ": a run keeps its settings, only --frames changes"
        }
        (ErrorKind::MissingRequiredArgument, Some("--env")) if said.contains("--agent") => {
            ": `rl-run list presets --env NAME` shows which agents learn an environment"
        }
        (ErrorKind::MissingRequiredArgument, Some(command)) => {
            let of = |own: &str| missed.iter().any(|missed| missed.starts_with(own));
            let instead = INSTEAD.iter().find(|(known, own, _)| *known == command && of(own));
            let envs = if of("--env <") { ": `rl-run list envs` shows all environments" } else { "" };
            instead.map_or(envs, |(_, _, instead)| instead)
        }
        (ErrorKind::ArgumentConflict, Some(flag)) if flag.starts_with('-') && said.contains("the subcommand '") => {
            ": flags go behind the command"
        }
        _ => "",
    };
    format!("{said}{mend} (see --help)")
}

/// The word that clap takes for a command, if it is none.
fn stray(said: &str) -> Option<&str> {
    let word = said.split_once("the subcommand '")?.1.split('\'').next()?;
    Cli::command().find_subcommand(word).is_none().then_some(word)
}

/// Keys among these that the command of a command line lets be set: of commands that do not train, those of games.
fn settable(words: &[String], mut keys: Vec<String>) -> Vec<String> {
    let plays = ["eval", "record", "rollout", "check", "solve"];
    let plays = words.first().is_some_and(|word| plays.contains(&word.as_str()))
        || words.iter().take(2).map(String::as_str).eq(["bench", "env"]);
    if plays {
        keys.retain(|key| key.starts_with("env.") || key.starts_with("eval."));
    }
    keys
}

/// The arguments that clap misses, as it writes them; none if the error is another.
fn missed(error: &clap::Error) -> &[String] {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missed))) => missed,
        _ => &[],
    }
}

/// The flag that an error is about, with its dashes.
fn flag(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => Some(flag),
        _ => None,
    }
}

/// Whether the flag that is unknown to a command is one of training.
fn of_training(error: &clap::Error) -> bool {
    flag(error).is_some_and(|flag| flags(&Cli::command()).iter().any(|known| known == flag))
}

/// Flags of the command that the words of a command line begin with, of training if they begin with none.
fn known_flags(words: &[String]) -> Vec<String> {
    let mut command = &Cli::command();
    for word in words {
        let Some(below) = command.find_subcommand(word) else { break };
        command = below;
    }
    flags(command)
}

fn flags(command: &clap::Command) -> Vec<String> {
    command.get_arguments().filter_map(|known| Some(format!("--{}", known.get_long()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// What follows `rl-run` in every line of a text that begins with it, without comments.
    fn commands(text: &str) -> impl Iterator<Item = &str> {
        let lines =
            text.lines().map(|line| line.trim().trim_start_matches("Example: ").trim_start_matches("Examples: "));
        let lines = lines.filter_map(|line| line.strip_prefix("rl-run "));
        lines.map(|line| line.split(" # ").next().unwrap_or(line).trim())
    }

    /// What stands under the help of a command that does something, and of those below it.
    fn helps(command: &clap::Command, out: &mut Vec<String>) {
        let does = command.get_arguments().next().is_some();
        let shown = command.get_after_help().map(ToString::to_string);
        let example = shown.as_deref().and_then(|text| commands(text).next());
        assert!(!does || example.is_some(), "{} shows no example", command.get_name());
        out.extend(shown);
        command.get_subcommands().for_each(|below| helps(below, out));
    }

    #[test]
    fn no_example_of_a_help_breaks_in_a_terminal_of_80_columns() {
        let mut texts = Vec::new();
        helps(&Cli::command(), &mut texts);
        for line in texts.iter().flat_map(|text| text.lines()) {
            // A break would leave the rest of a comment, or of a command, as a line of its own to be pasted.
            let example =
                line.starts_with("Example") || line.trim_start().starts_with(['#', 'r']) && line.starts_with(' ');
            assert!(!example || line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn every_command_that_documents_and_helps_show_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("runner/ lies in the workspace");
        let mut texts = Vec::new();
        helps(&Cli::command(), &mut texts);
        let documents = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
        let documents = documents.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
        let others = ["README.md", "CONTRIBUTING.md", "models/kungfu/README.md"].map(|name| root.join(name));
        texts.extend(documents.chain(others).map(|path| fs::read_to_string(path).unwrap()));
        let shown: Vec<&str> = texts.iter().flat_map(|text| commands(text)).collect();
        assert!(shown.len() > 80, "{} commands are shown", shown.len());
        for line in shown {
            let words = shlex::split(line).unwrap_or_else(|| panic!("rl-run {line}: quotes are open"));
            if let Err(e) = Cli::try_parse_from(["rl-run".to_owned()].into_iter().chain(words)) {
                panic!("rl-run {line}: {e}");
            }
        }
    }
}
