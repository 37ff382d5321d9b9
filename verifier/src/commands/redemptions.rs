//! `redemptions export` and `redemptions reconcile`: what desks that do not reach each other tell each other.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{did::Did, input::text_of_file};
use carnet_service::{config::StartError, keys::Keyring, store as ground, time};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Failure, Place};
use crate::{
    config::VerifierConfig,
    redemption::{
        RedemptionConfig,
        export::{Export, MAX_BYTES},
    },
    store::{DoubleUse, MIGRATIONS, Reconciled, RedemptionStore as _, Sqlite},
    verifier::Identity,
};

#[derive(Debug, Subcommand)]
pub(crate) enum RedemptionsVerb {
    /// Write the uses that this desk has marked, for the other desks.
    Export {
        #[command(flatten)]
        place: Place,
        /// Where to write them.
        file: PathBuf,
    },
    /// Take the other desks' marks, and find what was used too often. Exit code 1: something was.
    Reconcile {
        #[command(flatten)]
        place: Place,
        /// The other desks' exports.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

struct Desk {
    config: RedemptionConfig,
    identity: Identity,
}

pub(super) async fn run(verb: RedemptionsVerb) -> Result<u8, Failure> {
    match verb {
        RedemptionsVerb::Export { place, file } => export(&place, &file).await,
        RedemptionsVerb::Reconcile { place, files } => reconcile(&place, &files).await,
    }
}

fn desk(place: &Place) -> Result<Desk, Failure> {
    let config = VerifierConfig::load(&place.data, place.config.as_deref())?;
    let refused = |what: String| StartError::new(what, "Correct config.toml. Nothing was changed.");
    let Some(redemption) = config.redemption else {
        return Err(refused(
            "There is no [redemption] in the configuration: this verifier has no other desks.".to_owned(),
        )
        .into());
    };
    let did = Did::parse(&config.did).map_err(|problem| refused(format!("did is refused: {problem}.")))?;
    let identity = Identity::new(did, config.name, Keyring::open(&place.data, &config.keys)?)
        .ok_or_else(|| refused(format!("{} is not a DID of the key in the data directory.", config.did)))?;
    Ok(Desk { config: redemption, identity })
}

fn broken(what: impl std::fmt::Display) -> StartError {
    StartError::new(
        format!("The store failed: {what}."),
        "Nothing was changed. Try again; if it stays, restore a backup.",
    )
}

async fn export(place: &Place, file: &Path) -> Result<u8, Failure> {
    let Desk { config, identity } = desk(place)?;
    let store = ground::open(&place.data, &MIGRATIONS).await?;
    let exported = Sqlite::new(store.database.clone()).export(&config.desk, time::now()).await;
    store.close().await;
    let export = exported.map_err(broken)?;
    let text = export.sign(&identity).map_err(|problem| {
        StartError::new(format!("The export cannot be signed: {problem}."), "Nothing was written. Check the key.")
    })?;
    std::fs::write(file, text).map_err(|error| {
        Failure::Input(format!(
            "{} cannot be written: {error}. The marks are safe.\nhint: check the path",
            file.display()
        ))
    })?;
    let (desk, number, marks) = (&export.desk, export.number, export.marks.len());
    if place.json {
        carnet_console::line(json!({"desk": desk, "number": number, "marks": marks, "last": export.last}));
    } else {
        carnet_console::line(format_args!(
            "Export {number} of {desk}: {marks} uses. Take it to the other desks: carnet-verifier redemptions reconcile"
        ));
    }
    Ok(0)
}

async fn reconcile(place: &Place, files: &[PathBuf]) -> Result<u8, Failure> {
    let Desk { config, identity } = desk(place)?;
    let own = identity.resolver().map_err(|problem| broken(format!("the DID document: {problem}")))?;
    let mut exports = Vec::new();
    for file in files {
        let refused = |what: String| {
            Failure::Input(format!(
                "{}: {what}. Nothing was taken from any file.\nhint: export it again at its desk",
                file.display()
            ))
        };
        let text = read(file).map_err(|error| {
            Failure::Unreadable(format!(
                "{} cannot be read: {error}. Nothing was taken from any file.\nhint: check the path",
                file.display()
            ))
        })?;
        let export = Export::verify(&text, &identity, &own).map_err(|problem| refused(problem.to_string()))?;
        if export.desk != config.desk && !config.others.contains(&export.desk) {
            return Err(refused(format!("desk {:?} is not one of [redemption] others", export.desk)));
        }
        exports.push(export);
    }
    let store = ground::open(&place.data, &MIGRATIONS).await?;
    let taken = Sqlite::new(store.database.clone()).take(&config.desk, &config.others, &exports, time::now()).await;
    store.close().await;
    let taken = taken.map_err(|error| {
        let hint =
            "Nothing was taken. If two desks have one name, or one was set back to a backup, give it another name.";
        StartError::new(format!("The desks cannot be reconciled: {error}."), hint)
    })?;
    if place.json {
        carnet_console::line(report(&config, &exports, &taken));
    } else {
        carnet_console::out(report_text(&config, &exports, &taken));
    }
    Ok(if taken.double.is_empty() { 0 } else { 1 })
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut content = Vec::new();
    let read = std::fs::File::open(file)?.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(std::io::Error::other("it is too large"));
    }
    text_of_file(&content).map(str::to_owned).map_err(std::io::Error::other)
}

fn name<'a>(config: &'a RedemptionConfig, desk: &'a str) -> &'a str {
    if desk.is_empty() { &config.desk } else { desk }
}

fn report(config: &RedemptionConfig, exports: &[Export], taken: &Reconciled) -> Value {
    let exports = exports.iter().map(|export| {
        let Export { desk, number, marks, .. } = export;
        json!({"desk": desk, "number": number, "marks": marks.len(), "new": taken.fresh.contains(desk)})
    });
    let double = taken.double.iter().map(|double| {
        let marks = double.marks.iter().map(|(desk, at)| json!({"desk": name(config, desk), "at": at.to_string()}));
        let entitlement = URL_SAFE_NO_PAD.encode(&double.entitlement);
        json!({"entitlement": entitlement, "uses": double.uses, "marks": marks.collect::<Vec<_>>()})
    });
    let (exports, double) = (exports.collect::<Vec<_>>(), double.collect::<Vec<_>>());
    json!({"desk": config.desk, "exports": exports, "reconciled": taken.synced, "double_uses": double})
}

fn report_text(config: &RedemptionConfig, exports: &[Export], taken: &Reconciled) -> String {
    let mut text = String::new();
    for export in exports {
        let known = if taken.fresh.contains(&export.desk) { "" } else { ", nothing newer than before" };
        text.push_str(&format!("{}: export {}, {} uses{known}\n", export.desk, export.number, export.marks.len()));
    }
    text.push_str(if taken.synced {
        "Reconciled with all other desks; the bound begins anew.\n"
    } else {
        "Not every other desk's new export was here, so that the bound does not begin anew.\n"
    });
    for DoubleUse { entitlement, uses, marks } in &taken.double {
        let entitlement = URL_SAFE_NO_PAD.encode(entitlement);
        text.push_str(&format!("USED TOO OFTEN: {entitlement}, {} times of {uses}\n", marks.len()));
        for (desk, at) in marks {
            text.push_str(&format!("  {at}  {}\n", name(config, desk)));
        }
    }
    text
}
