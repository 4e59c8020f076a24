//! The contract all binaries share: documents, exit codes, errors, progress, trace, man pages.
