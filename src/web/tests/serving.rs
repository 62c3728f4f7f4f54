//! Real connections: what a client that stalls gets, and how the server ends.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Site, site::TOKEN};

#[tokio::test]
async fn a_shutdown_ends_open_streams_and_the_server() {
    let site = Site::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(crate::web::serve(listener, site.state.clone()));
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
    ended.expect("the server ends at once").unwrap().unwrap();
    drop(idle);
}
