//! Command line of `carnet`. The comments of subcommands and options are its help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{
    ui::messages::Language,
    wallet::file::{DEFAULT_WORK_FACTOR, MAX_WORK_FACTOR, MIN_WORK_FACTOR},
};

mod papers;
mod transfer;
mod trust;

pub(crate) use papers::{AddPaper, DeletePaper, PaperCommand, SharePaper};
pub(crate) use transfer::{Delete, Export, Import};
pub(crate) use trust::{
    AddLocal, AddRegistrar, AddTrust, LocalCommand, RegistrarCommand, RemoveLocal, RemoveRegistrar, RemoveTrust,
    TrustCommand, UpdateTrust,
};

/// Your wallet: receive credentials, see what you have, and show only what you approve.
///
/// Without a command, a terminal shows a menu of numbers.
///
/// Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 try again later.
/// With --json, every command prints one object on standard output, also on failure: {"error": {...}}.
#[derive(Debug, Parser)]
#[command(name = "carnet", version, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    /// Command; without one, a terminal gets the menu.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options of all commands.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalOptions {
    /// The file of the wallet [default: ~/.local/share/carnet/wallet.age]
    #[arg(long, global = true, env = "CARNET_WALLET", value_name = "FILE")]
    pub(crate) wallet: Option<PathBuf>,
    /// Read the passphrase from the first line of this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "passphrase_fd")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from the first line of this open file descriptor
    #[arg(long, global = true, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// Print one JSON object, and never ask
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Never ask a question; fail instead
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// The language of the screens: that of this program, or one of the --catalogue (languages/TAG.ftl) [default: the
    /// one chosen in the menu, otherwise from LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, global = true, value_name = "TAG", value_parser = Language::parse)]
    pub(crate) lang: Option<Language>,
    /// Show identifiers (DIDs) and digests on screens, not only names
    #[arg(long, global = true)]
    pub(crate) details: bool,
    /// Trust the certificates in this file (PEM) in addition to the system's
    #[arg(long, global = true, env = "CARNET_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Let did:web identifiers and OpenID links on this host lead to this machine or a private network
    #[arg(long, global = true, env = "CARNET_PRIVATE_HOSTS", value_name = "HOST", value_delimiter = ',')]
    pub(crate) private_host: Vec<String>,
    /// Record the wallet's progress in this folder, to recognise an outdated copy of its file [default:
    /// ~/.local/state/carnet]
    #[arg(long, global = true, env = "CARNET_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Load credential types, request templates, procedures and the URLs of types from this folder (types/, requests/,
    /// services/, vct.toml) in addition to those of Carnet
    #[arg(long, global = true, env = "CARNET_CATALOGUE", value_name = "DIR")]
    pub(crate) catalogue: Option<PathBuf>,
}

#[cfg(test)]
impl GlobalOptions {
    /// Returns options for tests: no questions, and English screens.
    pub(crate) fn unattended(wallet: &std::path::Path, passphrase_file: PathBuf) -> Self {
        Self {
            wallet: Some(wallet.to_owned()),
            passphrase_file: Some(passphrase_file),
            passphrase_fd: None,
            json: false,
            no_input: true,
            lang: Some(Language::En),
            details: false,
            ca: None,
            private_host: Vec::new(),
            state: None,
            catalogue: None,
        }
    }
}

