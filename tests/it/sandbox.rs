//! The container of a task, asked from inside by the agent and from outside by `docker inspect`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Settings, Zip, containers_of, inspect},
    model_server::{ModelServer, Reply},
};

/// A server whose model lets the agent run these commands, one a step.
async fn running(commands: &[&str], settings: Settings) -> (Atelier, ModelServer) {
    let model = ModelServer::start().await;
    for command in commands {
        model.will(Reply::text("").tool_call("run_command", json!({ "command": command })));
    }
    model.will(Reply::text("Done."));
    (Atelier::start_with(settings.model("openai", &model.url())).await, model)
}

fn stdout(result: &Value) -> &str {
    result["stdout"].as_str().expect("a command has a stdout")
}

#[tokio::test]
async fn r25_the_container_has_the_strict_profile_and_r26_only_its_mounts() {
    let wait_for_file = "until [ -e /app/output/go ]; do sleep 0.05; done";
    let (atelier, _model) =
        running(&["cat /proc/self/status; mknod /tmp/n c 1 3", wait_for_file], Settings::new()).await;
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\n"), "Look around.", &[]).await;
    task.wait_until("the second command", |task| task["steps"] == 2).await;

    let container = containers_of(atelier.instance()).pop().unwrap();
    let seen = inspect(&container).unwrap();
    std::fs::write(atelier.data_dir().join(format!("tasks/{}/output/go", task.id)), "").unwrap();

    let host = &seen["HostConfig"];
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges:true"]));
    assert_eq!(host["PidsLimit"], 512);
    assert_eq!(host["Memory"], host["MemorySwap"]);
    assert!(host["NanoCpus"].as_i64().unwrap() > 0);
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    assert_eq!(host["LogConfig"]["Config"]["max-size"], "1m");
    assert_eq!(host["ShmSize"], 64 * 1024 * 1024);
    for open in ["Devices", "Binds", "PortBindings"] {
        assert!(host[open].is_null() || host[open].as_array().is_none_or(Vec::is_empty), "{open}: {}", host[open]);
    }
    for own in ["PidMode", "UTSMode", "UsernsMode"] {
        assert_ne!(host[own], "host", "{own}");
    }
    let limits: Vec<&str> =
        host["Ulimits"].as_array().unwrap().iter().map(|limit| limit["Name"].as_str().unwrap()).collect();
    assert!(["nofile", "core", "fsize"].iter().all(|name| limits.contains(name)), "{limits:?}");
    let mut mounts: Vec<(String, bool)> = seen["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| (mount["Destination"].as_str().unwrap().to_owned(), mount["RW"].as_bool().unwrap()))
        .collect();
    mounts.sort();
    let expected = [
        ("/app/code", true),
        ("/app/output", true),
        ("/app/task.json", false),
        ("/run/atelier", false),
        ("/usr/local/bin/atelier", false),
    ];
    assert_eq!(mounts, expected.map(|(path, writable)| (path.to_owned(), writable)));
    assert_eq!(seen["Config"]["Labels"]["io.atelier.task"], task.id);

    task.completed().await;
    let status = task.tool_results().await[0].clone();
    for line in ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "Uid:\t10001"] {
        assert!(stdout(&status).contains(line), "{line} in {status}");
    }
    assert!(status["stderr"].as_str().unwrap().contains("not permitted"), "{status}");
}

#[tokio::test]
async fn r26_executable_and_socket_directory_cannot_be_written() {
    let (atelier, _model) = running(
        &["echo x >> /usr/local/bin/atelier; touch /run/atelier/x; find / -name docker.sock 2>/dev/null; true"],
        Settings::new(),
    )
    .await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Try to write.", &[]).await;
    task.completed().await;
    let result = task.tool_results().await[0].clone();
    assert_eq!(stdout(&result), "");
    let refusals = result["stderr"].as_str().unwrap().lines();
    let refused = refusals.filter(|line| line.contains("Read-only file system") || line.contains("Permission denied"));
    assert_eq!(refused.count(), 2, "{result}");
}

#[tokio::test]
async fn r27_the_agent_has_no_network_whether_there_was_a_setup_or_not() {
    let attempts = "ls /sys/class/net; for try in \
        'getent hosts deb.debian.org' 'curl -s -m 2 http://1.1.1.1' 'bash -c \"echo > /dev/tcp/169.254.169.254/80\"' \
        'bash -c \"echo > /dev/udp/1.1.1.1/53\"' 'git ls-remote https://github.com/a/b'; \
        do sh -c \"$try\" >/dev/null 2>&1 && echo \"BREACH $try\"; done; true";
    let with_setup = Zip::new().executable("setup.sh", "#!/bin/sh\nls /sys/class/net\n");
    for source in [Zip::new().file("a", "a").bytes(), with_setup.bytes()] {
        let (atelier, _model) = running(&[attempts], Settings::new()).await;
        let task = atelier.submit_zip_bytes(source, "Call home.", &[]).await;
        task.completed().await;
        assert_eq!(stdout(&task.tool_results().await[0]), "lo\n");
    }
}

