//! SQLite rows of statuses, acts of staff, messages and status lists.

use carnet_core::{format::CredentialFormat, time::Timestamp};
use carnet_service::error::StoreError;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    SqliteTx,
    rows::{
        read_format, read_hash, read_message_number, read_number, read_optional_time, read_state, read_status_index,
        read_time, to_sqlite_integer,
    },
};
use crate::{
    secrets::Sha256Hash,
    store::{
        PageSlice, StoreResult,
        status::{
            ChangedCopy, ChangedEntry, CopyStatus, CopyWithState, HolderCopyStatus, IssuancePeriodFilter,
            LastStatusChange, NewStatusAct, StatusActRecord, StatusAction, StatusListRecord, StatusRows, StatusState,
            parse_state,
        },
    },
};

/// Number of the last act; status changes and messages share one sequence.
const LAST_ACT_NUMBER: &str = "SELECT max((SELECT coalesce(max(seq), 0) FROM status_acts), \
     (SELECT coalesce(max(seq), 0) FROM message_acts))";
/// Copies of an offer with their states, including those about to be signed.
const COPIES_BY_OFFER: &str = "SELECT i.status_index, i.offer_id, coalesce(s.state, 'valid') AS state \
     FROM issued i LEFT JOIN statuses s USING (status_index) WHERE i.offer_id = ?";
/// One issued copy with its state.
const COPY_BY_ID: &str = "SELECT i.status_index, i.offer_id, coalesce(s.state, 'valid') AS state \
     FROM issued i LEFT JOIN statuses s USING (status_index) WHERE i.issued_id = ? AND i.issued_at IS NOT NULL";
/// Copies, with their states, of credentials whose first copy was issued in a period.
const COPIES_BY_TIME: &str = "SELECT i.status_index, i.offer_id, coalesce(s.state, 'valid') AS state \
     FROM issued i LEFT JOIN statuses s USING (status_index) WHERE i.offer_id IN (\
     SELECT f.offer_id FROM issued f WHERE f.issued_at >= ? AND f.issued_at <= ? AND NOT EXISTS (\
     SELECT 1 FROM issued e WHERE e.offer_id = f.offer_id AND e.issued_at < ?))";
/// Copies, with their states, of credentials of one type whose first copy was issued in a period.
const COPIES_BY_TYPE: &str = "SELECT i.status_index, i.offer_id, coalesce(s.state, 'valid') AS state \
     FROM issued i LEFT JOIN statuses s USING (status_index) WHERE i.offer_id IN (\
     SELECT f.offer_id FROM issued f CROSS JOIN offers o USING (offer_id) \
     WHERE f.issued_at >= ? AND f.issued_at <= ? AND NOT EXISTS (\
     SELECT 1 FROM issued e WHERE e.offer_id = f.offer_id AND e.issued_at < ?) AND o.credential_type = ?)";
/// Newest acts: status changes and messages. Each part is limited, so that older acts are not read.
const ACTS: &str = "SELECT * FROM (SELECT seq, request_id, verb, NULL AS number, reason, who, at, credentials, copies, \
     changed FROM status_acts WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2) UNION ALL \
     SELECT * FROM (SELECT seq, request_id, 'message', number, reason, who, at, credentials, copies, changed \
     FROM message_acts WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2) ORDER BY seq DESC LIMIT ?2";
/// Newest acts that changed copies of an offer, or one copy. `+` keeps SQLite from using the index of `seq`, which
/// would read all acts.
const ACTS_ON_COPIES: &str = "SELECT seq, request_id, verb, NULL AS number, reason, who, at, credentials, copies, changed \
     FROM status_acts WHERE +seq < ?2 AND seq IN (\
     SELECT c.act FROM issued i JOIN status_changes c USING (status_index) WHERE i.offer_id = ?1 OR i.issued_id = ?1) UNION ALL \
     SELECT seq, request_id, 'message', number, reason, who, at, credentials, copies, changed \
     FROM message_acts WHERE +seq < ?2 AND seq IN (\
     SELECT c.act FROM issued i JOIN message_changes c USING (status_index) WHERE i.offer_id = ?1 OR i.issued_id = ?1) ORDER BY seq DESC LIMIT ?3";
