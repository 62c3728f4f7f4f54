//! A door on loopback before another server: whoever comes waits until it is opened.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(super) struct Gate {
    pub(super) port: u16,
    open: watch::Sender<bool>,
    arrived: watch::Receiver<usize>,
}

impl Gate {
    /// A closed one before the server that this URL names.
    pub(super) async fn before(url: &str) -> Self {
        let authority = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let target: SocketAddr = authority.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, is_open) = watch::channel(false);
        let (count, arrived) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let mut is_open = is_open.clone();
                tokio::spawn(async move {
                    is_open.wait_for(|open| *open).await.unwrap();
                    let mut to = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        Self { port, open, arrived }
    }

    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }

    pub(super) async fn somebody_waits(&mut self) {
        self.arrived.wait_for(|count| *count > 0).await.unwrap();
    }
}
