//! A thousand queued tasks under a server that is killed again and again; prints a table: `cargo bench --bench queue`.
//!
//! `$ATELIER_TASKS` and `$ATELIER_KILLS` make it shorter. What must hold is asserted: every task ends exactly once and
//! well, they start in the order they came, no more containers than workers are there, memory and open files do not grow.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement ends with its first error"
)]

#[path = "../../tests/it/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod harness;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use harness::{Atelier, Settings, Zip, containers_of};
use rusqlite::{Connection, OpenFlags};

const WORKERS: usize = 4;
const MAX_RESIDENT_KIB: u64 = 300 * 1024;

fn main() {
    let number = |name: &str, usual: usize| std::env::var(name).map_or(usual, |value| value.parse().unwrap());
    let (tasks, kills) = (number("ATELIER_TASKS", 1000), number("ATELIER_KILLS", 20));
    tokio::runtime::Runtime::new().unwrap().block_on(measure(tasks, kills));
}

/// The most that was seen.
#[derive(Default)]
struct Peaks {
    containers: usize,
    resident_kib: u64,
    /// Of each server, from its start to its end.
    open_files: Vec<(usize, usize)>,
}

impl Peaks {
    fn look(&mut self, atelier: &Atelier) {
        self.containers = self.containers.max(containers_of(atelier.instance()).len());
        self.resident_kib = self.resident_kib.max(atelier.resident_kib());
        let files = atelier.open_files();
        let last = self.open_files.last_mut().unwrap();
        *last = (if last.0 == 0 { files } else { last.0 }, last.1.max(files));
    }
}

async fn measure(tasks: usize, kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nothing.json"), r#"{"steps": [{"text": "Done."}]}"#).unwrap();
    let settings = Settings::new()
        .set("llm.providers.scripted.scripts", folder.path().display().to_string())
        .set("agent.model", "scripted/nothing")
        .set("queue.max_running", i64::try_from(WORKERS).unwrap())
        .set("queue.max_queued", i64::try_from(tasks).unwrap())
        .set("sandbox.memory_mb", 256);
    let mut atelier = Atelier::start_with(settings).await;
    let began = Instant::now();
    let mut ids = Vec::new();
    for number in 0..tasks {
        ids.push(atelier.submit_zip(Zip::new().file("a", "a"), &format!("Task {number}."), &[]).await.id);
    }
    let submitted = began.elapsed();
    // Each comes when that many tasks have ended.
    let mut due: Vec<usize> = (0..kills).map(|_| rand::random_range(0..tasks)).collect();
    due.sort_unstable();
    let mut due = due.into_iter().peekable();
    let mut peaks = Peaks { open_files: vec![(0, 0)], ..Peaks::default() };
    loop {
        let ended = count(&atelier.data_dir(), "status NOT IN ('queued', 'running')");
        if ended == tasks {
            break;
        }
        if due.next_if(|due| *due <= ended).is_some() {
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..1000))).await;
            atelier.kill_and_start_again().await;
            peaks.open_files.push((0, 0));
        }
        peaks.look(&atelier);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = began.elapsed();

    let (mut started, mut endings) = (Vec::new(), BTreeMap::<String, usize>::new());
    for id in &ids {
        let events = atelier.task(id).events().await;
        let of_status = |status: &str| events.iter().filter(|event| event["status"] == status).collect::<Vec<_>>();
        started.push(of_status("running")[0]["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        let ends: Vec<&str> = ["completed", "failed", "cancelled"]
            .into_iter()
            .flat_map(|end| of_status(end).iter().map(|_| end).collect::<Vec<_>>())
            .collect();
        assert_eq!(ends.len(), 1, "{id} ended as {ends:?}");
        *endings.entry(ends[0].to_owned()).or_default() += 1;
    }
    assert_eq!(endings.get("completed"), Some(&tasks), "{endings:?}");
    assert!(started.is_sorted(), "they start in the order they came");
    assert!(peaks.containers <= WORKERS, "{} containers", peaks.containers);
    assert!(peaks.resident_kib < MAX_RESIDENT_KIB, "{} KiB", peaks.resident_kib);
    let again = count(&atelier.data_dir(), "attempt > 1");
    let most_files = peaks.open_files.iter().map(|(_, most)| *most).max().unwrap();
    let lasting = peaks.open_files.iter().filter(|(first, _)| *first > 0);
    let growth = lasting.map(|(first, most)| most - first).max().unwrap();

    println!("| {tasks} queued tasks that do nothing, {WORKERS} at a time, {kills} times killed | |\n|---|---|");
    println!(
        "| taking one in | {:.1} ms |",
        submitted.as_secs_f64() * 1000.0 / f64::from(u32::try_from(tasks).unwrap())
    );
    println!("| all ended, each once, in the order they came, after | {:.0} s |", took.as_secs_f64());
    println!("| ended how | {endings:?}, {again} of them in a second or third attempt |");
    println!("| most containers at a time | {} |", peaks.containers);
    println!("| most memory (resident) | {} MiB |", peaks.resident_kib / 1024);
    println!("| most open files of the server | {most_files}; at most {growth} more than right after its start |");
}

fn count(data_dir: &Path, which: &str) -> usize {
    let database = Connection::open_with_flags(data_dir.join("atelier.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    database.query_row(&format!("SELECT count(*) FROM tasks WHERE {which}"), [], |row| row.get(0)).unwrap()
}
