//! Tasks of every kind run, and some go on after their end, while the server is killed at random moments, `$ATELIER_KILLS` times (25 when not set). After
//! each start and at the end the invariants hold. The program that is measured by hand is this test with a larger number.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::wait_for;
use crate::{
    forges::{Forge, Kind},
    git_server::GitServer,
    harness::{Atelier, Zip, commit_all, containers_of, networks_of},
    model_server::{ModelServer, Received, Reply},
};

const KINDS: [&str; 6] = ["zip", "zip-setup", "git", "git-setup", "analyze", "pr"];
const SETUP: &str = "#!/bin/sh\nsleep 0.2\necho once >> set-up\n";
/// What a task that was not given up leaves in its trace, whatever happened to the server.
const WORK: [&str; 4] = ["step-0", "step-1a", "step-1b", "step-2"];

/// The instruction of a second turn.
const AGAIN: &str = "Once more, please.";

/// When which question was asked: by task and step.
type Asked = Arc<Mutex<HashMap<(String, String), Vec<Instant>>>>;

#[tokio::test]
async fn f04_to_f10_killed_at_random_nothing_is_lost_and_nothing_happens_twice() {
    let kills: usize = std::env::var("ATELIER_KILLS").map_or(25, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    for (name, setup) in [("git", None), ("git-setup", Some(SETUP))] {
        let repository = folder.path().join(name);
        Zip::new().file("a", "a\n").unpack(&repository);
        if let Some(setup) = setup {
            Zip::new().executable("setup.sh", setup).unpack(&repository);
        }
        commit_all(&repository);
    }
    let git = GitServer::start(folder.path()).await;
    let (model, asked) = (ModelServer::start().await, Asked::default());
    let heard = asked.clone();
    model.plays(move |request| play(request, &heard));
    let forge = Forge::start(Kind::Gitea, &[("a", "a\n")]).await;
    let settings = forge
        .settings()
        .model("openai", &model.url())
        .set("agent.critique_model", "mock/test-model")
        .set("queue.max_running", 4)
        .set("sandbox.memory_mb", 256)
        .allow_host("127.0.0.1");
    let mut atelier = Atelier::start_with(settings).await;
    let (mut accepted, mut killed_at, mut killed_in) = (Vec::new(), Vec::new(), BTreeMap::<String, usize>::new());
    let (mut ended, mut went_on) = (HashMap::new(), BTreeSet::new());
    for _ in 0..kills {
        let waiting = atelier.get_json("/api/tasks?status=queued&limit=100").await["tasks"].as_array().unwrap().len();
        for _ in waiting..3 {
            accepted.push(submit(&atelier, &git, &forge, accepted.len()).await);
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..1800))).await;
        atelier.kill();
        // What the dead server had sent is heard before the moment that stands for its end.
        tokio::time::sleep(Duration::from_millis(50)).await;
        killed_at.push(Instant::now());
        for stage in stages(&atelier.data_dir()) {
            *killed_in.entry(stage).or_default() += 1;
        }
        atelier.start_again().await;
        check(&atelier, &mut ended).await;
        go_on(&atelier, &accepted, &mut went_on).await;
    }
    let mut published = Vec::new();
    let mut endings = BTreeMap::<String, usize>::new();
    for (number, id) in accepted.iter().enumerate() {
        let kind = KINDS[number % KINDS.len()];
        let task = atelier.task(id);
        let end = task.ended().await;
        let ending = end["error"]["kind"].as_str().unwrap_or("completed");
        *endings.entry(ending.to_owned()).or_default() += 1;
        match ending {
            "completed" => {
                let (mut expected, turn) = (expected(kind), 1 + u64::from(went_on.contains(id)));
                expected.extend(went_on.contains(id).then_some("again"));
                assert_eq!(trace(&atelier, id, kind).await, expected, "{kind} {id}");
                assert_eq!(end["turn"], turn, "{kind} {id}: {end:#}");
            }
            "server_restarted" => {}
            other => panic!("{kind} {id} ended as {other}: {end:#}"),
        }
        if kind == "zip-setup" && ending == "completed" {
            let proof = &end["verification"];
            let is_given_up = proof["problem"].as_str().is_some_and(|problem| problem.contains("3 times"));
            assert!(proof["verdict"] == "passed" || is_given_up, "{end:#}");
        }
        if kind == "pr" && ending == "completed" {
            assert_eq!(end["pull_request"]["state"], "opened", "{end:#}");
            published.push(format!("atelier/{id}"));
        }
    }
    // One branch and one request a task, whatever happened between push, request and row.
    published.sort();
    let mut requested: Vec<String> = forge.pulls().into_iter().map(|pull| pull.head).collect();
    requested.sort();
    assert_eq!((&forge.branches(), &requested), (&published, &published));
    for (question, times) in asked.lock().unwrap().iter() {
        for pair in times.windows(2) {
            let lost = killed_at.iter().any(|killed| pair[0] < *killed && *killed < pair[1]);
            assert!(lost, "{question:?} was asked again without a kill between");
        }
    }
    wait_for("everything to be tidied up", || {
        containers_of(atelier.instance()).is_empty()
            && networks_of(atelier.instance()).is_empty()
            && atelier.workspaces().is_empty()
    })
    .await;
    let questions: usize = asked.lock().unwrap().values().map(Vec::len).sum();
    let again = questions - asked.lock().unwrap().len();
    let _ = writeln!(
        std::io::stderr(),
        "kill loop: {kills} kills, {} tasks, {} of which went on, {endings:?}, running tasks at the kills {killed_in:?}, {questions} questions, {again} of \
         them asked again",
        accepted.len(),
        went_on.len()
    );
}

