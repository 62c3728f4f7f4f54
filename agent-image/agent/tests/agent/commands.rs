//! `run_command` as a model meets it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::brain::{run, tool_call};
use crate::workbench::{Workbench, wait_for};

fn text<'a>(result: &'a Value, field: &str) -> &'a str {
    result[field].as_str().unwrap()
}

#[test]
fn a_command_reports_its_code_and_both_streams() {
    let result = Workbench::new().command("echo out; echo err >&2; exit 7");
    assert_eq!(result, json!({ "status": "success", "returncode": 7, "stdout": "out\n", "stderr": "err\n" }));
    assert_eq!(Workbench::new().command("kill -9 $$")["returncode"], 137);
}

#[test]
fn the_shell_is_bash_and_starts_in_the_code() {
    let bench = Workbench::new().file("sub/here.txt", "");
    assert_eq!(bench.command("[[ -n $BASH_VERSION ]] && ls")["stdout"], "sub\n");
    fs::remove_file(bench.run().join("step.sock")).unwrap();
    let result = bench.call("run_command", &json!({ "command": "ls", "workdir": "sub" }));
    assert_eq!(result["stdout"], "here.txt\n");
}

#[test]
fn a_timeout_kills_the_whole_group_and_keeps_the_output_so_far() {
    let bench = Workbench::new();
    let command = "echo started; (echo $BASHPID > child; while :; do sleep 0.01; touch alive; done) & sleep 1000";
    let began = Instant::now();
    let result = bench.call("run_command", &json!({ "command": command, "timeout": 1 }));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!((text(&result, "status"), text(&result, "stdout")), ("failure", "started\n"));
    assert!(text(&result, "message").contains("timed out after 1 s"), "{result}");
    let child = fs::read_to_string(bench.code().join("child")).unwrap();
    wait_for("the background child to be gone", || is_gone(child.trim()));
}

/// What left the group for a session or a parent of its own is the command's all the same; what an earlier command left
/// running is not.
#[test]
fn a_timeout_reaches_what_ran_away_and_spares_what_was_there() {
    let bench = Workbench::new();
    let away = "setsid sh -c 'echo $$ > away; exec sleep 1000' &
        (setsid sh -c 'setsid sh -c \"echo \\$\\$ > orphan; exec sleep 1000\" & exit 0' &)
        until [ -s away ] && [ -s orphan ]; do sleep 0.01; done; echo ready; sleep 1000";
    let results = bench.calls(vec![
        run("setsid sh -c 'echo $$ > elder; exec sleep 1000' & until [ -s elder ]; do sleep 0.01; done"),
        run("sh -c 'echo $$ > sibling; exec sleep 1000' & until [ -s sibling ]; do sleep 0.01; done"),
        tool_call("run_command", &json!({ "command": away, "timeout": 3 })),
        run("kill -0 $(cat away); kill -0 $(cat orphan)"),
        run("kill $(cat elder) && kill $(cat sibling)"),
    ]);
    assert_eq!(text(&results[2], "stdout"), "ready\n");
    assert!(text(&results[2], "message").contains("everything it started"), "{results:?}");
    assert_eq!(text(&results[3], "stderr").matches("No such process").count(), 2, "killed and reaped: {results:?}");
    assert_eq!(results[4]["returncode"], 0, "{results:?}");
}

fn is_gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn an_agent_told_to_stop_takes_its_command_with_it() {
    let bench = Workbench::new();
    let brain = bench.brain(vec![run("echo $$ > pid.new; mv pid.new pid; sleep 1000")]);
    let mut agent = bench.agent(&brain).spawn().unwrap();
    let pid = bench.code().join("pid");
    wait_for("the command to begin", || pid.exists());
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(143));
    let command = fs::read_to_string(pid).unwrap();
    wait_for("the command to be gone", || is_gone(command.trim()));
}

#[test]
fn the_default_timeout_comes_from_the_environment() {
    let result = Workbench::new().set("CMD_TIMEOUT", "1").command("sleep 1000");
    assert!(text(&result, "message").contains("timed out after 1 s"), "{result}");
}

