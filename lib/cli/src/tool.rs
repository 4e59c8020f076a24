//! What a tool says about itself, once: help, man page and schemas are made from it.

use crate::Shape;

/// The constant that each binary begins with. Start from [`Tool::NEW`] and name what differs.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// Name of the binary.
    pub name: &'static str,
    /// What it does, in one line without a full stop, beginning with a verb: `Make the keys of a group`.
    pub about: &'static str,
    /// What a reader should know before using it: paragraphs separated by empty lines.
    pub description: &'static str,
    /// Kinds of document it takes on stdin.
    pub reads: &'static [Shape],
    /// Kinds of document it prints on stdout.
    pub writes: &'static [Shape],
    /// Examples, each a remark and a command line; the first is a pipeline that runs as it stands.
    pub examples: &'static [(&'static str, &'static str)],
    /// What the field lists under JSON leave open.
    pub json: &'static str,
    /// Exit statuses that mean something more exact here than elsewhere.
    pub exit: &'static [(u8, &'static str)],
    /// Environment variables that are no flags.
    pub environment: &'static [(&'static str, &'static str)],
    /// Related man pages, by name.
    pub see_also: &'static [&'static str],
    /// Protocols and their versions, for `--version --verbose`.
    pub protocols: &'static [(&'static str, &'static str)],
    /// Kinds of document that live in its `--state FILE` alone. With any, there is no `--out`: a copy would go its own
    /// way.
    pub keeps: &'static [Shape],
    /// Whether it runs until it is told to stop: SIGTERM drains, a closed stdout only stops the events.
    pub server: bool,
}

impl Tool {
    /// A tool that does nothing yet.
    pub const NEW: Tool = Tool {
        name: "",
        about: "",
        description: "",
        reads: &[],
        writes: &[],
        examples: &[],
        json: "",
        exit: &[],
        environment: &[],
        see_also: &[],
        protocols: &[],
        keeps: &[],
        server: false,
    };

    /// Whether the run ends with a document that `--out` could take.
    pub(crate) fn has_out(&self) -> bool {
        !self.server && self.keeps.is_empty() && !self.writes.is_empty()
    }
}
