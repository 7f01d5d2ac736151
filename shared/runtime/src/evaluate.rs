//! The port for independent verification: JSON lines of cases in, one JSON line for each out. What evaluates an area calls
//! the functions the product runs, and adds names to their results, nothing else.
//!
//! A case is `{"id": ..., "input": {...}}`; its answer `{"id": ..., "outcome": ..., ...}` with the keys that the vectors'
//! `expected` has. Nothing is compared here.

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value as Json, json};
use shared::hex;

/// The longest line of cases, in octets. A longer one is answered as no case.
pub const CASE_BYTES_MAX: usize = 1024 * 1024;

/// A case's `input`.
#[derive(Debug, Clone)]
pub struct Input(Json);

/// A case that cannot be evaluated: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableInput {
    /// A key is missing or of another type.
    #[error("input.{0} is missing or of the wrong type")]
    Key(&'static str),
    /// Its value is none that this area knows.
    #[error("input.{0} has a value that this area does not know")]
    Value(&'static str),
}

impl Input {
    /// The input of a case.
    #[must_use]
    pub const fn new(input: Json) -> Self {
        Self(input)
    }

    /// A text.
    ///
    /// # Errors
    /// [`UnusableInput::Key`]
    pub fn text(&self, key: &'static str) -> Result<&str, UnusableInput> {
        self.0.get(key).and_then(Json::as_str).ok_or(UnusableInput::Key(key))
    }

    /// Octets in hexadecimal.
    ///
    /// # Errors
    /// [`UnusableInput::Key`]
    pub fn hex(&self, key: &'static str) -> Result<Vec<u8>, UnusableInput> {
        hex::decode(self.text(key)?).ok_or(UnusableInput::Key(key))
    }

    /// True or false.
    ///
    /// # Errors
    /// [`UnusableInput::Key`]
    pub fn flag(&self, key: &'static str) -> Result<bool, UnusableInput> {
        self.0.get(key).and_then(Json::as_bool).ok_or(UnusableInput::Key(key))
    }

    /// Whether the key is given.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }
}

/// What a case comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer(Map<String, Json>);

impl Answer {
    /// An answer of this outcome and nothing else.
    #[must_use]
    pub fn of(outcome: &str) -> Self {
        Self(Map::from_iter([("outcome".to_owned(), Json::from(outcome))]))
    }

    /// `ok` with this under `fields`.
    #[must_use]
    pub fn fields(fields: Json) -> Self {
        Self::of("ok").with("fields", fields)
    }

    /// With a further key.
    #[must_use]
    pub fn with(mut self, key: &str, value: Json) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }
}

/// What evaluates the cases of one area.
pub type Evaluate = fn(&Input) -> Result<Answer, UnusableInput>;

/// One area: its name, and what evaluates it.
pub type Area = (&'static str, Evaluate);

/// There is no area of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such area; without one, the areas are listed")]
pub struct UnknownArea;

/// The area of this name.
///
/// # Errors
/// [`UnknownArea`]
pub fn named(areas: &[Area], name: &str) -> Result<Area, UnknownArea> {
    areas.iter().find(|(area, _)| *area == name).copied().ok_or(UnknownArea)
}

/// Answers one line. A line that is no case is answered too: outcome `not-applicable`, and what is wrong with it.
#[must_use]
pub fn answer((_, evaluate): Area, line: &str) -> Json {
    let (id, input) = match serde_json::from_str::<Map<String, Json>>(line) {
        Ok(mut case) => (case.remove("id").unwrap_or_default(), case.remove("input").unwrap_or_default()),
        Err(error) => {
            return json!({ "id": null, "outcome": "not-applicable", "reason": format!("no case: {error}") });
        }
    };
    let answer = evaluate(&Input::new(input))
        .unwrap_or_else(|why| Answer::of("not-applicable").with("reason", why.to_string().into()));
    Json::Object(answer.with("id", id).0)
}

/// Answers every line of `cases` that is not empty, in order.
///
/// # Errors
/// Cases cannot be read, or answers not written.
pub fn answer_all(area: Area, cases: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    let mut cases = cases;
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = u64::try_from(CASE_BYTES_MAX).unwrap_or(u64::MAX);
        if io::Read::take(&mut cases, most).read_until(b'\n', &mut line)? == 0 {
            return answers.flush();
        }
        if line.len() >= CASE_BYTES_MAX && line.last() != Some(&b'\n') {
            cases.skip_until(b'\n')?;
        }
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            writeln!(answers, "{}", answer(area, text.trim()))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(input: &Input) -> Result<Answer, UnusableInput> {
        Ok(Answer::fields(input.hex("hex")?.len().into()))
    }

    #[test]
    fn each_line_has_its_answer() {
        let cases = "{\"id\":\"a\",\"input\":{\"hex\":\"0102\"}}\n\nnonsense\n{\"id\":\"b\",\"input\":{}}";
        let mut answers = Vec::new();
        let area = named(&[("length", length)], "length").unwrap();
        answer_all(area, cases.as_bytes(), &mut answers).unwrap();
        let answers: Vec<Json> = String::from_utf8(answers).unwrap().lines().map(|l| l.parse().unwrap()).collect();
        assert_eq!(answers[0], json!({ "id": "a", "outcome": "ok", "fields": 2 }));
        assert_eq!((&answers[1]["id"], &answers[1]["outcome"]), (&Json::Null, &"not-applicable".into()));
        assert_eq!(answers[2]["reason"], "input.hex is missing or of the wrong type");
        assert_eq!(answers.len(), 3);
        assert_eq!(named(&[], "length").err(), Some(UnknownArea));
    }
}
