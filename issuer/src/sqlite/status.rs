//! Statuses: acts of staff as whole transactions, and the queries about them.

use std::collections::{HashMap, HashSet};

use carnet_core::{
    status::message::Messages,
    time::{CLOCK_SKEW, Timestamp},
};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{SqliteStore, Tx, indices, issuance::hash_of, messages, waiting};
use crate::{
    error::Error,
    secrets::{self, Hash},
    store::{
        Slice,
        status::{
            Act, ActRecord, Acted, Changed, Changes, CopyStanding, CopyStatus, ListRecord, Place, State, StatusStore,
            Verb, Whom,
        },
    },
};

/// Copy and its state.
struct Target {
    status_index: i64,
    offer_id: String,
    state: State,
}

/// Change of a copy: its status index, and the values before and after.
enum Change {
    State(i64, State, State),
    Message(i64, u8, u8),
}

/// Last act of both kinds, which share one sequence.
const VERSION: &str = "SELECT max((SELECT coalesce(max(seq), 0) FROM status_acts), \
     (SELECT coalesce(max(seq), 0) FROM message_acts))";
/// Copies of a credential.
const BY_OFFER: &str = "SELECT i.status_index, i.offer_id, coalesce(s.state, 'valid') AS state \
     FROM issued i LEFT JOIN statuses s USING (status_index) WHERE i.offer_id = ?";
/// One issued copy.
const BY_COPY: &str = "SELECT i.status_index, i.offer_id, coalesce(s.state, 'valid') AS state \
     FROM issued i LEFT JOIN statuses s USING (status_index) WHERE i.issued_id = ? AND i.issued_at IS NOT NULL";
/// Copies of credentials whose first copy was issued in a period.
const BY_TIME: &str = "SELECT i.status_index, i.offer_id, coalesce(s.state, 'valid') AS state \
     FROM issued i LEFT JOIN statuses s USING (status_index) WHERE i.offer_id IN (\
     SELECT f.offer_id FROM issued f WHERE f.issued_at >= ? AND f.issued_at <= ? AND NOT EXISTS (\
     SELECT 1 FROM issued e WHERE e.offer_id = f.offer_id AND e.issued_at < ?))";
/// Copies of credentials of one type whose first copy was issued in a period.
const BY_TYPE: &str = "SELECT i.status_index, i.offer_id, coalesce(s.state, 'valid') AS state \
     FROM issued i LEFT JOIN statuses s USING (status_index) WHERE i.offer_id IN (\
     SELECT f.offer_id FROM issued f CROSS JOIN offers o USING (offer_id) \
     WHERE f.issued_at >= ? AND f.issued_at <= ? AND NOT EXISTS (\
     SELECT 1 FROM issued e WHERE e.offer_id = f.offer_id AND e.issued_at < ?) AND o.credential_type = ?)";
/// Newest acts of both kinds; each part is limited, so that older acts are not read.
const ACTS: &str = "SELECT * FROM (SELECT seq, request_id, verb, NULL AS number, reason, who, at, credentials, copies, \
     changed FROM status_acts WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2) UNION ALL \
     SELECT * FROM (SELECT seq, request_id, 'message', number, reason, who, at, credentials, copies, changed \
     FROM message_acts WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2) ORDER BY seq DESC LIMIT ?2";
/// Newest acts that changed a copy of an offer, or one copy. `+` keeps SQLite from using the index by `seq`, which
/// would read all acts.
const ACTS_ON: &str = "SELECT seq, request_id, verb, NULL AS number, reason, who, at, credentials, copies, changed \
     FROM status_acts WHERE +seq < ?2 AND seq IN (\
     SELECT c.act FROM issued i JOIN status_changes c USING (status_index) WHERE i.offer_id = ?1 OR i.issued_id = ?1) UNION ALL \
     SELECT seq, request_id, 'message', number, reason, who, at, credentials, copies, changed \
     FROM message_acts WHERE +seq < ?2 AND seq IN (\
     SELECT c.act FROM issued i JOIN message_changes c USING (status_index) WHERE i.offer_id = ?1 OR i.issued_id = ?1) ORDER BY seq DESC LIMIT ?3";
