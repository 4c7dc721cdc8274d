//! `klstore completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use serde_json::json;

use crate::arguments::Cli;
use crate::failure::Failure;
use crate::output::Output;

/// Print a script that completes klstore's commands and options in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  klstore completions bash > ~/.local/share/bash-completion/completions/klstore
  klstore completions zsh > ~/.zfunc/_klstore    # with fpath+=~/.zfunc before compinit
  klstore completions fish > ~/.config/fish/completions/klstore.fish
  klstore completions powershell >> $PROFILE")]
pub struct Arguments {
    /// Shell
    shell: Shell,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Cli::command(), "klstore", &mut script);
    let script = String::from_utf8_lossy(&script);
    let json = json!({ "shell": arguments.shell.to_string(), "script": script });
    output.answer(&json, script.trim_end())
}
