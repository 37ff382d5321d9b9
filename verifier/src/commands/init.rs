//! Command `init`: creates a data directory.

use std::{net::SocketAddr, path::PathBuf};

use carnet_fetch::local::LocalSite;
use carnet_service::{
    keys::{KeyStorageArgs, commands::KeyAlgorithm},
    local::{self as service_local, LocalOptions},
    one_time_output, staff,
};
use carnet_spec::Catalogue;
use clap::Args;
use serde_json::json;

use super::StaffFailure;
use crate::{
    commands::registration as verb,
    local,
    registration::{self, RegistrationArgs},
    server,
    setup::{self, NewVerifier},
};

/// [`RegistrationArgs`], of which all options are given or none.
#[derive(Debug, Clone, Args)]
struct OptionalRegistrationArgs {
    /// Your country, two letters. With it and the following options, a registration request is created too.
    #[arg(long, requires_all = ["privacy_policy", "support", "authority", "which_uses"], group = "described")]
    country: Option<String>,
    /// Your privacy policy, an https URL.
    #[arg(long, requires = "country")]
    privacy_policy: Option<String>,
    /// Contact for erasure requests: an https URL or mailto:ADDRESS.
    #[arg(long, requires = "country")]
    support: Option<String>,
    /// Your data protection authority.
    #[arg(long, requires = "country")]
    authority: Option<String>,
    /// https URL of its page for complaints.
    #[arg(long, requires = "authority")]
    authority_uri: Option<String>,
    /// Its email address.
    #[arg(long, requires = "authority")]
    authority_email: Option<String>,
    /// Your legal identifier, such as VATPT-501617582.
    #[arg(long, requires = "country")]
    legal_identifier: Option<String>,
    /// A request template that you use; may be repeated. You are registered for these only.
    #[arg(long = "use", value_name = "TEMPLATE", requires = "described", group = "which_uses")]
    uses: Vec<String>,
    /// Register for every template of the catalogue.
    #[arg(long, requires = "described", conflicts_with = "uses", group = "which_uses")]
    all_uses: bool,
    /// Register for any bounds, not only for those of the templates, such as today-18y. Many bounds narrow a hidden
    /// value down; the registrar is shown that any are allowed. Older wallets may refuse a registration without this.
    #[arg(long, requires = "described")]
    any_bounds: bool,
}

impl OptionalRegistrationArgs {
    fn into_registration_args(self, local: Option<LocalOptions>) -> Option<RegistrationArgs> {
        if let Some(local) = local {
            return Some(local::local_registration_args(local, self.uses, self.any_bounds));
        }
        Some(RegistrationArgs {
            country: self.country?,
            privacy_policy: self.privacy_policy?,
            support: self.support?,
            authority: self.authority?,
            authority_uri: self.authority_uri,
            authority_email: self.authority_email,
            legal_identifier: self.legal_identifier,
            uses: self.uses,
            all_uses: self.all_uses,
            any_bounds: self.any_bounds,
        })
    }
}

/// Default port of the local site.
const DEFAULT_LOCAL_PORT: &str = "7444";

#[derive(Debug, Args)]
pub(crate) struct VerifierInitArgs {
    /// The directory to create.
    #[arg(long)]
    data: PathBuf,
    /// The verifier's DID, such as did:web:jobs.example; by default a did:jwk from its key.
    #[arg(long)]
    did: Option<String>,
    /// For trials on this machine, never for production: a did:web on localhost, whose site `serve` serves itself at
    /// PORT. It is registered at once, for the templates of --use or for all, by a registrar that no other wallet
    /// knows.
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT_LOCAL_PORT,
          conflicts_with = "did", group = "described")]
    local: Option<u16>,
    /// With --local: serve at once, as `serve` does from the next time on.
    #[arg(long, requires = "local")]
    serve: bool,
    /// With --serve: the address to listen on; port 0 lets the system pick.
    #[arg(long, requires = "serve")]
    listen: Option<SocketAddr>,
    /// With --local: the local-site.json of an issuer on this machine, which is accepted for every type; may be
    /// repeated.
    #[arg(long = "issuer", value_name = "FILE", requires = "local")]
    issuers: Vec<PathBuf>,
    /// The name that holders are shown.
    #[arg(long, default_value = "Unnamed verifier")]
    name: String,
    /// The algorithm of the signing key.
    #[arg(long, value_enum, default_value = "eddsa")]
    algorithm: KeyAlgorithm,
    #[command(flatten)]
    place: KeyStorageArgs,
    #[command(flatten)]
    about: OptionalRegistrationArgs,
    /// Create only the store of another desk, in a directory with the keys, the configuration and the staff of the
    /// first one, but without its store.sqlite, store.json and the folder desk.
    #[arg(long, conflicts_with_all = ["did", "local", "name", "algorithm", "country", "staff"])]
    another_desk: bool,
    /// The name of the first staff member.
    #[arg(long, value_name = "NAME", default_value = "admin", value_parser = staff::check_staff_name)]
    staff: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

