//! Commands `redemptions key`, `export`, `reconcile`, `write-off` and `totals`: exchange of redeemed uses between
//! offline desks, and totals.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{did::Did, input::decode_file_text, keys::Signer as _};
use carnet_service::{config::StartError, directory::DirectoryArgs, store as ground, time};
use clap::Subcommand;
use serde_json::{Value, json};

use super::StaffFailure;
use crate::{
    config::VerifierConfig,
    redemption::{
        desks::{OwnDesk, RedemptionConfig, max_uses_before_reconciliation, open_or_create_desk_key},
        export::{DeskExport, MAX_EXPORT_BYTES},
        reconciliation::{self, OverusedVoucher, ReconcileError, Reconciliation, WrittenOffDesk},
    },
    sqlite::{MIGRATIONS, SqliteStore},
};

mod totals;

#[derive(Debug, Subcommand)]
pub(crate) enum RedemptionsCommand {
    /// Print this desk's own public key, for the configurations of the others; the first call creates it.
    Key {
        #[command(flatten)]
        place: DirectoryArgs,
    },
    /// Write the uses redeemed by this desk to a file, for the other desks.
    Export {
        #[command(flatten)]
        place: DirectoryArgs,
        /// The file to write.
        file: PathBuf,
    },
    /// Import the uses redeemed by the other desks, and find vouchers that were used too often. Exit code 1: there are
    /// some.
    Reconcile {
        #[command(flatten)]
        place: DirectoryArgs,
        /// The exports of the other desks.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Continue without a lost desk: its exports are refused from now on, and the maximum number of uses that it may
    /// have redeemed is computed.
    WriteOff {
        #[command(flatten)]
        place: DirectoryArgs,
        /// The name of the desk. No desk gets it again: one that is found later needs a new name and a new key.
        desk: String,
    },
    /// Print the number of uses redeemed by this desk, by template, issuer and month, and the desks written off.
    Totals {
        #[command(flatten)]
        place: DirectoryArgs,
    },
}

/// This desk and its configuration.
struct OpenedDesk {
    config: RedemptionConfig,
    desk: OwnDesk,
}

pub(super) async fn run(verb: RedemptionsCommand) -> Result<u8, StaffFailure> {
    match verb {
        RedemptionsCommand::Export { place, file } => export(&place, &file).await,
        RedemptionsCommand::Reconcile { place, files } => reconcile(&place, &files).await,
        RedemptionsCommand::Key { place } => print_key(&place),
        RedemptionsCommand::WriteOff { place, desk } => write_off(&place, &desk).await,
        RedemptionsCommand::Totals { place } => totals::run(&place).await,
    }
}

fn open_desk(place: &DirectoryArgs) -> Result<OpenedDesk, StaffFailure> {
    let config = VerifierConfig::load(&place.data, place.config.as_deref())?;
    let refused = |what: String| StartError::new(what, "Correct config.toml. Nothing was changed.");
    let Some(redemption) = config.redemption else {
        return Err(refused(
            "There is no [redemption] in the configuration: this verifier has no other desks.".to_owned(),
        )
        .into());
    };
    let did = Did::parse(&config.did).map_err(|problem| refused(format!("did is refused: {problem}.")))?;
    let desk = OwnDesk::open(&place.data, &redemption, did, &config.keys)?;
    Ok(OpenedDesk { config: redemption, desk })
}

fn sqlite_store(store: &ground::OpenStore) -> SqliteStore {
    SqliteStore::new(store.database.clone())
}

fn print_key(place: &DirectoryArgs) -> Result<u8, StaffFailure> {
    // Works before the keys of the others are known, so that the first desk can have one too.
    let keys = VerifierConfig::load_keys_config(&place.data, place.config.as_deref())?;
    let key = open_or_create_desk_key(&place.data, &keys)?.public_key().to_multikey();
    if place.json {
        carnet_console::print_line(json!({ "key": key }));
    } else {
        carnet_console::print_line(format_args!(
            "{key}\nWrite it as `key` of this desk in [[redemption.others]] of every other desk, over a channel that \
             nobody can tamper with."
        ));
    }
    Ok(0)
}

async fn write_off(place: &DirectoryArgs, name: &str) -> Result<u8, StaffFailure> {
    let OpenedDesk { config, .. } = open_desk(place)?;
    let Some(other) = config.other_desk(name) else {
        return Err(StaffFailure::Input(format!(
            "{name:?} is not one of [redemption] others. Nothing was changed.\nhint: name the desk as the configuration does"
        )));
    };
    let store = ground::open_store(&place.data, &MIGRATIONS).await?;
    let done = reconciliation::write_off(&sqlite_store(&store), name, other.offline_uses, time::now()).await;
    store.close().await;
    let WrittenOffDesk { written_off_at: at, last_mark: last, max_unseen_uses: unseen, .. } =
        done.map_err(store_error)?;
    if place.json {
        carnet_console::print_line(json!({"desk": name, "at": at.to_string(), "last": last, "unseen": unseen}));
    } else {
        carnet_console::print_line(format_args!(
            "{name} was written off at {at}. Its marks are known up to number {last}; besides, it could have let through {unseen} uses that nobody will see.\n\
             Do the same at every other desk, take {name} out of [redemption] there when all have, and give a desk that is found again another name."
        ));
    }
    Ok(0)
}

fn store_error(what: impl std::fmt::Display) -> StartError {
    StartError::new(
        format!("The store failed: {what}."),
        "Nothing was changed. Try again; if it happens again, restore a backup.",
    )
}

async fn export(place: &DirectoryArgs, file: &Path) -> Result<u8, StaffFailure> {
    let OpenedDesk { config, desk } = open_desk(place)?;
    let store = ground::open_store(&place.data, &MIGRATIONS).await?;
    let exported = reconciliation::create_export(&sqlite_store(&store), &config.desk, time::now()).await;
    store.close().await;
    let export = exported.map_err(store_error)?;
    let text = export.sign(&desk).map_err(|problem| {
        StartError::new(format!("The export cannot be signed: {problem}."), "Nothing was written. Check the key.")
    })?;
    std::fs::write(file, text).map_err(|error| {
        StaffFailure::Input(format!(
            "{} cannot be written: {error}. The marks are safe.\nhint: check the path",
            file.display()
        ))
    })?;
    let (name, number, marks) = (&export.desk, export.number, export.marks.len());
    if place.json {
        carnet_console::print_line(json!({"desk": name, "number": number, "marks": marks, "last": export.last_mark}));
    } else {
        carnet_console::print_line(format_args!(
            "Export {number} of {name}: {marks} uses. Take it to the other desks: carnet-verifier redemptions reconcile"
        ));
    }
    Ok(0)
}

async fn reconcile(place: &DirectoryArgs, files: &[PathBuf]) -> Result<u8, StaffFailure> {
    let OpenedDesk { config, desk } = open_desk(place)?;
    let key_of = |name: &str| match config.other_desk(name) {
        Some(other) => other.public_key(),
        None => (name == config.desk).then(|| desk.key.public_key()),
    };
    let mut exports = Vec::new();
    for file in files {
        let refused = |what: String| {
            StaffFailure::Input(format!(
                "{}: {what}. Nothing was imported from any file.\nhint: export it again at its desk",
                file.display()
            ))
        };
        let text = read_export(file).map_err(|error| {
            StaffFailure::Unreadable(format!(
                "{} cannot be read: {error}. Nothing was imported from any file.\nhint: check the path, and that the file is text in UTF-8",
                file.display()
            ))
        })?;
        let export =
            DeskExport::verify(&text, &desk.organisation, key_of).map_err(|problem| refused(problem.to_string()))?;
        let bound = config.other_desk(&export.desk).map(|other| other.offline_uses);
        if let Some(bound) = bound.filter(|bound| export.unreconciled_uses() > u64::from(*bound)) {
            return Err(refused(format!(
                "desk {} has marked {} uses since it was last reconciled, and its bound here is {bound}: reconcile that desk first, or correct its offline_uses",
                export.desk,
                export.unreconciled_uses()
            )));
        }
        exports.push(export);
    }
    let store = ground::open_store(&place.data, &MIGRATIONS).await?;
    let others: Vec<String> = config.others.iter().map(|other| other.desk.clone()).collect();
    let taken = reconciliation::reconcile(&sqlite_store(&store), &config.desk, &others, &exports, time::now()).await;
    store.close().await;
    let taken = taken.map_err(|error| {
        let hint = match &error {
            ReconcileError::WrittenOff { .. } => {
                "Nothing was imported. Leave out that desk's file; a desk that was found again needs a new name and a \
                 new key."
            }
            _ => {
                "Nothing was imported. If two desks share a name, or one was restored from a backup, give it a new \
                 name and a new key."
            }
        };
        StartError::new(format!("The desks cannot be reconciled: {error}."), hint)
    })?;
    if place.json {
        carnet_console::print_line(report_json(&config, &exports, &taken));
    } else {
        carnet_console::print(report_text(&config, &exports, &taken));
    }
    Ok(if taken.overused.is_empty() { 0 } else { 1 })
}

fn read_export(file: &Path) -> std::io::Result<String> {
    let mut content = Vec::new();
    let read = std::fs::File::open(file)?.take(MAX_EXPORT_BYTES.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_EXPORT_BYTES {
        return Err(std::io::Error::other("it is too large"));
    }
    decode_file_text(&content).map(str::to_owned).map_err(std::io::Error::other)
}

fn desk_name<'a>(config: &'a RedemptionConfig, desk: &'a str) -> &'a str {
    if desk.is_empty() { &config.desk } else { desk }
}

fn report_json(config: &RedemptionConfig, exports: &[DeskExport], taken: &Reconciliation) -> Value {
    let exports = exports.iter().map(|export| {
        let DeskExport { desk, number, marks, .. } = export;
        json!({"desk": desk, "number": number, "marks": marks.len(), "new": taken.newer_exports.contains(desk)})
    });
    let double = taken.overused.iter().map(|double| {
        let marks = double.marks.iter().map(|(desk, at)| json!({"desk": desk_name(config, desk), "at": at.to_string()}));
        let entitlement = URL_SAFE_NO_PAD.encode(double.entitlement);
        let most = max_uses_before_reconciliation(double.uses, config.offline_limits());
        json!({"entitlement": entitlement, "uses": double.uses, "let_through": most, "marks": marks.collect::<Vec<_>>()})
    });
    let (exports, double) = (exports.collect::<Vec<_>>(), double.collect::<Vec<_>>());
    json!({"desk": config.desk, "exports": exports, "reconciled": taken.is_complete, "double_uses": double})
}

fn report_text(config: &RedemptionConfig, exports: &[DeskExport], taken: &Reconciliation) -> String {
    let mut text = String::new();
    for export in exports {
        let known = if taken.newer_exports.contains(&export.desk) { "" } else { ", nothing newer than before" };
        text.push_str(&format!("{}: export {}, {} uses{known}\n", export.desk, export.number, export.marks.len()));
    }
    text.push_str(if taken.is_complete {
        "Reconciled with all other desks; the count towards the bound restarts.\n"
    } else {
        "New exports of some desks are missing, so the count towards the bound does not restart.\n"
    });
    for OverusedVoucher { entitlement, uses, marks } in &taken.overused {
        let entitlement = URL_SAFE_NO_PAD.encode(entitlement);
        let most = max_uses_before_reconciliation(*uses, config.offline_limits());
        text.push_str(&format!("USED TOO OFTEN: {entitlement}, {} times of {uses}", marks.len()));
        // More marks than the bounds allow: a desk exceeded its own bound, or has another bound than configured here.
        let beyond = u64::try_from(marks.len()).is_ok_and(|marks| marks > most);
        text.push_str(if beyond { "; the desks' bounds do not explain it\n" } else { "\n" });
        for (desk, at) in marks {
            text.push_str(&format!("  {at}  {}\n", desk_name(config, desk)));
        }
    }
    text
}
