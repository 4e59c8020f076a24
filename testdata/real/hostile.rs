//! Whatever strangers send, the server refuses it, forgets it, and serves everybody else.

mod stranger;

use crypto::Random as _;
use net::block_stream::{PayloadReader, PayloadWriter};
use net::handshake::ClientConnection;
use openssl::ssl::{SslContextBuilder, SslVersion};
use smp::block::{BLOCK, Batch, MAX_SEALED_PAYLOAD, transmissions};
use smp::command::{Command, LinkData};
use smp::error::Error;
use smp::id::{CorrId, EntityId, LinkId};
use smp::response::Response;
use smp::transmission::{ServerTransmission, Session as Authority, encode_command};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::client::{Queue, dial, open, pushed, random};
use crate::server::{Place, Server, soon};
use stranger::{Stranger, block, client_hello, is_served, tcp, tcp_from_elsewhere, tls_with};

/// MiB that a server may use whatever strangers do: a few for the program, the rest for buffers.
const MEMORY: usize = 160;

/// An ordinary client still gets everything it wants, and memory has stayed within bounds.
async fn serves_others(server: &Server) {
    let (client, mut events) = dial(&server.address).await.unwrap();
    let queue = Queue::create(&client).await.unwrap();
    queue.subscribe(&client).await.unwrap();
    queue.send(&client, b"still there?".to_vec()).await.unwrap();
    let message = pushed(&mut events).await.unwrap();
    assert_eq!(queue.decrypt(&message).unwrap(), b"still there?");
    assert_eq!(queue.acknowledge(&client, &message).await.unwrap(), None);
    queue.delete(&client).await.unwrap();
    let memory = server.peak_memory();
    assert!(memory < MEMORY, "{memory} MiB");
}

fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random().fill(&mut bytes);
    bytes
}

/// Waits until the server has closed the connection; what it said before.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    // A connection that is closed with something unread is reset, which is an error here.
    let _ = soon("the server to close", stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn what_is_not_tls_is_closed() {
    let (place, mut lengths) = (Place::new(), random());
    let server = place.start(&[]).await;
    for _ in 0..200 {
        let [high, low] = crypto::random::array(&mut lengths);
        says(&server, &bytes(usize::from(u16::from_be_bytes([high, low])) + 1)).await;
    }
    let longest_record = [&[22, 3, 1, 255, 255][..], &bytes(65_535)].concat();
    let longest_hello = [&[22, 3, 1, 0, 4, 1, 255, 255, 255][..], &bytes(200_000)].concat();
    let web = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    for said in [Vec::new(), vec![22], web, b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), longest_record, longest_hello] {
        says(&server, &said).await;
    }
    serves_others(&server).await;
}

/// Says something and nothing more.
async fn says(server: &Server, said: &[u8]) {
    let mut tcp = tcp(server).await;
    // The server may have had enough before the end.
    let _ = tcp.write_all(said).await;
    let _ = tcp.shutdown().await;
    let answer = rest(&mut tcp).await;
    assert!(answer.len() <= 7, "more than an alert: {answer:?}");
}

#[tokio::test]
async fn tls_that_smp_does_not_use_is_refused() {
    let place = Place::new();
    let server = place.start(&[]).await;
    let smp = |context: &mut SslContextBuilder| context.set_alpn_protos(b"\x05smp/1").unwrap();
    assert!(tls_with(&server, smp).await.is_some(), "the others differ from this in one setting each");
    let other: [fn(&mut SslContextBuilder); 5] = [
        |context| context.set_alpn_protos(b"\x05smp/2").unwrap(),
        |context| context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap(),
        |context| context.set_ciphersuites("TLS_AES_256_GCM_SHA384").unwrap(),
        |context| context.set_groups_list("P-256").unwrap(),
        |context| context.set_sigalgs_list("ecdsa_secp256r1_sha256").unwrap(),
    ];
    for set in other {
        let stream = tls_with(&server, |context| {
            smp(context);
            set(context);
        });
        if let Some(mut stream) = stream.await {
            assert_eq!(rest(&mut stream).await, b"");
        }
    }
    let mut without_alpn = tls_with(&server, |_| {}).await.unwrap();
    assert_eq!(rest(&mut without_alpn).await, b"");
    serves_others(&server).await;
}

