//! Lists of tasks, newest first: by whose they are, state, repository and words, quick however many there are.

use std::collections::HashSet;

use rusqlite::{params_from_iter, types::Value};

use super::{Db, DbError, tasks::from_row};
use crate::domain::{
    person::Scope,
    source::{GitRef, RepoUrl},
    task::{Status, Task},
    task_id::TaskId,
};

/// Which tasks to list.
#[derive(Debug, Clone)]
pub(crate) struct TaskFilter {
    pub(crate) scope: Scope,
    pub(crate) status: Option<Status>,
    /// Leave out those that wait or run.
    pub(crate) only_ended: bool,
    /// The URL of a repository.
    pub(crate) repository: Option<String>,
    /// Words that are all in the id, the source or the instruction.
    pub(crate) words: Vec<String>,
    /// Only tasks submitted before this one: the cursor of a page.
    pub(crate) before: Option<TaskId>,
    pub(crate) limit: u32,
}

/// A repository that tasks were about, with the ref that was asked for last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecentRepository {
    pub(crate) url: RepoUrl,
    pub(crate) git_ref: Option<GitRef>,
}

/// What the index knows nothing of is looked for among so many of the newest tasks.
pub(crate) const SCANNED_TASKS: u32 = 20_000;
/// The letters that the index knows words by.
pub(crate) const INDEXED_LETTERS: usize = 3;
/// Recent is what is among so many of the newest tasks.
const RECENT_TASKS: u32 = 2000;

impl TaskFilter {
    pub(crate) fn new(scope: Scope, limit: u32) -> Self {
        Self { scope, status: None, only_ended: false, repository: None, words: Vec::new(), before: None, limit }
    }

    fn way(&self) -> Way {
        let is_indexed = |word: &String| word.chars().count() >= INDEXED_LETTERS;
        match self.status {
            Some(Status::Queued | Status::Running) => Way::State,
            _ if self.words.iter().any(is_indexed) => Way::Words,
            _ if !self.words.is_empty() => Way::NewestTexts,
            _ if self.repository.is_some() => Way::Repository,
            _ => Way::Any,
        }
    }

    /// The statement with its values.
    fn statement(&self) -> (String, Vec<Value>) {
        let way = self.way();
        let (from, position, text) = match way {
            Way::Words | Way::NewestTexts => (
                "task_texts CROSS JOIN tasks ON tasks.position = task_texts.rowid",
                "task_texts.rowid",
                "task_texts.text",
            ),
            Way::State | Way::Repository | Way::Any => {
                ("tasks", "tasks.position", "(SELECT text FROM task_texts WHERE task_texts.rowid = tasks.position)")
            }
        };
        let (mut conditions, mut values): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
        let (indexed, looked_for): (Vec<&String>, Vec<&String>) =
            self.words.iter().partition(|word| way == Way::Words && word.chars().count() >= INDEXED_LETTERS);
        if !indexed.is_empty() {
            conditions.push("task_texts MATCH ?".to_owned());
            let words = indexed.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\"")));
            values.push(words.collect::<Vec<_>>().join(" AND ").into());
        }
        if way == Way::NewestTexts {
            conditions.push(format!("{position} > (SELECT max(position) FROM tasks) - {SCANNED_TASKS}"));
        }
        for word in looked_for {
            conditions.push(format!("{text} LIKE ? ESCAPE '\\'"));
            let literal = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            values.push(format!("%{literal}%").into());
        }
        let mut equal = |column: &str, value: Value| {
            conditions.push(format!("{}tasks.{column} = ?", way.plus(column)));
            values.push(value);
        };
        if let Some(person) = self.scope.person() {
            equal("owner", person.0.into());
        }
        if let Some(status) = self.status {
            equal("status", status.as_str().to_owned().into());
        }
        if let Some(repository) = &self.repository {
            equal("repository", repository.clone().into());
        }
        if self.only_ended {
            conditions.push("+tasks.status NOT IN ('queued', 'running')".to_owned());
        }
        if let Some(before) = &self.before {
            conditions.push(format!("{position} < (SELECT position FROM tasks WHERE id = ?)"));
            values.push(before.as_str().to_owned().into());
        }
        values.push(self.limit.into());
        let conditions = if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") };
        (format!("SELECT tasks.* FROM {from} WHERE {conditions} ORDER BY {position} DESC LIMIT ?"), values)
    }
}

/// What the tasks are found by first; the other conditions are looked at one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Few tasks wait or run.
    State,
    /// The index of texts.
    Words,
    /// The texts of the newest tasks, for words that the index does not know.
    NewestTexts,
    Repository,
    /// Whatever `SQLite` chooses.
    Any,
}

impl Way {
    /// A plus before a column keeps its index out of it.
    fn plus(self, column: &str) -> &'static str {
        let is_used = match self {
            Self::State => column != "repository",
            Self::Words | Self::NewestTexts => false,
            Self::Repository => column == "repository",
            Self::Any => true,
        };
        if is_used { "" } else { "+" }
    }
}

impl Db {
    pub(crate) async fn tasks(&self, filter: TaskFilter) -> Result<Vec<Task>, DbError> {
        self.read(move |connection| {
            let (sql, values) = filter.statement();
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            let mut tasks = Vec::new();
            while let Some(row) = rows.next()? {
                tasks.push(from_row(row)?);
            }
            Ok(tasks)
        })
        .await
    }