/// Standing of a copy by its handle, for its holder.
const STANDING: &str = "SELECT i.copy_digest, coalesce(s.state, 'valid') AS state, \
     coalesce(c.valid_until, o.valid_until) AS valid_until, \
     (EXISTS (SELECT 1 FROM status_changes r WHERE r.status_index = i.status_index AND r.after = 'valid') \
     OR EXISTS (SELECT 1 FROM message_changes r WHERE r.status_index = i.status_index)) AS marked, \
     (SELECT m.number FROM issued p JOIN messages m USING (status_index) WHERE p.offer_id = i.offer_id \
     ORDER BY m.act DESC LIMIT 1) AS message \
     FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
     LEFT JOIN statuses s USING (status_index) WHERE i.handle_hash = ? AND i.issued_at IS NOT NULL";
/// Time of the last change of a copy's status, and of the beginning of its wait for the lists.
const LAST_CHANGE: &str = "SELECT a.at, w.since FROM statuses s LEFT JOIN status_acts a ON a.seq = s.act \
     LEFT JOIN waiting_statuses w ON w.status_index = s.status_index AND w.listed <> s.state WHERE s.status_index = ?";
/// Listed state of entries that acts changed since a version, and of those that stand for copies of a lost store. An act on a copy
/// that had ended by then changes nothing in them, and nothing waits for it: they say what they said before the first such act.
const LISTED: &str = "SELECT coalesce(\
     CASE WHEN w.since <= coalesce(k.valid_until, o.valid_until) + ?2 THEN w.listed END, \
     (SELECT c.before FROM status_changes c JOIN status_acts a ON a.seq = c.act WHERE c.status_index = s.status_index \
     AND a.at > coalesce(k.valid_until, o.valid_until) + ?2 ORDER BY c.act LIMIT 1), w.listed, s.state) AS state, \
     l.list, s.status_index - l.first_index AS position \
     FROM statuses s INDEXED BY statuses_by_act LEFT JOIN waiting_statuses w USING (status_index) \
     LEFT JOIN issued i USING (status_index) LEFT JOIN offers o USING (offer_id) LEFT JOIN collections k ON k.seq = i.collection \
     JOIN status_lists l ON s.status_index >= l.first_index AND s.status_index < l.first_index + l.entries \
     WHERE s.act > ?1 UNION ALL \
     SELECT s.state, l.list, s.status_index - l.first_index AS position \
     FROM inherited_statuses s INDEXED BY inherited_statuses_by_act JOIN status_lists l \
     ON s.status_index >= l.first_index AND s.status_index < l.first_index + l.entries WHERE s.act > ?1";
const WRITE_STATUS_ACT: &str = "INSERT INTO status_acts \
     (seq, request_id, request, verb, reason, who, at, credentials, copies, changed, urgent) \
     SELECT 1 + max((SELECT coalesce(max(seq), 0) FROM status_acts), \
     (SELECT coalesce(max(seq), 0) FROM message_acts)), \
     ?, ?, ?, ?, ?, ?, ?, ?, ?, ? RETURNING seq";
const WRITE_MESSAGE_ACT: &str = "INSERT INTO message_acts \
     (seq, request_id, request, number, reason, who, at, credentials, copies, changed) \
     SELECT 1 + max((SELECT coalesce(max(seq), 0) FROM status_acts), \
     (SELECT coalesce(max(seq), 0) FROM message_acts)), \
     ?, ?, ?, ?, ?, ?, ?, ?, ? RETURNING seq";

