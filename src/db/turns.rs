//! Whose task is next. People take turns, however many tasks one of them has queued; of one person's tasks the one that
//! came first is next.
//!
//! The first waiting task of everybody comes before the second of anybody; tasks that run count as those before. Among
//! equals who was served last is served last: the count of that is kept, so a restart changes nothing.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::{Db, DbError};
use crate::domain::{
    model_name::{ModelName, Models},
    task_id::TaskId,
};

/// All who wait, the next to start first, and how many run: one moment of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    places: HashMap<TaskId, Place>,
    pub(crate) running: u64,
}

/// Where a waiting task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// How many start before it.
    pub(crate) before: u64,
    /// How many of those are of other people.
    pub(crate) of_others: u64,
}

impl Line {
    fn new(order: Vec<Waiting>, running: u64) -> Self {
        let mut of_person: HashMap<i64, u64> = HashMap::new();
        let places = order.into_iter().zip(0..).filter_map(|(task, before)| {
            let own = of_person.entry(task.owner).or_default();
            let of_others = before - *own;
            *own += 1;
            Some((task.id.parse().ok()?, Place { before, of_others }))
        });
        Self { places: places.collect(), running }
    }

    /// The place of a task; one that is not in the line any more is about to start.
    pub(crate) fn place(&self, id: &TaskId) -> Place {
        self.places.get(id).copied().unwrap_or(Place { before: 0, of_others: 0 })
    }
}

struct Waiting {
    id: String,
    owner: i64,
    model: String,
}

/// How a person fared so far.
#[derive(Default, Clone, Copy)]
struct Served {
    running: u64,
    last_turn: u64,
}

impl Db {
    /// The queue as it is now.
    pub(crate) async fn line(&self) -> Result<Line, DbError> {
        self.read(|connection| {
            let served = served(connection)?;
            let running = served.values().map(|person| person.running).sum();
            Ok(Line::new(in_order(waiting(connection)?, &served), running))
        })
        .await
    }
}

/// The task that is next, of those whose model is not among `refused`; its person has had a turn then.
pub(super) fn take(connection: &Connection, refused: &[Models]) -> Result<Option<TaskId>, DbError> {
    let is_refused = |task: &Waiting| {
        task.model.parse::<ModelName>().is_ok_and(|model| refused.iter().any(|refused| refused.contain(&model)))
    };
    let mut tasks = waiting(connection)?;
    tasks.retain(|task| !is_refused(task));
    let order = in_order(tasks, &served(connection)?);
    let Some(next) = order.first() else { return Ok(None) };
    connection
        .prepare_cached("UPDATE people SET last_turn = (SELECT max(last_turn) + 1 FROM people) WHERE id = ?1")?
        .execute(params![next.owner])?;
    Ok(next.id.parse().ok())
}

/// First come, first served. A further turn stands behind every task that was there when it was asked for.
fn waiting(connection: &Connection) -> Result<Vec<Waiting>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, owner, model FROM tasks LEFT JOIN turns ON task_id = id AND number = turn
         WHERE status = 'queued' ORDER BY coalesce(behind, position), place",
    )?;
    let tasks =
        statement.query_map([], |row| Ok(Waiting { id: row.get(0)?, owner: row.get(1)?, model: row.get(2)? }))?;
    Ok(tasks.collect::<Result<_, _>>()?)
}

fn served(connection: &Connection) -> Result<HashMap<i64, Served>, DbError> {
    let mut served: HashMap<i64, Served> = HashMap::new();
    let mut statement = connection.prepare_cached("SELECT id, last_turn FROM people WHERE last_turn > 0")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        served.entry(row.get(0)?).or_default().last_turn = row.get(1)?;
    }
    let mut statement =
        connection.prepare_cached("SELECT owner, count(*) FROM tasks WHERE status = 'running' GROUP BY owner")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        served.entry(row.get(0)?).or_default().running = row.get(1)?;
    }
    Ok(served)
}

/// The order in which they start, from the order in which they came.
fn in_order(tasks: Vec<Waiting>, served: &HashMap<i64, Served>) -> Vec<Waiting> {
    let mut round: HashMap<i64, u64> = HashMap::new();
    let mut keyed: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let person = served.get(&task.owner).copied().unwrap_or_default();
            let round = round.entry(task.owner).or_insert(person.running);
            let key = (*round, person.last_turn);
            *round += 1;
            (key, task)
        })
        .collect();
    // Stable: among equals the order in which they came stays.
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, task)| task).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(came: &str, served: &[(i64, u64, u64)]) -> String {
        let tasks = came.chars().enumerate().map(|(number, owner)| Waiting {
            id: format!("{owner}{number}"),
            owner: i64::from(u32::from(owner)),
            model: String::new(),
        });
        let served = served
            .iter()
            .map(|(owner, running, last_turn)| (*owner, Served { running: *running, last_turn: *last_turn }));
        in_order(tasks.collect(), &served.collect()).into_iter().map(|task| task.id).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn people_take_turns_and_each_is_served_in_order() {
        let (a, b) = (i64::from(u32::from('a')), i64::from(u32::from('b')));
        assert_eq!(order("aaa", &[]), "a0 a1 a2");
        assert_eq!(order("aaaab", &[]), "a0 b4 a1 a2 a3");
        assert_eq!(order("aaaab", &[(a, 1, 7)]), "b4 a0 a1 a2 a3", "a runs one already");
        assert_eq!(order("aaabb", &[(a, 0, 7), (b, 0, 6)]), "b3 a0 b4 a1 a2", "a was served last");
        assert_eq!(order("aabbcc", &[(a, 2, 9)]), "b2 c4 b3 c5 a0 a1", "whoever runs two waits two rounds");
        assert_eq!(order("", &[]), "");
    }
}
