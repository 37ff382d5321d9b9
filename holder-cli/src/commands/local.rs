//! Command `carnet local`: services on this machine whose certificates are pinned; for trials, never for production.

use std::{fmt::Write, path::PathBuf};

use carnet_fetch::local::LocalSite;
use carnet_wallet::pinning::{pin_site, unpin_site};
use serde_json::{Value, json};

use crate::{
    arguments::{AddLocal, LocalCommand, RemoveLocal},
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::{Ui, parties, sanitise::sanitise},
};

/// Runs a subcommand of `carnet local`.
pub(crate) fn run(context: &CommandContext, command: &LocalCommand) -> Result<(), Failure> {
    let messages = &context.ui.messages;
    match command {
        LocalCommand::Add(AddLocal { files }) => {
            let sites = read_sites(files)?;
            let mut wallet = context.wallet.open()?;
            sites.iter().for_each(|site| pin_site(&mut wallet.contents, site));
            wallet.save()?;
            let text = added_text(&context.ui, &sites);
            context.ui.print_result(&text, &json!({"added": sites.iter().map(site_json).collect::<Vec<_>>()}));
        }
        LocalCommand::List => {
            let sites = context.wallet.read_without_texts()?.local_services;
            let text = if sites.is_empty() {
                format!("{}\n", messages.text("local-none"))
            } else {
                sites.iter().fold(String::new(), |mut text, site| {
                    // Writing to a string does not fail.
                    let _ = writeln!(text, "{}", title(&context.ui, site));
                    text
                })
            };
            context.ui.print_result(&text, &json!({"sites": sites.iter().map(site_json).collect::<Vec<_>>()}));
        }
        LocalCommand::Remove(RemoveLocal { did }) => {
            let mut wallet = context.wallet.open()?;
            let removed = unpin_site(&mut wallet.contents, did)?;
            wallet.save()?;
            let text = lines(&context.ui, "local-removed", std::slice::from_ref(&removed));
            context.ui.print_result(&text, &json!({"removed": site_json(&removed)}));
        }
    }
    Ok(())
}

/// Reads the descriptions of local services from files.
///
/// # Errors
/// `file_unreadable`, `local_site_refused`
pub(super) fn read_sites(files: &[PathBuf]) -> Result<Vec<LocalSite>, Failure> {
    let one = |path: &PathBuf| {
        let said = path.display().to_string();
        let text = |id, why: &str| Sentence::new(id).with("file", sanitise(&said)).with("why", sanitise(why));
        let unreadable = |error: std::io::Error| {
            let text = text("error-local-unreadable", &error.to_string());
            Failure::usage(FailureReason::Program("file_unreadable"), text, Sentence::new("hint-local"))
        };
        let bytes = carnet_disk::read_user_file(path).map_err(unreadable)?;
        LocalSite::parse(&bytes).map_err(|problem| {
            let text = text("error-local-refused", &problem.detail);
            Failure::new(FailureReason::Program("local_site_refused"), text, Sentence::new("hint-local"))
        })
    };
    files.iter().map(one).collect()
}

/// Returns one line for each added service.
pub(super) fn added_text(ui: &Ui, sites: &[LocalSite]) -> String {
    lines(ui, "local-added", sites)
}

fn lines(ui: &Ui, id: &str, sites: &[LocalSite]) -> String {
    sites.iter().map(|site| format!("{}\n", ui.messages.format(id, &[("site", &title(ui, site))]))).collect()
}

fn title(ui: &Ui, site: &LocalSite) -> String {
    parties::issuer_name(ui, &site.name, &site.did)
}

fn site_json(site: &LocalSite) -> Value {
    let registrar = site.registrar.as_ref().map(|registrar| &registrar.did);
    json!({"did": site.did, "name": site.name, "registrar": registrar})
}
