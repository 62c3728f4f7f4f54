//! A program of somebody else in place of our agent, knowing no more than a URL and the step protocol.

use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

const AGENT: &str = r#"
import json, os, subprocess, urllib.request

url = os.environ["MCP_SERVER_URL"] + "/step"
task = json.load(open("/app/task.json"))

def step(payload):
    body = json.dumps({"task_id": task["task_id"], "payload": payload}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))

reply = step({"event": "start", "task": task})
while reply["event"] == "tool_call":
    done = subprocess.run(reply["arguments"]["command"], shell=True, capture_output=True, text=True)
    result = {"status": "success", "returncode": done.returncode, "stdout": "other agent: " + done.stdout}
    reply = step({"event": "tool_result", "name": reply["name"], "arguments": reply["arguments"], "result": result})
print("finished:", reply["summary"])
"#;

#[tokio::test]
async fn a_foreign_agent_works_through_the_relay_with_the_network_cut() {
    let model = ModelServer::start().await;
    model
        .will(Reply::text("").tool_call("run_command", json!({"command": "echo hello > greeting; ls /sys/class/net"})));
    model.will(Reply::text("Greeted."));
    let command = vec!["python3", "agent.py"];
    let settings = Settings::new().model("openai", &model.url()).set("agent.command", command);
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("agent.py", AGENT), "Greet.", &[]).await;

    let ended = task.completed().await;

    assert_eq!(ended["summary"], "Greeted.");
    assert_eq!(task.tool_results().await[0]["stdout"], "other agent: lo\n");
    assert!(String::from_utf8(task.patch().await).unwrap().contains("+hello"));
    assert!(task.log("agent.log").await.contains("finished: Greeted."));
}

#[tokio::test]
async fn a_foreign_agent_that_breaks_off_is_named_with_its_last_words() {
    let model = ModelServer::start().await;
    let command = vec!["python3", "-c", "import sys; sys.exit('no idea')"];
    let settings = Settings::new().model("openai", &model.url()).set("agent.command", command);
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Greet.", &[]).await;
    task.failed("agent_crashed").await;
    assert!(task.log("agent.log").await.contains("no idea"));
}