#[tokio::test]
async fn wrong_hellos_are_not_answered() {
    let place = Place::new();
    let server = place.start(&[]).await;
    let good = client_hello(&server, 18, None);
    let version = |version| block(&client_hello(&server, version, None));
    let key_hash = |key_hash: Vec<u8>| block(&smp::handshake::ClientHello { key_hash, ..good.clone() });
    let mut said = vec![version(0), version(14), version(19), version(u16::MAX)];
    said.extend([key_hash(vec![0; 32]), key_hash(Vec::new()), key_hash(vec![0; 255])]);
    // Longer than a block by its own account, empty, nothing but padding, and noise.
    said.extend([[&[255, 255][..], &[0; BLOCK - 2]].concat(), vec![0; BLOCK], vec![b'#'; BLOCK], bytes(BLOCK)]);
    for said in said {
        let mut stranger = Stranger::meet(&server, tcp(&server).await).await;
        stranger.hello().await;
        stranger.stream.write_all(&said).await.unwrap();
        assert_eq!(rest(&mut stranger.stream).await, b"");
    }
    for length in [0, 1, BLOCK / 2, BLOCK - 1] {
        let mut stranger = Stranger::meet(&server, tcp(&server).await).await;
        stranger.hello().await;
        stranger.stream.write_all(&block(&good)[..length]).await.unwrap();
        stranger.stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stranger.stream).await, b"");
    }
    serves_others(&server).await;
}

#[tokio::test]
async fn a_block_that_is_cut_off_ends_its_connection_only() {
    let place = Place::new();
    let server = place.start(&[]).await;
    for (length, says_goodbye) in [(1, true), (1, false), (BLOCK / 2, true), (BLOCK / 2, false), (BLOCK - 1, true)] {
        let mut session = Stranger::meet(&server, tcp(&server).await).await.greet(&server).await;
        session.stream.write_all(&bytes(length)).await.unwrap();
        if says_goodbye {
            session.stream.shutdown().await.unwrap();
            assert_eq!(rest(&mut session.stream).await, b"");
        }
    }
    serves_others(&server).await;
}

#[tokio::test]
async fn each_of_10_000_random_blocks_is_answered_and_the_connection_stays_usable() {
    const BLOCKS: usize = 10_000;
    let place = Place::new();
    let server = place.start(&[]).await;
    let mut session = Stranger::meet(&server, tcp(&server).await).await.greet(&server).await;
    let (mut reader, mut writer) = tokio::io::split(session.stream);
    let mut opener = session.opener;
    let noise = async {
        let mut random = random();
        let (mut block, mut unused) = (vec![0; BLOCK], Vec::new());
        for _ in 0..BLOCKS {
            random.fill(&mut block);
            soon("room for a block", writer.write_all(&block)).await.unwrap();
            // Both sides count blocks.
            session.sealer.seal(b"", &mut unused).unwrap();
            unused.clear();
        }
        soon("room for a block", writer.flush()).await.unwrap();
    };
    let answers = async {
        let mut count = 0;
        let mut block = [0; BLOCK];
        while count < BLOCKS {
            soon("an answer", reader.read_exact(&mut block)).await.unwrap();
            for answer in transmissions(opener.open(&mut block).unwrap()).unwrap() {
                let answer = ServerTransmission::parse(18, answer).unwrap();
                assert_eq!(answer.response, Ok(Response::Err(Error::Block)));
                count += 1;
            }
        }
        assert_eq!(count, BLOCKS);
    };
    tokio::join!(noise, answers);

    let mut ping = Vec::new();
    session.sealer.seal(&batch([transmission(&Command::Ping, &EntityId::default())]), &mut ping).unwrap();
    writer.write_all(&ping).await.unwrap();
    let mut block = [0; BLOCK];
    soon("an answer", reader.read_exact(&mut block)).await.unwrap();
    let answers = transmissions(opener.open(&mut block).unwrap()).unwrap();
    assert_eq!(ServerTransmission::parse(18, answers[0]).unwrap().response, Ok(Response::Pong));
    serves_others(&server).await;
}