    /// How many tasks are in a status, counted up to `most`.
    pub(crate) async fn count_up_to(&self, most: u32, scope: Scope, status: Status) -> Result<u64, DbError> {
        self.read(move |connection| {
            let owner = scope.person().map_or("", |_| "owner = ?3 AND ");
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM tasks WHERE {owner}status = ?1 LIMIT ?2)");
            let mut values: Vec<Value> = vec![status.as_str().to_owned().into(), most.into()];
            values.extend(scope.person().map(|person| person.0.into()));
            Ok(connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?)
        })
        .await
    }

    /// The repositories of the newest tasks, the last used one first.
    pub(crate) async fn recent_repositories(
        &self,
        scope: Scope,
        limit: usize,
    ) -> Result<Vec<RecentRepository>, DbError> {
        self.read(move |connection| {
            // From the newest back, and no further than needed: no index is as quick as that, however many tasks there are.
            let owner = scope.person().map_or("", |_| "AND +owner = ?1");
            let sql = format!(
                "SELECT repository, json_extract(source, '$.git_ref') FROM tasks
                 WHERE +repository IS NOT NULL AND position > (SELECT max(position) FROM tasks) - {RECENT_TASKS} {owner}
                 ORDER BY position DESC"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(scope.person().map(|person| person.0)))?;
            let (mut repositories, mut seen) = (Vec::new(), HashSet::new());
            while let Some(row) = rows.next()?
                && repositories.len() < limit
            {
                let url = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
                if seen.contains(url) {
                    continue;
                }
                seen.insert(url.to_owned());
                let Ok(url) = url.parse() else { continue };
                let git_ref: Option<String> = row.get(1)?;
                repositories.push(RecentRepository { url, git_ref: git_ref.and_then(|git_ref| git_ref.parse().ok()) });
            }
            Ok(repositories)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::QueueRoom;
    use crate::domain::{
        limits::Limits,
        person::PersonId,
        source::Source,
        task::{Instruction, Mode},
        usage::Usage,
    };

    fn task(owner: i64, url: &str, instruction: &str) -> Task {
        let limits = Limits { max_steps: 1, max_tokens: 1, max_cost_usd: 1.0, setup_timeout_s: 1, task_timeout_s: 1 };
        Task {
            id: TaskId::generate(crate::wall_clock::now()),
            owner: PersonId(owner),
            status: Status::Queued,
            stage: None,
            mode: Mode::Modify,
            model: "openai/gpt-5".parse().unwrap(),
            image: "image".to_owned(),
            source: Source::Git { git_url: url.parse().unwrap(), git_ref: Some("main".parse().unwrap()) },
            instruction: Instruction::try_from(instruction.to_owned()).unwrap(),
            turn: 1,
            limits,
            allow_hosts: Vec::new(),
            checks: Vec::new(),
            summary: None,
            failure: None,
            usage: Usage::default(),
            steps: 0,
            diff: None,
            verification: None,
            feedback: None,
            pull_request: None,
            created_at: crate::wall_clock::now(),
            started_at: None,
            finished_at: None,
        }
    }

    #[tokio::test]
    async fn tasks_are_found_by_words_repository_and_owner() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&folder.path().join("atelier.db")).await.unwrap();
        for (owner, url, text) in [
            (1, "https://example.org/team/tool", "Mend the \"calendar\" of 100%"),
            (1, "https://example.org/team/site", "修复日历测试"),
            (2, "https://example.org/team/tool", "Say why the calendar is slow"),
        ] {
            db.insert_task(task(owner, url, text), None, QueueRoom { of_all: 9, of_one: None }).await.unwrap();
        }
        let found = async |change: &dyn Fn(&mut TaskFilter)| {
            let mut filter = TaskFilter::new(Scope::All, 10);
            change(&mut filter);
            let titles = db.tasks(filter).await.unwrap();
            titles
                .into_iter()
                .map(|task| task.instruction.title().chars().take(6).collect::<String>())
                .collect::<Vec<_>>()
        };
        let words = |words: &'static [&'static str]| {
            move |filter: &mut TaskFilter| filter.words = words.iter().map(|word| (*word).to_owned()).collect()
        };
        assert_eq!(found(&words(&["CALENDAR"])).await, ["Say wh", "Mend t"]);
        assert_eq!(found(&words(&["calendar", "mend"])).await, ["Mend t"]);
        assert_eq!(found(&words(&["\"cal", "0%"])).await, ["Mend t"], "signs are signs");
        assert_eq!(found(&words(&["日历"])).await, ["修复日历测试"], "two letters are a word in Chinese");
        assert_eq!(found(&words(&["team/site"])).await, ["修复日历测试"]);
        assert!(found(&words(&["%_"])).await.is_empty());
        let tool = |filter: &mut TaskFilter| filter.repository = Some("https://example.org/team/tool".to_owned());
        assert_eq!(found(&tool).await, ["Say wh", "Mend t"]);
        let all = |filter: &mut TaskFilter| {
            tool(filter);
            words(&["calendar"])(filter);
            filter.scope = Scope::Of(PersonId(2));
            filter.status = Some(Status::Queued);
        };
        assert_eq!(found(&all).await, ["Say wh"]);
        assert!(found(&|filter: &mut TaskFilter| filter.only_ended = true).await.is_empty());

        assert_eq!(db.count_up_to(2, Scope::All, Status::Queued).await.unwrap(), 2);
        assert_eq!(db.count_up_to(9, Scope::Of(PersonId(2)), Status::Queued).await.unwrap(), 1);
        let recent = db.recent_repositories(Scope::Of(PersonId(1)), 9).await.unwrap();
        let recent: Vec<_> = recent.iter().map(|repository| repository.url.label()).collect();
        assert_eq!(recent, ["team/site", "team/tool"]);
    }
}
