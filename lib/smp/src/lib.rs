//! SMP on the wire: addresses, handshake, blocks, commands, responses and errors, without I/O.
