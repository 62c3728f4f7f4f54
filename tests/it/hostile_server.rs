//! Servers that mean no good to whoever clones from them: raw sockets that remember what they heard.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Treats every connection in the same way until it is dropped.
#[derive(Debug)]
pub(crate) struct HostileServer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Takes the request and says nothing.
    Silent,
    RedirectTo(String),
    /// Refuses with the request for a reason, and with what its login says.
    Echo,
    /// A list of refs without end, so many lines after each pause.
    Endless {
        lines: usize,
        pause: Duration,
    },
    /// A list of refs, then a pack that says it has so many objects and never ends.
    Pack {
        objects: u32,
        object: PackedObject,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum PackedObject {
    /// One after the other, a byte each.
    Tiny,
    /// The first has no end.
    Huge,
}

impl HostileServer {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let memory = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, behaviour.clone(), Arc::clone(&memory)));
            }
        });
        Self { address, heard, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/r.git", self.address)
    }

    /// The beginning of every request, and an empty text for a connection without one.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(mut stream: TcpStream, behaviour: Behaviour, memory: Arc<Mutex<Vec<String>>>) {
    let number = {
        let mut heard = memory.lock().unwrap();
        heard.push(String::new());
        heard.len() - 1
    };
    let mut request = vec![0; 16 * 1024];
    let read = stream.read(&mut request).await.unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    memory.lock().unwrap()[number].clone_from(&request);
    // Whoever asked may go away in the middle of the answer.
    let _ = match behaviour {
        Behaviour::Silent => std::future::pending().await,
        Behaviour::RedirectTo(location) => {
            let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await
        }
        Behaviour::Echo => {
            let login = request.lines().find_map(|line| line.strip_prefix("authorization: Basic ")).unwrap_or_default();
            let login = data_encoding::BASE64.decode(login.as_bytes()).unwrap_or_default();
            let body = format!("{request}\nlogin: {}\n", String::from_utf8_lossy(&login));
            let answer = "HTTP/1.1 500 Broken\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
            stream.write_all(format!("{answer}{body}").as_bytes()).await
        }
        Behaviour::Endless { lines, pause } => list_refs_for_ever(stream, lines, pause).await,
        Behaviour::Pack { .. } if request.starts_with("GET") => list_one_ref(stream).await,
        Behaviour::Pack { objects, object } => send_pack(stream, &request, objects, object).await,
    };
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn head(kind: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-{kind}\r\nConnection: close\r\n\r\n")
}

/// A line of git's protocol: its length in four hexadecimal digits goes before it.
fn packet(content: &[u8]) -> Vec<u8> {
    [format!("{:04x}", content.len() + 4).as_bytes(), content].concat()
}

async fn list_refs_for_ever(mut stream: TcpStream, lines: usize, pause: Duration) -> std::io::Result<()> {
    stream.write_all(head("advertisement").as_bytes()).await?;
    let lines = packet(b"# service=git-upload-pack\n").repeat(lines);
    loop {
        stream.write_all(&lines).await?;
        tokio::time::sleep(pause).await;
    }
}

async fn list_one_ref(mut stream: TcpStream) -> std::io::Result<()> {
    let first = format!("{COMMIT} HEAD\0side-band-64k shallow symref=HEAD:refs/heads/main\n");
    let body = [
        head("advertisement").into_bytes(),
        packet(b"# service=git-upload-pack\n"),
        b"0000".to_vec(),
        packet(first.as_bytes()),
        packet(format!("{COMMIT} refs/heads/main\n").as_bytes()),
        b"0000".to_vec(),
    ];
    stream.write_all(&body.concat()).await
}

/// Protocol version 0 (gitprotocol-pack): a client asks twice, and is done the second time.
async fn send_pack(mut stream: TcpStream, request: &str, objects: u32, object: PackedObject) -> std::io::Result<()> {
    let shallow = packet(format!("shallow {COMMIT}").as_bytes());
    stream.write_all(&[head("result").into_bytes(), shallow, b"0000".to_vec()].concat()).await?;
    if !request.contains("done") {
        return Ok(());
    }
    stream.write_all(&packet(b"NAK\n")).await?;
    let header = [&b"PACK\0\0\0\x02"[..], &objects.to_be_bytes()].concat();
    // A blob of one byte, deflated; and the beginning of one of a terabyte, in stored blocks.
    let tiny = b"\x31\x78\x9c\xab\x00\x00\x00\x79\x00\x79";
    let huge = b"\xb0\x80\x80\x80\x80\x80\x80\x01\x78\x01";
    let block = [b"\0\xff\x7f\0\x80".to_vec(), vec![0; 0x7fff]].concat();
    let (beginning, more) = match object {
        PackedObject::Tiny => (header, tiny.repeat(1000)),
        PackedObject::Huge => ([&header[..], huge].concat(), block),
    };
    stream.write_all(&packet(&[&[1], &beginning[..]].concat())).await?;
    let more = packet(&[&[1], &more[..]].concat());
    loop {
        stream.write_all(&more).await?;
    }
}
