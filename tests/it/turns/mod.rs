//! A task goes on after its end: follow-ups, what is said while it runs, and what becomes of both when something ends.

mod ended_badly;
mod remarks;
mod restarted;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    git_server::GitServer,
    harness::{Atelier, Settings, Zip, commit_all},
    model_server::{ModelServer, Reply, Spoken},
    restarts::wait_for,
    terminal::{atelier_with, short_folder, text},
};

pub(crate) fn run(command: &str) -> Spoken {
    Reply::text("").tool_call("run_command", json!({ "command": command }))
}

/// Tells a task something, which must be taken.
pub(crate) async fn tell(atelier: &Atelier, id: &str, text: &str) -> Value {
    let answer = say(atelier, id, &json!({ "text": text })).await;
    let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 201, "{body}");
    body
}

pub(crate) async fn say(atelier: &Atelier, id: &str, body: &Value) -> Response {
    atelier.post_json(&format!("/api/tasks/{id}/messages"), body).await
}

/// Waits for the end of this turn, which must be good.
pub(crate) async fn completed(atelier: &Atelier, id: &str, turn: u64) -> Value {
    let task = atelier.task(id);
    let ended = task.ended().await;
    assert_eq!((&ended["status"], &ended["turn"]), (&json!("completed"), &json!(turn)), "{ended:#}");
    ended
}

fn patch_of(patch: &str, sign: char) -> Vec<&str> {
    patch
        .lines()
        .filter(|line| line.starts_with(sign) && !line.starts_with("+++") && !line.starts_with("---"))
        .collect()
}

#[tokio::test]
async fn a_further_instruction_goes_on_with_conversation_and_changes_after_setup_ran_again() {
    let model = ModelServer::start().await;
    model.will(run("echo first >> trace; rm old"));
    model.will(Reply::text("Did the first."));
    model.will(run(
        "cat trace /opt/tool && ! test -e old && ls node_modules && echo second >> trace && echo more > new",
    ));
    model.will(Reply::text("Did the second."));
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("tool");
    Zip::new()
        .file("old", "old\n")
        .executable("setup.sh", "#!/bin/sh\necho installed > /opt/tool\nmkdir node_modules\ntouch node_modules/made\n")
        .unpack(&repository);
    commit_all(&repository);
    let git = GitServer::start(folder.path()).await;
    let settings = Settings::new().model("openai", &model.url()).allow_host("127.0.0.1");
    let atelier = Atelier::start_with(settings).await;
    let id = atelier.submit_git(&git.url("tool"), "Begin.").await.id;
    let first = atelier.task(&id).completed().await;
    assert_eq!((&first["turn"], &first["turns"][0]["summary"]), (&json!(1), &json!("Did the first.")));
    let whole_of_first = String::from_utf8(atelier.task(&id).patch().await).unwrap();
    // What somebody pushes meanwhile is not what the conversation is about.
    std::fs::write(repository.join("pushed later"), "").unwrap();
    commit_all(&repository);

    let told = tell(&atelier, &id, "And now the second.").await;

    assert_eq!((&told["turn"], &told["begins_turn"], &told["read_at_step"]), (&json!(2), &json!(true), &Value::Null));
    let ended = completed(&atelier, &id, 2).await;
    let results = atelier.task(&id).tool_results().await;
    assert_eq!(results[1]["stdout"], "first\ninstalled\nmade\n", "{results:#?}");
    let asked = model.received();
    let messages = asked[2].body["messages"].as_array().unwrap();
    assert_eq!(
        messages[..messages.len() - 2],
        asked[1].body["messages"].as_array().unwrap()[..],
        "the same conversation"
    );
    let last = messages.last().unwrap()["content"].to_string();
    assert!(last.contains("And now the second.") && last.contains("container is a new one"), "{last}");

    // The whole of it, and each turn by itself.
    let whole = String::from_utf8(atelier.task(&id).patch().await).unwrap();
    assert_eq!(patch_of(&whole, '+'), ["+more", "+first", "+second"], "{whole}");
    assert_eq!(patch_of(&whole, '-'), ["-old"]);
    let own = atelier.task(&id).log("turns/2/diff.patch").await;
    assert_eq!((patch_of(&own, '+'), patch_of(&own, '-')), (vec!["+more", "+second"], vec![]), "{own}");
    assert_eq!(atelier.task(&id).log("turns/1/diff.patch").await, whole_of_first);
    assert_eq!(atelier.task(&id).log("turns/1/explanation.md").await, "Did the first.");
    let turns = ended["turns"].as_array().unwrap();
    let instructions: Vec<&Value> = turns.iter().map(|turn| &turn["instruction"]).collect();
    assert_eq!(instructions, ["Begin.", "And now the second."]);
    assert_eq!((&turns[0]["steps"], &turns[1]["steps"], &ended["steps"]), (&json!(2), &json!(2), &json!(4)));
    assert_eq!((&turns[1]["diff"]["files"], &turns[1]["whole_diff"]["files"]), (&json!(2), &json!(3)), "{turns:#?}");
    assert_eq!((&turns[1]["diff"]["insertions"], &ended["diff"]["insertions"]), (&json!(2), &json!(3)));
    let address = turns[1]["diff_url"].as_str().unwrap();
    assert!(address.ends_with(&format!("/logs/{id}/turns/2/diff.patch")), "{address}");
    assert_eq!(ended["summary"], "Did the second.");

    // One story, with numbers that go on.
    let replied: Vec<Value> = atelier.task(&id).events_of("model_replied").await;
    let steps: Vec<&Value> = replied.iter().map(|event| &event["step"]).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    let calls = atelier.task(&id).events_of("tool_called").await;
    assert_eq!((&calls[0]["call"], &calls[1]["call"]), (&json!(1), &json!(2)));
    let told = atelier.get_json(&format!("/api/tasks/{id}/messages")).await;
    assert_eq!(told["messages"][0]["read_at_step"], 3, "{told:#}");
}