/// A transmission without authorization.
fn transmission(command: &Command, entity: &EntityId) -> Vec<u8> {
    let corr_id = CorrId::random(&mut random());
    let nobody = crypto::dh::X25519PrivateKey::generate(&mut random()).public();
    let authority = Authority { version: 18, id: &[], server_key: &nobody };
    encode_command(authority, &corr_id, entity, command, None).unwrap()
}

fn batch(transmissions: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut batch = Batch::default();
    for transmission in transmissions {
        assert_eq!(batch.push(&transmission), Ok(true));
    }
    batch.take()
}

#[tokio::test]
async fn noise_in_good_blocks_is_answered_with_errors() {
    let place = Place::new();
    let server = place.start(&[]).await;
    let connection = open(&server.address).await.unwrap();
    let (mut reader, mut writer) = (connection.reader, connection.writer);
    let (mut lengths, mut expected) = (random(), 0);
    for _ in 0..500 {
        let length = usize::from(u16::from_be_bytes(crypto::random::array(&mut lengths))) % (MAX_SEALED_PAYLOAD + 1);
        // First what is no batch, then what is a batch of noise.
        exchange(&mut reader, &mut writer, &bytes(length), None).await;
        let noise: Vec<_> = (0..length % 20).map(|length| bytes(length * 40)).collect();
        expected += noise.len();
        if !noise.is_empty() {
            exchange(&mut reader, &mut writer, &batch(noise.clone()), Some(noise.len())).await;
        }
    }
    assert!(expected > 1000);
    let ping = batch([transmission(&Command::Ping, &EntityId::default())]);
    writer.queue(&ping).unwrap();
    writer.flush().await.unwrap();
    assert_eq!(next_answers(&mut reader).await, [Ok(Response::Pong)]);
    serves_others(&server).await;
}

/// Sends a payload and waits for its answers, which are errors; noise may by accident be any number of transmissions.
async fn exchange(reader: &mut PayloadReader, writer: &mut PayloadWriter, payload: &[u8], answers: Option<usize>) {
    let answers = answers.unwrap_or_else(|| transmissions(payload).map_or(1, |list| list.len()));
    writer.queue(payload).unwrap();
    writer.flush().await.unwrap();
    let mut got = 0;
    while got < answers {
        for answer in next_answers(reader).await {
            assert!(matches!(answer, Ok(Response::Err(_))), "{answer:?}");
            got += 1;
        }
    }
    assert_eq!(got, answers);
}

async fn next_answers(reader: &mut PayloadReader) -> Vec<Result<Response, smp::error::CommandError>> {
    let payload = soon("an answer", reader.read()).await.unwrap().unwrap().unwrap();
    let answers = transmissions(payload).unwrap().into_iter();
    answers.map(|answer| ServerTransmission::parse(18, answer).unwrap().response).collect()
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let place = Place::new();
    let server = place.start(&["--max-connections-per-address", "40"]).await;
    let mut stalled = Vec::new();
    for _ in 0..10 {
        stalled.extend(stall_at_every_step(&server).await);
    }
    assert_eq!(stalled.len(), 40);
    for _ in 0..10 {
        let mut refused = tcp_from_elsewhere(&server).await;
        assert_eq!(rest(&mut refused).await, b"");
    }
    serves_others(&server).await;
    drop(stalled);
    soon("a place", async { while !is_served(&server, tcp_from_elsewhere(&server).await).await {} }).await;
}

#[tokio::test]
async fn whoever_is_slow_is_cut_off() {
    let place = Place::new();
    let server = place.start(&["--tls-timeout", "4", "--handshake-timeout", "4"]).await;
    let mut stalled = JoinSet::new();
    for _ in 0..50 {
        for mut connection in stall_at_every_step(&server).await {
            stalled.spawn(async move { rest(&mut connection).await });
        }
    }
    assert_eq!(stalled.len(), 200);
    serves_others(&server).await;
    soon("the end of all of them", stalled.join_all()).await;
}