#[tokio::test]
async fn r29_nothing_that_setup_left_running_reaches_the_agent() {
    let setup = "#!/bin/sh\n\
        (setsid nohup sh -c 'while :; do date >> /app/output/alive; sleep 0.05; done' >/dev/null 2>&1 &)\n\
        until [ -s /app/output/alive ]; do sleep 0.05; done\n\
        ls /sys/class/net\n";
    let look = "wc -l < /app/output/alive; sleep 0.5; wc -l < /app/output/alive; ls /proc | grep -c '^[0-9]'";
    let (atelier, _model) = running(&[look], Settings::new()).await;
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Look.", &[]).await;
    task.completed().await;
    let result = task.tool_results().await[0].clone();
    let counts: Vec<&str> = stdout(&result).lines().collect();
    assert_eq!(counts[0], counts[1], "the left-over still writes: {result}");
    assert!(task.log("setup.log").await.contains("eth0"), "setup had a network");
}

#[tokio::test]
async fn r33_a_task_over_its_time_leaves_nothing_behind() {
    let left_over = "nohup sh -c 'sleep 2; touch /app/output/leak' >/dev/null 2>&1 & sleep 15";
    let (atelier, _model) = running(&[left_over], Settings::new().set("agent.task_timeout_s", 2)).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Take your time.", &[]).await;

    let ended = task.failed("timeout").await;

    assert!(ended["error"]["message"].as_str().unwrap().contains("task_timeout_s"));
    assert!(containers_of(atelier.instance()).is_empty());
    assert_eq!(task.patch().await, b"", "the work so far is kept");
}

#[tokio::test]
async fn a_command_over_its_time_is_ended_with_its_children_and_the_task_goes_on() {
    let (atelier, _model) =
        running(&["sleep 30 & sleep 30", "pgrep -c sleep"], Settings::new().set("agent.command_timeout_s", 1)).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Wait.", &[]).await;
    task.completed().await;
    let results = task.tool_results().await;
    assert!(results[0]["message"].as_str().unwrap().contains("timed out"), "{}", results[0]);
    assert_eq!(stdout(&results[1]), "0\n");
}

#[tokio::test]
async fn setup_that_fails_ends_the_task_with_its_last_words() {
    let atelier = Atelier::start().await;
    let setup = "#!/bin/sh\necho 'no such package: frobnicator'\nexit 3\n";
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Go.", &[]).await;
    let ended = task.failed("setup_failed").await;
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("exit code 3") && message.contains("no such package: frobnicator"), "{message}");
    assert_eq!(ended["stage"], "setup", "the stage it broke off in");
}

#[tokio::test]
async fn setup_without_end_is_ended_at_its_limit() {
    let atelier = Atelier::start_with(Settings::new().set("agent.setup_timeout_s", 1)).await;
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\nsleep 1d\n"), "Go.", &[]).await;
    let ended = task.failed("setup_timeout").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("setup_timeout_s"), "{ended}");
}

#[tokio::test]
async fn setup_that_lost_its_executable_bit_runs_all_the_same() {
    let (atelier, _model) = running(&["cat made"], Settings::new()).await;
    let task = atelier.submit_zip(Zip::new().file("setup.sh", "echo made by setup > made\n"), "Look.", &[]).await;
    let ended = task.completed().await;
    assert_eq!(stdout(&task.tool_results().await[0]), "made by setup\n");
    assert!(task.events_of("warning").await[0]["message"].as_str().unwrap().contains("not executable"));
    assert_eq!(ended["diff"]["files"], 0, "what setup made is no work of the agent");
}

#[tokio::test]
async fn a_task_is_cancelled_in_every_stage_and_twice() {
    let endless = Zip::new().executable("setup.sh", "#!/bin/sh\nsleep 1d\n");
    let (atelier, _model) = running(&["sleep 15"], Settings::new()).await;
    let in_setup = atelier.submit_zip(endless, "Go.", &[]).await;
    in_setup.reaches("setup").await;
    let in_agent = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    in_agent.wait_until("the first command", |task| task["steps"] == 1).await;
    let queued = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    for task in [queued, in_agent, in_setup] {
        assert!(task.cancel().await.status().is_success());
        assert!(task.cancel().await.status().is_success());
        let ended = tokio::time::timeout(Duration::from_secs(5), task.ended()).await.expect("cancelled within 5 s");
        assert_eq!(ended["status"], "cancelled");
        assert!(task.cancel().await.status().is_success());
    }
    assert!(containers_of(atelier.instance()).is_empty());
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named() {
    let atelier = Atelier::start().await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[("image", "no-such-image:1")]).await;
    let ended = task.failed("image_missing").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("no-such-image:1"));
}

#[tokio::test]
async fn analyze_reads_but_cannot_write_the_code() {
    let with_setup = Zip::new().file("a", "read me").executable("setup.sh", "#!/bin/sh\necho made > made\n");
    for source in [Zip::new().file("a", "read me").bytes(), with_setup.bytes()] {
        let (atelier, _model) = running(&["cat a; touch b || touch a"], Settings::new()).await;
        let task = atelier.submit_zip_bytes(source, "Explain.", &[("mode", "analyze")]).await;
        let ended = task.completed().await;
        let result = task.tool_results().await[0].clone();
        assert_eq!(stdout(&result), "read me");
        assert_ne!(result["returncode"], 0, "{result}");
        assert_eq!(ended["diff"]["files"], 0);
    }
}
