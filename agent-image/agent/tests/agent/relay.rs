//! A program of somebody else's in place of our agent, on plain HTTP.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::{Value, json};

use crate::brain::{Answer, finish, run};
use crate::workbench::{AGENT, Ended, Workbench, run_to_end, wait_for};

const TASK: &str = r#"{"task_id":"20261120_abc","instruction":"mend it","mode":"modify"}"#;

/// With a task file, on a port that no other test has.
fn bench() -> Workbench {
    let bench = Workbench::new();
    let task = bench.run().join("task.json");
    fs::write(&task, TASK).unwrap();
    bench.argument(format!("--task_file={}", task.display())).argument("--listen=127.0.0.1:0")
}

fn foreign_agent() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/foreign_agent.py").display().to_string()
}

fn with_command(bench: Workbench, words: &[&str]) -> Workbench {
    bench.argument(format!("--command={}", json!(words)))
}

/// `atelier agent … -- WORDS`.
fn relay(words: &[&str], script: Vec<Answer>) -> Ended {
    words.iter().fold(bench().argument("--"), |bench, word| bench.argument(*word)).play(script)
}

fn seqs(ended: &Ended) -> Vec<Option<u64>> {
    ended.heard.requests.iter().map(|request| request["seq"].as_u64()).collect()
}

#[test]
fn a_foreign_agent_works_from_start_to_finish() {
    let bench = with_command(bench(), &["python3", &foreign_agent()]);
    let ended = bench.play(vec![run("echo mended > a.txt; pwd"), finish("all done")]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stderr, ended.log);
    assert_eq!(fs::read_to_string(bench.code().join("a.txt")).unwrap(), "mended\n");

    let task: Value = serde_json::from_str(TASK).unwrap();
    let start = json!({ "task_id": "20261120_abc", "seq": 0, "payload": { "event": "start", "task": task } });
    assert_eq!(ended.heard.requests[0], start);
    let result = &ended.heard.requests[1]["payload"]["result"];
    assert_eq!(result["stdout"], format!("{}\n", bench.code().display()));
    assert_eq!(seqs(&ended), [Some(0), Some(1)]);

    for expected in [
        "works on mend it in code\n",
        "finished: all done\n",
        "step 1: start -> tool_call run_command",
        "step 2: tool_result run_command -> finish",
        "the program ended with 0",
    ] {
        assert!(ended.log.contains(expected), "{expected}: {}", ended.log);
    }
    let transcript = bench.transcript("20261120_abc");
    assert_eq!((transcript[0]["iteration"].as_u64(), transcript.len()), (Some(1), 2));
    assert_eq!(transcript[0]["agent_input"], ended.heard.requests[0]["payload"]);
    assert_eq!(transcript[1]["mcp_reply"], json!({ "event": "finish", "summary": "all done" }));
}

#[test]
fn a_restart_of_the_server_is_nothing_to_a_foreign_agent() {
    let ended = relay(&["python3", &foreign_agent()], vec![run("true"), Answer::Restart, finish("done")]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(seqs(&ended), [Some(0), Some(1), Some(1)]);
    assert_eq!(ended.heard.requests[1], ended.heard.requests[2]);
}

#[test]
fn a_program_that_asks_again_makes_the_same_request() {
    let bench = bench();
    let sign = bench.run().join("sign");
    let bench = with_command(bench, &["python3", &foreign_agent(), "lose-patience", sign.to_str().unwrap()]);
    let ended = bench.brain_comes_after(sign).play(vec![finish("done")]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(seqs(&ended), [Some(0)]);
}

#[test]
fn refusals_reach_the_program_and_its_exit_code_is_ours() {
    let script = vec![Answer::Status(409, "the task was cancelled")];
    let ended = relay(&["python3", &foreign_agent(), "misbehave"], script);
    assert_eq!(ended.code, Some(3), "{}", ended.log);
    for expected in ["404 there is only POST /step\n", "405 send a POST\n", "409 the task was cancelled\n"] {
        assert!(ended.log.contains(expected), "{expected}: {}", ended.log);
    }
}

#[test]
fn a_program_asked_for_by_the_subcommand_has_the_documented_address() {
    if !getuid().is_root() {
        return;
    }
    // In a network of its own, where port 8000 is free and lo is all there is.
    let bench = Workbench::new();
    fs::write(bench.run().join("task.json"), TASK).unwrap();
    let mut container = Command::new("unshare");
    let enter = "ip link set lo up && exec \"$0\" relay --code \"$1\" --output \"$2\" --task_file \"$3\" \
                 -- sh -c 'echo $MCP_SERVER_URL $TASK_FILE; kill -9 $$'";
    container.args(["--net", "sh", "-c", enter, AGENT]).arg(bench.code()).arg(bench.output());
    let task_file = bench.run().join("task.json");
    let output = run_to_end(container.arg(&task_file), "");
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    let log = fs::read_to_string(bench.output().join("agent.log")).unwrap();
    assert!(log.contains(&format!("http://localhost:8000 {}\n", task_file.display())), "{log}");
}

#[test]
fn a_relay_told_to_stop_takes_its_program_with_it() {
    let bench = with_command(bench(), &["sh", "-c", "echo $$ > pid.new; mv pid.new pid; sleep 1000"]);
    let brain = bench.brain(vec![]);
    let mut agent = bench.agent(&brain).spawn().unwrap();
    let pid = bench.code().join("pid");
    wait_for("the program to begin", || pid.exists());
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(143));
    let stat = format!("/proc/{}/stat", fs::read_to_string(pid).unwrap().trim());
    wait_for("the program to be gone", || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
}

#[test]
fn a_foreign_program_is_confined_as_ours_is() {
    if !getuid().is_root() {
        return;
    }
    let look = "id -u; id -G; grep CapBnd /proc/self/status";
    let ended = with_command(bench().argument("--user=12345:12346"), &["sh", "-c", look]).play(vec![]);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.log.contains("12345\n12346\nCapBnd:\t0000000000000000\n"), "{}", ended.log);
}

#[test]
fn a_flood_of_output_ends_at_its_cap() {
    let ended = relay(&["sh", "-c", "head -c 30000000 /dev/zero | tr '\\0' x; echo over"], vec![]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.log.len() < 11 << 20 && ended.log.contains("the rest is left out"), "{}", ended.log.len());
    assert!(ended.log.contains("the program ended with 0"));
}

#[test]
fn what_cannot_be_relayed_is_explained_in_one_line() {
    let missing = relay(&["no-such-program"], vec![]);
    let nothing = Workbench::new().argument("--command=[]").play(vec![]);
    let text = Workbench::new().argument("--command=python3 agent.py").play(vec![]);
    for (ended, expected) in [
        (missing, "cannot start \"no-such-program\""),
        (nothing, "its first word is the program"),
        (text, "not an array of texts like [\"python3\", \"agent.py\"]"),
    ] {
        assert_eq!(ended.code, Some(1), "{expected}");
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(ended.heard.requests.is_empty());
    }
    let nameless = run_to_end(Command::new(AGENT).arg("relay"), "");
    assert_eq!(nameless.status.code(), Some(1));
    assert!(String::from_utf8(nameless.stderr).unwrap().contains("name the program: atelier agent relay -- PROGRAM"));
}
