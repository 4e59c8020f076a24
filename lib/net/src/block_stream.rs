//! Blocks of exactly 16384 bytes over a TLS stream, read and written from different tasks.
//!
//! An idle reader holds no block: it waits with one byte on its stack and takes memory once something arrived. Both
//! halves can be cancelled at any await and used again; nothing that was read or queued is lost.

use std::collections::VecDeque;
use std::io;

use smp::block::BLOCK;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

type Stream = SslStream<TcpStream>;

/// Reads blocks.
#[derive(Debug)]
pub struct BlockReader {
    stream: ReadHalf<Stream>,
    partial: Vec<u8>,
}

/// Writes blocks.
#[derive(Debug)]
pub struct BlockWriter {
    stream: WriteHalf<Stream>,
    queue: VecDeque<Vec<u8>>,
    written: usize,
}

/// Splits a stream into its two halves.
pub fn split(stream: Stream) -> (BlockReader, BlockWriter) {
    let (reader, writer) = tokio::io::split(stream);
    let reader = BlockReader { stream: reader, partial: Vec::new() };
    (reader, BlockWriter { stream: writer, queue: VecDeque::new(), written: 0 })
}

impl BlockReader {
    /// The next block, or `None` when the peer closed the connection, be it in the middle of a block.
    pub async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
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
            let mut limited = (&mut self.stream).take(u64::try_from(missing).unwrap_or(u64::MAX));
            if limited.read_buf(&mut self.partial).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(std::mem::take(&mut self.partial)))
    }

    /// True while a block has begun and not ended: the peer owes the rest.
    pub fn is_mid_block(&self) -> bool {
        !self.partial.is_empty()
    }
}

impl BlockWriter {
    /// Queues a block; [`flush`](Self::flush) sends it.
    pub fn queue(&mut self, block: Vec<u8>) {
        self.queue.push_back(block);
    }

    /// Sends everything queued. A flush that is cancelled goes on where it was with the next one.
    pub async fn flush(&mut self) -> io::Result<()> {
        while let Some(block) = self.queue.front() {
            while let Some(rest) = block.get(self.written..).filter(|rest| !rest.is_empty()) {
                match self.stream.write(rest).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    count => self.written = self.written.saturating_add(count),
                }
            }
            self.queue.pop_front();
            self.written = 0;
        }
        self.queue.shrink_to(0);
        self.stream.flush().await
    }

    /// Queues one block and sends it.
    pub async fn write(&mut self, block: Vec<u8>) -> io::Result<()> {
        self.queue(block);
        self.flush().await
    }

    /// Sends close_notify and closes the sending side.
    pub async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
