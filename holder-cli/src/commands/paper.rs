//! Command `carnet paper`: pictures and scans of paper documents. They are shown and shared as what they are, and no
//! request is answered with them.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use carnet_wallet::{
    papers::{PaperFacts, add_paper, delete_paper, find_paper, record_share},
    store::papers::{MAX_PAPER_BYTES, Paper},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    arguments::{AddPaper, DeletePaper, PaperCommand, SharePaper},
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::{Ui, sanitise::sanitise},
    wallet::WalletContents,
};

pub(crate) fn run(context: &CommandContext, command: &PaperCommand) -> Result<(), Failure> {
    match command {
        PaperCommand::Add(arguments) => add(context, arguments),
        PaperCommand::List => list(context),
        PaperCommand::Share(arguments) => share(context, arguments),
        PaperCommand::Delete(arguments) => delete(context, arguments),
    }
}

fn add(context: &CommandContext, arguments: &AddPaper) -> Result<(), Failure> {
    let bytes = read_picture(&arguments.file).map_err(|error| unreadable(&arguments.file, &error))?;
    let facts = match &arguments.about {
        Some(file) => {
            let text = carnet_disk::read_user_text(file).map_err(|error| unreadable(file, &error))?;
            facts_in(&text)
        }
        None => ask_facts(&context.ui)?,
    };
    let mut wallet = context.wallet.open()?;
    let id = add_paper(&mut wallet, bytes, facts, context.now())?;
    let text = context.ui.messages.format("paper-added", &[("file", &arguments.file.display().to_string())]);
    context.ui.print_result(&format!("{text}\n"), &json!({"paper": id}));
    Ok(())
}

/// Reads a picture, and of a file that is too large no more than shows that it is.
fn read_picture(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let most = u64::try_from(MAX_PAPER_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the facts in the lines of a file: the kind, the date, and notes.
fn facts_in(text: &str) -> PaperFacts {
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default().to_owned();
    let (kind, date) = (line(), line());
    PaperFacts { kind, date, note: lines.collect::<Vec<_>>().join(" ") }
}

/// Asks the holder for the facts; an empty line leaves one out.
fn ask_facts(ui: &Ui) -> Result<PaperFacts, Failure> {
    if !ui.can_ask() {
        return Err(Failure::usage(
            FailureReason::PaperFacts,
            Sentence::new("error-paper-facts"),
            Sentence::new("hint-paper-facts"),
        ));
    }
    let ask = |id: &str| {
        ui.print_text(&format!("{}: ", ui.messages.text(id)));
        carnet_console::read_line().unwrap_or_default()
    };
    Ok(PaperFacts { kind: ask("paper-kind"), date: ask("paper-date"), note: ask("paper-note") })
}

fn list(context: &CommandContext) -> Result<(), Failure> {
    let contents = context.wallet.read_without_texts()?;
    let (mut text, papers) = papers_text(&context.ui, &contents);
    if papers.is_empty() {
        text.push_str(&format!("{}\n", context.ui.messages.text("paper-none")));
    }
    context.ui.print_result(&text, &json!({"papers": papers}));
    Ok(())
}

/// Returns the papers of a wallet as text and as objects; both are empty if there are none.
pub(super) fn papers_text(ui: &Ui, contents: &WalletContents) -> (String, Vec<Value>) {
    let mut text = String::new();
    if !contents.papers.is_empty() {
        text.push_str(&format!("{}\n", ui.heading(&ui.messages.text("paper-title"))));
    }
    for paper in &contents.papers {
        let date = if paper.date.is_empty() { String::new() } else { format!(", {}", sanitise(&paper.date)) };
        text.push_str(&ui.format_wrapped(2, &format!("{}{date} ({})", sanitise(&paper.kind), sanitise(&paper.id))));
        if !paper.note.is_empty() {
            text.push_str(&ui.format_wrapped(4, &sanitise(&paper.note)));
        }
    }
    (text, contents.papers.iter().map(paper_json).collect())
}

fn paper_json(paper: &Paper) -> Value {
    json!({
        "id": paper.id, "kind": paper.kind, "date": paper.date, "note": paper.note, "form": paper.form,
        "bytes": paper.size, "added_at": paper.added_at.to_string(), "verified": false,
    })
}

fn share(context: &CommandContext, arguments: &SharePaper) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let index = find_paper(&wallet.contents, &arguments.id)?;
    let Some(paper) = wallet.contents.papers.get(index).cloned() else { return Ok(()) };
    let about = about_path(&arguments.out);
    // The log comes first: a copy that the log does not know must not exist.
    record_share(&mut wallet, index, &arguments.to, context.now())?;
    let facts = [("kind", sanitise(&paper.kind)), ("date", sanitise(&paper.date))];
    let facts: Vec<(&str, &str)> = facts.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let said = format!("{}\n", context.ui.messages.format("paper-about", &facts));
    write(&arguments.out, &paper.content.0)?;
    write(&about, said.as_bytes())?;
    let file = arguments.out.display().to_string();
    let mut text = format!("{}\n", context.ui.messages.format("paper-shared", &[("file", &file)]));
    text.push_str(&format!("{}\n", context.ui.messages.text("paper-traces")));
    context.ui.print_result(&text, &json!({"file": file, "about": about.display().to_string(), "form": paper.form}));
    Ok(())
}

fn about_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".txt");
    PathBuf::from(path)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    carnet_disk::write_new(path, bytes, 0o600).map_err(|error| {
        let message = Sentence::new("error-file-unwritable").with("path", path.display()).with_details(error);
        Failure::new(FailureReason::FileUnwritable, message, Sentence::new("hint-new-file"))
    })
}

