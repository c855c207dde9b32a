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

/// A page that shows it, and the text below: for a camera whose terminal nobody sees. It asks the network for nothing.
///
/// # Errors
/// [`TooLong`].
pub fn page(text: &str) -> Result<String, TooLong> {
    let picture = svg(text)?;
    let picture = picture.split_once("?>").map_or(picture.as_str(), |(_, picture)| picture);
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    Ok(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Pair this camera</title><style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem;\
         background:#fff;color:#111}}svg{{display:block;width:min(100%,22rem);height:auto}}code{{overflow-wrap:anywhere}}</style>\
         <h1>Pair this camera</h1>{picture}<p>Scan this with your device, or run there, within ten minutes:</p>\
         <p><code>doorframe pair '{text}'</code></p><p>It can be used once: the device that scans it first owns the camera.</p></html>\n"
    ))
}

fn svg(text: &str) -> Result<String, TooLong> {
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
        let page = page("doorframe://pair#v=1&at=<here>").unwrap();
        assert!(page.contains("<svg") && page.contains("v=1&amp;at=&lt;here>") && !page.contains("<?xml"), "{page}");
        assert_eq!(terminal(&"x".repeat(5000)), Err(TooLong(5000)));
    }
}
