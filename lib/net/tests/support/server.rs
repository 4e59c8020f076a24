//! A server as small as a test needs: our own handshake, then whatever the test's script answers.

use std::sync::{Arc, Mutex};

use crypto::dh::X25519PrivateKey;
use net::handshake::{AcceptOptions, ServerConnection, accept};
use net::identity::Algorithm;
use net::tls::Acceptor;
use smp::address::ServerAddress;
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use smp::transmission::{ClientTransmission, encode_response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{identity, random};

/// What the script does with a block of commands.
pub(crate) enum Reaction {
    /// Sends these, all in one block.
    Answer(Vec<(CorrId, EntityId, Response)>),
    /// Sends this payload.
    Payload(Vec<u8>),
    /// Ends the connection at once.
    Cut,
}

/// A block of commands, on which connection.
pub(crate) struct Block {
    pub(crate) connection: usize,
    pub(crate) commands: Vec<ClientTransmission>,
}

impl Block {
    /// The same response to every command, under its own IDs.
    pub(crate) fn answer(&self, response: &Response) -> Reaction {
        Reaction::Answer(self.commands.iter().map(|command| reply(command, response.clone())).collect())
    }
}

pub(crate) fn reply(command: &ClientTransmission, response: Response) -> (CorrId, EntityId, Response) {
    (command.corr_id.clone(), command.entity_id.clone(), response)
}

pub(crate) fn event(entity_id: impl Into<EntityId>, response: Response) -> (CorrId, EntityId, Response) {
    (CorrId::default(), entity_id.into(), response)
}

pub(crate) struct MiniServer {
    pub(crate) address: ServerAddress,
    /// Number of commands in every block that came.
    pub(crate) blocks: Arc<Mutex<Vec<usize>>>,
    task: JoinHandle<()>,
}

impl Drop for MiniServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MiniServer {
    pub(crate) async fn start(script: impl Fn(&Block) -> Reaction + Send + Sync + 'static) -> Self {
        let acceptor = Acceptor::new(identity(Algorithm::Ed25519, "mini")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fingerprint = codec::text::base64url(acceptor.identity().fingerprint());
        let address = format!("smp://{fingerprint}@{}", listener.local_addr().unwrap()).parse().unwrap();
        let blocks = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, acceptor, Arc::new(script), blocks.clone()));
        MiniServer { address, blocks, task }
    }
}

type Script = Arc<dyn Fn(&Block) -> Reaction + Send + Sync>;

async fn serve(listener: TcpListener, acceptor: Acceptor, script: Script, blocks: Arc<Mutex<Vec<usize>>>) {
    let mut sessions = tokio::task::JoinSet::new();
    for connection in 0.. {
        let (tcp, _) = listener.accept().await.unwrap();
        let session_key = X25519PrivateKey::generate(&mut random(&connection.to_string()));
        let (acceptor, script, blocks) = (acceptor.clone(), script.clone(), blocks.clone());
        sessions.spawn(async move {
            if let Ok(session) = accept(tcp, &acceptor, AcceptOptions::default(), session_key).await {
                run(session, connection, script, blocks).await;
            }
        });
    }
}

async fn run(mut session: ServerConnection, connection: usize, script: Script, blocks: Arc<Mutex<Vec<usize>>>) {
    while let Ok(Some(payload)) = session.reader.read().await {
        let (version, session_id) = (session.version, &session.session_id);
        let parse = |bytes| ClientTransmission::parse(version, session_id, bytes).unwrap();
        let commands = smp::block::transmissions(payload.unwrap()).unwrap().into_iter().map(parse).collect();
        let block = Block { connection, commands };
        blocks.lock().unwrap().push(block.commands.len());
        match script(&block) {
            Reaction::Answer(answers) => {
                let encode = |(corr_id, entity_id, response): &(CorrId, EntityId, Response)| {
                    encode_response(version, corr_id, entity_id, response)
                };
                let transmissions: Vec<Vec<u8>> = answers.iter().map(encode).collect();
                for payload in smp::block::payloads(transmissions.iter().map(Vec::as_slice)) {
                    session.writer.queue(&payload).unwrap();
                }
            }
            Reaction::Payload(payload) => session.writer.queue(&payload).unwrap(),
            Reaction::Cut => return,
        }
        if session.writer.flush().await.is_err() {
            return;
        }
    }
}
