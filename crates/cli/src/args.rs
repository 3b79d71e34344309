//! The commands and their arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tidelock_activities::Mode;
use tidelock_resolver::object_set::Profile;

/// Runs midPoint's synchronization activities from midPoint's own definitions.
#[derive(Debug, Parser)]
#[command(name = "tidelock", version, arg_required_else_help = true, subcommand_required = true, after_help = EXIT_STATUSES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUSES: &str = "\
Exit status:
  0    done, no errors
  1    finished, some items failed
  2    stopped by an error
  3    a definition is wrong; nothing was run or stored
  4    temporary: running again later may succeed
  64   wrong usage
  130  interrupted";

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The folder of the configuration (tidelock.toml) and of the embedded database
    #[arg(long, global = true, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub(crate) home: PathBuf,
    /// The repository: sqlite:PATH; by default tidelock.db in the home folder
    #[arg(long, global = true, value_name = "URL", env = "TIDELOCK_REPO", hide_env_values = true)]
    pub(crate) repo: Option<String>,
    /// For people, or one JSON document
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, hide_default_value = true)]
    pub(crate) format: Format,
    /// Say less: errors only, and no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more; twice, even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check definitions without storing them
    Check {
        /// Files, or folders of files
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Check definitions and store them, all or none
    Apply {
        /// Files, or folders of files
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Show which objects a task would process, and why
    Explain {
        /// A file, or the OID or name of a stored task
        task: String,
        /// The rules by which object sets are resolved
        #[arg(long, value_parser = profile, value_name = "P", default_value = "documented")]
        profile: Profile,
    },
    /// Run a task once, to its end
    Run(Run),
    /// The synchronization token of a live-synchronization task
    Token {
        #[command(subcommand)]
        action: Token,
    },
    /// Show objects of the repository
    Get(Get),
    /// Look at a resource itself
    Resource {
        #[command(subcommand)]
        action: Resource,
    },
    /// Parse a filter and show it in its normal form, as text and as XML
    Query {
        /// The filter, in the query language
        text: String,
        /// The type of object that it is for, such as UserType
        #[arg(long = "type", value_name = "T")]
        object_type: Option<String>,
    },
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A file, or the OID or name of a stored task
    pub(crate) task: String,
    /// How to treat what is found: full, preview, dryRun, none; by default as the task says
    #[arg(long, value_name = "M", value_parser = mode)]
    pub(crate) mode: Option<Mode>,
    /// The rules by which object sets are resolved: documented, midpoint-4.8
    #[arg(long, value_parser = profile, value_name = "P", default_value = "documented")]
    pub(crate) profile: Profile,
    /// How many objects are processed at once; by default as the task says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// How many objects are stored in one transaction
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) chunk: Option<u32>,
    /// Stop a listening task once nothing has arrived for so long
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) until_idle: Option<Duration>,
}

/// What to do with a token.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Show it, and those before it
    Show {
        /// A file, or the OID or name of a stored task
        task: String,
    },
    /// Replace it: the next run takes over what has changed after the new one
    Set {
        /// A file, or the OID or name of a stored task
        task: String,
        /// The new token, as `show` prints it: a text, or base64: and bytes
        #[arg(required_unless_present = "previous", conflicts_with = "previous", allow_hyphen_values = true)]
        value: Option<String>,
        /// Go back to the one before
        #[arg(long)]
        previous: bool,
    },
    /// Forget it: the next run takes a new one and processes nothing. What changes until then is found only by a reconciliation
    Reset {
        /// A file, or the OID or name of a stored task
        task: String,
    },
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// What kind of object
    #[arg(value_enum, value_name = "TYPE")]
    pub(crate) object_type: GetType,
    /// One object, by its OID or name
    #[arg(value_name = "OID|NAME")]
    pub(crate) key: Option<String>,
    /// Only objects that meet a filter, in the query language
    #[arg(long, value_name = "TEXT")]
    pub(crate) query: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

/// The types of `get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GetType {
    /// People.
    #[value(alias = "user")]
    Users,
    /// Roles.
    #[value(alias = "role")]
    Roles,
    /// Organizations.
    #[value(alias = "org")]
    Orgs,
    /// Machines and applications.
    #[value(alias = "service")]
    Services,
    /// Records of resource objects.
    #[value(alias = "shadow")]
    Shadows,
    /// Resource definitions.
    #[value(alias = "resource")]
    Resources,
    /// Task definitions.
    #[value(alias = "task")]
    Tasks,
}

/// What to look at on a resource.
#[derive(Debug, Subcommand)]
pub(crate) enum Resource {
    /// Can it be reached, and what can it do
    Test {
        /// A file, or the OID or name of a stored resource
        resource: String,
    },
    /// Its object classes and their attributes
    Schema {
        /// A file, or the OID or name of a stored resource
        resource: String,
    },
    /// Objects as they are on the resource
    Search(Search),
}

/// Arguments of `resource search`.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// A file, or the OID or name of a stored resource
    pub(crate) resource: String,
    /// The object class; by default that of accounts, or the only one
    #[arg(long, value_name = "C")]
    pub(crate) class: Option<String>,
    /// Only objects that meet a filter, in the query language
    #[arg(long, value_name = "TEXT")]
    pub(crate) query: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

fn mode(text: &str) -> Result<Mode, String> {
    text.parse::<Mode>().map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|_| "a number of seconds is wanted, such as 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn profile(text: &str) -> Result<Profile, String> {
    match text {
        "documented" => Ok(Profile::Documented),
        "midpoint-4.8" => Ok(Profile::Midpoint48),
        _ => Err("profiles are documented and midpoint-4.8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, seconds};

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_are_positive_numbers() {
        assert_eq!(seconds("2").map(|span| span.as_millis()), Ok(2000));
        assert_eq!(seconds("0.25").map(|span| span.as_millis()), Ok(250));
        for wrong in ["", "-1", "nan", "inf", "1e99", "2s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