impl StatusStore for SqliteStore {
    async fn open_lists(&self, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.begin("open_status_lists").await?;
        indices::open_next(&mut tx, self.list_entries, now).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn settle_messages(&self, messages: Option<&Messages>) -> Result<(), Error> {
        let mut tx = self.database.begin("settle_messages").await?;
        messages::settle(&mut tx, messages).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn list_ended(&self, list: i64, before: Timestamp) -> Result<bool, Error> {
        // Positions are shuffled, so that a valid copy is found soon if there is one.
        let ended = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM status_lists l WHERE l.list = ? AND l.drawn = l.entries AND l.inherited = 0 AND NOT EXISTS (\
             SELECT 1 FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
             WHERE i.status_index >= l.first_index AND i.status_index < l.first_index + l.entries \
             AND coalesce(c.valid_until, o.valid_until) >= ?))",
        );
        Ok(ended.bind(list).bind(before.unix()).fetch_one(self.database.readers()).await?)
    }

    async fn act(&self, act: Act) -> Result<Acted, Error> {
        let mut tx = self.database.begin("act_on_status").await?;
        if let Some(done) = done_before(&mut tx, &act).await? {
            return Ok(done);
        }
        let targets = match &act.whom {
            Whom::Ids(ids) => named(&mut tx, ids, act.verb).await?,
            Whom::Matching { credential_type, from, until } => {
                matching(&mut tx, credential_type.as_deref(), *from, *until).await?
            }
        };
        let changes = changes(&mut tx, act.verb, &targets).await?;
        let offers: HashSet<&str> = targets.iter().map(|target| target.offer_id.as_str()).collect();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let mut acted = Acted {
            act: None,
            credentials: count(offers.len()),
            copies: count(targets.len()),
            changed: count(changes.len()),
            open: open_offers(&mut tx, &act.whom).await?,
            unchanged_since: None,
            waits_since: None,
        };
        if matches!(act.whom, Whom::Matching { .. }) && targets.is_empty() {
            return Err(Error::NothingMatches { open: acted.open });
        }
        if act.dry_run {
            return Ok(acted);
        }
        if let Some(expected) = act.expected.filter(|expected| *expected != acted.credentials) {
            return Err(Error::CountDiffers { expected, found: acted.credentials });
        }
        if changes.is_empty() {
            if acted.credentials == 1 && !matches!(act.verb, Verb::Message(_)) {
                (acted.unchanged_since, acted.waits_since) = last_change(&mut tx, &targets).await?;
            }
            return Ok(acted);
        }
        let seq = write(&mut tx, &act, &acted, &changes).await?;
        tx.commit().await?;
        acted.act = Some(seq);
        Ok(acted)
    }

    async fn status(&self, id: &str) -> Result<Vec<CopyStatus>, Error> {
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
        .fetch_all(self.database.readers())
        .await?;
        if rows.is_empty() {
            return Err(Error::NotFound { what: "issued credential" });
        }
        rows.iter().map(copy_of).collect()
    }

    async fn standings(&self, handles: &[Hash]) -> Result<Vec<Option<CopyStanding>>, Error> {
        // One transaction: the responses are of the same instant.
        let mut tx = self.database.readers().begin().await?;
        let mut standings = Vec::with_capacity(handles.len());
        for handle in handles {
            let row = sqlx::query(STANDING).bind(handle.as_slice()).fetch_optional(&mut *tx).await?;
            standings.push(row.as_ref().map(standing_of).transpose()?);
        }
        Ok(standings)
    }

    async fn acts(&self, id: &str, slice: Slice) -> Result<Vec<ActRecord>, Error> {
        let query = if id.is_empty() { sqlx::query(ACTS) } else { sqlx::query(ACTS_ON).bind(id) };
        query
            .bind(slice.before)
            .bind(slice.limit)
            .fetch_all(self.database.readers())
            .await?
            .iter()
            .map(act_of)
            .collect()
    }

