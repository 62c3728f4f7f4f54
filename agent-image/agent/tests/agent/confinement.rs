//! What a command can still do when the agent has become somebody else. These tests need root, as the agent does then.

use std::process::Command;

use rustix::process::getuid;
use serde_json::Value;

use crate::brain::{finish, run};
use crate::workbench::{AGENT, Workbench, run_to_end};

const USER: &str = "12345:12346";

fn by_user(command: &str) -> Value {
    Workbench::new().argument(format!("--user={USER}")).command(command)
}

#[test]
fn a_command_has_no_privilege_and_no_way_to_one() {
    if !getuid().is_root() {
        return;
    }
    let result = by_user("cat /proc/self/status; umask");
    let status = result["stdout"].as_str().unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name} in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(field("Uid"), "12345 12345 12345 12345");
    assert_eq!(field("Gid"), "12346 12346 12346 12346");
    assert_eq!(field("Groups"), "");
    assert_eq!(field("NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert!(status.ends_with("0002\n"), "{status}");
}

#[test]
fn a_command_cannot_look_into_the_agent() {
    if !getuid().is_root() {
        return;
    }
    for secret in ["environ", "mem", "maps", "fd/"] {
        let result = by_user(&format!("ls /proc/$PPID/fd > /dev/null || cat /proc/$PPID/{secret}"));
        assert_ne!(result["returncode"], 0, "{secret}: {result}");
        assert!(result["stderr"].as_str().unwrap().contains("Permission denied"), "{secret}: {result}");
    }
}

#[test]
fn without_root_only_the_own_ids_will_do() {
    if !getuid().is_root() {
        return;
    }
    let as_user = |wanted: &str| {
        let mut agent = Command::new("setpriv");
        agent.args([
            "--reuid=12345",
            "--regid=12346",
            "--clear-groups",
            AGENT,
            "--user",
            wanted,
            "--task_file=/nowhere",
        ]);
        String::from_utf8(run_to_end(&mut agent, "").stderr).unwrap()
    };
    assert!(as_user("1:1").contains("--user 1:1 needs root; this process runs as 12345:12346"));
    assert!(as_user(USER).contains("/nowhere"), "its own ids are no obstacle");
}

/// In a PID namespace of its own, the agent is PID 1 as in a container.
#[test]
fn as_pid_1_the_agent_reaps_what_commands_leave() {
    if !getuid().is_root() {
        return;
    }
    let bench = Workbench::new();
    let brain = bench.brain(vec![
        run("sh -c 'sh -c \"echo \\$\\$ > orphan; sleep 0.05\" & exit 0'; until [ -s orphan ]; do sleep 0.01; done"),
        // Gone or a zombie.
        run("until ! grep -qs 'State:.[^Z]' /proc/$(cat orphan)/status; do sleep 0.01; done"),
        run("cat /proc/[0-9]*/status | grep -c 'State:.Z'"),
        finish("done"),
    ]);
    let agent = bench.agent(&brain);
    let mut container = Command::new("unshare");
    container.args(["--pid", "--fork", "--mount-proc", AGENT]).args(agent.get_args()).env("MCP_SERVER_URL", &brain.url);
    let output = run_to_end(&mut container, "");
    assert!(output.status.success(), "{output:?}");
    let last = &brain.heard().requests[3]["payload"]["result"];
    assert_eq!(last["stdout"], "0\n", "{last}");
}