/// Status of a copy for its holder, by the hash of the copy's handle.
const HOLDER_STATUS: &str = "SELECT i.copy_digest, coalesce(s.state, 'valid') AS state, \
     coalesce(c.valid_until, o.valid_until) AS valid_until, \
     (EXISTS (SELECT 1 FROM status_changes r WHERE r.status_index = i.status_index AND r.after = 'valid') \
     OR EXISTS (SELECT 1 FROM message_changes r WHERE r.status_index = i.status_index)) AS marked, \
     (SELECT m.number FROM issued p JOIN messages m USING (status_index) WHERE p.offer_id = i.offer_id \
     ORDER BY m.act DESC LIMIT 1) AS message \
     FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
     LEFT JOIN statuses s USING (status_index) WHERE i.handle_hash = ? AND i.issued_at IS NOT NULL";
/// Time of the last change of a copy's state, and time since which it waits for publication.
const LAST_CHANGE: &str = "SELECT a.at, w.since FROM statuses s LEFT JOIN status_acts a ON a.seq = s.act \
     LEFT JOIN waiting_statuses w ON w.status_index = s.status_index AND w.listed <> s.state WHERE s.status_index = ?";
/// Entries that acts changed since a version, and those of copies that were taken over from published lists after a
/// restoration, with what decides on the state to be published. `before_late` is the state before the first act that
/// was more than `?2` seconds after the copy's end.
const CHANGED: &str = "SELECT s.state, w.listed, w.since, coalesce(k.valid_until, o.valid_until) AS ends, \
     (SELECT c.before FROM status_changes c JOIN status_acts a ON a.seq = c.act WHERE c.status_index = s.status_index \
     AND a.at > coalesce(k.valid_until, o.valid_until) + ?2 ORDER BY c.act LIMIT 1) AS before_late, \
     l.list, s.status_index - l.first_index AS position \
     FROM statuses s INDEXED BY statuses_by_act LEFT JOIN waiting_statuses w USING (status_index) \
     LEFT JOIN issued i USING (status_index) LEFT JOIN offers o USING (offer_id) LEFT JOIN collections k ON k.seq = i.collection \
     JOIN status_lists l ON s.status_index >= l.first_index AND s.status_index < l.first_index + l.entries \
     WHERE s.act > ?1 UNION ALL \
     SELECT s.state, NULL, NULL, NULL, NULL, l.list, s.status_index - l.first_index AS position \
     FROM inherited_statuses s INDEXED BY inherited_statuses_by_act JOIN status_lists l \
     ON s.status_index >= l.first_index AND s.status_index < l.first_index + l.entries WHERE s.act > ?1";
const INSERT_STATUS_ACT: &str = "INSERT INTO status_acts \
     (seq, request_id, request, verb, reason, who, at, credentials, copies, changed, urgent) \
     SELECT 1 + max((SELECT coalesce(max(seq), 0) FROM status_acts), \
     (SELECT coalesce(max(seq), 0) FROM message_acts)), \
     ?, ?, ?, ?, ?, ?, ?, ?, ?, ? RETURNING seq";
const INSERT_MESSAGE_ACT: &str = "INSERT INTO message_acts \
     (seq, request_id, request, number, reason, who, at, credentials, copies, changed) \
     SELECT 1 + max((SELECT coalesce(max(seq), 0) FROM status_acts), \
     (SELECT coalesce(max(seq), 0) FROM message_acts)), \
     ?, ?, ?, ?, ?, ?, ?, ?, ? RETURNING seq";

/// Entries whose deferral began before a time, as in [`CHANGED`].
const RELEASED: &str = "SELECT s.state, NULL AS listed, NULL AS since, coalesce(k.valid_until, o.valid_until) AS ends, \
     (SELECT c.before FROM status_changes c JOIN status_acts a ON a.seq = c.act \
     WHERE c.status_index = w.status_index AND a.at > coalesce(k.valid_until, o.valid_until) + ?2 \
     ORDER BY c.act LIMIT 1) AS before_late, l.list, w.status_index - l.first_index AS position \
     FROM waiting_statuses w INDEXED BY waiting_statuses_by_time JOIN statuses s USING (status_index) \
     LEFT JOIN issued i USING (status_index) LEFT JOIN offers o USING (offer_id) LEFT JOIN collections k ON k.seq = i.collection \
     JOIN status_lists l ON w.status_index >= l.first_index AND w.status_index < l.first_index + l.entries \
     WHERE w.since < ?1";

