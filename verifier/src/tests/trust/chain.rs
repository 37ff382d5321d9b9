//! Succession of lists: the way back, the least number, timestamps, and a change of operators.

use carnet_core::trust::list::ListTimestamp;

use super::*;

#[tokio::test]
async fn the_way_back_is_one_list_by_its_digest_and_once() {
    let desk = Desk::open();
    let world = desk.world().await;
    let store = &world.verifier.store;
    let first = desk.list(&contents(&world, vec![accreditation()]), 30);
    let digest = TrustList::preview(&first).unwrap().digest;
    assert!(!record_accept_once(store, LIST, &digest).await.unwrap(), "no list was accepted yet");
    desk.put(&first);
    refresh(&world).await;
    let mut wrong = desk.after(&first, Vec::from([withdrawn(now().plus(-2 * DAY), EarlierCredentials::BecomeInvalid)]));
    wrong.sequence = 1_001;
    let wrong = desk.list(&wrong, 30);
    desk.put(&wrong);
    refresh(&world).await;
    assert_eq!(decision(&world, &["rightToWork"]).await.sequence, 1_001);
    // A list other than the named one is refused as before.
    desk.put(&first);
    record_accept_once(store, LIST, "another").await.unwrap();
    refresh(&world).await;
    assert_eq!(decision(&world, &["rightToWork"]).await.sequence, 1_001);
    assert!(record_accept_once(store, LIST, &digest).await.unwrap());
    refresh(&world).await;
    let back = decision(&world, &["rightToWork"]).await;
    assert_eq!((back.rule.as_str(), back.sequence), ("accredited", 1));
    assert_eq!(stored_list(store, LIST).await.unwrap().unwrap().state.accept_once, None);
    // Only once: later the same list is an older one again.
    let second = desk.list(&desk.after(&first, vec![accreditation()]), 30);
    for (list, sequence) in [(&second, 2), (&first, 2), (&wrong, 2)] {
        desk.put(list);
        refresh(&world).await;
        assert_eq!(decision(&world, &["rightToWork"]).await.sequence, sequence);
    }
}

#[tokio::test]
async fn a_new_installation_is_not_shown_a_list_below_the_least_number() {
    for (least, expected) in [(2, "trust_list_rollback"), (1, "accredited")] {
        let desk = Desk::open();
        let world = World::with(|config| {
            config.issuers.clear();
            config.trust = Some(TrustConfig { least: Some(least), ..desk.config() });
        })
        .await;
        desk.put(&desk.list(&contents(&world, vec![accreditation()]), 30));
        refresh(&world).await;
        assert_eq!(rule(&world).await, expected);
    }
}

#[tokio::test]
async fn a_verifier_that_had_a_timestamp_needs_a_fresh_one() {
    let desk = Desk::open();
    let stamps = key();
    let world = desk.world().await;
    let mut said = contents(&world, vec![accreditation()]);
    said.timestamp_signers = vec![kid(&stamps).did().to_string()];
    let first = desk.list(&said, 90);
    let place = desk.folder.path().join("trust-list.timestamp.json");
    let stamp = |list: &Map<String, Value>, days: i64| {
        let (preview, now) = (TrustList::preview(list).unwrap(), now());
        let from = now.plus((days - 7) * DAY);
        let stamp = ListTimestamp::sign(&preview, (from, now.plus(days * DAY)), &kid(&stamps), &stamps).unwrap();
        std::fs::write(&place, Value::Object(stamp).to_string()).unwrap();
    };
    let bytes = world.embedded().to_string().into_bytes();
    let after = async |days: i64| {
        let at = now().plus(days * DAY);
        let (verdict, _) = world.verifier.verify_credential(bytes.clone(), at).await.unwrap();
        verdict.decisions()[0].rule.clone()
    };
    // A verifier that never had a timestamp relies on the list's own end.
    desk.put(&first);
    refresh(&world).await;
    assert_eq!(after(60).await, "accredited");
    // The first timestamp takes effect at once, also for a list published together with it that has none.
    let second = desk.list(&desk.after(&first, vec![accreditation()]), 90);
    stamp(&first, 3);
    desk.put(&second);
    refresh(&world).await;
    assert_eq!(decision(&world, &["rightToWork"]).await.sequence, 1);
    desk.put(&first);
    refresh(&world).await;
    assert_eq!((after(2).await, after(4).await), ("accredited".to_owned(), "list_stale".to_owned()));
    // A newer timestamp extends it; a missing one, or one of another list, does not.
    stamp(&first, 6);
    refresh(&world).await;
    stamp(&second, 7);
    refresh(&world).await;
    assert_eq!((after(5).await, after(7).await), ("accredited".to_owned(), "list_stale".to_owned()));
    // Also after a restart.
    let (fetcher, documents) = (HttpsFetcher::new(FetchOptions::default()).unwrap(), DidCache::default());
    for (days, fresh) in [(5, true), (7, false)] {
        let restarted = ConfiguredTrustList::new(&desk.config()).unwrap();
        let at = now().plus(days * DAY);
        let _ = restarted.refresh(&world.verifier.store, (&fetcher, &documents), Duration::ZERO, at).await;
        assert_eq!(restarted.require_list().unwrap().require_timestamp(at).is_ok(), fresh);
    }
    // A newer list has its own; until it arrives, the previous list remains in force.
    std::fs::remove_file(&place).unwrap();
    desk.put(&second);
    refresh(&world).await;
    assert_eq!(decision(&world, &["rightToWork"]).await.sequence, 1);
    stamp(&second, 7);
    refresh(&world).await;
    assert_eq!(decision(&world, &["rightToWork"]).await.sequence, 2);
    // A list without timestamp signers needs none.
    let mut third = desk.after(&second, vec![accreditation()]);
    third.timestamp_signers.clear();
    desk.put(&desk.list(&third, 90));
    refresh(&world).await;
    assert_eq!(after(60).await, "accredited");
}