/// Subcommands of `carnet`, with their arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new wallet
    Init(Init),
    /// Change the wallet's passphrase
    Passphrase(ChangePassphrase),
    /// Receive a credential that someone offers
    Receive(Receive),
    /// Get fresh copies from the issuers, so that no two askers see the same copy
    Refill(Refill),
    /// Have issuers confirm that your documents are valid, to prove it offline; also get newer trust lists
    Refresh(Refresh),
    /// Renew documents that are near their end, where their issuers allow it
    Renew(Renew),
    /// List what is in the wallet
    List,
    /// List errands such as a bank account, the documents that each asks for, and those that you have
    Need(NeedArguments),
    /// Keep pictures and scans of paper documents in the wallet; they are never presented as credentials
    #[command(subcommand)]
    Paper(PaperCommand),
    /// Show one credential to yourself
    Show(Show),
    /// Answer a request for proof
    Present(Present),
    /// Show who saw what, when, why and until when; verify, export or forget the log
    Log(LogArguments),
    /// Export a signed receipt for others, or verify one that you were given
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Copy the wallet's file to a safe place
    Backup(Backup),
    /// Export one copy of a document with its key, for another wallet
    Export(Export),
    /// Import a copy of a document with its key, from a file
    Import(Import),
    /// Restore the wallet from a backup; every copy in it counts as shown
    Restore(Restore),
    /// Ask a verifier to erase the data that you shared, with its receipt
    Erase(Erase),
    /// Write a complaint to the supervisory authority, for you to send
    Report(Report),
    /// Delete a credential; it can be taken back for 30 days with `carnet undo`
    Delete(Delete),
    /// Take back the credential that you deleted last
    Undo(Undo),
    /// Print a script with which your shell completes the commands
    Completions(Completions),
    /// Print the manual page, or write one for each command into a folder
    Man(Man),
    /// Manage the registrars whose registrations your wallet accepts
    #[command(subcommand)]
    Registrar(RegistrarCommand),
    /// Manage the services on this machine that you try out; for trials, never for production
    #[command(subcommand)]
    Local(LocalCommand),
    /// Manage the trust lists by which you accept registrars and issuers
    #[command(subcommand)]
    Trust(TrustCommand),
}

/// Arguments of `carnet init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Passphrase hashing cost: the binary logarithm of scrypt's N; 18 takes about a second
    #[arg(long, value_name = "N", default_value_t = DEFAULT_WORK_FACTOR, value_parser = work_factor())]
    pub(crate) work_factor: u8,
    /// Keep log entries for this many days [default: forever, until you choose with `carnet log keep`]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_525))]
    pub(crate) keep_log: Option<u32>,
    /// Add services on this machine, for trials; same as `carnet local add`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) local: Vec<PathBuf>,
}

/// Arguments of `carnet passphrase`.
#[derive(Debug, Args)]
pub(crate) struct ChangePassphrase {
    /// Read the new passphrase from the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_fd")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Read the new passphrase from the first line of this open file descriptor
    #[arg(long, value_name = "N")]
    pub(crate) new_passphrase_fd: Option<u32>,
    /// Passphrase hashing cost: the binary logarithm of scrypt's N [default: unchanged]
    #[arg(long, value_name = "N", value_parser = work_factor())]
    pub(crate) work_factor: Option<u8>,
}

/// Returns the parser of a work factor, which checks its limits.
fn work_factor() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(i64::from(MIN_WORK_FACTOR)..=i64::from(MAX_WORK_FACTOR))
}

/// Arguments of `carnet refill`.
#[derive(Debug, Args)]
pub(crate) struct Refill {
    /// Credentials to refill [default: those with few fresh copies left]
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Refill all credentials that allow it, however many copies are left
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
}

/// Arguments of `carnet renew`.
#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// Credentials to renew [default: those that end within 30 days]
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
}

/// Arguments of `carnet refresh`.
#[derive(Debug, Args)]
pub(crate) struct Refresh {
    /// Do nothing unless a refresh is due; the times are random. For a timer that runs about every hour
    #[arg(long)]
    pub(crate) when_due: bool,
}

/// Arguments of `carnet receive`.
#[derive(Debug, Default, Args)]
pub(crate) struct Receive {
    /// The link of the offer: openid-credential-offer://... [default: asks for it]
    #[arg(conflicts_with = "resume")]
    pub(crate) offer: Vec<String>,
    /// Read the link from a picture of its QR code (PNG or JPEG); a link that ends in .png or .jpg is taken as one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["offer", "resume"])]
    pub(crate) picture: Option<PathBuf>,
    /// Resume offers whose credentials were not ready, or whose response was lost
    #[arg(long)]
    pub(crate) resume: bool,
    /// The PIN; others on this machine may see it, --pin-file is safer
    #[arg(long, value_name = "PIN", conflicts_with = "pin_file")]
    pub(crate) pin: Option<String>,
    /// Read the PIN from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Receive without asking for consent
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Arguments of `carnet need`.
#[derive(Debug, Args)]
pub(crate) struct NeedArguments {
    /// Id of the procedure, such as bank-account [default: lists all]
    pub(crate) procedure: Option<String>,
}

/// Arguments of `carnet show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Id of the credential, or a prefix of it
    pub(crate) id: String,
}