#[test]
fn a_daemon_left_behind_holds_up_nothing_and_lives_on() {
    let bench = Workbench::new().set("CMD_TIMEOUT", "20");
    // It writes to the pipe after the call has long returned: that must not kill it.
    let daemon = "(until [ -e go ]; do sleep 0.01; done; echo late; echo $? > survived) & echo ready";
    let results =
        bench.calls(vec![run(daemon), run("touch go; until [ -e survived ]; do sleep 0.01; done; cat survived")]);
    assert_eq!((text(&results[0], "status"), text(&results[0], "stdout")), ("success", "ready\n"));
    assert_eq!(text(&results[1], "stdout"), "0\n", "{results:?}");
}

#[test]
fn long_output_loses_its_middle_and_says_how_much() {
    let bench = Workbench::new().set("CMD_MAX_OUTPUT", "100");
    let result = bench.command("echo head; head -c 300000000 /dev/zero | tr '\\0' x; echo tail; echo err >&2");
    let stdout = text(&result, "stdout");
    assert!(stdout.starts_with("head\nxxx") && stdout.ends_with("xxxtail\n"), "{stdout}");
    assert!(stdout.contains("\n[... 299999910 bytes left out ...]\n"), "{stdout}");
    assert_eq!(result["stderr"], "err\n");
}

#[test]
fn output_that_is_no_text_still_arrives() {
    assert_eq!(Workbench::new().command(r"printf 'a\xffb'")["stdout"], "a\u{fffd}b");
}

#[test]
fn there_is_no_input_to_wait_for() {
    assert_eq!(Workbench::new().command("cat; echo over")["stdout"], "over\n");
}

#[test]
fn a_command_sees_its_environment_and_nothing_of_the_agents() {
    let bench = Workbench::new()
        .set("LANGUAGE_OF_TEAM", "de")
        .set("OPENAI_CRITIQUE_MODEL_ID", "secret")
        .set("CMD_TIMEOUT", "9");
    let result = bench.command("env");
    let stdout = text(&result, "stdout");
    for expected in ["LANGUAGE_OF_TEAM=de", "LANG=C.UTF-8", "TERM=dumb", "HOME=/", "PATH=/"] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    for hidden in ["MCP_SERVER_URL", "CMD_TIMEOUT", "OPENAI_CRITIQUE_MODEL_ID"] {
        assert!(!stdout.contains(hidden), "{hidden}: {stdout}");
    }
    let home = Workbench::new().command("touch $HOME/.probe && rm $HOME/.probe");
    assert_eq!(home["returncode"], 0, "{home}");
}

#[test]
fn a_workdir_outside_or_missing_is_refused() {
    for (workdir, reason) in [("..", "leads out"), ("/etc", "outside"), ("nowhere", "no such file")] {
        let result = Workbench::new().call("run_command", &json!({ "command": "pwd", "workdir": workdir }));
        assert_eq!(result["status"], "failure");
        assert!(text(&result, "message").contains(reason), "{result}");
    }
}

#[test]
fn without_a_shell_a_command_is_its_words() {
    let bench = Workbench::new().set("CMD_POLICY", "strict").file("it.sh", "#!/bin/sh\necho \"$1\"\n");
    let results = bench.calls(vec![
        run("echo '$HOME *'"),
        run("echo a; echo b"),
        run("sudo ls"),
        run("no-such-program"),
        tool_call("run_command", &json!({ "command": "chmod +x it.sh" })),
        run("./it.sh 'a b'"),
    ]);
    assert_eq!(text(&results[0], "stdout"), "$HOME *\n");
    assert!(text(&results[1], "message").contains("\";\" is not available"), "{results:?}");
    assert!(text(&results[2], "message").contains("\"sudo\" is forbidden"), "{results:?}");
    assert!(text(&results[3], "message").contains("cannot be run"), "{results:?}");
    assert_eq!(text(&results[5], "stdout"), "a b\n");
}