impl StatusRows for SqliteTx {
    async fn act_by_request(&mut self, request_id: &str) -> StoreResult<Option<(Sha256Hash, StatusActRecord)>> {
        let row = sqlx::query("SELECT * FROM acts WHERE request_id = ?").bind(request_id);
        let row = row.fetch_optional(&mut *self.0).await?;
        row.as_ref().map(|row| Ok((read_hash(row, "request")?, act_from_row(row)?))).transpose()
    }

    async fn copies_of_offer(&mut self, offer_id: &str) -> StoreResult<Vec<CopyWithState>> {
        sqlx::query(COPIES_BY_OFFER)
            .bind(offer_id)
            .fetch_all(&mut *self.0)
            .await?
            .iter()
            .map(copy_state_from_row)
            .collect()
    }

    async fn copy_by_id(&mut self, issued_id: &str) -> StoreResult<Option<CopyWithState>> {
        let row = sqlx::query(COPY_BY_ID).bind(issued_id).fetch_optional(&mut *self.0).await?;
        row.as_ref().map(copy_state_from_row).transpose()
    }

    async fn copies_matching(&mut self, issued: IssuancePeriodFilter<'_>) -> StoreResult<Vec<CopyWithState>> {
        let (from, until) = period_bounds(issued);
        let query =
            if issued.credential_type.is_some() { sqlx::query(COPIES_BY_TYPE) } else { sqlx::query(COPIES_BY_TIME) };
        let query = query.bind(from).bind(until).bind(from);
        let query = if let Some(name) = issued.credential_type { query.bind(name) } else { query };
        query.fetch_all(&mut *self.0).await?.iter().map(copy_state_from_row).collect()
    }

    async fn count_open_offers(&mut self, created: IssuancePeriodFilter<'_>) -> StoreResult<u64> {
        let (from, until) = period_bounds(created);
        let query = match created.credential_type {
            None => sqlx::query_scalar(
                "SELECT count(*) FROM offers INDEXED BY offers_uncollected \
                 WHERE state IN ('open', 'redeemed') AND created_at >= ? AND created_at <= ?",
            ),
            Some(name) => sqlx::query_scalar(
                "SELECT count(*) FROM offers INDEXED BY offers_uncollected \
                 WHERE state IN ('open', 'redeemed') AND credential_type = ? AND created_at >= ? AND created_at <= ?",
            )
            .bind(name),
        };
        let open: i64 = query.bind(from).bind(until).fetch_one(&mut *self.0).await?;
        u64::try_from(open).map_err(|_| StoreError::Corrupt("offers"))
    }

    async fn copy_format_and_message(&mut self, status_index: i64) -> StoreResult<Option<(CredentialFormat, u8)>> {
        let row = sqlx::query(
            "SELECT o.format, coalesce(m.number, 0) AS number FROM issued i JOIN offers o USING (offer_id) \
             LEFT JOIN messages m USING (status_index) WHERE i.status_index = ?",
        )
        .bind(status_index)
        .fetch_optional(&mut *self.0)
        .await?;
        row.as_ref().map(|row| Ok((read_format(row)?, read_message_number(row, "number")?))).transpose()
    }

    async fn last_change(&mut self, status_index: i64) -> StoreResult<Option<LastStatusChange>> {
        let row = sqlx::query(LAST_CHANGE).bind(status_index).fetch_optional(&mut *self.0).await?;
        let change = |row: &SqliteRow| {
            Ok(LastStatusChange { at: read_optional_time(row, "at")?, waits_since: read_optional_time(row, "since")? })
        };
        row.as_ref().map(change).transpose()
    }

