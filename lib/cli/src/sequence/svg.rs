//! A sequence as a picture: an SVG file that needs nothing else, neither fonts nor scripts.
//!
//! Arrows stand on the left, between the lines of the parties, and what they mean beside them on the right, so that long
//! words need no space between parties. All places are whole numbers made from counts of characters: the same sequence
//! is the same file.

use std::fmt::Write as _;

use super::{Drawing, Line, Way};

/// What a character of the monospaced font takes at most.
const CHARACTER: usize = 9;
const MARGIN: usize = 16;
const ROW: usize = 24;
const HEAD: usize = 28;
/// Between the boxes of two parties, and between columns.
const GAP: usize = 20;
const LEAST_BOX: usize = 72;

const STYLE: &str = "\
text{font:14px monospace;fill:#1f2933}\
.life{stroke:#b3bdc9;stroke-dasharray:4 4}\
.box{fill:#e8eef6;stroke:#52657d}\
.band{fill:#f5f7fa}\
.way{stroke:#1f4e8c;stroke-width:1.5;fill:none}\
.back{stroke:#1f4e8c;stroke-dasharray:5 3;fill:none}\
.head{fill:#1f4e8c}\
.lost{stroke:#b42318;stroke-width:2;fill:none}\
.failed{fill:#b42318}\
.number{font-weight:bold;text-anchor:end}\
.name{text-anchor:middle}";

/// The sequence as a picture.
pub fn svg(drawing: &Drawing) -> String {
    let layout = Layout::of(drawing);
    let Layout { width, height, .. } = layout;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n<rect width=\"{width}\" height=\"{height}\" \
         fill=\"#ffffff\"/>\n",
        escaped(&title(drawing))
    );
    bands(&mut out, drawing, &layout);
    heads(&mut out, drawing, &layout);
    for (index, line) in drawing.lines().iter().enumerate() {
        row(&mut out, drawing, line, &layout, index);
    }
    out.push_str("</svg>\n");
    out
}

fn title(drawing: &Drawing) -> String {
    format!("What happened between {}", drawing.parties().join(", "))
}

/// Where everything is.
struct Layout {
    /// The right end of numbers.
    numbers: usize,
    /// Of each party: the middle of its line, and half of the width of its box.
    lives: Vec<(usize, usize)>,
    /// The left end of words.
    words: usize,
    width: usize,
    height: usize,
}

impl Layout {
    fn of(drawing: &Drawing) -> Self {
        let lines = drawing.lines();
        let numbers = lines.iter().map(|line| wide(&line.number)).max().unwrap_or_default().saturating_add(MARGIN);
        let mut right = if numbers > MARGIN { numbers.saturating_add(GAP) } else { MARGIN };
        let mut lives = Vec::new();
        for party in drawing.parties() {
            let half = wide(party).saturating_add(GAP).max(LEAST_BOX).div_ceil(2);
            lives.push((right.saturating_add(half), half));
            right = right.saturating_add(half).saturating_add(half).saturating_add(GAP);
        }
        let longest = lines.iter().map(|line| wide(&line.what)).max().unwrap_or_default();
        let width = right.saturating_add(longest).saturating_add(MARGIN);
        let height = lines.len().saturating_mul(ROW).saturating_add(2 * (MARGIN + HEAD) + ROW);
        Layout { numbers, lives, words: right, width, height }
    }

    /// The middle of a row.
    fn row(&self, index: usize) -> usize {
        index.saturating_mul(ROW).saturating_add(MARGIN + HEAD + ROW)
    }

    /// The middle of a party's line.
    fn life(&self, drawing: &Drawing, party: &str) -> usize {
        drawing.column(party).and_then(|column| self.lives.get(column)).map_or(0, |(middle, _)| *middle)
    }
}

/// How wide text is at most. Letters of scripts that are written in squares count twice.
fn wide(text: &str) -> usize {
    let cells = text.chars().map(|c| if c >= '\u{1100}' && c != '…' { 2 } else { 1 }).sum::<usize>();
    cells.saturating_mul(CHARACTER)
}

/// Every other step has a band behind it that leads the eye to its words; an answer belongs to its question.
fn bands(out: &mut String, drawing: &Drawing, layout: &Layout) {
    let mut banded = false;
    for (index, line) in drawing.lines().iter().enumerate() {
        if !matches!(line.way, Way::Answered(_) | Way::Unanswered(_)) {
            banded = !banded;
        }
        if banded {
            let (y, width) = (layout.row(index).saturating_sub(ROW / 2), layout.width);
            // Writing into text cannot fail, here and below.
            let _ = writeln!(out, "<rect class=\"band\" y=\"{y}\" width=\"{width}\" height=\"{ROW}\"/>");
        }
    }
}

/// The parties, above and below their lines.
fn heads(out: &mut String, drawing: &Drawing, layout: &Layout) {
    let bottom = layout.height.saturating_sub(MARGIN + HEAD);
    for (party, (middle, half)) in drawing.parties().iter().zip(&layout.lives) {
        let (left, width) = (middle.saturating_sub(*half), half.saturating_mul(2));
        let _ = writeln!(out, "<path class=\"life\" d=\"M{middle} {}V{bottom}\"/>", MARGIN + HEAD);
        for top in [MARGIN, bottom] {
            let baseline = top.saturating_add(HEAD / 2 + 5);
            let _ = writeln!(
                out,
                "<rect class=\"box\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{HEAD}\" rx=\"4\"/>\
                 <text class=\"name\" x=\"{middle}\" y=\"{baseline}\">{}</text>",
                escaped(party)
            );
        }
    }
}

