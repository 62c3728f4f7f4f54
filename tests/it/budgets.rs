//! What tasks may cost: together in a day, and what is said when a price is not known.

use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip, containers_of, inspect},
    model_server::{ModelServer, Reply},
};

fn priced(model: &ModelServer) -> Settings {
    let price = toml::Table::from_iter([("input".to_owned(), 1000.0.into()), ("output".to_owned(), 0.0.into())]);
    let prices = toml::Table::from_iter([("mock/test-model".to_owned(), toml::Value::Table(price))]);
    Settings::new().model("openai", &model.url()).set("llm.prices", toml::Value::Table(prices))
}

#[tokio::test]
async fn at_the_limit_of_the_day_tasks_stop_and_others_wait_also_after_a_restart() {
    let model = ModelServer::start().await;
    let edit = json!({"file_path": "a", "new_content": "new"});
    model.will(Reply::text("").tool_call("edit_file", edit).usage(600, 0, 1));
    model.will(Reply::text("").tool_call("run_command", json!({"command": "ls"})).usage(600, 0, 1));
    let mut atelier = Atelier::start_with(priced(&model).set("agent.max_cost_usd_per_day", 1.0)).await;
    let task = atelier.submit_zip(Zip::new().file("a", "old"), "Go.", &[]).await;

    let ended = task.failed("budget_exceeded").await;

    let message = ended["error"]["message"].as_str().unwrap();
    for words in ["$1.20 today", "$1.00", "[agent] max_cost_usd_per_day", "00:00 UTC", "kept"] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(ended["diff"]["files"], 1);
    assert_eq!(model.received().len(), 2);
    // Another task is taken, waits, and says why; a restart forgets nothing of this.
    atelier.kill_and_start_again().await;
    let waiting = atelier.submit_zip(Zip::new().file("a", "old"), "Go.", &[]).await;
    let shown = waiting.wait_until("the reason", |task| task["queue"]["reason"] == "day_budget").await;
    assert!(shown["queue"]["message"].as_str().unwrap().contains("max_cost_usd_per_day"), "{shown:#}");
    let today = atelier.get_json("/api/usage").await;
    assert_eq!(
        (&today["cost_usd"], &today["input_tokens"], &today["unpriced_tokens"]),
        (&json!(1.2), &json!(1200), &json!(0))
    );
    assert!(today["reached"].as_str().unwrap().contains("$1.20 today"), "{today:#}");
    let list = atelier.get("/").await.text().await.unwrap();
    assert!(
        list.contains("Used today (UTC): $1.20 of $1.00") && list.contains("Tasks start by themselves then"),
        "{list}"
    );
    waiting.cancel().await;
    assert_eq!(model.received().len(), 2);
}

#[tokio::test]
async fn tokens_of_a_day_count_whatever_became_of_the_task_and_a_missing_price_is_said() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Done.").usage(90, 0, 10));
    let settings = Settings::new().model("openai", &model.url()).set("agent.max_tokens_per_day", 100);
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;

    let ended = task.completed().await;

    let words = "no price for mock/test-model in [llm.prices]";
    assert!(ended["cost_unknown"].as_str().unwrap().contains(words), "{ended:#}");
    let notes = task.events_of("note").await;
    let told = notes.iter().filter(|note| note["message"].as_str().unwrap().contains(words)).count();
    assert_eq!(told, 1, "{notes:#?}");
    assert!(atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap().contains(words));
    let today = atelier.get_json("/api/usage").await;
    assert_eq!((&today["unpriced_tokens"], &today["max_tokens"]), (&json!(100), &json!(100)));
    assert!(today["reached"].as_str().unwrap().contains("[agent] max_tokens_per_day"), "{today:#}");
}

#[tokio::test]
async fn a_model_without_a_price_can_be_refused() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(priced(&model).set("llm.unknown_price", "refuse")).await;
    let zip = || Zip::new().file("a", "a").bytes();
    let refused = atelier.post_zip(zip(), "Go.", &[("model", "mock/other")]).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("no price for mock/other"));
    model.will(Reply::text("Done."));
    atelier.submit_zip_bytes(zip(), "Go.", &[]).await.completed().await;
}

#[tokio::test]
async fn models_that_the_environment_names_reach_the_agent_and_no_key_does() {
    let model = ModelServer::start().await;
    model.will(
        Reply::text("")
            .tool_call("run_command", json!({"command": "until [ -e /app/output/go ]; do sleep 0.05; done"})),
    );
    model.will(Reply::text("Done."));
    let settings = Settings::new()
        .set("llm.providers.openai.base_url", format!("{}/v1/", model.url()))
        .environment("OPENAI_API_KEY", "sk-canary-7f3a9")
        .environment("OPENAI_FINETUNED_MODEL_ID", "ft:gpt-4.1:team");
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    task.wait_until("the command", |task| task["steps"] == 1).await;

    let seen = inspect(&containers_of(atelier.instance()).pop().unwrap()).unwrap();

    let environment = seen["Config"]["Env"].to_string();
    assert!(environment.contains("\"OPENAI_FINETUNED_MODEL_ID=ft:gpt-4.1:team\""), "{environment}");
    assert!(!environment.contains("CRITIQUE") && !seen.to_string().contains("canary"), "{seen}");
    std::fs::write(atelier.data_dir().join("tasks").join(&task.id).join("output/go"), "").unwrap();
    task.completed().await;
}
