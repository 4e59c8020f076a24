//! Tables of text for people.

/// Between columns.
const GAP: &str = "  ";

/// Rows as lines, with cells as wide as the widest of their column.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_begin_below_each_other() {
        let rows = [["RELAY", "NOTE"], ["Zoë", ""], ["a longer one", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), ["RELAY         NOTE", "Zoë", "a longer one  x"]);
        assert!(aligned::<3>(&[]).is_empty());
    }
}
