//! The profile of the container and what is mounted into it.

use serde_json::json;

use super::{running, stdout};
use crate::harness::{Settings, Zip, containers_of, inspect};

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
    assert_eq!(host["LogConfig"]["Type"], "local");
    assert_eq!(host["LogConfig"]["Config"]["max-size"], "1m");
    let image = seen["Config"]["Image"].as_str().unwrap();
    assert!(image.starts_with("sha256:"), "R37: pinned by its digest, not {image}");
    assert_eq!(seen["Image"], image);
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
