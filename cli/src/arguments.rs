//! What users type.

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::commands;
use crate::settings::StoreArguments;

// Lines of help that are laid out by hand stay below 90 columns, so that they are not wrapped again.

const AFTER_HELP: &str = "\
Try it without an account: `klstore demo` puts a year of real flights into an S3 server
of its own.

Start:
  export KLSTORE_BUCKET=my-bucket AWS_REGION=eu-central-1
  klstore keyspace create sensors
  echo 21.5 | klstore append sensors kitchen
  klstore page sensors kitchen --order backwards

`klstore help COMMAND` has the details of a command, `klstore --help` credentials,
settings and exit codes.";

const AFTER_LONG_HELP: &str = "\
Credentials:
  From the usual places, in this order: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with
  AWS_SESSION_TOKEN), the profile of AWS_PROFILE in ~/.aws, SSO, web identity, container
  and instance metadata. --profile asks only that profile, --anonymous sends unsigned
  requests, and access_key and secret_key of the configuration file win over the chain.
  Secrets are never flags: everyone on a machine can see those.

Settings:
  A flag wins over its KLSTORE_* variable, that over the file of --config, and the file
  over AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION, AWS_CA_BUNDLE
  and the profile's region. Empty variables count as unset. `klstore config check FILE`
  shows what a file means. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are followed.

Exit codes:
  0  done; also where a pipe's reader has seen enough (`klstore read ... | head`), and where
     Ctrl-C ended `read --follow`
  1  failed for another reason, such as a file that cannot be read
  2  the command line or the input is wrong: correct it
  3  the bucket, keyspace or key does not exist
  4  the keyspace already exists
  5  no access, or a wrong setting: credentials, permission, region, clock, endpoint, a
     mistake in the configuration file; also where `probe` found a store that is not fit
  6  the store did not answer or is busy: try again
  7  an object in the store is damaged (so says `verify`, too), or of a newer version
  A command that works on all lists of a keyspace goes on where one fails, and ends with the
  code of what failed, or with 1 where that is of several kinds. Ctrl-C lets a command end
  what it has begun; a second one ends it at once, with 130.

Output:
  Answers go to stdout, everything else to stderr. With --json each answer is one JSON
  object on stdout, and each error one on stderr:
  {\"error\": {\"kind\", \"exit_code\", \"message\", \"advice\"}, \"done\": what was done before}";

/// Appendable lists on S3: append, page, seek and follow.
///
/// A list is one KEY in a KEYSPACE. One writer appends to it; any number of readers page it forwards and backwards,
/// from an offset, a timestamp or a nonce. S3 is the only server.
#[derive(Debug, Parser)]
#[command(
    name = "klstore", version, arg_required_else_help = true, max_term_width = 100,
    after_help = AFTER_HELP, after_long_help = format!("{AFTER_HELP}\n\n{AFTER_LONG_HELP}"),
)]
pub struct Cli {
    #[command(flatten)]
    pub store: StoreArguments,
    #[command(flatten)]
    pub general: GeneralArguments,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "General options")]
pub struct GeneralArguments {
    /// Answer in JSON: one object on stdout, errors as one object on stderr
    #[arg(long, global = true, env = "KLSTORE_JSON", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub json: bool,
    /// Log to stderr what is done; -vv says more, -vvv everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(commands::demo::Arguments),
    S3(commands::s3::Arguments),
    /// Check a configuration file
    #[command(subcommand)]
    Config(commands::config::Command),
    /// Create and list keyspaces
    #[command(subcommand)]
    Keyspace(commands::keyspace::Command),
    /// List the keys of a keyspace, delete one
    #[command(subcommand)]
    Key(commands::key::Command),
    Stat(commands::stat::Arguments),
    Append(commands::append::Arguments),
    Page(commands::page::Arguments),
    Read(commands::read::Arguments),
    Export(commands::export::Arguments),
    Copy(commands::copy::Arguments),
    Verify(commands::verify::Arguments),
    Compact(commands::compact::Arguments),
    Gc(commands::gc::Arguments),
    Trim(commands::trim::Arguments),
    Probe(commands::probe::Arguments),
    Cost(commands::cost::Arguments),
    Bench(commands::bench::Arguments),
    Completions(commands::completions::Arguments),
}