    async fn insert_act(&mut self, act: &NewStatusAct<'_>) -> StoreResult<i64> {
        let query = match act.verb {
            StatusAction::Message(_) => sqlx::query_scalar(INSERT_MESSAGE_ACT),
            StatusAction::Revoke | StatusAction::Suspend | StatusAction::Reinstate => {
                sqlx::query_scalar(INSERT_STATUS_ACT)
            }
        };
        let query = query.bind(act.request_id).bind(act.request_digest.as_slice());
        let query = match act.verb {
            StatusAction::Message(number) => query.bind(i64::from(number)),
            verb => query.bind(verb.as_str()),
        };
        let query = query
            .bind(act.reason)
            .bind(act.staff_name)
            .bind(act.now.unix())
            .bind(to_sqlite_integer(act.credentials))
            .bind(to_sqlite_integer(act.copies))
            .bind(to_sqlite_integer(act.changed));
        let query = match act.verb {
            // Messages are in no list.
            StatusAction::Message(_) => query,
            StatusAction::Revoke | StatusAction::Suspend | StatusAction::Reinstate => query.bind(act.urgent),
        };
        Ok(query.fetch_one(&mut *self.0).await?)
    }

    async fn set_state(
        &mut self,
        act: i64,
        (status_index, before, after): (i64, StatusState, StatusState),
    ) -> StoreResult<()> {
        sqlx::query("INSERT INTO status_changes (act, status_index, before, after) VALUES (?, ?, ?, ?)")
            .bind(act)
            .bind(status_index)
            .bind(before.as_str())
            .bind(after.as_str())
            .execute(&mut *self.0)
            .await?;
        sqlx::query(
            "INSERT INTO statuses (status_index, state, act) VALUES (?, ?, ?) \
             ON CONFLICT (status_index) DO UPDATE SET state = excluded.state, act = excluded.act",
        )
        .bind(status_index)
        .bind(after.as_str())
        .bind(act)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn set_message(&mut self, act: i64, (status_index, before, after): (i64, u8, u8)) -> StoreResult<()> {
        sqlx::query("INSERT INTO message_changes (act, status_index, before, after) VALUES (?, ?, ?, ?)")
            .bind(act)
            .bind(status_index)
            .bind(i64::from(before))
            .bind(i64::from(after))
            .execute(&mut *self.0)
            .await?;
        sqlx::query(
            "INSERT INTO messages (status_index, number, act) VALUES (?, ?, ?) \
             ON CONFLICT (status_index) DO UPDATE SET number = excluded.number, act = excluded.act",
        )
        .bind(status_index)
        .bind(i64::from(after))
        .bind(act)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn defer_publication(&mut self, status_index: i64, listed: StatusState, since: Timestamp) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO waiting_statuses (status_index, listed, since) VALUES (?, ?, ?) \
             ON CONFLICT (status_index) DO NOTHING",
        )
        .bind(status_index)
        .bind(listed.as_str())
        .bind(since.unix())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn end_publication_deferral(&mut self, status_index: i64) -> StoreResult<()> {
        let end = sqlx::query("DELETE FROM waiting_statuses WHERE status_index = ?").bind(status_index);
        end.execute(&mut *self.0).await?;
        Ok(())
    }

    async fn has_deferred_changes(&mut self, before: Timestamp) -> StoreResult<bool> {
        let waits = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM waiting_statuses WHERE since < ?)");
        Ok(waits.bind(before.unix()).fetch_one(&mut *self.0).await?)
    }

    async fn release_deferred(&mut self, before: Timestamp, skew: i64) -> StoreResult<Vec<ChangedEntry>> {
        let rows = sqlx::query(RELEASED).bind(before.unix()).bind(skew).fetch_all(&mut *self.0).await?;
        sqlx::query("DELETE FROM waiting_statuses WHERE since < ?").bind(before.unix()).execute(&mut *self.0).await?;
        rows.iter().map(entry_of).collect()
    }

    async fn last_act_number(&mut self) -> StoreResult<i64> {
        Ok(sqlx::query_scalar(LAST_ACT_NUMBER).fetch_one(&mut *self.0).await?)
    }

