//! Migrations of a store, embedded in the program.

use std::path::Path;

use sqlx::{
    SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

/// Embeds the files `migrations/NAME.sql` of the calling crate, in the given order, as a `LazyLock<Migrator>`. The
/// arguments are `NUMBER: "NAME"`.
///
/// sqlx's own macro is not used: it builds SQLite and the runtime a second time, for the machine that compiles.
#[macro_export]
macro_rules! migrations {
    ($($number:literal: $name:literal),+ $(,)?) => {
        std::sync::LazyLock::new(|| {
            $crate::store::migrator([
                $(($number, $name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $name, ".sql")))),+
            ])
        })
    };
}

/// Creates a migrator from the arguments of [`migrations!`]: number, file name without `.sql`, statements.
pub fn migrator(migrations: impl IntoIterator<Item = (i64, &'static str, &'static str)>) -> Migrator {
    let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
        // The description that sqlx derives from a file name, so that it equals the one in older stores.
        let description = name.split_once('_').map_or(name, |(_, rest)| rest).replace('_', " ");
        Migration::new(number, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.into_iter().map(migration).collect())
}

/// Compares the embedded migrations with the files in a directory. Returns the sorted numbers of those that are on one
/// side only, or that differ in name or statements.
///
/// # Errors
/// The directory is unreadable.
pub async fn differing_migrations(embedded: &Migrator, folder: &Path) -> Result<Vec<i64>, MigrateError> {
    let files = Migrator::new(folder).await?;
    let same = |one: &Migration, other: &Migration| {
        (one.version, &one.description, &one.checksum) == (other.version, &other.description, &other.checksum)
    };
    let lacks = |all: &Migrator, one: &Migration| !all.iter().any(|other| same(one, other));
    let unknown = files.iter().filter(|file| lacks(embedded, file));
    let gone = embedded.iter().filter(|one| lacks(&files, one));
    let mut numbers: Vec<i64> = unknown.chain(gone).map(|one| one.version).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_migration_that_is_not_as_its_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, sql) in
            [("0001_first.sql", "SELECT 1"), ("0002_second.sql", "SELECT 2"), ("0003_third.sql", "SELECT 3")]
        {
            std::fs::write(folder.path().join(name), sql).unwrap();
        }
        let (first, second) = ((1, "0001_first", "SELECT 1"), (2, "0002_second", "SELECT 2"));
        let third = (3, "0003_third", "SELECT 3");
        for (embedded, expected) in [
            (vec![first, second, third], vec![]),
            (vec![first, second], vec![3]),
            (vec![first, (2, "0002_other", "SELECT 2"), third], vec![2]),
            (vec![first, second, (3, "0003_third", "SELECT 4")], vec![3]),
            (vec![first, second, third, (4, "0004_fourth", "SELECT 4")], vec![4]),
        ] {
            assert_eq!(differing_migrations(&migrator(embedded), folder.path()).await.unwrap(), expected);
        }
    }
}