#[tokio::test]
async fn the_same_request_again_begins_no_second_turn() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Nothing to do."));
    model.will(Reply::text("Still nothing."));
    let atelier = Atelier::start_with(Settings::new().model("anthropic", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Look.", &[]).await.id;
    atelier.task(&id).completed().await;
    let send = |text: &'static str, key: &'static str| {
        let request = atelier.request(Method::POST, &format!("/api/tasks/{id}/messages"));
        request.header("Idempotency-Key", key).json(&json!({ "text": text })).send()
    };

    let first: Value = send("Look again.", "one").await.unwrap().json().await.unwrap();
    let again: Value = send("Look again.", "one").await.unwrap().json().await.unwrap();
    completed(&atelier, &id, 2).await;
    let later: Value = send("Look again.", "one").await.unwrap().json().await.unwrap();

    assert_eq!((&first, &first["number"]), (&again, &later["number"]));
    assert_eq!(atelier.task(&id).ended().await["turn"], 2);
    assert_eq!(model.received().len(), 2);
    assert_eq!(send("Look.", "no spaces, please").await.unwrap().status(), 422);
    assert_eq!(send(" ", "two").await.unwrap().status(), 422);
}

#[tokio::test]
async fn what_is_said_while_it_runs_is_read_with_the_next_step_and_before_the_end() {
    let model = ModelServer::start().await;
    model.will(run("until [ -e /app/output/go ]; do sleep 0.05; done"));
    model.will(Reply::text("Done.").slowly(std::time::Duration::from_millis(300)));
    model.will(Reply::text("Done as you said."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.id;
    atelier.task(&id).wait_until("the command", |task| task["steps"] == 1).await;

    let told = tell(&atelier, &id, "Mind the gap.").await;
    assert_eq!((&told["begins_turn"], &told["turn"]), (&json!(false), &json!(1)));
    std::fs::write(atelier.data_dir().join("tasks").join(&id).join("output/go"), "").unwrap();
    wait_for("the next question", || model.received().len() == 2).await;
    // The model is about to end: it is called back instead.
    tell(&atelier, &id, "And the step.").await;
    let ended = completed(&atelier, &id, 1).await;

    let asked = model.received();
    let last =
        |number: usize| asked[number].body["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    assert!(last(1).contains("Mind the gap.") && last(2).contains("And the step."), "{}\n{}", last(1), last(2));
    assert_eq!(asked[2].body["messages"].to_string().matches("Mind the gap.").count(), 1);
    assert_eq!(ended["summary"], "Done as you said.");
    let events = atelier.task(&id).events().await;
    let at = |kind: &str, number: usize| {
        events.iter().enumerate().filter(|(_, event)| event["kind"] == kind).nth(number).unwrap().0
    };
    assert!(at("tool_returned", 0) < at("told", 0) && at("told", 0) < at("model_asked", 1), "{events:#?}");
    let told = atelier.get_json(&format!("/api/tasks/{id}/messages")).await;
    assert_eq!((&told["messages"][0]["read_at_step"], &told["messages"][1]["read_at_step"]), (&json!(2), &json!(3)));
    let refused = say(&atelier, &id, &json!({ "text": "More.", "limits": { "max_steps": 0 } })).await;
    assert_eq!(refused.status(), 422);
}

#[tokio::test]
async fn the_diff_of_one_turn_shows_no_image_of_another_file() {
    const IMAGE: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGM4wcCAFWEXHbQSALvlMgGxhdU2AAAAAElFTkSuQmCC";
    let model = ModelServer::start().await;
    model.will(run(&format!("echo {IMAGE} | base64 -d > a.png")));
    model.will(Reply::text("First."));
    model.will(run("head -c 99 /dev/zero > b.png"));
    model.will(Reply::text("Second."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Draw.", &[]).await.id;
    atelier.task(&id).completed().await;
    tell(&atelier, &id, "Draw nothing.").await;
    completed(&atelier, &id, 2).await;

    // b.png is the first file of the turn, a.png the first of the whole, and an image.
    let page = async |query: &str| atelier.get(&format!("/tasks/{id}/diff{query}")).await.text().await.unwrap();
    for (query, has_image) in [("", true), ("?turn=2", false), ("/files/1", true), ("/files/1?turn=2", false)] {
        let page = page(query).await;
        assert!(page.contains("b.png") || has_image, "{query}: {page}");
        assert_eq!(page.contains("/diff/files/1/after"), has_image, "{query}: {page}");
    }
}

#[tokio::test]
async fn a_turn_waits_behind_what_was_there_before_it() {
    let model = ModelServer::start().await;
    model.will(Reply::text("First."));
    let settings = Settings::new().model("openai", &model.url()).set("queue.max_running", 1).set("queue.max_queued", 2);
    let atelier = Atelier::start_with(settings).await;
    let zip = || Zip::new().file("a", "a");
    let first = atelier.submit_zip(zip(), "First.", &[]).await.id;
    atelier.task(&first).completed().await;
    model.will(Reply::hang());
    let running = atelier.submit_zip(zip(), "Runs.", &[]).await.id;
    wait_for("its question", || model.received().len() == 2).await;
    let waiting = atelier.submit_zip(zip(), "Waits.", &[]).await.id;

    tell(&atelier, &first, "Once more.").await;

    let now = atelier.task(&first).now().await;
    assert_eq!((&now["status"], &now["queue"]["position"]), (&json!("queued"), &json!(2)), "{now:#}");
    assert_eq!(atelier.task(&waiting).now().await["queue"]["position"], 1);
    assert_eq!(atelier.post_zip(zip().bytes(), "One too many.", &[]).await.status(), 429);
    // Cancelled while it waits, it has changed nothing; what was said is read when the task goes on.
    atelier.task(&first).cancel().await;
    assert_eq!(atelier.task(&first).ended().await["status"], "cancelled");
    atelier.task(&waiting).cancel().await;
    atelier.task(&running).cancel().await;
    atelier.task(&running).ended().await;
    model.will(Reply::text("Both."));
    tell(&atelier, &first, "Now really.").await;
    completed(&atelier, &first, 3).await;
    let said = model.received().last().unwrap().body["messages"].to_string();
    assert!(said.find("Once more.").unwrap() < said.find("Now really.").unwrap(), "{said}");
}

#[tokio::test]
async fn from_the_terminal_it_is_told_and_followed_to_its_end() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Looked."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let limits = json!({ "max_steps": 1 }).to_string();
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Look.", &[("limits", &limits)]).await.id;
    atelier.task(&id).completed().await;
    let (folder, data_dir) = (short_folder(), atelier.data_dir().display().to_string());
    let reply = |more: &'static [&'static str]| {
        let arguments = [&["reply", &id, "Look again.", "--data-dir", &data_dir], more].concat();
        let (arguments, folder): (Vec<String>, _) =
            (arguments.iter().map(|&word| word.to_owned()).collect(), folder.path());
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            atelier_with(folder, &arguments, &[]).await
        }
    };

    let refused = reply(&[]).await;
    assert_eq!(refused.status.code(), Some(4));
    assert!(text(&refused.stderr).contains("used all 1 steps"), "{}", text(&refused.stderr));
    model.will(run("echo seen >> a"));
    model.will(Reply::text("Looked again."));
    let told = reply(&["-f", "--max-steps", "3", "--key", "k"]).await;
    let progress = text(&told.stderr);
    assert_eq!(told.status.code(), Some(0), "{progress}");
    for words in ["Turn 2 · http", "turn 2: Look again.", "echo seen", "● completed"] {
        assert_eq!(progress.matches(words).count(), 1, "{words}: {progress}");
    }
    let again = reply(&["--max-steps", "3", "--key", "k", "--json"]).await;
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&again["turn"], &again["read_at_step"]), (&json!(2), &json!(2)));
    assert_eq!(atelier.task(&id).ended().await["turn"], 2);
}