    async fn status_lists(&mut self) -> StoreResult<Vec<StatusListRecord>> {
        let rows = sqlx::query("SELECT list, entries FROM status_lists ORDER BY list").fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| Ok(StatusListRecord { list: row.try_get("list")?, entries: read_number(row, "entries")? }))
            .collect()
    }

    async fn entries_changed_since(&mut self, version: i64, skew: i64) -> StoreResult<Vec<ChangedEntry>> {
        let rows = sqlx::query(CHANGED).bind(version).bind(skew).fetch_all(&mut *self.0).await?;
        rows.iter().map(entry_of).collect()
    }

    async fn is_list_expired(&mut self, list: i64, before: Timestamp) -> StoreResult<bool> {
        // Positions are shuffled, so that a valid copy is found soon if there is one.
        let ended = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM status_lists l WHERE l.list = ? AND l.drawn = l.entries AND l.inherited = 0 AND NOT EXISTS (\
             SELECT 1 FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
             WHERE i.status_index >= l.first_index AND i.status_index < l.first_index + l.entries \
             AND coalesce(c.valid_until, o.valid_until) >= ?))",
        );
        Ok(ended.bind(list).bind(before.unix()).fetch_one(&mut *self.0).await?)
    }

    async fn last_copy_number(&mut self) -> StoreResult<i64> {
        Ok(sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM issued").fetch_one(&mut *self.0).await?)
    }

    async fn message_texts(&mut self) -> StoreResult<Vec<(u8, String)>> {
        let rows =
            sqlx::query("SELECT number, text FROM status_messages ORDER BY number").fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Ok((read_message_number(row, "number")?, row.try_get("text")?))).collect()
    }

    async fn delete_unused_messages(&mut self, after: i64) -> StoreResult<()> {
        sqlx::query(
            "DELETE FROM status_messages WHERE after >= ? AND number NOT IN (SELECT number FROM used_messages)",
        )
        .bind(after)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn insert_message(&mut self, number: u8, text: &str, after: i64) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO status_messages (number, text, after) VALUES (?, ?, ?) ON CONFLICT (number) DO NOTHING",
        )
        .bind(i64::from(number))
        .bind(text)
        .bind(after)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn copy_statuses(&mut self, id: &str) -> StoreResult<Vec<CopyStatus>> {
        let rows = sqlx::query(
            "SELECT i.issued_id, i.offer_id, i.issued_at, o.credential_type, coalesce(s.state, 'valid') AS state, s.act, \
             coalesce(m.number, 0) AS number, l.list, i.status_index - l.first_index AS position, w.since \
             FROM issued i JOIN offers o USING (offer_id) LEFT JOIN statuses s USING (status_index) \
             LEFT JOIN waiting_statuses w ON w.status_index = i.status_index AND w.listed <> coalesce(s.state, 'valid') \
             LEFT JOIN messages m USING (status_index) JOIN status_lists l ON i.status_index >= l.first_index AND i.status_index < l.first_index + l.entries \
             WHERE i.issued_at IS NOT NULL AND (i.offer_id = ? OR i.issued_id = ?) ORDER BY i.seq",
        )
        .bind(id)
        .bind(id)
        .fetch_all(&mut *self.0)
        .await?;
        rows.iter().map(copy_status_from_row).collect()
    }

    async fn holder_status_by_handle(&mut self, handle: &Sha256Hash) -> StoreResult<Option<HolderCopyStatus>> {
        let row = sqlx::query(HOLDER_STATUS).bind(handle.as_slice()).fetch_optional(&mut *self.0).await?;
        row.as_ref().map(holder_status_from_row).transpose()
    }

    async fn status_acts(&mut self, id: &str, slice: PageSlice) -> StoreResult<Vec<StatusActRecord>> {
        let query = if id.is_empty() { sqlx::query(ACTS) } else { sqlx::query(ACTS_ON_COPIES).bind(id) };
        query.bind(slice.before).bind(slice.limit).fetch_all(&mut *self.0).await?.iter().map(act_from_row).collect()
    }

    async fn has_act(&mut self, act: i64) -> StoreResult<bool> {
        let known = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM acts WHERE seq = ?)").bind(act);
        Ok(known.fetch_one(&mut *self.0).await?)
    }

    async fn copies_changed_by(&mut self, act: i64, slice: PageSlice) -> StoreResult<Vec<ChangedCopy>> {
        let rows = sqlx::query(
            "SELECT i.seq, i.issued_id, i.offer_id, NOT EXISTS (SELECT 1 FROM issued o WHERE o.offer_id = i.offer_id \
             AND o.issued_at IS NOT NULL AND NOT EXISTS (\
             SELECT 1 FROM changes t WHERE t.act = c.act AND t.status_index = o.status_index)) AS whole \
             FROM changes c JOIN issued i USING (status_index) \
             WHERE c.act = ? AND i.seq < ? AND i.issued_at IS NOT NULL ORDER BY i.seq DESC LIMIT ?",
        );
        let rows = rows.bind(act).bind(slice.before).bind(slice.limit).fetch_all(&mut *self.0).await?;
        let changed = |row: &SqliteRow| {
            Ok(ChangedCopy {
                seq: row.try_get("seq")?,
                issued_id: row.try_get("issued_id")?,
                offer_id: row.try_get("offer_id")?,
                is_whole_offer: row.try_get("whole")?,
            })
        };
        rows.iter().map(changed).collect()
    }
}

