//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{
    ui::messages::Language,
    wallet::file::{DEFAULT_WORK_FACTOR, GREATEST_WORK_FACTOR, LEAST_WORK_FACTOR},
};

/// Your wallet: receive credentials, see what you have, and show of it what you approve and nothing else.
///
/// Exit codes: 0 done, 1 a problem or a no, 2 used wrongly, 3 try again later.
/// With --json, every command prints one object on standard output, also when it fails: {"error": {...}}.
#[derive(Debug, Parser)]
#[command(name = "carnet", version, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// What every command understands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The wallet's file [default: ~/.local/share/carnet/wallet.age]
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
    /// Never ask; fail instead
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// The language of screens [default: from LANG]
    #[arg(long, global = true, value_enum)]
    pub(crate) lang: Option<Language>,
    /// Trust the certificates in this file (PEM) beside the system's
    #[arg(long, global = true, env = "CARNET_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Let did:web identifiers on this host point to this machine or a private network
    #[arg(long, global = true, env = "CARNET_PRIVATE_HOSTS", value_name = "HOST", value_delimiter = ',')]
    pub(crate) private_host: Vec<String>,
    /// Keep in this folder how far the wallet came, so that a file from a copy is known [default: ~/.local/state/carnet]
    #[arg(long, global = true, env = "CARNET_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Know the credential types in this folder (types/...) beside those that come with Carnet
    #[arg(long, global = true, env = "CARNET_CATALOGUE", value_name = "DIR")]
    pub(crate) catalogue: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new wallet
    Init(Init),
    /// Change the wallet's passphrase
    Passphrase(ChangePassphrase),
    /// Receive a credential that somebody offers
    Receive(Receive),
    /// Get fresh copies from the issuers, so that no two askers are shown the same one
    Refill(Refill),
    /// Have the issuers confirm that your documents hold, and get newer trust lists: for where there is no network
    Refresh(Refresh),
    /// Renew documents that are near their end, where their issuers allow it
    Renew(Renew),
    /// List what is in the wallet
    List,
    /// Show one credential to yourself
    Show(Show),
    /// Answer a request to show something
    Present(Present),
    /// Show who saw what, when and why, and when it is due to be gone; verify, export or forget it
    Log(LogArguments),
    /// Hand a signed receipt to others, or verify one that somebody hands you
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Copy the wallet's file to a safe place
    Backup(Backup),
    /// Put the wallet back from a copy; what it holds counts as shown
    Restore(Restore),
    /// Ask somebody to erase what you showed, with the receipt
    Erase(Erase),
    /// Write a complaint to the supervisory authority, for you to send
    Report(Report),
    /// Delete a credential
    Delete(Delete),
    /// Say whose word you take on who asks: registrars, whose registrations your wallet accepts
    #[command(subcommand)]
    Registrar(RegistrarCommand),
    /// Say by which trust lists you take the word of registrars and issuers
    #[command(subcommand)]
    Trust(TrustCommand),
}

/// `carnet init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// How hard the passphrase is to guess by trying, as a power of two; 18 takes about a second
    #[arg(long, value_name = "N", default_value_t = DEFAULT_WORK_FACTOR, value_parser = work_factor())]
    pub(crate) work_factor: u8,
    /// Keep the log of who saw what for so many days [default: for ever, until you choose with `carnet log keep`]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_525))]
    pub(crate) keep_log: Option<u32>,
}

/// `carnet passphrase`.
#[derive(Debug, Args)]
pub(crate) struct ChangePassphrase {
    /// Read the new passphrase from the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_fd")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Read the new passphrase from the first line of this open file descriptor
    #[arg(long, value_name = "N")]
    pub(crate) new_passphrase_fd: Option<u32>,
    /// How hard the passphrase is to guess by trying, as a power of two [default: as now]
    #[arg(long, value_name = "N", value_parser = work_factor())]
    pub(crate) work_factor: Option<u8>,
}

/// Parses a work factor within its limits.
fn work_factor() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(i64::from(LEAST_WORK_FACTOR)..=i64::from(GREATEST_WORK_FACTOR))
}

/// `carnet refill`.
#[derive(Debug, Args)]
pub(crate) struct Refill {
    /// Which credentials [default: those of which few fresh copies are left]
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All that can be refilled, however many copies are left
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
}

/// `carnet renew`.
#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// Which credentials [default: those that end within 30 days]
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
}

