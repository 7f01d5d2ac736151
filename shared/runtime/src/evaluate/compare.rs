//! What a case expects against what came out.

use serde_json::{Map, Value as Json};

/// Keys that are prose for people: not compared, wherever they stand.
const PROSE: [&str; 2] = ["reason", "note"];

/// How an answer differs from what was expected: a line for each key of `expected` that it does not have alike. Keys that
/// are prose are not looked at; the answer may have more than is expected.
#[must_use]
pub fn differences(expected: &Json, found: &Json) -> Vec<String> {
    let Json::Object(expected) = expected else { return vec!["there is no object `expected`".to_owned()] };
    let differs = |(key, expected): (&String, &Json)| {
        let found = found.get(key);
        let alike = found.is_some_and(|found| is_alike(expected, found));
        let shown = || found.map_or_else(|| "nothing".to_owned(), Json::to_string);
        (!alike).then(|| format!("{key}: {} instead of {expected}", shown()))
    };
    compared(expected).filter_map(differs).collect()
}

fn compared(expected: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    expected.iter().filter(|(key, _)| !PROSE.contains(&key.as_str()))
}

/// Numbers by their value (98 and 98.0 are alike), lists by each item in order, objects by the keys expected.
fn is_alike(expected: &Json, found: &Json) -> bool {
    match (expected, found) {
        (Json::Object(expected), Json::Object(found)) => {
            compared(expected).all(|(key, value)| found.get(key).is_some_and(|found| is_alike(value, found)))
        }
        (Json::Array(expected), Json::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(value, found)| is_alike(value, found))
        }
        (Json::Number(expected), Json::Number(found)) => expected.as_f64() == found.as_f64(),
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_expected_key_counts_but_prose() {
        let expected = json!({ "outcome": "ok", "reason": "x", "fields": { "a": 1, "note": "y", "b": [1, null] } });
        let found = json!({ "outcome": "ok", "more": 1, "fields": { "a": 1.0, "b": [1, null], "c": 2 } });
        assert!(differences(&expected, &found).is_empty());
        for (place, other) in [
            ("/outcome", json!("rejected")),
            ("/fields/a", json!(2)),
            ("/fields/a", json!("1")),
            ("/fields/b", json!([1])),
            ("/fields/b", json!([1, null, 2])),
            ("/fields/b/1", json!(0)),
            ("/fields", json!(null)),
        ] {
            let mut found = found.clone();
            *found.pointer_mut(place).unwrap() = other;
            assert_eq!(differences(&expected, &found).len(), 1, "{place}: {found}");
        }
        let missing = json!({ "outcome": "ok" });
        assert_eq!(differences(&json!({ "value": null }), &missing), ["value: nothing instead of null"]);
        assert_eq!(differences(&json!(null), &missing).len(), 1, "a case that expects nothing proves nothing");
    }
}
