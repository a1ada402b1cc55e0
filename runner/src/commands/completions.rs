//! `rl-run completions`: a script by which a shell completes commands, flags, and the values of flags that name one of few.

use std::process::ExitCode;

use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;
use rl_nn::Precision;

use crate::console::output;
use crate::tables::Tables;
use crate::trained::model;

/// Prints a script by which a shell completes commands, flags, and names of environments, agents and models.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: rl-run completions bash

Shells look for what it prints in
  ~/.local/share/bash-completion/completions/rl-run    bash
  _rl-run, in a directory of $fpath                    zsh
  ~/.config/fish/completions/rl-run.fish               fish")]
pub(crate) struct CompletionsArgs {
    /// Shell that is to read it
    #[arg(value_enum)]
    shell: Shell,
}

/// `rl-run completions SHELL`, of the command line `command`.
pub(crate) fn run(args: &CompletionsArgs, command: Command, tables: &Tables) -> ExitCode {
    let agents = tables.agents.iter().map(|entry| entry.id.to_owned()).collect();
    let precisions = [Precision::F32, Precision::Bf16].map(|precision| precision.name().to_owned()).to_vec();
    let devices = ["cpu", "cuda"].map(str::to_owned).to_vec();
    let models = model::all().into_iter().map(|model| model.name).collect();
    let names = [
        ("env", tables.env_names()),
        ("agent", agents),
        ("precision", precisions),
        ("device", devices),
        ("model", models),
    ];
    let mut command = with_names(command, &names);
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if args.shell == Shell::Bash {
        // Its branches of a program with a hyphen have other names than it looks for (clap's issue 6421).
        script = script.replace("rl__subcmd__run", "rl__run");
    }
    output::line(script.trim_end());
    ExitCode::SUCCESS
}

/// The command, and all below it, with the values that arguments of these names can have.
fn with_names(command: Command, names: &[(&str, Vec<String>)]) -> Command {
    let networks = command.get_name() == "nn"; // its --model is none of the trained ones
    let command = command.mut_args(|arg| match names.iter().find(|(of, _)| arg.get_id() == of) {
        Some((of, values)) if !(networks && *of == "model") => arg.value_parser(PossibleValuesParser::new(values)),
        _ => arg,
    });
    command.mut_subcommands(|below| with_names(below, names))
}
