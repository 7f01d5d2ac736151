//! The port for independent verification: JSON lines of cases in, one JSON line for each out. What evaluates an area calls
//! the functions the product runs, and adds names to their results, nothing else.
//!
//! A case is `{"id": ..., "input": {...}}`; its answer `{"id": ..., "outcome": ..., ...}` with the keys that the vectors'
//! `expected` has. An area knows nothing of what is expected; [`compare_all`] holds its answers against it.

mod compare;

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value as Json, json};
use shared::hex;

use crate::exit::Exit;
pub use compare::differences;

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

    /// Octets in hexadecimal, letters of either case.
    ///
    /// # Errors
    /// [`UnusableInput::Key`]
    pub fn hex(&self, key: &'static str) -> Result<Vec<u8>, UnusableInput> {
        hex::decode(&self.text(key)?.to_ascii_lowercase()).ok_or(UnusableInput::Key(key))
    }

    /// A number by its digits, whether it is written as a number or as a text (which may end in zeros).
    ///
    /// # Errors
    /// [`UnusableInput::Key`]
    pub fn digits(&self, key: &'static str) -> Result<String, UnusableInput> {
        match self.0.get(key) {
            Some(Json::Number(number)) => Ok(number.to_string()),
            Some(Json::String(text)) => Ok(text.clone()),
            _ => Err(UnusableInput::Key(key)),
        }
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

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The names of the areas.
    List,
    /// Each case's answer.
    Answers(&'a str),
    /// Where answers differ from what the cases expect.
    Differences(&'a str),
}

impl<'a> Wanted<'a> {
    /// As the command line says it.
    #[must_use]
    pub const fn of(area: Option<&'a str>, compare: bool) -> Self {
        match area {
            None => Self::List,
            Some(area) if compare => Self::Differences(area),
            Some(area) => Self::Answers(area),
        }
    }
}

/// Carries a command out and says how it ended: 0; 1 with differences; 64 for an area that does not exist; 70 if cases
/// cannot be read or answers not written.
pub fn carry_out(
    areas: &[Area],
    wanted: Wanted<'_>,
    cases: impl BufRead,
    mut out: impl Write,
    mut complaints: impl Write,
) -> u8 {
    let (Wanted::Answers(name) | Wanted::Differences(name)) = wanted else {
        // A reader that went away is no failure of ours.
        let _ = areas.iter().try_for_each(|(name, _)| writeln!(out, "{name}"));
        return Exit::Drained.code();
    };
    let area = match named(areas, name) {
        Ok(area) => area,
        Err(error) => {
            let _ = writeln!(complaints, "{name}: {error}");
            return Exit::Usage.code();
        }
    };
    let done = match wanted {
        Wanted::Differences(_) => compare_all(area, cases, out),
        _ => answer_all(area, cases, out).map(|()| true),
    };
    match done {
        Ok(true) => Exit::Drained.code(),
        Ok(false) => 1,
        Err(error) => {
            let _ = writeln!(complaints, "{name}: the cases cannot be read or the answers not written: {error}");
            Exit::OwnerLost.code()
        }
    }
}

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
    for_each_case(cases, |line| writeln!(answers, "{}", answer(area, line)))?;
    answers.flush()
}

/// Answers every line of `cases`, and writes a line for each whose answer is not what its `expected` says, then one with
/// the counts. Whether all agreed; no case at all is no agreement.
///
/// # Errors
/// Cases cannot be read, or the result not written.
pub fn compare_all(area: Area, cases: impl BufRead, mut out: impl Write) -> io::Result<bool> {
    let (mut count, mut differ) = (0_u64, 0_u64);
    for_each_case(cases, |line| {
        count = count.saturating_add(1);
        let found = answer(area, line);
        let expected = serde_json::from_str::<Map<String, Json>>(line).ok();
        let expected = expected.and_then(|mut case| case.remove("expected")).unwrap_or_default();
        let differences = differences(&expected, &found);
        if differences.is_empty() {
            return Ok(());
        }
        differ = differ.saturating_add(1);
        let id = found.get("id").map_or_else(String::new, Json::to_string);
        writeln!(out, "{id}: {}; answered {found}", differences.join("; "))
    })?;
    writeln!(out, "{}: {count} cases, {differ} differ", area.0)?;
    out.flush()?;
    Ok(count > 0 && differ == 0)
}

fn for_each_case(mut cases: impl BufRead, mut take: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = u64::try_from(CASE_BYTES_MAX).unwrap_or(u64::MAX);
        if io::Read::take(&mut cases, most).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() >= CASE_BYTES_MAX && line.last() != Some(&b'\n') {
            cases.skip_until(b'\n')?;
        }
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            take(text.trim())?;
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

    fn ended(wanted: Wanted<'_>, cases: &str) -> (u8, String, String) {
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let code = carry_out(&[("length", length)], wanted, cases.as_bytes(), &mut out, &mut complaints);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(complaints).unwrap())
    }

    #[test]
    fn a_command_ends_as_it_went() {
        assert_eq!(ended(Wanted::List, ""), (0, "length\n".into(), String::new()));
        let (code, out, complaint) = ended(Wanted::Answers("width"), "{}");
        assert!(code == 64 && out.is_empty() && complaint.starts_with("width: there is no such area"), "{complaint}");
        let case = |expected: u8| {
            format!("{{\"id\":\"a\",\"input\":{{\"hex\":\"01\"}},\"expected\":{{\"fields\":{expected}}}}}\n")
        };
        assert_eq!(ended(Wanted::Answers("length"), &case(2)).0, 0, "answering compares nothing");
        assert_eq!(
            ended(Wanted::Differences("length"), &case(1)),
            (0, "length: 1 cases, 0 differ\n".into(), String::new())
        );
        let (code, out, _) = ended(Wanted::Differences("length"), &format!("{}{}", case(1), case(2)));
        assert!(
            code == 1 && out.contains("\"a\": fields: 1 instead of 2") && out.ends_with("2 cases, 1 differ\n"),
            "{out}"
        );
        assert_eq!(ended(Wanted::Differences("length"), "").0, 1, "no case proves nothing");
        assert_eq!(ended(Wanted::Differences("length"), "{\"id\":1,\"input\":{\"hex\":\"\"}}").0, 1);
    }

    #[test]
    fn octets_may_be_written_in_letters_of_either_case() {
        let fields =
            |hex: &str| answer(("length", length), &json!({ "input": { "hex": hex } }).to_string())["fields"].clone();
        assert_eq!((fields("0648AB"), fields("0648ab"), fields("aB")), (json!(3), json!(3), json!(1)));
        assert_eq!(fields("0648AG"), Json::Null);
    }

    #[test]
    fn a_line_that_is_too_long_is_no_case_and_the_next_is() {
        let cases = format!("{}\n{{\"id\":1,\"input\":{{\"hex\":\"\"}}}}\n", "x".repeat(CASE_BYTES_MAX + 5));
        let (_, out, _) = ended(Wanted::Answers("length"), &cases);
        let outcomes: Vec<Json> = out.lines().map(|line| line.parse::<Json>().unwrap()["outcome"].clone()).collect();
        assert_eq!(outcomes, ["not-applicable", "ok"]);
    }
}
