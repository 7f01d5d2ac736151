//! Counts that identify nobody.

use rusqlite::Connection;
use shared::id::PatientId;

use super::rows::{count, failed};
use crate::store::{Counts, StoreError};

/// Rows beyond one for each stream (and so hub), sequence and place in the record.
const DUPLICATES: &str = "SELECT coalesce(sum(n - 1), 0) FROM
    (SELECT count(*) AS n FROM observation GROUP BY stream, sequence, position HAVING n > 1)";

pub(super) fn counts(conn: &Connection) -> Result<Counts, StoreError> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map(count).map_err(failed);
    let mut query = conn
        .prepare("SELECT DISTINCT patient FROM alert_event WHERE patient IS NOT NULL ORDER BY patient")
        .map_err(failed)?;
    let patients = query.query_map([], |row| row.get(0).map(PatientId::from_bytes)).map_err(failed)?;
    Ok(Counts {
        observations: number("SELECT count(*) FROM observation")?,
        duplicates: number(DUPLICATES)?,
        records: number("SELECT count(*) FROM record")?,
        quarantined: number("SELECT count(*) FROM quarantine")?,
        alert_events: number("SELECT count(*) FROM alert_event")?,
        alerting_patients: patients.collect::<Result<_, _>>().map_err(failed)?,
    })
}
