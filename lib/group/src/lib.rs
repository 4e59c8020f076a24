//! Groups and channels: profiles, owners, links and their verification, without I/O.
