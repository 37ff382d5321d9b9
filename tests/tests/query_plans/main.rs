//! The query plan of every SQL statement of the services: none reads all of a table that grows.
//!
//! The plans are taken without statistics, as the services run: nothing gathers any, which is checked.

// Where something does not hold, a test ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod statements;

use std::{collections::BTreeSet, path::PathBuf};

use sqlx::{Row as _, SqlitePool, migrate::Migrator, sqlite::SqliteConnectOptions};
use statements::Found;

/// Tables whose size does not grow with issued and verified credentials, and the reason.
const SMALL: [(&str, &str); 13] = [
    ("status_lists", "a row for 131,072 copies or more"),
    ("cohorts", "a row for a type, a format, a pair of epochs, a key and a list, until their end"),
    ("status_messages", "15 rows at most: the numbers that a message can have"),
    ("used_messages", "15 rows at most: the numbers that a message can have"),
    ("clock_floor", "one row"),
    ("redemption_desks", "the desks of the configuration"),
    ("redemption_totals", "a row a month for each template, issuer and service"),
    ("voucher_totals", "a row a month for each service and redeemer"),
    ("overused_entitlements", "entitlements that were used too often, until their marks end"),
    ("store_identity", "one row"),
    ("former_stores", "a row each time that an older backup was restored"),
    ("_sqlx_migrations", "a row a migration"),
    ("trust_lists", "the trust lists that were ever configured"),
];

/// Files whose statements run while the service is stopped: `restore` reads all that it closes.
const STOPPED: [&str; 2] = ["sqlite/restored.rs", "commands/store.rs"];

/// Searches by a range, or by a column of few values, that read only the rows that the caller needs.
const NEEDED: [(&str, &str); 9] = [
    ("SEARCH f USING INDEX issued_by_time (issued_at>? AND issued_at<?)", "what staff's filter by time takes"),
    ("SEARCH offers USING INDEX offers_uncollected (created_at>? AND created_at<?)", "what it will not take yet"),
    (
        "SEARCH offers USING INDEX offers_uncollected (created_at>?)",
        "once, at the start: what is open without its marks",
    ),
    ("SEARCH s USING INDEX statuses_by_act (act>?)", "what changed since the lists were published"),
    ("SEARCH w USING COVERING INDEX waiting_statuses_by_time (since<?)", "what waited for a set time"),
    ("SEARCH waiting_statuses USING COVERING INDEX waiting_statuses_by_time (since<?)", "whether anything waited"),
    ("SEARCH s USING INDEX inherited_statuses_by_act (act>?)", "what changed since the lists were published"),
    (
        "SEARCH i USING INDEX sqlite_autoindex_issued_2 (status_index>? AND status_index<?)",
        "one status list, until a copy is found that holds",
    ),
    ("SEARCH redemptions USING PRIMARY KEY (desk=? AND sequence<?)", "an export has all marks of its desk"),
];

/// Columns with few values: to be equal to one of them narrows nothing down.
const FEW_VALUES: [&str; 3] = ["state", "desk", "deferred"];

/// A step of a plan.
struct Step {
    id: i64,
    parent: i64,
    detail: String,
}

/// A database with the tables of a service.
struct Tables {
    pool: SqlitePool,
    /// Names of tables.
    tables: BTreeSet<String>,
    /// Names and texts of views.
    views: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

fn folder(service: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(service)
}

/// Root file of a service's library, or of its program.
fn root(service: &str) -> PathBuf {
    let source = folder(service).join("src");
    let library = source.join("lib.rs");
    if library.exists() { library } else { source.join("main.rs") }
}

impl Tables {
    async fn of(service: &str) -> Self {
        let folder_of_file = tempfile::tempdir().unwrap();
        let options =
            SqliteConnectOptions::new().filename(folder_of_file.path().join("store.sqlite")).create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        Migrator::new(folder(service).join("migrations")).await.unwrap().run(&pool).await.unwrap();
        let (mut tables, mut views) = (BTreeSet::new(), Vec::new());
        for row in sqlx::query("SELECT type, name, sql FROM sqlite_master").fetch_all(&pool).await.unwrap() {
            let (kind, name): (String, String) = (row.get("type"), row.get("name"));
            assert!(!name.starts_with("sqlite_stat"), "statistics are gathered: take the plans with them");
            match kind.as_str() {
                "table" => drop(tables.insert(name)),
                "view" => views.push((name, row.get("sql"))),
                _ => {}
            }
        }
        Self { pool, tables, views, _folder: folder_of_file }
    }

    async fn plan(&self, sql: &str) -> Result<Vec<Step>, sqlx::Error> {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(&self.pool).await?;
        Ok(rows
            .iter()
            .map(|row| Step { id: row.get("id"), parent: row.get("parent"), detail: row.get("detail") })
            .collect())
    }

