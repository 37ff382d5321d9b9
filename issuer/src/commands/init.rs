//! Command `init`: creates a data directory.

use std::{net::SocketAddr, path::PathBuf};

use carnet_service::{
    keys::{KeyStorageArgs, commands::KeyAlgorithm},
    local::{self, LocalOptions},
    one_time_output, staff,
};
use clap::Args;
use serde_json::json;

use super::StaffFailure;
use crate::{
    server,
    setup::{self, NewIssuer},
};

/// Default port of the local site.
const LOCAL_PORT: &str = "7443";

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory to create.
    #[arg(long)]
    data: PathBuf,
    /// The issuer's DID, such as did:web:university.example; for did:webvh:university.example its identifier is added.
    #[arg(long, required_unless_present = "local")]
    did: Option<String>,
    /// For trials on this machine, never for production: a did:web on localhost, whose site `serve` serves itself at
    /// PORT.
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = LOCAL_PORT, conflicts_with = "did")]
    local: Option<u16>,
    /// With --local: start serving at once, as `serve` does.
    #[arg(long, requires = "local")]
    serve: bool,
    /// With --serve: the address to listen on; port 0 lets the system pick.
    #[arg(long, requires = "serve")]
    listen: Option<SocketAddr>,
    /// The name that wallets show, such as "University of Example".
    #[arg(long)]
    name: Option<String>,
    /// The algorithm of the signing key.
    #[arg(long, value_enum, default_value = "eddsa")]
    algorithm: KeyAlgorithm,
    #[command(flatten)]
    place: KeyStorageArgs,
    /// The name of the first staff member; the audit log records their actions under it.
    #[arg(long, value_name = "NAME", default_value = "admin", value_parser = staff::check_staff_name)]
    staff: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: InitArgs) -> Result<(), StaffFailure> {
    one_time_output::require_writable_output(args.json)?;
    let local = args.local.map(|port| LocalOptions { port });
    let did = local.map(LocalOptions::did).or(args.did).unwrap_or_default();
    let (place, kek) = args.place.prepare_storage(&args.data)?;
    let new = NewIssuer {
        did: &did,
        name: args.name.as_deref(),
        algorithm: args.algorithm.into(),
        key_storage: &place,
        staff_name: &args.staff,
        is_local: local.is_some(),
    };
    let made = match setup::init_issuer(&args.data, &new).await {
        Ok(made) => made,
        Err(error) => {
            if let Some(kek) = kek {
                kek.delete();
            }
            return Err(error.into());
        }
    };
    let document = made.document.display().to_string();
    let value = json!({
        "did": made.did.as_str(),
        "data": args.data.display().to_string(),
        "did_document": document,
        "publish_at": made.publication_url,
        "kek": kek.as_ref().map(|kek| kek.path().display().to_string()),
        "staff": args.staff,
        "staff_token": made.staff_token.as_str(),
        "local_site": local.map(|_| args.data.join(local::SITE_FILE).display().to_string()),
    });
    let text = || {
        let data = args.data.display();
        let published = match local {
            Some(_) => local::local_mode_explanation(&args.data, &made.publication_url),
            None => format!("Publish {document} at {url}, unchanged.", url = made.publication_url),
        };
        format!(
            "The issuer {did} is set up in {data}.\n\
             {published}\n\
             {kek}\n\
             Staff token of {staff} ({shown}, keep it secret):\n{token}\n\n\
             {next}: carnet-issuer serve --data {data}",
            next = local::start_introduction(args.serve),
            did = made.did,
            kek = kek.as_ref().map(|kek| format!("{}\n", kek.backup_notice(&args.data))).unwrap_or_default(),
            staff = args.staff,
            shown = local::staff_token_location(local, &args.data),
            token = made.staff_token.as_str(),
        )
    };
    let (staff, data) = (&args.staff, args.data.display());
    let made = format!("The issuer is set up in {data}, but the staff token of {staff} could not be printed.");
    let hint = format!("Run `carnet-issuer staff end --data {data} {staff}`, and `staff add` with another name.");
    one_time_output::show_once(args.json, &value, text, made, hint)?;
    if args.serve {
        server::serve(&args.data, None, args.listen).await?;
    }
    Ok(())
}
