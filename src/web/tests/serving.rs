//! Real connections: what a client that stalls gets, and how the server ends.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::{Site, site::TOKEN};

#[tokio::test]
async fn f11_a_server_that_stops_answers_until_it_closes_but_takes_no_task() {
    let site = Site::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = CancellationToken::new();
    let server = tokio::spawn(crate::web::serve(listener, site.state.clone(), closing.clone()));
    site.state.shutdown.cancel();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = r#"{"source": {"git_url": "https://example.org/a/b"}, "task": "Go."}"#;

    let url = |path: &str| format!("http://{address}{path}");
    let submit = http.post(url("/api/tasks")).bearer_auth(TOKEN).header("content-type", "application/json").body(body);
    let refused = submit.send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    let ready = http.get(url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("\"stopping\""));
    assert_eq!(http.get(url("/healthz")).send().await.unwrap().status(), 200);

    closing.cancel();
    tokio::time::timeout(Duration::from_secs(5), server).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_open_streams_and_the_server() {
    let site = Site::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(crate::web::serve(listener, site.state.clone(), site.state.shutdown.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    // Another connection waits without a word.
    let idle = TcpStream::connect(address).await.unwrap();

    site.state.shutdown.cancel();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), server).await;
    ended.expect("the server ends at once").unwrap();
    drop(idle);
}