/// `carnet refresh`.
#[derive(Debug, Args)]
pub(crate) struct Refresh {
    /// Only if it is due, at a time drawn at random; for a timer that runs every hour or so
    #[arg(long)]
    pub(crate) when_due: bool,
}

/// `carnet receive`.
#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// The offer: openid-credential-offer://... [default: asks for it]
    #[arg(conflicts_with = "resume")]
    pub(crate) offer: Vec<String>,
    /// Go on with what was not ready, or whose answer was lost
    #[arg(long)]
    pub(crate) resume: bool,
    /// The PIN; others on this machine may see it, --pin-file is safer
    #[arg(long, value_name = "PIN", conflicts_with = "pin_file")]
    pub(crate) pin: Option<String>,
    /// Read the PIN from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Receive without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `carnet show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its id, or the beginning of it
    pub(crate) id: String,
}

/// `carnet present`.
#[derive(Debug, Args)]
pub(crate) struct Present {
    /// The request: openid4vp://... [default: asks for it]
    pub(crate) request: Vec<String>,
    /// Approve without asking: the digest of the request that you looked at before
    // One digest in 64 begins with a hyphen, and is no option for that.
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    pub(crate) yes: Option<String>,
    /// Answer with this credential only; may be given more than once
    #[arg(long = "use", value_name = "ID")]
    pub(crate) only: Vec<String>,
    /// Approve a claim that goes beyond what the asker is registered for; may be given more than once
    #[arg(long, value_name = "QUERY_ID:PATH")]
    pub(crate) approve: Vec<String>,
    /// Answer as if you had not this claim; may be given more than once
    #[arg(long, value_name = "QUERY_ID:PATH")]
    pub(crate) withhold: Vec<String>,
    /// Show, this one time, a copy that public lists have marked
    #[arg(long)]
    pub(crate) show_marked: bool,
    /// Say why it is these documents and claims that would go
    #[arg(long)]
    pub(crate) explain: bool,
}

/// `carnet registrar`.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistrarCommand {
    /// Accept the registrations of a registrar
    Add(AddRegistrar),
    /// List the registrars that you accept
    List,
    /// Accept them no more
    Remove(RemoveRegistrar),
}

/// `carnet registrar add`.
#[derive(Debug, Args)]
pub(crate) struct AddRegistrar {
    /// Its identifier: did:...
    pub(crate) did: String,
    /// Your name for it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// `carnet registrar remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveRegistrar {
    /// Its identifier: did:...
    pub(crate) did: String,
}

/// `carnet trust`.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Accept a trust list: its registrars count as those that you accept, and of issuers you learn whether they are listed
    Add(AddTrust),
    /// List the trust lists that you accept, and whether they hold
    List,
    /// Look for newer lists where they came from
    Update(UpdateTrust),
    /// Accept a list no more; an older one than you have seen stays refused
    Remove(RemoveTrust),
}

/// `carnet trust add`.
#[derive(Debug, Args)]
pub(crate) struct AddTrust {
    /// Where the list is: a file, or an https URL
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) list: String,
    /// The identifier of the list: did:...
    #[arg(long, value_name = "DID")]
    pub(crate) issuer: String,
    /// The identifier of an operator of the list; once for each
    #[arg(long = "operator", value_name = "DID", required = true)]
    pub(crate) operators: Vec<String>,
    /// How many of the operators must have signed
    #[arg(long, value_name = "N")]
    pub(crate) quorum: usize,
    /// The least number that the list may have, as its operators say it
    #[arg(long, value_name = "N")]
    pub(crate) least: Option<u64>,
    /// Accept the list with this digest although a newer one was seen before; its operators say which
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    pub(crate) accept: Option<String>,
}

/// `carnet trust update`.
#[derive(Debug, Args)]
pub(crate) struct UpdateTrust {
    /// Accept the list with this digest although a newer one was seen before; its operators say which
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    pub(crate) accept: Option<String>,
}

/// `carnet trust remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveTrust {
    /// The identifier of the list: did:...
    pub(crate) issuer: String,
}

