//! Data directories named on the command line, with one check for the commands of all programs.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::{
    Arg, Args, Command,
    builder::{PathBufValueParser, TypedValueParser},
    error::ErrorKind,
};

/// Files of data directories. A directory with one of them counts as a data directory, so that the command itself
/// reports the missing ones.
const DATA_DIRECTORY_FILES: [&str; 8] = [
    "config.toml",
    "registrar.toml",
    "operator.toml",
    "keys.json",
    "key.json",
    "staff.json",
    "store.json",
    "store.sqlite",
];

/// Arguments of commands that work on a service's data directory.
#[derive(Debug, Clone, Args)]
pub struct DirectoryArgs {
    /// The data directory created by `init`.
    #[arg(long, value_parser = DataDirectoryParser)]
    pub data: PathBuf,
    /// A TOML file whose fields override DIR/config.toml.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Clap parser of `--data` for commands on an existing data directory. Any other path is a usage error.
#[derive(Debug, Clone, Copy)]
pub struct DataDirectoryParser;

impl TypedValueParser for DataDirectoryParser {
    type Value = PathBuf;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<PathBuf, clap::Error> {
        let path = PathBufValueParser::new().parse_ref(command, argument, value)?;
        if is_data_directory(&path) {
            return Ok(path);
        }
        let init = init_command(command.get_bin_name().unwrap_or_default());
        let message = format!(
            "there is no data directory at {}: `{init}` makes one. Nothing was started or changed.\n",
            path.display()
        );
        Err(clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command))
    }
}

fn is_data_directory(path: &Path) -> bool {
    DATA_DIRECTORY_FILES.iter().any(|name| path.join(name).exists())
}

/// Returns the command that creates the directory of a command such as `carnet-issuer registrar show`.
fn init_command(verb: &str) -> String {
    match verb.split(' ').collect::<Vec<_>>().as_slice() {
        [program, "registrar", ..] => format!("{program} registrar init"),
        [program, _, ..] => format!("{program} init"),
        _ => "init".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data: &Path) -> Result<PathBuf, clap::Error> {
        let list = Command::new("list").arg(Arg::new("data").long("data").value_parser(DataDirectoryParser));
        let program = Command::new("carnet-issuer").subcommand(Command::new("keys").subcommand(list));
        let words = ["carnet-issuer", "keys", "list", "--data"].map(OsStr::new);
        let matches = program.try_get_matches_from(words.into_iter().chain([data.as_os_str()]))?;
        let (_, keys) = matches.subcommand().unwrap();
        Ok(keys.subcommand().unwrap().1.get_one::<PathBuf>("data").unwrap().clone())
    }

    #[test]
    fn a_path_without_a_data_directory_is_a_fault_of_the_command_line() {
        let dir = tempfile::tempdir().unwrap();
        for wrong in [dir.path().to_owned(), dir.path().join("nowhere")] {
            let error = parse(&wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let said = error.to_string();
            let expected = format!("there is no data directory at {}: `carnet-issuer init` makes one", wrong.display());
            assert!(said.contains(&expected), "{said}");
        }
        std::fs::write(dir.path().join("config.toml"), "").unwrap();
        assert_eq!(parse(dir.path()).unwrap(), dir.path(), "the twin");
    }

    #[test]
    fn a_registrar_is_made_by_a_verb_of_its_own() {
        assert_eq!(init_command("carnet-issuer registrar sign"), "carnet-issuer registrar init");
        assert_eq!(init_command("carnet-trust sign"), "carnet-trust init");
    }
}
