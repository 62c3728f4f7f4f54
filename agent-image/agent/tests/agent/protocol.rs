//! The step client when the server is late, gone, back, or unwilling.

use std::fs;

use serde_json::json;

use crate::brain::{Answer, finish, run, tool_call};
use crate::workbench::{Workbench, wait_for};

#[test]
fn a_restart_of_the_server_costs_nothing_but_the_wait() {
    let bench = Workbench::new();
    let ended = bench.play(vec![run("echo x >> ran"), Answer::Restart, finish("done")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let requests = &ended.heard.requests;
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[1]["seq"], 1);
    assert_eq!(requests[1], requests[2], "the repetition is the same request");
    let secrets = &ended.heard.secrets;
    assert!(secrets[0].len() >= 32 && secrets.iter().all(|secret| *secret == secrets[0]), "{secrets:?}");
    assert!(!ended.log.contains(&secrets[0]));
    assert_eq!(fs::read_to_string(bench.code().join("ran")).unwrap(), "x\n");
    assert!(
        ended.log.contains("the server is away") && ended.log.contains("the server answers again"),
        "{}",
        ended.log
    );
}

#[test]
fn a_cut_connection_and_a_busy_server_are_tried_again() {
    for trouble in [Answer::HangUp, Answer::Status(503, "later"), Answer::Status(500, "oops")] {
        let ended = Workbench::new().play(vec![trouble.clone(), trouble.clone(), finish("done")]);
        assert_eq!(ended.code, Some(0), "{trouble:?}");
        let seqs: Vec<_> = ended.heard.requests.iter().map(|request| request["seq"].as_u64()).collect();
        assert_eq!(seqs, [Some(0); 3], "{trouble:?}");
        assert_eq!(ended.log.matches("the server is away").count(), 1, "{}", ended.log);
    }
}

#[test]
fn a_refusal_ends_the_run_with_the_words_of_the_server() {
    let ended = Workbench::new().play(vec![Answer::Status(409, "the task was cancelled"), finish("never asked")]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.heard.requests.len(), 1);
    assert!(ended.log.contains("409") && ended.log.contains("the task was cancelled"), "{}", ended.log);
}

#[test]
fn the_agent_waits_for_a_socket_that_is_not_there_yet() {
    let bench = Workbench::new();
    // The agent's own log is the sign: it has tried in vain by then.
    let sign = bench.output().join("tried");
    let log = bench.output().join("agent.log");
    let watcher = std::thread::spawn({
        let sign = sign.clone();
        move || {
            wait_for("a first try", || fs::read_to_string(&log).is_ok_and(|log| log.contains("the server is away")));
            fs::write(sign, "").unwrap();
        }
    });
    let ended = bench.brain_comes_after(sign).play(vec![finish("done")]);
    watcher.join().unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.heard.requests.len(), 1);
}

#[test]
fn all_steps_share_one_connection_on_either_transport() {
    for bench in [Workbench::new(), Workbench::new().over_tcp()] {
        let ended = bench.play(vec![run("true"), tool_call("read_file", &json!({})), run("true"), finish("done")]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!((ended.heard.requests.len(), ended.heard.connections), (4, 1));
    }
}

#[test]
fn proxies_of_the_environment_are_none_of_the_agents_business() {
    let bench =
        Workbench::new().over_tcp().set("http_proxy", "http://127.0.0.1:1").set("HTTP_PROXY", "http://127.0.0.1:1");
    assert_eq!(bench.play(vec![finish("done")]).code, Some(0));
}

#[test]
fn a_reply_without_end_is_not_swallowed() {
    let huge = Answer::Json(json!({ "event": "finish", "summary": "x".repeat(17 << 20) }));
    let ended = Workbench::new().play(vec![huge]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.log.contains("larger than 16777216 bytes"), "{}", ended.log);
}
