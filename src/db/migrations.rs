//! The schema, step by step. `user_version` says how many steps a file has taken.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::DbError;

/// Never change a step that was released; add one.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_tasks.sql"),
    include_str!("migrations/0002_step_speakers.sql"),
    include_str!("migrations/0003_training.sql"),
];

/// Refuses a damaged or newer file untouched, then takes the missing steps, each in a transaction of its own.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), DbError> {
    let report: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if report != "ok" {
        return Err(DbError::Damaged { path: path.to_owned(), report });
    }
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(DbError::Newer { path: path.to_owned(), found, known });
    }
    for (version, step) in (1_u32..).zip(STEPS).skip(found as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_is_refused_untouched() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = run(&mut connection, Path::new("x.db")).unwrap_err();
        assert!(error.to_string().contains("newer Atelier"), "{error}");
        let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn taking_the_steps_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, Path::new("x.db")).unwrap();
        run(&mut connection, Path::new("x.db")).unwrap();
    }
}