fn delete(context: &CommandContext, arguments: &DeletePaper) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let index = find_paper(&wallet.contents, &arguments.id)?;
    if !arguments.yes {
        if !context.ui.can_ask() {
            let message = Sentence::new("error-delete-nobody");
            return Err(Failure::new(FailureReason::ApprovalNeeded, message, Sentence::new("hint-yes")));
        }
        let question = context.ui.messages.text("delete-question-permanently");
        context.ui.require_yes(&question, Sentence::new("undone-deleted"))?;
    }
    let id = delete_paper(&mut wallet, index, context.now())?;
    let text = context.ui.messages.text("delete-done-permanently");
    context.ui.print_result(&format!("{text}\n"), &json!({"deleted": id}));
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = Sentence::new("error-paper-unreadable").with("path", path.display()).with_details(error);
    Failure::usage(FailureReason::Program("paper_unreadable"), message, Sentence::new("hint-file-is-yours"))
}

/// The picture's bytes never leave as anything but a file of their own.
#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        commands::{backup, restore},
        verifier_desk::{Fault, VerifierScene},
        wallet::LogEntryKind,
    };

    const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 a picture of a birth certificate";

    fn added(scene: &VerifierScene, picture: &[u8], about: &str) -> Result<String, Failure> {
        let (file, facts) = (scene.folder.path().join("photo"), scene.folder.path().join("about"));
        fs::write(&file, picture).unwrap();
        fs::write(&facts, about).unwrap();
        add(&scene.context, &AddPaper { file, about: Some(facts) })?;
        Ok(scene.contents().papers.last().unwrap().id.clone())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_picture_is_kept_encrypted_shared_as_it_is_and_logged() {
        let scene = VerifierScene::set(Fault::None).await;
        let id = added(&scene, PICTURE, "Birth certificate\n1998-04-17\nfrom the archive\nof Aleppo\n").unwrap();
        let wallet = scene.folder.path().join("wallet.age");
        let stored = fs::read(&wallet).unwrap();
        assert!(!stored.windows(7).any(|window| window == b"picture"), "it is encrypted");
        let contents = scene.context.wallet.read_without_texts().unwrap();
        assert!(contents.papers[0].content.0.is_empty(), "lists do not load pictures");
        let (text, objects) = papers_text(&scene.context.ui, &contents);
        assert!(text.contains("Birth certificate, 1998-04-17") && text.contains("of Aleppo"), "{text}");
        assert_eq!(objects[0]["verified"], json!(false));

        let out = scene.folder.path().join("for-the-office.jpg");
        let to = "Residents' Office".to_owned();
        share(&scene.context, &SharePaper { id: id[..6].to_owned(), to, out: out.clone() }).unwrap();
        assert_eq!(fs::read(&out).unwrap(), PICTURE);
        let said = fs::read_to_string(about_path(&out)).unwrap();
        assert!(said.contains("Nobody has verified") && said.contains("Birth certificate") && !said.contains("Aleppo"));
        delete(&scene.context, &DeletePaper { id, yes: true }).unwrap();
        assert!(scene.contents().papers.is_empty());
        let kinds = [LogEntryKind::PaperAdded, LogEntryKind::PaperShared, LogEntryKind::PaperDeleted];
        assert_eq!(scene.kinds(), kinds);
        assert_eq!(scene.contents().log.entries()[1].party_name, "Residents' Office");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_picture_goes_into_backups_and_answers_no_request() {
        let scene = VerifierScene::set(Fault::None).await;
        added(&scene, PICTURE, "Degree of a university").unwrap();
        scene.change(|contents| contents.credentials.clear());
        assert_eq!(scene.refusal().await.reason, "query_unmet");
        let (wallet, copy) = (scene.folder.path().join("wallet.age"), scene.folder.path().join("copy.age"));
        let file = copy.clone();
        backup::run(&scene.context, &crate::arguments::Backup { file, words: false, shares: None, of: None }).unwrap();
        fs::remove_file(&wallet).unwrap();
        restore::run(&scene.context, &crate::arguments::Restore { file: copy, shares: false }).unwrap();
        assert_eq!(scene.contents().papers[0].content.0.as_slice(), PICTURE);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn other_files_large_ones_and_bad_facts_are_refused_and_nothing_is_kept() {
        let scene = VerifierScene::set(Fault::None).await;
        let large = [PICTURE, &vec![0; carnet_wallet::store::papers::MAX_PAPER_BYTES]].concat();
        for (picture, about, reason) in [
            (&b"#!/bin/sh"[..], "A script", "paper_unsupported"),
            (large.as_slice(), "A poster", "paper_too_large"),
            (PICTURE, "", "paper_facts"),
            (PICTURE, "A degree\n31.12.2020", "paper_facts"),
        ] {
            assert_eq!(added(&scene, picture, about).unwrap_err().reason, reason, "{about}");
        }
        assert!(scene.contents().papers.is_empty());
        // What the holder typed cannot move the cursor either.
        added(&scene, PICTURE, "Degree \u{1b}[2J\u{202e}").unwrap();
        let (text, _) = papers_text(&scene.context.ui, &scene.contents());
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
    }
}
