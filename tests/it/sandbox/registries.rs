//! Package managers behind the proxy: nobody tells them of it, and what setup fetched the agent builds with.
//!
//! The registries are the real ones; where this machine does not reach them, there is nothing to test.

use std::{collections::BTreeMap, net::ToSocketAddrs, path::Path, process::Command, sync::Arc};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{network::own_address, running, stdout};
use crate::harness::{Settings, Task, Zip, sh};

const PYTHON: [&str; 2] = ["pypi.org", "files.pythonhosted.org"];
const NODE: &str = "registry.npmjs.org";
const DEBIAN: &str = "deb.debian.org";
const RUST: [&str; 2] = ["index.crates.io", "static.crates.io"];

/// A proxied setup that reaches these hosts; none where one does not answer. A network that inspects what passes may
/// answer for them from an address that is not public.
fn reaching(hosts: &[&str]) -> Option<Settings> {
    let mut addresses = Vec::new();
    for host in hosts {
        let scheme = if *host == DEBIAN { "http" } else { "https" };
        let url = format!("{scheme}://{host}/");
        let answer = Command::new("curl").args(["-s", "-m", "10", "-o", "/dev/null", &url]).status();
        if !answer.is_ok_and(|status| status.success()) {
            return None;
        }
        addresses.extend((*host, 443).to_socket_addrs().unwrap().map(|address| address.ip().to_string()));
    }
    Some(proxied(hosts).set("sandbox.setup_allow", addresses))
}

fn proxied(hosts: &[&str]) -> Settings {
    // A build may take longer than most commands.
    let settings = Settings::new().set("agent.command_timeout_s", 100);
    settings.set("sandbox.setup_network", "proxied").set("sandbox.proxy_allow", hosts.to_vec())
}

/// Each was asked, let through, and brought something.
async fn all_brought(task: &Task<'_>, hosts: &[&str]) {
    let ledger = task.now().await["network"].clone();
    for host in hosts {
        let entry = ledger.as_array().unwrap().iter().find(|entry| entry["host"] == *host);
        let (let_through, bytes) =
            entry.map_or((0, 0), |entry| (entry["let_through"].as_u64().unwrap(), entry["bytes"].as_u64().unwrap()));
        assert!(let_through > 0 && bytes > 500, "{host} in {ledger:#}");
    }
}

#[tokio::test]
async fn r28_pip_npm_and_apt_find_the_proxy_and_the_agent_uses_what_they_fetched() {
    let hosts = [PYTHON[0], PYTHON[1], NODE, DEBIAN];
    let Some(settings) = reaching(&hosts) else { return };
    // Also without any variable: then the files have to do.
    let setup = "#!/bin/sh\nset -eu\nbare='env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY'\n\
        pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore six\n\
        $bare pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore idna\n\
        npm install --global --no-audit --no-fund left-pad@1.3.0\n\
        $bare npm install --global --no-audit --no-fund is-odd@3.0.1\n\
        apt-get -qq update\n$bare apt-get -qq install --no-install-recommends hello\n";
    let use_them = "python3 -c 'import six, idna' && hello && \
        NODE_PATH=/usr/local/lib/node_modules node -e 'require(\"left-pad\"); require(\"is-odd\")'";
    let (atelier, _model) =
        running(&[use_them, "pip download --no-deps --timeout 2 --retries 0 attrs"], settings).await;
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Use them.", &[]).await;
    task.completed().await;
    let results = task.tool_results().await;
    assert!(results[0]["returncode"] == 0 && stdout(&results[0]).contains("Hello, world!"), "{}", results[0]);
    assert_ne!(results[1]["returncode"], 0, "the agent has no proxy: {}", results[1]);
    all_brought(&task, &hosts).await;
}