/// `carnet log`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LogArguments {
    /// What to do with it instead.
    #[command(subcommand)]
    pub(crate) verb: Option<LogVerb>,
    /// Recompute the log's chain and verify every receipt in it; prints its head and how many entries it has
    ///
    /// It shows that no entry was changed, removed, put in or moved by chance or by somebody who could not write the rest
    /// anew. Whoever holds the passphrase could write the whole log anew or cut its end off: only a head that you noted
    /// elsewhere shows that, with --noted.
    #[arg(long, conflicts_with = "export")]
    pub(crate) verify: bool,
    /// A head that you noted before: verify that the log goes on from there
    // A digest may begin with a hyphen.
    #[arg(long, value_name = "HEAD", requires = "verify", allow_hyphen_values = true)]
    pub(crate) noted: Option<String>,
    /// Write log.json, and log.html for printing, into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) export: Option<PathBuf>,
}

/// `carnet log VERB`.
#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// Forget the log of before a day, for good: whoever gets your passphrase out of you reads all that is in it
    ///
    /// Entries, requests and receipts of before that day go, and with them the names of whoever saw a copy. A signed checkpoint
    /// stays in their place: that you forgot something, when, and of before which day can be seen. With receipts that went,
    /// erasure can no longer be asked for and nothing proved any more. Copies of the wallet's file that you made earlier still
    /// have it all, as may the disk.
    Forget(Forget),
    /// Choose for how long the log is kept, or say for how long it is; it is kept for ever until you choose
    Keep(KeepLog),
}

/// `carnet log forget`.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The first day that is kept, as 2026-11-30 (UTC)
    #[arg(long, value_name = "DAY")]
    pub(crate) before: String,
    /// Forget without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `carnet log keep`.
#[derive(Debug, Args)]
pub(crate) struct KeepLog {
    /// Forget what is older than so many days, with the next change of the wallet
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_525))]
    pub(crate) days: Option<u32>,
    /// Keep all of it
    #[arg(long, conflicts_with = "days")]
    pub(crate) forever: bool,
}

/// `carnet receipt`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Write a receipt with the request that it is for to a new file: whoever has it can prove what you showed, and when
    Export(ExportReceipt),
    /// Verify a receipt from somebody else, without a wallet and without a network
    Verify(VerifyReceipt),
}

/// `carnet receipt export`.
#[derive(Debug, Args)]
pub(crate) struct ExportReceipt {
    /// Whose: a client id, a DID, a name that only one has, or the number of a log entry
    pub(crate) who: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// `carnet receipt verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyReceipt {
    /// The file that `receipt export` wrote
    pub(crate) file: PathBuf,
    /// A registrar whose word you take on which key is whose: did:...; may be given more than once
    #[arg(long = "registrar", value_name = "DID")]
    pub(crate) registrars: Vec<String>,
    /// The DID document of a registrar whose identifier does not carry its key, as you got it from a place that you trust
    #[arg(long = "registrar-document", value_name = "FILE")]
    pub(crate) documents: Vec<PathBuf>,
}

/// `carnet backup`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write; the wallet's passphrase opens it, also after you change that of the wallet
    pub(crate) file: PathBuf,
}

/// `carnet restore`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The copy, as `backup` made it or you did
    pub(crate) file: PathBuf,
}

/// `carnet erase`.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// Who: a client id, a DID, a name that only one has, or the number of a log entry
    pub(crate) who: String,
    /// Ask them without asking you: the digest of what you looked at before
    // Without one it approves nothing, and what a digest is needed for is said. The next option is no digest: that has no hyphen.
    #[arg(long, value_name = "DIGEST", num_args = 0..=1, default_missing_value = "")]
    pub(crate) yes: Option<String>,
}

/// `carnet report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// About whom: a client id, a DID, a name that only one has, or the number of a log entry
    pub(crate) who: String,
    /// Write it to this new file: text, or with --json the JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `carnet delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Its id, or the beginning of it
    pub(crate) id: String,
    /// Delete without asking
    #[arg(long)]
    pub(crate) yes: bool,
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
            let Command::Present(present) = arguments.unwrap().command else { panic!("another command") };
            assert_eq!(present.yes.as_deref(), Some(digest));
        }
    }

    #[test]
    fn a_yes_without_a_digest_takes_no_other_option_for_one() {
        for (more, yes) in [(vec![], None), (vec!["--yes"], Some("")), (vec!["--yes", "0a"], Some("0a"))] {
            for options in [vec!["--json"], vec!["--wallet", "w"]] {
                let line = [vec!["carnet", "erase", "Agency"], more.clone(), options].concat();
                let Command::Erase(erase) = Arguments::try_parse_from(line).unwrap().command else {
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