    /// Returns the table for a name in a plan; `None` for a view or a subquery, whose own steps are in the plan.
    fn table(&self, name: &str, sql: &str) -> Option<String> {
        if self.tables.contains(name) {
            return Some(name.to_owned());
        }
        let mut texts = vec![sql];
        texts.extend(self.views.iter().map(|(_, text)| text.as_str()));
        for text in texts {
            let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty() && *word != "AS").collect();
            for pair in words.windows(2) {
                if pair[1] == name && self.tables.contains(pair[0]) {
                    return Some(pair[0].to_owned());
                }
            }
        }
        let known = name.starts_with('(') || self.views.iter().any(|(view, _)| view == name);
        assert!(known, "{name:?} in the plan of {sql} is no table, alias, view or subquery");
        None
    }

    /// Returns the reasons for which a statement reads too much.
    async fn faults(&self, sql: &str) -> Vec<String> {
        let plan = match self.plan(sql).await {
            Ok(plan) => plan,
            Err(error) => return vec![format!("no plan: {error}")],
        };
        let mut faults = Vec::new();
        if sql.contains("? IS NULL OR") || sql.contains("? = '' OR") {
            faults.push("one statement for two questions, which SQLite plans as the wider one".to_owned());
        }
        for step in &plan {
            if let Some(fault) = self.fault(step, &plan, sql) {
                faults.push(fault);
            }
        }
        faults
    }

    fn fault(&self, step: &Step, plan: &[Step], sql: &str) -> Option<String> {
        let detail = &step.detail;
        let (verb, rest) = detail.split_once(' ')?;
        let name = rest.split(' ').next()?;
        if !matches!(verb, "SCAN" | "SEARCH") || rest == "CONSTANT ROW" {
            return None;
        }
        let table = self.table(name, sql)?;
        if SMALL.iter().any(|(small, _)| *small == table) {
            return None;
        }
        if verb == "SCAN" || detail.contains("AUTOMATIC") {
            return Some(format!("{detail}: all of {table}, which grows"));
        }
        // The first or the last row of an index: min() and max().
        let (_, terms) = detail.rsplit_once('(')?;
        let narrow = terms.trim_end_matches(" LEFT-JOIN").trim_end_matches(')').split(" AND ").any(|term| {
            term.split_once("=?").is_some_and(|(column, _)| !FEW_VALUES.contains(&column.trim_matches('<')))
        });
        // A limit counts where nothing has to be sorted before it, and within a subquery only one of its own.
        let sorted = plan.iter().any(|other| other.parent == step.parent && other.detail.contains("TEMP B-TREE"));
        let limit = if is_within_subquery(step, plan) { [" LIMIT ?)", " LIMIT ?2)"] } else { [" LIMIT ?"; 2] };
        let limited = limit.iter().any(|limit| sql.contains(limit)) && !sorted;
        if narrow || limited || NEEDED.iter().any(|(needed, _)| needed == detail) {
            return None;
        }
        Some(format!("{detail}: a part of {table} that grows with it, without a limit"))
    }
}

fn is_within_subquery(step: &Step, plan: &[Step]) -> bool {
    let mut parent = step.parent;
    while let Some(above) = plan.iter().find(|other| other.id == parent) {
        if ["SUBQUERY", "CO-ROUTINE", "MATERIALIZE"].iter().any(|kind| above.detail.contains(kind)) {
            return true;
        }
        parent = above.parent;
    }
    false
}

#[tokio::test]
async fn no_statement_of_a_service_reads_all_of_a_table_that_grows() {
    let mut wrong = Vec::new();
    let mut needed: BTreeSet<&str> = NEEDED.iter().map(|(needed, _)| *needed).collect();
    for (service, least) in [("issuer", 70), ("verifier", 30)] {
        let tables = Tables::of(service).await;
        let mut found = Found::of_crate(&root(service));
        assert!(found.statements.len() >= least, "{service} has {} statements only", found.statements.len());
        wrong.append(&mut found.faults);
        let running = |file: &str| !STOPPED.iter().any(|stopped| file.ends_with(stopped));
        for statement in found.statements.into_iter().filter(|statement| running(&statement.file)) {
            assert!(!statement.sql.contains("ANALYZE") && !statement.sql.contains("optimize"), "statistics");
            for fault in tables.faults(&statement.sql).await {
                wrong.push(format!("{}: {fault}\n    {}", statement.file, statement.sql));
            }
            for step in tables.plan(&statement.sql).await.unwrap_or_default() {
                needed.remove(step.detail.as_str());
            }
        }
    }
    assert!(wrong.is_empty(), "{} statements read too much:\n{}", wrong.len(), wrong.join("\n"));
    assert!(needed.is_empty(), "no statement has this plan any more, so take it from the list: {needed:?}");
}