fn row(out: &mut String, drawing: &Drawing, line: &Line, layout: &Layout, index: usize) {
    let y = layout.row(index);
    let who = layout.life(drawing, &line.who);
    let other = layout.life(drawing, line.way.other().unwrap_or(&line.who));
    match line.way {
        _ if who == other => dot(out, who, y),
        Way::Alone => dot(out, who, y),
        Way::To(_) => arrow(out, "way", who, other, y),
        Way::Answered(_) => arrow(out, "back", other, who, y),
        Way::Lost(_) => cut(out, "way", who, other, y),
        Way::Unanswered(_) => cut(out, "back", other, who, y),
    }
    let baseline = y.saturating_add(5);
    if !line.number.is_empty() {
        let (x, number) = (layout.numbers, escaped(&line.number));
        let _ = writeln!(out, "<text class=\"number\" x=\"{x}\" y=\"{baseline}\">{number}</text>");
    }
    if !line.what.is_empty() {
        let (x, what) = (layout.words, escaped(&line.what));
        let class = if line.failed { " class=\"failed\"" } else { "" };
        let _ = writeln!(out, "<text{class} x=\"{x}\" y=\"{baseline}\">{what}</text>");
    }
}

fn dot(out: &mut String, x: usize, y: usize) {
    let _ = writeln!(out, "<circle class=\"head\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>");
}

fn arrow(out: &mut String, class: &str, from: usize, to: usize, y: usize) {
    let barb = if from < to { -9 } else { 9 };
    let _ = writeln!(
        out,
        "<path class=\"{class}\" d=\"M{from} {y}H{to}\"/><path class=\"head\" d=\"M{to} {y}l{barb} -4v8z\"/>"
    );
}

/// An arrow that does not arrive: it ends in a cross on three quarters of its way.
fn cut(out: &mut String, class: &str, from: usize, to: usize, y: usize) {
    let quarter = from.abs_diff(to) / 4;
    let end = if from < to { to.saturating_sub(quarter) } else { to.saturating_add(quarter) };
    let (left, top) = (end.saturating_sub(5), y.saturating_sub(5));
    let _ = writeln!(
        out,
        "<path class=\"{class}\" d=\"M{from} {y}H{end}\"/><path class=\"lost\" d=\"M{left} {top}l10 10m0 -10l-10 10\"/>"
    );
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // No characters of XML.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::drawing::tests::{example, hostile};
    use super::*;

    /// What stands between tags; fails if tags are not closed in their order or hold anything but what is written here.
    fn contents(picture: &str) -> Vec<String> {
        let (mut open, mut contents) = (Vec::new(), Vec::new());
        for piece in picture.trim_end().split('<').skip(1) {
            let (tag, text) = piece.split_once('>').unwrap();
            let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
            assert!(["svg", "title", "style", "rect", "path", "text", "circle"].contains(&name), "{tag}");
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(name);
                contents.push(text.to_owned());
            }
        }
        assert!(open.is_empty(), "{open:?}");
        contents
    }

    #[test]
    fn a_picture_shows_names_numbers_and_words() {
        let picture = svg(&example());
        let shown = contents(&picture);
        for word in ["owner", "Ray", "server", "1", "10", "creates the link", "reads the link (timed_out)"] {
            assert!(shown.iter().any(|text| text == word), "{word} is not in {picture}");
        }
        assert_eq!(picture.matches("class=\"lost\"").count(), 2);
        assert_eq!(picture.matches("class=\"failed\"").count(), 1);
        assert_eq!(picture, svg(&example()));
    }

    #[test]
    fn arrows_go_from_line_to_line() {
        let drawing = example();
        let layout = Layout::of(&drawing);
        let [owner, relay, server] = ["owner", "Ray", "server"].map(|party| layout.life(&drawing, party));
        assert!(owner < relay && relay < server && server < layout.words);
        let picture = svg(&drawing);
        let y = layout.row(1);
        assert!(picture.contains(&format!("<path class=\"way\" d=\"M{owner} {y}H{server}\"/>")), "{picture}");
        let y = layout.row(2);
        assert!(picture.contains(&format!("<path class=\"back\" d=\"M{server} {y}H{owner}\"/>")), "{picture}");
    }

    #[test]
    fn names_and_words_are_only_shown() {
        let picture = svg(&hostile());
        let shown = contents(&picture).join("\n");
        assert!(shown.contains("&lt;script&gt;"), "{picture}");
        assert!(!picture.contains("<script"), "{picture}");
        assert!(!picture.contains(['\u{1b}', '\u{202e}', '\u{ffff}']), "{picture}");
        for entity in shown.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "apos;"].iter().any(|known| entity.starts_with(known));
            assert!(known, "{entity}");
        }
    }

    #[test]
    fn nothing_is_a_picture_too() {
        contents(&svg(&Drawing::new([], vec![]).unwrap()));
    }
}
