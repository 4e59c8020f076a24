//! Payloads over a TLS stream: blocks of exactly 16384 bytes, read and written independently of each other.
//!
//! An idle connection holds no block: the reader waits with one byte on its stack and takes memory once something
//! arrived, the writer gives its buffer back when it has sent everything. Both can be cancelled at any await and used
//! again; nothing that was read or queued is lost.

use std::io;

use smp::block::{BLOCK, BadBlock, BlockOpener, BlockSealer, TooLarge};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

type Stream = SslStream<TcpStream>;
type Block = Box<[u8; BLOCK]>;

/// Reads blocks.
#[derive(Debug)]
pub(crate) struct BlockReader {
    stream: ReadHalf<Stream>,
    partial: Vec<u8>,
}

/// Writes blocks.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    stream: WriteHalf<Stream>,
    queued: Vec<u8>,
    written: usize,
}

/// Splits a stream into its two halves.
pub(crate) fn split(stream: Stream) -> (BlockReader, BlockWriter) {
    let (reader, writer) = tokio::io::split(stream);
    let reader = BlockReader { stream: reader, partial: Vec::new() };
    (reader, BlockWriter { stream: writer, queued: Vec::new(), written: 0 })
}

impl BlockReader {
    /// The next block, or `None` when the peer closed the connection, be it in the middle of a block.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Block>> {
        if self.partial.is_empty() {
            let mut first = [0];
            if self.stream.read(&mut first).await? == 0 {
                return Ok(None);
            }
            self.partial.reserve_exact(BLOCK);
            self.partial.extend_from_slice(&first);
        }
        while self.partial.len() < BLOCK {
            let missing = BLOCK.saturating_sub(self.partial.len());
            let mut rest = (&mut self.stream).take(u64::try_from(missing).unwrap_or(u64::MAX));
            if rest.read_buf(&mut self.partial).await? == 0 {
                return Ok(None);
            }
        }
        Ok(std::mem::take(&mut self.partial).into_boxed_slice().try_into().ok())
    }
}

impl BlockWriter {
    /// Where the next blocks are put; [`flush`](Self::flush) sends them.
    pub(crate) fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queued
    }

    /// Sends everything queued. A flush that is cancelled goes on where it was with the next one.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.queued.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.written = self.written.saturating_add(count),
            }
        }
        self.queued = Vec::new();
        self.written = 0;
        self.stream.flush().await
    }

    /// Sends everything queued, then close_notify, and closes the sending side.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await
    }
}

/// Reads the payloads of a session.
#[derive(Debug)]
pub struct PayloadReader {
    blocks: BlockReader,
    opener: BlockOpener,
    block: Option<Block>,
}

/// Writes the payloads of a session.
#[derive(Debug)]
pub struct PayloadWriter {
    blocks: BlockWriter,
    sealer: BlockSealer,
}

impl PayloadReader {
    pub(crate) fn new(blocks: BlockReader, opener: BlockOpener) -> Self {
        PayloadReader { blocks, opener, block: None }
    }

    /// The next payload, or `None` when the peer closed the connection, be it in the middle of a block.
    ///
    /// A block that does not open is an inner error: the connection can still be used. The payload before is forgotten.
    pub async fn read(&mut self) -> io::Result<Option<Result<&[u8], BadBlock>>> {
        self.block = None;
        let block = self.blocks.read().await?;
        Ok(block.map(|block| self.opener.open(self.block.insert(block))))
    }
}

impl PayloadWriter {
    pub(crate) fn new(blocks: BlockWriter, sealer: BlockSealer) -> Self {
        PayloadWriter { blocks, sealer }
    }

    /// Takes memory for so many bytes at once.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.blocks.queue().reserve(bytes);
    }

    /// Queues a payload; [`flush`](Self::flush) sends it. What is queued must be sent, in this order.
    pub fn queue(&mut self, payload: &[u8]) -> Result<(), TooLarge> {
        self.sealer.seal(payload, self.blocks.queue())
    }

    /// Bytes that wait for a flush.
    pub fn queued(&self) -> usize {
        self.blocks.queued.len()
    }

    /// Sends everything queued. A flush that is cancelled goes on where it was with the next one.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.blocks.flush().await
    }

    /// Sends everything queued, then close_notify, and closes the sending side.
    pub async fn close(&mut self) -> io::Result<()> {
        self.blocks.close().await
    }
}
