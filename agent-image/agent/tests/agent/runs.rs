//! Ways to start a run and the ways it ends.

use serde_json::json;

use crate::brain::{Answer, finish, run, tool_call};
use crate::workbench::Workbench;

const TASK: &str = r#"{"task_id":"20261120_abc","instruction":"mend it","mode":"analyze","language":"de"}"#;

#[test]
fn a_task_file_travels_to_the_brain_unchanged() {
    let bench = Workbench::new().file("task.json", TASK);
    let file = bench.code().join("task.json");
    let ended = bench.argument("--task_file").argument(file.to_str().unwrap()).play(vec![finish("all done")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "all done\n"), "{}", ended.stderr);
    let task = json!({ "task_id": "20261120_abc", "instruction": "mend it", "mode": "analyze", "language": "de" });
    let start = json!({ "task_id": "20261120_abc", "seq": 0, "payload": { "event": "start", "task": task } });
    assert_eq!(ended.heard.requests, [start]);
}

#[test]
fn a_task_can_come_on_stdin() {
    let ended = Workbench::new().stdin(TASK).play(vec![finish("done")]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.heard.requests[0]["payload"]["task"]["instruction"], "mend it");
}

#[test]
fn a_task_can_be_text_with_a_mode() {
    let ended = Workbench::new().argument("--task=why?").argument("--mode=analyze").play(vec![finish("so")]);
    let task = &ended.heard.requests[0]["payload"]["task"];
    assert_eq!((task["instruction"].as_str(), task["mode"].as_str()), (Some("why?"), Some("analyze")));
    assert_eq!(ended.heard.requests[0]["task_id"], task["task_id"]);

    let ended = Workbench::new().argument("--task=mend it").play(vec![finish("so")]);
    assert_eq!(ended.heard.requests[0]["payload"]["task"]["mode"], "modify");
}

#[test]
fn models_of_the_environment_are_forwarded_only_when_set() {
    let ended = Workbench::new().set("OPENAI_FINETUNED_MODEL_ID", "ft:mine").play(vec![finish("done")]);
    let task = &ended.heard.requests[0]["payload"]["task"];
    assert_eq!(task["openai_finetuned_model_id"], "ft:mine");
    assert!(task.get("openai_critique_model_id").is_none());
}