    async fn changed_by(&self, act: i64, slice: Slice) -> Result<Vec<Changed>, Error> {
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM acts WHERE seq = ?)")
            .bind(act)
            .fetch_one(self.database.readers())
            .await?;
        if !known {
            return Err(Error::NotFound { what: "act" });
        }
        let rows = sqlx::query(
            "SELECT i.seq, i.issued_id, i.offer_id, NOT EXISTS (SELECT 1 FROM issued o WHERE o.offer_id = i.offer_id \
             AND o.issued_at IS NOT NULL AND NOT EXISTS (\
             SELECT 1 FROM changes t WHERE t.act = c.act AND t.status_index = o.status_index)) AS whole \
             FROM changes c JOIN issued i USING (status_index) \
             WHERE c.act = ? AND i.seq < ? AND i.issued_at IS NOT NULL ORDER BY i.seq DESC LIMIT ?",
        );
        let rows = rows.bind(act).bind(slice.before).bind(slice.limit).fetch_all(self.database.readers()).await?;
        let changed = |row: &SqliteRow| {
            Ok(Changed {
                seq: row.try_get("seq")?,
                issued_id: row.try_get("issued_id")?,
                offer_id: row.try_get("offer_id")?,
                whole: row.try_get("whole")?,
            })
        };
        rows.iter().map(changed).collect()
    }

    async fn changes_since(&self, version: i64, waiting_before: Timestamp) -> Result<Changes, Error> {
        let released = self.release(waiting_before).await?;
        let mut tx = self.database.readers().begin().await?;
        let upto: i64 = sqlx::query_scalar(VERSION).fetch_one(&mut *tx).await?;
        let lists = sqlx::query("SELECT list, entries FROM status_lists ORDER BY list").fetch_all(&mut *tx).await?;
        let entries = sqlx::query(LISTED).bind(version).bind(CLOCK_SKEW).fetch_all(&mut *tx).await?;
        let lists =
            lists.iter().map(|row| Ok(ListRecord { list: row.try_get("list")?, entries: number(row, "entries")? }));
        let entries = entries.iter().map(|row| Ok((place_of(row)?, State::parse(row.try_get("state")?)?)));
        Ok(Changes {
            version: upto,
            lists: lists.collect::<Result<_, Error>>()?,
            entries: released.into_iter().map(Ok).chain(entries).collect::<Result<_, Error>>()?,
        })
    }
}

/// Returns the result of an earlier act with this request_id, if there is one.
async fn done_before(tx: &mut Tx, act: &Act) -> Result<Option<Acted>, Error> {
    let row =
        sqlx::query("SELECT * FROM acts WHERE request_id = ?").bind(&act.request_id).fetch_optional(&mut **tx).await?;
    let Some(row) = row else { return Ok(None) };
    if !secrets::same(row.try_get::<&[u8], _>("request")?, &act.request) {
        return Err(Error::RequestIdReused { what: "a change of status" });
    }
    let ActRecord { seq, credentials, copies, changed, .. } = act_of(&row)?;
    Ok(Some(Acted { act: Some(seq), credentials, copies, changed, open: 0, unchanged_since: None, waits_since: None }))
}

/// Returns the copies that the ids name. An offer's copies include those about to be signed, so that none escapes.
async fn named(tx: &mut Tx, ids: &[String], verb: Verb) -> Result<Vec<Target>, Error> {
    let mut targets: HashMap<i64, Target> = HashMap::new();
    for id in ids {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM offers WHERE offer_id = ?")
            .bind(id)
            .fetch_optional(&mut **tx)
            .await?;
        let query = match state.as_deref() {
            Some("collected") => sqlx::query(BY_OFFER),
            // An offer that was not collected is cancelled instead; it has no copies.
            Some(_) => return Err(Error::NotIssued { id: id.clone() }),
            None => sqlx::query(BY_COPY),
        };
        let rows = query.bind(id).fetch_all(&mut **tx).await?;
        let found = rows.iter().map(target_of).collect::<Result<Vec<_>, Error>>()?;
        if found.is_empty() {
            return Err(Error::StatusUnknown { id: id.clone() });
        }
        match verb {
            Verb::Suspend | Verb::Reinstate if found.iter().all(|target| target.state == State::Revoked) => {
                return Err(Error::StatusRevoked { id: id.clone() });
            }
            Verb::Message(number) if messages_of(tx, &found).await?.is_empty() => {
                return Err(Error::MessageNotCarried { id: id.clone(), number });
            }
            _ => {}
        }
        targets.extend(found.into_iter().map(|target| (target.status_index, target)));
    }
    Ok(targets.into_values().collect())
}

