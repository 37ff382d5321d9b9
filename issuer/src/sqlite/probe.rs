//! Second door to a store for tests: rows as earlier versions or other instants left them, and counts of rows that no
//! use case returns.

use std::path::Path;

use carnet_core::time::Timestamp;
use carnet_service::store::{Database, open_store};
use sqlx::{query, query_as, query_scalar};

use super::MIGRATIONS;

/// Store of a running issuer, opened a second time.
pub(crate) struct StoreProbe(Database);

/// Write lock of a store, released when it is dropped.
pub(crate) struct HeldWriter(carnet_service::store::WriteTransaction);

impl HeldWriter {
    pub(crate) async fn release(self) {
        drop(self.0);
    }
}

impl StoreProbe {
    pub(crate) async fn open(folder: &Path) -> Self {
        Self(open_store(folder, &MIGRATIONS).await.unwrap().database)
    }

    pub(crate) fn of(database: Database) -> Self {
        Self(database)
    }

    pub(crate) async fn close(self) {
        self.0.close().await;
    }

    /// Keeps all others from writing.
    pub(crate) async fn hold_writer(&self) -> HeldWriter {
        HeldWriter(self.0.begin("a test").await.unwrap())
    }

    async fn try_write(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        let mut tx = self.0.begin("a test").await?;
        query(statement).execute(&mut *tx).await?;
        tx.commit().await
    }

    async fn write(&self, statement: &'static str) {
        self.try_write(statement).await.unwrap();
    }

    /// Writes with the time as `?1` and the offer as `?2`.
    async fn write_for(&self, statement: &'static str, at: Timestamp, offer: &str) {
        let mut tx = self.0.begin("a test").await.unwrap();
        query(statement).bind(at.unix()).bind(offer).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        query_scalar(statement).fetch_one(self.0.readers()).await.unwrap()
    }

