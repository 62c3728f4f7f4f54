//! Measures whole tasks and prints tables for the README: `cargo bench --bench tasks`, or one part of it by its name:
//! `cargo bench --bench tasks -- steps` (`stages`, `steps`, `memory`, `throughput`).
//!
//! Every figure comes from one run: the floor (an empty container by the API), a scripted task of 20 steps without and
//! with `setup.sh` split by stage, the time a step takes seen from a model server, memory, and throughput.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement ends with its first error"
)]

#[path = "../../tests/it/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod harness;

mod floor;
mod step_server;

use std::time::{Duration, Instant};

use harness::{Atelier, Settings, Task, Zip};
use serde_json::{Value, json};

const STEPS: usize = 20;
const RUNS: usize = 10;

fn main() {
    // Cargo adds `--bench`.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        if is_wanted("stages") {
            stages_of_a_task().await;
        }
        if is_wanted("steps") {
            steps_seen_from_the_model().await;
        }
        if is_wanted("memory") {
            memory().await;
        }
        if is_wanted("throughput") {
            throughput().await;
        }
    });
}

/// A folder of plays for the scripted model.
fn play(folder: &std::path::Path, name: &str, commands: usize) -> Settings {
    // Each differs from the one before: a model that repeats itself is stopped.
    let step = |number| json!({"text": "", "tool_calls": [{"name": "run_command", "arguments": {"command": format!("true {number}")}}]});
    let mut steps: Vec<_> = (0..commands).map(step).collect();
    steps.push(json!({"text": "Done."}));
    std::fs::write(folder.join(format!("{name}.json")), json!({ "steps": steps }).to_string()).unwrap();
    Settings::new()
        .set("llm.providers.scripted.scripts", folder.display().to_string())
        .set("agent.model", format!("scripted/{name}"))
}

async fn stages_of_a_task() {
    let floor = floor::measure(RUNS).await;
    println!("| floor: create, start, wait, remove an empty container by the API | median |\n|---|---|");
    println!("| without network | {} |\n| on a bridge of its own | {} |\n", ms(floor.none), ms(floor.bridge));
    twenty_steps(floor.none).await;
}

async fn twenty_steps(floor: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let atelier = Atelier::start_with(play(folder.path(), "twenty", STEPS - 1)).await;
    println!(
        "| {STEPS}-step task, small repository, median of {RUNS} | total | fetch | setup | agent | collect | clean up |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut without_setup = Duration::ZERO;
    for (name, setup) in [("without `setup.sh`", None), ("with an empty `setup.sh`", Some("#!/bin/sh\n"))] {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let mut zip = Zip::new().file("README.md", "# Small\n").file("src/main.py", "print('hello')\n");
            if let Some(setup) = setup {
                zip = zip.executable("setup.sh", setup);
            }
            let submitted = Instant::now();
            let task = atelier.submit_zip(zip, "Do nothing, twenty times.", &[]).await;
            let events = task.events().await;
            let total = submitted.elapsed();
            runs.push((total, stages(&events)));
        }
        let total = median(runs.iter().map(|(total, _)| *total));
        if setup.is_none() {
            without_setup = total;
        }
        let stage = |index: usize| ms(median(runs.iter().map(|(_, stages)| stages[index])));
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} |",
            ms(total),
            stage(0),
            stage(1),
            stage(2),
            stage(3),
            stage(4)
        );
    }
    let commands = u32::try_from(STEPS - 1).unwrap() * command_time().await;
    let aim = (floor + commands + Duration::from_millis(200)).mul_f64(1.5);
    println!(
        "\nThe aim for the first: 1.5 × (floor + {} for the commands + 200 ms) = {}; it took {}.\n",
        ms(commands),
        ms(aim),
        ms(without_setup)
    );
}