/// The next answer follows from the conversation alone, so a question that comes again is answered in the same way.
fn play(request: &Received, asked: &Asked) -> Reply {
    let text = request.body.to_string();
    let task = text.split("kill-loop-").nth(1).unwrap().split(['.', '\\']).next().unwrap().to_owned();
    let is_critic = request.body["tools"].to_string().contains("verdict");
    let is_again = text.contains(AGAIN);
    let step = match request.body["messages"].as_array() {
        _ if is_critic && is_again => "critic again".to_owned(),
        _ if is_critic => format!("critic {}", text.contains("+revised")),
        Some(messages) if is_again => {
            let told = messages.iter().rposition(|message| message["content"].to_string().contains(AGAIN)).unwrap();
            format!("again {}", messages[told..].iter().filter(|message| message["role"] == "assistant").count())
        }
        messages => messages.unwrap().iter().filter(|message| message["role"] == "assistant").count().to_string(),
    };
    asked.lock().unwrap().entry((task.clone(), step.clone())).or_default().push(Instant::now());
    let trace = if task.ends_with("analyze") { "/app/output/trace" } else { "trace" };
    let add =
        |line: &str| json!({ "command": format!("echo {line} >> {trace}; sleep 0.0{}", rand::random_range(0..9)) });
    let reply = match step.as_str() {
        "again 0" => Reply::text("").tool_call("run_command", add("again")),
        "critic true" | "critic again" => {
            Reply::text("").tool_call("verdict", json!({"decision": "accept", "comments": ""}))
        }
        "critic false" => Reply::text("").tool_call("verdict", json!({"decision": "revise", "comments": "Revise it."})),
        "0" => Reply::text("").tool_call("run_command", add(WORK[0])),
        "1" => Reply::text("").tool_call("run_command", add(WORK[1])).tool_call("run_command", add(WORK[2])),
        "2" => Reply::text("").tool_call("run_command", add(WORK[3])),
        "4" => Reply::text("").tool_call("run_command", add("revised")),
        _ => Reply::text("It is in `a:1`."),
    };
    reply.slowly(Duration::from_millis(rand::random_range(0..30))).into()
}

