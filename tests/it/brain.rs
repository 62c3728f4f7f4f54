//! What the brain adds to a plain loop, seen from outside: through whole tasks, with a model on loopback.

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings, Task, Zip},
    model_server::{ModelServer, Received, Reply, Spoken},
};

async fn with_model(model: &ModelServer) -> Atelier {
    Atelier::start_with(Settings::new().model("openai", &model.url())).await
}

/// The texts of a request, one below the other, in the order the model reads them.
fn told(request: &Received) -> String {
    let messages = request.body["messages"].as_array().unwrap().iter();
    let texts = messages.map(|message| match &message["content"] {
        Value::String(text) => text.clone(),
        parts => parts.to_string(),
    });
    texts.collect::<Vec<_>>().join("\n")
}

async fn warnings(task: &Task<'_>) -> Vec<String> {
    task.events_of("warning").await.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_model_that_repeats_itself_is_told_once_and_then_stopped() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("edit_file", json!({"file_path": "b", "new_content": "kept"})));
    for _ in 0..8 {
        model.will(Reply::text("").tool_call("run_command", json!({"command": "cat b"})));
    }
    let atelier = with_model(&model).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;

    let ended = task.failed("stuck").await;

    assert!(ended["error"]["message"].as_str().unwrap().contains("four times"), "{ended:#}");
    assert_eq!(ended["diff"]["files"], 1, "{ended:#}");
    let asked: Vec<bool> =
        model.received().iter().map(|request| told(request).contains("You repeat yourself")).collect();
    assert_eq!(asked, [false, false, false, false, false, true, true, true, true]);
    let warnings = warnings(&task).await;
    assert!(
        matches!(&warnings[..], [first, second] if first.contains("told so") && second.contains("went on")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn an_empty_answer_is_no_end() {
    let model = ModelServer::start().await;
    model.will(Reply::text(""));
    model.will(Reply::text("Nothing to do."));
    let atelier = with_model(&model).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;

    let ended = task.completed().await;

    assert_eq!((&ended["summary"], &ended["steps"]), (&json!("Nothing to do."), &json!(2)));
    assert!(told(&model.received()[1]).contains("Your last answer was empty"));
}

#[tokio::test]
async fn agents_files_of_folders_come_with_the_first_touch() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("read_file", json!({"file_path": "web/pages/x.txt"})));
    model.will(Reply::text("").tool_call("run_command", json!({"command": "ls", "workdir": "web/pages"})));
    model.will(Reply::text("Seen."));
    let atelier = with_model(&model).await;
    let zip = Zip::new()
        .file("AGENTS.md", "ROOT-RULE")
        .file("web/AGENTS.md", "WEB-RULE")
        .file("web/pages/AGENTS.md", "PAGES-RULE")
        .file("web/pages/x.txt", "x")
        .file("other/AGENTS.md", "OTHER-RULE");
    let task = atelier.submit_zip(zip, "Look.", &[]).await;

    task.completed().await;

    let asked: Vec<String> = model.received().iter().map(told).collect();
    assert!(asked[0].contains("ROOT-RULE") && !asked[0].contains("WEB-RULE"), "{}", asked[0]);
    let last = asked.last().unwrap();
    for (rule, times) in [("ROOT-RULE", 1), ("WEB-RULE", 1), ("PAGES-RULE", 1), ("OTHER-RULE", 0)] {
        assert_eq!(last.matches(rule).count(), times, "{rule}: {last}");
    }
    assert!(last.find("WEB-RULE") < last.find("PAGES-RULE"), "{last}");
    assert!(last.contains("these hold; untrusted material"), "{last}");
    let loaded = task.events_of("agents_file").await;
    let paths: Vec<&str> = loaded.iter().map(|event| event["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["AGENTS.md", "web/AGENTS.md", "web/pages/AGENTS.md"]);
}

#[tokio::test]
async fn edits_are_offered_in_the_form_the_model_knows_and_taken_in_any() {
    let model = ModelServer::start().await;
    let atelier = with_model(&model).await;
    let patch = "*** Begin Patch\n*** Update File: a\n@@\n-one\n+two\n*** End Patch";
    for (name, offered, edit) in [
        ("mock/gpt-4.1", "diff_patch", json!({"file_path": "a", "old_text": "one", "new_text": "two"})),
        ("mock/qwen3-coder", "old_text", json!({ "diff_patch": patch })),
    ] {
        model.will(Reply::text("").tool_call("edit_file", edit));
        model.will(Reply::text("Done."));
        let task = atelier.submit_zip(Zip::new().file("a", "one\n"), "Count on.", &[("model", name)]).await;

        let ended = task.completed().await;

        assert_eq!(ended["diff"]["files"], 1, "{ended:#}");
        let tools = model.received().last().unwrap().body["tools"].clone();
        let edit_file = tools.as_array().unwrap().iter().find(|tool| tool["function"]["name"] == "edit_file").unwrap();
        let properties = edit_file["function"]["parameters"]["properties"].as_object().unwrap();
        let ways = ["old_text", "diff_patch"].map(|way| properties.contains_key(way));
        assert_eq!(ways, ["old_text", "diff_patch"].map(|way| way == offered), "{name}");
    }
}

fn with_critic(model: &ModelServer) -> Settings {
    Settings::new().model("openai", &model.url()).set("agent.critique_model", "mock/critic")
}

fn verdict(decision: &str, comments: &str) -> Spoken {
    Reply::text("").tool_call("verdict", json!({"decision": decision, "comments": comments})).usage(100, 0, 10)
}

fn edit(content: &str) -> Spoken {
    Reply::text("").tool_call("edit_file", json!({"file_path": "a", "new_content": content})).usage(10, 0, 1)
}

#[tokio::test]
async fn a_critic_reads_the_patch_and_sends_the_model_back_until_it_accepts() {
    let model = ModelServer::start().await;
    model.will(edit("wrong\n"));
    model.will(Reply::text("It is done.").usage(10, 0, 1));
    model.will(verdict("revise", "a:1 says wrong."));
    model.will(edit("right\n"));
    model.will(Reply::text("Now it is done.").usage(10, 0, 1));
    model.will(verdict("accept", "Good."));
    let atelier = Atelier::start_with(with_critic(&model)).await;
    let task = atelier.submit_zip(Zip::new().file("a", "old\n"), "Make it right.", &[]).await;

    let ended = task.completed().await;

    assert_eq!(ended["summary"], "Now it is done.");
    assert_eq!(ended["steps"], 4);
    assert_eq!((&ended["usage"]["input_tokens"], &ended["usage"]["output_tokens"]), (&json!(240), &json!(24)));
    let received = model.received();
    let (first, second) = (told(&received[2]), told(&received[5]));
    assert_eq!((&received[2].body["model"], &received[3].body["model"]), (&json!("critic"), &json!("test-model")));
    assert!(first.contains("Make it right.") && first.contains("It is done.") && first.contains("+wrong"), "{first}");
    assert!(second.contains("-old\n+right") && !second.contains("+wrong"), "{second}");
    assert!(told(&received[3]).contains("a:1 says wrong."));
    let critiques = task.events_of("critique").await;
    let decisions: Vec<_> = critiques.iter().map(|event| (&event["round"], &event["decision"])).collect();
    assert_eq!(decisions, [(&json!(1), &json!("revise")), (&json!(2), &json!("accept"))]);
    let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    assert!(page.contains("Critique 1: sent back") && page.contains("a:1 says wrong."), "{page}");
    assert!(task.log("prompt.txt").await.contains("critique 1: user"));
    assert!(String::from_utf8(task.patch().await).unwrap().contains("+right"));
}

#[tokio::test]
async fn a_critic_that_fails_or_never_has_enough_costs_no_work() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(with_critic(&model).set("agent.max_critique_rounds", 1)).await;
    for (criticism, warning) in [
        (vec![Reply::from(Reply::text("Looks good to me."))], "without a verdict"),
        (vec![Reply::status(400, "no")], "was not reviewed by mock/critic"),
        (vec![verdict("revise", "More.").into(), Reply::text("Done again.").into()], "were not reviewed"),
    ] {
        model.will(edit("new\n"));
        model.will(Reply::text("Done."));
        for reply in criticism {
            model.will(reply);
        }
        let task = atelier.submit_zip(Zip::new().file("a", "old\n"), "Go.", &[]).await;

        let ended = task.completed().await;

        assert_eq!(ended["diff"]["files"], 1, "{ended:#}");
        assert!(ended["summary"].as_str().unwrap().starts_with("Done"), "{ended:#}");
        let warnings = warnings(&task).await;
        assert!(matches!(&warnings[..], [only] if only.contains(warning)), "{warnings:?}");
    }
}

#[tokio::test]
async fn the_environment_names_both_models_and_a_question_is_not_reviewed() {
    let model = ModelServer::start().await;
    let settings = Settings::new()
        .set("llm.providers.openai.base_url", format!("{}/v1/", model.url()))
        .environment("OPENAI_API_KEY", "sk-canary-7f3a9")
        .environment("OPENAI_FINETUNED_MODEL_ID", "ft:gpt-4.1:team")
        .environment("OPENAI_CRITIQUE_MODEL_ID", "critic-1");
    let atelier = Atelier::start_with(settings).await;
    for mode in ["modify", "analyze"] {
        model.will(Reply::text("Nothing to do, see a:1."));
        if mode == "modify" {
            model.will(verdict("accept", ""));
        }
        let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[("mode", mode)]).await;
        assert_eq!(task.completed().await["model"], "openai/ft:gpt-4.1:team");
    }
    let asked: Vec<Value> = model.received().iter().map(|request| request.body["model"].clone()).collect();
    assert_eq!(asked, ["ft:gpt-4.1:team", "critic-1", "ft:gpt-4.1:team"]);
}

