//! Another program in place of our agent: it finds `/step` on a port of its own, we carry its requests to the server.
//!
//! The program need not know of unix sockets, of a server that restarts or of `seq`: to it the protocol is plain HTTP to
//! `MCP_SERVER_URL`.

mod desk;
mod program;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::net::TcpListener;
use tokio::task::LocalSet;

use crate::client::StepClient;
use crate::orphans::OwnChildren;
use crate::proxy::Proxy;
use crate::run_record::RunRecord;
use crate::task::TaskId;
use desk::Desk;

/// What to run, and where.
#[derive(Debug)]
pub(crate) struct Relay {
    /// The program and its arguments.
    pub(crate) words: Vec<OsString>,
    pub(crate) proxy: Proxy,
    pub(crate) code: PathBuf,
    pub(crate) task_file: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) begin: Begin,
}

/// When the program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    AtOnce,
    /// When the server listens. Before that setup has the container: a program would have its network, and be swept away
    /// with the rest.
    WithServer,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error("cannot listen on {address}: {source}; is another relay running?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start {program:?}: {source}; is it in the image, or in the code?")]
    Start { program: OsString, source: io::Error },
    #[error("the program cannot be waited for: {0}")]
    Wait(#[from] io::Error),
}

impl Relay {
    /// Runs the program to its end and returns its exit code, 128 + N after signal N.
    pub(crate) async fn run(
        self,
        client: StepClient,
        record: Rc<RunRecord>,
        children: &OwnChildren,
        task_id: &TaskId,
    ) -> Result<u8, RelayError> {
        let fail = |source| RelayError::Listen { address: self.listen, source };
        let listener = TcpListener::bind(self.listen).await.map_err(fail)?;
        let port = listener.local_addr().map_err(fail)?.port();
        if self.begin == Begin::WithServer {
            client.server_appears().await;
        }
        let desk = Rc::new(Desk::new(client, record.clone()));
        let tasks = LocalSet::new();
        let serving = tasks.run_until(desk::serve(listener, desk.clone()));
        let code = tokio::select! {
            never = serving => match never {},
            code = program::run(&self, port, &record, children) => code?,
        };
        desk.last_word(task_id.to_string()).await;
        Ok(code)
    }
}
