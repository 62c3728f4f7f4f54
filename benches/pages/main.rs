//! How fast the pages are, with a hundred thousand tasks in the database: `cargo bench --bench pages`.
//!
//! For each page: the time to the first byte, and in a real browser what was transferred with all that belongs to it and how
//! far things moved while it came. Then how long a step takes from the event to the screen, and what the browser does while
//! somebody scrolls through a hundred thousand changed lines. Prints tables for the docs.
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
        large_patches(&atelier).await;
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
    browser.devtools("Network.clearBrowserCache", json!({})).await;
    browser.page.goto(url).await.unwrap();
    let measured = browser.page.execute_async(measure, vec![]).await.unwrap();
    (measured[0].as_f64().unwrap(), measured[1].as_f64().unwrap())
}

/// A hundred thousand changed lines on the page of a patch, scrolled through from the top to the end: what the browser does.
async fn large_patches(atelier: &Atelier) {
    let patches = [
        ("one file", made_up_id(1), large_patch(1)),
        ("500 files", made_up_id(2), large_patch(500)),
        ("one file, side by side", made_up_id(1), String::new()),
    ];
    println!(
        "| {LARGE_LINES} changed lines | first paint | page | scrolled through in | lines seen | tasks over 50 ms | longest | slowest frame | 99 of 100 frames | nodes at most | memory of the browser at most |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for (name, id, patch) in patches {
        if !patch.is_empty() {
            let logs = atelier.data_dir().join("logs").join(&id);
            std::fs::create_dir_all(&logs).unwrap();
            std::fs::write(logs.join("diff.patch"), patch).unwrap();
        }
        let view = if name.ends_with("side") { "split" } else { "unified" };
        let browser = Browser::open().await;
        browser.page.goto(&atelier.login_link("/account")).await.unwrap();
        browser.page.goto(&atelier.url(&format!("/tasks/{id}/diff?view={view}"))).await.unwrap();
        // Whoever reads a large file opens it.
        browser
            .page
            .execute("for (const file of document.querySelectorAll('.file details')) file.open = true;", vec![])
            .await
            .unwrap();
        browser.page.execute(SCROLL, vec![]).await.unwrap();
        let (mut nodes, mut memory) = (0, 0);
        let measured = loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let counters = browser.devtools("Memory.getDOMCounters", json!({})).await;
            nodes = nodes.max(counters["nodes"].as_u64().unwrap_or_default());
            memory = memory.max(resident_kib(&browser));
            let measured = browser.page.execute("return window.measured ?? null", vec![]).await.unwrap();
            if !measured.is_null() {
                break measured;
            }
        };
        let number = |name: &str| measured[name].as_f64().unwrap_or_default();
        println!(
            "| {name} | {:.0} ms | {:.0} kB | {:.1} s | {} | {} | {:.0} ms | {:.0} ms | {:.0} ms | {nodes} | {} MB |",
            number("paint"),
            number("bytes") / 1000.0,
            number("took") / 1000.0,
            number("lines"),
            number("tasks"),
            number("longest"),
            number("slowest"),
            number("most"),
            memory / 1024
        );
    }
    println!();
}

/// Memory of all processes of the browser.
fn resident_kib(browser: &Browser) -> u64 {
    let profile = browser.page.capabilities().unwrap()["chrome"]["userDataDir"].as_str().unwrap().to_owned();
    let of_process = |process: std::fs::DirEntry| {
        let read = |name: &str| std::fs::read_to_string(process.path().join(name)).unwrap_or_default();
        let status = if read("cmdline").contains(&profile) { read("status") } else { String::new() };
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    };
    std::fs::read_dir("/proc").unwrap().flatten().map(of_process).sum()
}

/// As somebody who holds the space bar down: on as soon as the lines in the window are there.
const SCROLL: &str = "
    const tasks = [], frames = [], seen = new Set();
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: 'longtask', buffered: true });
    const began = performance.now();
    let last = began;
    const root = document.documentElement;
    const isWaiting = () => [0.1, 0.5, 0.9].some((part) => document.elementFromPoint(innerWidth * 0.7, innerHeight * part)?.closest('.later'));
    const step = (now) => {
      frames.push(now - last);
      last = now;
      for (const part of [0.05, 0.3, 0.55, 0.8]) {
        const lines = document.elementFromPoint(innerWidth * 0.7, innerHeight * part)?.closest('.lines');
        if (lines) seen.add(lines.closest('.file').id + lines.dataset.from + ' ' + lines.querySelectorAll(':scope > div:not(.heading)').length);
      }
      if (!isWaiting()) {
        if (scrollY + innerHeight >= root.scrollHeight - 2) return finish();
        scrollBy({ top: 400, behavior: 'instant' });
      }
      requestAnimationFrame(step);
    };
    const finish = () => {
      frames.sort((a, b) => a - b);
      const page = performance.getEntriesByType('navigation')[0];
      window.measured = {
        paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime, bytes: page.transferSize, took: performance.now() - began,
        lines: [...seen].reduce((sum, key) => sum + Number(key.split(' ')[1]), 0), tasks: tasks.length, longest: Math.max(0, ...tasks),
        slowest: frames.at(-1), most: frames[Math.floor(frames.length * 0.99)],
      };
    };
    requestAnimationFrame(step);";

const LARGE_LINES: u32 = 100_000;

/// New files of Rust, as git writes them.
fn large_patch(files: u32) -> String {
    use std::fmt::Write;
    let (mut patch, lines) = (String::new(), LARGE_LINES / files);
    for file in 0..files {
        let name = format!("src/part_{}/file_{file}.rs", file / 20);
        write!(patch, "diff --git a/{name} b/{name}\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{lines} @@\n").unwrap();
        for line in 0..lines {
            let text = match line % 6 {
                0 => format!("/// What number {line} is good for."),
                1 => format!("pub fn number_{line}(at: usize, names: &[&str]) -> Option<String> {{"),
                2 => "    let found = names.iter().position(|name| name.len() > at)?; // the first one".to_owned(),
                3 => format!("    Some(format!(\"{{found}} of {line}: {{}}\", names[found]))"),
                4 => "}".to_owned(),
                _ => String::new(),
            };
            writeln!(patch, "+{text}").unwrap();
        }
    }
    patch
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
