//! QR codes for a terminal: two modules a character, by half blocks.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code (ISO/IEC 18004): cameras need them.
const QUIET: usize = 4;

/// The modules of a code with its quiet zone: `true` is dark. `None` when the text is too long for any code.
pub(in crate::cli) fn modules(text: &[u8]) -> Option<Vec<Vec<bool>>> {
    // A screen has no dirt on it: the least correction gives the smallest code.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let light = || vec![false; width + 2 * QUIET];
    let mut rows: Vec<Vec<bool>> = (0..QUIET).map(|_| light()).collect();
    for row in code.to_colors().chunks(width) {
        let mut framed = vec![false; QUIET];
        framed.extend(row.iter().map(|module| *module == Color::Dark));
        framed.extend([false; QUIET]);
        rows.push(framed);
    }
    rows.extend((0..QUIET).map(|_| light()));
    Some(rows)
}

/// The lines to print. On a terminal they are black on white whatever its colours are.
pub(in crate::cli) fn lines(modules: &[Vec<bool>], terminal: Colours) -> Vec<String> {
    modules
        .chunks(2)
        .map(|pair| {
            let (upper, lower) = (pair.first(), pair.get(1));
            let row: String = upper
                .into_iter()
                .flatten()
                .enumerate()
                .map(|(at, upper)| {
                    let lower = lower.and_then(|row| row.get(at)).copied();
                    half_blocks(*upper, lower.unwrap_or(false))
                })
                .collect();
            match terminal {
                Colours::BlackOnWhite => format!("\x1b[38;5;16;48;5;231m{row}\x1b[0m"),
                Colours::None => row,
            }
        })
        .collect()
}

/// How the code is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Colours {
    /// For a terminal.
    BlackOnWhite,
    /// For paper and files.
    None,
}

const fn half_blocks(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &[u8] = b"otpauth://totp/Sakura:taro?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Sakura&algorithm=SHA1&digits=6&period=30";

    /// The seven by seven finder pattern of ISO/IEC 18004.
    fn is_finder(modules: &[Vec<bool>], top: usize, left: usize) -> bool {
        (0..7).all(|row: usize| {
            (0..7).all(|column: usize| {
                let ring = row.abs_diff(3).max(column.abs_diff(3));
                modules[top + row][left + column] == (ring != 2)
            })
        })
    }

    #[test]
    fn the_matrix_is_square_of_a_real_size_with_finders_in_three_corners() {
        let modules = modules(URI).unwrap();
        let size = modules.len();
        assert!(modules.iter().all(|row| row.len() == size));
        assert_eq!((size - 2 * QUIET - 17) % 4, 0);
        let far = size - QUIET - 7;
        assert!(is_finder(&modules, QUIET, QUIET));
        assert!(is_finder(&modules, QUIET, far));
        assert!(is_finder(&modules, far, QUIET));
        assert!(!is_finder(&modules, far, far));
    }

    #[test]
    fn the_quiet_zone_is_light_on_all_sides() {
        let modules = modules(URI).unwrap();
        let size = modules.len();
        for (row, line) in modules.iter().enumerate() {
            for (column, dark) in line.iter().enumerate() {
                let quiet = |at: usize| at < QUIET || at >= size - QUIET;
                assert!(!(*dark && (quiet(row) || quiet(column))), "{row},{column}");
            }
        }
    }

    #[test]
    fn two_rows_share_a_line_and_fit_a_terminal() {
        let modules = modules(URI).unwrap();
        let lines = lines(&modules, Colours::None);
        assert_eq!(lines.len(), modules.len().div_ceil(2));
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() == modules.len())
        );
        assert!(modules.len() <= 80, "{}", modules.len());
        for (at, line) in lines.iter().enumerate() {
            for (column, c) in line.chars().enumerate() {
                let lower = modules.get(2 * at + 1).is_some_and(|row| row[column]);
                assert_eq!(c, half_blocks(modules[2 * at][column], lower));
            }
        }
    }

    #[test]
    fn a_text_for_which_no_code_is_large_enough_has_none() {
        assert!(modules(&[b'x'; 4000]).is_none());
    }
}
