//! What the kernel still answers from within.

use serde_json::json;

use super::{running, stdout};
use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

/// Prints a line for each thing that was possible.
const PROBE: &str = r#"
import ctypes, errno, os, platform, socket, subprocess

libc = ctypes.CDLL(None, use_errno=True)
numbers = {
    "x86_64": {"ptrace": 101, "keyctl": 250, "add_key": 248, "unshare": 272, "clone": 56, "mount": 165, "bpf": 321},
    "aarch64": {"ptrace": 117, "keyctl": 219, "add_key": 217, "unshare": 97, "clone": 220, "mount": 40, "bpf": 280},
}[platform.machine()]
numbers |= {"io_uring_setup": 425, "userfaultfd": 282, "pidfd_getfd": 438, "process_vm_readv": 310}
refused = (errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT)

def report(what, number):
    print(f"BREACH {what}: {errno.errorcode.get(number, number)}" if number not in refused else f"refused {what}")

def call(name, *arguments, offset=0):
    ctypes.set_errno(0)
    result = libc.syscall(numbers[name] + offset, *arguments)
    report(f"{name}{arguments}", ctypes.get_errno() if result < 0 else "it worked")

for family, kind in [(38, socket.SOCK_SEQPACKET), (40, socket.SOCK_STREAM), (17, socket.SOCK_RAW), (2, socket.SOCK_RAW),
                     (10, socket.SOCK_RAW), (29, socket.SOCK_RAW), (16, socket.SOCK_RAW)]:
    try:
        socket.socket(family, kind, 12 if family == 16 else 1)
        report(f"socket {family}", "it worked")
    except OSError as error:
        report(f"socket {family}", error.errno)

NEWUSER, NEWNET = 0x10000000, 0x40000000
call("io_uring_setup", 1, ctypes.create_string_buffer(256))
call("unshare", NEWUSER)
call("unshare", NEWUSER | NEWNET)
call("clone", NEWUSER | 17, 0, 0, 0, 0)
call("keyctl", 0, -3, 0)
call("add_key", b"user", b"a", b"b", 1, -3)
call("mount", b"none", b"/tmp", b"tmpfs", 0, 0)
call("bpf", 0, 0, 0)
other = subprocess.Popen(["sleep", "60"])
call("ptrace", 16, other.pid, 0, 0)
call("ptrace", 0x4206, other.pid, 0, 0)
call("process_vm_readv", other.pid, 0, 0, 0, 0, 0)
other.kill()
if platform.machine() == "x86_64":
    call("unshare", NEWUSER, offset=0x40000000)
for command in ["unshare -U true", "unshare -r id"]:
    print("BREACH" if subprocess.run(command, shell=True, capture_output=True).returncode == 0 else "refused", command)
"#;

fn nothing_was_possible(output: &str) {
    assert!(!output.contains("BREACH") && !output.contains("Traceback"), "{output}");
    assert!(output.lines().filter(|line| line.starts_with("refused")).count() >= 19, "{output}");
}

#[tokio::test]
async fn r36_system_calls_that_no_build_needs_are_refused_in_setup_and_to_the_agent() {
    let (atelier, _model) =
        running(&["python3 probe.py 2>&1", "grep Seccomp: /proc/self/status"], Settings::new()).await;
    let zip = Zip::new().file("probe.py", PROBE).executable("setup.sh", "#!/bin/sh\npython3 probe.py\n");
    let task = atelier.submit_zip(zip, "Try.", &[]).await;
    task.completed().await;
    nothing_was_possible(&task.log("setup.log").await);
    let results = task.tool_results().await;
    nothing_was_possible(stdout(&results[0]));
    assert_eq!(stdout(&results[1]), "Seccomp:\t2\n");
}

#[tokio::test]
async fn r36_another_agent_program_has_the_same_filter() {
    let model = ModelServer::start().await;
    let settings = Settings::new().model("openai", &model.url()).set("agent.command", vec!["python3", "probe.py"]);
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("probe.py", PROBE), "Try.", &[]).await;
    task.failed("agent_exited").await;
    nothing_was_possible(&task.log("agent.log").await);
}

#[tokio::test]
async fn r36_builds_still_pass() {
    let model = ModelServer::start().await;
    let builds = [
        "python3 -m venv --without-pip .venv && .venv/bin/python parallel.py",
        "npm install --offline --no-audit --no-fund ./dependency && npm test",
        "cc -O1 -pthread -o c/threads c/threads.c && c/threads",
        "go vet ./... && go run .",
    ];
    for build in builds {
        model.will(Reply::text("").tool_call("run_command", json!({ "command": build, "timeout": 100 })));
    }
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let zip = Zip::new()
        .file(
            "parallel.py",
            "import asyncio, multiprocessing, socket\n\
             def double(n): return 2 * n\n\
             if __name__ == '__main__':\n\
             \x20   print(multiprocessing.get_context('spawn').Pool(2).map(double, range(3)))\n\
             \x20   asyncio.run(asyncio.create_subprocess_exec('true'))\n\
             \x20   socket.create_server(('127.0.0.1', 0)).close()\n",
        )
        .file("package.json", r#"{"name": "a", "version": "1.0.0", "scripts": {"test": "node --test"}}"#)
        .file("dependency/package.json", r#"{"name": "dependency", "version": "1.0.0"}"#)
        .file("dependency/index.js", "module.exports = 42;\n")
        .file(
            "works.test.js",
            "const { Worker } = require('worker_threads');\n\
             require('node:test')('works', (_, done) => {\n\
             \x20 require('assert').equal(require('dependency'), 42);\n\
             \x20 require('child_process').execSync('true');\n\
             \x20 new Worker('process.exit(0)', { eval: true }).on('exit', () => done());\n\
             });\n",
        )
        .file(
            "c/threads.c",
            "#include <pthread.h>\n#include <stdio.h>\n\
             static void *run(void *_) { puts(\"threads\"); return 0; }\n\
             int main(void) { pthread_t t; return pthread_create(&t, 0, run, 0) || pthread_join(t, 0); }\n",
        )
        .file("go.mod", "module a\n\ngo 1.19\n")
        .file("main.go", "package main\n\nfunc main() { c := make(chan int); go func() { c <- 1 }(); println(<-c) }\n");
    let task = atelier.submit_zip(zip, "Build.", &[]).await;
    task.completed().await;
    for result in task.tool_results().await {
        assert_eq!(result["returncode"], 0, "{result:#}");
    }
}
