//! What is to be drawn: who takes part, and a line for each thing that happened.
//!
//! Records come from others, and names in them from anybody. Whatever a terminal would obey is made visible here, once, and
//! long text is cut; those who draw only care for what their own language obeys.

use crate::console::printable;
use crate::{Code, Error};

const MAX_PARTIES: usize = 32;
const MAX_LINES: usize = 10_000;
/// So many characters of a name are shown.
const MAX_NAME: usize = 40;
/// So many characters of a description are shown.
const MAX_WORDS: usize = 200;

/// A sequence, ready to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    parties: Vec<String>,
    lines: Vec<Line>,
}

/// One line of a drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The number of the step, if it has one.
    pub number: String,
    /// When, in milliseconds since 1970, by the clock of whoever acted.
    pub at: Option<u64>,
    /// Whose step.
    pub who: String,
    /// Whom it concerns.
    pub way: Way,
    /// What happened.
    pub what: String,
    /// Whether it failed.
    pub failed: bool,
}

/// Between whom a line goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A step that concerns nobody else.
    Alone,
    /// To somebody.
    To(String),
    /// To somebody who never heard it.
    Lost(String),
    /// Back from somebody who was asked.
    Answered(String),
    /// Nothing came back from somebody who was asked.
    Unanswered(String),
}

impl Way {
    /// The other one, if there is one.
    pub fn other(&self) -> Option<&str> {
        match self {
            Way::Alone => None,
            Way::To(other) | Way::Lost(other) | Way::Answered(other) | Way::Unanswered(other) => Some(other),
        }
    }

    fn shown(self) -> Self {
        match self {
            Way::Alone => Way::Alone,
            Way::To(other) => Way::To(shown(&other, MAX_NAME)),
            Way::Lost(other) => Way::Lost(shown(&other, MAX_NAME)),
            Way::Answered(other) => Way::Answered(shown(&other, MAX_NAME)),
            Way::Unanswered(other) => Way::Unanswered(shown(&other, MAX_NAME)),
        }
    }
}

impl Drawing {
    /// Makes a drawing of lines. `parties` stand first; whoever else is in a line comes after them.
    pub fn new(parties: impl IntoIterator<Item = String>, lines: Vec<Line>) -> Result<Self, Error> {
        if lines.len() > MAX_LINES {
            let message = format!("{} lines are to be drawn, more than {MAX_LINES}", lines.len());
            return Err(Error::new(Code::Usage, message).hint("choose some with --only or --about"));
        }
        let mut drawing = Drawing { parties: Vec::new(), lines: lines.into_iter().map(Line::shown).collect() };
        for party in parties {
            drawing.join(&shown(&party, MAX_NAME))?;
        }
        for line in drawing.lines.clone() {
            drawing.join(&line.who)?;
            line.way.other().map_or(Ok(()), |other| drawing.join(other))?;
        }
        Ok(drawing)
    }

    fn join(&mut self, party: &str) -> Result<(), Error> {
        if self.column(party).is_some() {
            return Ok(());
        }
        if self.parties.len() >= MAX_PARTIES {
            let message = format!("more than {MAX_PARTIES} parties take part");
            return Err(
                Error::new(Code::Usage, message).hint("choose steps with --only or --about, or give fewer traces")
            );
        }
        self.parties.push(party.to_owned());
        Ok(())
    }

    /// Who takes part.
    pub fn parties(&self) -> &[String] {
        &self.parties
    }

    /// What happened, in its order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The place of a party among all of them.
    pub(super) fn column(&self, party: &str) -> Option<usize> {
        self.parties.iter().position(|known| known == party)
    }
}

impl Line {
    fn shown(self) -> Self {
        Line {
            number: shown(&self.number, MAX_NAME),
            who: shown(&self.who, MAX_NAME),
            way: self.way.shown(),
            what: shown(&self.what, MAX_WORDS),
            ..self
        }
    }
}

fn shown(text: &str, limit: usize) -> String {
    let whole = printable(text);
    let mut shown: String = whole.chars().take(limit).collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn line(number: &str, who: &str, way: Way, what: &str) -> Line {
        Line {
            number: number.to_owned(),
            at: None,
            who: who.to_owned(),
            way,
            what: what.to_owned(),
            failed: what.ends_with(')'),
        }
    }

    /// Every way that a line can go.
    pub(in super::super) fn example() -> Drawing {
        let (relay, server) = (|| "Ray".to_owned(), || "server".to_owned());
        let lines = vec![
            line("1", "owner", Way::Alone, "makes keys"),
            line("2", "owner", Way::To(server()), "creates the link"),
            line("", "owner", Way::Answered(server()), ""),
            line("10", "owner", Way::To(relay()), "asks it"),
            line("", "Ray", Way::To(server()), "reads the link (timed_out)"),
            line("", "Ray", Way::Unanswered(server()), ""),
            line("", "Ray", Way::Lost("owner".to_owned()), "leaves"),
        ];
        Drawing::new(["owner".to_owned(), relay()], lines).unwrap()
    }

    /// Names and words that want to be more than that.
    pub(in super::super) fn hostile() -> Drawing {
        let name = "</text><script>alert(1)</script>\n%%{init: {}}%%";
        let lines = vec![
            line("", "a;b#c\"'&", Way::To(name.to_owned()), "wrap: style p1:x#y; \u{1b}[2J\u{202e}\u{ffff}]]>\r\nend"),
            line("", "end", Way::Alone, "<!-- & -->"),
        ];
        Drawing::new([], lines).unwrap()
    }

    #[test]
    fn whoever_is_in_a_line_takes_part_after_those_who_were_named() {
        assert_eq!(example().parties(), ["owner", "Ray", "server"]);
        assert_eq!(
            Drawing::new(["b".to_owned(), "a".to_owned(), "b".to_owned()], vec![]).unwrap().parties(),
            ["b", "a"]
        );
    }

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        let drawing = hostile();
        let commands = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!drawing.parties().iter().any(|party| party.contains(commands)));
        assert!(!drawing.lines().iter().any(|line| line.what.contains(commands)));
        assert!(drawing.lines().first().unwrap().what.contains("\\u{1b}[2J\\u{202e}"));
    }

    #[test]
    fn what_is_drawn_is_bounded() {
        let many = |count: usize| (0..count).map(|index| line("", &format!("party {index}"), Way::Alone, "")).collect();
        assert_eq!(Drawing::new([], many(MAX_PARTIES)).unwrap().parties().len(), MAX_PARTIES);
        assert_eq!(Drawing::new([], many(MAX_PARTIES + 1)).unwrap_err().code(), Code::Usage);
        assert_eq!(
            Drawing::new([], vec![line("", "a", Way::Alone, ""); MAX_LINES + 1]).unwrap_err().code(),
            Code::Usage
        );
        let long = Drawing::new([], vec![line("", &"n".repeat(50), Way::Alone, &"w".repeat(900))]).unwrap();
        assert_eq!(long.parties(), [format!("{}…", "n".repeat(MAX_NAME))]);
        assert_eq!(long.lines().first().unwrap().what.chars().count(), MAX_WORDS + 1);
    }
}