/// Returns all copies of the credentials that match a filter, whenever each copy was issued.
async fn matching(
    tx: &mut Tx,
    credential_type: Option<&str>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<Target>, Error> {
    let (from, until) = (from.map_or(i64::MIN, Timestamp::unix), until.map_or(i64::MAX, Timestamp::unix));
    let query = if credential_type.is_some() { sqlx::query(BY_TYPE) } else { sqlx::query(BY_TIME) };
    let query = query.bind(from).bind(until).bind(from);
    let query = if let Some(name) = credential_type { query.bind(name) } else { query };
    query.fetch_all(&mut **tx).await?.iter().map(target_of).collect()
}

/// Returns the changes that an act makes to its targets.
async fn changes(tx: &mut Tx, verb: Verb, targets: &[Target]) -> Result<Vec<Change>, Error> {
    if let Verb::Message(number) = verb {
        let have = messages_of(tx, targets).await?;
        let changed = have.into_iter().filter(|(_, before)| *before != number);
        return Ok(changed.map(|(status_index, before)| Change::Message(status_index, before, number)).collect());
    }
    let change = |target: &Target| Some(Change::State(target.status_index, target.state, verb.of(target.state)?));
    Ok(targets.iter().filter_map(change).collect())
}

/// The last of the copies' changes, and since when the first of them waits for the lists.
async fn last_change(tx: &mut Tx, targets: &[Target]) -> Result<(Option<Timestamp>, Option<Timestamp>), Error> {
    let (mut changed, mut waits) = (None, None);
    for target in targets {
        let row = sqlx::query(LAST_CHANGE).bind(target.status_index).fetch_optional(&mut **tx).await?;
        let Some(row) = row else { continue };
        let at = |column: &str| Ok::<_, Error>(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_unix));
        changed = changed.max(at("at")?);
        waits = [waits, at("since")?].into_iter().flatten().min();
    }
    Ok((changed, waits))
}

/// Returns the targets that can have a message, with their current ones.
async fn messages_of(tx: &mut Tx, targets: &[Target]) -> Result<Vec<(i64, u8)>, Error> {
    let mut found = Vec::new();
    for target in targets {
        let before = messages::replaceable(tx, target.status_index).await?;
        found.extend(before.map(|before| (target.status_index, before)));
    }
    Ok(found)
}

