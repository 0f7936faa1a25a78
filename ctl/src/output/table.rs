//! Lists as aligned columns: docker's layout (three blanks between columns, ten characters at least in each but the last).

/// Lines up `rows` under `headers`, one line each, the last column unpadded.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let widest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
            (widest.unwrap_or(0) + PADDING).max(WIDTH_MIN)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', widths[column] - cell.chars().count()));
            }
        }
        text.push('\n');
    }
    text
}

/// Blanks after the widest cell of a column.
const PADDING: usize = 3;
/// The least width of a column, blanks included.
const WIDTH_MIN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_is_not_padded() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let text = aligned(&[row(&["ID", "NAME", "PORTS"]), row(&["abcdefghijkl", "wéb", "*:80->80/tcp"])]);
        assert_eq!(text, "ID             NAME      PORTS\nabcdefghijkl   wéb       *:80->80/tcp\n");
        assert_eq!(aligned(&[]), "");
    }
}