/// How long each stage lasted, in the order of the stages, by the times of the events.
fn stages(events: &[Value]) -> [Duration; 5] {
    let names = ["fetch", "setup", "agent", "collect", "clean_up"];
    let at = |event: &Value| event["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let start = |name: &str| events.iter().find(|event| event["stage"] == name).map(at).unwrap();
    let end = at(events.last().unwrap());
    let mut starts: Vec<_> = names.iter().map(|name| start(name)).collect();
    starts.push(end);
    std::array::from_fn(|index| Duration::try_from(starts[index + 1].duration_since(starts[index])).unwrap())
}

/// What a new `bash -c true` costs in the container by itself: one every few milliseconds, as in a task. One right after
/// the other they take a third less, because the processor does not rest and its caches stay warm.
async fn command_time() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let program = "import subprocess, time, statistics\n\
                   def once():\n    \
                   time.sleep(0.003)\n    \
                   began = time.perf_counter()\n    \
                   subprocess.run([\"bash\", \"-c\", \"true\"], capture_output=True, stdin=subprocess.DEVNULL)\n    \
                   return time.perf_counter() - began\n\
                   print(statistics.median(once() for _ in range(200)))";
    let line = format!("python3 -c '{program}'");
    let steps = json!({"steps": [
        {"text": "", "tool_calls": [{"name": "run_command", "arguments": {"command": line}}]},
        {"text": "Done."}
    ]});
    std::fs::write(folder.path().join("time.json"), steps.to_string()).unwrap();
    let settings = Settings::new()
        .set("llm.providers.scripted.scripts", folder.path().display().to_string())
        .set("agent.model", "scripted/time");
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Time a command.", &[]).await;
    task.completed().await;
    let seconds: f64 = task.tool_results().await[0]["stdout"].as_str().unwrap().trim().parse().unwrap();
    Duration::from_secs_f64(seconds)
}

async fn steps_seen_from_the_model() {
    let (steps, tasks) = (50, 5);
    let server = step_server::StepServer::start(steps).await;
    let settings = Settings::new().model("openai", &server.url()).set("agent.max_steps", i64::from(steps) + 10);
    let atelier = Atelier::start_with(settings).await;
    let mut gaps = Vec::new();
    for _ in 0..tasks {
        let task = atelier.submit_zip(Zip::new().file("a", "a"), "Many steps.", &[]).await;
        task.completed().await;
        gaps.extend(server.take_gaps());
    }
    let step = median(gaps.into_iter());
    let command = command_time().await;
    println!(
        "| a step, seen from the model server (answer sent to next request in), median of {tasks} tasks of {steps} | |\n|---|---|"
    );
    println!("| whole step with `true` in a new bash | {} |", ms(step));
    println!("| `bash -c true` in the container by itself | {} |", ms(command));
    println!("| the step beside the command | {} |\n", ms(step.saturating_sub(command)));
}

async fn memory() {
    let server = step_server::StepServer::that_waits().await;
    let settings =
        Settings::new().model("openai", &server.url()).set("queue.max_running", 10).set("sandbox.memory_mb", 256);
    let atelier = Atelier::start_with(settings).await;
    println!("| memory of the server (resident) | |\n|---|---|");
    println!("| idle after the start | {} |", mib(atelier.resident_kib()));
    let mut tasks = Vec::new();
    for _ in 0..10 {
        tasks.push(atelier.submit_zip(Zip::new().file("a", "a"), "Wait.", &[]).await);
    }
    server.asked(10).await;
    println!("| with 10 running tasks | {} |\n", mib(atelier.resident_kib()));
    for task in &tasks {
        task.cancel().await;
    }
    for task in &tasks {
        task.ended().await;
    }
}

async fn throughput() {
    let folder = tempfile::tempdir().unwrap();
    let atelier = Atelier::start_with(play(folder.path(), "nothing", 0)).await;
    let count = 100;
    let started = Instant::now();
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for _ in 0..count {
        tasks.push(atelier.submit_zip(Zip::new().file("a", "a"), "Nothing.", &[]).await);
    }
    for task in &tasks {
        task.completed().await;
    }
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    println!("| {count} queued tasks that do nothing, two at a time | |\n|---|---|");
    println!("| tasks a minute | {:.0} |", f64::from(count) / minutes);
}

fn median(durations: impl Iterator<Item = Duration>) -> Duration {
    let mut sorted: Vec<_> = durations.collect();
    sorted.sort();
    sorted[sorted.len() / 2]
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

fn mib(kib: u64) -> String {
    format!("{} MiB", kib / 1024)
}
