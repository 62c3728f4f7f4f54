//! What an agent leaves for whoever collects its results (R41 to R43, R45, R46, R48).

use std::time::{Duration, Instant};

use super::{disk_use, files_with, obeying, stdout};
use crate::harness::{Atelier, Settings, Task, Zip, apply_patch};

/// One task whose agent runs these commands on a folder with one file.
async fn collected(atelier: &Atelier) -> Task<'_> {
    let task = atelier.submit_zip(Zip::new().file("a", "a\n"), "Leave something.", &[]).await;
    task.completed().await;
    for result in task.tool_results().await {
        assert_eq!(result["returncode"], 0, "the attack was not set up: {result}");
    }
    task
}

async fn names(task: &Task<'_>) -> Vec<String> {
    let artifacts = task.now().await["artifacts"].as_array().unwrap().clone();
    artifacts.iter().map(|artifact| artifact["name"].as_str().unwrap().to_owned()).collect()
}

/// What the page says was left out, and why.
async fn warnings(task: &Task<'_>) -> String {
    let warnings = task.events_of("warning").await;
    warnings.iter().map(|event| event["message"].as_str().unwrap().to_owned() + "\n").collect()
}

#[tokio::test]
async fn r41_no_link_is_followed_out_of_the_workspace() {
    let links = "cd /app/output && mkdir d && ln -s /etc/passwd pw && ln -s / root && ln -s /proc/self/environ e && \
        ln -s /etc d/etc && ln -s ../../../../../../../../etc/passwd d/up && ln -s ../../../admin-token ../output/token && \
        echo kept > d/kept && cd /app/code && ln -s /etc/passwd pw && ln -s /etc etc && rm a && ln -s /etc/passwd a";
    let (atelier, _model) = obeying(&[links], Settings::new()).await;
    let task = collected(&atelier).await;

    let logs = atelier.data_dir().join("logs").join(&task.id);
    assert_eq!(files_with(&logs, "root:x:0"), [""; 0]);
    assert_eq!(files_with(&logs, atelier.token()), [""; 0]);
    let names = names(&task).await;
    assert!(names.contains(&"output/d/kept".to_owned()), "{names:?}");
    for link in ["pw", "root", "e", "token", "d/etc", "d/up", "root/etc/passwd", "d/etc/passwd"] {
        assert!(!names.contains(&format!("output/{link}")), "{names:?}");
        assert_eq!(atelier.get(&format!("/logs/{}/output/{link}", task.id)).await.status(), 404, "{link}");
    }
    assert!(warnings(&task).await.contains("\"pw\": not a regular file"), "{}", warnings(&task).await);
    // In the patch a link is where it points, as git has it.
    let patch = String::from_utf8(task.patch().await).unwrap();
    assert!(patch.contains("new file mode 120000") && patch.contains("+/etc/passwd"), "{patch}");
}

#[tokio::test]
async fn r42_fifos_and_sockets_hold_nobody_up() {
    let special = "for d in /app/output /app/code; do cd $d; mkfifo fifo; python3 -c 'import socket; \
        socket.socket(socket.AF_UNIX).bind(\"socket\")'; done";
    let (atelier, _model) = obeying(&[special], Settings::new()).await;
    let started = Instant::now();
    let task = collected(&atelier).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let warnings = warnings(&task).await;
    assert_eq!(warnings.matches("not a regular file").count(), 4, "{warnings}");
}

#[tokio::test]
async fn r43_sizes_and_numbers_are_bounded() {
    let flood = "cd /app/output && truncate -s 1T sparse && truncate -s 101M large && mkdir many && \
        python3 -c 'for n in range(20100): open(f\"many/{n}\", \"w\").close()' && truncate -s 1T /app/code/sparse";
    // A single file may not be as large as that in every container: then there is less to attack with.
    let flood = format!("{{ {flood}; }} || {{ {}; }}", flood.replace("1T", "200M"));
    let (atelier, _model) = obeying(&[&flood], Settings::new().set("agent.command_timeout_s", 60)).await;
    let before = disk_use(&atelier.data_dir());
    let task = collected(&atelier).await;

    let logs = atelier.data_dir().join("logs").join(&task.id);
    let files = std::fs::read_dir(logs.join("output/many")).map_or(0, Iterator::count);
    assert!(files <= 20_000, "{files} files");
    for name in ["sparse", "large"] {
        assert!(!logs.join("output").join(name).exists(), "{name}");
    }
    assert!(disk_use(&atelier.data_dir()) < before + 200_000_000);
    let warnings = warnings(&task).await;
    assert!(warnings.contains("\"sparse\": too large") && warnings.contains("one too many"), "{warnings}");
    assert_eq!(atelier.get(&format!("/tasks/{}", task.id)).await.status(), 200);
}

