//! Network: what setup may reach, and that the agent has none.

use std::net::TcpListener;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{running, stdout};
use crate::{
    harness::{Settings, Zip, sh},
    model_server::Reply,
};

#[tokio::test]
async fn r27_the_agent_has_no_network_whether_there_was_a_setup_or_not() {
    let attempts = "ls /sys/class/net; export RES_OPTIONS='timeout:1 attempts:1'; for try in \
        'getent hosts deb.debian.org' 'curl -s -m 2 http://1.1.1.1' 'bash -c \"echo > /dev/tcp/169.254.169.254/80\"' \
        'bash -c \"echo > /dev/udp/1.1.1.1/53\"' 'git ls-remote https://github.com/a/b'; \
        do (sh -c \"$try\" >/dev/null 2>&1 && echo \"BREACH $try\") & done; wait";
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

/// What a setup.sh that means no good would try; prints a line for what it reached.
const REACH: &str = r#"
import socket, struct, sys

port, own, neighbour = int(sys.argv[1]), sys.argv[2], sys.argv[3]
routes = [line.split() for line in open("/proc/net/route")][1:]
gateway = socket.inet_ntoa(struct.pack("=L", int(next(r[2] for r in routes if r[1] == "00000000"), 16)))

def attempt(name, address, port, device=None):
    with socket.socket() as stream:
        stream.settimeout(3)
        try:
            if device:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            stream.connect((address, port))
            print("BREACH", name, address)
        except OSError as error:
            print("refused", name, address, error)

attempt("gateway", gateway, port)
attempt("gateway by device", gateway, port, b"eth0")
attempt("own address", own, port)
attempt("own address by device", own, port, b"eth0")
attempt("neighbour", neighbour, 8000)
attempt("metadata", "169.254.169.254", 80)
attempt("metadata by device", "169.254.169.254", 80, b"eth0")
for private in ["10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1"]:
    attempt("private", private, 80)
# A datagram with the interface in its control message goes round every route.
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
    control = [(socket.IPPROTO_IP, 8, struct.pack("=I4s4s", socket.if_nametoindex("eth0"), b"", b""))]
    try:
        stream.sendmsg([b"x"], control, 0, (gateway, port))
        print("BREACH datagram")
    except OSError as error:
        print("refused datagram", error)
names = socket.getaddrinfo("localhost", 80)
print("Cap", next(line for line in open("/proc/self/status") if line.startswith("CapBnd")).split()[1])
"#;

/// A container beside those of the server. It goes with the test.
struct Neighbour(String);

impl Neighbour {
    fn start() -> Self {
        let image = "atelier-agent:latest python3 -m http.server";
        Self(sh(std::path::Path::new("/"), &format!("docker run --detach --rm {image}")).trim().to_owned())
    }

    fn address(&self) -> String {
        let format = "{{.NetworkSettings.IPAddress}}";
        sh(std::path::Path::new("/"), &format!("docker inspect --format '{format}' {}", self.0)).trim().to_owned()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker").args(["rm", "--force", &self.0]).output();
    }
}

pub(super) fn own_address() -> String {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent; the kernel chooses the address it would send from.
    socket.connect("192.0.2.1:9").unwrap();
    socket.local_addr().unwrap().ip().to_string()
}

#[tokio::test]
async fn r28_setup_reaches_neither_the_machine_nor_its_neighbours_nor_private_networks() {
    // Every address of this machine, as a careless service of the host would have it.
    let canary = TcpListener::bind("0.0.0.0:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let port = canary.local_addr().unwrap().port();
    let neighbour = Neighbour::start();
    let (atelier, _model) = running(&["true"], Settings::new()).await;
    let setup = format!("#!/bin/sh\nexec python3 reach.py {port} {} {}\n", own_address(), neighbour.address());
    let zip = Zip::new().file("reach.py", REACH).executable("setup.sh", &setup);
    let task = atelier.submit_zip(zip, "Go.", &[]).await;
    task.completed().await;
    let log = task.log("setup.log").await;
    assert!(!log.contains("BREACH") && !log.contains("Traceback"), "{log}");
    assert_eq!(log.lines().filter(|line| line.starts_with("refused")).count(), 12, "{log}");
    assert!(canary.accept().is_err(), "somebody knocked");
    let bounding = u64::from_str_radix(log.lines().last().unwrap().trim_start_matches("Cap "), 16).unwrap();
    assert_eq!(bounding & (1 << 12), 0, "setup.sh could change its network: {bounding:x}");
}

#[tokio::test]
async fn r28_what_the_owner_allows_is_reached() {
    let canary = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = canary.local_addr().unwrap().port();
    let settings = Settings::new().set("sandbox.setup_allow", vec![own_address()]);
    let (atelier, _model) = running(&["true"], settings).await;
    let setup = format!("#!/bin/sh\nexec python3 reach.py {port} {} 10.0.0.1\n", own_address());
    let zip = Zip::new().file("reach.py", REACH).executable("setup.sh", &setup);
    let task = atelier.submit_zip(zip, "Go.", &[]).await;
    task.completed().await;
    let log = task.log("setup.log").await;
    let reached: Vec<&str> = log.lines().filter(|line| line.starts_with("BREACH")).collect();
    assert!(reached.len() == 2 && reached.iter().all(|line| line.contains("own address")), "{log}");
}

/// A web server that says "hello" to whoever names it as its host, once; and its port.
async fn hello() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
                let is_right = head.matches("\r\nhost:").count() == 1 && head.contains(&format!(":{port}\r\n"));
                let word = if is_right { "hello" } else { "wrong" };
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n{word}");
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn r28_a_setup_without_network_reaches_what_the_proxy_lets_through_and_nothing_else() {
    let (listed, other) = (hello().await, hello().await);
    let settings = Settings::new()
        .set("sandbox.setup_network", "proxied")
        .set("sandbox.proxy_allow", vec![format!("127.0.0.1:{listed}"), "localhost:1".to_owned()])
        .set("sandbox.setup_allow", vec!["127.0.0.1"]);
    let (atelier, _model) =
        running(&["curl -sS -m 2 -x http://127.0.0.1:3128 http://127.0.0.1:1 2>&1"], settings).await;
    // The variables name the loopback as not to be asked for by proxy, so curl is told to.
    let curl = "curl -sS -m 5 --noproxy '' ";
    let setup = format!(
        "#!/bin/sh\nls /sys/class/net\n{curl} http://127.0.0.1:{listed}/; echo\n{curl} -p http://127.0.0.1:{listed}/; echo\n\
         {curl} http://127.0.0.1:{other}/\n{curl} -p http://127.0.0.1:{other}/ 2>&1\n\
         {curl} http://169.254.169.254/\n{curl} -H 'Host: evil.example' http://127.0.0.1:{listed}/; echo\nexit 0\n"
    );
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", &setup), "Go.", &[]).await;
    task.completed().await;
    let log = task.log("setup.log").await;
    assert!(log.starts_with("lo\nhello\nhello\n"), "{log}");
    assert_eq!(log.matches("hello").count(), 3, "{log}");
    assert!(log.contains("is not in [sandbox] proxy_allow"), "{log}");
    let ledger = task.log("network.log").await;
    assert!(ledger.contains(&format!("CONNECT 127.0.0.1:{listed} let through")), "{ledger}");
    assert!(ledger.contains(&format!("GET 127.0.0.1:{other} refused")), "{ledger}");
    assert!(ledger.contains("GET 169.254.169.254:80 refused"), "{ledger}");
    assert!(ledger.contains(&format!("127.0.0.1:{listed} brought ")), "{ledger}");
    let warnings = task.events_of("warning").await;
    assert_eq!(warnings.len(), 2, "one a host: {warnings:?}");
    let uses = task.now().await["network"].clone();
    assert_eq!((&uses[0]["refused"], &uses[1]["refused"], &uses[2]["refused"]), (&json!(2), &json!(1), &json!(0)));
    assert!(uses[2]["let_through"] == 3 && uses[2]["bytes"].as_u64() > Some(15), "{uses}");
    let agent = &task.tool_results().await[0];
    assert_ne!(agent["returncode"], 0, "the agent has no proxy: {agent}");
}

#[tokio::test]
async fn r28_a_refused_host_is_led_back_to_its_line_and_allowed_for_one_retry() {
    let port = hello().await;
    let settings =
        Settings::new().set("sandbox.setup_network", "proxied").set("sandbox.setup_allow", vec!["127.0.0.1"]);
    let (atelier, model) = running(&["true"], settings).await;
    let setup = format!(
        "#!/bin/sh\necho first\necho 'fetching the greeting'\nsleep 0.2\nexec curl -sS -f -m 5 --noproxy '' http://127.0.0.1:{port}/\n"
    );
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", &setup), "Go.", &[]).await;
    let ended = task.failed("setup_failed").await;
    let refused = &ended["network"][0];
    let host = format!("127.0.0.1:{port}");
    assert_eq!((&refused["host"], &refused["pattern"]), (&json!("127.0.0.1"), &json!(host)), "{refused}");
    assert_eq!(refused["asked_by"], json!(["2: fetching the greeting"]));
    let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    for piece in ["Allow and retry", "2: fetching the greeting", &format!("value=\"{host}\"")] {
        assert!(page.contains(piece), "{piece} in {page}");
    }

    let retry = format!("/api/tasks/{}/retry", task.id);
    assert_eq!(atelier.post_json(&retry, &json!({"allow_hosts": ["a b"]})).await.status(), 422);
    let created: Value = atelier.post_json(&retry, &json!({"allow_hosts": [host]})).await.json().await.unwrap();
    let again = atelier.task(created["id"].as_str().unwrap());
    let ended = again.completed().await;
    assert_eq!(ended["allow_hosts"], json!([host]));
    assert_eq!(again.log("setup.log").await.lines().last(), Some("hello"));
    model.will(Reply::text("Done."));
    let form = atelier.request(Method::POST, &format!("/tasks/{}/retry", again.id)).body("allow_hosts=pypi.org");
    let address = form.send().await.unwrap().headers()["location"].to_str().unwrap().to_owned();
    let third = atelier.task(address.rsplit('/').next().unwrap());
    assert_eq!(third.completed().await["allow_hosts"], json!([host, "pypi.org"]), "a retry inherits");
}

#[tokio::test]
async fn r28_methods_are_held_to_in_plain_http_and_https_is_connect() {
    let port = hello().await;
    let settings = Settings::new()
        .set("sandbox.setup_network", "proxied")
        .set(
            "sandbox.proxy_allow",
            toml::Value::try_from(json!([{"host": format!("127.0.0.1:{port}"), "methods": ["GET"]}])).unwrap(),
        )
        .set("sandbox.setup_allow", vec!["127.0.0.1"]);
    let (atelier, _model) = running(&["true"], settings).await;
    let curl = format!("curl -sS -m 5 --noproxy '' http://127.0.0.1:{port}/");
    let setup = format!("#!/bin/sh\n{curl}; echo\n{curl} -X DELETE\n{curl} -p 2>&1\nexit 0\n");
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", &setup), "Go.", &[]).await;
    task.completed().await;
    let log = task.log("setup.log").await;
    assert!(log.starts_with("hello\n") && log.matches("hello").count() == 1, "{log}");
    assert!(log.contains("for GET only"), "{log}");
    let ledger = task.log("network.log").await;
    assert!(ledger.contains(&format!("DELETE 127.0.0.1:{port} refused")), "{ledger}");
    assert!(ledger.contains(&format!("CONNECT 127.0.0.1:{port} refused")), "{ledger}");
}

#[tokio::test]
async fn r27_an_agent_behind_the_proxy_has_no_other_network() {
    let port = hello().await;
    let settings = || {
        Settings::new()
            .set("sandbox.agent_network", "proxied")
            .set("sandbox.proxy_allow", vec![format!("127.0.0.1:{port}")])
            .set("sandbox.setup_allow", vec!["127.0.0.1"])
    };
    let look = format!(
        "ls /sys/class/net; curl -sS -m 5 --noproxy '' http://127.0.0.1:{port}/; echo; curl -sS -m 5 http://example.org/; \
         curl -sS -m 2 --noproxy '*' http://1.1.1.1/ || echo no other"
    );
    let with_setup = Zip::new().executable("setup.sh", "#!/bin/sh\nenv | grep -i proxy; ls /sys/class/net\n");
    for (source, has_setup) in [(Zip::new().file("a", "a").bytes(), false), (with_setup.bytes(), true)] {
        let (atelier, model) = running(&[&look], settings()).await;
        let task = atelier.submit_zip_bytes(source, "Fetch.", &[]).await;
        task.completed().await;
        let result = task.tool_results().await[0].clone();
        let said = stdout(&result);
        assert!(said.starts_with("lo\nhello\n") && said.ends_with("no other\n"), "{result}");
        assert!(said.contains("not in [sandbox] proxy_allow"), "{result}");
        let ledger = task.log("network.log").await;
        assert!(ledger.contains("GET example.org:80 refused: ") && ledger.contains("let through"), "{ledger}");
        if has_setup {
            let log = task.log("setup.log").await;
            assert!(log.contains("eth0") && !log.contains("3128"), "setup has a network of its own: {log}");
        }
        let asked = model.received()[0].body.to_string();
        assert!(asked.contains("The network is an HTTP proxy") && !asked.contains("There is no network."), "{asked}");
        let told = task.events_of("note").await;
        assert!(told.iter().any(|note| note["message"].as_str().unwrap().contains("the agent reaches 127.0.0.1")));
    }
}

#[tokio::test]
async fn r28_a_listed_name_with_a_private_address_is_refused() {
    let port = hello().await;
    let settings = Settings::new()
        .set("sandbox.setup_network", "proxied")
        .set("sandbox.proxy_allow", vec![format!("localhost:{port}")]);
    let (atelier, _model) = running(&["true"], settings).await;
    let setup = format!("#!/bin/sh\ncurl -sS -m 5 --noproxy '' http://localhost:{port}/\n");
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", &setup), "Go.", &[]).await;
    task.completed().await;
    let log = task.log("setup.log").await;
    assert!(log.contains("not a public address") && !log.contains("hello"), "{log}");
}
