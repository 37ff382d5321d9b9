//! A store's migrations, embedded in the program.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Embeds `migrations/NAME.sql` of the crate that calls it, in the order given: a `LazyLock<Migrator>`. Of each, the number
/// and the name of its file without `.sql`.
///
/// Not sqlx's own macro: that one builds SQLite and the runtime a second time, for the compiler's machine.
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

/// The migrations of [`migrations!`]: number, file name without `.sql`, statements.
pub fn migrator(migrations: impl IntoIterator<Item = (i64, &'static str, &'static str)>) -> Migrator {
    let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
        // As sqlx names a file's migration, so that stores of before say the same.
        let description = name.split_once('_').map_or(name, |(_, rest)| rest).replace('_', " ");
        Migration::new(number, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.into_iter().map(migration).collect())
}