#[tokio::test]
async fn operators_change_in_band_also_for_a_verifier_that_was_away() {
    let desk = Desk::open();
    let newer = Desk { operators: [key(), key(), key()], folder: tempfile::tempdir().unwrap() };
    let world = desk.world().await;
    let first = desk.list(&contents(&world, vec![accreditation()]), 30);
    let mut second = desk.after(&first, vec![accreditation()]);
    second.set_operators(newer.operators.iter().map(|key| kid(key).did().to_string()), 2);
    let alone = desk.list(&second, 30);
    let sign = |list: Map<String, Value>, key: &SecretKey| TrustList::sign(&list, &kid(key), key, now()).unwrap();
    let second = newer.operators[..2].iter().fold(alone.clone(), sign);
    let third = newer.list(&newer.after(&second, vec![accreditation()]), 30);
    let sequence = async || decision(&world, &["rightToWork"]).await.sequence;
    desk.put(&first);
    refresh(&world).await;
    // The new operators must sign as well.
    desk.put(&alone);
    refresh(&world).await;
    assert_eq!(sequence().await, 1);
    // A verifier that was offline and finds no history keeps its list; with the history, it accepts the new operators.
    desk.put(&third);
    refresh(&world).await;
    assert_eq!(sequence().await, 1);
    let history = desk.folder.path().join("history");
    std::fs::create_dir(&history).unwrap();
    let file = history.join("002.json");
    std::fs::write(&file, Value::Object(alone).to_string()).unwrap();
    refresh(&world).await;
    assert_eq!(sequence().await, 1);
    std::fs::write(&file, Value::Object(second.clone()).to_string()).unwrap();
    refresh(&world).await;
    assert_eq!(sequence().await, 3);
    // Also after a restart; signatures of the old operators no longer count.
    let (fetcher, documents) = (HttpsFetcher::new(FetchOptions::default()).unwrap(), DidCache::default());
    let restarted = ConfiguredTrustList::new(&desk.config()).unwrap();
    let look = || restarted.refresh(&world.verifier.store, (&fetcher, &documents), Duration::ZERO, now());
    look().await.unwrap();
    assert_eq!(restarted.require_list().unwrap().contents().sequence, 3);
    desk.put(&desk.list(&desk.after(&third, vec![accreditation()]), 30));
    assert_eq!(look().await.unwrap_err().code.as_str(), "trust_list_quorum");
    // A verifier that sees every list needs no history, nor does a new one that pins the new operators.
    std::fs::remove_file(&file).unwrap();
    let online = desk.world().await;
    for list in [&first, &second, &third] {
        desk.put(list);
        refresh(&online).await;
    }
    assert_eq!(stored_list(&online.verifier.store, LIST).await.unwrap().unwrap().state.accepted.sequence, 3);
}
