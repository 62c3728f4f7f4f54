//! Network: what setup may reach, and that the agent has none.

use super::{running, stdout};
use crate::harness::{Settings, Zip};

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
