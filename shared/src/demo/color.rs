//! Colours, where they are wanted. The only file that knows of `ansi_term`.

use ansi_term::{Colour, Style};
use std::io::IsTerminal;

/// The colours of the stories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Bold red: the light is against you.
    Red,
    /// Bold green: go.
    Green,
    /// On magenta: something was made.
    OnMagenta,
    /// On cyan: something was used up.
    OnCyan,
}

/// When to use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

pub(super) fn paint(when: When, color: Color, text: &str) -> String {
    let wanted = match when {
        When::Always => true,
        When::Never => false,
        // https://no-color.org: present and not empty, whatever it says.
        When::Auto => {
            std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) && std::io::stdout().is_terminal()
        }
    };
    let style = match color {
        Color::Red => Colour::Red.bold(),
        Color::Green => Colour::Green.bold(),
        Color::OnMagenta => Style::new().on(Colour::Purple),
        Color::OnCyan => Style::new().on(Colour::Cyan),
    };
    if wanted { style.paint(text).to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Color, When, paint};

    #[test]
    fn colours_are_the_originals_escape_sequences() {
        assert_eq!(paint(When::Always, Color::Red, "stop"), "\u{1b}[1;31mstop\u{1b}[0m");
        assert_eq!(paint(When::Always, Color::OnMagenta, "bun"), "\u{1b}[45mbun\u{1b}[0m");
        assert_eq!(paint(When::Never, Color::OnCyan, "bun"), "bun");
    }
}