#[tokio::test]
async fn the_ground_of_both_stores_has_no_statement_that_scans() {
    let found = Found::of_crate(&folder("service").join("src/lib.rs"));
    assert!(found.faults.is_empty(), "{:?}", found.faults);
    assert!(found.statements.iter().any(|statement| statement.sql.contains("wal_checkpoint")), "{found:?}");
    for service in ["issuer", "verifier"] {
        let tables = Tables::of(service).await;
        // Those that begin and end transactions have no plan.
        let has_plan = |sql: &str| {
            !["PRAGMA", "BEGIN", "RELEASE", "ROLLBACK", "COMMIT"].iter().any(|first| sql.starts_with(first))
        };
        for statement in found.statements.iter().filter(|statement| has_plan(&statement.sql)) {
            assert_eq!(tables.faults(&statement.sql).await, [""; 0], "{}", statement.sql);
        }
    }
}

#[tokio::test]
async fn the_check_refuses_what_it_is_there_for() {
    let tables = Tables::of("issuer").await;
    for (sql, refused) in [
        ("SELECT * FROM offers WHERE claims IS NULL", true),
        ("SELECT * FROM offers WHERE claims IS NULL LIMIT ?", true),
        ("SELECT offer_id FROM offers ORDER BY offer_id", true),
        ("SELECT count(*) FROM issued i JOIN offers o USING (offer_id)", true),
        ("UPDATE collections SET sealed = NULL WHERE notification = ?", true),
        ("SELECT coalesce(max(seq), 0) FROM acts", true),
        ("SELECT * FROM acts WHERE seq < ? ORDER BY seq DESC LIMIT ?", true),
        ("SELECT * FROM offers WHERE state = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?", true),
        ("SELECT * FROM offers WHERE state = ?", true),
        ("SELECT * FROM offers WHERE seq < ?", true),
        ("SELECT * FROM offers WHERE seq < ? AND (? IS NULL OR state = ?) ORDER BY seq DESC LIMIT ?", true),
        ("SELECT state FROM statuses WHERE status_index >= ? AND status_index < ?", true),
        ("SELECT * FROM no_such_table", true),
        ("SELECT * FROM offers WHERE offer_id = ?", false),
        ("SELECT * FROM offers WHERE seq < ? ORDER BY seq DESC LIMIT ?", false),
        ("SELECT coalesce(max(seq), 0) FROM issued", false),
        ("SELECT * FROM acts WHERE seq = ?", false),
        ("SELECT * FROM status_lists", false),
        ("INSERT INTO used_nonces (hash, expires_at) VALUES (?, ?)", false),
    ] {
        let faults = tables.faults(sql).await;
        assert_eq!(!faults.is_empty(), refused, "{sql}: {faults:?}");
    }
}

#[test]
fn a_statement_that_could_hide_is_a_fault() {
    for (text, statements, faults) in [
        (r#"fn f() { sqlx::query("SELECT 1"); }"#, 1, 0),
        (r#"const A: &str = "SELECT 1"; fn f() { sqlx::query_scalar::<_, i64>(A); }"#, 1, 0),
        (r#"async fn f() { x.map(async |e| { sqlx::query("SELECT 1").execute(e).await }); }"#, 1, 0),
        (r#"fn f() { sqlx::query(if x { "SELECT 1" } else { "SELECT 2" }); }"#, 2, 0),
        (r#"async fn f() { connection.execute("DELETE FROM a").await; }"#, 1, 0),
        (r#"#[cfg(test)] mod tests { fn f() { sqlx::query("SELECT 1"); } }"#, 0, 0),
        (r#"fn f(sql: &'static str) { sqlx::query(sql); }"#, 0, 1),
        (r#"fn f() { sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {x}"))); }"#, 0, 2),
        (r#"fn f() { sqlx::QueryBuilder::<Sqlite>::new("SELECT 1"); }"#, 0, 1),
        (r#"use sqlx::{Row as _, query}; fn f() { query("SELECT 1"); }"#, 0, 1),
        (r#"use sqlx::*;"#, 0, 1),
        (r#"fn f() { sqlx::query!("SELECT 1"); }"#, 0, 1),
        (r#"fn f() { tokio::join!(sqlx::query("SELECT 1").execute(e)); }"#, 0, 1),
    ] {
        let found = Found::of_text(text);
        assert_eq!((found.statements.len(), found.faults.len()), (statements, faults), "{text}: {found:?}");
    }
}
