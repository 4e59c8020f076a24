//! The agent layer on the wire: connection links and short link data, without I/O.