async fn submit(atelier: &Atelier, git: &GitServer, forge: &Forge, number: usize) -> String {
    let kind = KINDS[number % KINDS.len()];
    let instruction = format!("kill-loop-{number}-{kind}.");
    let task = match kind {
        "git" | "git-setup" => atelier.submit_git(&git.url(kind), &instruction).await,
        "pr" => {
            let source = json!({ "git_url": forge.url() });
            atelier.submit(&json!({ "source": source, "task": instruction, "mode": "pr" })).await
        }
        "zip-setup" => {
            let zip = Zip::new().file("a", "a\n").executable("setup.sh", SETUP);
            let checks = "grep -qx step-2 trace\ntest -s set-up && sleep 0.3";
            atelier.submit_zip(zip, &instruction, &[("checks", checks)]).await
        }
        "analyze" => atelier.submit_zip(Zip::new().file("a", "a\n"), &instruction, &[("mode", "analyze")]).await,
        _ => atelier.submit_zip(Zip::new().file("a", "a\n"), &instruction, &[]).await,
    };
    task.id
}

fn expected(kind: &str) -> Vec<&'static str> {
    let revised = (kind != "analyze").then_some("revised");
    WORK.into_iter().chain(revised).collect()
}

/// Tells one task that has completed to go on, as somebody does who has read it; twice, as somebody does who heard no answer.
async fn go_on(atelier: &Atelier, accepted: &[String], went_on: &mut BTreeSet<String>) {
    let completed = atelier.get_json("/api/tasks?status=completed&limit=100").await;
    let may = |task: &&Value| {
        let id = task["id"].as_str().unwrap();
        let kind = accepted.iter().position(|known| known == id).map(|number| KINDS[number % KINDS.len()]);
        kind.is_some_and(|kind| kind != "analyze" && kind != "pr") && !went_on.contains(id)
    };
    let Some(id) = completed["tasks"].as_array().unwrap().iter().find(may).map(|task| task["id"].as_str().unwrap())
    else {
        return;
    };
    for _ in 0..2 {
        let request = atelier.request(reqwest::Method::POST, &format!("/api/tasks/{id}/messages"));
        let answer = request.header("Idempotency-Key", "again").json(&json!({ "text": AGAIN })).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }
    went_on.insert(id.to_owned());
}

/// The lines that the tool calls of a task left.
async fn trace(atelier: &Atelier, id: &str, kind: &str) -> Vec<String> {
    if kind == "analyze" {
        return atelier.task(id).log("output/trace").await.lines().map(str::to_owned).collect();
    }
    let patch = String::from_utf8(atelier.task(id).patch().await).unwrap();
    let added = patch.lines().filter_map(|line| line.strip_prefix('+')).filter(|line| !line.starts_with("++"));
    added.map(str::to_owned).collect()
}

/// Where the running tasks were, as the killed server left it.
fn stages(data_dir: &Path) -> Vec<String> {
    let database = open(data_dir);
    let mut rows = database.prepare("SELECT coalesce(stage, 'claimed') FROM tasks WHERE status = 'running'").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn open(data_dir: &Path) -> Connection {
    Connection::open_with_flags(data_dir.join("atelier.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// The database is whole, what ended stays as it ended, and no task has two containers.
async fn check(atelier: &Atelier, ended: &mut HashMap<String, Value>) {
    let report: String = open(&atelier.data_dir()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(report, "ok");
    let tasks = atelier.get_json("/api/tasks?limit=100").await;
    for task in tasks["tasks"].as_array().unwrap() {
        let end = json!([task["turn"], task["status"], task["error"], task["finished_at"], task["summary"]]);
        if task["finished_at"].is_null() {
            assert!(matches!(task["status"].as_str(), Some("queued" | "running")), "{task}");
        } else if let Some(before) = ended.insert(format!("{} {}", task["id"], task["turn"]), end.clone()) {
            assert_eq!(before, end, "a task that had ended changed");
        }
    }
    // Containers and networks are counted first: whatever is made, its task is running by then.
    wait_for("containers of no running task to go", || {
        let containers = containers_of(atelier.instance()).len().max(networks_of(atelier.instance()).len());
        containers <= stages(&atelier.data_dir()).len()
    })
    .await;
}
