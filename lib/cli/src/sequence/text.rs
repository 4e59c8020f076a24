//! A sequence as text: when, the number of the step, between whom, and what.

use codec::time::UtcTime;

use super::{Drawing, Line, Way};

/// Columns are at least so wide, so that sequences of a few parties look alike.
const NUMBER: usize = 4;
const WHO: usize = 20;

/// The sequence, a line for each thing that happened. Columns that would stay empty are left out.
pub fn text(drawing: &Drawing) -> String {
    let times = column(drawing, time, 0);
    let numbers = column(drawing, |line| line.number.clone(), NUMBER);
    let between = column(drawing, between, WHO).into_iter();
    let mut lines = String::new();
    for (((time, number), between), line) in times.into_iter().zip(numbers).zip(between).zip(drawing.lines()) {
        lines.push_str(format!("{time}{number}{between}{}", line.what).trim_end());
        lines.push('\n');
    }
    lines
}

/// A cell for each line, all of the same width.
fn column(drawing: &Drawing, cell: impl Fn(&Line) -> String, least: usize) -> Vec<String> {
    let cells: Vec<String> = drawing.lines().iter().map(cell).collect();
    let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or_default();
    match width {
        0 => cells,
        _ => cells.iter().map(|cell| format!("{cell:<width$} ", width = width.max(least))).collect(),
    }
}

fn time(line: &Line) -> String {
    let Some(at) = line.at else { return String::new() };
    let second = UtcTime::from_seconds(i64::try_from(at / 1000).unwrap_or_default()).to_string();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), at % 1000)
}

fn between(line: &Line) -> String {
    let who = &line.who;
    match &line.way {
        Way::Alone => who.clone(),
        Way::To(other) => format!("{who} -> {other}"),
        Way::Lost(other) => format!("{who} -x {other}"),
        Way::Answered(other) => format!("{who} <- {other}"),
        Way::Unanswered(other) => format!("{who} x- {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawing::tests::{example, hostile, line};
    use super::*;

    #[test]
    fn text_shows_between_whom_everything_happened() {
        let expected = "\
1    owner                makes keys
2    owner -> server      creates the link
     owner <- server
10   owner -> Ray         asks it
     Ray -> server        reads the link (timed_out)
     Ray x- server
     Ray -x owner         leaves
";
        assert_eq!(text(&example()), expected);
    }

    #[test]
    fn times_stand_first_and_numbers_only_if_there_are_any() {
        let timed = |at| Line { at: Some(at), ..line("", "owner", Way::Alone, "waits") };
        let drawing = Drawing::new([], vec![timed(1_700_000_000_000), timed(1_700_000_000_250)]).unwrap();
        let expected = "\
2023-11-14T22:13:20.000Z owner                waits
2023-11-14T22:13:20.250Z owner                waits
";
        assert_eq!(text(&drawing), expected);
        assert!(!text(&Drawing::new([], vec![timed(u64::MAX)]).unwrap()).is_empty());
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(text(&hostile()).lines().count(), 2);
        assert_eq!(text(&Drawing::new([], vec![]).unwrap()), "");
    }
}
