//! What people see while it runs. Colours only at a terminal.

use std::io::{IsTerminal, Write};

use serde_json::Value;

/// Where it is printed.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    to_standard_error: bool,
    coloured: bool,
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

impl Screen {
    /// With JSON at the end, standard output is for that alone.
    pub(crate) fn new(json: bool) -> Self {
        let is_terminal = if json { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        Self { to_standard_error: json, coloured: is_terminal && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Prints a line. Nobody reading is no reason to fail.
    pub(crate) fn say(&self, line: &str) {
        let _ = if self.to_standard_error {
            writeln!(std::io::stderr(), "{line}")
        } else {
            writeln!(std::io::stdout(), "{line}")
        };
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.coloured { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }

    /// Prints an alert event.
    pub(crate) fn alert(&self, name: &str, alert: &Value) {
        let field = |key: &str| alert.get(key).and_then(Value::as_str).unwrap_or("-");
        let colour = match (field("change"), field("priority")) {
            ("returned", _) => GREEN,
            (_, "high") => RED,
            _ => YELLOW,
        };
        let change = field("change").replace('_', " ");
        let at = field("at").get(11..19).unwrap_or_default();
        let line = format!("{at} ALERT {change:<12} {:<6} {name}: {}", field("priority"), field("words"));
        self.say(&self.painted(colour, &line));
    }

    /// Prints a line of live values.
    pub(crate) fn live(&self, line: &str) {
        self.say(line);
    }
}