async fn create_another_desk(args: &VerifierInitArgs) -> Result<u8, StaffFailure> {
    setup::create_further_desk(&args.data).await?;
    let data = args.data.display();
    if args.json {
        carnet_console::print_line(json!({ "data": data.to_string(), "another_desk": true }));
    } else {
        carnet_console::print_line(format_args!(
            "The desk in {data} has a store of its own.\n\
             Next: print its key (carnet-verifier redemptions key --data {data}), name it and the others under [redemption] in {data}/config.toml, then\n  carnet-verifier serve --data {data}"
        ));
    }
    Ok(0)
}

pub(super) async fn run(args: VerifierInitArgs) -> Result<u8, StaffFailure> {
    if args.another_desk {
        return create_another_desk(&args).await;
    }
    // Before anything is created: a mistyped name leaves nothing behind.
    let embedded = Catalogue::embedded().map_err(|error| StaffFailure::Input(error.to_string()))?;
    registration::require_known_templates(&args.about.uses, &embedded)?;
    one_time_output::require_writable_output(args.json)?;
    let local = args.local.map(|port| LocalOptions { port });
    let did = local.map(LocalOptions::did).or_else(|| args.did.clone());
    let sites = args.issuers.iter().map(|path| service_local::read_site_file(path)).collect::<Result<Vec<_>, _>>()?;
    let (place, kek) = args.place.prepare_storage(&args.data)?;
    let new = NewVerifier {
        did: did.as_deref(),
        name: &args.name,
        algorithm: args.algorithm.into(),
        key_storage: &place,
        staff_name: &args.staff,
        local_issuers: local.map(|_| sites.as_slice()),
    };
    let made = match setup::init(&args.data, &new).await {
        Ok(made) => made,
        Err(error) => {
            if let Some(kek) = kek {
                kek.delete();
            }
            return Err(error.into());
        }
    };
    let data = args.data.display();
    let mut requested = None;
    if let Some(about) = args.about.clone().into_registration_args(local) {
        let (path, request) = (args.data.join("registration-request.json"), verb::create_request(&args.data, &about)?);
        verb::write_request(&path, &request)?;
        if let (Some(certificate), Some(request)) = (&made.certificate, request.as_object()) {
            let registrar = Some(local::register_locally(&args.data, &made.did, request)?);
            let (did, certificate_sha256) = (made.did.to_string(), certificate.clone());
            let site = LocalSite { did, name: args.name.clone(), certificate_sha256, registrar };
            service_local::write_local_site_files(&args.data, &site, &made.staff_token)?;
        }
        requested = Some(path.display().to_string());
    }
    let document = made.publish_at.as_ref().map(|_| args.data.join("did.json").display().to_string());
    let value = json!({
        "did": made.did.as_str(),
        "data": data.to_string(),
        "did_document": document,
        "publish_at": made.publish_at,
        "registration_request": requested,
        "kek": kek.as_ref().map(|kek| kek.path().display().to_string()),
        "staff": args.staff,
        "staff_token": made.staff_token.as_str(),
        "local_site": local.map(|_| args.data.join(service_local::SITE_FILE).display().to_string()),
    });
    let text = || {
        let mut lines = vec![format!("The verifier {} is set up in {data}.", made.did)];
        match (local, &made.publish_at) {
            (Some(_), Some(url)) => lines.push(service_local::local_mode_explanation(&args.data, url)),
            (_, url) => lines.extend(url.as_ref().map(|url| format!("Publish {data}/did.json at {url}, unchanged."))),
        }
        lines.extend(kek.as_ref().map(|kek| kek.backup_notice(&args.data)));
        lines.extend(match (local, &requested) {
            (Some(_), _) => None,
            (None, Some(path)) => Some(format!("Have a registrar sign {path}, and install what it signs.")),
            (None, None) => {
                Some(format!("Ask to be registered: carnet-verifier registration request --data {data} --help"))
            }
        });
        let config = || format!("name the issuers that you accept in {data}/config.toml, then\n  ");
        let next = sites.is_empty().then(config).unwrap_or_default();
        lines.push(format!(
            "\nStaff token of {} ({shown}, keep it secret):\n{}\n\n{when}: {next}carnet-verifier serve --data {data}",
            args.staff,
            made.staff_token.as_str(),
            shown = service_local::staff_token_location(local, &args.data),
            when = service_local::start_introduction(args.serve),
        ));
        lines.join("\n")
    };
    let staff = &args.staff;
    let unseen = format!("The verifier is set up in {data}, but the staff token of {staff} could not be printed.");
    let hint = format!("Run `carnet-verifier staff end --data {data} {staff}`, and `staff add` with another name.");
    one_time_output::show_once(args.json, &value, text, unseen, hint)?;
    if args.serve {
        server::run_service(&args.data, None, args.listen).await?;
    }
    Ok(0)
}
