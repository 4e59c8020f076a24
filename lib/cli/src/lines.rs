//! stdin line by line, for tools that take one item per line.

use std::io::{BufRead, BufReader, Stdin};

use zeroize::Zeroizing;

use crate::{Code, Error, OrError};

/// The lines of stdin, without their ends. A line beyond the limit is an error, and the next one can be read.
#[derive(Debug)]
pub struct Lines {
    reader: BufReader<Stdin>,
    limit: usize,
    number: u64,
}

impl Lines {
    pub(crate) fn new(limit: usize) -> Self {
        Lines { reader: BufReader::new(std::io::stdin()), limit, number: 0 }
    }

    /// The number of the line that was read last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    fn read(&mut self) -> std::io::Result<Option<Line>> {
        let mut line = Line { bytes: Zeroizing::default(), whole: true };
        let mut begun = false;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok(begun.then_some(line));
            }
            begun = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let content = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            line.whole &= line.bytes.len().saturating_add(content.len()) <= self.limit;
            if line.whole {
                line.bytes.extend_from_slice(content);
            }
            let used = end.map_or(chunk.len(), |end| end.saturating_add(1));
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

struct Line {
    bytes: Zeroizing<Vec<u8>>,
    /// Whether it is within the limit.
    whole: bool,
}

impl Iterator for Lines {
    type Item = Result<Zeroizing<Vec<u8>>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.number = self.number.saturating_add(1);
        match self.read().or_error_at(Code::FileFailed, "stdin") {
            Ok(None) => None,
            Ok(Some(line)) if line.whole => Some(Ok(line.bytes)),
            Ok(Some(_)) => {
                let message = format!("the line is longer than {} bytes", self.limit);
                Some(Err(Error::new(Code::FieldInvalid, message).at("stdin").line(self.number)))
            }
            Err(error) => Some(Err(error.line(self.number))),
        }
    }
}
