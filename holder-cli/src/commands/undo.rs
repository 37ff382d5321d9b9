//! Command `carnet undo`: takes a deleted credential out of the bin.

use carnet_wallet::deletion::undo_deletion;
use serde_json::json;

use crate::{arguments::Undo, context::CommandContext, failure::Failure, ui::labels::TypeLabels};

pub(crate) fn run(context: &CommandContext, arguments: &Undo) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let (id, type_name) = undo_deletion(&mut wallet, arguments.id.as_deref(), context.now())?;
    let catalogue = context.catalogue()?;
    let label = TypeLabels::new(&catalogue, &type_name, &context.ui.messages).type_label();
    let text = context.ui.messages.format("undo-done", &[("document", &label)]);
    context.ui.print_result(&format!("{text}\n"), &json!({"undeleted": id, "type": type_name}));
    Ok(())
}

#[cfg(test)]
mod tests {
    use carnet_core::day;

    use super::*;
    use crate::{
        arguments::Delete,
        commands::{delete, list},
        verifier_desk::{Fault, VerifierScene},
        wallet::LogEntryKind,
    };

    fn delete(scene: &VerifierScene, permanently: bool) -> Result<(), Failure> {
        delete::run(&scene.context, &Delete { id: "aaaa".to_owned(), yes: true, permanently })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_deleted_document_comes_back_with_its_copies_and_can_be_shown() {
        let scene = VerifierScene::set(Fault::None).await;
        delete(&scene, false).unwrap();
        let contents = scene.contents();
        assert!(contents.credentials.is_empty() && contents.bin.len() == 1);
        assert_eq!(delete(&scene, false).unwrap_err().reason, "not_found");
        list::run(&scene.context).unwrap();
        assert_eq!(scene.refusal().await.reason, "query_unmet");
        let id = Some("bbbb".to_owned());
        assert_eq!(run(&scene.context, &Undo { id }).unwrap_err().reason, "nothing_to_undo");
        run(&scene.context, &Undo { id: None }).unwrap();
        assert_eq!(run(&scene.context, &Undo { id: None }).unwrap_err().reason, "nothing_to_undo");
        // The texts of the copies went through the file twice.
        scene.present().await.unwrap();
        let kinds = scene.kinds();
        assert!(kinds.contains(&LogEntryKind::Deleted) && kinds.contains(&LogEntryKind::Undeleted), "{kinds:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_shown_document_that_is_deleted_keeps_the_keys_for_erasure_once() {
        let scene = VerifierScene::shown(Fault::None).await;
        delete(&scene, false).unwrap();
        assert_eq!(scene.contents().erasure_keys.len(), 1);
        run(&scene.context, &Undo { id: Some("aa".to_owned()) }).unwrap();
        assert!(scene.contents().erasure_keys.is_empty(), "the copy itself has the key again");
        delete(&scene, true).unwrap();
        let contents = scene.contents();
        assert_eq!((contents.erasure_keys.len(), contents.bin.len()), (1, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_bin_is_emptied_after_thirty_days_even_by_a_command_that_reads() {
        let scene = VerifierScene::set(Fault::None).await;
        delete(&scene, false).unwrap();
        scene.time.set(scene.time.get().plus(30 * day::SECONDS));
        assert_eq!(scene.contents().bin.len(), 1);
        scene.time.set(scene.time.get().plus(1));
        assert!(scene.contents().bin.is_empty());
        // Not only in what was read: the file has it no longer.
        scene.time.set(scene.time.get().plus(-1));
        assert!(scene.contents().bin.is_empty());
        assert_eq!(run(&scene.context, &Undo { id: None }).unwrap_err().reason, "nothing_to_undo");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn copies_in_the_bin_of_a_restored_wallet_count_as_shown() {
        let scene = VerifierScene::set(Fault::None).await;
        delete(&scene, false).unwrap();
        scene.change(|contents| contents.record_restore(contents.log.entries()[0].at));
        run(&scene.context, &Undo { id: None }).unwrap();
        assert_eq!(scene.contents().credentials[0].unused_copies(), 0);
    }
}
