//! The proxy of the server, brought into the container: what connects to a port of its loopback is carried to a socket in the
//! mounted directory. So a container without any network can fetch packages, and nothing else.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::time::sleep;

/// Where proxies are looked for by habit.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3128);
pub(crate) const SOCKET: &str = "/run/atelier/exit.sock";

/// Before accepting again when there is no descriptor left for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Carries connections for ever. While the server does not listen they are closed at once.
pub(crate) async fn carry(address: SocketAddr, socket: &Path) -> io::Result<Infallible> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let Ok((mut client, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let socket = socket.to_owned();
        tokio::spawn(async move {
            if let Ok(mut server) = UnixStream::connect(socket).await {
                // Either side hanging up is everyday.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