/// Arguments of `carnet present`.
#[derive(Debug, Default, Args)]
pub(crate) struct Present {
    /// The link of the request: openid4vp://... [default: asks for it]
    pub(crate) request: Vec<String>,
    /// Read the link from a picture of its QR code (PNG or JPEG); a link that ends in .png or .jpg is taken as one
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    pub(crate) picture: Option<PathBuf>,
    /// Approve without asking: the digest that an earlier run printed
    // One digest in 64 begins with a hyphen, and is no option for that.
    /// Approve without asking: the digest of request and answer that an earlier run printed
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    pub(crate) yes: Option<String>,
    /// Answer with this credential only; may be given more than once
    #[arg(long = "use", value_name = "ID")]
    pub(crate) credential_ids: Vec<String>,
    /// Approve a claim that exceeds the registration of the asker; may be given more than once
    #[arg(long, value_name = "QUERY_ID:PATH")]
    pub(crate) approve: Vec<String>,
    /// Answer as if you did not have this claim; may be given more than once
    #[arg(long, value_name = "QUERY_ID:PATH")]
    pub(crate) withhold: Vec<String>,
    /// Share a copy once although public status lists link it to other copies of yours
    #[arg(long)]
    pub(crate) show_marked: bool,
    /// Explain why these credentials and claims were chosen
    #[arg(long)]
    pub(crate) explain: bool,
}

/// Arguments of `carnet log`.
#[derive(Debug, Default, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LogArguments {
    /// Subcommand; without one, the log is displayed, verified or exported.
    #[command(subcommand)]
    pub(crate) verb: Option<LogCommand>,
    /// Recompute the log's hash chain and verify every receipt in it; prints the head and the number of entries
    ///
    /// This detects entries that were changed, removed, inserted or moved by chance, or by somebody who could not
    /// rewrite the rest of the log. Somebody with the passphrase could rewrite the whole log or cut off its end; only a
    /// head that you noted elsewhere reveals that, with --noted.
    #[arg(long, conflicts_with = "export")]
    pub(crate) verify: bool,
    /// A head that you noted before: verify that the log continues from it
    // A digest may begin with a hyphen.
    /// A head that you noted before: verify that the log has it and continues from it
    #[arg(long, value_name = "HEAD", requires = "verify", allow_hyphen_values = true)]
    pub(crate) noted: Option<String>,
    /// Write log.json, and log.html for printing, into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) export: Option<PathBuf>,
}

/// Subcommands of `carnet log`.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Permanently delete the log entries from before a day, so that nobody who forces you to unlock the wallet can
    /// read them
    ///
    /// Entries, requests and receipts from before that day are deleted, and with them the names of those who saw a
    /// copy. A signed checkpoint takes their place: it shows that entries were deleted, when, and up to which day.
    /// Without the receipts you can no longer ask for erasure or prove anything. Earlier copies of the wallet file, and
    /// possibly the disk, still contain all of it.
    Forget(Forget),
    /// Choose for how long the log is kept, or show the current choice; the default is forever
    Keep(KeepLog),
}

/// Arguments of `carnet log forget`.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The first day to keep, as 2026-11-30 (UTC)
    #[arg(long, value_name = "DAY")]
    pub(crate) before: String,
    /// Delete without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Arguments of `carnet log keep`.
#[derive(Debug, Args)]
pub(crate) struct KeepLog {
    /// Delete entries older than this many days, with each change of the wallet
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_525))]
    pub(crate) days: Option<u32>,
    /// Keep all entries
    #[arg(long, conflicts_with = "days")]
    pub(crate) forever: bool,
}

/// Subcommands of `carnet receipt`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Write a receipt and its request to a new file: anybody who has it can prove what you showed, and when
    Export(ExportReceipt),
    /// Verify a receipt from someone else, without a wallet and without a network
    Verify(VerifyReceipt),
}