/// Counts the open offers that would match a filter if collected, by their time of creation.
async fn open_offers(tx: &mut Tx, whom: &Whom) -> Result<u64, Error> {
    let Whom::Matching { credential_type, from, until } = whom else { return Ok(0) };
    let query = match credential_type {
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
    let open: i64 = query
        .bind(from.map_or(i64::MIN, Timestamp::unix))
        .bind(until.map_or(i64::MAX, Timestamp::unix))
        .fetch_one(&mut **tx)
        .await?;
    u64::try_from(open).map_err(|_| Error::Corrupt("offers"))
}

async fn write(tx: &mut Tx, act: &Act, acted: &Acted, changes: &[Change]) -> Result<i64, Error> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let query = match act.verb {
        Verb::Message(_) => sqlx::query_scalar(WRITE_MESSAGE_ACT),
        Verb::Revoke | Verb::Suspend | Verb::Reinstate => sqlx::query_scalar(WRITE_STATUS_ACT),
    };
    let query = query.bind(&act.request_id).bind(act.request.as_slice());
    let query = match act.verb {
        Verb::Message(number) => query.bind(i64::from(number)),
        verb => query.bind(verb.as_str()),
    };
    let query = query
        .bind(&act.reason)
        .bind(&act.who)
        .bind(act.now.unix())
        .bind(count(acted.credentials))
        .bind(count(acted.copies))
        .bind(count(acted.changed));
    let query = match act.verb {
        // Messages are in no list.
        Verb::Message(_) => query,
        Verb::Revoke | Verb::Suspend | Verb::Reinstate => query.bind(act.urgent),
    };
    let seq: i64 = query.fetch_one(&mut **tx).await?;
    for change in changes {
        let (status_index, before, after) = match change {
            Change::State(status_index, before, after) => (status_index, before, after),
            Change::Message(status_index, before, after) => {
                messages::set(tx, seq, (*status_index, *before, *after)).await?;
                continue;
            }
        };
        waiting::note(tx, act, *status_index, *before).await?;
        sqlx::query("INSERT INTO status_changes (act, status_index, before, after) VALUES (?, ?, ?, ?)")
            .bind(seq)
            .bind(status_index)
            .bind(before.as_str())
            .bind(after.as_str())
            .execute(&mut **tx)
            .await?;
        sqlx::query(
            "INSERT INTO statuses (status_index, state, act) VALUES (?, ?, ?) \
             ON CONFLICT (status_index) DO UPDATE SET state = excluded.state, act = excluded.act",
        )
        .bind(status_index)
        .bind(after.as_str())
        .bind(seq)
        .execute(&mut **tx)
        .await?;
    }
    Ok(seq)
}

fn target_of(row: &SqliteRow) -> Result<Target, Error> {
    Ok(Target {
        status_index: row.try_get("status_index")?,
        offer_id: row.try_get("offer_id")?,
        state: State::parse(row.try_get("state")?)?,
    })
}

fn standing_of(row: &SqliteRow) -> Result<CopyStanding, Error> {
    Ok(CopyStanding {
        digest: hash_of(row, "copy_digest")?,
        state: State::parse(row.try_get("state")?)?,
        valid_until: Timestamp::from_unix(row.try_get("valid_until")?),
        replace: row.try_get("marked")?,
        message: row.try_get::<Option<i64>, _>("message")?.map_or(Ok(0), messages::number)?,
    })
}

fn copy_of(row: &SqliteRow) -> Result<CopyStatus, Error> {
    Ok(CopyStatus {
        issued_id: row.try_get("issued_id")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        issued_at: Timestamp::from_unix(row.try_get("issued_at")?),
        state: State::parse(row.try_get("state")?)?,
        place: place_of(row)?,
        message: messages::number(row.try_get("number")?)?,
        act: row.try_get("act")?,
        waits_since: row.try_get::<Option<i64>, _>("since")?.map(Timestamp::from_unix),
    })
}

fn act_of(row: &SqliteRow) -> Result<ActRecord, Error> {
    Ok(ActRecord {
        seq: row.try_get("seq")?,
        request_id: row.try_get("request_id")?,
        verb: Verb::parse(
            row.try_get("verb")?,
            row.try_get::<Option<i64>, _>("number")?.map(messages::number).transpose()?,
        )?,
        reason: row.try_get("reason")?,
        who: row.try_get("who")?,
        at: Timestamp::from_unix(row.try_get("at")?),
        credentials: number(row, "credentials")?,
        copies: number(row, "copies")?,
        changed: number(row, "changed")?,
    })
}

/// Reads the columns `list` and `position`.
pub(super) fn place_of(row: &SqliteRow) -> Result<Place, Error> {
    Ok(Place { list: row.try_get("list")?, position: number(row, "position")? })
}

fn number(row: &SqliteRow, column: &'static str) -> Result<u64, Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| Error::Corrupt(column))
}