#[test]
fn what_cannot_be_a_task_ends_with_one_clear_line_and_1() {
    let bad_json = Workbench::new().stdin("{\"task_id\":").play(vec![]);
    let no_file = Workbench::new().argument("--task_file=/nowhere/task.json").play(vec![]);
    let bad_id = Workbench::new().stdin(r#"{"task_id":"../x","instruction":"i"}"#).play(vec![]);
    let bad_number = Workbench::new().set("CMD_TIMEOUT", "soon").play(vec![]);
    for (ended, expected) in [
        (bad_json, "on stdin is not the JSON of a task"),
        (no_file, "/nowhere/task.json cannot be read"),
        (bad_id, "\"../x\" is not usable as a file name"),
        (bad_number, "CMD_TIMEOUT: \"soon\""),
    ] {
        assert_eq!(ended.code, Some(1), "{expected}");
        assert!(ended.stderr.contains(expected) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
        assert!(ended.heard.requests.is_empty());
    }
}

#[test]
fn wrong_usage_is_no_run_that_ended_early() {
    let ended = Workbench::new().argument("--nonsense").play(vec![]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--nonsense"));
}

#[test]
fn an_unknown_tool_fails_and_the_run_goes_on() {
    let ended = Workbench::new().play(vec![tool_call("fly", &json!({ "to": "moon" })), finish("walked")]);
    assert_eq!(ended.code, Some(0));
    let payload = &ended.heard.requests[1]["payload"];
    assert_eq!((payload["event"].as_str(), payload["name"].as_str()), (Some("tool_result"), Some("fly")));
    assert_eq!(payload["arguments"], json!({ "to": "moon" }));
    assert_eq!(payload["result"]["status"], "failure");
    assert!(payload["result"]["message"].as_str().unwrap().contains("unknown tool \"fly\""));
}

#[test]
fn what_the_protocol_does_not_know_ends_the_run_with_a_warning() {
    for answer in [
        Answer::Json(json!({ "event": "dance" })),
        Answer::Json(json!({ "name": "read_file", "arguments": {} })),
        Answer::Json(json!([1])),
        Answer::Text("<html>nginx</html>"),
    ] {
        let ended = Workbench::new().play(vec![answer.clone(), finish("never asked")]);
        assert_eq!(ended.code, Some(2), "{answer:?}");
        assert_eq!(ended.heard.requests.len(), 1, "{answer:?}");
        assert!(ended.log.contains("warning: the run ends here"), "{}", ended.log);
        assert!(!ended.stderr.is_empty());
    }
}

#[test]
fn at_the_limit_the_agent_gives_up_and_says_so() {
    let bench = Workbench::new().set("MAX_MCP_ITERATIONS", "3");
    let script = vec![run("echo a >> ran"), run("echo b >> ran"), run("echo c >> ran"), finish("ignored")];
    let ended = bench.play(script);
    assert_eq!(ended.code, Some(2));
    let events: Vec<_> =
        ended.heard.requests.iter().map(|request| request["payload"]["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["start", "tool_result", "tool_result", "agent_abort"]);
    let seqs: Vec<_> = ended.heard.requests.iter().map(|request| request["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [0, 1, 2, 3]);
    assert_eq!(ended.heard.requests[3]["payload"]["reason"], "max_iterations");
    assert!(ended.log.contains("no finish after 3 iterations"), "{}", ended.log);
    assert_eq!(std::fs::read_to_string(bench.code().join("ran")).unwrap(), "a\nb\n");
}

#[test]
fn the_transcript_has_a_line_an_iteration_and_the_log_every_step() {
    let bench = Workbench::new().stdin(TASK).file("a.txt", "hello");
    let read = json!({ "file_path": "a.txt" });
    let ended = bench.play(vec![tool_call("read_file", &read), run("exit 3"), finish("two\nlines")]);
    let transcript = bench.transcript("20261120_abc");
    assert_eq!(transcript.len(), 3);
    for (number, line) in transcript.iter().enumerate() {
        assert_eq!(line["iteration"], number + 1);
        assert_eq!(line["agent_input"], ended.heard.requests[number]["payload"]);
    }
    assert_eq!(transcript[0]["mcp_reply"], json!({ "event": "tool_call", "name": "read_file", "arguments": read }));
    assert_eq!(transcript[2]["mcp_reply"]["event"], "finish");

    let lines: Vec<_> = ended.log.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ended.log);
    assert!(lines[1].contains(r#"step 1: read_file {"file_path":"a.txt"} -> success ("#), "{}", lines[1]);
    assert!(lines[2].contains("step 2: run_command") && lines[2].contains("returncode 3"), "{}", lines[2]);
    assert!(lines[3].contains(r"finished: two\nlines"), "{}", lines[3]);
    for line in lines {
        assert!(line.split(' ').next().unwrap().parse::<jiff::Timestamp>().is_ok(), "{line}");
    }
}

#[test]
fn a_second_run_adds_to_the_records_of_the_first() {
    let bench = Workbench::new().stdin(TASK);
    let first = bench.play(vec![finish("one")]);
    std::fs::remove_file(bench.run().join("step.sock")).unwrap();
    let second = bench.play(vec![finish("two")]);
    assert!(second.log.starts_with(&first.log) && second.log.contains("finished: two"));
    assert_eq!(bench.transcript("20261120_abc").len(), 2);
}

#[test]
fn a_trap_in_the_place_of_the_log_stops_the_run_before_it_begins() {
    let bench = Workbench::new();
    std::os::unix::fs::symlink("/dev/null", bench.output().join("agent.log")).unwrap();
    let ended = bench.play(vec![finish("done")]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("agent.log"), "{}", ended.stderr);
}