/// Serves these files to whoever asks; returns the port. Go asks nobody but a proxy for modules, so this is all it takes.
async fn module_server(files: BTreeMap<&'static str, Vec<u8>>) -> u16 {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let files = Arc::new(files);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let files = files.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let (status, body) = files.get(path).map_or(("404 Not Found", &[][..]), |body| ("200 OK", body));
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.write_all(body).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn r28_go_finds_the_proxy_and_the_agent_builds_with_the_module() {
    const GO_MOD: &str = "module example.test/leap\n\ngo 1.19\n";
    let module = Zip::new()
        .file("example.test/leap@v1.0.0/go.mod", GO_MOD)
        .file("example.test/leap@v1.0.0/leap.go", "package leap\n\nfunc Is(y int) bool { return y%4 == 0 }\n");
    let version = br#"{"Version": "v1.0.0", "Time": "2026-01-01T00:00:00Z"}"#.to_vec();
    let files = BTreeMap::from([
        ("/example.test/leap/@v/list", b"v1.0.0\n".to_vec()),
        ("/example.test/leap/@v/v1.0.0.info", version),
        ("/example.test/leap/@v/v1.0.0.mod", GO_MOD.as_bytes().to_vec()),
        ("/example.test/leap/@v/v1.0.0.zip", module.bytes()),
    ]);
    let (address, port) = (own_address(), module_server(files).await);
    let settings = proxied(&[&format!("{address}:{port}")]).set("sandbox.setup_allow", vec![address.clone()]);
    let (atelier, _model) = running(&["go run -mod=vendor ."], settings).await;
    let setup = format!(
        "#!/bin/sh\nset -eu\nexport GOPROXY=http://{address}:{port} GOSUMDB=off\ngo get example.test/leap\ngo mod vendor\n"
    );
    let zip = Zip::new()
        .executable("setup.sh", &setup)
        .file("go.mod", "module a\n\ngo 1.19\n")
        .file("main.go", "package main\n\nimport \"example.test/leap\"\n\nfunc main() { println(leap.Is(2024)) }\n");
    let task = atelier.submit_zip(zip, "Build.", &[]).await;
    task.completed().await;
    let result = task.tool_results().await[0].clone();
    assert!(result["returncode"] == 0 && result["stderr"] == "true\n", "{result}");
    assert!(task.log("network.log").await.contains(&format!("GET {address}:{port} let through")));
}

/// An image with the toolchain that runs this test. It goes with the test.
struct RustImage(&'static str);

impl RustImage {
    fn make() -> Self {
        let name = "atelier-test-rust:latest";
        let line = format!(
            "cd $(rustc --print sysroot) && tar -c --exclude=share --exclude='*-musl' bin lib etc | \
             docker import --change 'ENV A=1' - atelier-test-toolchain:latest >/dev/null && \
             printf 'FROM atelier-agent:latest\\nCOPY --from=atelier-test-toolchain:latest / /usr/local/\\n' | \
             docker build -q -t {name} - && docker rmi -f atelier-test-toolchain:latest"
        );
        sh(Path::new("/"), &line);
        Self(name)
    }
}

impl Drop for RustImage {
    fn drop(&mut self) {
        sh(Path::new("/"), &format!("docker rmi -f {}", self.0));
    }
}

#[tokio::test]
#[ignore = "copies a Rust toolchain into an image, which takes a minute and a gigabyte"]
async fn r36_cargo_finds_the_proxy_and_the_agent_builds_with_the_crate() {
    let Some(settings) = reaching(&RUST) else { return };
    let image = RustImage::make();
    let settings = settings.set("sandbox.image", image.0);
    let build = "cargo build --offline --quiet && ./target/debug/a";
    let (atelier, _model) = running(&[build], settings).await;
    let setup = "#!/bin/sh\nset -eu\nmkdir .cargo\nenv -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY cargo vendor > .cargo/config.toml\n";
    let zip = Zip::new()
        .executable("setup.sh", setup)
        .file("Cargo.toml", "[package]\nname = \"a\"\nedition = \"2021\"\n\n[dependencies]\nitoa = \"1\"\n")
        .file("src/main.rs", "fn main() { println!(\"{}\", itoa::Buffer::new().format(42)); }\n");
    let task = atelier.submit_zip(zip, "Build.", &[]).await;
    task.completed().await;
    let result = task.tool_results().await[0].clone();
    assert!(result["returncode"] == 0 && stdout(&result) == "42\n", "{result}");
    // Where the index names another host for the crates, the rest comes from there.
    all_brought(&task, &RUST[..1]).await;
}

/// Maven's and Gradle's registries are not needed for it: that they asked the proxy for them is in the ledger.
#[tokio::test]
#[ignore = "installs Java, Maven and Gradle: minutes and 400 MB"]
async fn r28_maven_and_gradle_find_the_proxy_by_their_files() {
    let Some(settings) = reaching(&[DEBIAN]) else { return };
    let (atelier, _model) = running(&["true"], settings).await;
    let setup = "#!/bin/sh\nset -eu\nunset JAVA_TOOL_OPTIONS http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY\n\
        mkdir -p /usr/share/man/man1\napt-get -qq update\n\
        apt-get -qq install --no-install-recommends maven gradle >/dev/null\n\
        mvn -B -q dependency:get -Dartifact=a:b:1 || gradle --no-daemon -q build || echo both asked\n";
    let gradle = "apply plugin: 'java'\nrepositories { maven { url 'https://gradle.example.org/m2' } }\n\
        dependencies { compile 'a:b:1' }\n";
    let zip = Zip::new()
        .executable("setup.sh", setup)
        .file("build.gradle", gradle)
        .file("src/main/java/A.java", "class A {}");
    let task = atelier.submit_zip(zip, "Ask.", &[]).await;
    task.completed().await;
    let ledger = task.log("network.log").await;
    for host in ["repo.maven.apache.org", "gradle.example.org"] {
        assert!(ledger.contains(&format!("CONNECT {host}:443 refused")), "{ledger}\n{}", task.log("setup.log").await);
    }
}
