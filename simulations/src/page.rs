//! A recording to look at: one self-contained HTML page, a static SVG picture, or a trace for
//! Perfetto.
//!
//! The page asks nothing of any network: styles, scripts and data are in it, and its content policy
//! forbids everything else. It stays below [`PAGE_BYTES`] whatever the run was: packets are thinned
//! until it fits, and the page says so.
//!
//! | Module | Makes |
//! |---|---|
//! | `html` | the page |
//! | `data` | what its scripts draw, as compact JSON |
//! | `table` | who declared whom down, as a table |
//! | `svg` | the picture |
//! | `perfetto` | the trace |

mod data;
mod html;
mod perfetto;
mod svg;
mod table;

pub use self::{html::html, perfetto::perfetto, svg::svg};

/// Bytes that a page has, at most.
pub const PAGE_BYTES: usize = 2_000_000;

/// Nodes that are drawn one stripe each in each other's lane, at most; of more, shares are drawn.
const STRIPES: usize = 16;

/// The text as it stands in HTML and XML, attributes included.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML has no spelling for these at all.
            c if c.is_control() && c != '\n' && c != '\t' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