/// Returns the bounds of a period in Unix seconds, both inclusive; an absent bound is the minimum or maximum.
fn period_bounds(issued: IssuancePeriodFilter<'_>) -> (i64, i64) {
    (issued.from.map_or(i64::MIN, Timestamp::unix), issued.until.map_or(i64::MAX, Timestamp::unix))
}

fn read_optional_message(row: &SqliteRow, column: &'static str) -> StoreResult<Option<u8>> {
    let number: Option<i64> = row.try_get(column)?;
    number.map(|number| u8::try_from(number).map_err(|_| StoreError::Corrupt(column))).transpose()
}

fn entry_of(row: &SqliteRow) -> StoreResult<ChangedEntry> {
    let state_if_any = |column: &str| row.try_get::<Option<&str>, _>(column)?.map(parse_state).transpose();
    Ok(ChangedEntry {
        status_index: read_status_index(row)?,
        state: read_state(row)?,
        deferred: state_if_any("listed")?.zip(read_optional_time(row, "since")?),
        ends: read_optional_time(row, "ends")?,
        before_late: state_if_any("before_late")?,
    })
}

fn copy_state_from_row(row: &SqliteRow) -> StoreResult<CopyWithState> {
    Ok(CopyWithState {
        status_index: row.try_get("status_index")?,
        offer_id: row.try_get("offer_id")?,
        state: read_state(row)?,
    })
}

fn holder_status_from_row(row: &SqliteRow) -> StoreResult<HolderCopyStatus> {
    Ok(HolderCopyStatus {
        digest: read_hash(row, "copy_digest")?,
        state: read_state(row)?,
        valid_until: read_time(row, "valid_until")?,
        should_replace: row.try_get("marked")?,
        message: read_optional_message(row, "message")?.unwrap_or_default(),
    })
}

fn copy_status_from_row(row: &SqliteRow) -> StoreResult<CopyStatus> {
    Ok(CopyStatus {
        issued_id: row.try_get("issued_id")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        issued_at: read_time(row, "issued_at")?,
        state: read_state(row)?,
        status_index: read_status_index(row)?,
        message: read_message_number(row, "number")?,
        last_act: row.try_get("act")?,
        waits_since: read_optional_time(row, "since")?,
    })
}

fn act_from_row(row: &SqliteRow) -> StoreResult<StatusActRecord> {
    Ok(StatusActRecord {
        seq: row.try_get("seq")?,
        request_id: row.try_get("request_id")?,
        verb: StatusAction::parse(row.try_get("verb")?, read_optional_message(row, "number")?)?,
        reason: row.try_get("reason")?,
        staff_name: row.try_get("who")?,
        at: read_time(row, "at")?,
        credentials: read_number(row, "credentials")?,
        copies: read_number(row, "copies")?,
        changed: read_number(row, "changed")?,
    })
}
