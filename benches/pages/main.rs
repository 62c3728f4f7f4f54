//! How fast the pages are, with a hundred thousand tasks in the database: `cargo bench --bench pages`.
//!
//! For each page: the time to the first byte, and in a real browser what was transferred with all that belongs to it and how
//! far things moved while it came. Then how long a step takes from the event to the screen. Prints tables for the docs.
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
    path::Path,
    time::{Duration, Instant},
};

use harness::{Atelier, Browser, Settings, Zip, leap_year};
use rusqlite::Connection;
use serde_json::{Value, json};

const TASKS: u32 = 100_000;
const TIMES: usize = 30;
const LIVE_STEPS: u32 = 20;

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let step = |number| json!({"text": "", "tool_calls": [{"name": "run_command", "arguments": {"command": format!("sleep 0.3; true {number}")}}]});
        let steps: Vec<Value> = (0..LIVE_STEPS).map(step).chain([json!({"text": "Done."})]).collect();
        std::fs::write(folder.path().join("live.json"), json!({ "steps": steps }).to_string()).unwrap();
        let plays = "llm.providers.plays";
        let settings = Settings::new()
            .set(&format!("{plays}.kind"), "scripted")
            .set(&format!("{plays}.scripts"), folder.path().display().to_string())
            .set("agent.model", "scripted/leap-year");
        let mut atelier = Atelier::start_with(settings).await;
        let task = atelier.submit_zip(Zip::new().folder(&leap_year()), "Mend the tests.", &[]).await;
        task.completed().await;
        let id = task.id.clone();
        atelier.change_while_stopped(|data_dir| multiply(data_dir, &id)).await;
        pages(&atelier, &id).await;
        live(&atelier).await;
    });
}

/// The row of the task a hundred thousand times, with words and repositories that differ.
fn multiply(data_dir: &Path, id: &str) {
    let mut connection = Connection::open(data_dir.join("atelier.db")).unwrap();
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info('tasks')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let other = ["position", "id", "instruction", "source"];
    let same: Vec<&str> = columns.iter().map(String::as_str).filter(|name| !other.contains(name)).collect();
    let sql = format!(
        "INSERT INTO tasks (id, instruction, source, {0}) SELECT ?2, ?3, ?4, {0} FROM tasks WHERE id = ?1",
        same.join(", ")
    );
    let transaction = connection.transaction().unwrap();
    for number in 0..TASKS {
        let source = json!({"kind": "git", "git_url": format!("https://example.org/team/tool-{}.git", number % 500)});
        let instruction = format!("Mend what number {number} names.");
        let values = (id, made_up_id(number), instruction, source.to_string());
        transaction.prepare_cached(&sql).unwrap().execute(values).unwrap();
    }
    transaction.commit().unwrap();
}

/// As the server makes them: a date and twelve letters of base 32.
fn made_up_id(mut number: u32) -> String {
    let mut letters = [b'a'; 12];
    for letter in letters.iter_mut().rev() {
        *letter = b"abcdefghijklmnopqrstuvwxyz234567"[(number % 32) as usize];
        number /= 32;
    }
    format!("20251231_{}", std::str::from_utf8(&letters).unwrap())
}

async fn pages(atelier: &Atelier, id: &str) {
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link("/account")).await.unwrap();
    println!(
        "| page, with {TASKS} tasks | first byte, median of {TIMES} | worst | transferred | layout shift |\n|---|---|---|---|---|"
    );
    for path in [
        "/".to_owned(),
        "/?status=completed".to_owned(),
        "/?find=number+4711".to_owned(),
        format!("/?before={}", made_up_id(TASKS / 2)),
        "/new".to_owned(),
        format!("/tasks/{id}"),
        format!("/tasks/{id}/diff"),
        format!("/tasks/{id}/logs/setup.log"),
        format!("/tasks/{id}/share"),
        "/settings".to_owned(),
        "/people".to_owned(),
        "/account".to_owned(),
        "/login".to_owned(),
    ] {
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..TIMES {
            let asked = Instant::now();
            let answer =
                atelier.request(reqwest::Method::GET, &path).header("accept", "text/html").send().await.unwrap();
            times.push(asked.elapsed());
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            answer.bytes().await.unwrap();
        }
        times.sort();
        let (bytes, shift) = in_the_browser(&browser, &atelier.url(&path)).await;
        println!(
            "| `{}` | {} | {} | {:.1} kB | {shift:.3} |",
            path.replace(id, "ID"),
            ms(times[TIMES / 2]),
            ms(times[TIMES - 1]),
            bytes / 1000.0
        );
    }
    println!();
}

/// What came over the wire for the page and everything on it, with nothing in the cache, and how far its parts moved.
async fn in_the_browser(browser: &Browser, url: &str) -> (f64, f64) {
    let measure = "const done = arguments[0];
        new PerformanceObserver((list) => {
          window.shift = (window.shift ?? 0) + list.getEntries().reduce((sum, entry) => sum + entry.value, 0);
        }).observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => {
          const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
          done([all.reduce((sum, entry) => sum + entry.transferSize, 0), window.shift ?? 0]);
        }, 700)";
    // A page's files are the same everywhere: without this only the first page would be seen to fetch them.
    let _ = browser.page.issue_cmd(ClearCache).await;
    browser.page.goto(url).await.unwrap();
    let measured = browser.page.execute_async(measure, vec![]).await.unwrap();
    (measured[0].as_f64().unwrap(), measured[1].as_f64().unwrap())
}

/// chromedriver's way to the browser's own commands.
#[derive(Debug)]
struct ClearCache;

impl fantoccini::wd::WebDriverCompatibleCommand for ClearCache {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(json!({ "cmd": "Network.clearBrowserCache", "params": {} }).to_string()))
    }
}

/// From the event in the log to the element on the screen, as the clock they share has it. What was there before the page was
/// watched does not count.
async fn live(atelier: &Atelier) {
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link("/")).await.unwrap();
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Many steps.", &[("model", "plays/live")]).await;
    browser.page.goto(&atelier.url(&format!("/tasks/{}", task.id))).await.unwrap();
    let watch = "window.seen = {};
        const calls = () => document.querySelectorAll('[id^=\"call-\"]');
        for (const element of calls()) window.seen[element.id] = null;
        new MutationObserver(() => requestAnimationFrame(() => {
          for (const { id } of calls()) if (!(id in window.seen)) window.seen[id] = Date.now();
        })).observe(document.body, { childList: true, subtree: true });";
    browser.page.execute(watch, vec![]).await.unwrap();
    task.completed().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let seen = browser.page.execute("return window.seen", vec![]).await.unwrap();
    let mut delays: Vec<i64> = Vec::new();
    for event in task.events_of("tool_called").await {
        let at = event["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
        if let Some(shown) = seen[format!("call-{}", event["call"])].as_i64() {
            delays.push(shown - at);
        }
    }
    delays.sort_unstable();
    println!("| from the event to the screen, {} steps | |\n|---|---|", delays.len());
    println!("| median | {} ms |\n| worst | {} ms |", delays[delays.len() / 2], delays[delays.len() - 1]);
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
