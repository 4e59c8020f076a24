//! TLS profile, SMP handshake over sockets and the SMP client.
