//! Bodies of requests that are too long or too slow (R12).

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{
    Body, Method, Response,
    multipart::{Form, Part},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{obeying, refused};
use crate::harness::{Atelier, Settings, Zip};

const TWO_GIB: u64 = 2 << 30;
const CHUNK: usize = 1 << 20;

/// Zeros that are made as they are sent.
fn zeros(bytes: u64) -> Body {
    let chunk = Bytes::from(vec![0; CHUNK]);
    let chunks = (0..bytes / CHUNK as u64).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
    Body::wrap_stream(stream::iter(chunks))
}

async fn post(atelier: &Atelier, archive: Part) -> Response {
    let form = Form::new().text("task", "Go.").part("archive", archive.file_name("huge.zip"));
    atelier.request(Method::POST, "/api/tasks").multipart(form).send().await.unwrap()
}

#[tokio::test]
async fn r12_a_body_over_the_limit_is_refused_in_constant_memory() {
    let atelier = Atelier::start().await;
    atelier.get("/api/tasks").await;
    let before = atelier.resident_kib();
    for announced in [Part::stream_with_length(zeros(TWO_GIB), TWO_GIB), Part::stream(zeros(TWO_GIB))] {
        let detail = refused(post(&atelier, announced).await, 413, "too_large").await;
        assert!(detail.contains("max_zip_bytes"), "{detail}");
        atelier.kept_nothing().await;
    }
    let grown = atelier.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
}

/// The head of an upload that announces more than it sends.
async fn begin_upload(atelier: &Atelier, announced: u64, more_headers: &str) -> TcpStream {
    let address = atelier.url("").trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/tasks HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n{more_headers}\
         Content-Type: multipart/form-data; boundary=limit\r\nContent-Length: {announced}\r\n\r\n",
        atelier.token()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn status_line(stream: &mut TcpStream) -> String {
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn r12_who_asks_before_sending_too_much_is_told_at_once() {
    let atelier = Atelier::start().await;
    let mut stream = begin_upload(&atelier, TWO_GIB, "Expect: 100-continue\r\n").await;
    assert_eq!(status_line(&mut stream).await, "HTTP/1.1 413 Payload Too Large");
    atelier.kept_nothing().await;
}

#[tokio::test]
async fn r12_a_body_that_trickles_is_given_up_while_others_upload() {
    let (atelier, _model) = obeying(&[], Settings::new().set("server.upload_patience_s", 3)).await;
    let started = Instant::now();
    let mut slow = begin_upload(&atelier, 100_000, "").await;
    let part = b"--limit\r\nContent-Disposition: form-data; name=\"archive\"; filename=\"a.zip\"\r\n\r\n";
    slow.write_all(part).await.unwrap();
    let (mut reader, mut writer) = slow.into_split();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });

    atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.completed().await;

    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(std::fs::read_dir(atelier.data_dir().join("uploads")).unwrap().count(), 0);
    trickle.abort();
}
