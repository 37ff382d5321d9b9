//! Command `carnet local`: services on this machine whose certificates are pinned; for trials, never for production.

use std::{fmt::Write, path::PathBuf};

use carnet_fetch::local::LocalSite;
use serde_json::{Value, json};

use crate::{
    arguments::{AddLocal, LocalCommand, RemoveLocal},
    failure::{Failure, Sentence},
    session::{Session, file_without_mark},
    ui::{Ui, parties, sanitise::sanitise},
    wallet::WalletContents,
};

/// Runs a subcommand of `carnet local`.
pub(crate) fn run(session: &Session, command: &LocalCommand) -> Result<(), Failure> {
    let messages = &session.ui.messages;
    match command {
        LocalCommand::Add(AddLocal { files }) => {
            let sites = read(files)?;
            let mut wallet = session.open()?;
            sites.iter().for_each(|site| add(&mut wallet.contents, site));
            wallet.save()?;
            let text = added(&session.ui, &sites);
            session.ui.result(&text, &json!({"added": sites.iter().map(site_json).collect::<Vec<_>>()}));
        }
        LocalCommand::List => {
            let sites = session.read_without_texts()?.local_sites;
            let text = if sites.is_empty() {
                format!("{}\n", messages.text("local-none"))
            } else {
                sites.iter().fold(String::new(), |mut text, site| {
                    // Writing to a string does not fail.
                    let _ = writeln!(text, "{}", title(&session.ui, site));
                    text
                })
            };
            session.ui.result(&text, &json!({"sites": sites.iter().map(site_json).collect::<Vec<_>>()}));
        }
        LocalCommand::Remove(RemoveLocal { did }) => {
            let mut wallet = session.open()?;
            let Some(at) = wallet.contents.local_sites.iter().position(|site| site.did == *did) else {
                let message = Sentence::id("error-local-unknown").with("did", sanitise(did));
                return Err(Failure::new("not_found", message, Sentence::id("hint-local-list")));
            };
            let removed = wallet.contents.local_sites.remove(at);
            wallet.save()?;
            let text = lines(&session.ui, "local-removed", std::slice::from_ref(&removed));
            session.ui.result(&text, &json!({"removed": site_json(&removed)}));
        }
    }
    Ok(())
}

/// Reads the descriptions of local services from files.
///
/// # Errors
/// `file_unreadable`, `local_site_refused`
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<LocalSite>, Failure> {
    let one = |path: &PathBuf| {
        let said = path.display().to_string();
        let text = |id, why: &str| Sentence::id(id).with("file", sanitise(&said)).with("why", sanitise(why));
        let unreadable = |error: std::io::Error| {
            let text = text("error-local-unreadable", &error.to_string());
            Failure::usage("file_unreadable", text, Sentence::id("hint-local"))
        };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        LocalSite::parse(file_without_mark(&bytes).map_err(unreadable)?).map_err(|problem| {
            let text = text("error-local-refused", &problem.detail);
            Failure::new("local_site_refused", text, Sentence::id("hint-local"))
        })
    };
    files.iter().map(one).collect()
}

/// Returns one line for each added service.
pub(super) fn added(ui: &Ui, sites: &[LocalSite]) -> String {
    lines(ui, "local-added", sites)
}

/// Adds a service to the wallet; it replaces one with the same DID.
pub(super) fn add(contents: &mut WalletContents, site: &LocalSite) {
    contents.local_sites.retain(|known| known.did != site.did);
    contents.local_sites.push(site.clone());
}

fn lines(ui: &Ui, id: &str, sites: &[LocalSite]) -> String {
    sites.iter().map(|site| format!("{}\n", ui.messages.with(id, &[("site", &title(ui, site))]))).collect()
}

fn title(ui: &Ui, site: &LocalSite) -> String {
    parties::issuer_name(ui, &site.name, &site.did)
}

fn site_json(site: &LocalSite) -> Value {
    let registrar = site.registrar.as_ref().map(|registrar| &registrar.did);
    json!({"did": site.did, "name": site.name, "registrar": registrar})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(port: u16, pin: &str) -> LocalSite {
        let text = format!(
            r#"{{"did":"did:web:localhost%3A{port}","name":"A","certificate_sha256":"{pin}",
                "registrar":{{"did":"did:key:z6Mk{port}","name":"R"}}}}"#
        );
        LocalSite::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_site_that_was_set_up_again_takes_the_place_of_the_one_before() {
        let mut contents = WalletContents::new(12);
        let (one, again, other) =
            (site(7443, &"ab".repeat(32)), site(7443, &"cd".repeat(32)), site(7444, &"ef".repeat(32)));
        [&one, &other, &again].into_iter().for_each(|site| add(&mut contents, site));
        assert_eq!(contents.local_sites, [other, again]);
    }

    #[test]
    fn a_registrar_of_a_local_site_counts_for_that_site_alone() {
        let mut contents = WalletContents::new(12);
        let known = site(7443, &"ab".repeat(32));
        add(&mut contents, &known);
        let pinned = |asker: &str| contents.pinned_registrar("did:key:z6Mk7443", asker).map(|registrar| registrar.name);
        assert_eq!(pinned(&known.did).as_deref(), Some("R"));
        assert_eq!(pinned("did:web:jobs.example"), None);
        assert_eq!(pinned("did:web:localhost%3A7444"), None);
        assert!(contents.pinned_registrar("did:key:z6Mk7444", &known.did).is_none());
    }
}