#[test]
fn the_allowlist_lets_through_what_it_lists() {
    let bench = Workbench::new().set("CMD_POLICY", "allowlist").set("CMD_ALLOWLIST", "echo, ls");
    let results = bench.calls(vec![run("echo yes"), run("cat /etc/passwd")]);
    assert_eq!(text(&results[0], "stdout"), "yes\n");
    assert!(text(&results[1], "message").contains("allowed programs: echo, ls"), "{results:?}");
}

#[test]
fn a_timeout_has_a_cap() {
    let bench = Workbench::new().set("CMD_TIMEOUT", "1").set("CMD_MAX_TIMEOUT", "1");
    let result = bench.call("run_command", &json!({ "command": "sleep 1000", "timeout": 1000 }));
    assert!(text(&result, "message").contains("timed out after 1 s"), "{result}");
}

#[test]
fn the_allowlist_runs_the_scripts_it_lists_and_nothing_in_their_place() {
    let bench = Workbench::new()
        .set("CMD_POLICY", "allowlist")
        .set("CMD_ALLOWLIST", "echo, ./scripts/test.sh, scripts/link.sh")
        .file("scripts/test.sh", "#!/bin/sh\necho tested \"$1\" in $(pwd | sed s,.*/,,)\n")
        .file("scripts/evil.sh", "#!/bin/sh\necho evil\n")
        .file("echo", "#!/bin/sh\necho evil\n");
    let code = bench.code();
    for script in ["scripts/test.sh", "scripts/evil.sh", "echo"] {
        fs::set_permissions(code.join(script), fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink("evil.sh", code.join("scripts/link.sh")).unwrap();
    symlink("/bin/sh", code.join("scripts/shell.sh")).unwrap();
    symlink("scripts/test.sh", code.join("shortcut")).unwrap();
    let absolute = format!("{}/scripts/test.sh z", code.display());
    let beneath = json!({ "command": "../scripts/test.sh y", "workdir": "scripts" });
    let results = bench.calls(vec![
        run("./scripts/test.sh x"),
        tool_call("run_command", &beneath),
        run(&absolute),
        run("./shortcut w"),
        run("echo yes"),
        run("./echo"),
        run("./scripts/evil.sh"),
        run("scripts/link.sh"),
        run("scripts/shell.sh"),
        run("scripts/../../../bin/sh"),
        run("/bin/sh"),
        run("scripts/nowhere.sh"),
        run("sh scripts/test.sh"),
    ]);
    let outputs = ["tested x in code\n", "tested y in scripts\n", "tested z in code\n", "tested w in code\n", "yes\n"];
    for (result, output) in results.iter().zip(outputs) {
        assert_eq!(result["stdout"], output, "{result}");
    }
    let list = "allowed programs: echo, ./scripts/test.sh, scripts/link.sh";
    let refusals = [
        "refused: \"./echo\" is not on the list of ".to_owned() + list,
        "refused: \"./scripts/evil.sh\" is not on the list of ".to_owned() + list,
        "refused: \"scripts/link.sh\" leads to scripts/evil.sh, which is not on the list of ".to_owned() + list,
        "refused: \"scripts/shell.sh\" is no script that may run: scripts/shell.sh: leads out of".to_owned(),
        "is no script that may run: scripts/../../../bin/sh: leads out of".to_owned(),
        "refused: \"/bin/sh\" is no script that may run: /bin/sh: outside of the code directory".to_owned(),
        "is no script that may run: scripts/nowhere.sh: no such file".to_owned(),
        "refused: \"sh\" is not on the list of ".to_owned() + list,
    ];
    for (result, refusal) in results[5..].iter().zip(refusals) {
        assert!(text(result, "message").contains(&refusal), "{refusal}: {result}");
    }
}

#[test]
fn ci_forbids_to_install_packages() {
    let result = Workbench::new().set("CI", "true").command("cd . && pip install requests");
    assert!(text(&result, "message").contains("\"pip install\" installs packages"), "{result}");
}
