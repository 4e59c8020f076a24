//! A sequence as a [Mermaid](https://mermaid.js.org/syntax/sequenceDiagram.html) diagram, which many pages that show
//! Markdown draw.
//!
//! Parties are `p1`, `p2` and so on, with their names as aliases: no name can be taken for an arrow. In names and words every
//! character that Mermaid might obey is written as `#NUMBER;`.

use std::fmt::Write as _;

use super::{Drawing, Line, Way};

/// Characters that stand for themselves, besides letters and digits.
const PLAIN: &str = " .,:/()_-'…";

/// Words that Mermaid looks for in the middle of a text.
const OBEYED: &[&str] = &["style", "classDef", "wrap"];

/// The sequence as the source of a diagram.
pub fn mermaid(drawing: &Drawing) -> String {
    let mut source = "sequenceDiagram\n".to_owned();
    for party in drawing.parties() {
        // Writing into text cannot fail, here and below.
        let _ = writeln!(source, "    participant {} as {}", id(drawing, party), escaped(party));
    }
    for line in drawing.lines() {
        let _ = writeln!(source, "    {}", signal(drawing, line));
    }
    source
}

fn id(drawing: &Drawing, party: &str) -> String {
    format!("p{}", drawing.column(party).unwrap_or_default().saturating_add(1))
}

fn signal(drawing: &Drawing, line: &Line) -> String {
    let who = id(drawing, &line.who);
    let other = id(drawing, line.way.other().unwrap_or_default());
    let numbered = format!("{} {}", line.number, line.what);
    let words = escaped(numbered.trim());
    // A signal without words is drawn too close to the one before.
    let or = |default: &str| if words.is_empty() { default.to_owned() } else { words.clone() };
    match line.way {
        Way::Alone => format!("Note over {who}: {words}"),
        Way::To(_) => format!("{who}->>{other}: {words}"),
        Way::Lost(_) => format!("{who}-x{other}: {words}"),
        Way::Answered(_) => format!("{other}-->>{who}: {}", or("answers")),
        Way::Unanswered(_) => format!("{other}--x{who}: {}", or("no answer")),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || PLAIN.contains(c) { escaped.push(c) } else { escaped.push_str(&entity(c)) }
    }
    for word in OBEYED {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            escaped = escaped.replace(word, &format!("{}{}", entity(first), letters.as_str()));
        }
    }
    escaped
}

fn entity(c: char) -> String {
    format!("#{};", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::super::drawing::tests::{example, hostile};
    use super::*;

    #[test]
    fn every_way_has_its_arrow() {
        let expected = "\
sequenceDiagram
    participant p1 as owner
    participant p2 as Ray
    participant p3 as server
    Note over p1: 1 makes keys
    p1->>p3: 2 creates the link
    p3-->>p1: answers
    p1->>p2: 10 asks it
    p2->>p3: reads the link (timed_out)
    p3--xp2: no answer
    p2-xp1: leaves
";
        assert_eq!(mermaid(&example()), expected);
    }

    #[test]
    fn names_and_words_are_only_shown() {
        let source = mermaid(&hostile());
        assert_eq!(source.lines().count(), 1 + 3 + 2, "{source}");
        for line in source.lines().skip(1) {
            let text = line.split_once(" as ").or_else(|| line.split_once(": ")).unwrap().1;
            let mut pieces = text.split('#');
            let plain = |piece: &str| piece.chars().all(|c| c.is_alphanumeric() || PLAIN.contains(c));
            assert!(plain(pieces.next().unwrap()), "{text}");
            for piece in pieces {
                let (number, rest) = piece.split_once(';').unwrap();
                assert!(number.parse::<u32>().is_ok() && plain(rest), "{text}");
            }
            assert!(!OBEYED.iter().any(|word| text.contains(word)), "{text}");
        }
        assert!(source.contains("participant p1 as a#59;b#35;c#34;'#38;\n"), "{source}");
    }
}