#[tokio::test]
async fn r45_what_changes_while_it_is_read_leaks_nothing() {
    // Goes on until the container is gone, and would beyond.
    let swap = "cd /app/output && cat > /tmp/swap <<'END'\nimport os\nwhile True:\n    \
        for n in range(20):\n        \
            open('t', 'w').write('mine'); os.rename('t', f'f{n}')\n        \
            os.symlink('/etc/passwd', 't'); os.rename('t', f'f{n}')\nEND\n\
        setsid python3 /tmp/swap >/dev/null 2>&1 & until [ -e /app/output/f19 ]; do sleep 0.01; done";
    let swap = swap.replace("f19", "f19 -o -L /app/output/f19");
    let (atelier, _model) = obeying(&[&swap], Settings::new()).await;
    let task = collected(&atelier).await;
    let logs = atelier.data_dir().join("logs").join(&task.id);
    assert_eq!(files_with(&logs, "root:x:0"), [""; 0]);
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

#[tokio::test]
async fn r46_hostile_names_are_escaped_on_pages_and_safe_in_headers() {
    let odd = [
        "line\nbreak",
        "-rf",
        "<img src=x onerror=alert(1)>",
        "esc\u{1b}[31m",
        "\u{202e}txt.exe",
        "a\"; filename=\"b",
        "per%2fcent?#&",
    ];
    let long = "n".repeat(255);
    let program = format!(
        "python3 - <<'END'\nimport os\nfor n in {:?}: open(b'/app/output/' + n.encode(), 'w').write('x')\n\
         open(b'/app/output/not\\xff\\xfeutf8', 'w').close()\nEND\n",
        odd.iter().copied().chain([long.as_str()]).collect::<Vec<_>>()
    );
    let program = program.replace("\\u{1b}", "\\x1b").replace("\\u{202e}", "\\u202e");
    let (atelier, _model) = obeying(&[&program], Settings::new()).await;
    let task = collected(&atelier).await;

    let names = names(&task).await;
    let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    for raw in ["<img", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(raw), "{raw:?}");
    }
    for name in odd.iter().copied().chain([long.as_str()]) {
        assert!(names.contains(&format!("output/{name}")), "{name:?} of {names:?}");
        let address: String = name.bytes().map(percent).collect();
        let response = atelier.get(&format!("/logs/{}/output/{address}", task.id)).await;
        assert_eq!(response.status(), 200, "{name:?}");
        let disposition = response.headers()["content-disposition"].to_str().unwrap().to_owned();
        let file_name = disposition.strip_prefix("attachment; filename=\"").and_then(|rest| rest.strip_suffix('"'));
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(file_name.is_some_and(|name| !name.is_empty() && name.chars().all(is_safe)), "{disposition}");
        assert_eq!(response.text().await.unwrap(), "x");
    }
    assert!(warnings(&task).await.contains("not UTF-8"), "{}", warnings(&task).await);
}

#[tokio::test]
async fn r48_the_patch_tells_what_changed_whatever_the_repository_says_of_itself() {
    let lie = "set -e; git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x; \
        printf '* -diff binary\\n' > .gitattributes; printf '*\\n' > .gitignore; printf '*\\n' > .git/info/exclude; \
        git update-index --assume-unchanged code; git config core.excludesFile /dev/null; \
        echo changed > code; chmod +x mode; mv old renamed; rm gone; : > emptied; printf 'a\\0b' > nul; \
        printf 'one\\r\\ntwo\\r\\n' > crlf; seq 40001 80000 > long; head -c 20000000 /dev/zero | tr '\\0' x > line; \
        echo new > fresh; rm -rf .git";
    let (atelier, _model) = obeying(&[lie], Settings::new()).await;
    let long = (1..=40_000).map(|number| number.to_string()).collect::<Vec<_>>().join("\n") + "\n";
    let source = || {
        let zip = Zip::new().file("code", "code\n").file("mode", "#!/bin/sh\n").file("old", &"line\n".repeat(20));
        zip.file("gone", "gone\n").file("emptied", "text\n").file("crlf", "one\ntwo\n").file("long", &long)
    };
    let task = atelier.submit_zip(source(), "Lie.", &[]).await;
    let ended = task.completed().await;
    assert_eq!(stdout(&task.tool_results().await[0]), "", "{ended}");

    let patch = task.patch().await;
    let text = String::from_utf8_lossy(&patch);
    for line in
        ["+changed\n", "new mode 100755\n", "rename to renamed\n", "deleted file mode", "GIT binary patch", "+80000\n"]
    {
        assert!(text.contains(line), "{line:?} is missing");
    }
    let folder = tempfile::tempdir().unwrap();
    source().unpack(folder.path());
    apply_patch(folder.path(), &patch);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(
        (read("nul"), read("emptied"), read("crlf")),
        (b"a\0b".to_vec(), Vec::new(), b"one\r\ntwo\r\n".to_vec())
    );
    assert_eq!(read("line").len(), 20_000_000);
    let started = Instant::now();
    let page = atelier.get(&format!("/tasks/{}/diff", task.id)).await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains("changed") && page.len() < 5_000_000, "{} bytes", page.len());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
