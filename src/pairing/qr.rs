//! Text as a QR code.

use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};
use thiserror::Error;

/// A text that no QR code holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a text of {0} bytes is too long for a QR code")]
pub struct TooLong(usize);

fn code(text: &str) -> Result<QrCode, TooLong> {
    QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| TooLong(text.len()))
}

/// For a terminal: two modules a character, light on dark as most terminals are, which scanners take either way.
///
/// # Errors
/// [`TooLong`].
pub fn terminal(text: &str) -> Result<String, TooLong> {
    let code = code(text)?;
    Ok(code
        .render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build())
}

/// As a picture for a page.
///
/// # Errors
/// [`TooLong`].
pub fn svg(text: &str) -> Result<String, TooLong> {
    Ok(code(text)?.render::<svg::Color<'_>>().min_dimensions(240, 240).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_drawn_and_a_book_is_not() {
        let drawn = terminal(&"x".repeat(300)).unwrap();
        let widths: Vec<usize> = drawn.lines().map(|line| line.chars().count()).collect();
        assert!(widths[0] <= 80 && widths.iter().all(|width| *width == widths[0]), "{widths:?}");
        assert!(svg("x").unwrap().contains("<svg"));
        assert_eq!(terminal(&"x".repeat(5000)), Err(TooLong(5000)));
    }
}