    /// Writes rows as an earlier version left them.
    pub(super) async fn write_rows(&self, statements: &[&'static str]) {
        for statement in statements.iter().copied() {
            self.write(statement).await;
        }
    }

    // Offers and their claims.

    /// Cancels all offers without the checkpoint that erases their claims from the write-ahead log.
    pub(crate) async fn cancel_offers_unpurged(&self) {
        self.write("UPDATE offers SET claims = NULL, state = 'cancelled'").await;
    }

    /// Postpones the end of an offer's collection.
    pub(crate) async fn set_collection_end(&self, offer: &str, at: Timestamp) {
        self.write_for("UPDATE offers SET collect_until = ?1 WHERE offer_id = ?2", at, offer).await;
    }

    /// Changes the end of an offer's copies, as a renewal does.
    pub(crate) async fn set_copies_end(&self, offer: &str, at: Timestamp) {
        self.write_for("UPDATE collections SET valid_until = ?1 WHERE offer_id = ?2", at, offer).await;
    }

    /// Inserts a rejected renewal until `end`, decided by Clerk-Who-Decided with The-Reason-Of-A-Decision.
    pub(crate) async fn insert_rejected_renewal(&self, offer: &str, end: Timestamp) {
        let statement = "INSERT INTO renewals (renewal_id, offer_id, state, generation, valid_from, valid_until, asked_at, \
            request_digest, decided_at, decided_by, reason) \
            VALUES ('decided', ?2, 'rejected', 1, 0, ?1, 0, x'00', 1, 'Clerk-Who-Decided', 'The-Reason-Of-A-Decision')";
        self.write_for(statement, end, offer).await;
    }

    /// Inserts a renewal that waits until `end`.
    pub(crate) async fn insert_pending_renewal(&self, offer: &str, end: Timestamp) {
        let statement = "INSERT INTO renewals (renewal_id, offer_id, state, generation, valid_from, valid_until, asked_at, \
            request_digest, wait_until) VALUES ('waits', ?2, 'pending', 1, 0, ?1, 0, x'01', ?1)";
        self.write_for(statement, end, offer).await;
    }

    /// Deletes the record of unique claims, which earlier versions did not keep.
    pub(crate) async fn forget_unique_claims(&self) {
        self.write("DELETE FROM unique_claims").await;
    }

    /// Returns the staff members who decided about each offer.
    pub(crate) async fn deciders(&self) -> Vec<String> {
        query_scalar("SELECT decided_by FROM offers").fetch_all(self.0.readers()).await.unwrap()
    }

    // Copies.

    /// Returns the first instant of validity that is stored for a copy.
    pub(crate) async fn valid_from(&self, copy_digest: &[u8]) -> Timestamp {
        let statement =
            "SELECT c.valid_from FROM issued i JOIN collections c ON c.seq = i.collection WHERE i.copy_digest = ?";
        let from = query_scalar(statement).bind(copy_digest).fetch_one(self.0.readers()).await.unwrap();
        Timestamp::from_unix(from)
    }

    /// Deletes the handle of the first copy of each collection, as if an earlier version had issued it.
    pub(crate) async fn forget_first_handles(&self) {
        self.write("UPDATE issued SET handle_hash = NULL WHERE position = 0").await;
    }

    /// Returns the number of drawn status indices, also of copies that were never signed.
    pub(crate) async fn drawn_indices(&self) -> i64 {
        self.count("SELECT count(DISTINCT status_index) FROM issued").await
    }

    /// Returns the numbers of copies with a holder's key and with a digest.
    pub(crate) async fn known_copies(&self) -> (i64, i64) {
        let statement = "SELECT count(holder_thumbprint), count(copy_digest) FROM issued";
        query_as(statement).fetch_one(self.0.readers()).await.unwrap()
    }

    /// Writes a digest to a copy of an offer whose key was deleted, as an earlier version left it.
    pub(crate) async fn restore_digest(&self, offer: &str) {
        let at = Timestamp::from_unix(1);
        self.write_for("UPDATE collections SET known_until = ?1 WHERE offer_id = ?2", at, offer).await;
        let statement = "UPDATE issued SET copy_digest = x'07' WHERE ?1 = 1 AND issued_id = \
            (SELECT min(issued_id) FROM issued WHERE offer_id = ?2)";
        self.write_for(statement, at, offer).await;
    }

    /// Returns the numbers of used nonces and of sealed responses.
    pub(crate) async fn nonces_and_sealed(&self) -> (i64, i64) {
        let nonces = self.count("SELECT count(*) FROM used_nonces").await;
        (nonces, self.count("SELECT count(*) FROM collections WHERE sealed IS NOT NULL").await)
    }

    /// Returns the number of counters of cohorts.
    pub(crate) async fn cohort_rows(&self) -> i64 {
        self.count("SELECT count(*) FROM cohorts").await
    }

    // Statuses.

    /// Draws all indices of the lists but the last `left`.
    pub(crate) async fn fill_lists(&self, left: i64) {
        let mut tx = self.0.begin("a test").await.unwrap();
        query("UPDATE status_lists SET drawn = entries - ?").bind(left).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Draws all indices of one list.
    pub(crate) async fn fill_list(&self, list: i64) {
        let mut tx = self.0.begin("a test").await.unwrap();
        query("UPDATE status_lists SET drawn = entries WHERE list = ?").bind(list).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Tries to undo what acts on statuses have recorded: revocations, acts and drawn indices must be final, and a
    /// suspension must be possible.
    pub(crate) async fn require_final_statuses(&self) {
        self.require_refused(&[
            "UPDATE statuses SET state = 'valid' WHERE state = 'revoked'",
            "DELETE FROM statuses",
            "UPDATE status_acts SET reason = 'x'",
            "DELETE FROM status_changes",
            "UPDATE status_lists SET drawn = 0",
        ])
        .await;
        self.write("UPDATE statuses SET state = 'suspended' WHERE state = 'valid'").await;
    }

    /// Tries to undo what acts with messages have recorded.
    pub(crate) async fn require_final_messages(&self) {
        self.require_refused(&[
            "DELETE FROM message_acts",
            "UPDATE message_acts SET reason = 'another'",
            "DELETE FROM message_changes",
            "UPDATE message_changes SET after = 0",
            "DELETE FROM messages",
            "UPDATE status_messages SET text = 'another'",
        ])
        .await;
    }

    async fn require_refused(&self, statements: &[&'static str]) {
        for statement in statements.iter().copied() {
            assert!(self.try_write(statement).await.is_err(), "{statement}");
        }
    }
}