/// Connections that stop in the middle of every step up to the hello.
async fn stall_at_every_step(server: &Server) -> Vec<Box<dyn AsyncRead + Send + Unpin>> {
    let mut stalled: Vec<Box<dyn AsyncRead + Send + Unpin>> = Vec::new();
    let half_of_a_record = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &bytes(200)].concat();
    for said in [&[][..], &[22], &half_of_a_record] {
        let mut tcp = tcp_from_elsewhere(server).await;
        tcp.write_all(said).await.unwrap();
        stalled.push(Box::new(tcp));
    }
    let mut stranger = Stranger::meet(server, tcp_from_elsewhere(server).await).await;
    stranger.hello().await;
    stranger.stream.write_all(&block(&client_hello(server, 18, None))[..BLOCK / 2]).await.unwrap();
    stalled.push(Box::new(stranger.stream));
    stalled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_read_is_not_read_from() {
    const FLOODS: usize = 20;
    let place = Place::new();
    let server = place.start(&["--write-timeout", "4"]).await;
    let (client, _events) = dial(&server.address).await.unwrap();
    let queue = Queue::create_contact(&client).await.unwrap();
    let link = LinkId::random(&mut random());
    let data = LinkData { fixed: bytes(2000), user: bytes(11_000) };
    client.set_link(&queue.recipient_id, &link, data, &queue.recipient_key).await.unwrap();

    let mut floods = JoinSet::new();
    for _ in 0..FLOODS {
        floods.spawn(ask_until_cut_off(open(&server.address).await.unwrap(), link.clone().into()));
    }
    let blocks: usize = soon("the end of all floods", floods.join_all()).await.into_iter().sum();
    println!("took {blocks} blocks of questions, {} MiB of memory", server.peak_memory());
    serves_others(&server).await;
}

/// Asks for more than two hundred times as much as it sends, and takes nothing of it.
async fn ask_until_cut_off(connection: ClientConnection, link: EntityId) -> usize {
    let mut writer = connection.writer;
    let mut questions = Batch::default();
    while questions.push(&transmission(&Command::Lget, &link)).unwrap() {}
    let questions = questions.take();
    let mut blocks = 0;
    loop {
        writer.queue(&questions).unwrap();
        if soon("to be cut off", writer.flush()).await.is_err() {
            return blocks;
        }
        blocks += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_connections_may_be_idle() {
    let place = Place::new();
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let count = 5000.min(usize::try_from(limit).unwrap() / 2);
    let server = place.start(&["--http", "127.0.0.1:0"]).await;
    let before = server.peak_memory();
    let mut opening = JoinSet::new();
    let mut idle = Vec::new();
    for _ in 0..count {
        let address = server.address.clone();
        opening.spawn(async move { open(&address).await.unwrap() });
        if opening.len() >= 32 {
            idle.push(opening.join_next().await.unwrap().unwrap());
        }
    }
    idle.extend(opening.join_all().await);
    soon("all connections", connections(&server, count)).await;
    let each = (server.peak_memory() - before) * 1024 / count;
    println!("{count} idle connections, {each} KiB each at most");
    assert!(each < 64, "{each} KiB");

    let (client, mut events) = dial(&server.address).await.unwrap();
    let queue = Queue::create(&client).await.unwrap();
    queue.subscribe(&client).await.unwrap();
    queue.send(&client, b"among thousands".to_vec()).await.unwrap();
    assert_eq!(queue.decrypt(&pushed(&mut events).await.unwrap()).unwrap(), b"among thousands");
    drop(idle);
    soon("their end", connections(&server, 1)).await;
}

/// Waits until the server has exactly so many connections.
async fn connections(server: &Server, count: usize) {
    let line = format!("\nsmp_connections {count}\n");
    while !server.page("/metrics").await.contains(&line) {}
}