#[tokio::test]
async fn a_conversation_that_fills_the_context_goes_on_with_a_summary() {
    let model = ModelServer::start().await;
    let step = |number: u32, tokens| {
        let command = format!("echo OUTPUT-{number}; head -c 3000 /dev/zero | tr '\\0' {number}");
        Reply::text("").tool_call("run_command", json!({"command": command, "workdir": "sub"})).usage(tokens, 0, 10)
    };
    for number in 1..=5 {
        model.will(step(number, 100));
    }
    model.will(step(6, 800));
    model.will(Reply::text("NOTES: five steps done.").usage(500, 0, 50));
    model.will(step(7, 300));
    model.will(Reply::text("Done.").usage(300, 0, 10));
    let settings = Settings::new().model("anthropic", &model.url()).set("llm.providers.mock.context_tokens", 1000);
    let atelier = Atelier::start_with(settings).await;
    let zip = Zip::new().file("a", "a").file("sub/AGENTS.md", "SUB-RULE");
    let task = atelier.submit_zip(zip, "KEEP-THE-GOAL", &[]).await;

    let ended = task.completed().await;

    assert_eq!(
        (&ended["steps"], &ended["usage"]["input_tokens"]),
        (&json!(8), &json!(5 * 100 + 800 + 500 + 300 + 300))
    );
    let received = model.received();
    assert_eq!(received.len(), 9);
    let (summing_up, after, last) = (&received[6], told(&received[7]), told(&received[8]));
    assert!(summing_up.body.get("tools").is_none(), "{}", summing_up.body);
    let asked = told(summing_up);
    assert!(asked.contains("KEEP-THE-GOAL") && asked.contains("OUTPUT-1") && !asked.contains("OUTPUT-6"), "{asked}");
    // It went with the older part, and comes again with the next touch.
    assert!(!after.contains("SUB-RULE") && last.contains("SUB-RULE"), "{after}\n{last}");
    for sent in [after, last] {
        assert!(sent.contains("KEEP-THE-GOAL") && sent.contains("NOTES: five steps done."), "{sent}");
        assert!(sent.contains("OUTPUT-6") && !sent.contains("OUTPUT-1"), "{sent}");
    }
    let compacted = task.events_of("compacted").await;
    assert!(matches!(&compacted[..], [only] if only["before_tokens"] == 800), "{compacted:?}");
    let prompt = task.log("prompt.txt").await;
    assert!(prompt.contains("OUTPUT-1") && prompt.contains("summary: user"), "{prompt}");
}
