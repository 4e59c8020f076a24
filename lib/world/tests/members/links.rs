//! What stands behind links. Their server may lie about the group link: it returns what stood there before, or nothing.

use std::collections::HashMap;

use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;

/// What the server says about the group link for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LinkLie {
    /// The truth.
    #[default]
    No,
    /// What stood there so many writes ago.
    Old(usize),
    /// That nobody can be asked.
    Unreachable,
}

/// What came of reading a link.
pub(crate) enum Found {
    Data(Box<RetrievedLinkData>),
    Nothing,
    Unreachable,
}

#[derive(Default)]
pub(crate) struct Links {
    data: HashMap<String, RetrievedLinkData>,
    group: String,
    /// Everything that ever stood behind the group link, oldest first.
    written: Vec<RetrievedLinkData>,
    pub(crate) lie: LinkLie,
}

impl Links {
    pub(crate) fn put(&mut self, link: &ContactShortLink, data: RetrievedLinkData) {
        self.data.insert(link.to_string(), data);
    }

    pub(crate) fn put_group(&mut self, link: &ContactShortLink, data: RetrievedLinkData) {
        self.group = link.to_string();
        self.written.push(data);
    }

    pub(crate) fn remove(&mut self, link: &ContactShortLink) {
        self.data.remove(&link.to_string());
    }

    /// What whoever reads the link gets.
    pub(crate) fn read(&self, link: &ContactShortLink) -> Found {
        let text = link.to_string();
        let found = match self.lie {
            _ if text != self.group => self.data.get(&text),
            LinkLie::Unreachable => return Found::Unreachable,
            LinkLie::No => self.written.last(),
            LinkLie::Old(ago) => self.written.iter().rev().nth(ago).or(self.written.first()),
        };
        found.cloned().map_or(Found::Nothing, |data| Found::Data(data.into()))
    }

    /// What really stands behind the group link.
    pub(crate) fn group(&self) -> RetrievedLinkData {
        self.written.last().expect("a group link").clone()
    }
}