/// Arguments of `carnet receipt export`.
#[derive(Debug, Args)]
pub(crate) struct ExportReceipt {
    /// The asker: a client id, a DID, an unambiguous name, or the number of a log entry
    pub(crate) who: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Arguments of `carnet receipt verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyReceipt {
    /// The file that `receipt export` wrote
    pub(crate) file: PathBuf,
    /// A registrar that you trust to say which key belongs to whom: did:...; may be given more than once
    #[arg(long = "registrar", value_name = "DID")]
    pub(crate) registrars: Vec<String>,
    /// The DID document of a registrar whose identifier does not contain its key, from a source that you trust
    #[arg(long = "registrar-document", value_name = "FILE")]
    pub(crate) documents: Vec<PathBuf>,
}

/// Arguments of `carnet backup`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write; the wallet's current passphrase opens it, also after you change that of the wallet
    pub(crate) file: PathBuf,
    /// Let twelve words open it, which you write down; a few of them are asked back before it is written
    #[arg(long, conflicts_with = "shares")]
    pub(crate) words: bool,
    /// Let so many people open it together, each with a sheet that is written beside the file (2 to 10)
    #[arg(long, value_name = "K", requires = "of", value_parser = clap::value_parser!(u8).range(2..=10))]
    pub(crate) shares: Option<u8>,
    /// The number of sheets (2 to 10)
    #[arg(long, value_name = "N", requires = "shares", value_parser = clap::value_parser!(u8).range(2..=10))]
    pub(crate) of: Option<u8>,
}

/// Arguments of `carnet restore`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The copy, made by `backup` or by yourself
    pub(crate) file: PathBuf,
    /// Open it with the sheets of several people; asks for the words on each
    #[arg(long)]
    pub(crate) shares: bool,
}

/// Arguments of `carnet erase`.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// The asker: a client id, a DID, an unambiguous name, or the number of a log entry
    pub(crate) who: String,
    /// Send without asking: the digest that an earlier run printed
    // Without a value it approves nothing and prints that a digest is needed. A digest has no hyphen, so the next
    // option cannot be taken for one.
    #[arg(long, value_name = "DIGEST", num_args = 0..=1, default_missing_value = "")]
    pub(crate) yes: Option<String>,
}

/// Arguments of `carnet report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The asker: a client id, a DID, an unambiguous name, or the number of a log entry
    pub(crate) who: String,
    /// Write it to this new file: text, or with --json the JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `carnet completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell that reads the script
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of `carnet man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write carnet.1, and a page for each command, into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `carnet undo`.
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// Id of the deleted credential, or a prefix of it [default: the one that was deleted last]
    pub(crate) id: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_digest_may_begin_with_a_hyphen() {
        for digest in ["5dc3J_1j_3YQwZ292w8hc-Nr7QyDOx-_dZtlC1klnmE", "-0c3J_1j_3YQwZ292w8hc-Nr7QyDOx-_dZtlC1klnmE"] {
            let arguments =
                Arguments::try_parse_from(["carnet", "present", "openid4vp://x", "--yes", digest, "--json"]);
            let Some(Command::Present(present)) = arguments.unwrap().command else { panic!("another command") };
            assert_eq!(present.yes.as_deref(), Some(digest));
        }
    }

    #[test]
    fn a_yes_without_a_digest_takes_no_other_option_for_one() {
        for (more, yes) in [(vec![], None), (vec!["--yes"], Some("")), (vec!["--yes", "0a"], Some("0a"))] {
            for options in [vec!["--json"], vec!["--wallet", "w"]] {
                let line = [vec!["carnet", "erase", "Agency"], more.clone(), options].concat();
                let Some(Command::Erase(erase)) = Arguments::try_parse_from(line).unwrap().command else {
                    panic!("another command")
                };
                assert_eq!((erase.who.as_str(), erase.yes.as_deref()), ("Agency", yes));
            }
        }
    }

    #[test]
    fn a_weak_work_factor_is_refused() {
        assert!(Arguments::try_parse_from(["carnet", "init", "--work-factor", "12"]).is_ok());
        for bad in ["11", "0", "21"] {
            assert!(Arguments::try_parse_from(["carnet", "init", "--work-factor", bad]).is_err());
            assert!(Arguments::try_parse_from(["carnet", "passphrase", "--work-factor", bad]).is_err());
        }
    }
}
